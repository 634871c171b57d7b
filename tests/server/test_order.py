"""Requests that are sent ahead: each gets its own answer, in order, with its own body, however many there are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from gateway.demo.data import LESLIE, RON
from gateway.vocab.messages import Body, Reply, Request
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import Site
from tests.server.raw import RawClient, connected, until
from tests.server.stage import CANARY, KIB, MIB, Told, assert_error, done, stage
from tests.server.wires import wired

PRODUCTS, BRANDS, CURRENCIES = "/v2/products", "/v2/brands", "/v2/currencies"
CART_ITEMS = "/v2/carts/order/items"
# As many as a client may send ahead before no more is read.
AHEAD = 32


@asynccontextmanager
async def gated(commerce: Commerce, path: str, times: int | None = None) -> AsyncIterator[asyncio.Event]:
    """Let the upstream wait before it answers a path, until the event is set; at the latest until the end."""
    gate = asyncio.Event()
    commerce.fault(Fault.SLOW_HEAD, when=at(path), times=times, gate=gate)
    try:
        yield gate
    finally:
        gate.set()


def echo(request: Request, body: Body) -> Reply:
    """Reply at once with what was asked, and with the body as far as it has come."""
    raw = body.taken(MIB)
    return Reply(200, (), request.target.encode() + (raw if isinstance(raw, bytes) else b" late"))


async def assert_echoes(client: RawClient, wanted: list[bytes]) -> None:
    """Check what comes, in this order."""
    assert [(await client.reply()).body for _ in wanted] == wanted


# --- How many ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, AHEAD - 1, AHEAD, AHEAD + 1, 2 * AHEAD, 2 * AHEAD + 1, 300])
@pytest.mark.parametrize("packets", ["one", "first alone", "each"])
async def test_none_is_lost(count: int, packets: str) -> None:
    """However many are sent ahead, and however they come, all are answered: reading is paused, and goes on."""
    gate = asyncio.Event()

    async def later() -> Reply:
        await gate.wait()
        return Reply(200, (), b"/0")

    flow = Told(deciding=lambda request, body: later if request.target == "/0" else echo(request, body))
    requests = [f"GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n" for number in range(count)]
    async with stage(flow) as run, run.connected() as client:
        if packets == "each":
            for request in requests:
                client.send(request)
                await asyncio.sleep(0)
        elif packets == "first alone":
            client.send(requests[0])
            await until(lambda: bool(flow.asked))
            client.send("".join(requests[1:]))
        else:
            client.send("".join(requests))
        await until(lambda: bool(flow.asked))
        gate.set()
        await assert_echoes(client, [f"/{number}".encode() for number in range(count)])
        client.ask("GET", "/last")
        await assert_echoes(client, [b"/last"])
        await run.finished(count + 1)
        assert [request.target for request in flow.asked] == [*(f"/{number}" for number in range(count)), "/last"]
        await run.emptied()


async def test_what_is_sent_far_ahead_is_not_read() -> None:
    """A client that sends and sends while its first request is under way is held; what it sent is not kept here."""
    gate = asyncio.Event()

    async def later() -> Reply:
        await gate.wait()
        return Reply(200, (), b"/0")

    flow = Told(deciding=lambda request, body: later if request.target == "/0" else echo(request, body))
    pad = "X-Pad: " + "x" * 8000
    async with stage(flow) as run, run.connected() as client:
        client.ask("GET", "/0")
        await until(lambda: bool(flow.asked))
        total = 3000
        for number in range(1, total):
            client.ask("GET", f"/{number}", pad)
        left = client.writer.transport.get_write_buffer_size
        # What was sent fills the sockets' buffers; the rest stays with the client.
        seen = -1
        while seen != left():
            seen = left()
            await asyncio.sleep(0.1)
        assert left() > 10 * MIB
        gate.set()
        await assert_echoes(client, [f"/{number}".encode() for number in range(total)])
        await run.emptied()


async def test_reading_is_paused_and_goes_on() -> None:
    """At 32 requests no more is read; when half of them are answered it is again, not at each of them."""
    gate = asyncio.Event()

    async def later() -> Reply:
        await gate.wait()
        return Reply(204)

    asking = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    flow = Told(decided=later)
    async with wired(flow, asking) as run:
        run.protocol.data_received(asking * (AHEAD - 2))
        assert run.client.pauses == []
        run.protocol.data_received(asking * 100)
        assert run.client.pauses == ["pause"]
        gate.set()
        await until(lambda: len(run.done) == AHEAD - 1 + 100)
        assert run.client.pauses[-1] == "resume"
        assert len([one for one in run.client.pauses if one == "pause"]) < 12
        assert bytes(run.client.written).count(b"HTTP/1.1 204") == AHEAD - 1 + 100


async def test_a_flood_of_requests_that_are_refused_at_once(bare: Site) -> None:
    """Thousands sent ahead are answered without recursion, and others are answered meanwhile."""
    proof = f"Authorization: Bearer {await bare.bearer()}"
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


# --- Bodies -----------------------------------------------------------------------------------------------------------


def framed(kind: str, body: bytes) -> bytes:
    """Write the framing lines of a body, the end of the head, and the body."""
    if kind == "length":
        return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    step = max(1, len(body) // 3)
    pieces = [body[start : start + step] for start in range(0, len(body), step)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 1000, 70 * KIB, 300 * KIB])
@pytest.mark.parametrize("kind", ["length", "chunks", "mixed"])
async def test_bodies_are_never_mixed(kind: str, size: int) -> None:
    """POSTs and GETs sent ahead are answered in order, each with its own body and no byte of another's."""
    flow = Told(reads=True)
    bodies = [bytes([65 + number]) * size for number in range(20)]
    async with stage(flow) as run, run.connected() as client:

        async def send() -> None:
            for number, body in enumerate(bodies):
                how = ("length", "chunks")[number % 2] if kind == "mixed" else kind
                client.send(b"POST /%d HTTP/1.1\r\nHost: x\r\n" % number + framed(how, body))
                client.ask("GET", f"/get-{number}")
                await client.writer.drain()

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            for _ in range(2 * len(bodies)):
                assert (await client.reply()).status == 200
        assert flow.bodies == bodies
        expected = [target for number in range(len(bodies)) for target in (f"/{number}", f"/get-{number}")]
        assert [request.target for request in flow.asked] == expected
        await run.emptied()


