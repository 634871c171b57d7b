"""Clients that leave: what is under way is given up, told of, and counted no more, however far it had come."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from gateway.carrying.call import Timeouts
from gateway.demo.data import RON, RON_ID
from gateway.server.body import ClientTimeouts
from gateway.vocab.events import Failed
from gateway.vocab.messages import Reply
from tests.fakes.commerce import ConnectionState, Fault, at
from tests.gateways import Site
from tests.server.raw import RawClient, connected, until
from tests.server.stage import IMAGE, MIB, NOT_THERE, Stage, Told, done, silent, stage

PRODUCTS, BRANDS = "/v2/products", "/v2/brands"

# --- At every state ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def deciding(heard: int | None) -> AsyncIterator[tuple[Stage, RawClient]]:
    """Have something be awaited for ever; its end must be told."""
    ended = asyncio.Event()

    async def later() -> Reply:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return Reply(204)

    async with stage(Told(decided=later), half_closed=heard) as run, run.connected() as client:
        client.ask("GET", "/a")
        await until(lambda: bool(run.flow.asked))
        yield run, client
        await asyncio.wait_for(ended.wait(), 5)


@asynccontextmanager
async def queued(heard: int | None) -> AsyncIterator[tuple[Stage, RawClient]]:
    """Have the only connection be in use; the client's request waits for it."""
    async with (
        stage(Told(), silent, limits=Timeouts(), connections=1, half_closed=heard) as run,
        run.connected() as other,
        run.connected() as client,
    ):
        other.ask("GET", "/other")
        await until(lambda: len(run.flow.asked) == 1)
        client.ask("GET", "/a")
        await until(lambda: len(run.flow.asked) == 2)
        yield run, client
        other.leave()


@asynccontextmanager
async def dialling(heard: int | None) -> AsyncIterator[tuple[Stage, RawClient]]:
    """Have a connection be made while the client leaves: it rests, and serves the next one."""
    async with stage(Told(), silent, limits=Timeouts(), half_closed=heard) as run, run.connected() as client:
        client.ask("GET", "/a")
        await until(lambda: bool(run.flow.asked))
        yield run, client


@asynccontextmanager
async def asked(heard: int | None) -> AsyncIterator[tuple[Stage, RawClient]]:
    """Have an upstream that has read the request and says nothing; its connection must end with the client's."""
    read, ended = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.readuntil(b"\r\n\r\n")
        read.set()
        try:
            await reader.read()
        finally:
            ended.set()

    async with stage(Told(), serve, limits=Timeouts(), half_closed=heard) as run, run.connected() as client:
        client.ask("GET", "/a")
        await asyncio.wait_for(read.wait(), 5)
        yield run, client
        await asyncio.wait_for(ended.wait(), 5)


