"""Smuggling, framing and upgrades (D5): one request has one beginning, one end and one reading."""

import asyncio

import pytest

from gateway.demo.data import LESLIE, RON, RON_ID
from tests.attacks.field import (
    ADDRESS,
    ON_ONE_LOOP,
    PROBE,
    SMUGGLED,
    Field,
    Outcome,
    assert_clean,
    assert_nothing_sent,
    assert_refused,
    every,
    read_reply,
)
from tests.server.raw import connected

pytestmark = ON_ONE_LOOP

FRONTS = {
    "relayed": ("POST", "/v2/carts/attacked/items"),
    "scoped": ("POST", f"/v2/customers/{RON_ID}/addresses"),
    "login": ("POST", "/v2/customers/tokens"),
    "no body": ("GET", "/v2/orders"),
}


def hidden(field: Field) -> bytes:
    """Write the request that an attack hides: good, if anybody takes it for one."""
    return field.request("GET", SMUGGLED, "X-Pad: x", proof=[f"Authorization: Bearer {field.trusted}"])


def framed(field: Field, front: tuple[str, str], lines: bytes, body: bytes) -> bytes:
    """Write a request with exactly these framing lines and these bytes behind its head."""
    method, target = front
    usual = [b"Host: shop.example", *(line.encode() for line in field.lines()), b"Content-Type: application/json"]
    return b"\r\n".join([f"{method} {target} HTTP/1.1".encode(), *usual, lines, b"", body])


def assert_not_smuggled(outcome: Outcome) -> None:
    """Check that no byte behind a request was taken for a request of its own."""
    assert_clean(outcome)
    assert SMUGGLED not in outcome.paths
    assert not outcome.beside, outcome.beside


def assert_unreadable(outcome: Outcome) -> None:
    """Check for 400 and the end of the connection, with zero bytes to the upstream (D5.1)."""
    assert_refused(outcome, 400)
    assert len(outcome.replies) == 1
    assert outcome.first.ends
    assert outcome.is_answered


# What makes a request longer or shorter for one of two readers. {n} is the length of what is behind the head.
CHUNKS = b"0\r\n\r\n"
AMBIGUOUS: dict[str, bytes] = {
    "CL.TE": b"Content-Length: {n}\r\nTransfer-Encoding: chunked",
    "TE.CL": b"Transfer-Encoding: chunked\r\nContent-Length: {n}",
    "CL.TE with a short length": b"Content-Length: 4\r\nTransfer-Encoding: chunked",
    "TE.CL with zero": b"Transfer-Encoding: chunked\r\nContent-Length: 0",
    "TE.TE": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "TE.TE identity": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "TE.TE other": b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    "TE.TE apart": b"Transfer-Encoding: chunked\r\nX-Between: x\r\nTransfer-Encoding: cow",
    "CL.CL": b"Content-Length: {n}\r\nContent-Length: 0",
    "CL.CL zero first": b"Content-Length: 0\r\nContent-Length: {n}",
    "CL.CL the same": b"Content-Length: {n}\r\nContent-Length: {n}",
    "CL list": b"Content-Length: {n}, {n}",
    "CL list of two": b"Content-Length: 0, {n}",
    "CL and TE in one line": b"Content-Length: {n}, Transfer-Encoding: chunked",
}


@every(front=FRONTS, lines=AMBIGUOUS, behind=["chunks first", "plain"])
async def test_d5_1_two_lengths(field: Field, front: tuple[str, str], lines: bytes, behind: str) -> None:
    """A request whose end two readers would see at two places is refused (D5.1, RFC 9112 section 6.3)."""
    body = (CHUNKS if behind == "chunks first" else b"") + hidden(field)
    raw = framed(field, front, lines.replace(b"{n}", str(len(body)).encode()), body)
    assert_unreadable(await field.attack(raw))


