"""The express lane on connections of clients: order, keep-alive, aborts, patience, drain, and what it leaves behind."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.data import LESLIE, RON
from gateway.server.body import Patience
from tests.fakes.commerce import Commerce, ConnectionState, Fault, at
from tests.gateways import LANE, Site
from tests.gateways import site as run_site
from tests.server.raw import RawClient, connected, until
from tests.server.stage import assert_error, done

pytestmark = pytest.mark.skipif(LANE != "express", reason="there is one lane only")

PRODUCTS, BRANDS, CURRENCIES = "/v2/products", "/v2/brands", "/v2/currencies"
CART_ITEMS = "/v2/carts/express/items"
MIB = 1024 * 1024


@asynccontextmanager
async def gated(commerce: Commerce, path: str, times: int | None = None) -> AsyncIterator[asyncio.Event]:
    """Let the upstream wait before it answers a path, until the event is set; at the latest until the end."""
    gate = asyncio.Event()
    commerce.fault(Fault.SLOW_HEAD, when=at(path), times=times, gate=gate)
    try:
        yield gate
    finally:
        gate.set()


async def warm(site: Site, connections: int = 1) -> str:
    """Have so many connections in the pool of the express lane, and return the line that proves a public client."""
    proof = f"Authorization: Bearer {await site.bearer()}"
    for _ in range(20):
        async with AsyncExitStack() as stack, gated(site.commerce, CURRENCIES) as gate:
            clients = [await stack.enter_async_context(connected(site)) for _ in range(connections)]
            site.commerce.all_requests.clear()
            for client in clients:
                client.ask("GET", CURRENCIES, proof)
            await site.commerce.wait(lambda: len(site.commerce.requests) >= connections)
            gate.set()
            for client in clients:
                assert (await client.reply()).status == 200
        site.commerce.forget()
        if [line["lane"] for line in lines_of(site)[-connections:]] == ["express"] * connections:
            return proof
    raise AssertionError("the pool does not fill")


def lines_of(site: Site, route: str | None = None) -> list[dict[str, Any]]:
    """Return the access log so far."""
    lines = [line for line in site.log_lines() if line["event"] == "request"]
    return [line for line in lines if route in {None, line["route"]}]


# --- Order ----------------------------------------------------------------------------------------------------------


async def test_one_connection_on_either_side_serves_many_requests(bare: Site) -> None:
    """Requests one after the other use the same two connections, and each says its own id everywhere."""
    proof = await warm(bare)
    begun = len(lines_of(bare))
    async with connected(bare) as client:
        ids = []
        for _ in range(5):
            client.ask("GET", PRODUCTS, proof)
            reply = await client.reply()
            assert (reply.status, reply.ends) == (200, False)
            ids += reply.values("x-request-id")
    lines = (await done(bare, begun + 5))[begun:]
    assert [line["lane"] for line in lines] == ["express"] * 5
    assert [line["id"] for line in lines] == ids
    assert [request.header("x-request-id") for request in bare.commerce.requests] == ids
    assert len(set(ids)) == 5
    assert len({request.connection for request in bare.commerce.requests}) == 1


async def test_requests_sent_ahead_are_answered_in_order_by_both_lanes(bare: Site) -> None:
    """Whichever lane a request takes, its reply leaves when those before it have left."""
    proof = await warm(bare)
    body = b'{"data":{"type":"cart_item","id":"x","quantity":1}}'
    async with connected(bare) as client, gated(bare.commerce, PRODUCTS, times=1) as gate:
        client.ask("GET", PRODUCTS, proof)
        client.ask("POST", CART_ITEMS, proof, "Content-Type: application/json", body=body)
        client.ask("GET", BRANDS, proof)
        client.ask("GET", "/nowhere", proof)
        client.ask("HEAD", CURRENCIES, proof)
        client.ask("GET", CURRENCIES, proof)
        await bare.commerce.wait(lambda: bool(bare.commerce.requests))
        gate.set()
        replies = [await client.reply(to_head=number == 4) for number in range(6)]
    assert b'"product"' in replies[0].body
    assert replies[1].status in {201, 404, 422}
    assert b'"brand"' in replies[2].body
    assert_error(replies[3], 404, "ROUTE_UNKNOWN")
    assert replies[4].body == b""
    assert b'"currency"' in replies[5].body
    assert bare.commerce.requests[1].body == body


async def test_hundreds_sent_ahead(bare: Site) -> None:
    """More than aiohttp keeps in its queue, for both lanes in turn: each gets its own answer, in order."""
    proof = await warm(bare)
    body = b'{"data":{"name":"x"}}'
    async with connected(bare) as client:
        for number in range(300):
            if number % 7 == 3:
                client.ask("PUT", f"/v2/carts/cart-{number}", proof, "Content-Type: application/json", body=body)
            elif number % 11 == 5:
                client.ask("GET", f"/v2/nowhere/{number}", proof)
            else:
                client.ask("GET", f"/v2/carts/cart-{number}", proof)
        for number in range(300):
            reply = await client.reply()
            if number % 7 != 3 and number % 11 == 5:
                assert_error(reply, 404, "ROUTE_UNKNOWN")
            else:
                assert reply.json()["data"]["id"] == f"cart-{number}"
    lanes = {line["lane"] for line in await until_lines(bare, "cart", 200)}
    assert lanes == {"express", "standard"}


async def test_the_express_lane_takes_over_again(bare: Site) -> None:
    """After a request of the standard lane the next ones take the express lane."""
    proof = await warm(bare)
    begun = len(lines_of(bare))
    async with connected(bare) as client:
        for method, target in (("GET", PRODUCTS), ("POST", CART_ITEMS), ("GET", BRANDS), ("GET", BRANDS)):
            client.ask(method, target, proof, "Content-Type: application/json", body=b"{}" if method == "POST" else b"")
            await client.reply()
    lanes = [line["lane"] for line in (await done(bare, begun + 4))[begun:]]
    assert lanes == ["express", "standard", "express", "express"]


async def test_a_head_in_pieces(bare: Site) -> None:
    """A head may come byte by byte, and the beginning of the next one with its end."""
    proof = await warm(bare)
    one = f"GET {BRANDS} HTTP/1.1\r\nHost: x\r\n{proof}\r\n\r\n"
    async with connected(bare) as client:
        for letter in one:
            client.send(letter)
            await asyncio.sleep(0)
        assert b'"brand"' in (await client.reply()).body
        client.send(one + one[:30])
        assert b'"brand"' in (await client.reply()).body
        client.send(one[30:])
        assert b'"brand"' in (await client.reply()).body


async def test_a_flood_of_requests_that_are_refused_at_once(bare: Site) -> None:
    """Thousands sent ahead are answered without recursion, and others are answered meanwhile."""
    proof = await warm(bare)
    async with connected(bare) as flood, connected(bare) as other:
        for _ in range(3000):
            flood.ask("GET", "/nowhere")
        other.ask("GET", BRANDS, proof)
        assert (await other.reply()).status == 200
        ids = set()
        for _ in range(3000):
            reply = await flood.reply()
            assert reply.status == 404
            ids.update(reply.values("x-request-id"))
        assert len(ids) == 3000
        flood.ask("GET", BRANDS, proof)
        assert b'"brand"' in (await flood.reply()).body
    assert '"event":"failed"' not in bare.log.getvalue()


async def test_what_is_no_request_ends_the_connection_behind_those_before_it(bare: Site) -> None:
    """An error in the middle is answered in its turn; what follows it is not read."""
    proof = await warm(bare)
    async with connected(bare) as client, gated(bare.commerce, PRODUCTS, times=1) as gate:
        client.ask("GET", PRODUCTS, proof)
        await bare.commerce.wait(lambda: bool(bare.commerce.requests))
        client.send("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")
        client.ask("GET", BRANDS, proof)
        gate.set()
        assert b'"product"' in (await client.reply()).body
        assert_error(await client.reply(), 400, "REQUEST_MALFORMED")
        assert await client.rest() == b""
    assert [request.path for request in bare.commerce.requests] == [PRODUCTS]


@pytest.mark.parametrize("upgrade", ["websocket", "h2c", "TLS/1.0"])
async def test_bytes_behind_an_upgrade_are_no_request(bare: Site, upgrade: str) -> None:
    """What follows a request for another protocol belongs to nobody, and requests before it are answered."""
    proof = await warm(bare)
    async with connected(bare) as client:
        client.ask("GET", PRODUCTS, proof)
        client.ask("GET", BRANDS, proof, "Connection: Upgrade", f"Upgrade: {upgrade}")
        client.ask("GET", CURRENCIES, proof)
        assert b'"product"' in (await client.reply()).body
        reply = await client.reply()
        assert b'"brand"' in reply.body
        assert reply.ends
        assert await client.rest() == b""
    assert CURRENCIES not in [request.path for request in bare.commerce.requests]


async def test_a_body_that_looks_like_requests(bare: Site) -> None:
    """A body is never read as a request, between requests of the express lane either."""
    proof = await warm(bare)
    smuggled = f"GET {CURRENCIES} HTTP/1.1\r\nHost: x\r\n{proof}\r\n\r\n".encode()
    async with connected(bare) as client:
        client.ask("GET", PRODUCTS, proof)
        client.ask("POST", "/nowhere", proof, "Content-Type: application/json", body=smuggled)
        client.ask("GET", BRANDS, proof)
        assert b'"product"' in (await client.reply()).body
        refused = await client.reply()
        assert_error(refused, 404, "ROUTE_UNKNOWN")
        if refused.ends:
            assert await client.rest() == b""
        else:
            assert b'"brand"' in (await client.reply()).body
    assert CURRENCIES not in [request.path for request in bare.commerce.requests]


# --- Methods --------------------------------------------------------------------------------------------------------


async def test_a_delete_that_announces_no_body(bare: Site) -> None:
    """A length of zero is no body: the request takes the express lane, and says so upstream once."""
    proof = await warm(bare)
    async with connected(bare) as client:
        client.ask("DELETE", "/v2/carts/express", proof, "Content-Length: 0")
        assert (await client.reply()).status in {200, 204}
    (line,) = await until_lines(bare, "cart")
    assert line["lane"] == "express"
    (request,) = bare.commerce.requests
    assert (request.method, request.values("content-length"), request.body) == ("DELETE", ["0"], b"")


async def until_lines(site: Site, route: str, count: int = 1) -> list[dict[str, Any]]:
    """Return the lines of a route once there are so many."""
    await until(lambda: len(lines_of(site, route)) >= count)
    return lines_of(site, route)


# --- Aborts ---------------------------------------------------------------------------------------------------------


async def test_a_client_that_leaves(bare: Site) -> None:
    """The upstream need not go on for nobody: its connection is closed, and the log says so."""
    proof = await warm(bare)
    bare.commerce.fault(Fault.SILENT, when=at(PRODUCTS))
    async with connected(bare) as client:
        client.ask("GET", PRODUCTS, proof)
        await bare.commerce.wait(lambda: bool(bare.commerce.requests))
        client.leave()
        used = bare.commerce.requests[0].connection
        await bare.commerce.wait(lambda: used.state is ConnectionState.CLOSED_BY_PEER)
    (line,) = await until_lines(bare, "products")
    assert (line["status"], line["aborted"], line["lane"], line["code"]) == (499, True, "express", None)


async def test_a_client_that_leaves_within_the_reply(bare: Site) -> None:
    """So it is where the reply has begun."""
    proof = await warm(bare)
    download = bare.commerce.stream_down(at(PRODUCTS), 64 * MIB)
    async with connected(bare, buffer=65536) as client:
        client.ask("GET", PRODUCTS, proof)
        assert (await client.head())[0] == 200
        client.leave()
        used = bare.commerce.requests[0].connection
        await bare.commerce.wait(lambda: used.state is not ConnectionState.OPEN)
    (line,) = await until_lines(bare, "products")
    assert (line["status"], line["aborted"], line["lane"]) == (200, True, "express")
    assert download.sent < 64 * MIB


async def test_nothing_is_left_of_thousands_of_aborts(bare: Site) -> None:
    """Neither tasks nor connections nor requests in flight stay of clients that left."""
    proof = await warm(bare)
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


# --- The upstream's end ---------------------------------------------------------------------------------------------


async def test_a_connection_that_the_upstream_has_closed(bare: Site) -> None:
    """A connection that died in the pool is nobody's fault: the request goes through another one."""
    proof = await warm(bare, 3)
    async with connected(bare) as client:
        for _ in range(3):
            bare.commerce.close_connections()
            client.ask("GET", BRANDS, proof)
            assert b'"brand"' in (await client.reply()).body


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_upstream_that_closes_before_its_answer(bare: Site, method: str) -> None:
    """Nobody knows whether it was read; what may be asked twice is."""
    proof = await warm(bare)
    bare.commerce.fault(Fault.CLOSE, when=at("/v2/carts/express"), times=1)
    async with connected(bare) as client:
        client.ask(method, "/v2/carts/express", proof)
        assert (await client.reply()).status in {200, 204}
    assert len(bare.commerce.requests) == 2
    (line,) = await until_lines(bare, "cart")
    assert line["lane"] == "standard"


