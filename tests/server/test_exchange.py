"""One request of the express lane between a client and an upstream, under a flow that does what a test says."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from gateway.config.compile import key_ring, snapshot
from gateway.config.load import load
from gateway.flow import Admission, Flow, Later, Ready, Snapshot
from gateway.guard.core import Received
from gateway.server.body import Patience
from gateway.server.connection import GatewayServer
from gateway.server.edge import Edge
from gateway.server.express import ExpressProtocol
from gateway.upstream.client import Timeouts
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.connections import ConnectionPool
from gateway.vocab.events import Event, Failed, RequestDone
from gateway.vocab.messages import Body, Caller, CallerKind, Plan, Reply, Request, Target, Trace, Whose
from gateway.vocab.policy import Access
from gateway.vocab.refusals import Code, Refusal
from tests.gateways import MOLTIN, environment
from tests.server.raw import RawClient, Serve, served, until
from tests.server.stage import assert_error

OK = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"data":[]}'
LARGE = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 50000000\r\n\r\n" + bytes(50_000_000)
MIB = 1024 * 1024

SHORT = Patience(idle=0.3)
Outcome = Reply | Refusal | Exception | Later


@dataclass(eq=False)
class Told(Flow):
    """Decides and concludes as a test says; the standard lane answers 204 with a mark."""

    concluded: Outcome = field(default_factory=lambda: Reply(200, (("content-type", "application/json"),), b"{}"))
    decided: Reply | Refusal | Exception | None = None
    is_open: bool = False
    method: str = "GET"
    answers: list[Received] = field(default_factory=list)
    rejected: int = 0

    def decide(self, snapshot: Snapshot, request: Request, trace: Trace) -> Ready | Reply | Refusal | None:
        """Send every request upstream, or do what was said."""
        del trace
        if isinstance(self.decided, Exception):
            raise self.decided
        if self.decided is not None:
            return self.decided
        route = next(route for route in snapshot.routes.routes if route.name == "products")
        admission = Admission(Target("/", ()), route, Access(), Caller(CallerKind.PUBLIC), Whose(None))
        plan = Plan(method=self.method, path="/", query=(), asked=(), headers=())
        headers = (("x-request-id", request.id), ("authorization", "Bearer ours"))
        return Ready(admission, plan, request.target, headers, not self.is_open)

    def conclude(self, snapshot: Snapshot, ready: Ready, answer: Received, trace: Trace) -> Reply | Refusal | Later:
        """Conclude what was said."""
        del snapshot, ready, trace
        self.answers.append(answer)
        if isinstance(self.concluded, Exception):
            raise self.concluded
        return self.concluded

    def reject_credential(self, ready: Ready) -> None:
        """Count it."""
        assert ready.headers[-1] == ("authorization", "Bearer ours")
        self.rejected += 1

    async def handle(self, snapshot: Snapshot, request: Request, body: Body, trace: Trace) -> Reply | Refusal:
        """Stand for the standard lane."""
        del snapshot, request, body, trace
        return Reply(204, (("x-standard", "1"),))


@dataclass(eq=False)
class Stage:
    """A running edge, and what it told."""

    edge: Edge
    address: tuple[str, int]
    events: list[Event]

    @property
    def done(self) -> list[RequestDone]:
        """The requests that are done."""
        return [event for event in self.events if isinstance(event, RequestDone)]

    async def finished(self) -> None:
        """Wait until a request is done."""
        await until(lambda: len(self.done) == 1)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[RawClient]:
        """Connect to it."""
        reader, writer = await asyncio.open_connection(*self.address, limit=65536)
        try:
            yield RawClient(reader, writer)
        finally:
            writer.transport.abort()


@asynccontextmanager
async def stage(flow: Told, serve: Serve, folder: Path, patience: Patience = SHORT) -> AsyncIterator[Stage]:
    """Run an edge with the express lane over a flow, before an upstream, with a connection in the pool."""
    config = load(MOLTIN, environment(folder, "http://upstream.example"))
    compiled = snapshot(config, key_ring(config))
    clock = asyncio.get_running_loop().time
    events: list[Event] = []
    edge = Edge(flow, lambda: compiled, events.append, clock, clock, patience)
    async with served(serve) as url:
        pool = ConnectionPool(url, Timeouts(connect=0.2, first_byte=0.3, idle=0.3), 4)
        pool.open()
        protocol = partial(ExpressProtocol, flow=flow, pool=pool)
        runner = web.ServerRunner(
            GatewayServer(edge, keepalive_timeout=5, make_protocol=protocol), handle_signals=False
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with asyncio.timeout(5):
                while (connection := pool.take()) is None:  # noqa: ASYNC110 - a pool makes nobody wait
                    await asyncio.sleep(0.002)
            connection.rest()
            yield Stage(edge, runner.addresses[0][:2], events)
        finally:
            await runner.cleanup()
            await pool.close()


def saying(*pieces: bytes, is_kept: bool = True) -> Serve:
    """Answer each request with these pieces."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.002)
            if not is_kept:
                return

    return serve