CODINGS = (
    "chunked, identity", "identity, chunked", "gzip, chunked", "chunked, chunked", "chunked,", ",chunked", "xchunked",
    "chunkedx", "chunked;q=1", '"chunked"', "'chunked'", "chunked chunked", "identity", "gzip", "", "chunk", "c hunked",
    "chunked\x0b", "\x0bchunked", "chunked\x0c", "chunked\x00", "chunk\u00e9d", "chun\u212aed", "x-chunked",
    "[chunked]",
    "chunked\t,identity", "\u00a0chunked", "chunked\x7f", "%63hunked", "trailers", "deflate",
)  # fmt: skip


@every(front=FRONTS, coding={repr(coding): coding for coding in CODINGS})
async def test_d5_1_obfuscated_codings(field: Field, front: tuple[str, str], coding: str) -> None:
    """A Transfer-Encoding that is not exactly `chunked` is refused: somebody would not know it (D5.1, HTTP Garden)."""
    raw = framed(field, front, f"Transfer-Encoding: {coding}".encode(), CHUNKS + hidden(field))
    outcome = await field.attack(raw)
    assert_refused(outcome, 400)
    assert outcome.first.ends


NAMES: dict[str, bytes] = {
    "space before the colon": b"Transfer-Encoding : chunked",
    "tab before the colon": b"Transfer-Encoding\t: chunked",
    "space before the name": b" Transfer-Encoding: chunked",
    "tab before the name": b"\tTransfer-Encoding: chunked",
    "NUL in the name": b"Transfer-Encoding\0: chunked",
    "vertical tab": b"Transfer-Encoding\x0b: chunked",
    "no colon": b"Transfer-Encoding chunked",
    "no name": b": chunked",
    "bare line feed": b"X: y\nTransfer-Encoding: chunked",
    "bare carriage return": b"X: y\rTransfer-Encoding: chunked",
    "folded value": b"Transfer-Encoding:\r\n chunked",
    "folded, with a tab": b"Transfer-Encoding:\r\n\tchunked",
    "folded twice": b"X: y\r\n Transfer-Encoding: chunked",
    "folded length": b"Content-Length:\r\n {n}",
    "two carriage returns": b"X: y\r\r\nTransfer-Encoding: chunked",
    "reversed end": b"X: y\n\rTransfer-Encoding: chunked",
    "NUL before the end": b"Transfer-Encoding: chunked\0",
    "length with a space": b"Content-Length : {n}",
    "byte order mark": b"\xef\xbb\xbfTransfer-Encoding: chunked",
    "no-break space": b"Transfer-Encoding\xa0: chunked",
    "equals sign": b"Transfer-Encoding= chunked",
    "fullwidth": "\uff34ransfer-Encoding: chunked".encode(),
    "parentheses": b"(Transfer-Encoding): chunked",
}


@every(front=FRONTS, lines=NAMES, length=["with a length", "alone"])
async def test_d5_1_obfuscated_names(field: Field, front: tuple[str, str], lines: bytes, length: str) -> None:
    """A line that is no header by RFC 9112 section 5 is refused, not repaired (D5.1, D.0)."""
    body = CHUNKS + hidden(field)
    number = str(len(body)).encode()
    head = lines.replace(b"{n}", number)
    if length == "with a length" and b"ontent-" not in head:
        head = b"Content-Length: " + number + b"\r\n" + head
    outcome = await field.attack(framed(field, front, head, body))
    assert_refused(outcome, 400)
    assert outcome.first.ends


ALIKE: dict[str, bytes] = {
    "underscore": b"Transfer_Encoding: chunked",
    "dot": b"Transfer.Encoding: chunked",
    "prefixed": b"X-Transfer-Encoding: chunked",
    "TE": b"TE: chunked",
    "Content-Transfer-Encoding": b"Content-Transfer-Encoding: chunked",
    "length with an underscore": b"Content_Length: 0",
    "named in Connection": b"Connection: close, Content-Length",
    "coding named in Connection": b"Connection: Transfer-Encoding",
    "Trailer": b"Trailer: Transfer-Encoding",
    "Content-Encoding": b"Content-Encoding: chunked",
    "Connection: chunked": b"Connection: chunked",
    "Max-Forwards": b"Max-Forwards: 0",
}


