"""Upstreams behind a proxy: what it is asked, what opens the way, and that TLS goes through it to the API."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from gateway.carrying.call import Timeouts
from gateway.carrying.outbox import Outbox
from gateway.carrying.pool import ConnectionPool
from gateway.carrying.tunnel import tunnel
from gateway.vocab.refusals import Code
from tests.carrying.certificates import Authority
from tests.carrying.connected import PATIENT, WHOLE, Upstream, asked
from tests.server.raw import served

OPENED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass
class Proxy:
    """Joins connections with a port of this machine, whatever name it is asked for, if it `says` that it does."""

    port: int
    says: bytes = OPENED
    is_silent: bool = False
    heads: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        if self.is_silent:
            await reader.read()
        for letter in b"" if self.is_silent else self.says:
            writer.write(bytes([letter]))
            await writer.drain()
        if not self.is_silent and self.says.startswith(b"HTTP/1.1 2") and self.says.endswith(b"\r\n\r\n"):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))
            finally:
                far_writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def behind(
    proxy: Proxy, host: str, *, scheme: str = "http", user: tuple[str, str] | None = None, times: Timeouts = PATIENT
) -> AsyncIterator[ConnectionPool]:
    """Run a proxy, and a pool that reaches an upstream of this name through it."""
    async with served(proxy) as near:
        way = tunnel(near, *(user or (None, None)))
        url = f"{scheme}://{host}:{proxy.port}/"
        pool = ConnectionPool(url, times, 4, Outbox(asyncio.get_running_loop()), tunnel=way)
        try:
            yield pool
        finally:
            await pool.close()


def port_of(url: str) -> int:
    """Return the port of a server."""
    return int(url.rpartition(":")[2])


async def test_the_proxy_looks_the_name_up() -> None:
    """It is asked for name and port of the API, which need mean nothing here; behind it all is as without."""
    upstream = Upstream()
    async with served(upstream) as url:
        proxy = Proxy(port_of(url))
        async with behind(proxy, "api.invalid") as pool:
            assert (await asked(pool)).told == WHOLE
            assert (await asked(pool)).told == WHOLE
    place = f"api.invalid:{proxy.port}"
    assert proxy.heads == [f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode()]
    assert upstream.heads[0].startswith(b"GET /a?b=c HTTP/1.1\r\nHost: " + place.encode())
    assert b"roxy" not in b"".join(upstream.heads)


async def test_tls_goes_through_it(trusted: Authority) -> None:
    """The proxy sees a name and a port, and the API proves who it is to us."""
    upstream = Upstream()
    async with served(upstream, tls=trusted.context("localhost")) as url:
        proxy = Proxy(port_of(url))
        async with behind(proxy, "localhost", scheme="https") as pool:
            assert (await asked(pool)).told == WHOLE
        async with behind(proxy, "another.invalid", scheme="https") as pool:
            assert (await asked(pool)).refusal is not None
    assert len(upstream.heads) == 1


async def test_who_we_are_is_told_to_the_proxy_alone() -> None:
    """By Basic (RFC 7617), before anything of the upstream's is said."""
    upstream = Upstream()
    async with served(upstream) as url:
        proxy = Proxy(port_of(url))
        async with behind(proxy, "api.invalid", user=("gate", "canary proxy:word")) as pool:
            assert (await asked(pool)).told == WHOLE
    pair = base64.b64encode(b"gate:canary proxy:word")
    assert b"\r\nProxy-Authorization: Basic " + pair + b"\r\n" in proxy.heads[0]
    assert b"uthorization" not in upstream.heads[0]


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n", "the proxy answered 407"),
        (b"HTTP/1.1 502 Bad\r\n\r\n", "the proxy answered 502"),
        (b"HTTP/1.1 302 Found\r\nlocation: http://x/\r\n\r\n", "the proxy answered 302"),
        (b"SSH-2.0-x\r\n\r\n", "the proxy answered no HTTP"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "the proxy answered no HTTP"),
        (b"HTTP/1.1 200 OK\r\n", "the proxy closed the connection"),
        (b"", "the proxy closed the connection"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 20_000, "the proxy answered no head"),
    ],
)
async def test_a_way_that_is_not_opened(says: bytes, reason: str) -> None:
    """Nothing of a request is said to it, and the log knows why."""
    proxy = Proxy(9, says)
    async with behind(proxy, "api.invalid") as pool:
        refusal = (await asked(pool)).refusal
    assert refusal is not None
    assert (refusal.code, refusal.detail) == (Code.UPSTREAM_UNREACHABLE, reason)
    assert all(head.startswith(b"CONNECT ") for head in proxy.heads)


async def test_a_proxy_that_falls_silent_holds_nobody_for_long() -> None:
    """The way is part of the time for a connection."""
    hasty = Timeouts(connect=0.2, first_byte=5, idle=5, total=5)
    async with behind(Proxy(9, is_silent=True), "api.invalid", times=hasty) as pool:
        refusal = (await asked(pool)).refusal
    assert refusal is not None
    # Not a 504, which says that the API was asked.
    assert refusal.code is Code.UPSTREAM_UNREACHABLE
