"""The configuration of a running gateway is read again: at SIGHUP and when its files change, by all workers at once."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.authn.key import Algorithm, generate
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import MOLTIN, UPSTREAM_SECRET, CanaryShop
from tests.process.processes import Line, Served, children, extended, serving

WORKERS = [1, 2]
EXTENDS = f"extends: {MOLTIN}\n"
CORS = "cors: {origins: ['https://app.example']}\n"
FAULTY = EXTENDS + "cors: {origin: ['https://app.example']}\nserver: {keepalive: soon}\n"


def said(lines: list[Line], event: str, key: str = "what") -> list[str]:
    """Return what events of a kind say."""
    return [line[key] for line in lines if line["event"] == event]


def outcomes(*wanted: str) -> Callable[[list[Line]], bool]:
    """Tell whether these were the outcomes of all readings so far."""
    return lambda lines: said(lines, "config_reload", "outcome") == [*wanted]


def in_force(served: Served) -> list[str]:
    """Return the versions that were in force so far, in any worker."""
    return said(served.lines, "config_in_force", "version")


async def taken_up(served: Served, times: int, workers: int) -> str:
    """Wait until a configuration has been taken up so many times, and all workers serve by it; return its version."""
    await served.logged(lambda lines: said(lines, "config_reload", "outcome").count("swapped") == times)
    await served.logged(lambda _: len(in_force(served)) == (times + 1) * workers)
    (version,) = {*in_force(served)[-workers:]}
    return version


async def statuses(served: Served, target: str, times: int = 8) -> set[int]:
    """Ask for a target on new connections, which all workers take, and return how that was answered."""
    answers = [await served.as_public("GET", target, headers={"Connection": "close"}) for _ in range(times)]
    return {answer.status for answer in answers}


def replace(path: Path, text: str) -> None:
    """Put another file in the place of one, as editors do."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


@pytest.fixture
def routing(tmp_path: Path) -> Path:
    """Give a routing file that says what config/moltin.yaml says."""
    return extended(tmp_path, "")


@pytest.fixture
def unfinished() -> Iterator[list[asyncio.Event]]:
    """Give a list of gates that are opened in the end, so that nothing waits for ever."""
    gates: list[asyncio.Event] = []
    yield gates
    for gate in gates:
        gate.set()


@pytest.mark.parametrize("workers", WORKERS)
async def test_a_changed_file_is_taken_up(environ: dict[str, str], routing: Path, workers: int) -> None:
    """Nobody has to tell: log, /ready, /config and the metric say which configuration is in force in each worker."""
    async with serving(environ, config=routing, workers=workers) as served:
        before = (await served.ask("/ready")).json()["configuration"]
        replace(routing, EXTENDS + CORS)
        after = await taken_up(served, 1, workers)
        assert before != after
        assert (await served.ask("/ready")).json()["configuration"] == after
        page = (await served.ask("/config")).body.decode()
        assert f"# configuration {after}\n" in page
        assert "https://app.example" in page
        metrics = (await served.ask("/metrics")).body.decode()
        gauges = [line for line in metrics.splitlines() if line.startswith("gateway_config_version")]
        assert [float(gauge.split()[-1]) for gauge in gauges] == [float(int(after, 16))] * workers
        assert 'gateway_config_reloads_total{outcome="swapped"} 1.0' in metrics
        events = [line["event"] for line in served.lines]
        # What changes is told before anything does.
        swapped = [place for place, event in enumerate(events) if event == "config_in_force"][workers:]
        assert events.index("config_change") < min(swapped)
        assert said(served.lines, "config_change")[1:] == ['setting: cors.origins: ["*"] -> ["https://app.example"]']
        assert served.errors == []


@pytest.mark.parametrize("workers", WORKERS)
async def test_a_faulty_file_changes_nothing(environ: dict[str, str], routing: Path, workers: int) -> None:
    """Every fault is in the log with its place, and the one before goes on; put right, the file is taken up."""
    async with serving(environ, config=routing, workers=workers) as served:
        before = (await served.ask("/ready")).json()["configuration"]
        replace(routing, FAULTY)
        await served.logged(outcomes("refused"))
        faults = said(served.lines, "config_fault")
        assert [fault.partition(f"{routing}:")[2].partition(": ")[0] for fault in faults] == ["2:8", "3:21"]
        assert (await served.ask("/ready")).json()["configuration"] == before
        assert await statuses(served, "/v2/products") == {200}
        metrics = (await served.ask("/metrics")).body.decode()
        assert 'gateway_config_reloads_total{outcome="refused"} 1.0' in metrics
        replace(routing, EXTENDS + CORS)
        assert await taken_up(served, 1, workers) != before


