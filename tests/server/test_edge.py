"""The clients' side: malformed bytes, connections, clients that leave, and what the log says of each request."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway.config.compile import key_ring, snapshot
from gateway.config.load import load
from gateway.demo.data import RON, RON_ID
from gateway.flow import Snapshot
from gateway.server.edge import Edge, GatewayServer, Patience
from gateway.vocab.events import Event, Failed, RequestDone
from gateway.vocab.messages import Body, Reply, Request, Trace
from gateway.vocab.refusals import Refusal
from tests.fakes.commerce import Fault, at
from tests.gateways import MOLTIN, Site, environment
from tests.server.raw import RawClient, RawReply, connected, until

CANARY = "eyJ-canary-token-in-a-broken-line"
MIB = 1024 * 1024
STANDARD = Patience()


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


async def done(site: Site, count: int = 1) -> list[dict[str, Any]]:
    """Return the access log once it has `count` lines."""

    def lines() -> list[dict[str, Any]]:
        return [line for line in site.log_lines() if line["event"] == "request"]

    await until(lambda: len(lines()) >= count)
    return lines()


@dataclass(slots=True)
class Stage:
    """Stands where flow does: answers with what the test gives, or raises it."""

    outcome: Reply | Refusal | Exception = field(default_factory=lambda: Reply(204))
    reads: bool = False
    asked: list[Request] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    async def handle(self, snapshot: Snapshot, request: Request, body: Body, trace: Trace) -> Reply | Refusal:
        """Answer as told."""
        del snapshot, trace
        self.asked.append(request)
        if self.reads:
            await body.read(MIB)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@asynccontextmanager
async def stage(stage: Stage, folder: Path, patience: Patience = STANDARD) -> AsyncIterator[RawClient]:
    """Run an edge over a stage, and connect to it."""
    config = load(MOLTIN, environment(folder, "http://upstream.example"))
    compiled = snapshot(config, key_ring(config))
    clock = asyncio.get_running_loop().time
    edge = Edge(stage, lambda: compiled, stage.events.append, clock, clock, patience)
    runner = web.ServerRunner(GatewayServer(edge, keepalive_timeout=5), handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()
        await runner.cleanup()


# --- What is no request ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param("GET /v2/products\r\n\r\n", "REQUEST_MALFORMED", id="HTTP/0.9"),
        pytest.param("GET /v2/products HTTP/0.9\r\nHost: x\r\n\r\n", "REQUEST_MALFORMED", id="HTTP/0.9 by name"),
        pytest.param("GET /v2/products HTTP/2.0\r\nHost: x\r\n\r\n", "REQUEST_MALFORMED", id="HTTP/2.0"),
        pytest.param("GET /v2/products HTTP/3.7\r\nHost: x\r\n\r\n", "REQUEST_MALFORMED", id="HTTP/3.7"),
        pytest.param("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "REQUEST_MALFORMED", id="the preface of HTTP/2"),
        pytest.param("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "REQUEST_MALFORMED", id="TLS"),
        pytest.param("get /v2/products HTTP/1.1\r\nHost: x\r\n\r\n", "REQUEST_MALFORMED", id="method in lower case"),
        pytest.param("CONNECT evil:443 HTTP/1.1\r\nHost: x\r\n\r\n", "REQUEST_MALFORMED", id="CONNECT"),
        pytest.param(f"GET / HTTP/1.1\r\nHost: x\r\nX-A: {CANARY}\x01\r\n\r\n", "REQUEST_MALFORMED", id="control"),
        pytest.param(f"GET / HTTP/1.1\r\nHost: x\r\nX-A: {CANARY}\x00\r\n\r\n", "REQUEST_MALFORMED", id="NUL"),
        pytest.param(f"GET / HTTP/1.1\r\nHost: x\r\nX A: {CANARY}\r\n\r\n", "REQUEST_MALFORMED", id="space in a name"),
        pytest.param(f"GET / HTTP/1.1\r\nHost: x\r\nX-A : {CANARY}\r\n\r\n", "REQUEST_MALFORMED", id="space, colon"),
        pytest.param(f"GET / HTTP/1.1\r\nHost: x\r\n{CANARY}\r\n\r\n", "REQUEST_MALFORMED", id="no colon"),
        pytest.param(f"GET / HTTP/1.1\r\nHost: x\r\nX-A: a\r\n {CANARY}\r\n\r\n", "REQUEST_MALFORMED", id="obs-fold"),
        pytest.param(f"GET /{CANARY} x HTTP/1.1\r\nHost: x\r\n\r\n", "REQUEST_MALFORMED", id="space in the target"),
        pytest.param(
            f"POST / HTTP/1.1\r\nHost: x\r\nX-A: {CANARY}\r\nContent-Length: 5\r\n"
            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "REQUEST_MALFORMED",
            id="length and chunks",
        ),
        pytest.param(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            "REQUEST_MALFORMED",
            id="two lengths",
        ),
        pytest.param(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            "REQUEST_MALFORMED",
            id="the same length twice",
        ),
        pytest.param(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello", "REQUEST_MALFORMED", id="signed length"
        ),
        pytest.param(
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "REQUEST_MALFORMED",
            id="two codings",
        ),
        pytest.param("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "REQUEST_MALFORMED", id="two hosts"),
        pytest.param("GET / HTTP/1.1\nHost: x\n\n", "REQUEST_MALFORMED", id="bare line feeds"),
        pytest.param(
            f"GET /{CANARY}{'a' * 20_000} HTTP/1.1\r\nHost: x\r\n\r\n", "HEADERS_TOO_LARGE", id="a long target"
        ),
        pytest.param(
            f"GET / HTTP/1.1\r\nHost: x\r\nX-A: {CANARY}{'a' * 20_000}\r\n\r\n", "HEADERS_TOO_LARGE", id="a long line"
        ),
    ],
)
async def test_what_is_no_request(tmp_path: Path, raw: str, code: str) -> None:
    """Bytes that are no request get a JSON error and the end of the connection; nothing of them is shown or kept."""
    below = Stage()
    async with stage(below, tmp_path) as client:
        client.send(raw)
        reply = await client.reply()
        assert_error(reply, 431 if code == "HEADERS_TOO_LARGE" else 400, code)
        assert reply.ends
        assert await client.rest() == b""
    assert not below.asked
    assert CANARY not in str(reply) + str(below.events)
    (event,) = below.events
    assert isinstance(event, RequestDone)
    assert (event.status, event.trace.code, event.id) == (reply.status, code, reply.values("x-request-id")[0])


async def test_what_is_no_request_is_a_line_in_the_log(bare: Site) -> None:
    """The access log counts what was refused before it could be read, and quotes none of it."""
    async with connected(bare) as client:
        client.send(f"GET / HTTP/1.1\r\nHost: x\r\nX-Moltin-Customer-Token: {CANARY}\x01\r\n\r\n")
        assert_error(await client.reply(), 400, "REQUEST_MALFORMED")
    (line,) = await done(bare)
    assert (line["status"], line["code"], line["route"], line["peer"]) == (400, "REQUEST_MALFORMED", "-", "127.0.0.1")
    assert CANARY not in bare.log.getvalue()
    assert 'gateway_requests_total{caller="-",lane="standard",route="-",status="400"} 1.0' in await bare.metrics()


async def test_many_header_lines(bare: Site) -> None:
    """The number of header lines is limited."""
    async with connected(bare) as client:
        client.ask("GET", "/v2/products", *[f"X-{number}: a" for number in range(5000)])
        reply = await client.reply()
        assert_error(reply, reply.status, reply.code)
        assert reply.status in {400, 431}
        assert reply.ends


@pytest.mark.parametrize(
    "framing",
    [
        pytest.param("Content-Length: 2\r\n\r\n{}", id="length"),
        pytest.param("Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", id="chunks"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_get_has_no_body(bare: Site, method: str, framing: str) -> None:
    """GET and HEAD with a body are refused: upstreams disagree about what it means."""
    bearer = await bare.bearer()
    async with connected(bare) as client:
        client.send(f"{method} /v2/products HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n{framing}")
        reply = await client.reply(to_head=method == "HEAD")
        assert reply.status == 400
        if method == "GET":
            assert_error(reply, 400, "BODY_UNEXPECTED")
    assert not bare.commerce.requests


# --- Bodies that nobody reads ---------------------------------------------------------------------------------------

# These read the body before they refuse it.
READING = {"/v2/customers", "/v2/customers/tokens"}
SMUGGLED = b"GET /v2/currencies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "target", "kind", "status"),
    [
        pytest.param("POST", "/nowhere", "application/json", 404, id="no route"),
        pytest.param("PATCH", "/v2/products", "application/json", 405, id="no method"),
        pytest.param("POST", "/v2/customers", "text/plain", 415, id="wrong type"),
        pytest.param("POST", "/oauth/access_token", "application/json", 415, id="no form"),
        pytest.param("POST", "/v2/customers/tokens", "application/json", 400, id="no JSON"),
        pytest.param("POST", "/v2/carts/../x", "application/json", 400, id="bad target"),
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["with the head", "after the reply"])
async def test_an_unread_body_is_never_a_request(
    bare: Site, method: str, target: str, kind: str, status: int, *, late: bool
) -> None:
    """What follows a refused request's head is its body, never the next request."""
    bearer = await bare.bearer()
    body = SMUGGLED % bearer.encode()
    async with connected(bare) as client:
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        late = late and target not in READING
        client.send(head.encode() + (b"" if late else body))
        reply = await client.reply()
        assert_error(reply, status, reply.code)
        if late:
            assert reply.ends
            client.send(body)
            assert await client.rest() == b""
        elif reply.ends:
            assert await client.rest() == b""
        else:
            # The connection goes on, after the body.
            client.ask("GET", "/v2/products", f"Authorization: Bearer {bearer}")
            assert b'"product"' in (await client.reply()).body
    assert "/v2/currencies" not in [request.path for request in bare.commerce.requests]


