"""The supervisor of several workers: who hangs is noticed and replaced, and the end comes in time."""

import asyncio
import os
import re
import signal
import socket
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.commerce import Commerce, Fault, at
from tests.process.processes import Served, children, extended, is_running, serving
from tests.starting import start

# A busy machine keeps a process that is well from its turn for a second or two.
QUICK = "server: {heartbeat: 3s, drain: 2s}\n"


def _lost(served: Served) -> list[dict[str, Any]]:
    return [line for line in served.lines if line["event"] == "worker_lost"]


async def _is_live(address: str) -> bool:
    """Ask whether it is live, on a connection of its own and with the patience of a probe."""
    timeout = aiohttp.ClientTimeout(total=3)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"http://{address}/live") as response,
    ):
        return response.status == 200


async def test_a_worker_that_stands_still_is_replaced(environ: dict[str, str], tmp_path: Path) -> None:
    """It is killed, another takes its place, log and metric say so; the gateway is live and ready all the time."""
    async with serving(environ, config=extended(tmp_path, QUICK), workers=2) as served:
        stopped, other = children(served.pid)
        os.kill(stopped, signal.SIGSTOP)
        while not _lost(served):
            assert await _is_live(served.admin)
        await served.started(3)
        (line,) = _lost(served)
        assert (line["worker"], line["why"]) == (0, "silent")
        assert "stood still" in line["detail"]
        assert not is_running(stopped)
        assert other in children(served.pid)
        metrics = (await served.ask("/metrics")).body.decode()
        assert 'gateway_workers_lost_total{why="silent"} 1.0' in metrics
        assert {(await served.as_public("GET", "/v2/products")).status for _ in range(6)} == {200}
        served.tell(signal.SIGTERM)
        assert await served.ended() == 0


async def test_all_that_stand_still_are_replaced_one_at_a_time(environ: dict[str, str], tmp_path: Path) -> None:
    """The second is killed only when the first has a successor that serves; /live is answered though none serves."""
    async with serving(environ, config=extended(tmp_path, QUICK), workers=2) as served:
        first, second = children(served.pid)
        for pid in (first, second):
            os.kill(pid, signal.SIGSTOP)
        while served.states().count("started") == 2:
            assert await _is_live(served.admin)
        await served.started(4)
        await served.logged(lambda _: len(_lost(served)) == 2)
        told = [line for line in served.lines if line["event"] == "worker_lost" or line.get("state") == "started"]
        assert told[2]["event"] == "lifecycle"
        assert {line["why"] for line in _lost(served)} == {"silent"}
        assert not {first, second} & set(children(served.pid))


