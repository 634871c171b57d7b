"""Bodies on their way up: read whole where a rule reads them, passed on as they come where a route is open."""

from gateway.demo.data import RON
from tests.carrying.answer import CART, JSON, chunks, framed, head
from tests.carrying.case import Ask, Group, Said, case
from tests.carrying.groups.writes import DOCUMENT, TYPE
from tests.carrying.upstream import NOTES

SMALL, LARGE = b'{"data":{"a":"b"}}', b"x" * 200_000
BY_LENGTH: dict[str, tuple[tuple[str, ...], bytes]] = {
    "a length": ((f"Content-Length: {len(SMALL)}",), SMALL),
    "chunks": (("Transfer-Encoding: chunked",), chunks(SMALL, 7)),
    "trailers": (("Transfer-Encoding: chunked",), chunks(SMALL, 7, b"0\r\nx-a: b\r\n\r\n")),
    "no body": ((), b""),
    "an empty body": (("Content-Length: 0",), b""),
    "empty chunks": (("Transfer-Encoding: chunked",), chunks(b"")),
    "expecting": (("Expect: 100-continue", f"Content-Length: {len(SMALL)}"), SMALL),
    "expecting, chunks": (("Expect: 100-continue", "Transfer-Encoding: chunked"), chunks(SMALL, 7)),
    "expecting else": (("Expect: 200-ok", f"Content-Length: {len(SMALL)}"), SMALL),
    "large": ((f"Content-Length: {len(LARGE)}",), LARGE),
    "large, chunks": (("Transfer-Encoding: chunked",), chunks(LARGE, 7000)),
    "encoded": (("Content-Encoding: gzip", f"Content-Length: {len(SMALL)}"), SMALL),
    "no chunk size": (("Transfer-Encoding: chunked",), b"zz\r\n"),
    "a chunk too long": (("Transfer-Encoding: chunked",), b"2\r\nabc\r\n0\r\n\r\n"),
    "spaces behind a chunk size": (("Transfer-Encoding: chunked",), b"2 \r\nab\r\n0\r\n\r\n"),
    "and close": ((f"Content-Length: {len(SMALL)}", "Connection: close"), SMALL),
}
READ: dict[str, tuple[tuple[str, ...], bytes]] = {
    "a length": (TYPE, DOCUMENT),
    "chunks": (("Content-Type: application/json", "Transfer-Encoding: chunked"), chunks(DOCUMENT, 7)),
    "expecting": ((*TYPE, "Expect: 100-continue"), DOCUMENT),
    "no body": ((), b""),
    "no type": (TYPE[1:], DOCUMENT),
    "half": (("Content-Type: application/json", "Content-Length: 9"), DOCUMENT[:9]),
}
KEPT: dict[str, Said] = {
    "chunks": Said((head(JSON, "transfer-encoding: chunked") + chunks(SMALL),)),
    "bare line feeds": Said((framed(SMALL).replace(b"\r\n", b"\n"),)),
    "closed before the answer": Said((), "close"),
    "closed before the answer once": Said((), "close", times=1),
    "one byte short": Said((framed(SMALL)[:-1],), "close"),
}
# Within the head, between head and body, within the body.
CUTS = (60, -3, -8, -100)

GROUP = Group(
    "uploads",
    (
        *(
            case(f"{name}, {method}", Ask(method, CART, "public", lines, body))
            for name, (lines, body) in BY_LENGTH.items()
            for method in ("POST", "PUT", "DELETE", "GET")
            # Whether all of a large body was there when it was refused is chance, and so is the end of the connection.
            if method != "GET" or not name.startswith("large")
        ),
        *(
            case(f"{name}, POST, cut", Ask("POST", CART, "public", *BY_LENGTH[name]), cuts=CUTS)
            for name in ("a length", "chunks", "trailers", "expecting", "large", "large, chunks")
        ),
        *(
            case(f"{name}, read by a rule", Ask("POST", NOTES[RON], "ron", lines, body))
            for name, (lines, body) in READ.items()
        ),
        *(
            case(f"{name}, {method}, answered by {answer}", Ask(method, CART, "public", *BY_LENGTH[name]), said)
            for name in ("a length", "chunks", "large")
            for answer, said in KEPT.items()
            for method in ("POST", "PUT")
        ),
    ),
)