async def test_an_answer_nobody_asked_for_reaches_nobody(site: Site) -> None:
    """Neither behind an answer nor on a connection at rest: the next request gets its own, on another connection."""
    await warm(site)
    for fault, options in ((Fault.EXTRA_BYTES, {}), (Fault.LATE_EXTRA, {"delay": 0.0})):
        for _ in range(3):
            site.commerce.forget()
            site.commerce.fault(fault, when=at(PRODUCTS), times=1, **options)
            assert b'"product"' in (await site.public("GET", PRODUCTS)).body
            for _ in range(3):
                answer = await site.public("GET", BRANDS)
                assert b'"brand"' in answer.body
                assert LESLIE.canary.encode() not in answer.body
            wrong, *later = [request.connection for request in site.commerce.requests]
            assert wrong not in later


async def test_an_upstream_that_is_gone(bare: Site) -> None:
    """It is as if there were no express lane: refused at once, and served when it is back."""
    proof = await warm(bare)
    await bare.commerce.stop()
    async with connected(bare) as client:
        for _ in range(3):
            client.ask("GET", BRANDS, proof)
            reply = await client.reply()
            assert_error(reply, 502, "UPSTREAM_UNREACHABLE")
        await bare.commerce.start()
        client.ask("GET", BRANDS, proof)
        assert b'"brand"' in (await client.reply()).body