@every(front=FRONTS, lines=ALIKE)
async def test_d5_1_headers_that_look_like_framing(field: Field, front: tuple[str, str], lines: bytes) -> None:
    """A header that looks like framing is none: the length counts, and what is inside it is a body (D5.1)."""
    body = CHUNKS + hidden(field)
    outcome = await field.attack(framed(field, front, b"Content-Length: %d\r\n%b" % (len(body), lines), body))
    assert_not_smuggled(outcome)
    name = lines.partition(b":")[0].decode()
    assert all(request.header(name) is None for request in outcome.requests)


LENGTHS = (
    "+{n}", "-{n}", "-0", "0x{n}", "0{n}", "00{n}", "{n}.0", "{n}e0", "{n} ", "{n}\t", " {n}", "{n} {n}", "{n},",
    "{n};", "{n}x",
    "1_0", "'{n}'", '"{n}"', "", "x", "{n}\x00", "18446744073709551616", "9" * 30, "9" * 5000, "-1", "\u0661", "\u00b2",
    "{n}\x0b", "NaN", "1e1", "0b11", "4294967296", "9223372036854775808",
)  # fmt: skip
# These mean what they say to every reader.
PLAIN_LENGTHS = {"0{n}", "00{n}", "{n} ", "{n}\t", " {n}"}


@every(front=FRONTS, length={repr(length[:24]): length for length in LENGTHS})
async def test_d5_1_lengths(field: Field, front: tuple[str, str], length: str) -> None:
    """A length is digits; another one is refused, and a huge one is never waited for on the way upstream (D5.1)."""
    body = b'{"data": {}}'
    line = f"Content-Length: {length.replace('{n}', str(len(body)))}".encode()
    raw = framed(field, front, line, body)
    if length not in PLAIN_LENGTHS and length.isascii() and length.isdecimal():
        await assert_never_complete(field, raw)
        return
    outcome = await field.attack(raw)
    if length in PLAIN_LENGTHS:
        assert_not_smuggled(outcome)
        assert all(request.values("content-length") in ([], [str(len(request.body))]) for request in outcome.requests)
    else:
        assert_refused(outcome, 400)


async def assert_never_complete(field: Field, raw: bytes) -> None:
    """Check that a request whose body never comes to its end is refused, or nothing whole of it goes upstream."""
    commerce = field.site.commerce
    commerce.forget()
    async with connected(field.site) as client:
        client.send(raw)
        client.writer.write_eof()
        try:
            reply = await read_reply(client)
        except (asyncio.IncompleteReadError, ConnectionError):
            reply = None
        assert reply is None or (400 <= reply.status < 500 and reply.ends)
    await assert_still_good(field)
    assert not [request for request in commerce.requests if request.method == "POST"]


async def assert_still_good(field: Field) -> None:
    """Check that the next connection is served as if nothing had been, and is somebody else's."""
    field.site.commerce.forget()
    outcome = await field.attack(field.request("GET", "/v2/orders"))
    assert_clean(outcome)
    assert (outcome.status, len(outcome.replies)) == (200, 1)
    assert RON.canary.encode() in outcome.first.body


