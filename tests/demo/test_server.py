"""The demo API as a process of its own."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

FORM = {"grant_type": "client_credentials", "client_id": "the-id", "client_secret": "the-secret"}
PATIENCE = 20.0


@asynccontextmanager
async def demo(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Start the process and give it with its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway.demo", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "DEMO_CLIENT_ID": "the-id", "DEMO_CLIENT_SECRET": "the-secret"},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("demo commerce API on http://127.0.0.1:")
        yield process, line.split()[-1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_serves_with_the_credentials_of_the_environment() -> None:
    """The process answers with links to itself, to a bearer got with the secret from its environment."""
    async with demo() as (_, url), aiohttp.ClientSession() as session:
        async with session.post(f"{url}/oauth/access_token", data=FORM) as reply:
            bearer = (await reply.json())["access_token"]
        headers = {"authorization": f"Bearer {bearer}"}
        async with session.get(f"{url}/v2/orders", headers=headers) as reply:
            assert (await reply.json())["links"]["first"].startswith(f"{url}/v2/orders?")
        async with session.head(f"{url}/v2/products", headers=headers) as reply:
            assert reply.status == 200
            assert int(reply.headers["content-length"]) > 0


async def test_does_not_normalise_the_path() -> None:
    """Dot segments arrive as sent and lead nowhere."""
    async with demo() as (_, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        form = "&".join(f"{name}={value}" for name, value in FORM.items()).encode()
        writer.write(
            b"POST /oauth/access_token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(form), form)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        bearer = json.loads(await reader.readexactly(length))["access_token"]
        target = b"/v2/carts/../orders"
        writer.write(b"GET %b HTTP/1.1\r\nHost: x\r\nAuthorization: %b\r\n\r\n" % (target, bearer.encode()))
        assert (await reader.readline()).split()[1] == b"404"
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_stops_when_told(signum: signal.Signals) -> None:
    """A signal ends the process in order."""
    async with demo() as (process, _), asyncio.timeout(PATIENCE):
        process.send_signal(signum)
        assert await process.wait() == 0


async def test_stops_with_its_parent() -> None:
    """With --exit-with-parent the end of standard input ends the process."""
    async with demo("--exit-with-parent") as (process, _), asyncio.timeout(PATIENCE):
        assert process.stdin is not None
        process.stdin.close()
        assert await process.wait() == 0
