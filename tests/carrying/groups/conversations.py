"""Anything with anything: conversations drawn by a seed, the same ones each time."""

import random

from tests.carrying.answer import BODIES, CART, JSON, OWN_ORDER, PRODUCTS, WISHES, chunks, head
from tests.carrying.case import Ask, Case, Group, Said, case, cut
from tests.carrying.groups.requests import CALLERS, LINES, METHODS, TARGETS

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


def asked(chance: random.Random) -> Ask:
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
    return Ask(method, target, chance.choice(callers), tuple(lines), body, version)


def ends(ask: Ask) -> bool:
    """Tell whether a request is the last one that is read on its connection."""
    start, _, fields = ask.wire({ask.caller: ()}).partition(b"\r\n")
    marks = [line.encode("latin-1") for name in (*BAD_LINES, *CLOSING_LINES) for line in LINES[name]]
    return (
        not start.endswith(b"HTTP/1.1") or start.startswith((b"get ", b"CONNECT ")) or any(m in fields for m in marks)
    )


def some_pieces(chance: random.Random, whole: bytes) -> tuple[bytes, ...]:
    """Cut bytes into some pieces."""
    return tuple(cut(whole, *[chance.randrange(1, len(whole)) for _ in range(chance.choice([0, 0, 1, 3]))]))


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
    return Said(some_pieces(chance, head(*lines, status=status, version=version) + body), end, about=about)


STATUSES = [201, 203, 205, 206, 301, 304, 204, 400, 403, 404, 409, 422, 429, 500, 503]
EXTRA = [
    "Connection: close", "Connection: keep-alive", "Connection: etag", "ETag: a", "Set-Cookie: a=b", "Vary: a",
    "Location: http://links.example/x", "Content-Encoding: gzip", "Content-Encoding: identity", "Server: x",
    "Date: never",
    "Cache-Control: public", "Access-Control-Allow-Origin: x", "X-A: \xe9", "X-B:", "Link: <http://links.example/>",
    "Retry-After: 5", "Content-Range: bytes 0-1/2", "Trailer: x-trailer", "Keep-Alive: timeout=1", "Upgrade: h2c",
    "X-Request-Id: theirs", "Content-Language: en",
]  # fmt: skip


def conversation(seed: int) -> Case:
    """Draw some requests in a row, in pieces, and what is answered to them."""
    chance = random.Random(seed)  # noqa: S311 - the same conversation each time
    asks = tuple(asked(chance) for _ in range(chance.choice([1, 1, 2, 4])))
    cuts = tuple(chance.randrange(3000) for _ in range(chance.choice([0, 0, 1, 2])))
    if len(asks) > 1 and any(map(ends, asks)):
        # What aiohttp makes of requests before one that it cannot read depends on whether they came together.
        cuts = ()
    first = seed // 20 * 20
    return case(f"seeds {first} to {first + 19}, {seed}", asks, answered(chance), cuts=cuts)


GROUP = Group("conversations", tuple(map(conversation, range(300))))