async def test_time_in_which_the_supervisor_itself_stood_still_counts_for_nobody(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """All stand still together, as on a machine that sleeps: nobody is killed for it."""
    async with serving(environ, config=extended(tmp_path, QUICK), workers=2) as served:
        workers = children(served.pid)
        # What is asked of the API meanwhile has its time-out when they go on.
        await served.logged(lambda lines: [line["event"] for line in lines].count("credential_renewed") == 4)
        os.killpg(served.pid, signal.SIGSTOP)
        # This is the time in question.
        await asyncio.sleep(4)
        os.killpg(served.pid, signal.SIGCONT)
        assert await _is_live(served.admin)
        assert {(await served.as_public("GET", "/v2/products")).status for _ in range(6)} == {200}
        assert children(served.pid) == workers
        assert _lost(served) == []


async def test_a_hung_worker_does_not_hold_up_the_end(environ: dict[str, str], tmp_path: Path) -> None:
    """SIGTERM ends everything by the drain and two seconds, a worker that does not hear it too."""
    async with serving(environ, config=extended(tmp_path, "server: {drain: 1s}\n"), workers=2) as served:
        workers = children(served.pid)
        os.kill(workers[0], signal.SIGSTOP)
        began = time.monotonic()
        served.tell(signal.SIGTERM)
        assert await served.ended() == 1
        # The limit is what is promised, not a speed.
        assert 1 <= time.monotonic() - began < 3.5
        assert not [pid for pid in workers if is_running(pid)]


async def test_a_drain_is_not_cut_short(environ: dict[str, str], upstream: Commerce, tmp_path: Path) -> None:
    """What ends within the drain ends in order, though a worker is busy all that time."""
    gate = asyncio.Event()
    upstream.fault(Fault.SLOW_HEAD, when=at("/v2/products"), gate=gate)
    async with serving(environ, config=extended(tmp_path, QUICK), workers=2) as served:
        await served.bearer()
        async with asyncio.TaskGroup() as group:
            slow = group.create_task(served.as_public("GET", "/v2/products"))
            await upstream.wait(lambda: any(request.path == "/v2/products" for request in upstream.requests))
            served.tell(signal.SIGTERM)
            await served.draining()
            gate.set()
        assert slow.result().status == 200
        assert await served.ended() == 0


async def test_a_dead_worker_is_told_of(environ: dict[str, str]) -> None:
    """One that dies after it has served is replaced; log and metric say how it ended."""
    async with serving(environ, workers=2) as served:
        first, second = children(served.pid)
        # What has said only just now that it has started may not have been heard by its supervisor yet.
        os.kill(second, signal.SIGKILL)
        await served.started(3)
        os.kill(first, signal.SIGKILL)
        await served.logged(lambda _: len(_lost(served)) > 1)
        assert {key: _lost(served)[-1][key] for key in ("worker", "why", "detail")} == {
            "worker": 0,
            "why": "died",
            "detail": "signal 9",
        }
        await served.started(4)


async def test_workers_that_cannot_begin_while_one_serves(environ: dict[str, str], tmp_path: Path) -> None:
    """A successor that cannot have its store is tried again, and told of; the others go on serving."""
    store = tmp_path / "store.db"
    async with serving(environ, workers=2) as served:
        first, second = children(served.pid)
        store.chmod(0o600)
        store.rename(tmp_path / "moved.db")
        store.mkdir()
        os.kill(first, signal.SIGKILL)
        await served.logged(lambda _: [line["why"] for line in _lost(served)].count("unready") >= 3)
        assert {line["detail"].partition(":")[0] for line in _lost(served)[1:]} == {"the store cannot be used"}
        assert second in children(served.pid)
        assert (await served.as_public("GET", "/v2/products")).status == 200
        os.kill(second, signal.SIGKILL)
        assert await served.ended() == 1
    assert [line.partition(":")[0] for line in served.errors] == ["the store cannot be used"]


async def test_workers_that_hang_and_cannot_be_replaced(environ: dict[str, str], tmp_path: Path) -> None:
    """Where all stand still and no successor can begin, the whole ends with the cause instead of serving nobody."""
    async with serving(environ, config=extended(tmp_path, QUICK), workers=2) as served:
        for pid in children(served.pid):
            os.kill(pid, signal.SIGSTOP)
        (tmp_path / "store.db").rename(tmp_path / "moved.db")
        assert await served.ended() == 1
        served.admin = ""
    assert [line.partition(":")[0] for line in served.errors] == ["the store cannot be used"]


async def test_the_admin_port_of_several_workers(environ: dict[str, str]) -> None:
    """Every page of it is answered, in pieces too; each connection serves one request."""
    async with serving(environ, workers=2) as served:
        host, _, port = served.admin.rpartition(":")
        for path, status in (("/live", 200), ("/metrics", 200), ("/config", 200), ("/none", 404), ("/live?x=1", 200)):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET {path} HT".encode())
            await writer.drain()
            writer.write(b"TP/1.1\r\nHost: x\r\n\r\n")
            answer = await reader.read()
            writer.close()
            assert answer.startswith(b"HTTP/1.1 %d " % status)
            assert re.search(rb"(?i)\r\nconnection: close\r\n", answer)
        async with served.session.head(f"http://{served.admin}/live") as head:
            assert (head.status, await head.read()) == (200, b"")
        async with served.session.post(f"http://{served.admin}/live") as refused:
            assert refused.status == 405


async def test_silent_clients_of_the_admin_port(environ: dict[str, str]) -> None:
    """Connections that say nothing, however many, do not keep a probe from its answer."""
    async with serving(environ, workers=2) as served:
        host, _, port = served.admin.rpartition(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(100)]
        assert await _is_live(served.admin)
        for _, writer in silent:
            writer.close()


async def test_a_loop_that_hangs_does_not_hold_up_the_end(environ: dict[str, str], tmp_path: Path) -> None:
    """A single process whose loop takes no signal is ended by the kernel after the drain and two seconds."""
    config = extended(tmp_path, "server: {drain: 1s}\n")
    (tmp_path / "sitecustomize.py").write_text(
        "import asyncio, os, threading, time\n"
        "loops, get_loop = [], asyncio.Runner.get_loop\n"
        "def keep(runner):\n"
        "    loops.append(get_loop(runner))\n"
        "    return loops[-1]\n"
        "asyncio.Runner.get_loop = keep\n"
        "def hang():\n"
        "    while not os.path.exists(os.environ['HANG']):\n"
        "        time.sleep(0.02)\n"
        "    loops[0].call_soon_threadsafe(spin)\n"
        "def spin():\n"
        "    open(os.environ['HANG'] + '.now', 'w').close()\n"
        "    while True:\n"
        "        pass\n"
        "threading.Thread(target=hang, daemon=True).start()\n"
    )
    flag = tmp_path / "hang"
    async with serving(environ | {"PYTHONPATH": str(tmp_path), "HANG": str(flag)}, config=config) as served:
        flag.touch()
        async with asyncio.timeout(20):
            while not Path(f"{flag}.now").exists():  # noqa: ASYNC110, ASYNC240 - the file system tells nobody
                await asyncio.sleep(0.01)
        served.tell(signal.SIGTERM)
        assert await served.ended() == -signal.SIGALRM
        served.admin = ""


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "[::]"])  # noqa: S104 - what is tried
async def test_a_second_gateway_on_the_same_port(environ: dict[str, str], host: str, first: int) -> None:
    """It ends with exit 1 and says so, whoever of them has several workers; the first goes on undisturbed."""
    async with serving(environ, workers=first) as served:
        port = served.public.rpartition(":")[2]
        for workers in ("1", "2"):
            second = await start(
                *("serve", "--config", "config/moltin.yaml", "--listen", f"{host}:{port}"),
                *("--admin", "127.0.0.1:0", "--workers", workers),
                environ=environ,
            )
            output, errors = await second.communicate()
            assert (second.returncode, output) == (1, b"")
            assert re.search(rb"(?i)address already in use", errors)
        assert {(await served.as_public("GET", "/v2/products")).status for _ in range(4)} == {200}


async def test_two_gateways_that_start_at_once(environ: dict[str, str]) -> None:
    """On one public port and different admin ports, one of them serves and the other ends with exit 1."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    processes = [
        await start(
            *("serve", "--config", "config/moltin.yaml", "--listen", f"127.0.0.1:{port}"),
            *("--admin", "127.0.0.1:0", "--workers", "2"),
            environ=environ,
        )
        for _ in range(2)
    ]
    waits = {asyncio.ensure_future(one.wait()): one for one in processes}
    try:
        done, _ = await asyncio.wait(waits, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert [waits[one].returncode for one in done] == [1]
    finally:
        for one in processes:
            with suppress(ProcessLookupError):
                one.terminate()
        await asyncio.gather(*waits)
        await asyncio.gather(*(one.communicate() for one in processes))
    assert sorted(one.returncode or 0 for one in processes) == [0, 1]
