"""A pool of connections to an upstream that says what a test wants, and a receiver that keeps what comes."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.carrying.call import Call, Carrier, Timeouts, Uploads
from gateway.carrying.connection import UpstreamConnection
from gateway.carrying.outbox import Outbox
from gateway.carrying.pool import ConnectionPool
from gateway.vocab.messages import Headers
from gateway.vocab.refusals import Code, Refusal
from tests.server.raw import Serve, served

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
WHOLE = ["whole 200"]
# Longer than anything takes that does not fail, on a machine that is busy.
PATIENT = Timeouts(connect=5, first_byte=5, idle=5, total=20)
HASTY = Timeouts(connect=5, first_byte=0.2, idle=0.2, total=0.7)
"""For an upstream that falls silent."""
GET = Call("GET", "/a?b=c", ())
POST = Call("POST", "/a?b=c", (), b"{}")
RELAY = Call("GET", "/relay", (), relayed=True)


@dataclass
class Wire:
    """How servers are reached: plain, or through TLS where they have a context for it."""

    tls: ssl.SSLContext | None = None


WIRE = Wire()


@dataclass(eq=False)
class Taken:
    """Takes an answer and keeps what it was told."""

    carrier: Carrier | None = None
    told: list[str] = field(default_factory=list)
    headers: Headers = ()
    body: bytes = b""
    refusal: Refusal | None = None
    uploads: Uploads | None = None
    is_wanted: asyncio.Event = field(default_factory=asyncio.Event)
    is_done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def connection(self) -> UpstreamConnection:
        """The connection that has the call in hand."""
        assert isinstance(self.carrier, UpstreamConnection)
        return self.carrier

    @property
    def code(self) -> Code | None:
        """The code of the refusal that it was told."""
        return None if self.refusal is None else self.refusal.code

    def give_up(self) -> None:
        """Give the call up."""
        assert self.carrier is not None
        self.carrier.close()

    async def done(self) -> "Taken":
        """Return itself when all has come."""
        async with asyncio.timeout(10):
            await self.is_done.wait()
        return self

    def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Keep all of it."""
        self._tell(f"whole {status}")
        self.headers, self.body = headers, body
        self.is_done.set()

    def answered(self, status: int, headers: Headers) -> None:
        """Keep the head."""
        self._tell(f"answered {status}")
        self.headers = headers

    def received(self, piece: bytes) -> None:
        """Keep a piece."""
        self.body += piece

    def ended(self) -> None:
        """Keep that it ended."""
        self._tell("ended")
        self.is_done.set()

    def broken(self, refusal: Refusal) -> None:
        """Keep that it broke."""
        self._tell(f"broken {refusal.code.name}")
        self.refusal = refusal
        self.is_done.set()

    def wanted(self, uploads: Uploads) -> None:
        """Keep where the body is to go."""
        self._tell("wanted")
        self.uploads = uploads
        self.is_wanted.set()

    def failed(self, error: Exception) -> None:
        """Let the test fail: it has a bug."""
        raise error

    def _tell(self, what: str) -> None:
        assert not self.is_done.is_set(), f"{what} behind {self.told}"
        self.told.append(what)


def pool_of(url: str, *, most: int = 4, times: Timeouts = PATIENT, **options: Any) -> ConnectionPool:
    """Make a pool. Whoever makes it closes it."""
    return ConnectionPool(url, times, most, Outbox(asyncio.get_running_loop()), **options)


@asynccontextmanager
async def pooled(
    serve: Serve, *, most: int = 4, path: str = "", times: Timeouts = PATIENT, **options: Any
) -> AsyncIterator[ConnectionPool]:
    """Run a server, and a pool of connections to it."""
    async with served(serve, tls=WIRE.tls) as url:
        pool = pool_of(url + path, most=most, times=times, **options)
        try:
            yield pool
        finally:
            await pool.close()


def sent(pool: ConnectionPool, call: Call = GET) -> Taken:
    """Send a call, and return what takes its answer."""
    receiver = Taken()
    pool.send(call, receiver)
    return receiver


async def asked(pool: ConnectionPool, call: Call = GET) -> Taken:
    """Send a call, and return what came when all has come."""
    return await sent(pool, call).done()


@dataclass(eq=False)
class Upstream:
    """Answers the requests of each connection with one of these after the other; the rest with the last of them.

    `heads` of the requests in the order of their coming; `connections` that were made, and how many of them are `open`.
    While `gate` is not set, answers are held back.
    """

    answers: tuple[bytes, ...] = (OK,)
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most_open: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def targets(self) -> list[str]:
        """What was asked for."""
        return [head.split(b" ")[1].decode() for head in self.heads]

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        self.connections += 1
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        number = 0
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head)
                await self.gate.wait()
                writer.write(self.answers[min(number, len(self.answers) - 1)])
                number += 1
        finally:
            self.open -= 1


def saying(*answers: bytes, is_kept: bool = True, heads: list[bytes] | None = None) -> Serve:
    """Answer each request of a connection with the next of these; keep it open behind the last, or end it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            head = await reader.readuntil(b"\r\n\r\n")
            if heads is not None:
                heads.append(head)
            writer.write(answer)
            await writer.drain()
        if is_kept:
            await reader.read()
        else:
            # In good order: through TLS the end of what is said is said as well.
            writer.close()
            await writer.wait_closed()

    return serve
