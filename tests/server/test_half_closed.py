"""Clients that close their sending side have their answers; those that have gone with it hold nothing for long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from gateway.carrying.call import Timeouts
from gateway.server.body import ClientTimeouts
from gateway.server.connection import ClientConnection
from gateway.server.half_closed import HalfClosed
from gateway.vocab.messages import Body, Reply, Request
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import site as run_site
from tests.server.raw import RawClient, connected, until
from tests.server.stage import IMAGE, MIB, OK, Stage, Told, assert_error, done, silent, stage

EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PRODUCTS = "/v2/products"
PATIENT = Timeouts()


class Gated:
    """An upstream that answers when its gate is opened; `asked` counts requests, `open` its connections."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces or (OK,)
        self.gate = asyncio.Event()
        self.asked = 0
        self.open = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        self.open += 1
        due = asyncio.Semaphore(0)
        answering = asyncio.ensure_future(self._answer(due, writer))
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.asked += 1
                due.release()
        finally:
            self.open -= 1
            answering.cancel()

    async def _answer(self, due: asyncio.Semaphore, writer: asyncio.StreamWriter) -> None:
        while True:
            await due.acquire()
            await self.gate.wait()
            for piece in self.pieces:
                writer.write(piece)
                await writer.drain()


@asynccontextmanager
async def waiting(
    upstream: Gated, *, is_open: bool = True, half_closed: int | None = None
) -> AsyncIterator[tuple[Stage, RawClient]]:
    """Have a client that has asked, and says no more, wait for the upstream."""
    flow = Told(is_open=is_open)
    async with (
        stage(flow, upstream, ClientTimeouts(), limits=PATIENT, half_closed=half_closed) as run,
        run.connected() as client,
    ):
        client.ask("GET", "/a")
        await until(lambda: upstream.asked == 1)
        client.writer.write_eof()
        yield run, client


@pytest.mark.parametrize("is_open", [True, False])
async def test_it_has_its_answer(is_open: bool) -> None:  # noqa: FBT001 - a case
    """The whole of it, which says that it is the last, and its end; nothing is taken for aborted."""
    upstream = Gated()
    async with waiting(upstream, is_open=is_open) as (run, client):
        await asyncio.sleep(0.1)
        upstream.gate.set()
        reply = await client.reply()
        assert (reply.status, reply.body, reply.ends) == (200, b'{"data":[]}' if is_open else b"{}", True)
        assert await client.rest() == b""
        (event,) = await run.finished()
        assert (event.status, event.aborted) == (200, False)
        await run.emptied()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_end_may_come_with_the_request(method: str) -> None:
    """Whether it is seen with the request, or a moment later, makes no difference: it is asked once, and answered."""
    body = b"{}" if method == "POST" else b""
    upstream = Gated()
    upstream.gate.set()
    async with stage(Told(is_open=True), upstream) as run:
        for pause in (0.0, 0.02):
            async with run.connected() as client:
                client.ask(method, "/a", body=body)
                await asyncio.sleep(pause)
                client.writer.write_eof()
                assert (await client.reply()).status == 200
                assert await client.rest() == b""
        assert (upstream.asked, [event.status for event in run.done]) == (2, [200, 200])


async def test_what_waits_for_something_is_answered() -> None:
    """Where a decision takes time its reply comes all the same."""
    gate = asyncio.Event()

    async def later() -> Reply:
        await gate.wait()
        return Reply(204)

    async with stage(Told(decided=later), limits=PATIENT) as run, run.connected() as client:
        client.ask("GET", "/a")
        await until(lambda: bool(run.flow.asked))
        client.writer.write_eof()
        await asyncio.sleep(0.1)
        gate.set()
        assert (await client.reply()).status == 204
        assert await client.rest() == b""


async def test_what_was_sent_ahead_is_answered() -> None:
    """All that was read whole is answered, the last of it says that it is; what is cut in the middle is refused."""
    asked: list[str] = []

    def deciding(request: Request, body: Body) -> None:
        del body
        asked.append(request.target)

    upstream = Gated()
    async with stage(Told(deciding=deciding, is_open=True), upstream, limits=PATIENT) as run:
        for cut in (False, True):
            upstream.gate.clear()
            async with run.connected() as client:
                for number in range(3):
                    client.ask("GET", f"/{number}")
                if cut:
                    client.ask("POST", "/cut", "Content-Length: 10")
                    client.send("half")
                client.writer.write_eof()
                await until(lambda: bool(asked))
                await asyncio.sleep(0.05)
                upstream.gate.set()
                replies = [await client.reply() for _ in range(4 if cut else 3)]
                assert [reply.status for reply in replies[:3]] == [200] * 3
                assert [reply.ends for reply in replies] == [False] * (len(replies) - 1) + [True]
                if cut:
                    assert_error(replies[3], 400, "REQUEST_MALFORMED")
                assert await client.rest() == b""
        await run.emptied()