@asynccontextmanager
async def gathering(heard: int | None) -> AsyncIterator[tuple[Stage, RawClient]]:
    """Have half of an answer come that is to be judged."""
    said = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{")
        await writer.drain()
        said.set()
        await reader.read()

    async with stage(Told(), serve, limits=Timeouts(), half_closed=heard) as run, run.connected() as client:
        client.ask("GET", "/a")
        await asyncio.wait_for(said.wait(), 5)
        yield run, client


@asynccontextmanager
async def relaying(heard: int | None) -> AsyncIterator[tuple[Stage, RawClient]]:
    """Have an answer be relayed to a client that takes nothing, so that the upstream is held."""
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(IMAGE + b"content-length: 1000000000\r\n\r\n")
        while True:
            writer.write(bytes(MIB))
            await writer.drain()
            sent += MIB

    flow = Told(is_open=True)
    async with (
        stage(flow, serve, ClientTimeouts(), limits=Timeouts(), half_closed=heard) as run,
        run.connected() as client,
    ):
        client.ask("GET", "/a")
        assert (await client.head())[0] == 200
        await still(lambda: sent)
        yield run, client


@asynccontextmanager
async def hesitating(heard: int | None) -> AsyncIterator[tuple[Stage, RawClient]]:
    """Have a "not there" be held back for ever."""
    flow = Told(decided=NOT_THERE)
    async with (
        stage(flow, timeouts=ClientTimeouts(not_found=10**6), half_closed=heard) as run,
        run.connected() as client,
    ):
        client.ask("GET", "/a")
        await until(lambda: bool(run.flow.asked))
        yield run, client


@asynccontextmanager
async def replying(heard: int | None) -> AsyncIterator[tuple[Stage, RawClient]]:
    """Have a large whole reply be written to a client that takes nothing."""
    flow = Told(decided=Reply(200, (), bytes(32 * MIB)))
    async with stage(flow, timeouts=ClientTimeouts(), half_closed=heard) as run, run.connected() as client:
        client.ask("GET", "/a")
        assert (await client.head())[0] == 200
        yield run, client


@asynccontextmanager
async def uploading(heard: int | None) -> AsyncIterator[tuple[Stage, RawClient]]:
    """Have a body be passed on of which half has come."""
    got = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.readuntil(b"\r\n\r\nhalf")
        got.set()
        await reader.read()

    flow = Told(is_open=True)
    async with (
        stage(flow, serve, ClientTimeouts(), limits=Timeouts(), half_closed=heard) as run,
        run.connected() as client,
    ):
        client.ask("POST", "/a", "Content-Length: 8")
        client.send("half")
        await asyncio.wait_for(got.wait(), 5)
        yield run, client


@asynccontextmanager
async def reading(heard: int | None) -> AsyncIterator[tuple[Stage, RawClient]]:
    """Have a body be read of which half has come."""
    async with stage(Told(reads=True), timeouts=ClientTimeouts(), half_closed=heard) as run, run.connected() as client:
        client.ask("POST", "/a", "Content-Length: 8")
        client.send("half")
        await until(lambda: bool(run.flow.asked))
        yield run, client


async def still(value: Callable[[], int]) -> None:
    """Wait until a number that grows has stood still for a while."""
    seen = -1
    while seen != value() or not seen:
        seen = value()
        await asyncio.sleep(0.1)


# What the log says of each: the status, and whether anything had left.
STATES = {
    "deciding": (deciding, 499),
    "queued for a connection": (queued, 499),
    "dialling": (dialling, 499),
    "asked": (asked, 499),
    "gathering": (gathering, 499),
    "relaying, paused": (relaying, 200),
    "hesitating": (hesitating, 499),
    "replying, paused": (replying, 200),
    "uploading": (uploading, 499),
    "reading a body": (reading, 499),
}


@pytest.mark.parametrize("how", ["reset", "end"])
@pytest.mark.parametrize("state", STATES)
async def test_nothing_stays_in_flight(state: str, how: str) -> None:
    """Wherever a client leaves, by a reset or by an end, its request is told of once, as aborted, and is over.

    An end is no more than that of sending, where there is room to hear such clients out: here there is none.
    """
    arrange, status = STATES[state]
    async with arrange(0 if how == "end" else None) as (run, client):
        before = len(run.done)
        if how == "reset":
            client.leave()
        else:
            client.writer.close()
        await until(lambda: len(run.done) > before)
        (event,) = [event for event in run.done if run.flow.asked[-1].id == event.id]
        assert (event.status, event.aborted) == (status, True)
        if state != "queued for a connection":
            await run.emptied()
        assert not [event for event in run.events if isinstance(event, Failed)]
    # The other request of that one is over by now as well.
    await run.emptied()
    assert len(run.done) == len(run.flow.asked)


async def test_what_was_sent_ahead_goes_with_its_client() -> None:
    """Requests that have not begun when their client leaves never do, and nobody counts them."""
    gate = asyncio.Event()

    async def later() -> Reply:
        await gate.wait()
        return Reply(204)

    async with stage(Told(decided=later)) as run, run.connected() as client:
        for number in range(20):
            client.ask("GET", f"/{number}")
        await until(lambda: bool(run.flow.asked))
        client.leave()
        await run.finished()
        gate.set()
        await run.emptied()
        assert len(run.flow.asked) == len(run.done) == 1


# --- Through the whole gateway ----------------------------------------------------------------------------------------


async def test_a_client_that_leaves_before_the_answer(bare: Site) -> None:
    """The exchange with the upstream is given up, its connection closed, and the log says 499."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    bare.commerce.fault(Fault.SILENT, when=at(PRODUCTS))
    async with connected(bare) as client:
        client.ask("GET", PRODUCTS, bearer)
        await bare.commerce.wait(lambda: len(bare.commerce.requests) == 1)
        client.leave()
        used = bare.commerce.requests[0].connection
        await bare.commerce.wait(lambda: used.state is ConnectionState.CLOSED_BY_PEER)
    line = (await done(bare, 2))[-1]
    assert (line["status"], line["aborted"], line["route"], line["code"]) == (499, True, "products", None)
    assert 'status="499"' in await bare.metrics()
    assert (await bare.public("GET", "/v2/currencies")).status == 200


async def test_a_client_that_leaves_a_scoped_request(site: Site) -> None:
    """The same holds where the answer would have been checked."""
    await site.token(RON.email)
    site.commerce.forget()
    site.commerce.fault(Fault.SILENT, when=at("/v2/orders"))
    async with connected(site) as client:
        lines = (
            f"Authorization: Bearer {site.bearers['public']}",
            f"X-Moltin-Customer-Token: {site.tokens[RON.email]}",
        )
        client.ask("GET", "/v2/orders", *lines)
        await site.commerce.wait(lambda: len(site.commerce.requests) == 1)
        client.leave()
        await site.commerce.wait(lambda: site.commerce.requests[0].connection not in site.commerce.open_connections)


async def test_a_client_that_leaves_in_the_middle_of_the_answer(bare: Site) -> None:
    """A reply that nobody takes any more ends the upstream's answer."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    download = bare.commerce.stream_down(at("/v2/files/big"), 1024 * MIB)
    async with connected(bare, buffer=65536) as client:
        client.ask("GET", "/v2/files/big", bearer)
        await client.reader.readexactly(100_000)
        client.leave()
        await bare.commerce.wait(lambda: bare.commerce.requests[0].connection not in bare.commerce.open_connections)
    assert download.sent < 64 * MIB
    line = (await done(bare, 2))[-1]
    assert (line["status"], line["aborted"]) == (200, True)
    assert 0 < line["bytes"] < 64 * MIB


async def test_a_client_that_leaves_in_the_middle_of_its_body(bare: Site) -> None:
    """An upload that breaks off is broken off at the upstream as well, never ended as if it were whole."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    async with connected(bare) as client:
        client.ask("PUT", "/v2/carts/x/items", bearer, "Content-Length: 100000")
        client.send(b"abc")
        await bare.commerce.wait(lambda: any(request.received == 3 for request in bare.commerce.unfinished))
        client.leave()
        await bare.commerce.wait(lambda: bare.commerce.unfinished[0].connection not in bare.commerce.open_connections)
    assert not bare.commerce.requests
    line = (await done(bare, 2))[-1]
    assert (line["status"], line["aborted"]) == (499, True)
    assert not [line for line in bare.log_lines() if line["event"] == "failed"]


async def test_a_client_that_leaves_a_body_that_is_read_first(bare: Site) -> None:
    """A body that breaks off while it is read is no bug of ours, and nothing is forwarded."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    async with connected(bare) as client:
        client.ask("POST", "/v2/customers", bearer, "Content-Type: application/json", "Content-Length: 1000")
        client.send(b"{")
        client.leave()
        line = (await done(bare, 2))[-1]
    assert (line["status"], line["aborted"]) == (499, True)
    assert not bare.commerce.requests
    assert not [line for line in bare.log_lines() if line["event"] == "failed"]


@pytest.mark.parametrize("target", ["/v2/orders/not-there", f"/v2/customers/{RON_ID}/addresses/not-there"])
async def test_a_client_that_leaves_while_it_is_told_that_nothing_is_there(site: Site, target: str) -> None:
    """Nothing is left of a reply that waited for its time, or was about to leave, when its client went."""
    await site.token(RON.email)
    before = len(asyncio.all_tasks())
    lines = (f"Authorization: Bearer {site.bearers['public']}", f"X-Moltin-Customer-Token: {site.tokens[RON.email]}")
    async with connected(site) as client:
        client.ask("GET", target, *lines)
        await site.commerce.wait(lambda: any(request.path == target for request in site.commerce.requests))
        client.leave()
    line = (await done(site, 3))[-1]
    assert (line["status"], line["code"]) in {(499, None), (499, "RECORD_NOT_FOUND"), (404, "RECORD_NOT_FOUND")}
    await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_nothing_is_left_of_hundreds_of_aborts(bare: Site) -> None:
    """Neither tasks nor connections nor requests in flight stay of clients that left."""
    proof = f"Authorization: Bearer {await bare.bearer()}"
    assert (await bare.public("GET", BRANDS)).status == 200
    await asyncio.sleep(0)
    tasks = len(asyncio.all_tasks())
    request = f"GET {PRODUCTS} HTTP/1.1\r\nHost: x\r\n{proof}\r\n\r\n"
    for _ in range(40):
        async with AsyncExitStack() as stack:
            for _ in range(10):
                client = await stack.enter_async_context(connected(bare))
                client.send(request * 5)
    async with asyncio.timeout(10):
        await bare.gateway.edge.drained()
        # The upstream's conversations and the gateway's connections take a moment to end.
        while len(asyncio.all_tasks()) > tasks + 20 or len(bare.commerce.open_connections) > 20:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    async with connected(bare) as client:
        client.ask("GET", BRANDS, proof)
        assert b'"brand"' in (await client.reply()).body
    assert '"event":"failed"' not in bare.log.getvalue()