JSON = b'{"data": {"type": "address"}}'
SIZE = b"%x" % len(JSON)
END = b"\r\n0\r\n\r\n"
CHUNKED: dict[str, bytes] = {
    "bare line feed behind the size": SIZE + b"\n" + JSON + END,
    "bare line feed behind the chunk": SIZE + b"\r\n" + JSON + b"\n0\r\n\r\n",
    "bare line feeds at the end": SIZE + b"\r\n" + JSON + b"\r\n0\n\n",
    "bare carriage return": SIZE + b"\r" + JSON + END,
    "signed": b"+" + SIZE + b"\r\n" + JSON + END,
    "negative": b"-" + SIZE + b"\r\n" + JSON + END,
    "hexadecimal mark": b"0x" + SIZE + b"\r\n" + JSON + END,
    "underscore": b"1_d\r\n" + JSON + END,
    "space before": b" " + SIZE + b"\r\n" + JSON + END,
    "tab behind": SIZE + b"\t\r\n" + JSON + END,
    "no size": b"\r\n" + JSON + END,
    "no digits": b"xyz\r\n" + JSON + END,
    "overlong": b"f" * 17 + b"\r\n" + JSON + END,
    "wrapping at 64 bits": b"1" + b"0" * 14 + SIZE + b"\r\n" + JSON + END,
    "wrapping at 32 bits": b"100000000" + b"\r\n" + JSON + END,
    "junk behind the chunk": SIZE + b"\r\n" + JSON + b"XX\r\n0\r\n\r\n",
    "short chunk": b"5\r\n" + JSON + END,
    "line feed in an extension": SIZE + b";a\nb\r\n" + JSON + END,
    "carriage return in an extension": SIZE + b";a\rb\r\n" + JSON + END,
    "NUL in an extension": SIZE + b";a=\0\r\n" + JSON + END,
    "line feed in a quoted extension": SIZE + b';a="\nGET / HTTP/1.1\n"\r\n' + JSON + END,
    "end of line in a quoted extension": SIZE + b';a="\r\n' + JSON + END,
    "huge extension": SIZE + b";" + b"a" * 70_000 + b"\r\n" + JSON + END,
    "fullwidth digit": "\uff11d".encode() + b"\r\n" + JSON + END,
}


@every(front={name: front for name, front in FRONTS.items() if name in {"relayed", "scoped"}}, chunks=CHUNKED)
async def test_d5_1_broken_chunks(field: Field, front: tuple[str, str], chunks: bytes) -> None:
    """Chunks are read by the grammar of RFC 9112 section 7.1: nothing whole of others goes upstream (HTTP Garden)."""
    commerce = field.site.commerce
    commerce.forget()
    raw = framed(field, front, b"Transfer-Encoding: chunked", chunks + hidden(field))
    async with connected(field.site) as client:
        client.send(raw)
        # Whoever still waits for the rest of a body is told that none will come.
        client.writer.write_eof()
        statuses = []
        try:
            while True:
                statuses.append((await read_reply(client)).status)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        assert all(400 <= status < 500 for status in statuses), statuses
    await commerce.wait(lambda: not [one for one in commerce.unfinished if one.connection in commerce.open_connections])
    assert [request.path for request in commerce.requests] == []
    await assert_still_good(field)


GOOD_CHUNKS: dict[str, bytes] = {
    "plain": SIZE + b"\r\n" + JSON + END,
    "capitals": SIZE.upper() + b"\r\n" + JSON + END,
    "leading zeros": b"000" + SIZE + b"\r\n" + JSON + END,
    "extension": SIZE + b";a=b\r\n" + JSON + END,
    "quoted extension": SIZE + b';a="b;c"\r\n' + JSON + END,
    "two chunks": b"1\r\n{\r\n%x\r\n" % (len(JSON) - 1) + JSON[1:] + END,
    "one byte each": b"".join(b"1\r\n%b\r\n" % JSON[at : at + 1] for at in range(len(JSON))) + b"0\r\n\r\n",
    "trailer": SIZE + b"\r\n" + JSON + b"\r\n0\r\nX-Trailer: x\r\n\r\n",
}


@every(front={name: front for name, front in FRONTS.items() if name in {"relayed", "scoped"}}, chunks=GOOD_CHUNKS)
async def test_d5_1_whole_chunks(field: Field, front: tuple[str, str], chunks: bytes) -> None:
    """Chunks that are well-formed arrive as the body they carry and nothing else; what follows is a second request."""
    raw = framed(field, front, b"Transfer-Encoding: chunked", chunks)
    outcome = await field.attack(raw)
    assert_clean(outcome)
    assert len(outcome.replies) == 1
    for request in outcome.requests:
        assert (request.path, request.body) == (front[1], request.body)
        assert request.body in {JSON, JSON.replace(b" ", b"")}
        assert b"railer" not in request.raw