async def test_nothing_is_waited_for_behind_the_last_word() -> None:
    """What it has sent ahead and cannot be read is refused, and then there is nothing to linger for."""
    upstream = Gated()
    patient = ClientTimeouts(linger=60)
    async with stage(Told(is_open=True), upstream, patient, limits=PATIENT) as run, run.connected() as client:
        client.ask("GET", "/a")
        await until(lambda: upstream.asked == 1)
        client.send("nonsense\r\n\r\n")
        client.writer.write_eof()
        await asyncio.sleep(0.05)
        upstream.gate.set()
        assert (await client.reply()).status == 200
        assert_error(await client.reply(), 400, "REQUEST_MALFORMED")
        assert await client.rest() == b""
        async with asyncio.timeout(0.2):
            await run.listener.close()


@pytest.mark.parametrize("sent", ["", "GET /a HT", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"])
async def test_what_cannot_be_answered_ends_at_once(sent: str) -> None:
    """A connection at rest, an unfinished head, and a body that breaks off end with what the client has to say."""
    async with stage(Told(is_open=True), silent, ClientTimeouts(), limits=PATIENT) as run, run.connected() as client:
        client.send(sent)
        if "half" in sent:
            await until(lambda: bool(run.flow.asked))
        client.writer.write_eof()
        async with asyncio.timeout(2):
            assert await client.rest() == b""
        await run.emptied()
        assert [event.status for event in run.done] == [499] * ("half" in sent)


async def test_after_a_reply_it_is_at_rest() -> None:
    """A client that has its reply and closes its sending side has nothing to wait for."""
    async with stage(Told(decided=Reply(204))) as run, run.connected() as client:
        client.ask("GET", "/a")
        assert (await client.reply()).status == 204
        client.writer.write_eof()
        async with asyncio.timeout(2):
            assert await client.rest() == b""


async def test_it_may_take_its_time_to_read() -> None:
    """A long reply comes at the pace at which it is read, and whole."""
    size = 32 * MIB
    upstream = Gated(IMAGE + b"content-length: %d\r\n\r\n" % size, bytes(size))
    async with waiting(upstream) as (run, client):
        upstream.gate.set()
        assert (await client.head())[0] == 200
        await asyncio.sleep(0.7)
        assert not run.done
        async with asyncio.timeout(10):
            assert len(await client.reader.readexactly(size)) == size
        assert await client.rest() == b""
        assert not (await run.finished())[0].aborted


async def test_the_reply_must_begin_in_time() -> None:
    """Where a decision takes longer than the upstream may, the client is not waited for: it is cut off."""

    async def later() -> Reply:
        await asyncio.Event().wait()
        return Reply(204)

    async with stage(Told(decided=later), limits=Timeouts(first_byte=0.6)) as run, run.connected() as client:
        client.ask("GET", "/a")
        await until(lambda: bool(run.flow.asked))
        client.writer.write_eof()
        async with asyncio.timeout(3):
            assert await client.rest() == b""
        (event,) = await run.finished()
        assert (event.status, event.aborted) == (499, True)
        await run.emptied()


@pytest.mark.parametrize("how", ["asked", "reading slowly"])
async def test_a_reset_is_seen_within_a_second(how: str) -> None:
    """Once the end of sending was read no loop tells of a reset; the upstream is given up all the same."""
    is_slow = how == "reading slowly"
    upstream = Gated(*([IMAGE + b"content-length: 1000000000\r\n\r\n", *[bytes(MIB)] * 900] if is_slow else [OK]))
    async with waiting(upstream) as (run, client):
        if is_slow:
            upstream.gate.set()
            await client.head()
        await asyncio.sleep(0.1)
        assert upstream.open == 1
        client.leave()
        async with asyncio.timeout(1.5):
            await until(lambda: upstream.open == 0)
        (event,) = await run.finished()
        assert event.aborted
        await run.emptied()


async def test_they_are_bounded() -> None:
    """Beyond the bound an end of sending ends the request, as it does where none may be heard out."""
    upstream = Gated()
    async with AsyncExitStack() as stack:
        run = await stack.enter_async_context(
            stage(Told(is_open=True), upstream, ClientTimeouts(), limits=PATIENT, connections=8)
        )
        clients = [await stack.enter_async_context(run.connected()) for _ in range(4)]
        for number, client in enumerate(clients):
            client.ask("GET", "/a")
            await until(lambda: upstream.asked == number + 1)  # noqa: B023 - it is waited for here
            client.writer.write_eof()
            await asyncio.sleep(0.05)
        await run.finished(2)
        assert [(event.status, event.aborted) for event in run.done] == [(499, True)] * 2
        upstream.gate.set()
        assert [(await client.reply()).status for client in clients[:2]] == [200, 200]
        assert [await client.rest() for client in clients] == [b""] * 4
        # What they held is free again.
        async with run.connected() as client:
            client.ask("GET", "/a")
            client.writer.write_eof()
            assert (await client.reply()).status == 200


async def test_nobody_is_heard_out_where_none_may_be() -> None:
    """A bound of none ends the request of each."""
    async with waiting(Gated(), half_closed=0) as (run, client):
        assert await client.rest() == b""
        assert (await run.finished())[0].status == 499


@pytest.mark.parametrize("begun", [True, False])
async def test_a_stream_of_events_ends_at_once(begun: bool) -> None:  # noqa: FBT001 - a case
    """Whoever reads one leaves by an end of sending; whether its head has come by then or comes later."""
    upstream = Gated(EVENTS)
    async with stage(Told(is_open=True), upstream, ClientTimeouts(), limits=PATIENT) as run, run.connected() as client:
        client.ask("GET", "/a")
        await until(lambda: upstream.asked == 1)
        if begun:
            upstream.gate.set()
            assert (await client.head())[0] == 200
        client.writer.write_eof()
        await asyncio.sleep(0.05)
        upstream.gate.set()
        async with asyncio.timeout(2):
            await client.rest()
        assert (await run.finished())[0].aborted
        await run.emptied()
        # Its connection goes with it.
        await until(lambda: not upstream.open)


async def test_a_client_without_a_connection_is_not_taken() -> None:
    """There is nothing to be watched."""
    watched = HalfClosed()
    watched.limit(5, 1.0)
    async with stage(Told()) as run:
        assert not watched.take(ClientConnection(run.edge, run.listener))


@pytest.mark.parametrize("how", ["reset", "end"])
async def test_a_thousand_who_leave_leave_nothing(how: str) -> None:
    """Clients that open a stream of events and leave, by whatever end, hold no connection to the upstream."""
    upstream = Gated(EVENTS)
    upstream.gate.set()
    async with stage(Told(is_open=True), upstream, ClientTimeouts(), limits=PATIENT, connections=400) as run:
        for _ in range(10):
            async with AsyncExitStack() as stack:
                clients = [await stack.enter_async_context(run.connected()) for _ in range(100)]
                for client in clients:
                    client.ask("GET", "/a")
                for client in clients:
                    assert (await client.head())[0] == 200
                assert upstream.open == 100
                for client in clients:
                    client.leave() if how == "reset" else client.writer.close()
                async with asyncio.timeout(3):
                    await until(lambda: upstream.open == 0)
        await run.emptied()
        assert len(run.done) == 1000


# --- Through the whole gateway ----------------------------------------------------------------------------------------


async def test_how_many_are_heard_out_can_be_set(upstream: Commerce, tmp_path: Path) -> None:
    """The routing file bounds them."""
    config = "extends: moltin.yaml\nserver: {half_closed: 0}\n"
    upstream.fault(Fault.SILENT, when=at(PRODUCTS))
    async with run_site(upstream, tmp_path, config=config, passwords=False) as site:
        proof = f"Authorization: Bearer {await site.bearer()}"
        async with connected(site) as client:
            client.ask("GET", PRODUCTS, proof)
            await upstream.wait(lambda: bool(upstream.requests))
            client.writer.write_eof()
            assert await client.rest() == b""
            assert (await done(site, 2))[-1]["status"] == 499
