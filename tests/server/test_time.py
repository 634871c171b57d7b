"""How long clients may take: for a head, for a body, to take their reply, and between requests."""

import asyncio

import pytest

from gateway.server.body import ClientTimeouts
from gateway.server.exchange import SLOWEST
from gateway.vocab.messages import Reply
from tests.server.raw import RawClient, until
from tests.server.stage import IMAGE, MIB, OK, Told, answering, assert_error, stage
from tests.server.wires import wired

NOTHING = Reply(204)
LARGE = IMAGE + b"content-length: 50000000\r\n\r\n" + bytes(50_000_000)


async def ended_after(client: RawClient, *, sending: bytes = b"", each: float = 0.05) -> float:
    """Return the seconds until the gateway ends a connection on which something is sent again and again."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while not client.reader.at_eof():
        client.send(sending)
        try:
            async with asyncio.timeout(each):
                await client.reader.read(1)
        except TimeoutError:
            pass
        except ConnectionResetError:
            break
    return loop.time() - started


# --- Heads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("earlier", [0, 1, 2])
@pytest.mark.parametrize("line", [b"", b"X-A: b\r\n"], ids=["stalled", "trickling"])
async def test_a_head_that_does_not_come(earlier: int, line: bytes) -> None:
    """A head that has begun comes to its end in time or not at all, on a kept connection as well."""
    async with stage(Told(decided=NOTHING), timeouts=ClientTimeouts(head=0.3)) as run:
        async with run.connected() as client:
            for _ in range(earlier):
                client.ask("GET", "/a")
                assert (await client.reply()).status == 204
            client.send("GET /a HTTP/1.1\r\n")
            assert 0.25 < await ended_after(client, sending=line) < 2
        assert len(run.flow.asked) == len(run.done) == earlier
        await run.emptied()


async def test_a_head_in_two_pieces() -> None:
    """A head that comes in pieces, but in time, is a request like any other; a quiet connection is left in peace."""
    timeouts = ClientTimeouts(head=0.2)
    async with stage(Told(decided=NOTHING), timeouts=timeouts) as run, run.connected() as client:
        for pause in (0.0, 0.3):
            await asyncio.sleep(pause)
            client.send("GET /a HTTP/1.1\r\n")
            await asyncio.sleep(0.02)
            client.send("Host: x\r\n\r\n")
            assert (await client.reply()).status == 204


async def test_the_time_for_a_head() -> None:
    """It runs while a part of a head is there and nothing else is under way, and only then."""
    one = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
    gate = asyncio.Event()

    async def later() -> Reply:
        await gate.wait()
        return NOTHING

    flow = Told(deciding=lambda request, _: later if request.target == "/later" else NOTHING)
    async with (
        stage(flow, timeouts=ClientTimeouts(head=0.2)) as run,
        run.connected() as split,
        run.connected() as slow,
        run.connected() as flood,
        run.connected() as busy,
    ):
        split.send(one[:20])
        slow.send(one)
        flood.send(one * 40)
        busy.ask("GET", "/later")
        await until(lambda: any(request.target == "/later" for request in flow.asked))
        busy.send(one[:20])
        assert (await slow.reply()).status == 204
        slow.send(one[:20])
        split.send(one[20:])
        assert (await split.reply()).status == 204
        for _ in range(40):
            assert (await flood.reply()).status == 204
        # As long as it takes for the head that does not come; the others were begun before it.
        assert await slow.rest() == b""
        gate.set()
        busy.send(one[20:])
        assert [(await busy.reply()).status for _ in range(2)] == [204, 204]
        for client in (split, flood, busy):
            client.send(one)
            assert (await client.reply()).status == 204


# --- Between requests -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("earlier", [0, 1, 3])
async def test_a_connection_that_rests(earlier: int) -> None:
    """It is kept for its time from its last reply on, or from its beginning, and then ended without a word."""
    loop = asyncio.get_running_loop()
    async with stage(Told(decided=NOTHING), keepalive=0.3) as run, run.connected() as client:
        for _ in range(earlier):
            client.ask("GET", "/a")
            assert (await client.reply()).status == 204
            await asyncio.sleep(0.2)
        started = loop.time()
        assert await client.rest() == b""
        assert loop.time() - started < 2


async def test_an_exchange_that_takes_longer_than_idle_connections_are_kept() -> None:
    """A connection is idle from its last reply on, and not before."""
    loop = asyncio.get_running_loop()

    async def later() -> Reply:
        await asyncio.sleep(0.7)
        return NOTHING

    flow = Told(deciding=lambda request, _: later if request.target == "/later" else NOTHING)
    async with stage(flow, keepalive=0.3) as run, run.connected() as client:
        client.ask("GET", "/later")
        assert (await client.reply()).status == 204
        began = loop.time()
        client.ask("GET", "/a")
        assert (await client.reply()).status == 204
        assert await client.rest() == b""
        assert loop.time() - began >= 0.25


# --- Readers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["relayed", "judged", "at once"])
async def test_a_reader_that_stops(kind: str) -> None:
    """A client that takes nothing is broken off after its time, whether the reply is relayed or whole."""
    whole = Reply(200, (), bytes(20 * MIB))
    flow = Told(is_open=kind == "relayed", concluded=whole, decided=whole if kind == "at once" else None)
    # What a whole reply may take besides, for its size, is taken off again.
    idle = 0.2 if kind == "relayed" else 0.2 - 20 * MIB / SLOWEST
    upstream = answering(LARGE if kind == "relayed" else OK)
    async with stage(flow, upstream, ClientTimeouts(idle=idle)) as run, run.connected() as client:
        client.ask("GET", "/a")
        (event,) = await run.finished()
        assert (event.status, event.aborted) == (200, True)
        with pytest.raises(ConnectionResetError):
            await client.reader.readexactly(100 * MIB)
        await run.emptied()


@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize("waiting", [0, 30_000])
async def test_a_client_that_never_takes_its_last_reply(waiting: int, *, is_last: bool) -> None:
    """When its time is over it is not waited for any more; one that has taken everything is told goodbye."""
    asking = b"GET /a HTTP/1.1\r\nHost: x\r\n" + (b"Connection: close\r\n" if is_last else b"") + b"\r\n"
    async with wired(Told(), asking, keepalive=0.05) as run:
        run.connection.data_received(OK)
        run.client.waiting = waiting
        await until(lambda: len(run.done) == 1)
        await until(lambda: run.client.is_aborted if waiting else run.client.is_closing())
        assert run.client.is_aborted == bool(waiting)


# --- Bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeouts", [ClientTimeouts(idle=0.1), ClientTimeouts(body=0.1)], ids=["stalled", "trickling"])
async def test_a_body_that_does_not_come(timeouts: ClientTimeouts) -> None:
    """A body that stalls, or trickles beyond all patience, is a 408 and the end of the connection."""
    async with stage(Told(reads=True), timeouts=timeouts) as run, run.connected() as client:
        client.ask("POST", "/a", "Content-Length: 100")
        client.send(b"{")
        reply = await client.reply()
        assert_error(reply, 408, "BODY_TIMEOUT")
        assert reply.ends
        assert await client.rest() == b""
        await run.emptied()


async def test_a_body_must_bring_a_least_rate() -> None:
    """A client that always sends something, but too little, is given up; one that is fast enough never."""
    timeouts = ClientTimeouts(idle=0.5, body_rate=1000)
    async with stage(Told(reads=True), timeouts=timeouts) as run, run.connected() as client:
        client.ask("POST", "/a", "Content-Length: 100000")
        started = asyncio.get_running_loop().time()
        answered = asyncio.ensure_future(client.reply())
        # Ten bytes each tenth of a second never stall, and are a tenth of the least rate.
        while not answered.done():
            client.send(b"0123456789")
            await asyncio.wait([answered], timeout=0.1)
        assert_error(answered.result(), 408, "BODY_TIMEOUT")
        assert 0.4 < asyncio.get_running_loop().time() - started < 5
    async with stage(Told(reads=True), timeouts=timeouts) as run, run.connected() as client:
        client.ask("POST", "/a", "Content-Length: 8000")
        # Longer than it may stall, and twice the least rate.
        for _ in range(40):
            client.send(bytes(200))
            await asyncio.sleep(0.02)
        assert (await client.reply()).status == 200
