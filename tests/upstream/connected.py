"""Connections of the express lane to an upstream that says what a test wants, and a receiver that keeps what comes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.upstream.client import Timeouts
from gateway.upstream.connection import Break, UpstreamConnection
from gateway.upstream.connections import ConnectionPool
from gateway.vocab.messages import Headers
from tests.server.raw import Serve, served

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
TIMES = Timeouts(connect=0.2, first_byte=0.2, idle=0.2, total=0.7)


@dataclass(eq=False)
class Taken:
    """Takes an answer and keeps what it was told."""

    told: list[str] = field(default_factory=list)
    headers: Headers = ()
    body: bytes = b""
    reason: Break | None = None
    is_done: asyncio.Event = field(default_factory=asyncio.Event)

    def answered(self, status: int, headers: Headers) -> None:
        """Keep the head."""
        self.told.append(f"answered {status}")
        self.headers = headers

    def received(self, piece: bytes) -> None:
        """Keep a piece."""
        self.body += piece

    def ended(self) -> None:
        """Keep that it ended."""
        self.told.append("ended")
        self.is_done.set()

    def broken(self, reason: Break) -> None:
        """Keep that it broke."""
        self.told.append(f"broken {reason.name}")
        self.reason = reason
        self.is_done.set()

    def failed(self, error: Exception) -> None:
        """Let the test fail: it has a bug."""
        raise error


@asynccontextmanager
async def pooled(
    serve: Serve, *, most: int = 4, path: str = "", times: Timeouts = TIMES
) -> AsyncIterator[ConnectionPool]:
    """Run a server, and a pool of connections to it."""
    async with served(serve) as url:
        pool = ConnectionPool(url + path, times, most)
        try:
            yield pool
        finally:
            await pool.close()


async def taken(pool: ConnectionPool) -> UpstreamConnection:
    """Take a connection, when there is one."""
    async with asyncio.timeout(5):
        while (connection := pool.take()) is None:  # noqa: ASYNC110 - a pool makes nobody wait
            await asyncio.sleep(0.002)
    return connection


async def asked(pool: ConnectionPool, method: str = "GET", headers: Headers = ()) -> Taken:
    """Ask for something, and return what came when all has come."""
    receiver = Taken()
    (await taken(pool)).send(method, "/a?b=c", headers, receiver)
    async with asyncio.timeout(5):
        await receiver.is_done.wait()
    return receiver


def saying(*answers: bytes, is_kept: bool = True, heads: list[bytes] | None = None) -> Serve:
    """Answer each request of a connection with the next of these, in pieces that come one after the other."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            head = await reader.readuntil(b"\r\n\r\n")
            if heads is not None:
                heads.append(head)
            writer.write(answer)
            await writer.drain()
        if is_kept:
            await reader.read()

    return serve
