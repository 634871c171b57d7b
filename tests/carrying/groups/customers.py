"""Two customers, one after the other, on one connection to the upstream: each is answered with their own, and no more.

Whatever stood in the reader from the last answer, or came behind it, must not become a part of the next one.
"""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.demo.data import LESLIE, RON, Person
from tests.carrying.answer import BODIES, CHUNKED, JSON, chunks, framed, head
from tests.carrying.case import Ask, Case, Group, Said, Talk

CALLERS = {RON: "ron", LESLIE: "leslie"}
Write = Callable[[bytes], bytes]
"""Writes an answer whose body shall be that."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of answer: to which method, how it is written, and what becomes of the connection behind it."""

    write: Write
    method: str = "GET"
    end: str = "open"
    later: Write | None = None
    lines: tuple[str, ...] = ()
    version: str = "1.1"

    def ask(self, person: Person, *, is_open: bool) -> Ask:
        """Ask as somebody, for something of their own."""
        return Ask(self.method, path(person, is_open=is_open), CALLERS[person], self.lines, version=self.version)

    def said(self, person: Person, *, is_open: bool) -> Said:
        """Answer it."""
        body = own(person)
        pieces = (self.write(body), *([self.later(body)] if self.later else []))
        return Said(pieces, self.end, about=path(person, is_open=is_open))


def path(person: Person, *, is_open: bool) -> str:
    """Return where somebody's own is."""
    return f"/v2/carts/{CALLERS[person]}" if is_open else f"/v2/customers/{person.id}/wishes"


def own(person: Person, ident: str = "mine") -> bytes:
    """Return what is somebody's own."""
    return json.dumps({"data": [{"id": ident, "owner": person.id}]}).encode()


def packed(body: bytes) -> bytes:
    """Write it compressed."""
    small = gzip.compress(body, mtime=0)
    return head(JSON, "content-encoding: gzip", f"content-length: {len(small)}") + small


def planted(_: bytes) -> bytes:
    """Write an answer to nobody's question, which the next customer's guard would let pass."""
    return framed(own(LESLIE, "planted"))


TRAILERS = b"0\r\nx-trailer: a\r\netag: c\r\n\r\n"
# Nothing of these keeps a connection from being used again.
CLEAN: dict[str, Kind] = {
    "a length": Kind(framed),
    "chunks": Kind(lambda body: head(JSON, CHUNKED) + chunks(body, 20)),
    "trailers": Kind(lambda body: head(JSON, CHUNKED) + chunks(body, 20, TRAILERS)),
    "chunk extensions": Kind(lambda body: head(JSON, CHUNKED) + chunks(body, 20, style=b"%x;a=b\r\n")),
    # Where a rule reads the answer, a HEAD is a GET upstream.
    "HEAD": Kind(framed, "HEAD"),
    "204": Kind(lambda _: head(status=204), "DELETE"),
    "304": Kind(lambda body: head("etag: a", f"content-length: {len(body)}", status=304)),
    "100 first": Kind(lambda body: head(status=100) + framed(body)),
    "103 first": Kind(lambda body: head("link: </a>", status=103) * 2 + framed(body)),
    "gzip": Kind(packed),
    "an empty body": Kind(lambda _: framed(b"")),
    "422": Kind(lambda _: framed(BODIES["error"], status=422)),
    "404": Kind(lambda _: framed(BODIES["error"], status=404)),
    "500": Kind(lambda _: head(JSON, CHUNKED, status=500) + chunks(BODIES["error"])),
    "somebody else's": Kind(lambda _: framed(BODIES["foreign list"])),
    "no JSON": Kind(lambda _: head("content-type: text/html", "content-length: 4") + b"<p/>"),
}
SECOND = ("a length", "chunks", "trailers", "HEAD", "204", "100 first", "422")
# To a HEAD that goes upstream as one.
HEADS: dict[str, Kind] = {
    "HEAD": Kind(lambda body: head(JSON, f"content-length: {len(body)}"), "HEAD"),
    "HEAD, chunks": Kind(lambda _: head(JSON, CHUNKED), "HEAD"),
    "HEAD, no length": Kind(lambda _: head(JSON), "HEAD"),
    "HEAD, 204": Kind(lambda _: head(status=204), "HEAD"),
    "HEAD, 404": Kind(lambda _: head(JSON, "content-length: 70", status=404), "HEAD"),
    "HEAD, a body behind": Kind(framed, "HEAD"),
    "HEAD, a body later": Kind(
        lambda body: head(JSON, f"content-length: {len(body)}"), "HEAD", later=lambda body: body
    ),
    "HEAD, chunks behind": Kind(lambda body: head(JSON, CHUNKED) + chunks(body), "HEAD"),
    "HEAD, another behind": Kind(lambda body: head(JSON, "content-length: 9") + planted(body), "HEAD"),
}


