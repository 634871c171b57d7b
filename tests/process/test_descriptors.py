"""A flood of connections never uses up the descriptors of the process."""

import asyncio
import re
import resource
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress

import pytest

from tests.process.processes import serving

_LIMIT = 256
_FLOOD = 400


@contextmanager
def _few(limit: int) -> Iterator[None]:
    """Let processes that are started have few descriptors."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_flood_of_connections(environ: dict[str, str], workers: int) -> None:
    """Those beyond the limit are closed and told of; probes and clients that are connected are answered."""
    async with AsyncExitStack() as stack:
        with _few(_LIMIT):
            served = await stack.enter_async_context(serving(environ, workers=workers, afresh=True))
        (note, *_) = [line["detail"] for line in served.lines if line.get("state") == "few descriptors"]
        found = re.search(r"for (\d+) connections of clients", note)
        assert found is not None
        limit = int(found[1])
        await served.as_public("GET", "/v2/products")
        host, _, port = served.public.rpartition(":")
        ends = [await asyncio.open_connection(host, int(port)) for _ in range(_FLOOD)]
        await served.logged(lambda lines: any(line["event"] == "connections_refused" for line in lines))
        assert {line["limit"] for line in served.lines if line["event"] == "connections_refused"} == {limit}
        assert (await served.ask("/live")).status == 200
        async with asyncio.timeout(20):
            while _count((await served.ask("/metrics")).body) < _FLOOD - limit * workers:
                pass
        reached = 0
        for reader, writer in ends:
            with suppress(OSError):
                writer.write(b"GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                reached += (await reader.read()).startswith(b"HTTP/1.1 404 ")
            writer.close()
        assert limit - 5 <= reached <= limit * workers
        # Whoever leaves makes room.
        assert (await served.call("GET", "/none")).status == 404


def _count(metrics: bytes) -> float:
    found = re.search(rb"(?m)^gateway_connections_refused_total (\S+)$", metrics)
    return float(found[1]) if found else 0.0
