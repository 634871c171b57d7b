"""Standard streams as operators leave them: closed, or read by nobody."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest

from tests.gateways import MOLTIN
from tests.starting import PATIENCE, SCRIPT


def free_port() -> int:
    """Return a port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@asynccontextmanager
async def silent(
    environ: dict[str, str], redirections: str, workers: int
) -> AsyncIterator[tuple[asyncio.subprocess.Process, aiohttp.ClientSession, str, str]]:
    """Run a gateway of which nothing is read; yields it when it is ready, with its public and its admin address."""
    public, admin = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    reader, writer = os.pipe()
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        f'exec "$@" {redirections}',
        "sh",
        *(SCRIPT, "serve", "--config", str(MOLTIN), "--listen", public, "--admin", admin, "--workers", str(workers)),
        env=environ,
        stdout=writer,
        stderr=writer,
    )
    os.close(writer)
    async with aiohttp.ClientSession() as session:
        try:
            async with asyncio.timeout(PATIENCE):
                while not await _is_ready(session, admin):
                    assert process.returncode is None
            yield process, session, public, admin
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            os.close(reader)


async def _is_ready(session: aiohttp.ClientSession, admin: str) -> bool:
    try:
        async with session.get(f"http://{admin}/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        await asyncio.sleep(0.05)
        return False


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_log_that_nobody_reads_stops_nothing(environ: dict[str, str], workers: int) -> None:
    """Behind a stuck collector of logs every request is answered, and the process ends when it is told to."""
    async with silent(environ, "", workers) as (process, session, public, admin):
        for _ in range(600):
            async with session.get(f"http://{public}/no/such/route/" + "x" * 100) as answer:
                assert answer.status in {401, 404}
        async with session.get(f"http://{admin}/live") as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
async def test_closed_streams_are_no_fault(environ: dict[str, str], closed: str) -> None:
    """Some supervisors start their children without standard streams: nothing of the gateway takes their numbers."""
    async with silent(environ, closed, 1) as (process, session, public, _):
        async with session.get(f"http://{public}/nothing") as answer:
            assert answer.status in {401, 404}
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
