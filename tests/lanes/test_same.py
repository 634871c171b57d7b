"""Both lanes do the same: the same bytes to the upstream, the same reply, the same end, the same line in the log."""

import gzip
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.demo.data import LESLIE, RON, identity
from tests.gateways import LANE
from tests.lanes.arena import HASTY, Arena, Outcome, Said, Sent, arena

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(LANE != "express", reason="there is one lane only"),
]

OWN_ORDER = f"/v2/orders/{identity('order', f'{RON.email}:0')}"
FOREIGN_ORDER = f"/v2/orders/{identity('order', f'{LESLIE.email}:0')}"
WISHES = f"/v2/customers/{RON.id}/wishes"
PRODUCTS = "/v2/products"
CART = "/v2/carts/lanes"

OWNED = {"type": "order", "id": "o1", "relationships": {"customer": {"data": {"type": "customer", "id": RON.id}}}}
STRANGE = {"type": "order", "id": "o2", "relationships": {"customer": {"data": {"type": "customer", "id": LESLIE.id}}}}
LINK = b'{"data":[],"links":{"next":"http://links.example/v2/products?a=1","a":"http://links.example","b":"http://links.example.evil/x"}}'
BODIES: dict[str, bytes] = {
    "own list": json.dumps({"data": [OWNED]}).encode(),
    "foreign list": json.dumps({"data": [OWNED, STRANGE]}).encode(),
    "own record": json.dumps({"data": OWNED}).encode(),
    "wishes": json.dumps({"data": [{"id": "w", "owner": RON.id}]}).encode(),
    "no data": b"{}",
    "links": LINK,
    "escaped links": LINK.replace(b"/", rb"\/"),
    "nothing": b"",
    "half": json.dumps({"data": [OWNED]}).encode()[:-3],
    "two": b'{"data":[]}{"data":[]}',
    "error": b'{"errors":[{"status":422,"title":"No","detail":"a value","code":"X"}]}',
    "no JSON": b"<html>no</html>",
    "a request": b"GET /v2/orders HTTP/1.1\r\nHost: x\r\n\r\n",
    "a lone surrogate": rb'{"data":[{"id":"\ud800","owner":"x"}]}',
    "large": b'{"data":[' + b'"http://links.example/%s",' % (b"x" * 200) * 1500 + b"1]}",
    "large, no JSON": b"x" * 300_000,
    "packed": gzip.compress(json.dumps({"data": [OWNED]}).encode(), mtime=0),
}


def request(method: str, target: str, *lines: str, version: str = "1.1", body: bytes = b"") -> bytes:
    """Write a request."""
    return "\r\n".join([f"{method} {target} HTTP/{version}", "Host: x", *lines, "", ""]).encode("latin-1") + body