TRAILERS = (
    "X-Moltin-Customer-Token: {stolen}", "Authorization: Bearer {trusted}", "Content-Length: 0", "Host: evil.example",
    "Transfer-Encoding: chunked", "X-Customer-Id: x", "X-HTTP-Method-Override: DELETE", "Content-Type: text/html",
    "Connection: close", "Expect: 100-continue", "Cookie: a=b",
)  # fmt: skip


@every(front={name: front for name, front in FRONTS.items() if name in {"relayed", "scoped"}}, trailer=TRAILERS)
async def test_cve_2026_22815_trailers(field: Field, front: tuple[str, str], trailer: str) -> None:
    """What a trailer says is believed in nothing and goes no further (D5.1, aiohttp)."""
    line = trailer.format(stolen=field.stolen, trusted=field.trusted).encode()
    raw = framed(field, front, b"Transfer-Encoding: chunked", SIZE + b"\r\n" + JSON + b"\r\n0\r\n" + line + b"\r\n\r\n")
    outcome = await field.attack(raw)
    assert_not_smuggled(outcome)
    for request in outcome.requests:
        assert line.partition(b": ")[2] not in request.raw.partition(b"\r\n\r\n")[2]
        assert request.header("host") != "evil.example"


VERSIONS: dict[str, bytes] = {
    "HTTP/0.9": b"GET /v2/orders\r\n",
    "HTTP/0.9 with lines": b"GET /v2/orders\r\nHost: a\r\n\r\n",
    "HTTP/0.9 by name": b"GET /v2/orders HTTP/0.9\r\nHost: a\r\n\r\n",
    "HTTP/2.0": b"GET /v2/orders HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/2": b"GET /v2/orders HTTP/2\r\nHost: a\r\n\r\n",
    "HTTP/3.0": b"GET /v2/orders HTTP/3.0\r\nHost: a\r\n\r\n",
    "HTTP/1.2": b"GET /v2/orders HTTP/1.2\r\nHost: a\r\n\r\n",
    "HTTP/1.10": b"GET /v2/orders HTTP/1.10\r\nHost: a\r\n\r\n",
    "HTTP/1.1x": b"GET /v2/orders HTTP/1.1x\r\nHost: a\r\n\r\n",
    "HTTP/1": b"GET /v2/orders HTTP/1\r\nHost: a\r\n\r\n",
    "http in lower case": b"GET /v2/orders http/1.1\r\nHost: a\r\n\r\n",
    "HTTPS": b"GET /v2/orders HTTPS/1.1\r\nHost: a\r\n\r\n",
    "ICE": b"GET /v2/orders ICE/1.1\r\nHost: a\r\n\r\n",
    "no version": b"GET /v2/orders \r\nHost: a\r\n\r\n",
    "tab": b"GET\t/v2/orders\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "words": b"GET /v2/orders x HTTP/1.1\r\nHost: a\r\n\r\n",
    "space at the end": b"GET /v2/orders HTTP/1.1 \r\nHost: a\r\n\r\n",
    "bare line feeds": b"GET /v2/orders HTTP/1.1\nHost: a\n\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32) + b"\r\n\r\n",
    "SOCKS": b"\x05\x01\x00\r\n\r\n",
    "PROXY": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "PROXY v2": b"\r\n\r\n\x00\r\nQUIT\n\r\n\r\n",
    "SSH": b"SSH-2.0-x\r\n\r\n",
    "SMTP": b"HELO x\r\n\r\n",
    "NUL": b"\0\r\n\r\n",
    "a colon first": b": x\r\n\r\n",
}


@every(version=VERSIONS)
async def test_d0_other_protocols(field: Field, version: bytes) -> None:
    """Only HTTP/1.0 and 1.1 are spoken; everything else is 400 and the end (D.0)."""
    outcome = await field.attack(version + hidden(field), me=None)
    assert_refused(outcome, 400)
    assert outcome.first.ends


