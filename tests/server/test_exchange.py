"""One request between a client and an upstream: what is decided at once or later, relayed, judged, or goes wrong."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.decision import Decided
from gateway.demo.data import LESLIE, RON
from gateway.vocab.events import Failed
from gateway.vocab.messages import Answer, Reply
from gateway.vocab.refusals import Code, Refusal
from tests.fakes.commerce import Commerce, ConnectionState, Fault, at
from tests.gateways import Site
from tests.gateways import site as run_site
from tests.server.raw import connected
from tests.server.stage import CANARY, IMAGE, MIB, OK, Stage, Told, answering, assert_error, done, stage

PRODUCTS, BRANDS = "/v2/products", "/v2/brands"
CART = "/v2/carts/exchange"


def failures(run: Stage) -> list[Failed]:
    """Return the bugs that were told of."""
    return [event for event in run.events if isinstance(event, Failed)]


# --- Decided at once, or later ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [(OK,), (OK[:30], OK[30:-3], OK[-3:])], ids=["at once", "in pieces"])
async def test_a_reply(pieces: tuple[bytes, ...]) -> None:
    """The answer is concluded whole, and one line is told of it."""
    flow = Told(concluded=Reply(201, (("x-a", "b"), ("content-type", "text/plain")), b"text"))
    async with stage(flow, answering(*pieces)) as run, run.connected() as client:
        client.ask("GET", "/a")
        reply = await client.reply()
        assert (reply.status, reply.body, reply.values("x-a")) == (201, b"text", ["b"])
        (event,) = run.done
        assert (event.status, event.bytes_sent, event.aborted, event.trace.upstream_calls) == (201, 4, False, 1)
        assert event.seconds >= event.trace.upstream_seconds > 0
    assert flow.answers == [Answer(200, (("content-type", "application/json"), ("content-length", "11")), OK[-11:])]


async def test_a_refusal_needs_no_upstream() -> None:
    """A request that is refused is answered at once, and counted."""
    async with stage(Told(decided=Refusal(Code.ROUTE_UNKNOWN))) as run, run.connected() as client:
        client.ask("HEAD", "/a")
        client.ask("GET", "/a")
        head = await client.reply(to_head=True)
        reply = await client.reply()
        assert head.values("content-length") == reply.values("content-length")
        assert_error(reply, 404, "ROUTE_UNKNOWN")
        assert [(event.status, event.bytes_sent, event.trace.code) for event in run.done] == [
            (404, 0, "ROUTE_UNKNOWN"),
            (404, len(reply.body), "ROUTE_UNKNOWN"),
        ]


@pytest.mark.parametrize("where", ["decided", "concluded", "rejection"])
async def test_a_reply_that_comes_later(where: str) -> None:
    """Whatever may wait: the next request waits with it, and a client that leaves ends the wait."""
    gate, begun, cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def later() -> Decided:
        begun.set()
        try:
            await gate.wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return Reply(200, (), b"later")

    flow = Told()
    setattr(flow, where, later)
    upstream = answering(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n") if where == "rejection" else None
    async with stage(flow, upstream) as run:
        async with run.connected() as client:
            client.ask("GET", "/a")
            await asyncio.wait_for(begun.wait(), 5)
            client.leave()
            await asyncio.wait_for(cancelled.wait(), 5)
        await run.finished()
        assert (run.done[0].status, run.done[0].aborted) == (499, True)
        async with run.connected() as client:
            client.ask("GET", "/a")
            client.ask("GET", "/b")
            gate.set()
            assert [(await client.reply()).body for _ in range(2)] == [b"later", b"later"]
        await run.emptied()


async def test_later_may_lead_to_later() -> None:
    """What was waited for may say that something else must be waited for, and in the end that the request is sent."""
    steps = []

    async def first() -> Decided:
        steps.append("first")
        return second

    async def second() -> Decided:
        await asyncio.sleep(0)
        steps.append("second")
        return ready

    flow = Told(decided=first)
    async with stage(flow) as run, run.connected() as client:
        snapshot = run.edge.serving.snapshot
        request = run.edge.request("GET", "/from-later", [], "-")
        ready = flow.ready(snapshot, request, b"", uploads=False)
        client.ask("GET", "/a")
        assert (await client.reply()).body == b"{}"
        assert steps == ["first", "second"]
        assert len(flow.answers) == 1


# --- Bugs -------------------------------------------------------------------------------------------------------------


async def raises() -> Decided:
    """Fail after a wait."""
    await asyncio.sleep(0)
    raise LookupError(f"of {CANARY}")


BUGS = {
    "decided": Told(decided=LookupError(f"of {CANARY}")),
    "decided later": Told(decided=raises),
    "concluded": Told(concluded=LookupError(f"of {CANARY}")),
    "concluded later": Told(concluded=raises),
}


@pytest.mark.parametrize("bug", BUGS)
async def test_a_bug_is_answered_without_its_text(bug: str) -> None:
    """Whatever is raised is a 500 that shows nothing and an event of type and place only; the connection goes on."""
    async with stage(BUGS[bug]) as run, run.connected() as client:
        for _ in range(2):
            client.ask("GET", "/a")
            reply = await client.reply()
            assert_error(reply, 500, "INTERNAL")
            assert not reply.ends
            assert CANARY not in reply.body.decode()
        assert [failure.error.partition(" at ")[0] for failure in failures(run)] == ["LookupError"] * 2
        assert CANARY not in str(run.events)
        assert [event.status for event in run.done] == [500, 500]
        await run.emptied()


@pytest.mark.parametrize("value", ["a\r\nset-cookie: b=c", "a\nb", "a\rb"])
@pytest.mark.parametrize("where", ["decided", "concluded"])
async def test_no_value_ends_its_line(value: str, where: str) -> None:
    """A reply that would be split is not written: it is a bug, and told of before a byte has left."""
    flow = Told()
    setattr(flow, where, Reply(200, (("x-a", value),), b"{}"))
    async with stage(flow) as run, run.connected() as client:
        client.ask("GET", "/a")
        client.ask("GET", "/b")
        for _ in range(2):
            reply = await client.reply()
            assert_error(reply, 500, "INTERNAL")
            assert not reply.values("set-cookie")
        await run.emptied()
        assert [event.request_id for event in failures(run)] == [event.id for event in run.done]
        assert len(run.done) == 2


# --- The upstream's answer --------------------------------------------------------------------------------------------


async def test_a_rejected_bearer() -> None:
    """A 401 doubts our bearer, and is never the client's; the flow says how it goes on."""
    flow = Told()
    upstream = answering(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n")
    async with stage(flow, upstream) as run, run.connected() as client:
        client.ask("GET", "/a")
        assert_error(await client.reply(), 503, "CREDENTIAL_UNAVAILABLE")
        assert flow.rejected_answers == 1
        assert run.done[0].trace.upstream_seconds > 0
        await run.emptied()


@pytest.mark.parametrize("kind", ["length", "chunks", "in pieces"])
async def test_a_rejected_bearer_whose_answer_has_a_body(kind: str) -> None:
    """What a 401 says is read by nobody, and is not in front of the next answer."""
    body = b'{"errors":[{"status":401}]}'
    said = {
        "length": [b"HTTP/1.1 401 No\r\ncontent-length: %d\r\n\r\n" % len(body) + body],
        "chunks": [b"HTTP/1.1 401 No\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)],
        "in pieces": [b"HTTP/1.1 401 No\r\ncontent-length: %d\r\n\r\n" % len(body), body[:5], body[5:]],
    }[kind]
    answers = [said, [OK], [OK]]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            for piece in answers.pop(0):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.002)

    flow = Told()
    async with stage(flow, serve) as run, run.connected() as client:
        client.ask("GET", "/a")
        assert_error(await client.reply(), 503, "CREDENTIAL_UNAVAILABLE")
        for _ in range(2):
            client.ask("GET", "/a")
            assert (await client.reply()).status == 200
        assert [answer.body for answer in flow.answers] == [OK[-11:]] * 2
        await run.emptied()


@pytest.mark.parametrize("is_open", [False, True], ids=["judged", "relayed"])
@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param((), id="before a byte"),
        pytest.param((b"garbage",), id="no HTTP"),
        pytest.param((OK[:20],), id="within the head"),
        pytest.param(
            (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",),
            id="odd chunks",
        ),
    ],
)
async def test_an_answer_that_is_none(pieces: tuple[bytes, ...], *, is_open: bool) -> None:
    """An answer that cannot be read, or breaks off before anything of it has left, is a 502; the client goes on."""
    flow = Told(is_open=is_open)
    async with stage(flow, answering(*pieces, is_kept=False)) as run, run.connected() as client:
        client.ask("GET", "/a")
        reply = await client.reply()
        assert_error(reply, 502, "UPSTREAM_INVALID")
        assert not reply.ends
        client.ask("GET", "/a")
        assert (await client.reply()).status == 502
        await run.emptied()
        assert len(run.done) == 2


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param((OK[:-1],), id="broken off"),
        pytest.param((b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n",), id="announced too large"),
        pytest.param((b"HTTP/1.1 200 OK\r\n\r\n", bytes(9 * MIB)), id="too large"),
        pytest.param((b"HTTP/1.1 200 OK\r\ncontent-length: 9437184\r\n\r\n" + bytes(9 * MIB),), id="too large at once"),
    ],
)
async def test_an_answer_that_cannot_be_judged(pieces: tuple[bytes, ...]) -> None:
    """What is to be judged must come whole, within its limit."""
    async with stage(Told(), answering(*pieces, is_kept=False)) as run, run.connected() as client:
        client.ask("GET", "/a")
        reply = await client.reply()
        assert_error(reply, 502, "UPSTREAM_INVALID")
        assert not reply.ends
        assert not run.flow.answers
        await run.emptied()