@pytest.mark.parametrize("workers", WORKERS)
async def test_what_needs_a_restart_is_named(environ: dict[str, str], routing: Path, workers: int) -> None:
    """A mixture that nobody wrote is never in force: nothing of such a file is used."""
    async with serving(environ, config=routing, workers=workers) as served:
        replace(routing, EXTENDS + CORS + "store: {url: 'sqlite:////elsewhere.db'}\nserver: {drain: 3s}\n")
        await served.logged(outcomes("refused"))
        named = [fault.removeprefix(f"{routing}: ").partition(" ")[0] for fault in said(served.lines, "config_fault")]
        assert named == ["store.url", "server.drain"]
        assert "https://app.example" not in (await served.ask("/config")).body.decode()


@pytest.mark.parametrize("workers", WORKERS)
async def test_a_config_map_is_taken_up(environ: dict[str, str], tmp_path: Path, workers: int) -> None:
    """Kubernetes swaps one link for all files of a volume: the routing file and what it extends change at once."""
    volume = tmp_path / "volume"
    volume.mkdir()
    for number, origin in enumerate(("one", "two"), 1):
        stamped = volume / f"..2026_0{number}"
        stamped.mkdir()
        (stamped / "gateway.yaml").write_text("extends: base.yaml\n")
        (stamped / "base.yaml").write_text(f"{EXTENDS}cors: {{origins: ['https://{origin}.example']}}\n")
    (volume / "..data").symlink_to("..2026_01")
    for name in ("gateway.yaml", "base.yaml"):
        (volume / name).symlink_to(f"..data/{name}")
    async with serving(environ, config=volume / "gateway.yaml", workers=workers) as served:
        (volume / "..data_tmp").symlink_to("..2026_02")
        (volume / "..data_tmp").rename(volume / "..data")
        for path in sorted((volume / "..2026_01").iterdir()):
            path.unlink()
        (volume / "..2026_01").rmdir()
        await taken_up(served, 1, workers)
        assert "https://two.example" in (await served.ask("/config")).body.decode()


@pytest.mark.parametrize("workers", WORKERS)
async def test_a_secret_in_a_file_is_taken_up(environ: dict[str, str], tmp_path: Path, workers: int) -> None:
    """Keys are rotated by changing files: tokens of a key that is still there go on, and no secret is told."""
    keys = [tmp_path / "signing.jwk", tmp_path / "second.jwk"]
    keys[1].write_text(generate(Algorithm.EDDSA))
    config = extended(tmp_path, f"tokens: {{keys: ['${{file:{keys[0]}}}', '${{file:{keys[1]}}}']}}\n")
    async with serving(environ, config=config, workers=workers) as served:
        assert await statuses(served, "/v2/products") == {200}
        first = keys[0].read_text()
        replace(keys[1], generate(Algorithm.ES256))
        await taken_up(served, 1, workers)
        assert said(served.lines, "config_change")[1:] == ["setting: tokens.keys: *** -> ***"]
        assert await statuses(served, "/v2/products") == {200}
        # Now the key that has signed goes as well: its bearers are good no more.
        replace(keys[0], generate(Algorithm.EDDSA))
        await taken_up(served, 2, workers)
        assert await statuses(served, "/v2/products") == {401}
        replace(keys[0], "no key at all")
        await served.logged(outcomes("swapped", "swapped", "refused"))
        assert first not in "".join(served.output)


@pytest.mark.parametrize("workers", WORKERS)
async def test_a_request_keeps_what_it_began_with(
    environ: dict[str, str],
    upstream: Commerce,
    tmp_path: Path,
    unfinished: list[asyncio.Event],
    workers: int,
) -> None:
    """One that waits for the old API has its answer, though its route is gone; the next goes to the new API."""
    config = tmp_path / "gateway.yaml"
    config.write_text(MOLTIN.read_text())
    unfinished.append(asyncio.Event())
    async with (
        Commerce(CanaryShop("canary-upstream-id", UPSTREAM_SECRET)) as other,
        serving(environ, config=config, workers=workers) as served,
        asyncio.TaskGroup() as group,
    ):
        await served.bearer()
        upstream.fault(Fault.SLOW_HEAD, when=at("/v2/products"), gate=unfinished[0])
        waiting = [group.create_task(served.as_public("GET", "/v2/products")) for _ in range(4)]
        await upstream.wait(lambda: len(upstream.requests) == len(waiting))
        text = MOLTIN.read_text().replace("url: ${env:UPSTREAM_URL}", f"url: {other.url}")
        replace(config, text.replace("path: /v2/products,", "path: /v2/goods,"))
        await taken_up(served, 1, workers)
        assert await statuses(served, "/v2/products") == {404}
        assert await statuses(served, "/v2/categories") == {200}
        assert {request.path for request in other.requests} == {"/v2/categories"}
        unfinished[0].set()
        assert {(await one).status for one in waiting} == {200}
        # The connections to the old one go with their last answer.
        await upstream.wait(lambda: not upstream.open_connections)