async def test_a_body_that_is_announced_too_large_is_not_waited_for(bare: Site) -> None:
    """A length above the limit is refused before a byte of the body has come."""
    bearer = await bare.bearer()
    async with connected(bare) as client:
        client.send(
            f"POST /v2/customers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
            "Content-Type: application/json\r\nContent-Length: 300000\r\n\r\n"
        )
        reply = await client.reply()
        assert_error(reply, 413, "BODY_TOO_LARGE")
        assert reply.ends


async def test_a_chunked_body_stops_at_the_limit(bare: Site) -> None:
    """A body of unknown length is read up to the route's limit and no further."""
    bearer = await bare.bearer()
    async with connected(bare) as client:
        client.send(
            f"POST /v2/customers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(5):
            client.send(b"10000\r\n" + b" " * 65536 + b"\r\n")
        reply = await client.reply()
        assert_error(reply, 413, "BODY_TOO_LARGE")
        assert reply.ends


@pytest.mark.parametrize("chunk", [b"zz\r\n{}\r\n", b"2\r\n{}X\r\n", b"2;a=\nb\r\n{}\r\n"])
async def test_broken_chunks(bare: Site, chunk: bytes) -> None:
    """Chunks that are not well-formed are a 400, and nothing is forwarded."""
    bearer = await bare.bearer()
    async with connected(bare) as client:
        client.send(
            f"POST /v2/customers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        client.send(chunk)
        client.send(b"0\r\n\r\n")
        reply = await client.reply()
        assert_error(reply, 400, "REQUEST_MALFORMED")
        assert reply.ends
        assert await client.rest() == b""
    assert not bare.commerce.requests


# --- Connections ----------------------------------------------------------------------------------------------------


async def test_pipelined_requests_are_answered_in_order(bare: Site) -> None:
    """Requests sent ahead are answered one after the other, each with its own answer."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    async with connected(bare) as client:
        for target in ("/v2/products", "/nowhere", "/v2/currencies", "/v2/brands"):
            client.ask("GET", target, bearer)
        replies = [await client.reply() for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 404, 200, 200]
    assert b'"product"' in replies[0].body
    assert b'"currency"' in replies[2].body


async def test_keep_alive_after_errors(bare: Site) -> None:
    """Errors without an unread body leave the connection usable."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    async with connected(bare) as client:
        for method, target, status in (("GET", "/nowhere", 404), ("DELETE", "/v2/products", 405), ("GET", "/%", 400)):
            client.ask(method, target, bearer)
            reply = await client.reply()
            assert_error(reply, status, reply.code)
            assert not reply.ends
        client.ask("GET", "/v2/products", bearer)
        assert (await client.reply()).status == 200


async def test_the_old_version(bare: Site) -> None:
    """HTTP/1.0 gets its answer and the end of the connection, with no chunks it cannot read."""
    bearer = await bare.bearer()
    async with connected(bare) as client:
        client.send(f"GET /v2/products HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n\r\n")
        raw = await client.rest()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200")
    assert b"transfer-encoding" not in head.lower()
    assert json.loads(body)["data"]


async def test_the_old_version_without_host(bare: Site) -> None:
    """HTTP/1.0 needs no Host, and keep-alive has to be asked for."""
    bearer = await bare.bearer()
    async with connected(bare) as client:
        for _ in range(2):
            client.send(
                f"GET /v2/customers/x HTTP/1.0\r\nConnection: keep-alive\r\nAuthorization: Bearer {bearer}\r\n\r\n"
            )
            assert_error(await client.reply(), 403, "ACCESS_DENIED")


@pytest.mark.parametrize("target", ["/v2/customers/tokens", "/v2/carts/edge/items"])
async def test_expect_continue(site: Site, target: str) -> None:
    """A client that asks before it sends its body is told to go on, once, when the request is wanted."""
    bearer = await site.bearer()
    data = {"type": "token", "email": RON.email, "password": "ron-demo-password"}
    body = json.dumps({"data": data}).encode()
    async with connected(site) as client:
        client.send(
            f"POST {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\nExpect: 100-continue\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        assert await client.head() == (100, [], "HTTP/1.1")
        client.send(body)
        assert (await client.reply()).status in {201, 400, 404, 422}
    assert all(request.header("expect") is None for request in site.commerce.requests)


async def test_expect_continue_of_what_is_refused(bare: Site) -> None:
    """A client that asks before it sends its body is spared sending what is refused anyway."""
    async with connected(bare) as client:
        client.ask("POST", "/v2/carts", "Expect: 100-continue", "Content-Length: 5")
        reply = await client.reply()
        assert_error(reply, 401, "BEARER_MISSING")
        assert reply.ends


async def test_draining_ends_connections(bare: Site) -> None:
    """While the gateway drains, every reply ends its connection."""
    async with connected(bare) as client:
        bare.gateway.edge.is_draining = True
        client.ask("GET", "/nowhere")
        assert (await client.reply()).ends


# --- Clients that leave ---------------------------------------------------------------------------------------------


async def test_a_client_that_leaves_before_the_answer(bare: Site) -> None:
    """The exchange with the upstream is given up, its connection closed, and the log says 499."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    bare.commerce.fault(Fault.SILENT, when=at("/v2/products"))
    async with connected(bare) as client:
        client.ask("GET", "/v2/products", bearer)
        await bare.commerce.wait(lambda: len(bare.commerce.requests) == 1)
        client.leave()
        await bare.commerce.wait(lambda: bare.commerce.requests[0].connection not in bare.commerce.open_connections)
    line = (await done(bare, 2))[-1]
    assert (line["status"], line["aborted"], line["route"]) == (499, True, "products")
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
    async with connected(bare) as client:
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
        client.ask("PUT", "/v2/carts/x", bearer, "Content-Length: 1000")
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


# --- What every reply and every line carries ------------------------------------------------------------------------

FIELDS = {
    "ts", "event", "id", "method", "route", "caller", "customer", "status", "code", "lane", "ms", "upstream_ms",
    "upstream_calls", "bytes", "peer", "aborted",
}  # fmt: skip


async def test_one_line_for_each_request(site: Site) -> None:
    """The access log names route, caller, status, times and a hash of the customer, under the id the client got."""
    await site.token(RON.email)
    before = len(await done(site, 2))
    mine = [await site.customer(RON.email, "GET", "/v2/orders") for _ in range(2)]
    other = await site.public("GET", "/v2/orders")
    lines = (await done(site, before + 3))[before:]
    assert len(lines) == 3
    assert [line["id"] for line in lines] == [answer.headers["x-request-id"] for answer in (*mine, other)]
    assert all(set(line) == FIELDS for line in lines)
    assert [line["status"] for line in lines] == [200, 200, 403]
    assert [line["caller"] for line in lines] == ["customer", "customer", "public"]
    assert [line["route"] for line in lines] == ["orders-list"] * 3
    assert lines[0]["customer"] == lines[1]["customer"]
    assert lines[0]["customer"] not in {None, RON_ID}
    assert lines[2]["code"] == "ACCESS_DENIED"
    assert (lines[0]["bytes"], lines[0]["upstream_calls"]) == (len(mine[0].body), 1)
    assert lines[0]["ms"] >= lines[0]["upstream_ms"] > 0
    assert RON_ID not in site.log.getvalue()


async def test_our_request_id_goes_upstream(bare: Site) -> None:
    """The id in the log, in the reply and at the upstream is the same, and never one of the client's."""
    answer = await bare.public("GET", "/v2/products", {"X-Request-Id": "forged"})
    (request,) = bare.commerce.requests
    assert request.values("x-request-id") == [answer.headers["x-request-id"]]
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])


@pytest.mark.parametrize(
    ("sent", "passes"),
    [
        pytest.param("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True, id="well-formed"),
        pytest.param("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", False, id="upper case"),
        pytest.param("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", False, id="too short"),
        pytest.param("hello", False, id="nonsense"),
    ],
)
async def test_traceparent(bare: Site, sent: str, *, passes: bool) -> None:
    """A well-formed traceparent is passed on, anything else dropped."""
    await bare.public("GET", "/v2/products", {"traceparent": sent})
    assert bare.commerce.requests[0].values("traceparent") == ([sent] if passes else [])


# --- An edge of its own: bugs and slow clients ----------------------------------------------------------------------


async def test_a_bug_is_answered_without_its_text(tmp_path: Path) -> None:
    """Whatever is raised below the edge is a 500 that shows nothing, and an event that names type and place only."""
    below = Stage(LookupError(f"of {CANARY}"))
    async with stage(below, tmp_path) as client:
        for _ in range(2):
            client.ask("GET", "/v2/products")
            reply = await client.reply()
            assert_error(reply, 500, "INTERNAL")
            assert CANARY not in reply.body.decode()
    failures = [event for event in below.events if isinstance(event, Failed)]
    assert [failure.error.partition(" at ")[0] for failure in failures] == ["LookupError"] * 2
    assert CANARY not in str(failures)
    assert [event.status for event in below.events if isinstance(event, RequestDone)] == [500, 500]


async def test_a_reply_that_cannot_be_written(tmp_path: Path) -> None:
    """A reply that is no HTTP, by a bug, becomes a 500 before its head has left."""
    below = Stage(Reply(200, (("x-a", "b\r\nSet-Cookie: evil=1"),), b"{}"))
    async with stage(below, tmp_path) as client:
        client.ask("GET", "/v2/products")
        reply = await client.reply()
        assert (reply.status, reply.code) == (500, "INTERNAL")
        assert reply.ends
        assert not reply.values("set-cookie")
    assert [type(event) for event in below.events] == [Failed, RequestDone]


async def test_a_stream_that_fails_by_a_bug_is_broken_off(tmp_path: Path) -> None:
    """Once the head has left, a bug breaks the connection: the client must not take what it has for the whole."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise LookupError(CANARY)

    below = Stage(Reply(200, (), stream=broken()))  # type: ignore[arg-type]
    async with stage(below, tmp_path) as client:
        client.ask("GET", "/v2/products")
        raw = await client.rest()
    assert b"half" in raw
    assert not raw.endswith(b"0\r\n\r\n")
    done = [event for event in below.events if isinstance(event, RequestDone)]
    assert [event.aborted for event in done] == [True]


@pytest.mark.parametrize("patience", [Patience(idle=0.1), Patience(body=0.1)], ids=["stalled", "trickling"])
async def test_a_body_that_does_not_come(tmp_path: Path, patience: Patience) -> None:
    """A body that stalls, or trickles beyond all patience, is a 408 and the end of the connection."""
    below = Stage(reads=True)
    async with stage(below, tmp_path, patience) as client:
        client.ask("POST", "/v2/customers", "Content-Length: 100")
        client.send(b"{")
        reply = await client.reply()
        assert_error(reply, 408, "BODY_TIMEOUT")
        assert reply.ends


@pytest.mark.parametrize("earlier", [0, 1, 2])
async def test_a_head_that_does_not_come(tmp_path: Path, earlier: int) -> None:
    """A head that has begun comes to its end in time or not at all, on a kept connection as well."""
    loop = asyncio.get_running_loop()
    async with stage(Stage(), tmp_path, Patience(head=0.3)) as client:
        for _ in range(earlier):
            client.ask("GET", "/v2/products")
            assert (await client.reply()).status == 204
        started = loop.time()
        client.send("GET /v2/products HTTP/1.1\r\n")
        while not client.reader.at_eof():
            client.send("X-A: b\r\n")
            try:
                async with asyncio.timeout(0.05):
                    await client.reader.read(1)
            except TimeoutError:
                pass
            except ConnectionResetError:
                break
        assert 0.25 < loop.time() - started < 2


async def test_a_head_in_two_pieces(tmp_path: Path) -> None:
    """A head that comes in pieces, but in time, is a request like any other; a quiet connection is left in peace."""
    async with stage(Stage(), tmp_path, Patience(head=0.2)) as client:
        for pause in (0.0, 0.3):
            await asyncio.sleep(pause)
            client.send("GET /v2/products HTTP/1.1\r\n")
            await asyncio.sleep(0.02)
            client.send("Host: x\r\n\r\n")
            assert (await client.reply()).status == 204


async def test_a_client_that_takes_nothing_is_left(tmp_path: Path) -> None:
    """A client that does not read its reply for too long loses its connection, and the reply's source is closed."""
    closed = asyncio.Event()
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        try:
            while True:
                given += MIB
                yield bytes(MIB)
        finally:
            closed.set()

    below = Stage(Reply(200, (), stream=endless()))  # type: ignore[arg-type]
    async with stage(below, tmp_path, Patience(idle=0.2)) as client:
        client.ask("GET", "/v2/files/x")
        async with asyncio.timeout(5):
            await closed.wait()
    assert given < 64 * MIB
    assert [event.aborted for event in below.events if isinstance(event, RequestDone)] == [True]
