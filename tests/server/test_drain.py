"""A drain: what is in flight is finished and told of, nobody is asked to wait for those who do nothing."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.vocab.messages import Reply
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import Site
from tests.gateways import site as run_site
from tests.server.raw import connected, until
from tests.server.stage import MIB, Told, assert_error, done, lines_of, stage

PRODUCTS, BRANDS = "/v2/products", "/v2/brands"
CART = "/v2/carts/drain/items"


async def test_every_reply_ends_its_connection(bare: Site) -> None:
    """While the gateway drains, whoever asks is answered, and told to go elsewhere."""
    async with connected(bare) as client:
        bare.gateway.edge.is_draining = True
        client.ask("GET", "/nowhere")
        assert (await client.reply()).ends
        assert await client.rest() == b""


async def test_a_drain_waits_for_all_that_is_in_flight(bare: Site) -> None:
    """Each request is finished and told of once, and its connection ends."""
    proof = f"Authorization: Bearer {await bare.bearer()}"
    begun = len(await done(bare))
    async with AsyncExitStack() as stack:
        first, second, idle = [await stack.enter_async_context(connected(bare)) for _ in range(3)]
        gates = [asyncio.Event(), asyncio.Event()]
        for path, gate in zip((PRODUCTS, BRANDS), gates, strict=True):
            bare.commerce.fault(Fault.SLOW_HEAD, when=at(path), gate=gate)
        first.ask("GET", PRODUCTS, proof)
        second.ask("GET", BRANDS, proof)
        idle.ask("GET", "/nowhere")
        assert not (await idle.reply()).ends
        await bare.commerce.wait(lambda: len(bare.commerce.requests) == 2)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        draining = group.create_task(bare.gateway.drain())
        await until(lambda: bare.gateway.edge.is_draining)
        idle.ask("GET", "/nowhere")
        assert (await idle.reply()).ends
        gates[0].set()
        reply = await first.reply()
        assert b'"product"' in reply.body
        assert reply.ends
        assert await first.rest() == b""
        for _ in range(20):
            await asyncio.sleep(0)
        assert not draining.done()
        gates[1].set()
        assert (await second.reply()).ends
        assert await second.rest() == b""
        await draining
    assert sorted((line["route"], line["status"], line["aborted"]) for line in lines_of(bare)[begun:]) == [
        ("-", 404, False),
        ("-", 404, False),
        ("brands", 200, False),
        ("products", 200, False),
    ]


@pytest.mark.parametrize("framing", ["Content-Length: 300000", "Transfer-Encoding: chunked"])
async def test_an_upload_is_finished(bare: Site, framing: str) -> None:
    """A body that is on its way when the drain begins comes to its end, and so does its reply."""
    proof = f"Authorization: Bearer {await bare.bearer()}"
    bare.commerce.count_upload(at(CART, "PUT"))
    is_chunked = "chunked" in framing
    half = b"249f0\r\n" + bytes(150_000) + b"\r\n" if is_chunked else bytes(150_000)
    async with connected(bare) as client, asyncio.TaskGroup() as group:
        client.ask("PUT", CART, proof, framing)
        client.send(half)
        await bare.commerce.wait(lambda: bool(bare.commerce.unfinished))
        draining = group.create_task(bare.gateway.drain())
        await until(lambda: bare.gateway.edge.is_draining)
        client.send(half + (b"0\r\n\r\n" if is_chunked else b""))
        reply = await client.reply()
        assert (reply.json()["data"]["bytes"], reply.ends) == (300_000, True)
        await asyncio.wait_for(draining, 5)


async def test_what_was_sent_ahead_is_not_begun(bare: Site) -> None:
    """The request in flight is answered; those behind it are left to whoever their client asks next."""
    proof = f"Authorization: Bearer {await bare.bearer()}"
    gate = asyncio.Event()
    bare.commerce.fault(Fault.SLOW_HEAD, when=at(PRODUCTS), gate=gate)
    async with connected(bare) as client, asyncio.TaskGroup() as group:
        client.ask("GET", PRODUCTS, proof)
        client.ask("GET", BRANDS, proof)
        await bare.commerce.wait(lambda: bool(bare.commerce.requests))
        draining = group.create_task(bare.gateway.drain())
        await until(lambda: bare.gateway.edge.is_draining)
        gate.set()
        reply = await client.reply()
        assert b'"product"' in reply.body
        assert reply.ends
        assert await client.rest() == b""
        await asyncio.wait_for(draining, 5)
    assert [request.path for request in bare.commerce.requests] == [PRODUCTS]


async def test_nobody_waits_for_those_who_do_nothing(bare: Site) -> None:
    """Idle connections, unfinished heads and lingering ones hold no drain up."""
    async with connected(bare) as idle, connected(bare) as beginning, connected(bare) as lingering:
        idle.ask("GET", "/nowhere")
        assert (await idle.reply()).status == 404
        beginning.send("GET /v2/products HTTP/1.1\r\nHo")
        lingering.ask("POST", "/nowhere", f"Content-Length: {MIB}")
        assert_error(await lingering.reply(), 404, "ROUTE_UNKNOWN")
        await asyncio.wait_for(bare.gateway.drain(), 1)


async def test_the_deadline_cuts_off_what_is_left(upstream: Commerce, tmp_path: Path) -> None:
    """A request that outlasts the drain is cut off, and said to be; then the end comes within a moment."""
    config = "extends: moltin.yaml\nserver: {drain: 300ms}\n"
    loop = asyncio.get_running_loop()
    upstream.fault(Fault.SILENT, when=at(PRODUCTS))
    async with AsyncExitStack() as outside:
        async with run_site(upstream, tmp_path, config=config, passwords=False) as site:
            proof = f"Authorization: Bearer {await site.bearer()}"
            client = await outside.enter_async_context(connected(site))
            client.ask("GET", PRODUCTS, proof)
            await upstream.wait(lambda: bool(upstream.requests))
            started = loop.time()
            await site.gateway.drain()
            assert 0.25 < loop.time() - started < 2
            assert [line["state"] for line in site.log_lines() if line["event"] == "lifecycle"][-1] == "drain deadline"
        assert loop.time() - started < 4
        with pytest.raises(ConnectionResetError):
            await client.reader.readexactly(1)
        line = next(line for line in site.log_lines() if line.get("route") == "products")
        assert (line["status"], line["aborted"]) == (499, True)


async def test_what_waits_is_in_flight() -> None:
    """A request that waits is in flight all the time, until it is answered or its client goes."""
    gate, begun = asyncio.Event(), asyncio.Event()

    async def later() -> Reply:
        begun.set()
        await gate.wait()
        return Reply(204)

    async with stage(Told(decided=later)) as run, asyncio.TaskGroup() as group:
        async with run.connected() as client:
            client.ask("GET", "/a")
            await asyncio.wait_for(begun.wait(), 5)
            drained = group.create_task(run.edge.drained())
            for _ in range(20):
                await asyncio.sleep(0)
            assert not drained.done()
            gate.set()
            assert (await client.reply()).status == 204
            await asyncio.wait_for(drained, 1)
        gate.clear()
        begun.clear()
        async with run.connected() as client:
            client.ask("GET", "/a")
            await asyncio.wait_for(begun.wait(), 5)
        await run.emptied()