@every(version=["1.0", "1.1"])
async def test_d0_rtsp(field: Field, version: str) -> None:
    """What calls itself RTSP is read as HTTP of that version, as llhttp does, and held to every rule (D.0)."""
    raw = field.request("GET", "/v2/orders").replace(b"HTTP/1.1", f"RTSP/{version}".encode(), 1)
    outcome = await field.attack(raw)
    assert_clean(outcome)
    assert outcome.paths in ([], ["/v2/orders"])


@every(first=["GET  /v2/orders HTTP/1.1", "GET /v2/orders  HTTP/1.1", "\r\nGET /v2/orders HTTP/1.1"])
async def test_d0_lenient_request_lines(field: Field, first: str) -> None:
    """Where RFC 9112 section 3 lets a reader be lenient there is still one reading, or a refusal (D.0)."""
    raw = field.request("GET", "/v2/orders").replace(b"GET /v2/orders HTTP/1.1", first.encode(), 1)
    outcome = await field.attack(raw)
    assert_clean(outcome)
    assert outcome.status in {200, 400}
    assert outcome.paths in ([], ["/v2/orders"])


@every(
    lines={
        "TE": "Transfer-Encoding: chunked",
        "TE with keep-alive": "Connection: keep-alive\r\nTransfer-Encoding: chunked",
    }
)
async def test_d5_1_chunks_in_http_1_0(field: Field, lines: str) -> None:
    """HTTP/1.0 has no chunks: a request with them is refused (RFC 9112 section 6.1)."""
    for front in FRONTS.values():
        raw = framed(field, front, lines.encode(), CHUNKS + hidden(field)).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        outcome = await field.attack(raw)
        assert_refused(outcome, 400)
        assert outcome.is_answered


UPGRADES: dict[str, str] = {
    "h2c": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    "h2c without settings": "Connection: Upgrade\r\nUpgrade: h2c",
    "h2c, not in Connection": "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    "h2": "Connection: Upgrade\r\nUpgrade: h2",
    "websocket": "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "websocket of an old version": "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 7\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "websocket in capitals": "Connection: UPGRADE\r\nUpgrade: WEBSOCKET\r\nSec-WebSocket-Version: 13",
    "TLS": "Connection: Upgrade\r\nUpgrade: TLS/1.0",
    "two": "Connection: Upgrade\r\nUpgrade: websocket, h2c",
    "connect-udp": "Connection: Upgrade\r\nUpgrade: connect-udp\r\nCapsule-Protocol: ?1",
    "unknown": "Connection: Upgrade\r\nUpgrade: x",
}


@every(
    upgrade=UPGRADES,
    target=["/v2/orders", "/v2/products", f"/v2/customers/{RON_ID}"],
    behind=["nothing", "a request", "frames"],
)
async def test_cve_2025_64763_upgrades(field: Field, upgrade: str, target: str, behind: str) -> None:
    """No upgrade is ever made: the answer is judged, and bytes behind it are not read (D5.3 Envoy; D5.4; D5.11)."""
    raw = field.request("GET", target, upgrade)
    raw += {"nothing": b"", "a request": hidden(field), "frames": b"\x81\x85\0\0\0\0hello"}[behind]
    outcome = await field.attack(raw)
    assert_not_smuggled(outcome)
    assert outcome.status in ({501} if "websocket" in upgrade.lower() else {200, 400})
    assert outcome.first.ends
    assert len(outcome.replies) == 1
    assert not outcome.first.values("upgrade")
    assert all(request.header("upgrade") is None for request in outcome.requests)


@every(target=["evil.example:443", "127.0.0.1:1", "/v2/orders", "*", "shop.example", "http://shop.example/v2/orders"])
async def test_d5_3_connect(field: Field, target: str) -> None:
    """CONNECT opens no tunnel, and nothing behind it is read (D5.3, Traefik 2026-07)."""
    outcome = await field.attack(field.request("CONNECT", target) + hidden(field))
    assert_refused(outcome, 400)
    assert outcome.first.ends
    assert len(outcome.replies) == 1