async def test_more_requests_than_connections(upstream: Commerce, tmp_path: Path) -> None:
    """The pool has a limit; what finds none takes the standard lane, which has its own."""
    config = "extends: moltin.yaml\nupstream: {connections: 2}\n"
    async with run_site(upstream, tmp_path, config=config, passwords=False) as site:
        proof = await warm(site, 2)
        async with AsyncExitStack() as stack, gated(upstream, PRODUCTS) as gate:
            clients = [await stack.enter_async_context(connected(site)) for _ in range(4)]
            for client in clients:
                client.ask("GET", PRODUCTS, proof)
            await upstream.wait(lambda: len(upstream.requests) == 4)
            assert len({request.connection for request in upstream.requests}) == 4
            gate.set()
            for client in clients:
                assert (await client.reply()).status == 200
        lines = await until_lines(site, "products", 4)
        assert sorted(line["lane"] for line in lines) == ["express", "express", "standard", "standard"]


async def test_time_runs_out(upstream: Commerce, tmp_path: Path) -> None:
    """An upstream that says nothing is a 504 whose wait is told; the connection is not used again."""
    config = "extends: moltin.yaml\nupstream: {timeouts: {connect: 100ms, first_byte: 100ms, idle: 100ms}}\n"
    async with run_site(upstream, tmp_path, config=config, passwords=False) as site:
        proof = await warm(site)
        upstream.fault(Fault.SILENT, when=at(PRODUCTS))
        async with connected(site) as client:
            client.ask("GET", PRODUCTS, proof)
            assert_error(await client.reply(), 504, "UPSTREAM_TIMEOUT")
        (line,) = await until_lines(site, "products")
        assert (line["lane"], line["upstream_calls"]) == ("express", 1)
        assert line["upstream_ms"] >= 150
        used = upstream.requests[0].connection
        await upstream.wait(lambda: used.state is not ConnectionState.OPEN)


