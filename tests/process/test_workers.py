"""`--workers`: several processes that look like one gateway."""

import asyncio
import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from gateway.authn.key import load_key
from gateway.cli.chance import Chance
from gateway.cli.cores import usable
from gateway.cli.demo import config_file
from gateway.config.load import Loaded, load
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import MOLTIN, Answer
from tests.process.processes import Served, children, is_running, left_in, serving
from tests.starting import SCRIPT

PRODUCTS = at("/v2/products")


def _counted(metrics: str) -> float:
    """Add up the requests for products."""
    found = re.findall(r'^gateway_requests_total\{[^}]*route="products"[^}]*\} (\S+)$', metrics, re.MULTILINE)
    return sum(map(float, found))


async def _until_counted(served: Served, number: int) -> str:
    """Ask for the metrics until they count so many requests: a reply leaves a moment before it is counted."""
    async with asyncio.timeout(20):
        while _counted(metrics := (await served.ask("/metrics")).body.decode()) != number:
            pass
    return metrics


async def _products(served: Served, times: int) -> list[int]:
    """Ask so often, each time on a connection of its own."""
    bearer = {"Authorization": f"Bearer {await served.bearer()}", "Connection": "close"}
    return [(await served.call("GET", "/v2/products", headers=bearer)).status for _ in range(times)]


def _connections(pid: int, port: str) -> int:
    """Count the connections of clients that a process holds."""
    held = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            held.add(str(descriptor.readlink()))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    # proc(5): the second field is the local address, the fourth the state (01 is established), the tenth the inode.
    ours = [row for row in rows if row[1].endswith(f":{int(port):04X}") and row[3] == "01"]
    return sum(f"socket:[{row[9]}]" in held for row in ours)


async def _on_each_worker(served: Served, upstream: Commerce, group: asyncio.TaskGroup) -> list[asyncio.Task[Answer]]:
    """Send requests, each on a connection of its own, until each worker has one in flight."""
    bearer = {"Authorization": f"Bearer {await served.bearer()}", "Connection": "close"}
    sent: list[asyncio.Task[Answer]] = []
    port = served.public.rpartition(":")[2]
    while not all(_connections(pid, port) for pid in children(served.pid)) or not sent:
        assert len(sent) < 100
        sent.append(group.create_task(served.call("GET", "/v2/products", headers=bearer)))
        await upstream.wait(lambda: sum(request.path == "/v2/products" for request in upstream.requests) == len(sent))
    return sent


async def _until(served: Served, state: str, workers: int) -> None:
    """Wait until so many workers say that they are in a state, whatever became of the process that started them."""
    async with asyncio.timeout(30):
        # Each turn gives the loop to the reader of the log.
        while served.states().count(state) < workers:  # noqa: ASYNC110
            await asyncio.sleep(0)


