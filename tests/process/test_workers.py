"""`--workers`: several processes that look like one gateway."""

import asyncio
import os
import re
import signal

from tests.fakes.commerce import Commerce, Fault, at
from tests.process.processes import Served, children, is_running, left_in, serving


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


async def test_each_worker_serves_and_is_replaced(environ: dict[str, str]) -> None:
    """Each of two workers serves alone while the other is dead, is replaced after a kill, and their counts add up."""
    async with serving(environ, workers=2) as served:
        assert set(await _products(served, 6)) == {200}
        await _until_counted(served, 6)
        first, second = children(served.pid)
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

        workers = children(served.pid)
        assert len(workers) == 2
        served.tell(signal.SIGTERM)
        assert await served.ended() == 0
        assert not [pid for pid in workers if is_running(pid)]
    assert left_in(environ["TMPDIR"]) == []


async def test_workers_drain(environ: dict[str, str], upstream: Commerce) -> None:
    """SIGTERM, however often, lets the request in flight of a worker finish, and the whole ends with exit 0."""
    gate = asyncio.Event()
    upstream.fault(Fault.SLOW_HEAD, when=at("/v2/products"), gate=gate)
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


async def test_sigterm_before_the_workers_are_up(environ: dict[str, str]) -> None:
    """SIGTERM while the workers still start ends all of them with exit 0, and leaves nothing behind."""
    async with serving(environ, workers=3, wait=False) as served:
        async with asyncio.timeout(30):
            # The file system tells nobody; each turn gives the loop to other tasks.
            while not children(served.pid):  # noqa: ASYNC110
                await asyncio.sleep(0)
        workers = children(served.pid)
        served.tell(signal.SIGTERM)
        assert await served.ended() == 0
        assert not [pid for pid in workers if is_running(pid)]
        assert left_in(environ["TMPDIR"]) == []


async def test_workers_that_cannot_start_end_the_whole(environ: dict[str, str]) -> None:
    """A store that cannot be had ends all workers with exit 1, instead of starting them for ever."""
    async with serving(environ | {"GATEWAY_STORE_URL": "sqlite:////proc/store.db"}, workers=2, wait=False) as served:
        assert await served.ended() == 1
        assert served.output == []
    assert {line.split(":")[0] for line in served.errors} == {"the store cannot be used"}