# --- Pace -----------------------------------------------------------------------------------------------------------


async def test_a_slow_reader_slows_the_upstream_down(bare: Site) -> None:
    """What a client does not take is not fetched; when it takes it again, nothing is missing."""
    proof = await warm(bare)
    size = 32 * MIB
    download = bare.commerce.stream_down(at(PRODUCTS), size)
    async with connected(bare, buffer=65536) as client:
        client.ask("GET", PRODUCTS, proof)
        _, headers, _ = await client.head()
        assert dict(headers)["content-length"] == str(size)
        await standstill(download)
        # Three socket buffers and the gateway's own, of which the kernel decides most.
        assert download.sent < 16 * MIB
        read = 0
        while read < size:
            read += len(await client.reader.read(MIB))
        assert read == size
        client.ask("GET", BRANDS, proof)
        assert b'"brand"' in (await client.reply()).body
    (line,) = await until_lines(bare, "products")
    assert (line["bytes"], line["aborted"], line["lane"]) == (size, False, "express")


async def standstill(download: Any) -> None:
    """Wait until an upstream has been unable to send for a while."""
    sent = -1
    while sent != download.sent:
        sent = download.sent
        await asyncio.sleep(0.1)


async def test_a_reader_that_stops(bare: Site) -> None:
    """A client that takes nothing for too long is broken off, and the upstream with it."""
    proof = await warm(bare)
    bare.gateway.edge.patience = Patience(idle=0.2)
    bare.commerce.stream_down(at(PRODUCTS), 64 * MIB)
    async with connected(bare, buffer=65536) as client:
        client.ask("GET", PRODUCTS, proof)
        (line,) = await until_lines(bare, "products")
        assert (line["status"], line["aborted"]) == (200, True)
        used = bare.commerce.requests[0].connection
        await bare.commerce.wait(lambda: used.state is not ConnectionState.OPEN)
        with pytest.raises(ConnectionResetError):
            await client.reader.read()