@pytest.mark.parametrize("is_announced", [True, False])
async def test_a_packed_answer_of_an_open_route_that_is_too_large(*, is_announced: bool) -> None:
    """To a client that takes no packed ones it cannot be given whole, and nothing of it is no answer."""
    packed = b"content-type: application/json\r\ncontent-encoding: gzip\r\n"
    head = b"HTTP/1.1 200 OK\r\n" + packed + (b"content-length: 9437184\r\n\r\n" if is_announced else b"\r\n")
    flow = Told(is_open=True)
    async with stage(flow, answering(head, bytes(9 * MIB), is_kept=False)) as run, run.connected() as client:
        client.ask("GET", "/a")
        assert_error(await client.reply(), 502, "UPSTREAM_INVALID")
        await run.emptied()


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_relayed_answer_breaks_off(framing: str) -> None:
    """What has begun can only be broken off, so that nobody takes it for whole."""
    line = b"content-length: 9\r\n\r\n" if framing == "length" else b"transfer-encoding: chunked\r\n\r\n5\r\n"
    upstream = answering(IMAGE + line, b"abcde", is_kept=False)
    async with stage(Told(is_open=True), upstream) as run, run.connected() as client:
        client.ask("GET", "/a")
        assert (await client.head())[0] == 200
        with pytest.raises(ConnectionResetError):
            await client.reader.read()
        await run.finished()
        assert (run.done[0].status, run.done[0].aborted) == (200, True)
        await run.emptied()