# Behind these the next customer needs another connection, or there was something on this one that nobody may take.
UNCLEAN: dict[str, Kind] = {
    "connection: close": Kind(lambda body: framed(body, "connection: close"), end="close"),
    "connection: close, and open": Kind(lambda body: framed(body, "connection: close")),
    "HTTP/1.0": Kind(lambda body: framed(body).replace(b"HTTP/1.1", b"HTTP/1.0", 1)),
    "HTTP/1.0, kept": Kind(lambda body: framed(body, "connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0", 1)),
    "no length": Kind(lambda body: head(JSON) + body, end="close"),
    "closed behind a length": Kind(framed, end="close"),
    "reset behind a length": Kind(framed, end="reset", later=lambda _: b""),
    "another at once": Kind(lambda body: framed(body) + planted(body)),
    "another later": Kind(framed, later=planted),
    "another behind chunks": Kind(lambda body: head(JSON, CHUNKED) + chunks(body) + planted(body)),
    "another behind chunks later": Kind(lambda body: head(JSON, CHUNKED) + chunks(body), later=planted),
    "half of another": Kind(lambda body: framed(body) + planted(body)[:40]),
    "half of another later": Kind(framed, later=lambda body: planted(body)[:40]),
    "the head of another": Kind(lambda body: framed(body) + planted(body)[: -len(own(LESLIE, "planted"))]),
    "the head of another later": Kind(framed, later=lambda body: planted(body)[: -len(own(LESLIE, "planted"))]),
    "100 later": Kind(framed, later=lambda _: head(status=100)),
    "half of 100 later": Kind(framed, later=lambda _: head(status=100)[:-2]),
    "an empty line later": Kind(framed, later=lambda _: b"\r\n"),
    "100 behind": Kind(lambda body: framed(body) + head(status=100)),
    "an empty line behind": Kind(lambda body: framed(body) + b"\r\n"),
    "garbage behind": Kind(lambda body: framed(body) + b"garbage"),
    "garbage later": Kind(framed, later=lambda _: b"garbage"),
    "more than its length": Kind(lambda body: head(JSON, "content-length: 11") + b'{"data":[]}' + body),
    "a body behind 204": Kind(lambda body: framed(body, status=204), "DELETE"),
    "another behind 204": Kind(lambda body: head(status=204) + planted(body), "DELETE"),
    "another behind 204 later": Kind(lambda _: head(status=204), "DELETE", later=planted),
    "a body behind 304": Kind(lambda body: framed(body, status=304)),
    "another behind 304": Kind(lambda body: head(status=304) + planted(body)),
    "one byte short": Kind(lambda body: framed(body)[:-1], end="close"),
    "cut in a chunk": Kind(lambda body: head(JSON, CHUNKED) + chunks(body)[:-20], end="close"),
    "above the limit": Kind(lambda body: head(JSON, "content-length: 99999999999") + body, end="close"),
    "bare line feeds": Kind(lambda body: framed(body).replace(b"\r\n", b"\n")),
    "spaces behind chunk sizes": Kind(lambda body: head(JSON, CHUNKED) + chunks(body, 20, style=b"%x \r\n")),
    "a length in trailers": Kind(
        lambda body: head(JSON, CHUNKED) + chunks(body, 20, b"0\r\ncontent-length: 5\r\n\r\n")
    ),
    "101": Kind(lambda body: head("upgrade: x", "connection: upgrade", status=101) + planted(body)),
    # The client's own connection ends, which is nothing to the upstream's.
    "a client that closes": Kind(framed, lines=("Connection: close",)),
    "a client of HTTP/1.0": Kind(framed, version="1.0"),
}


def pair(first: str, second: str, *, is_open: bool) -> Case:
    """Let Ron be answered in one way, and Leslie then in another."""
    kinds = CLEAN | UNCLEAN | (HEADS if is_open else {})
    talks = tuple(
        Talk((kinds[name].ask(person, is_open=is_open),)) for name, person in ((first, RON), (second, LESLIE))
    )
    says = (kinds[first].said(RON, is_open=is_open), kinds[second].said(LESLIE, is_open=is_open))
    return Case(f"{first}, then {second}{', open' if is_open else ''}", talks, says)


def everywhere(name: str) -> Case:
    """Cut both answers of one kind anywhere."""
    whole = pair(name, name, is_open=False)
    longest = max(len(b"".join(said.pieces)) for said in whole.says if not callable(said.pieces))
    return replace(whole, name=f"{name}, cut anywhere", cut_up_to=longest)


def thrice(name: str) -> Case:
    """Let Ron, Leslie and Ron again be answered in one way, on connections of theirs that stay open between."""
    one = pair(name, name, is_open=False)
    return replace(one, name=f"{name}, three times", talks=(*one.talks, one.talks[0]))


def left(name: str, *, is_open: bool, size: int) -> Case:
    """Let Ron leave when some bytes of his answer have come."""
    kind = Kind(lambda body: CLEAN[name].write(body)[:size])
    second = CLEAN["a length"]
    talks = (
        Talk((kind.ask(RON, is_open=is_open),), leaves=True),
        Talk((second.ask(LESLIE, is_open=is_open),)),
    )
    says = (kind.said(RON, is_open=is_open), second.said(LESLIE, is_open=is_open))
    return Case(f"{name}, Ron leaves behind {size} bytes{', open' if is_open else ''}", talks, says)


def interjected(name: str, what: str, *, is_open: bool) -> Case:
    """Let the upstream say something in the moment in which Leslie asks."""
    said = {"another": planted(b""), "half of another": planted(b"")[:40], "an end": b""}[what]
    one = pair("a length", name, is_open=is_open)
    return replace(one, name=f"{what} at the same moment, then {name}{', open' if is_open else ''}", interjected=said)


GROUP = Group(
    "customers",
    (
        *(pair(first, second, is_open=False) for first in CLEAN for second in SECOND),
        *(
            pair(first, second, is_open=True)
            for first in {**CLEAN, **HEADS}
            for second in ("a length", "HEAD", "chunks")
        ),
        *(pair(first, "a length", is_open=is_open) for first in UNCLEAN for is_open in (False, True)),
        *map(thrice, CLEAN),
        *(
            interjected(name, what, is_open=is_open)
            for what in ("another", "half of another", "an end")
            for name in ("a length", "HEAD", "204")
            for is_open in (False, True)
        ),
        *map(everywhere, ("a length", "trailers", "204", "304", "100 first", "gzip")),
        *(
            left(name, is_open=is_open, size=size)
            for name in ("a length", "chunks")
            for is_open in (False, True)
            for size in (0, 20, 110)
        ),
    ),
    tells_connections=True,
)
