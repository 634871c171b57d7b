"""A public port of its own over a flow that does what a test says, before an upstream that says what a test wants."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gateway import decision
from gateway.carrying.call import Timeouts
from gateway.carrying.outbox import Outbox
from gateway.carrying.pool import ConnectionPool
from gateway.config.compile import key_ring, snapshot
from gateway.config.load import load
from gateway.decision import Admission, Decided, Later, Ready, Snapshot
from gateway.flow import Flow
from gateway.server.body import ClientTimeouts
from gateway.server.edge import Edge, Serving
from gateway.server.listener import Listener
from gateway.server.peer import Peers
from gateway.vocab.events import Event, Failed, RequestDone
from gateway.vocab.messages import Answer, Body, Caller, CallerKind, Plan, Reply, Request, Target, Trace, Whose
from gateway.vocab.policy import Access
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.client_address import Proxies
from gateway.wiring import clock, now
from tests.gateways import MOLTIN, Site, environment
from tests.server.raw import RawClient, RawReply, Serve, served, until

CANARY = "eyJ-canary-token-in-a-broken-line"
KIB = 1024
MIB = 1024 * KIB
OK = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"data":[]}'
IMAGE = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n"
NOT_THERE = Refusal(Code.RECORD_NOT_FOUND)
DENIED = Refusal(Code.ACCESS_DENIED)
SHORT = ClientTimeouts(idle=0.3)
UPSTREAM_SHORT = Timeouts(connect=0.3, first_byte=0.5, idle=0.5)


def assert_error(reply: RawReply, status: int, code: str) -> None:
    """Check the one shape of every error."""
    assert (reply.status, reply.code) == (status, code)
    (error,) = reply.json()["errors"]
    assert type(error["status"]) is int
    assert error["status"] == status
    assert error["title"]
    assert error["detail"]
    assert reply.values("content-type") == ["application/json"]
    assert len(reply.values("x-request-id")) == 1


def lines_of(site: Site, route: str | None = None) -> list[dict[str, Any]]:
    """Return the access log so far."""
    lines = [line for line in site.log_lines() if line["event"] == "request"]
    return [line for line in lines if route in {None, line["route"]}]


async def done(site: Site, count: int = 1, route: str | None = None) -> list[dict[str, Any]]:
    """Return the access log, of one route if told so, once it has `count` lines."""
    await until(lambda: len(lines_of(site, route)) >= count)
    return lines_of(site, route)


async def request_of(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read one request as an upstream does: its head and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    if length := re.search(rb"(?i)\r\ncontent-length: (\d+)\r\n", head):
        return head, await reader.readexactly(int(length[1]))
    body = b""
    if b"\r\ntransfer-encoding: chunked" in head.lower():
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    return head, body


def answering(*pieces: bytes, is_kept: bool = True) -> Serve:
    """Answer each request with these pieces, each in a packet of its own."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request_of(reader)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.002)
            if not is_kept:
                return

    return serve


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take what comes and say nothing."""
    del writer
    while await reader.read(MIB):
        pass


@dataclass(eq=False)
class Told(Flow):
    """Decides and concludes what a test says; on its own it sends every request upstream and answers `{}`.

    `deciding` may look at the request. `is_open`: the answer is relayed. `reads`: the body is read first; else one is
    streamed where it is announced, up to `limit` bytes. `idle` is the route's own. What is to be raised is
    given as it is.
    """

    decided: Decided | Exception | None = None
    deciding: Callable[[Request, Body], Decided | None] | None = None
    concluded: Reply | Refusal | Later | Exception = field(
        default_factory=lambda: Reply(200, (("content-type", "application/json"),), b"{}")
    )
    rejection: Refusal | Later = field(default_factory=lambda: Refusal(Code.CREDENTIAL_UNAVAILABLE))
    is_open: bool = False
    reads: bool = False
    limit: int | None = None
    idle: float | None = None
    snapshots: list[Snapshot] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    rejected_answers: int = 0

    def decide(self, snapshot: Snapshot, request: Request, body: Body, trace: Trace) -> Decided:
        """Do what was said."""
        del trace
        self.snapshots.append(snapshot)
        self.asked.append(request)
        if isinstance(self.decided, Exception):
            raise self.decided
        decided = self.decided if self.deciding is None else self.deciding(request, body)
        return self.sent(snapshot, request, body) if decided is None else decided

    def sent(self, snapshot: Snapshot, request: Request, body: Body) -> Decided:
        """Send the request upstream, with its body or after it was read."""
        if self.reads and body.expected:

            def go_on(raw: bytes) -> Ready:
                self.bodies.append(raw)
                return self.ready(snapshot, request, raw, uploads=False)

            return decision.when_read(body, MIB, go_on)
        return self.ready(snapshot, request, b"", uploads=body.expected)

    def ready(self, snapshot: Snapshot, request: Request, body: bytes, *, uploads: bool) -> Ready:
        """Give what is to be sent."""
        route = next(route for route in snapshot.routes.routes if route.name == "products")
        if self.limit is not None:
            route = replace(route, stream_limit=self.limit)
        if self.idle is not None:
            route = replace(route, idle_limit=self.idle)
        admission = Admission(Target("/", ()), route, Access(), Caller(CallerKind.PUBLIC), Whose(None))
        plan = Plan(method=request.method, path="/", query=(), asked=(), headers=())
        headers = (("x-request-id", request.id), ("authorization", "Bearer ours"))
        return Ready(admission, plan, request.target, headers, not self.is_open, body, uploads)

    def conclude(self, snapshot: Snapshot, ready: Ready, answer: Answer, trace: Trace) -> Reply | Refusal | Later:
        """Conclude what was said."""
        del snapshot, ready, trace
        self.answers.append(answer)
        if isinstance(self.concluded, Exception):
            raise self.concluded
        return self.concluded

    def rejected(self, ready: Ready) -> Refusal | Later:
        """Count it, and go on as was said."""
        assert ready.headers[-1] == ("authorization", "Bearer ours")
        self.rejected_answers += 1
        return self.rejection


@dataclass(eq=False)
class Stage:
    """A running port, and what it told."""

    flow: Told
    edge: Edge
    pool: ConnectionPool
    listener: Listener
    events: list[Event]

    @property
    def done(self) -> list[RequestDone]:
        """The requests that are done."""
        return [event for event in self.events if isinstance(event, RequestDone)]

    async def finished(self, count: int = 1) -> list[RequestDone]:
        """Wait until so many requests are done, and return them."""
        await until(lambda: len(self.done) >= count)
        return self.done

    async def emptied(self) -> None:
        """Wait until nothing is in flight any more."""
        await asyncio.wait_for(self.edge.drained(), 5)

    @asynccontextmanager
    async def connected(self, source: str = "127.0.0.1") -> AsyncIterator[RawClient]:
        """Connect to it, from another loopback address if told so."""
        host, port, *_ = self.listener.addresses[0]
        reader, writer = await asyncio.open_connection(host, port, limit=65536, local_addr=(source, 0))
        try:
            yield RawClient(reader, writer)
        finally:
            writer.transport.abort()


@lru_cache(maxsize=1)
def moltin() -> Snapshot:
    """Return config/moltin.yaml, compiled once for all."""
    with TemporaryDirectory() as folder:
        config = load(MOLTIN, environment(Path(folder), "http://upstream.example"))
        return snapshot(config, key_ring(config))


@asynccontextmanager
async def stage(
    flow: Told,
    serve: Serve | None = None,
    timeouts: ClientTimeouts = SHORT,
    *,
    keepalive: float = 5.0,
    limits: Timeouts = UPSTREAM_SHORT,
    connections: int = 4,
    half_closed: int | None = None,
    proxies: Proxies | None = None,
    speaks_proxy: bool = False,
) -> AsyncIterator[Stage]:
    """Run a port over a flow, before an upstream that answers `OK` unless `serve` is told otherwise.

    `proxies` are trusted; with `speaks_proxy` they speak the PROXY protocol.
    """
    config = moltin()
    loop = asyncio.get_running_loop()
    events: list[Event] = []
    outbox = Outbox(loop)
    async with served(serve or answering(OK)) as url:
        pool = ConnectionPool(url, limits, connections, outbox)
        peers = Peers(proxies or Proxies(), events.append, speaks_proxy=speaks_proxy)
        serving = Serving(config, flow, {"default": pool}, peers, keepalive, half_closed=half_closed)
        edge = Edge(serving, outbox, events.append, now, clock, timeouts)
        listener = Listener(edge)
        await listener.open("127.0.0.1", 0, shared=False)
        try:
            yield Stage(flow, edge, pool, listener, events)
        finally:
            await listener.close()
            await pool.close()
    # What raises here is a step that the table of states does not allow.
    assert not [event for event in events if isinstance(event, Failed) and event.error.startswith("RuntimeError")]