@pytest.mark.parametrize("cpus", [1, 2])
async def test_there_is_a_worker_for_each_cpu(environ: dict[str, str], cpus: int) -> None:
    """Without --workers there are as many as CPUs that the process may use; a single one needs no supervisor."""
    allowed = sorted(os.sched_getaffinity(0))[:cpus]
    pinned = f"import os, sys; os.sched_setaffinity(0, {allowed}); os.execv(sys.argv[1], sys.argv[1:])"
    command = [SCRIPT, "serve", "--config", str(MOLTIN), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    wanted = min(len(allowed), usable())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", pinned, *command, env=environ, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(40):
            started = 0
            while started < wanted:
                started += b'"state":"started"' in await process.stdout.readline()
        assert len(children(process.pid)) == (wanted if wanted > 1 else 0)
    finally:
        process.terminate()
        output, _ = await process.communicate()
    assert process.returncode == 0
    assert output.count(b'"state":"stopped"') == wanted


def test_what_is_left_to_chance_is_the_same_for_all_workers(tmp_path: Path) -> None:
    """A signing key and a key of the log that no file names are made up once, before there are workers."""
    environ = {"UPSTREAM_URL": "http://127.0.0.1:1", "GATEWAY_STORE_URL": f"sqlite:///{tmp_path}/store.db"}
    demo = load(config_file(), environ)
    assert (demo.tokens.keys, demo.log.customer_key) == ((), None)
    loaded, chance = Loaded(demo, "0"), Chance()
    first, second = chance.settle(loaded).config, Chance().settle(loaded).config
    (key,) = first.tokens.keys
    assert load_key(key.get_secret_value()).kid != load_key(second.tokens.keys[0].get_secret_value()).kid
    assert first.log.customer_key not in {None, second.log.customer_key}
    assert chance.settle(Loaded(first, "0")).config == first == chance.settle(loaded).config
    left = {"tokens", "log"}
    assert first.model_dump(exclude=left) == demo.model_dump(exclude=left)


async def test_each_worker_serves_and_is_replaced(environ: dict[str, str]) -> None:
    """Each of two workers serves alone while the other is dead, is replaced after a kill, and their counts add up."""
    async with serving(environ, workers=2) as served:
        assert set(await _products(served, 6)) == {200}
        await _until_counted(served, 6)
        first, second = children(served.pid)
        (name,) = left_in(environ["TMPDIR"])
        shared = str(Path(environ["TMPDIR"], name))
        files = set(left_in(shared))
        os.kill(first, signal.SIGKILL)
        await served.logged(lambda _: not is_running(first))
        assert set(await _products(served, 3)) == {200}
        await _until_counted(served, 9)
        await served.started(3)
        assert second in children(served.pid)
        os.kill(second, signal.SIGKILL)
        await served.logged(lambda _: not is_running(second))
        assert set(await _products(served, 3)) == {200}
        await served.started(4)
        assert "gateway_credential_expiry_seconds" in await _until_counted(served, 12)
        # The new ones count on where the dead ended: however often workers die, there is no more to add up.
        assert set(left_in(shared)) <= files

        workers = children(served.pid)
        assert len(workers) == 2
        served.tell(signal.SIGTERM)
        assert await served.ended() == 0
        assert not [pid for pid in workers if is_running(pid)]
    assert left_in(environ["TMPDIR"]) == []


async def test_workers_drain(environ: dict[str, str], upstream: Commerce) -> None:
    """SIGTERM, however often, lets the request in flight of a worker finish, and the whole ends with exit 0."""
    gate = asyncio.Event()
    upstream.fault(Fault.SLOW_HEAD, when=PRODUCTS, gate=gate)
    async with serving(environ, workers=2) as served:
        await served.bearer()
        async with asyncio.TaskGroup() as group:
            slow = group.create_task(served.as_public("GET", "/v2/products"))
            await upstream.wait(lambda: any(request.path == "/v2/products" for request in upstream.requests))
            served.tell(signal.SIGTERM)
            await served.logged(lambda _: served.states().count("draining") == 2)
            # One worker is gone by then: the second signal must not stumble over it.
            await served.logged(lambda _: "stopped" in served.states())
            for _ in range(2):
                served.tell(signal.SIGTERM)
            assert (await served.ask("/ready")).status == 503
            gate.set()
        assert (slow.result().status, slow.result().headers["Connection"]) == (200, "close")
        assert await served.ended() == 0


async def test_counts_never_go_back(environ: dict[str, str]) -> None:
    """While a worker is dead and replaced, no number of requests that a scraper sees is lower than one before."""
    async with serving(environ, workers=2) as served:
        await _products(served, 8)
        seen = [_counted(await _until_counted(served, 8))]
        for killed in children(served.pid):
            before = served.states().count("started")
            os.kill(killed, signal.SIGKILL)
            while served.states().count("started") == before:
                # Each scrape may come to a dead worker's queue of connections.
                with suppress(aiohttp.ClientError):
                    seen.append(_counted((await served.ask("/metrics")).body.decode()))
        assert set(seen) == {8}


async def test_every_worker_drains(environ: dict[str, str], upstream: Commerce) -> None:
    """SIGTERM lets requests in flight finish on each of the workers."""
    gate = asyncio.Event()
    upstream.fault(Fault.SLOW_HEAD, when=PRODUCTS, gate=gate)
    async with serving(environ, workers=2) as served:
        async with asyncio.TaskGroup() as group:
            sent = await _on_each_worker(served, upstream, group)
            served.tell(signal.SIGTERM)
            await served.logged(lambda _: served.states().count("draining") == 2)
            assert "stopped" not in served.states()
            gate.set()
        assert {task.result().status for task in sent} == {200}
        assert await served.ended() == 0
        assert served.states().count("stopped") == 2
        assert sum(line.get("route") == "products" for line in served.lines) == len(sent)


async def test_workers_do_not_outlive_their_supervisor(environ: dict[str, str], upstream: Commerce) -> None:
    """When the supervisor is killed, its workers finish what is in flight and end."""
    gate = asyncio.Event()
    upstream.fault(Fault.SLOW_HEAD, when=PRODUCTS, gate=gate)
    async with serving(environ, workers=2) as served:
        async with asyncio.TaskGroup() as group:
            sent = await _on_each_worker(served, upstream, group)
            served.tell(signal.SIGKILL)
            await _until(served, "draining", 2)
            assert "stopped" not in served.states()
            gate.set()
        assert {task.result().status for task in sent} == {200}
        await _until(served, "stopped", 2)
        assert sum(line.get("route") == "products" for line in served.lines) == len(sent)


async def test_sigterm_before_the_workers_are_up(environ: dict[str, str]) -> None:
    """SIGTERM while the workers still start ends all of them with exit 0, and leaves nothing behind."""
    async with serving(environ, workers=3, wait=False, afresh=True) as served:
        async with asyncio.timeout(30):
            # The file system tells nobody; each turn gives the loop to other tasks.
            while not children(served.pid):  # noqa: ASYNC110
                await asyncio.sleep(0)
        workers = children(served.pid)
        served.tell(signal.SIGTERM)
        assert await served.ended() == 0
        assert not [pid for pid in workers if is_running(pid)]
        assert left_in(environ["TMPDIR"]) == []


async def test_numbers_are_shared_in_memory(environ: dict[str, str]) -> None:
    """Without a folder for temporary files that somebody chose, the numbers touch no disk, and are gone at the end."""
    del environ["TMPDIR"]
    async with serving(environ, workers=2) as served:
        maps = Path(f"/proc/{children(served.pid)[0]}/maps").read_text()  # noqa: ASYNC240 - no disk is asked
        found = re.search(r"/dev/shm/gateway-metrics-\w+(?=/counter_0.db)", maps)  # noqa: S108 - only looked for
        assert found is not None
        assert "counter_1.db" in left_in(found[0])
        served.tell(signal.SIGTERM)
        assert await served.ended() == 0
    assert not os.access(found[0], os.F_OK)


async def test_workers_that_cannot_start_end_the_whole(environ: dict[str, str]) -> None:
    """A store that cannot be had is told of once and ends the whole with exit 1, instead of workers without end."""
    async with serving(environ | {"GATEWAY_STORE_URL": "sqlite:////proc/store.db"}, workers=2, wait=False) as served:
        assert await served.ended() == 1
        assert served.output == []
    assert [line.split(":")[0] for line in served.errors] == ["the store cannot be used"]