@pytest.mark.parametrize("framing", ["length", "chunks", "to the end", "at once"])
async def test_a_relayed_answer(framing: str) -> None:
    """However an answer is framed, its body is passed on whole, and the connection goes on."""
    pieces = {
        "length": [IMAGE + b"content-length: 9\r\n\r\n", b"abc", b"def", b"ghi"],
        "chunks": [IMAGE + b"transfer-encoding: chunked\r\n\r\n", b"3\r\nabc\r\n", b"6\r\ndefghi\r\n", b"0\r\n\r\n"],
        "to the end": [IMAGE + b"\r\n", b"abc", b"defghi"],
        "at once": [IMAGE + b"content-length: 9\r\n\r\nabcdefghi"],
    }[framing]
    upstream = answering(*pieces, is_kept=framing != "to the end")
    async with stage(Told(is_open=True), upstream) as run, run.connected() as client:
        for _ in range(2):
            client.ask("GET", "/a")
            reply = await client.reply()
            assert (reply.status, reply.body, reply.ends) == (200, b"abcdefghi", False)
        assert [(event.bytes_sent, event.aborted) for event in run.done] == [(9, False)] * 2


async def test_an_empty_relayed_answer() -> None:
    """No answer that old clients could stand: an error, or 204 for DELETE."""
    said = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n"
    async with stage(Told(is_open=True), answering(said)) as run, run.connected() as client:
        client.ask("GET", "/a")
        assert_error(await client.reply(), 502, "UPSTREAM_INVALID")
        client.ask("DELETE", "/a")
        reply = await client.reply()
        assert (reply.status, reply.values("content-length")) == (204, [])
        assert len(run.done) == 2


