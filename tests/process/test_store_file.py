"""The store's file is unlinked, replaced or cut while the gateway runs."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.commerce import Commerce
from tests.process.processes import Served, children, serving

PASSWORD = "pass word 1"


def _unlink(store: Path) -> None:
    for path in store.parent.glob("store.db*"):
        path.unlink()


def _restore(store: Path) -> None:
    _unlink(store)
    store.with_name("backup").rename(store)


def _cut(store: Path) -> None:
    os.truncate(store, 4096)


def _take_log(store: Path) -> None:
    Path(f"{store}-wal").unlink()


def _remove_logs(store: Path) -> None:
    """Do what the manual says of a restored file."""
    for end in ("-wal", "-shm"):
        Path(f"{store}{end}").unlink(missing_ok=True)


async def _refused(served: Served, upstream: Commerce) -> None:
    """See that writes that keep a password are refused before anything is made."""
    before = len(upstream.requests)
    answer = await served.register("two@x.example", PASSWORD, "Two")
    assert answer is not None
    assert (answer.status, answer.json()["errors"][0]["code"]) == (503, "STORE_UNAVAILABLE")
    assert {request.method for request in upstream.requests[before:]} <= {"GET"}


@pytest.mark.parametrize("harm", [_unlink, _restore, _cut, _take_log])
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_lost_file(
    environ: dict[str, str], upstream: Commerce, tmp_path: Path, harm: Callable[[Path], None], workers: int
) -> None:
    """Registrations are 503 before anything is made, /ready stays 200 and names it, and so does the log, once each.

    After a restart the file that is there counts, and registrations go on.
    """
    store = tmp_path / "store.db"
    async with serving(environ) as served:
        answer = await served.register("one@x.example", PASSWORD, "One")
        assert answer is not None
        assert answer.status == 201
        served.tell(signal.SIGTERM)
        assert await served.ended() == 0
    shutil.copy(store, tmp_path / "backup")
    async with serving(environ, workers=workers) as served:
        # Ready is each worker with its own credential.
        await served.logged(lambda lines: [line.get("credential") for line in lines].count("server") >= workers)
        harm(store)
        there = store.read_bytes() if store.exists() else None
        for _ in range(3):
            await _refused(served, upstream)
        ready = await served.ask("/ready")
        assert (ready.status, ready.json()["conditions"]["store"]) == (200, False)
        assert "until a restart" in ready.json()["degraded"]["store"]
        metrics = (await served.ask("/metrics")).body.decode()
        assert 'gateway_faults_total{what="store"}' in metrics
        told = [line["error"] for line in served.lines if line["event"] == "failed"]
        assert 1 <= len(told) <= workers
        if harm is not _cut:
            assert (await served.login("one@x.example", PASSWORD)).status == 201
        assert (store.read_bytes() if store.exists() else None) == there
        served.tell(signal.SIGTERM)
        assert await served.ended() == 0
    if harm is _cut:
        return
    if harm is not _take_log:
        _remove_logs(store)
    async with serving(environ) as served:
        answer = await served.register("two@x.example", PASSWORD, "Two")
        assert answer is not None
        assert answer.status == 201
        assert (await served.login("two@x.example", PASSWORD)).status == 201


async def test_a_later_worker_opens_no_other_file(environ: dict[str, str], upstream: Commerce, tmp_path: Path) -> None:
    """A worker that takes a dead one's place does not open what took the file's place while the gateway runs."""
    store = tmp_path / "store.db"
    async with serving(environ, workers=2) as served:
        shutil.copy(store, tmp_path / "backup")
        _restore(store)
        there = store.read_bytes()
        os.kill(children(served.pid)[0], signal.SIGKILL)
        await served.logged(lambda lines: any(line.get("why") == "unready" for line in lines))
        (line, *_) = [line for line in served.lines if line.get("why") == "unready"]
        assert "the file was replaced" in line["detail"]
        await _refused(served, upstream)
        assert store.read_bytes() == there
