"""Connections of clients: what is no request, bodies that nobody reads, heads that do not come, and who goes first."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.demo.data import RON
from gateway.server.body import Patience
from gateway.vocab.events import RequestDone
from tests.gateways import Site
from tests.server.raw import connected
from tests.server.stage import CANARY, Stage, assert_error, done, stage

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
        *[
            pytest.param(
                f"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\n",
                "REQUEST_MALFORMED",
                id=f"coding {coding}",
            )
            for coding in ("gzip, chunked", "identity, chunked", "chunked, chunked", "identity", "xchunked")
        ],
        pytest.param(
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "REQUEST_MALFORMED", id="chunks in 1.0"
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