async def test_an_error_of_an_open_route() -> None:
    """Its messages leave in the envelope of every error."""
    body = json.dumps({"errors": [{"status": 422, "title": "No", "detail": "a value"}]}).encode()
    said = b"HTTP/1.1 422 No\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    async with stage(Told(is_open=True), answering(said)) as run, run.connected() as client:
        client.ask("GET", "/a")
        reply = await client.reply()
        assert (reply.status, reply.json()["errors"][0]["detail"]) == (422, "a value")
        assert run.done[0].status == 422


# --- Through the whole gateway ----------------------------------------------------------------------------------------


async def test_a_connection_that_the_upstream_has_closed(bare: Site) -> None:
    """A connection that died in the pool is nobody's fault: the request goes through another one."""
    proof = f"Authorization: Bearer {await bare.bearer()}"
    async with connected(bare) as client:
        for _ in range(3):
            client.ask("GET", BRANDS, proof)
            assert b'"brand"' in (await client.reply()).body
            bare.commerce.close_connections()


@pytest.mark.parametrize(("method", "asked", "status"), [("GET", 2, 200), ("DELETE", 1, 502)])
async def test_an_upstream_that_closes_before_its_answer(bare: Site, method: str, asked: int, status: int) -> None:
    """Nobody knows whether it was read: what changes nothing is asked once more, anything else never."""
    proof = f"Authorization: Bearer {await bare.bearer()}"
    bare.commerce.fault(Fault.CLOSE, when=at(CART), times=1)
    async with connected(bare) as client:
        client.ask(method, CART, proof)
        assert (await client.reply()).status == status
    assert len(bare.commerce.requests) == asked
    (line,) = await done(bare, 1, "cart")
    assert line["status"] == status


async def test_an_answer_nobody_asked_for_reaches_nobody(site: Site) -> None:
    """Neither behind an answer nor on a connection at rest: the next request gets its own, on another connection."""
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
    """Refused at once, and served when it is back."""
    proof = f"Authorization: Bearer {await bare.bearer()}"
    assert (await bare.public("GET", BRANDS)).status == 200
    await bare.commerce.stop()
    async with connected(bare) as client:
        for _ in range(3):
            client.ask("GET", BRANDS, proof)
            reply = await client.reply()
            assert_error(reply, 502, "UPSTREAM_UNREACHABLE")
        await bare.commerce.start()
        client.ask("GET", BRANDS, proof)
        assert b'"brand"' in (await client.reply()).body