async def test_a_reply(tmp_path: Path) -> None:
    """The answer is concluded whole, and one line is told of it."""
    flow = Told(concluded=Reply(201, (("x-a", "b"), ("content-type", "text/plain")), b"text"))
    async with stage(flow, saying(OK[:30], OK[30:-3], OK[-3:]), tmp_path) as run, run.connected() as client:
        client.ask("GET", "/a")
        reply = await client.reply()
        assert (reply.status, reply.body, reply.values("x-a")) == (201, b"text", ["b"])
        (done,) = run.done
        assert (done.status, done.bytes_sent, done.aborted) == (
            201,
            4,
            False,
        )
        assert (done.trace.lane, done.trace.upstream_calls) == ("express", 1)
    assert flow.answers == [Received(200, (("content-type", "application/json"), ("content-length", "11")), OK[-11:])]


async def test_a_bug_is_answered(tmp_path: Path) -> None:
    """A decision that raises is a 500 and an event, and the connection goes on."""
    for flow in (Told(decided=ValueError("secret")), Told(concluded=ValueError("secret"))):
        async with stage(flow, saying(OK), tmp_path) as run, run.connected() as client:
            for _ in range(2):
                client.ask("GET", "/a")
                assert_error(await client.reply(), 500, "INTERNAL")
            assert len([event for event in run.events if isinstance(event, Failed)]) == 2
            assert [done.status for done in run.done] == [500, 500]
            await asyncio.wait_for(run.edge.drained(), 1)


@pytest.mark.parametrize("value", ["a\r\nset-cookie: b=c", "a\nb", "a\rb"])
async def test_no_value_ends_its_line(tmp_path: Path, value: str) -> None:
    """A reply that would be split is not written."""
    for flow in (
        Told(concluded=Reply(200, (("x-a", value),), b"{}")),
        Told(decided=Reply(200, (("x-a", value),), b"{}")),
    ):
        async with stage(flow, saying(OK), tmp_path) as run, run.connected() as client:
            client.ask("GET", "/a")
            client.ask("GET", "/b")
            for _ in range(2):
                reply = await client.reply()
                assert_error(reply, 500, "INTERNAL")
                assert not reply.values("set-cookie")
            await asyncio.wait_for(run.edge.drained(), 1)
            failed = [event.request_id for event in run.events if isinstance(event, Failed)]
            assert failed == [done.id for done in run.done]
            assert len(failed) == 2


async def test_a_reply_that_comes_later(tmp_path: Path) -> None:
    """A conclusion may wait; the next request waits with it, and a client that leaves ends it."""
    gate, begun, cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def later() -> Reply:
        begun.set()
        try:
            await gate.wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return Reply(200, (), b"later")

    async with stage(Told(concluded=later), saying(OK), tmp_path) as run:
        async with run.connected() as client:
            client.ask("GET", "/a")
            await asyncio.wait_for(begun.wait(), 5)
            client.leave()
            await asyncio.wait_for(cancelled.wait(), 5)
        await until(lambda: len(run.done) == 1)
        assert (run.done[0].status, run.done[0].aborted) == (499, True)
        async with run.connected() as client:
            client.ask("GET", "/a")
            client.ask("GET", "/b")
            gate.set()
            assert [(await client.reply()).body for _ in range(2)] == [b"later", b"later"]
        await asyncio.wait_for(run.edge.drained(), 1)