EXPECTS = (
    "100-continue",
    "100-Continue",
    "100-continue, 100-continue",
    "200-ok",
    "",
    "100-continue;x",
    "100",
    "x" * 4000,
)


@every(expect={repr(expect[:30]): expect for expect in EXPECTS}, front=FRONTS, version=["1.1", "1.0"])
async def test_d5_1_expect(field: Field, expect: str, front: tuple[str, str], version: str) -> None:
    """Expect is answered here or refused; it is not forwarded, and the body behind it stays a body (HTTP Garden)."""
    body = hidden(field)
    raw = framed(field, front, f"Expect: {expect}\r\nContent-Length: {len(body)}".encode(), body)
    outcome = await field.attack(raw.replace(b"HTTP/1.1", f"HTTP/{version}".encode(), 1))
    assert_not_smuggled(outcome)
    assert all(request.header("expect") is None for request in outcome.requests)


@every(
    first={
        "scoped": ("GET", "/v2/orders"),
        "foreign": ("GET", f"/v2/customers/{LESLIE.id}"),
        "unknown": ("GET", "/nowhere"),
        "relayed": ("GET", "/v2/products"),
        "denied": ("DELETE", "/v2/orders"),
        "ambiguous": ("GET", "/v2/orders/../x"),
        "head": ("HEAD", "/v2/orders"),
        "preflight": ("OPTIONS", "/v2/orders"),
    },
    second=["customer", "nobody", "dead token"],
)
async def test_d5_1_pipelined_requests(field: Field, first: tuple[str, str], second: str) -> None:
    """A second request in the same packet is answered second, by its own credentials alone (D5.1)."""
    proof = {
        "customer": [f"Authorization: Bearer {field.bearer}", f"X-Moltin-Customer-Token: {field.stolen}"],
        "nobody": [f"Authorization: Bearer {field.bearer}"],
        "dead token": [f"Authorization: Bearer {field.bearer}", "X-Moltin-Customer-Token: a.b.c"],
    }[second]
    raw = field.request(*first) + field.request("GET", "/v2/customers", "Connection: close", proof=proof)
    async with connected(field.site) as client:
        client.send(raw)
        one = await read_reply(client, to_head=first[0] == "HEAD")
        assert LESLIE.canary.encode() not in one.body
        two = await read_reply(client)
        assert await client.rest() == b""
    if second == "customer":
        assert two.status == 200
        assert [record["id"] for record in two.json()["data"]] == [LESLIE.id]
    else:
        assert two.status == 403
        assert RON.canary.encode() not in two.body


WHOLE = {
    "scoped GET": ("GET", "/v2/orders", None),
    "scoped POST": ("POST", f"/v2/customers/{RON_ID}/addresses", {"data": {**ADDRESS, "name": "cut"}}),
    "relayed POST": ("POST", "/v2/carts/attacked/items", {"data": {"type": "cart_item", "quantity": 1, "id": "x"}}),
}
SAMPLES = 16


@every(
    asked=WHOLE,
    part={f"{number}/{SAMPLES}": number / SAMPLES for number in range(SAMPLES)} | {"all but one byte": 1.0},
    how=["reset", "end"],
)
async def test_early_abort(field: Field, asked: tuple[str, str, object], part: float, how: str) -> None:
    """A request that is cut off is never whole upstream, and the next connection finds nothing of it."""
    method, target, body = asked
    whole = field.request(method, target, body=body)
    commerce = field.site.commerce
    commerce.forget()
    async with connected(field.site) as client:
        client.send(whole[: min(int(len(whole) * part), len(whole) - 1)])
        if how == "end":
            client.writer.write_eof()
            # Nobody can tell what was meant: an answer may come, the end must.
            await client.rest()
        else:
            client.leave()
    outcome = await field.attack(field.request("GET", "/v2/orders?page[limit]=1", "Connection: close"))
    assert_clean(outcome)
    assert outcome.status == 200
    assert [request.target.startswith("/v2/orders?") for request in outcome.requests] == [True]
    assert not [one for one in commerce.all_requests if one.method == "POST" and not one.is_grant]