@pytest.mark.parametrize("workers", WORKERS)
async def test_an_upstream_that_gives_no_bearer_is_not_used(
    environ: dict[str, str], routing: Path, tmp_path: Path, workers: int
) -> None:
    """A file without a fault may name a secret that is none: nobody goes on with it."""
    secret = tmp_path / "secret"
    secret.write_text(UPSTREAM_SECRET)
    credential = "upstream: {credential: {client_secret: '${file:secret}'}}\n"
    replace(routing, EXTENDS + credential)
    async with serving(environ, config=routing, workers=workers) as served:
        replace(secret, "canary-wrong-secret")
        await served.logged(lambda lines: said(lines, "config_reload", "outcome")[:1] == ["refused"])
        assert "upstream.credential" in said(served.lines, "config_fault")[0]
        assert (await served.ask("/ready")).status == 200
        assert await statuses(served, "/v2/products") == {200}
        assert "canary-wrong-secret" not in "".join(served.output)


async def test_a_worker_that_comes_later_begins_with_what_is_in_force(environ: dict[str, str], routing: Path) -> None:
    """Also where the files say something faulty by then."""
    async with serving(environ, config=routing, workers=2) as served:
        replace(routing, EXTENDS + CORS)
        version = await taken_up(served, 1, 2)
        replace(routing, FAULTY)
        await served.logged(outcomes("swapped", "refused"))
        os.kill(children(served.pid)[0], signal.SIGKILL)
        await served.started(3)
        assert in_force(served)[-1] == version
        assert len(in_force(served)) == 5
        # It watches the files as the others do.
        replace(routing, EXTENDS + CORS + "public_url: https://shop.example\n")
        await served.logged(outcomes("swapped", "refused", "swapped"))
        await served.logged(lambda _: len(in_force(served)) == 7)


async def test_a_worker_that_stood_still_follows(environ: dict[str, str], routing: Path) -> None:
    """The others do not wait for one that hangs; it hears of it when it goes on."""
    async with serving(environ, config=routing, workers=2) as served:
        stopped, _ = children(served.pid)
        os.kill(stopped, signal.SIGSTOP)
        replace(routing, EXTENDS + CORS)
        await served.logged(lambda lines: "swapped" in said(lines, "config_reload", "outcome"))
        os.kill(stopped, signal.SIGCONT)
        await served.logged(lambda _: len(in_force(served)) == 4)
        assert len({*in_force(served)[2:]}) == 1


async def test_a_worker_that_dies_while_all_prepare_holds_nobody_up(
    environ: dict[str, str], routing: Path, unfinished: list[asyncio.Event]
) -> None:
    """The others swap without it, and its successor serves by the same."""
    gate = asyncio.Event()
    unfinished.append(gate)
    async with (
        Commerce(CanaryShop("canary-upstream-id", UPSTREAM_SECRET)) as other,
        serving(environ, config=routing, workers=2) as served,
    ):
        other.fault(Fault.SLOW_HEAD, when=at("/oauth/access_token"), gate=gate)
        replace(routing, f"{EXTENDS}upstream: {{url: '{other.url}'}}\n")
        await other.wait(lambda: len(other.token_requests) == 2)
        os.kill(children(served.pid)[0], signal.SIGKILL)
        await served.logged(lambda lines: bool(said(lines, "worker_lost", "why")))
        gate.set()
        await served.logged(outcomes("swapped"))
        await served.started(3)
        await served.logged(lambda _: len(in_force(served)) >= 4)
        await served.logged(lambda _: len({*in_force(served)[-2:]}) == 1)
        assert await statuses(served, "/v2/categories") == {200}
        assert upstream_requests(other) == {"/v2/categories"}


def upstream_requests(commerce: Commerce) -> set[str]:
    """Return what was asked of an upstream."""
    return {request.path for request in commerce.requests}


@pytest.mark.parametrize("workers", WORKERS)
async def test_no_request_fails_while_files_change(environ: dict[str, str], routing: Path, workers: int) -> None:
    """Clients go on all the time, on connections that stay."""
    async with serving(environ, config=routing, workers=workers) as served:
        await served.bearer()
        done, failed = 0, list[int]()
        is_over = asyncio.Event()

        async def ask() -> None:
            nonlocal done
            while not is_over.is_set():
                status = (await served.as_public("GET", "/v2/products")).status
                done += 1
                if status != 200:
                    failed.append(status)

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(ask())
            for number in range(1, 9):
                replace(routing, f"{EXTENDS}cors: {{origins: ['https://app{number}.example']}}\n")
                await taken_up(served, number, workers)
            is_over.set()
        assert failed == []
        assert done > 50
        assert served.errors == []