async def test_the_time_for_a_head(bare: Site) -> None:
    """It runs while a part of a head is there, and only then."""
    proof = await warm(bare)
    bare.gateway.edge.patience = Patience(head=0.2)
    one = f"GET {BRANDS} HTTP/1.1\r\nHost: x\r\n{proof}\r\n\r\n"
    async with connected(bare) as refused, connected(bare) as split, connected(bare) as slow, connected(bare) as flood:
        refused.ask("GET", "/nowhere")
        assert (await refused.reply()).status == 404
        split.send(one[:20])
        slow.send(one)
        flood.send("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" * 40)
        assert b'"brand"' in (await slow.reply()).body
        slow.send(one[:20])
        split.send(one[20:])
        assert b'"brand"' in (await split.reply()).body
        for _ in range(40):
            assert (await flood.reply()).status == 404
        # As long as it takes for the head that does not come; the others were begun before it.
        assert await slow.rest() == b""
        for client in (refused, split, flood):
            client.send(one)
            assert b'"brand"' in (await client.reply()).body


async def test_an_exchange_that_takes_longer_than_idle_connections_are_kept(upstream: Commerce, tmp_path: Path) -> None:
    """A connection is idle from its last reply on, and not before."""
    config = "extends: moltin.yaml\nserver: {keepalive: 300ms}\n"
    async with run_site(upstream, tmp_path, config=config, passwords=False) as site:
        proof = await warm(site)
        async with connected(site) as client, gated(upstream, PRODUCTS) as gate:
            client.ask("GET", PRODUCTS, proof)
            loop = asyncio.get_running_loop()
            loop.call_later(0.7, gate.set)
            assert (await client.reply()).status == 200
            began = loop.time()
            client.ask("GET", BRANDS, proof)
            assert (await client.reply()).status == 200
            assert await client.rest() == b""
            assert loop.time() - began >= 0.25


# --- Drain ----------------------------------------------------------------------------------------------------------


async def test_a_drain_waits_for_all_that_is_in_flight(bare: Site) -> None:
    """Each request is finished, told once, and its connection ends; who asks now is told so by the standard lane."""
    proof = await warm(bare, 3)
    begun = len(lines_of(bare))
    async with AsyncExitStack() as stack:
        first, second, idle = [await stack.enter_async_context(connected(bare)) for _ in range(3)]
        gates = [await stack.enter_async_context(gated(bare.commerce, path)) for path in (PRODUCTS, BRANDS)]
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
    lines = lines_of(bare)[begun:]
    assert sorted((line["route"], line["status"], line["lane"], line["aborted"]) for line in lines) == [
        ("-", 404, "express", False),
        ("-", 404, "standard", False),
        ("brands", 200, "express", False),
        ("products", 200, "express", False),
    ]


# --- What is told ---------------------------------------------------------------------------------------------------