HEADS: dict[str, tuple[list[str], str]] = {
    "a line of 7 KB": (["X-A: " + "a" * 7000], ""),
    "a line of 9 KB": (["X-A: " + "a" * 9000], ""),
    "a line of 33 KB": (["X-A: " + "a" * 33_000], ""),
    "a line of 64 KB": (["X-A: " + "a" * 65536], ""),
    "a name of 9 KB": (["X" * 9000 + ": a"], ""),
    "100 lines": ([f"X-{number}: a" for number in range(100)], ""),
    "1000 lines": ([f"X-{number}: a" for number in range(1000)], ""),
    "40 lines of 7 KB": ([f"X-{number}: " + "a" * 7000 for number in range(40)], ""),
    "a query of 7 KB": ([], "?page[limit]=" + "1" * 7000),
    "a query of 9 KB": ([], "?page[limit]=" + "1" * 9000),
    "a query of 100 KB": ([], "?page[limit]=" + "1" * 100_000),
    "a path of 7 KB": ([], "/" + "a" * 7000),
    "a path of 9 KB": ([], "/" + "a" * 9000),
    "1000 parameters": ([], "?" + "&".join(["page[limit]=1"] * 500)),
}


@every(head=HEADS, target=["/v2/orders", "/v2/products"])
async def test_cve_2026_54277_sizes_of_heads(field: Field, head: tuple[list[str], str], target: str) -> None:
    """Lines, targets and heads have limits; beyond them it is a 4xx, and the connection ends (aiohttp)."""
    lines, more = head
    outcome = await field.attack(field.request("GET", target + more, *lines))
    assert_clean(outcome)
    if max(map(len, [*lines, more]), default=0) > 32 * 1024 or sum(map(len, lines)) > 64 * 1024 or len(lines) > 200:
        assert_refused(outcome, 400, 431)
        assert outcome.first.ends
    elif outcome.status == 200:
        assert all(request.header(line.partition(":")[0]) is None for line in lines for request in outcome.requests)
    else:
        assert outcome.status < 500


@every(behind={"one line feed": b"\n", "empty line": b"\r\n", "two empty lines": b"\r\n\r\n", "NUL": b"\0",
"junk": b"x\r\n\r\n",
               "spaces": b"   \r\n\r\n", "a chunk": b"0\r\n\r\n", "a body": b'{"data": {}}\r\n\r\n'})  # fmt: skip
async def test_bytes_behind_a_request(field: Field, behind: bytes) -> None:
    """What is behind a request without a body is no part of it, and no request unless it reads as one (D5.1)."""
    raw = field.request("GET", "/v2/orders") + behind + hidden(field)
    outcome = await field.attack(raw)
    assert_clean(outcome)
    assert outcome.status in {200, 400}
    # Behind an empty line a second request is a second request; it was never hidden.
    assert outcome.paths in ([], ["/v2/orders"], ["/v2/orders", SMUGGLED])
    assert all(request.values("content-length") == [] for request in outcome.requests)
    assert PROBE not in outcome.paths


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_cve_2026_50197_bodies_where_none_belongs(field: Field, method: str, framing: str) -> None:
    """GET, HEAD and a scoped DELETE carry no body: with one they are refused, unread (D5.6, Skipper)."""
    body = hidden(field)
    lines = b"Content-Length: %d" % len(body) if framing == "length" else b"Transfer-Encoding: chunked"
    content = body if framing == "length" else b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    target = "/v2/orders" if method != "DELETE" else f"/v2/customers/{RON_ID}"
    outcome = await field.attack(framed(field, (method, target), lines, content), to_head=method == "HEAD")
    assert_refused(outcome, 400)
    assert_nothing_sent(outcome)
    assert RON_ID in field.site.commerce.shop.customers
