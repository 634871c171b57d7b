"""Writes and reads of records that an upstream keeps, whose answers are odd or do not come: what is sent, how often.

A record that is deleted twice answers 404 the second time, and one that is created twice is there twice.
"""

import gzip
from collections.abc import Callable
from dataclasses import replace

from gateway.demo.answers import ShopAnswer
from gateway.demo.data import RON
from tests.carrying.answer import CHUNKED, JSON, chunks, framed, head
from tests.carrying.case import Ask, Case, Group, Said, Spelling, Talk, case
from tests.carrying.upstream import BASKETS, NOTES

DOCUMENT = b'{"data":{"text":"second"}}'
TYPE = ("Content-Type: application/json", f"Content-Length: {len(DOCUMENT)}")


def asking(one: str, all_of_them: str, caller: str) -> dict[str, Ask]:
    """Return a question by each method."""
    asks = {method: Ask(method, one, caller) for method in ("GET", "HEAD", "DELETE")}
    asks |= {method: Ask(method, one, caller, TYPE, DOCUMENT) for method in ("PUT", "PATCH")}
    return asks | {"POST": Ask("POST", all_of_them, caller, TYPE, DOCUMENT)}


GUARDED = asking(f"{NOTES[RON]}/note1", NOTES[RON], "ron")
OPEN = asking(f"{BASKETS}/basket3", BASKETS, "public")
ASKS = {**GUARDED, **{f"open {method}": ask for method, ask in OPEN.items()}}


def spelled(write: Callable[[bytes, int], bytes], *later: bytes) -> Spelling:
    """Write a true answer by its body and status, and what comes later; an answer to HEAD ends with its head."""

    def pieces(truth: ShopAnswer) -> tuple[bytes, ...]:
        return (write(truth.body, truth.status), *later)

    return pieces


def length(*lines: str, version: str = "HTTP/1.1", reason: str = "Said") -> Spelling:
    """Write it with its length."""
    return spelled(
        lambda body, status: (
            head(JSON, *lines, f"content-length: {len(body)}", status=status, version=version, reason=reason) + body
        )
    )


def chunked(size: int = 20, end: bytes = b"0\r\n\r\n", style: bytes = b"%x\r\n") -> Spelling:
    """Write it in chunks."""
    return spelled(lambda body, status: head(JSON, CHUNKED, status=status) + chunks(body, size, end, style))


def rewritten(spelling: Spelling, old: bytes, new: bytes, count: int = -1) -> Spelling:
    """Write it in another way, and then replace something in it."""
    return lambda truth: tuple(piece.replace(old, new, count) for piece in spelling(truth))


def late_spaces(truth: ShopAnswer) -> tuple[bytes, ...]:
    """Write it in chunks with spaces behind their sizes, which come later than the head."""
    return head(JSON, CHUNKED, status=truth.status), chunks(truth.body, 20, style=b"%x \r\n")


def packed(truth: ShopAnswer) -> tuple[bytes, ...]:
    """Write it compressed."""
    return (framed(gzip.compress(truth.body, mtime=0), "content-encoding: gzip", status=truth.status),)


def empty(truth: ShopAnswer) -> tuple[bytes, ...]:
    """Say that it succeeded, and nothing else."""
    return (head(status=204) if truth.status < 300 else head("content-length: 0", status=truth.status),)


def nothing(truth: ShopAnswer) -> tuple[bytes, ...]:
    """Write a success with an empty body."""
    return (framed(b"", status=truth.status),)


def bare(spelling: Spelling) -> Spelling:
    """Write it with bare line feeds."""
    return rewritten(spelling, b"\r\n", b"\n")


# --- Odd, but to be read ----------------------------------------------------------------------------------------------

ODD: dict[str, tuple[Spelling, str]] = {
    "a length": (length(), "open"),
    "chunks": (chunked(), "open"),
    "trailers": (chunked(end=b"0\r\nx-a: b\r\n\r\n"), "open"),
    "bare line feeds": (bare(length()), "open"),
    "bare line feeds in chunks": (bare(chunked()), "open"),
    "one bare line feed": (rewritten(length(), b"\r\n", b"\n", 1), "open"),
    "a bare line feed behind the head": (rewritten(length(), b"\r\n\r\n", b"\r\n\n"), "open"),
    "spaces behind chunk sizes": (chunked(style=b"%x  \r\n"), "open"),
    "spaces behind late chunk sizes": (late_spaces, "open"),
    "a tab behind a chunk size": (chunked(style=b"%x\t\r\n"), "open"),
    "zeros before chunk sizes": (chunked(style=b"000%x\r\n"), "open"),
    "no blank behind colons": (rewritten(length(), b": ", b":"), "open"),
    "tabs behind colons": (rewritten(length(), b": ", b":\t"), "open"),
    "a blank before a colon": (length("x-a : b"), "open"),
    "a blank in a name": (length("x a: b"), "open"),
    "a folded line": (length("x-a: a\r\n b"), "open"),
    "a control in a value": (length("x-a: a\x01b"), "open"),
    "bytes beyond ASCII": (length("x-a: \xe9\xff"), "open"),
    "an empty line first": (spelled(lambda body, status: b"\r\n" + framed(body, status=status)), "open"),
    "two blanks in the first line": (rewritten(length(), b"HTTP/1.1 ", b"HTTP/1.1  ", 1), "open"),
    "no reason": (rewritten(length(), b" Said", b"", 1), "open"),
    "a reason beyond ASCII": (length(reason="\xe9\xff"), "open"),
    "the length twice": (rewritten(length(), b"content-length", b"content-length: 5\r\ncontent-length"), "open"),
    "the same length twice": (lambda truth: length(f"content-length: {len(truth.body)}")(truth), "open"),
    "length and chunks": (rewritten(chunked(), b"\r\n", b"\r\ncontent-length: 3\r\n", 1), "close"),
    "CHUNKED": (rewritten(chunked(), b"chunked", b"CHUNKED", 1), "open"),
    "identity": (length("transfer-encoding: identity"), "close"),
    "no length": (spelled(lambda body, status: head(JSON, status=status) + body), "close"),
    "HTTP/1.0": (length(version="HTTP/1.0"), "close"),
    "connection: close": (length("connection: close"), "close"),
    "100 first": (spelled(lambda body, status: head(status=100) + framed(body, status=status)), "open"),
    "103 first": (spelled(lambda body, status: head("link: a", status=103) + framed(body, status=status)), "open"),
    "gzip": (packed, "open"),
    "204": (empty, "open"),
    "204, bare line feeds": (bare(empty), "open"),
    "an empty body": (nothing, "open"),
    "an answer and another": (spelled(lambda body, status: framed(body, status=status) * 2), "open"),
}