@pytest.mark.parametrize("kind", ["length", "chunks"])
async def test_a_body_that_is_streamed_is_followed_by_the_next_request(bare: Site, kind: str) -> None:
    """An upload that is passed on as it comes ends where it ends: what follows it is the next request."""
    proof = f"Authorization: Bearer {await bare.bearer()}".encode()
    bare.commerce.count_upload(at(CART_ITEMS, "PUT"))
    body = b"GET / HTTP/1.1\r\n\r\n" * 20_000
    head = b"PUT %b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (CART_ITEMS.encode(), proof)
    async with connected(bare) as client:

        async def send() -> None:
            for _ in range(3):
                client.send(head + framed(kind, body))
                client.send(b"GET %b HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % (BRANDS.encode(), proof))
                await client.writer.drain()

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            for _ in range(3):
                assert (await client.reply()).json()["data"]["bytes"] == len(body)
                assert b'"brand"' in (await client.reply()).body
    assert [request.method for request in bare.commerce.requests] == ["PUT", "GET"] * 3


async def test_a_body_that_looks_like_requests(bare: Site) -> None:
    """A body is never read as a request, between others either."""
    proof = f"Authorization: Bearer {await bare.bearer()}"
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


async def test_one_body_is_full_while_another_is_read() -> None:
    """A large body behind one that is still read is held without losing a byte of either."""
    gate = asyncio.Event()
    flow = Told(reads=True)

    async def later() -> Reply:
        await gate.wait()
        return Reply(204)

    flow.deciding = lambda request, _: later if request.target == "/first" else None
    small, large = b"s" * 1000, b"l" * 700 * KIB
    async with stage(flow) as run, run.connected() as client:
        client.ask("GET", "/first")
        client.ask("POST", "/small", body=small)
        client.ask("POST", "/large", body=large)
        client.ask("POST", "/small", body=small)
        await until(lambda: bool(flow.asked))
        await asyncio.sleep(0.05)
        gate.set()
        for status in (204, 200, 200, 200):
            assert (await client.reply()).status == status
        assert flow.bodies == [small, large, small]
        await run.emptied()


# --- In order ---------------------------------------------------------------------------------------------------------


async def test_requests_sent_ahead_are_answered_in_order(bare: Site) -> None:
    """Whatever a request has to wait for, its reply leaves when those before it have left."""
    proof = f"Authorization: Bearer {await bare.bearer()}"
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
    """Hundreds of different ones: each gets its own answer, in order."""
    proof = f"Authorization: Bearer {await bare.bearer()}"
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


async def test_one_connection_on_either_side_serves_many_requests(bare: Site) -> None:
    """Requests one after the other use the same two connections, and each says its own id everywhere."""
    # Each of the gateway's credentials may come over a connection of its own.
    await bare.has_credentials()
    proof = f"Authorization: Bearer {await bare.bearer()}"
    async with connected(bare) as client:
        ids = []
        for _ in range(5):
            client.ask("GET", PRODUCTS, proof)
            reply = await client.reply()
            assert (reply.status, reply.ends) == (200, False)
            ids += reply.values("x-request-id")
    assert [line["id"] for line in await done(bare, 5, "products")] == ids
    assert [request.header("x-request-id") for request in bare.commerce.requests] == ids
    assert len(set(ids)) == 5
    assert len({request.connection for request in bare.commerce.requests}) == 1


async def test_a_head_in_pieces(bare: Site) -> None:
    """A head may come byte by byte, and the beginning of the next one with its end."""
    proof = f"Authorization: Bearer {await bare.bearer()}"
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


async def test_a_reply_is_done_when_it_was_taken() -> None:
    """The next request begins when the client has taken enough of the reply before."""
    flow = Told(concluded=Reply(200, (), bytes(8 * MIB)))
    async with stage(flow) as run, run.connected() as client:
        client.ask("GET", "/a")
        client.ask("GET", "/b")
        await until(lambda: len(flow.answers) == 1)
        for _ in range(20):
            await asyncio.sleep(0)
        assert (len(flow.answers), run.done) == (1, [])
        assert [len((await client.reply()).body) for _ in range(2)] == [8 * MIB, 8 * MIB]
        await run.finished(2)


async def test_two_customers_at_once(site: Site) -> None:
    """Two customers on many connections at once get their own, on upstream connections that serve both in turn."""
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
        async with asyncio.TaskGroup() as group:
            for number, client in enumerate(clients):
                group.create_task(ask(client, number))
    assert len(await done(site, 400, "addresses-list")) == 400


async def test_two_customers_on_one_connection_in_turn(site: Site) -> None:
    """A client's connection that two customers share, as behind an ingress, gives each their own."""
    people = (RON, LESLIE)
    bearer = f"Authorization: Bearer {await site.bearer()}"
    tokens = {person.id: f"X-Moltin-Customer-Token: {await site.token(person.email)}" for person in people}
    async with connected(site) as client:
        for _ in range(20):
            for person in people:
                client.ask("GET", f"/v2/customers/{person.id}/addresses", bearer, tokens[person.id])
        for _ in range(20):
            for person, other in (people, people[::-1]):
                reply = await client.reply()
                assert person.canary.encode() in reply.body
                assert other.canary.encode() not in reply.body


# --- Where it ends ----------------------------------------------------------------------------------------------------


async def test_what_is_no_request_ends_the_connection_behind_those_before_it(bare: Site) -> None:
    """An error in the middle is answered in its turn; what follows it is not read."""
    proof = f"Authorization: Bearer {await bare.bearer()}"
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


async def test_nothing_is_read_behind_what_is_no_request() -> None:
    """Bytes behind unreadable ones belong to nobody, whether they come with them or later."""
    async with stage(Told(decided=Reply(204))) as run, run.connected() as client:
        client.ask("GET", "/a")
        await run.finished()
        client.send(f"GET / HTTP/1.1\r\nX-A: {CANARY}\r\n\r\n")
        client.ask("GET", "/b")
        await until(lambda: len(run.done) == 2)
        client.ask("GET", "/c")
        assert (await client.reply()).status == 204
        assert_error(await client.reply(), 400, "REQUEST_MALFORMED")
        assert await client.rest() == b""
        assert [request.target for request in run.flow.asked] == ["/a"]


@pytest.mark.parametrize("upgrade", ["h2c", "TLS/1.0"])
async def test_bytes_behind_an_upgrade_are_no_request(bare: Site, upgrade: str) -> None:
    """What follows a request for another protocol belongs to nobody, and requests before it are answered."""
    proof = f"Authorization: Bearer {await bare.bearer()}"
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


LAST = {"HTTP/1.0": "GET /last HTTP/1.0\r\n\r\n", "close": "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"}


@pytest.mark.parametrize("last", LAST.values(), ids=LAST)
async def test_nothing_is_answered_behind_the_last_request(last: str) -> None:
    """A request that ends its connection ends it, whatever was sent behind it."""
    gate = asyncio.Event()

    async def later() -> Reply:
        await gate.wait()
        return Reply(200, (), b"/first")

    flow = Told(deciding=lambda request, body: later if request.target == "/first" else echo(request, body))
    async with stage(flow) as run, run.connected() as client:
        client.ask("GET", "/first")
        client.send(last)
        await until(lambda: bool(flow.asked))
        client.ask("GET", "/behind")
        gate.set()
        await assert_echoes(client, [b"/first", b"/last"])
        assert await client.rest() == b""
        assert [request.target for request in flow.asked] == ["/first", "/last"]
        await run.emptied()


@pytest.mark.parametrize("last", LAST.values(), ids=LAST)
async def test_what_cannot_be_read_is_carried_out_with_nothing_that_came_with_it(last: str) -> None:
    """In one breath with bytes that are no request, no request was heard: one 400, and nothing is carried out."""
    async with stage(Told(deciding=echo)) as run, run.connected() as client:
        client.send("POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" + last + "GET /behind HTTP/1.1\r\n")
        assert_error(await client.reply(), 400, "REQUEST_MALFORMED")
        assert await client.rest() == b""
        assert not run.flow.asked


@pytest.mark.parametrize("is_cut", [False, True])
async def test_nothing_is_begun_behind_framing_that_is_refused(is_cut: bool) -> None:  # noqa: FBT001 - a case
    """What was sent before it is answered; what stands behind is not, whether it came in one read or in two."""
    before = b"GET /before HTTP/1.1\r\nHost: x\r\n\r\n"
    body = b"3;" + b"a" * 40_000 + b"\r\nabc\r\n0\r\n\r\n"
    head = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with stage(Told(is_open=True)) as run, run.connected() as client:
        client.send(before)
        assert (await client.reply()).status == 200
        client.send(b"" if is_cut else before)
        client.send(head)
        if is_cut:
            await until(lambda: len(run.flow.asked) == 2)
        client.send(body + b"GET /behind HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.rest()
        assert not [request for request in run.flow.asked if request.target == "/behind"]