def chunks(body: bytes, size: int = 1000, end: bytes = b"0\r\n\r\n", style: bytes = b"%x\r\n") -> bytes:
    """Write a body in chunks."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(style % len(piece) + piece + b"\r\n" for piece in pieces) + end


def head(*lines: str, status: object = 200, version: str = "HTTP/1.1", reason: str = "Said") -> bytes:
    """Write the head of an answer."""
    return "\r\n".join([f"{version} {status} {reason}", *lines, "", ""]).encode("latin-1")


JSON = "content-type: application/json"


def framed(body: bytes, *lines: str, status: object = 200) -> bytes:
    """Write an answer with a length."""
    return head(JSON, *lines, f"content-length: {len(body)}", status=status) + body


async def hold(both: Arena, requests: list[bytes], said: Said, cuts: tuple[int, ...] = ()) -> Outcome:
    """Hold one conversation with both."""
    return await both.compare(Sent(tuple(requests), cuts), said)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Arena]:
    """Give both gateways for all conversations."""
    async with arena(tmp_path_factory.mktemp("lanes")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Arena]:
    """Give two gateways that wait for nobody long."""
    async with arena(tmp_path_factory.mktemp("hasty"), HASTY) as running:
        yield running


# --- Answers, one by one ----------------------------------------------------------------------------------------------

OWN = BODIES["own list"]
ANSWERS: dict[str, Said] = {
    "a length": Said((framed(OWN),)),
    "no length": Said((head(JSON) + OWN,), "close"),
    "no length, in pieces": Said((head(JSON), OWN[:10], OWN[10:]), "close"),
    "chunks": Said((head(JSON, "transfer-encoding: chunked") + chunks(OWN),)),
    "small chunks in pieces": Said(
        (head(JSON, "transfer-encoding: chunked"), chunks(OWN, 3)[:99], chunks(OWN, 3)[99:])
    ),
    "trailers": Said((head(JSON, "transfer-encoding: chunked") + chunks(OWN, end=b"0\r\nx-a: b\r\netag: c\r\n\r\n"),)),
    "trailers in pieces": Said(
        (head(JSON, "transfer-encoding: chunked"), chunks(OWN, end=b"0\r\nx-a"), b": b\r\netag: c\r", b"\n\r\n")
    ),
    "chunk extensions": Said((head(JSON, "transfer-encoding: chunked") + chunks(OWN, style=b"%x;a=b\r\n"),)),
    "a space behind a chunk's size": Said((head(JSON, "transfer-encoding: chunked") + chunks(OWN, style=b"%x \r\n"),)),
    "a space behind a late chunk's size": Said(
        (head(JSON, "transfer-encoding: chunked"), chunks(OWN, style=b"%x \r\n"))
    ),
    "no chunk size": Said((head(JSON, "transfer-encoding: chunked") + b"zz\r\n" + OWN,), "close"),
    "no last chunk": Said((head(JSON, "transfer-encoding: chunked") + chunks(OWN, end=b""),), "close"),
    "bare line feeds": Said((b"HTTP/1.1 200 OK\ncontent-type: application/json\ncontent-length: 2\n\n{}",), "close"),
    "both lengths": Said(
        (head(JSON, "transfer-encoding: chunked", f"content-length: {len(OWN)}") + chunks(OWN),), "close"
    ),
    "the length twice": Said((head(JSON, "content-length: 2", "content-length: 2") + b"{}",), "close"),
    "two lengths": Said((head(JSON, "content-length: 2", "content-length: 3") + b"{}1",), "close"),
    "a negative length": Said((head(JSON, "content-length: -2") + b"{}",), "close"),
    "an empty length": Said((head(JSON, "content-length:") + b"{}",), "close"),
    "a huge length": Said((head(JSON, "content-length: 99999999999999999999999") + b"{}",), "close"),
    "a length above the limit": Said((head(JSON, "content-length: 99999999999") + b"{}",), "close"),
    "a length with blanks": Said((head(JSON, "content-length: 11 \t") + b'{"data":[]}',)),
    "gzip, chunked": Said((head(JSON, "transfer-encoding: gzip, chunked") + chunks(OWN),), "close"),
    "chunked, gzip": Said((head(JSON, "transfer-encoding: chunked, gzip") + chunks(OWN),), "close"),
    "CHUNKED": Said((head(JSON, "transfer-encoding: CHUNKED") + chunks(OWN),)),
    "identity": Said((head(JSON, "transfer-encoding: identity", f"content-length: {len(OWN)}") + OWN,), "close"),
    "HTTP/1.0": Said((head(JSON, version="HTTP/1.0") + OWN,), "close"),
    "HTTP/1.0 with a length": Said((head(JSON, "content-length: 11", version="HTTP/1.0") + b'{"data":[]}',), "close"),
    "HTTP/1.0, kept": Said(
        (head(JSON, "connection: keep-alive", "content-length: 11", version="HTTP/1.0") + b'{"data":[]}',)
    ),
    "HTTP/2.0": Said((head(JSON, "content-length: 11", version="HTTP/2.0") + b'{"data":[]}',), "close"),
    "HTTP/0.9": Said((head(JSON, "content-length: 11", version="HTTP/0.9") + b'{"data":[]}',), "close"),
    "no reason": Said((b'HTTP/1.1 200\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"data":[]}',)),
    "connection: close": Said((framed(OWN, "connection: close"),), "close"),
    "connection names a field": Said((framed(OWN, "connection: keep-alive, etag", "etag: a", "x-kept: a"),)),
    "upgrade": Said((framed(OWN, "connection: upgrade", "upgrade: h2c"),)),
    "interim answers": Said((head(status=100) + head("link: a", status=103) + framed(OWN),)),
    "interim answers in pieces": Said((head(status=102), head("link: a", status=103), framed(OWN))),
    "an interim answer with a length": Said((head("content-length: 5", status=103) + framed(OWN),)),
    "an interim answer with a body": Said((head("content-length: 5", status=104) + b"hello" + framed(OWN),)),
    "an interim answer with a late body": Said((head("content-length: 5", status=104) + b"hel", b"lo" + framed(OWN))),
    "an interim answer and no other": Said((head(status=103),), "close"),
    "101": Said((head("upgrade: x", "connection: upgrade", status=101),), "close"),
    "101 unasked": Said((head(status=101) + framed(OWN),), "close"),
    "199": Said((head(status=199) + framed(OWN),)),
    "099": Said((head("content-length: 0", status="099"),), "close"),
    "999": Said((framed(OWN, status=999),)),
    "204": Said((head(status=204),)),
    "204 with a body": Said((framed(OWN, status=204),), "close"),
    "204 with a late body": Said((head(JSON, "content-length: 2", status=204), b"{}"), "close"),
    "205 without length": Said((head(status=205),), "close"),
    "205 with length": Said((head("content-length: 0", status=205),)),
    "205 with a large body": Said((framed(BODIES["large"], status=205),)),
    "205 cut short": Said((head("content-length: 9", status=205) + b"{}",), "close"),
    "304": Said((head("etag: a", status=304),)),
    "304 with a length": Said((head("etag: a", "content-length: 99999999", status=304),)),
    "206": Said((framed(LINK, "content-range: bytes 0-9/100", status=206),)),
    "302": Said((framed(b"{}", "location: http://links.example/v2/x", status=302),)),
    "302 elsewhere": Said((framed(b"{}", "location: http://evil.example/", status=302),)),
    "400": Said((framed(BODIES["error"], status=400),)),
    "400 without JSON": Said((head("content-type: text/plain", "content-length: 2", status=400) + b"no",)),
    "404 with a large body": Said((framed(BODIES["large"], status=404),)),
    "429": Said((framed(BODIES["error"], "retry-after: 7", status=429),)),
    "500": Said((framed(BODIES["error"], status=500),)),
    "text/html": Said((head("content-type: text/html", "content-length: 2") + b"{}",)),
    "two types": Said((head(JSON, JSON, "content-length: 2") + b"{}",)),
    "no type": Said((head("content-length: 2") + b"{}",)),
    "no type at its end": Said((head() + b"{}",), "close"),
    "gzip": Said(
        (head(JSON, "content-encoding: gzip", f"content-length: {len(BODIES['packed'])}") + BODIES["packed"],)
    ),
    "an empty body": Said((framed(b""),)),
    "empty chunks": Said((head(JSON, "transfer-encoding: chunked") + chunks(b""),)),
    "128 fields": Said((head(*[f"x-{number}: a" for number in range(127)], "content-length: 2") + b"{}",)),
    "129 fields": Said((head(*[f"x-{number}: a" for number in range(128)], "content-length: 2") + b"{}",), "close"),
    "a long field": Said((framed(OWN, f"x-a: {'a' * 8000}"),)),
    "a field that is too long": Said((framed(OWN, f"x-a: {'a' * 9000}"),), "close"),
    "a long reason": Said((head(JSON, "content-length: 2", reason="a" * 9000) + b"{}",), "close"),
    "folded": Said((framed(OWN, "x-a: a\r\n b"),), "close"),
    "an empty field": Said((framed(OWN, "x-a:", "x-b: \t"),)),
    "bytes beyond ASCII": Said((framed(OWN, "x-a: \xe9\xff", "etag: \xc3\xa9"),)),
    "a control": Said((framed(OWN, "x-a: a\x01b"),), "close"),
    "NUL": Said((framed(OWN, "x-a: a\x00b"),), "close"),
    "DEL": Said((framed(OWN, "x-a: a\x7fb"),), "close"),
    "a bare carriage return": Said((framed(OWN, "x-a: a\rx-b: c"),), "close"),
    "a space in a name": Said((framed(OWN, "x a: b"),), "close"),
    "a space before the colon": Said((framed(OWN, "x-a : b"),), "close"),
    "a name beyond ASCII": Said((framed(OWN, "x-\xe9: b"),), "close"),
    "fields of ours": Said(
        (framed(OWN, "server: x", "x-request-id: y", "date: z", "access-control-allow-origin: n", "set-cookie: a=b"),)
    ),
    "what would be ours": Said((framed(OWN, "Date: Mon", "Vary: a", "vary: b", "cache-control: public"),)),
    "a byte a piece": Said((b"H", b"T", framed(OWN)[2:-3], *(OWN[-3:-2], OWN[-2:-1], OWN[-1:]))),
    "large": Said((framed(BODIES["large"]),)),
    "large in chunks": Said((head(JSON, "transfer-encoding: chunked") + chunks(BODIES["large"], 7000),)),
    "large, no JSON": Said((head("content-type: image/png", "content-length: 300000") + BODIES["large, no JSON"],)),
    "one byte short": Said((framed(OWN)[:-1],), "close"),
    "cut after the head": Said((framed(OWN)[: -len(OWN)],), "close"),
    "cut in the head": Said((framed(OWN)[:20],), "close"),
    "cut in a large body": Said((framed(BODIES["large"])[:-100],), "close"),
    "reset after the head": Said((framed(OWN)[: -len(OWN)], b""), "reset"),
    "reset in a body": Said((framed(BODIES["large"])[:-100], b""), "reset"),
    "closed before the answer": Said((), "close"),
    "closed before the answer once": Said((), "close", times=1),
    "reset before the answer": Said((), "reset"),
    "reset before the answer once": Said((), "reset", times=1),
    "two answers": Said((framed(OWN) + framed(BODIES["foreign list"]),)),
    "an answer and half of another": Said((framed(OWN) + framed(OWN)[:30],)),
    "an answer and another later": Said((framed(OWN), framed(BODIES["foreign list"]))),
    "an answer and garbage": Said((framed(OWN) + b"garbage\r\n\r\n",)),
    "an answer and an empty line": Said((framed(OWN) + b"\r\n",)),
    "no HTTP": Said((b"SSH-2.0-OpenSSH_9.6\r\n",), "close"),
    "a request": Said((request("GET", "/"),), "close"),
    "NULs": Said((bytes(100),), "close"),
    "links cut anywhere": Said((head(JSON, "transfer-encoding: chunked") + chunks(LINK, 7),)),
    "links in pieces": Said((head(JSON) + LINK[:30], LINK[30:35], LINK[35:60], LINK[60:]), "close"),
    "an end within a link": Said((head(JSON) + b'{"data":"http://127.0.0',), "close"),
    "escaped links": Said((framed(BODIES["escaped links"]),)),
}
ASKING = {
    "guarded": ("GET", "/v2/orders", "ron"),
    "open": ("GET", PRODUCTS, "public"),
    "deleted": ("DELETE", CART, "public"),
    "own deleted": ("DELETE", WISHES, "ron"),
    "HEAD": ("HEAD", "/v2/orders", "ron"),
}
# Each of these costs a second and a half in either lane: one question each.
SILENT: dict[str, tuple[str, Said]] = {
    "silence": ("open", Said((b"",))),
    "silence within the head": ("guarded", Said((framed(OWN)[:30],))),
    "silence within a body": ("guarded", Said((framed(OWN)[:-10],))),
    "silence within a relayed body": ("open", Said((framed(BODIES["large"])[:-10],))),
    # aiohttp's client waits on where the express lane knows better and leaves it to the standard lane.
    "no late chunk size": ("guarded", Said((head(JSON, "transfer-encoding: chunked"), b"zz\r\n" + OWN), "close")),
    "silence behind the head": ("open", Said((framed(OWN)[: -len(OWN)],))),
}


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("answer", ANSWERS)
async def test_an_answer(both: Arena, answer: str, asking: str) -> None:
    """Whatever the upstream answers, and to whatever question, both lanes make the same of it."""
    method, target, caller = ASKING[asking]
    outcome = await hold(both, [request(method, target, *both.proofs[caller])], ANSWERS[answer])
    if answer == "a length":
        assert outcome.lanes == ("express",)


async def test_an_answer_that_ends_with_a_reset(both: Arena) -> None:
    """An answer without a length whose connection is reset is not whole: the express lane says so.

    The standard lane takes it for whole, as aiohttp's client does; so the two are not compared.
    """
    said = Said((head(JSON) + OWN, b""), "reset")
    for asking, status, end in (("guarded", "502", "kept"), ("open", "200", "broken off")):
        await both.warm()
        method, target, caller = ASKING[asking]
        outcome = await both.converse(both.express, Sent((request(method, target, *both.proofs[caller]),)), said)
        assert outcome.lanes == ("express",)
        assert outcome.replies[0].start.split(" ")[1] == status
        assert outcome.end == end


@pytest.mark.parametrize("answer", SILENT)
async def test_silence(hasty: Arena, answer: str) -> None:
    """Both lanes wait as long, and say the same then."""
    asking, said = SILENT[answer]
    method, target, caller = ASKING[asking]
    outcome = await hold(hasty, [request(method, target, *hasty.proofs[caller])], said)
    assert outcome.lanes == ("standard" if answer == "no late chunk size" else "express",)


@pytest.mark.parametrize("asking", ["guarded", "open"])
async def test_a_bearer_that_is_rejected(tmp_path: Path, asking: str) -> None:
    """A 401 speaks of our bearer: it is renewed, and the request goes through the standard lane."""
    method, target, caller = ASKING[asking]
    refused = framed(BODIES["error"], status=401)
    # Of its own: a bearer that is rejected often is renewed slowly.
    async with arena(tmp_path) as fresh:
        asks = [request(method, target, *fresh.proofs[caller])]
        outcome = await hold(fresh, asks, Said((refused,), times=1))
        assert outcome.lanes == ("standard",)
        assert outcome.replies[0].start == "HTTP/1.1 200 OK"
        # For ever; how often it was tried before counts in Retry-After, and the express lane has tried once more.
        for site in (fresh.standard, fresh.express):
            outcome = await fresh.converse(site, Sent(tuple(asks)), Said((refused,)))
            assert outcome.replies[0].start == "HTTP/1.1 503 Service Unavailable"
            assert b"CREDENTIAL_UNAVAILABLE" in outcome.replies[0].body


# --- Requests, one by one ---------------------------------------------------------------------------------------------

PROOF = "{proof}"
LINES: dict[str, tuple[str, ...]] = {
    "none": (),
    "odd capitals": ("ACCEPT: application/json", "uSER-aGENT: x"),
    "repeated": ("Accept: a", "Accept: b", "X-Moltin-Currency: USD", "X-Moltin-Currency: EUR"),
    "blanks": ("Accept:   a  \t", "User-Agent:"),
    "beyond ASCII": ("User-Agent: \xe9\xff", "X-Moltin-Language: \xc3\xa9"),
    "a trace": ("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate: a=b"),
    "no trace": ("traceparent: 00-X", "tracestate: a=b"),
    "hop by hop": (
        "Connection: keep-alive, X-Moltin-Currency",
        "X-Moltin-Currency: USD",
        "Keep-Alive: 5",
        "TE: trailers",
    ),
    "connection: close": ("Connection: close",),
    "connection: CLOSE": ("Connection: x, CLOSE",),
    "a websocket": (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: eA==",
        "Sec-WebSocket-Version: 13",
    ),
    "h2c": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "upgrade alone": ("Upgrade: websocket",),
    "conditions": ("If-None-Match: a", "If-Match: b", "Range: bytes=0-9", "If-Modified-Since: x"),
    "an origin": ("Origin: https://shop.example",),
    "a preflight": ("Origin: https://shop.example", "Access-Control-Request-Method: GET"),
    "a cookie": ("Cookie: a=b", "X-Request-Id: mine", "X-Forwarded-For: 1.2.3.4", "Idempotency-Key: k"),
    "override": ("X-HTTP-Method-Override: DELETE",),
    "a length of nothing": ("Content-Length: 0",),
    "a type without a body": ("Content-Type: application/json",),
    "expecting": ("Expect: 100-continue",),
    "expecting else": ("Expect: 200-ok",),
    "a coding": ("Content-Encoding: gzip", "Accept-Encoding: gzip, br"),
    "a long line": (f"User-Agent: {'a' * 8000}",),
    "a line that is too long": (f"User-Agent: {'a' * 9000}",),
    "many lines": tuple(f"X-{number}: a" for number in range(100)),
    "too many lines": tuple(f"X-{number}: a" for number in range(200)),
    "two hosts": ("Host: y",),
    "a length twice": ("Content-Length: 0", "Content-Length: 0"),
    "length and chunks": ("Content-Length: 0", "Transfer-Encoding: chunked"),
    "identity": ("Transfer-Encoding: identity",),
    "a negative length": ("Content-Length: -1",),
    "folded": ("Accept: a\r\n b",),
    "a control": ("Accept: a\x01b",),
    "NUL": ("Accept: a\x00b",),
    "no colon": ("Accept",),
    "a space before the colon": ("Accept : a",),
}
TARGETS = [
    "/v2/orders", "/v2/orders?filter=eq(status,paid)", "/v2/orders?filter=eq(customer_id,x)", "/v2/orders?filter=eq(",
    "/v2/orders?filter=a&filter=b", "/v2/orders?FILTER=a", "/v2/orders?include=items", "/v2/orders?page[limit]=1",
    "/v2/orders?page%5Blimit%5D=1&sort=-created_at", "/v2/orders?unknown=1", "/v2/orders?", "/v2/orders?a=;",
    "/v2/orders/",
    OWN_ORDER, f"{OWN_ORDER}?include=items", FOREIGN_ORDER, "/v2/orders/x",
    f"{OWN_ORDER}/items", f"{FOREIGN_ORDER}/items",
    WISHES, f"/v2/customers/{LESLIE.id}/wishes", PRODUCTS, f"{PRODUCTS}?a=b&a=c",
    f"{PRODUCTS}?q=%c3%bc+%2B", "/v2/%70roducts",
    "/v2/products/x%20y", "/v2/products/%2e%2e", "//v2/products", "/v2//products", "/v2/products#a", "/v2/./products",
    "/v2/products/..", "/v2/products/a%2fb", "/v2/products/%zz", "/v2/products/%ff",
    "/v2/products/a;b", "/v2/products?%66=1",
    "/v2/products?a=%00", "/v2/products?_method=DELETE", "http://evil.example/v2/products", "*", "/", "/v2/carts/lanes",
    "/v2/carts/a%2Bb", "/catalog/a/b/c?d=e", "/catalog/", "/catalog/\xc3\xbc", "/v2/products/\xff", "/nowhere",
    "/v2/customers/tokens", "/oauth/access_token", "/.well-known/jwks.json",
    f"/catalog/{'a' * 8000}", f"/catalog/{'a' * 8200}",
    f"/v2/products?{'&'.join('a=b' for _ in range(101))}",
]  # fmt: skip
METHODS = ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH", "TRACE", "QUERY", "get", "CONNECT"]
CALLERS = [
    "public", "nobody", "ron", "leslie", "trusted", "ron through a server", "two tokens", "the same token twice",
    "two bearers", "a forged bearer", "a forged token", "no scheme", "an empty bearer", "an empty token",
]  # fmt: skip
TRUTH = Said(times=0)


@pytest.mark.parametrize("lines", LINES)
@pytest.mark.parametrize("target", ["/v2/orders", PRODUCTS, "/nowhere"])
async def test_a_head(both: Arena, lines: str, target: str) -> None:
    """Whatever else stands in a head, both lanes make the same of it."""
    outcome = await hold(both, [request("GET", target, *both.proofs["ron"], *LINES[lines])], TRUTH)
    if lines in {
        "none",
        "repeated",
        "conditions",
        "an origin",
        "a cookie",
        "a length of nothing",
        "a trace",
        "many lines",
    }:
        assert "standard" not in outcome.lanes


@pytest.mark.parametrize("target", TARGETS)
async def test_a_target(both: Arena, target: str) -> None:
    """However a target is spelled, both lanes make the same of it."""
    for caller in ("ron", "public", "trusted"):
        await hold(both, [request("GET", target, *both.proofs[caller])], TRUTH)


@pytest.mark.parametrize("method", METHODS)
async def test_a_method(both: Arena, method: str) -> None:
    """Whatever is asked for, both lanes make the same of it."""
    for target in ("/v2/orders", CART, WISHES, PRODUCTS, "/nowhere", "/v2/customers/tokens"):
        await hold(both, [request(method, target, *both.proofs["ron"])], TRUTH)


@pytest.mark.parametrize("caller", CALLERS)
async def test_a_caller(both: Arena, caller: str) -> None:
    """Whoever asks, both lanes know the same."""
    for target in ("/v2/orders", OWN_ORDER, FOREIGN_ORDER, CART, "/nowhere"):
        outcome = await hold(both, [request("GET", target, *both.proofs[caller])], TRUTH)
        assert set(outcome.lanes) <= {"express"}


@pytest.mark.parametrize("version", ["1.0", "1.1", "0.9", "2.0", "1.2", "1"])
async def test_a_version(both: Arena, version: str) -> None:
    """In whichever version of HTTP, both lanes make the same of it."""
    for lines in ((), ("Connection: keep-alive",), ("Connection: close",)):
        sent = request("GET", PRODUCTS, *both.proofs["public"], *lines, version=version)
        await hold(both, [sent, sent], TRUTH)


# --- Anything with anything -------------------------------------------------------------------------------------------

DOCUMENT = b'{"data":{"name":"x"}}'
SOME_TARGETS = [target for target in TARGETS if len(target) < 200]
_NO_REQUEST = list(LINES).index("two hosts")
CLOSING_LINES = ["connection: close", "connection: CLOSE", "a websocket", "h2c", "upgrade alone"]
GOOD_LINES, BAD_LINES = list(LINES)[:_NO_REQUEST], list(LINES)[_NO_REQUEST:]
WITH_BODY = {
    "a length": (f"Content-Length: {len(DOCUMENT)}", DOCUMENT),
    "chunks": ("Transfer-Encoding: chunked", chunks(DOCUMENT, 7)),
    "no chunks": ("Transfer-Encoding: chunked", b"0\r\n\r\n"),
    "a request": ("Content-Length: 41", b"GET /v2/orders HTTP/1.1\r\nHost: x\r\nA: bc\r\n"),
}


def asked(chance: random.Random, proofs: dict[str, tuple[str, ...]]) -> bytes:
    """Draw a request; the good ones more often than the odd ones."""
    targets = chance.choice([["/v2/orders", OWN_ORDER, PRODUCTS, CART, WISHES], SOME_TARGETS])
    methods = chance.choice([["GET"], ["GET"], ["GET", "HEAD", "DELETE"], METHODS])
    callers = chance.choice([["ron", "public", "trusted"], ["ron", "public", "trusted"], CALLERS])
    method, target = chance.choice(methods), chance.choice(targets)
    lines = [line for _ in range(chance.randrange(3)) for line in LINES[chance.choice(GOOD_LINES)]]
    if chance.random() < 0.04:
        lines += LINES[chance.choice(BAD_LINES)]
    body = b""
    if method in {"POST", "PUT", "PATCH"} or chance.random() < 0.05:
        framing, body = chance.choice(list(WITH_BODY.values()))
        lines += ["Content-Type: application/json", framing]
    version = "1.0" if chance.random() < 0.04 else "1.1"
    return request(method, target, *proofs[chance.choice(callers)], *lines, version=version, body=body)


def ends(asks: bytes) -> bool:
    """Tell whether a request is the last one that is read on its connection."""
    start, _, fields = asks.partition(b"\r\n")
    marks = [line.encode("latin-1") for name in (*BAD_LINES, *CLOSING_LINES) for line in LINES[name]]
    return (
        not start.endswith(b"HTTP/1.1") or start.startswith((b"get ", b"CONNECT ")) or any(m in fields for m in marks)
    )


def cut(chance: random.Random, whole: bytes) -> tuple[bytes, ...]:
    """Cut bytes into some pieces."""
    marks = sorted({chance.randrange(1, len(whole)) for _ in range(chance.choice([0, 0, 1, 3]))})
    return tuple(whole[start:end] for start, end in zip([0, *marks], [*marks, len(whole)], strict=True))


def answered(chance: random.Random) -> Said:
    """Draw an answer: any status, body, type and framing, cut anywhere, and whatever comes behind it."""
    status = chance.choice([200, 200, 200, chance.choice(STATUSES)])
    body = b"" if status in {204, 304} else chance.choice(list(BODIES.values()))
    kind = chance.choice(
        [JSON] * 5 + ["content-type: application/vnd.api+json", "content-type: text/plain", "x-no: type"]
    )
    lines = [kind, *chance.sample(EXTRA, chance.randrange(4))]
    framing = chance.choice(["length", "length", "chunks", "trailers", "end", "short", "HTTP/1.0"])
    end = chance.choice(["open", "open", "close"])
    if status in {204, 304}:
        framing = "none"
    if framing in {"chunks", "trailers"}:
        lines.append("Transfer-Encoding: chunked")
        last = b"0\r\n" + (b"x-trailer: a\r\netag: b\r\n" if framing == "trailers" else b"") + b"\r\n"
        body = chunks(body, chance.randrange(1, 5000) if len(body) < 5000 else 70_000, end=last)
    elif framing in {"length", "short"}:
        lines.append(f"Content-Length: {len(body)}")
    if framing in {"short", "end", "HTTP/1.0"}:
        end = chance.choice(["close", "close", "reset"]) if framing == "short" else "close"
        body = body[: -chance.randrange(1, 9)] if framing == "short" else body
    version = "HTTP/1.0" if framing == "HTTP/1.0" else "HTTP/1.1"
    about = chance.choice(["/", "/", "/v2/orders", PRODUCTS])
    return Said(cut(chance, head(*lines, status=status, version=version) + body), end, about=about)


STATUSES = [201, 203, 205, 206, 301, 304, 204, 400, 403, 404, 409, 422, 429, 500, 503]
EXTRA = [
    "Connection: close", "Connection: keep-alive", "Connection: etag", "ETag: a", "Set-Cookie: a=b", "Vary: a",
    "Location: http://links.example/x", "Content-Encoding: gzip", "Content-Encoding: identity", "Server: x",
    "Date: never",
    "Cache-Control: public", "Access-Control-Allow-Origin: x", "X-A: \xe9", "X-B:", "Link: <http://links.example/>",
    "Retry-After: 5", "Content-Range: bytes 0-1/2", "Trailer: x-trailer", "Keep-Alive: timeout=1", "Upgrade: h2c",
    "X-Request-Id: theirs", "Content-Language: en",
]  # fmt: skip


@pytest.mark.parametrize("start", range(0, 300, 50))
async def test_any_conversations(both: Arena, start: int) -> None:
    """Whatever is asked, in a row and in pieces, and whatever is answered: both lanes do the same."""
    lanes: list[str] = []
    for number in range(start, start + 50):
        chance = random.Random(number)  # noqa: S311 - the same conversations each time
        requests = [asked(chance, both.proofs) for _ in range(chance.choice([1, 1, 2, 4]))]
        cuts = tuple(chance.randrange(3000) for _ in range(chance.choice([0, 0, 1, 2])))
        if len(requests) > 1 and any(map(ends, requests)):
            # What aiohttp makes of requests before one that it cannot read depends on whether they came together.
            cuts = ()
        try:
            outcome = await hold(both, requests, answered(chance), cuts)
        except AssertionError as error:
            raise AssertionError(f"conversation {number}: {error}") from None
        lanes += outcome.lanes
    # They say something of the express lane.
    assert lanes.count("express") >= len(lanes) * 0.3