async def test_time_runs_out(upstream: Commerce, tmp_path: Path) -> None:
    """An upstream that says nothing is a 504 whose wait is told; the connection is not used again."""
    config = "extends: moltin.yaml\nupstream: {timeouts: {connect: 100ms, first_byte: 200ms, idle: 100ms}}\n"
    async with run_site(upstream, tmp_path, config=config, passwords=False) as site:
        proof = f"Authorization: Bearer {await site.bearer()}"
        upstream.fault(Fault.SILENT, when=at(PRODUCTS))
        async with connected(site) as client:
            client.ask("GET", PRODUCTS, proof)
            assert_error(await client.reply(), 504, "UPSTREAM_TIMEOUT")
        (line,) = await done(site, 1, "products")
        assert line["upstream_calls"] == 1
        assert line["upstream_ms"] >= 150
        used = upstream.requests[0].connection
        await upstream.wait(lambda: used.state is not ConnectionState.OPEN)


async def test_a_slow_reader_slows_the_upstream_down(bare: Site) -> None:
    """What a client does not take is not fetched; when it takes it again, nothing is missing."""
    proof = f"Authorization: Bearer {await bare.bearer()}"
    size = 32 * MIB
    download = bare.commerce.stream_down(at(PRODUCTS), size)
    async with connected(bare, buffer=65536) as client:
        client.ask("GET", PRODUCTS, proof)
        _, headers, _ = await client.head()
        assert dict(headers)["content-length"] == str(size)
        sent = -1
        while sent != download.sent:
            sent = download.sent
            await asyncio.sleep(0.1)
        # Three socket buffers and the gateway's own, of which the kernel decides most.
        assert download.sent < 16 * MIB
        read = 0
        while read < size:
            read += len(await client.reader.read(MIB))
        assert read == size
        client.ask("GET", BRANDS, proof)
        assert b'"brand"' in (await client.reply()).body
    (line,) = await done(bare, 1, "products")
    assert (line["bytes"], line["aborted"]) == (size, False)


async def test_the_metrics_count_each_request(bare: Site) -> None:
    """A request is counted under caller, route and status, and nothing else tells its way from another's."""
    proof = f"Authorization: Bearer {await bare.bearer()}"
    async with connected(bare) as client:
        client.ask("GET", PRODUCTS, proof)
        kept = await client.reply()
    async with connected(bare) as client:
        client.ask("GET", PRODUCTS, proof, "Connection: close")
        last = await client.reply()
    one, other = await done(bare, 2, "products")
    changing = {"ts", "id", "ms", "upstream_ms"}
    assert {name: one[name] for name in one if name not in changing} == {
        name: other[name] for name in other if name not in changing
    }
    assert one["ms"] >= one["upstream_ms"] > 0
    assert kept.body == last.body
    assert 'gateway_requests_total{caller="public",route="products",status="200"} 2.0' in await bare.metrics()


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
    """Records of somebody else are withheld and told of, and the route is closed for everybody."""
    async with run_site(upstream, tmp_path, config=CLOSING) as site:
        assert (await site.customer(RON.email, "GET", "/v2/orders")).status == 200
        upstream.fault(Fault.IGNORE_FILTER, when=at("/v2/orders"))
        answer = await site.customer(RON.email, "GET", "/v2/orders")
        assert (answer.status, answer.code) == (502, "GUARD_VIOLATION")
        assert LESLIE.canary.encode() not in answer.body
        for lines in ({}, {"Connection": "close"}):
            answer = await site.customer(RON.email, "GET", "/v2/orders", headers=lines)
            assert (answer.status, answer.code) == (503, "ROUTE_CLOSED")
        await done(site, 4, "orders")
        events = [line["event"] for line in site.log_lines()]
        assert [event for event in events if event in {"guard_violated", "route_closed"}] == [
            "guard_violated",
            "route_closed",
        ]


async def test_a_head_request_of_a_guarded_list(site: Site) -> None:
    """HEAD is judged as GET is, and says the length of what GET would give."""
    target = f"/v2/customers/{RON.id}/addresses"
    whole = await site.customer(RON.email, "GET", target)
    answer = await site.customer(RON.email, "HEAD", target)
    assert answer.body == b""
    assert answer.headers["Content-Length"] == str(len(whole.body))
    assert json.loads(whole.body)["data"]
    assert [request.method for request in site.commerce.requests if request.path == target] == ["GET", "GET"]