def to(method: str, spelling: Spelling) -> Spelling:
    """Write the answer to a method: none to HEAD has a body."""
    if method != "HEAD":
        return spelling

    def pieces(truth: ShopAnswer) -> tuple[bytes, ...]:
        whole = b"".join(spelling(truth))
        # Behind interim answers; an empty line before the first is none behind it.
        start = whole.rfind(b"HTTP/1")
        marks = (b"\r\n\r\n", b"\n\n", b"\r\n\n")
        return (whole[: min(at + len(mark) for mark in marks if (at := whole.find(mark, start)) >= 0)],)

    return pieces


# --- None, or not to be read ------------------------------------------------------------------------------------------


def begun(size: int) -> Spelling:
    """Write the beginning of an answer with a length; a negative size leaves so much of it out."""
    return lambda truth: (*(piece[:size] for piece in length()(truth)), b"")


def head_alone(truth: ShopAnswer) -> tuple[bytes, ...]:
    """Write a head that announces more."""
    return head(JSON, f"content-length: {len(truth.body)}", status=truth.status), b""


def chunks_alone(truth: ShopAnswer) -> tuple[bytes, ...]:
    """Write chunks, and no last one."""
    return head(JSON, CHUNKED, status=truth.status) + chunks(truth.body, 20, b""), b""


LOST: dict[str, Said] = {
    "closed before the answer": Said((), "close"),
    "closed before the answer once": Said((), "close", times=1),
    "reset before the answer": Said((), "reset"),
    "reset before the answer once": Said((), "reset", times=1),
    "closed within the first line": Said(begun(9), "close"),
    "closed within the head": Said(begun(30), "close"),
    "closed within the head once": Said(begun(30), "close", times=1),
    "reset within the head": Said(begun(30), "reset"),
    "closed behind the head": Said(head_alone, "close"),
    "closed within the body": Said(begun(-9), "close"),
    "closed within the body once": Said(begun(-9), "close", times=1),
    "reset within the body": Said(begun(-9), "reset"),
    "closed before the last chunk": Said(chunks_alone, "close"),
    "no HTTP": Said((b"SSH-2.0-OpenSSH_9.6\r\n",), "close"),
    "no HTTP, open": Said((b"SSH-2.0-OpenSSH_9.6\r\n",)),
    "two lengths": Said((head(JSON, "content-length: 2", "content-length: 3") + b"{}1",)),
    "no chunk size": Said((head(JSON, CHUNKED) + b"zz\r\n{}",)),
    "101": Said((head("upgrade: x", "connection: upgrade", status=101),)),
}


def odd(name: str, asking_for: str) -> Case:
    """Ask, and be answered in an odd spelling."""
    spelling, end = ODD[name]
    # Where a rule reads the answer, a HEAD is a GET upstream.
    method = "GET" if asking_for == "HEAD" else ASKS[asking_for].method
    return case(
        f"{name}, {asking_for}", ASKS[asking_for], Said(to(method, spelling), end, about=ASKS[asking_for].target)
    )


def idle(asking_for: str) -> Case:
    """Ask behind the upstream's closing every connection that nobody used."""
    return replace(case(f"idle connections closed, {asking_for}", ASKS[asking_for]), drops_idle=True)


def moment(asking_for: str) -> Case:
    """Ask in the moment in which the upstream closes them."""
    return replace(case(f"idle connections closed now, {asking_for}", ASKS[asking_for]), interjected=b"")


def anywhere(name: str) -> Case:
    """Delete a record, and cut the answer anywhere."""
    whole = odd(name, "DELETE")
    return replace(whole, name=f"{name}, cut anywhere", cut_up_to=150)


def again(name: str) -> Case:
    """Delete a record, change it and read it: whether it is there is asked each time."""
    asks = tuple(GUARDED[method] for method in ("PUT", "GET", "DELETE", "GET", "DELETE"))
    spelling, end = ODD[name]
    talks = tuple(Talk((ask,)) for ask in asks)
    return Case(f"{name}, changed, read, deleted, read", talks, (Said(spelling, end, about=NOTES[RON]),))


GROUP = Group(
    "writes",
    (
        *(odd(name, asking_for) for name in ODD for asking_for in ASKS),
        *(
            case(f"{name}, {asking_for}", ASKS[asking_for], replace(said, about=ASKS[asking_for].target))
            for name, said in LOST.items()
            for asking_for in ASKS
        ),
        *map(idle, ASKS),
        *map(moment, ASKS),
        *map(anywhere, ("trailers", "bare line feeds", "spaces behind chunk sizes")),
        *map(again, ("a length", "chunks", "bare line feeds", "spaces behind chunk sizes", "connection: close")),
    ),
)