async def test_a_later_bug_is_answered(tmp_path: Path) -> None:
    """A conclusion that fails after a wait is a 500 too."""

    async def later() -> Reply:
        await asyncio.sleep(0)
        raise ValueError("secret")

    async with stage(Told(concluded=later), saying(OK), tmp_path) as run, run.connected() as client:
        client.ask("GET", "/a")
        assert_error(await client.reply(), 500, "INTERNAL")
        await asyncio.wait_for(run.edge.drained(), 1)


async def test_a_rejected_bearer(tmp_path: Path) -> None:
    """A 401 doubts the bearer, and the standard lane has the request."""
    flow = Told()
    async with stage(flow, saying(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n"), tmp_path) as run:
        async with run.connected() as client:
            client.ask("GET", "/a")
            assert (await client.reply()).values("x-standard") == ["1"]
        assert flow.rejected == 1
        assert [done.trace.lane for done in run.done] == ["standard"]
        await asyncio.wait_for(run.edge.drained(), 1)


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        pytest.param((), 204, id="before a byte"),
        pytest.param((b"garbage",), 204, id="no HTTP"),
        pytest.param((b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"zz\r\n"), 204, id="turns odd"),
        pytest.param((OK[:20],), 502, id="within the head"),
        pytest.param((OK[:-1],), 502, id="within the body"),
        pytest.param((b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n",), 502, id="announced too large"),
    ],
)
async def test_an_answer_that_is_none(tmp_path: Path, pieces: tuple[bytes, ...], status: int) -> None:
    """Nothing had come or it was odd: the standard lane asks again. It broke off: 502."""
    async with stage(Told(), saying(*pieces, is_kept=False), tmp_path) as run, run.connected() as client:
        client.ask("GET", "/a")
        reply = await client.reply()
        assert reply.status == status
        assert not reply.ends
        await asyncio.wait_for(run.edge.drained(), 1)
        assert len(run.done) == 1


async def test_a_relayed_answer_breaks_off(tmp_path: Path) -> None:
    """What has begun can only be broken off, so that nobody takes it for whole."""
    said = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n"
    for head in (said, said.replace(b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\n5\r\n")):
        flow = Told(is_open=True)
        cut = (head.replace(b"200 OK", b"200 OK\r\ncontent-length: 9") if head == said else head, b"abcde")
        async with stage(flow, saying(*cut, is_kept=False), tmp_path) as run, run.connected() as client:
            client.ask("GET", "/a")
            assert (await client.head())[0] == 200
            with pytest.raises(ConnectionResetError):
                await client.reader.read()
            await run.finished()
            assert (run.done[0].status, run.done[0].aborted) == (200, True)
            await asyncio.wait_for(run.edge.drained(), 1)


async def test_a_reader_that_stops(tmp_path: Path) -> None:
    """A client that takes nothing is broken off after its time, whether the reply is relayed or whole."""
    whole = Told(concluded=Reply(200, (), bytes(20 * MIB)))
    for flow, serve in ((Told(is_open=True), saying(LARGE)), (whole, saying(OK))):
        patience = Patience(idle=-1279.8) if flow is whole else Patience(idle=0.2)
        async with stage(flow, serve, tmp_path, patience) as run, run.connected() as client:
            client.ask("GET", "/a")
            await run.finished()
            assert (run.done[0].status, run.done[0].aborted) == (200, True)
            await asyncio.wait_for(run.edge.drained(), 1)


async def test_a_reply_is_done_when_it_was_taken(tmp_path: Path) -> None:
    """The next request begins when the client has taken enough of the reply before."""
    flow = Told(concluded=Reply(200, (), bytes(8 * MIB)))
    async with stage(flow, saying(OK), tmp_path) as run, run.connected() as client:
        client.ask("GET", "/a")
        client.ask("GET", "/b")
        await until(lambda: len(flow.answers) == 1)
        for _ in range(20):
            await asyncio.sleep(0)
        assert (len(flow.answers), run.done) == (1, [])
        assert [len((await client.reply()).body) for _ in range(2)] == [8 * MIB, 8 * MIB]
        await until(lambda: len(run.done) == 2)


async def test_an_empty_relayed_answer(tmp_path: Path) -> None:
    """No answer that old clients could stand: an error, or 204 for DELETE."""
    said = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n"
    async with stage(Told(is_open=True), saying(said), tmp_path) as run, run.connected() as client:
        client.ask("GET", "/a")
        assert_error(await client.reply(), 502, "UPSTREAM_INVALID")
        client.ask("DELETE", "/a")
        reply = await client.reply()
        assert (reply.status, reply.values("content-length")) == (204, [])
        assert len(run.done) == 2


async def test_an_error_of_an_open_route(tmp_path: Path) -> None:
    """Its messages leave in the envelope of every error."""
    body = json.dumps({"errors": [{"status": 422, "title": "No", "detail": "a value"}]}).encode()
    said = b"HTTP/1.1 422 No\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    async with stage(Told(is_open=True), saying(said), tmp_path) as run, run.connected() as client:
        client.ask("GET", "/a")
        reply = await client.reply()
        assert (reply.status, reply.json()["errors"][0]["detail"]) == (422, "a value")
        assert run.done[0].status == 422


async def test_a_refusal_needs_no_upstream(tmp_path: Path) -> None:
    """A request that is refused is answered at once, and counted."""
    async with stage(Told(decided=Refusal(Code.ROUTE_UNKNOWN)), saying(), tmp_path) as run, run.connected() as client:
        client.ask("HEAD", "/a")
        client.ask("GET", "/a")
        head = await client.reply(to_head=True)
        reply = await client.reply()
        assert head.values("content-length") == reply.values("content-length")
        assert_error(reply, 404, "ROUTE_UNKNOWN")
        assert [(done.status, done.bytes_sent, done.trace.code) for done in run.done] == [
            (404, 0, "ROUTE_UNKNOWN"),
            (404, len(reply.body), "ROUTE_UNKNOWN"),
        ]


async def test_a_drain_waits_for_what_is_between_the_lanes(tmp_path: Path) -> None:
    """A request that the express lane hands over is in flight all the time, until it is answered or its client goes."""
    gate, begun = asyncio.Event(), asyncio.Event()

    class Slow(Told):
        async def handle(self, snapshot: Snapshot, request: Request, body: Body, trace: Trace) -> Reply | Refusal:
            begun.set()
            await gate.wait()
            return await super().handle(snapshot, request, body, trace)

    asked, closing = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await closing.wait()

    async with stage(Slow(), serve, tmp_path) as run, asyncio.TaskGroup() as group:
        async with run.connected() as client:
            client.ask("GET", "/a")
            await asyncio.wait_for(asked.wait(), 5)
            drained = group.create_task(run.edge.drained())
            closing.set()
            await asyncio.wait_for(begun.wait(), 5)
            assert not drained.done()
            gate.set()
            assert (await client.reply()).values("x-standard") == ["1"]
            await asyncio.wait_for(drained, 1)
        gate.clear()
        begun.clear()
        async with run.connected() as client:
            client.ask("GET", "/a")
            await asyncio.wait_for(begun.wait(), 5)
        await asyncio.wait_for(run.edge.drained(), 1)


class Wire(asyncio.Transport):
    """A transport that keeps what is written, holds as much of it back as a test says, and can be closing."""

    def __init__(self) -> None:
        self.near, self._far = socket.socketpair()
        super().__init__({"socket": self.near})
        self.written = bytearray()
        self.pauses: list[str] = []
        self.waiting = 0
        self.is_ending = False
        self.is_aborted = False

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Keep it."""
        for data in list_of_data:
            self.written += data

    def write(self, data: Any) -> None:
        """Keep it."""
        self.writelines([data])

    def get_write_buffer_size(self) -> int:
        """Tell what a test says."""
        return self.waiting

    def is_closing(self) -> bool:
        """Tell what a test says."""
        return self.is_ending

    def pause_reading(self) -> None:
        """Keep that no more is taken."""
        self.pauses.append("pause")

    def resume_reading(self) -> None:
        """Keep that it is taken again."""
        self.pauses.append("resume")

    def abort(self) -> None:
        """End."""
        self.is_ending = self.is_aborted = True

    def close(self) -> None:
        """End, behind what waits."""
        self.is_ending = True

    def let_go(self) -> None:
        """Close the sockets."""
        self.near.close()
        self._far.close()


@dataclass(eq=False)
class Wired:
    """The lane between two transports, with a request of the client on its way."""

    protocol: ExpressProtocol
    connection: UpstreamConnection
    client: Wire
    upstream: Wire
    events: list[Event]
    edge: Edge


@asynccontextmanager
async def wired(flow: Told, folder: Path, keepalive: float = 5) -> AsyncIterator[Wired]:
    """Have a client ask, and the question sent."""
    config = load(MOLTIN, environment(folder, "http://upstream.example"))
    compiled = snapshot(config, key_ring(config))
    clock = asyncio.get_running_loop().time
    events: list[Event] = []
    edge = Edge(flow, lambda: compiled, events.append, clock, clock, SHORT)
    pool = ConnectionPool("http://upstream.example", Timeouts(), 4)
    client, upstream = Wire(), Wire()
    connection = UpstreamConnection(pool, Timeouts())
    connection.connection_made(upstream)
    connection.rest()
    lane = partial(ExpressProtocol, flow=flow, pool=pool)
    server = GatewayServer(edge, keepalive_timeout=keepalive, make_protocol=lane)
    protocol = cast("ExpressProtocol", server())
    protocol.connection_made(client)
    await asyncio.sleep(0)
    protocol.data_received(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(0)
    assert upstream.written.startswith(b"GET /a HTTP/1.1")
    try:
        yield Wired(protocol, connection, client, upstream, events, edge)
    finally:
        protocol.connection_lost(None)
        connection.connection_lost(None)
        for wire in (client, upstream):
            wire.let_go()
        await server.shutdown(0)


async def test_little_waits_for_the_end_of_a_turn(tmp_path: Path) -> None:
    """Much that comes in one turn is written in it, so that a slow client stops the upstream before all has come."""
    async with wired(Told(is_open=True), tmp_path) as run:
        run.connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 5000000\r\n\r\n")
        taken = 0
        while not run.client.written:
            run.connection.data_received(bytes(100_000))
            taken += 100_000
            assert taken <= 400_000
        run.protocol.pause_writing()
        assert run.upstream.pauses == ["pause"]
        run.protocol.resume_writing()
        assert run.upstream.pauses == ["pause", "resume"]
        while taken < 5_000_000:
            run.connection.data_received(bytes(100_000))
            taken += 100_000
        await asyncio.sleep(0)
        assert len(run.client.written.partition(b"\r\n\r\n")[2]) == 5_000_000
        assert [event.status for event in run.events if isinstance(event, RequestDone)] == [200]


@pytest.mark.parametrize("waiting", [0, 30_000])
async def test_a_client_that_says_no_more(tmp_path: Path, waiting: int) -> None:
    """While a reply before waits in a closing connection this one is written behind it; else nobody is there."""
    async with wired(Told(), tmp_path) as run:
        run.client.is_ending, run.client.waiting = True, waiting
        run.connection.data_received(OK)
        await asyncio.sleep(0)
        done = [event.aborted for event in run.events if isinstance(event, RequestDone)]
        assert (bool(run.client.written), done) == ((True, [False]) if waiting else (False, []))
        run.protocol.connection_lost(None)
        await asyncio.wait_for(run.edge.drained(), 1)
        assert len([event for event in run.events if isinstance(event, RequestDone)]) == 1


async def test_what_was_passed_on_leaves_before_the_end(tmp_path: Path) -> None:
    """An answer that breaks off in the turn in which it came was passed on up to there."""
    async with wired(Told(is_open=True), tmp_path) as run:
        run.connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 9\r\n\r\nabc")
        run.connection.connection_lost(None)
        assert run.client.written.endswith(b"\r\n\r\nabc")
        assert run.client.is_ending


@pytest.mark.parametrize("waiting", [0, 30_000])
async def test_an_idle_client_that_has_not_taken_its_reply(tmp_path: Path, waiting: int) -> None:
    """When its time is over it is not waited for any more; one that has taken everything is told goodbye."""
    async with wired(Told(), tmp_path, keepalive=0.05) as run:
        run.connection.data_received(OK)
        run.client.waiting = waiting
        await until(run.client.is_closing)
        assert run.client.is_aborted == bool(waiting)