async def test_both_lanes_tell_the_same(bare: Site) -> None:
    """A line of the express lane has the fields of the standard lane's, and the metrics tell the lanes apart."""
    proof = await warm(bare)
    async with connected(bare) as client:
        client.ask("GET", PRODUCTS, proof)
        express = await client.reply()
    async with connected(bare) as client:
        client.ask("GET", PRODUCTS, proof, "Connection: close")
        standard = await client.reply()
    one, other = await until_lines(bare, "products", 2)
    assert (one["lane"], other["lane"]) == ("express", "standard")
    assert list(one) == list(other)
    changing = {"ts", "id", "lane", "ms", "upstream_ms"}
    assert {name: one[name] for name in one if name not in changing} == {
        name: other[name] for name in other if name not in changing
    }
    assert one["upstream_ms"] > 0
    assert one["ms"] >= one["upstream_ms"]
    assert express.body == standard.body
    metrics = await bare.metrics()
    for lane in ("express", "standard"):
        assert f'gateway_requests_total{{caller="public",lane="{lane}",route="products",status="200"}} 1.0' in metrics


CLOSING = """
extends: moltin.yaml
routes:
  - name: orders
    path: /v2/orders
    methods: [GET]
    on_violation: close_route
    access:
      customer:
        scope:
          - filter: {field: customer_id}
        guard:
          - owner: {pointer: /relationships/customer/data/id}
  - {name: currencies, path: /v2/currencies, methods: [GET], access: {public: open}}
"""


async def test_a_violation_closes_the_route(upstream: Commerce, tmp_path: Path) -> None:
    """Records of somebody else are withheld and told of, and the route closed for both lanes."""
    async with run_site(upstream, tmp_path, config=CLOSING) as site:
        await warm(site)
        assert (await site.customer(RON.email, "GET", "/v2/orders")).status == 200
        upstream.fault(Fault.IGNORE_FILTER, when=at("/v2/orders"))
        answer = await site.customer(RON.email, "GET", "/v2/orders")
        assert (answer.status, answer.code) == (502, "GUARD_VIOLATION")
        assert LESLIE.canary.encode() not in answer.body
        for lines in ({}, {"Connection": "close"}):
            answer = await site.customer(RON.email, "GET", "/v2/orders", headers=lines)
            assert (answer.status, answer.code) == (503, "ROUTE_CLOSED")
        told = await until_lines(site, "orders", 4)
        assert [line["lane"] for line in told] == ["express", "express", "express", "standard"]
        events = [line["event"] for line in site.log_lines()]
        assert [event for event in events if event in {"guard_violated", "route_closed"}] == [
            "guard_violated",
            "route_closed",
        ]


async def test_a_head_request_of_a_guarded_list(site: Site) -> None:
    """HEAD is judged as GET is, and says the length of what GET would give."""
    await warm(site)
    target = f"/v2/customers/{RON.id}/addresses"
    whole = await site.customer(RON.email, "GET", target)
    answer = await site.customer(RON.email, "HEAD", target)
    assert answer.body == b""
    assert answer.headers["Content-Length"] == str(len(whole.body))
    assert json.loads(whole.body)["data"]
    assert [request.method for request in site.commerce.requests if request.path == target] == ["GET", "GET"]


async def test_many_at_once(site: Site) -> None:
    """Two customers on many connections at once get their own, whichever lane their requests take."""
    people = (RON, LESLIE)
    bearer = f"Authorization: Bearer {await site.bearer()}"
    tokens = {person.id: f"X-Moltin-Customer-Token: {await site.token(person.email)}" for person in people}

    async def ask(client: RawClient, number: int) -> None:
        person = people[number % 2]
        target = f"/v2/customers/{person.id}/addresses"
        for _ in range(20):
            client.ask("GET", target, bearer, tokens[person.id])
            client.ask("GET", target, bearer, tokens[person.id])
            for _ in range(2):
                reply = await client.reply()
                assert reply.status == 200
                assert person.canary.encode() in reply.body
                assert people[1 - number % 2].canary.encode() not in reply.body

    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(site)) for _ in range(10)]
        with suppress(asyncio.CancelledError):
            async with asyncio.TaskGroup() as group:
                for number, client in enumerate(clients):
                    group.create_task(ask(client, number))
    lanes = [line["lane"] for line in await until_lines(site, "addresses-list", 400)]
    assert lanes.count("express") > 300
