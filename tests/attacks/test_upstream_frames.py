"""Frames of an upstream that misbehaves (D5.1, D5.7): an answer is whole and the caller's, or none."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.demo.data import RON
from tests.attacks.field import ON_ONE_LOOP, every
from tests.attacks.upstream import (
    CANARY,
    FAILED,
    JSON,
    WAYS,
    Siege,
    Spell,
    answer,
    assert_failed,
    assert_own,
    assert_own_or_failed,
    assert_withheld,
    body_of,
    chunks,
    foreign_list,
    framed,
    halves,
    packed,
    record,
    writes,
)
from tests.fakes.commerce import not_a_grant

pytestmark = ON_ONE_LOOP


# --- Frames -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Frame:
    """How a body is framed: header lines and bytes made of it; `ends` closes the connection behind it."""

    lines: Callable[[bytes], tuple[str, ...]]
    wrap: Spell = bytes
    ends: bool = True


def length(plus: int = 0) -> Callable[[bytes], tuple[str, ...]]:
    """Announce a length that is off by some bytes."""
    return lambda body: (f"content-length: {len(body) + plus}",)


def saying(*lines: str) -> Callable[[bytes], tuple[str, ...]]:
    """Announce what does not depend on the body; {} is its length."""
    return lambda body: tuple(line.replace("{}", str(len(body))) for line in lines)


CHUNKED = saying("transfer-encoding: chunked")


FRAMES: dict[str, Frame] = {
    "until the end": Frame(saying()),
    "until the end, cut": Frame(saying(), lambda body: body[:-1]),
    "HTTP/1.0": Frame(saying("connection: close")),
    "one byte too short": Frame(length(-1)),
    "half the length": Frame(lambda body: (f"content-length: {len(body) // 2}",)),
    "no length at all": Frame(saying("content-length: 0")),
    "one byte too long": Frame(length(1)),
    "far too long": Frame(length(10**6)),
    "a length beyond all": Frame(saying("content-length: 99999999999999999999999")),
    "a negative length": Frame(saying("content-length: -1")),
    "a plus before it": Frame(saying("content-length: +{}")),
    "a hexadecimal length": Frame(saying("content-length: 0x{}")),
    "a fraction": Frame(saying("content-length: {}.0")),
    "an empty length": Frame(saying("content-length:")),
    "a length in words": Frame(saying("content-length: many")),
    "two lengths": Frame(saying("content-length: {}", "content-length: 5")),
    "two lengths, the other way": Frame(saying("content-length: 5", "content-length: {}")),
    "the length twice": Frame(saying("content-length: {}", "content-length: {}")),
    "a list of lengths": Frame(saying("content-length: {}, {}")),
    "a list of two lengths": Frame(saying("content-length: {}, 5")),
    "a length and chunks": Frame(saying("content-length: {}", "transfer-encoding: chunked"), chunks),
    "a length said with chunks": Frame(saying("content-length: {}", "transfer-encoding: chunked")),
    "chunks and a length of five": Frame(saying("transfer-encoding: chunked", "content-length: 5"), chunks),
    "chunks": Frame(CHUNKED, lambda body: chunks(*halves(body))),
    "a byte a chunk": Frame(CHUNKED, lambda body: chunks(*(body[at : at + 1] for at in range(len(body))))),
    "no last chunk": Frame(CHUNKED, lambda body: chunks(body, end=b"")),
    "half a last chunk": Frame(CHUNKED, lambda body: chunks(body, end=b"0\r\n")),
    "chunks with trailers": Frame(CHUNKED, lambda body: chunks(body, end=f"0\r\nx-a: {CANARY}\r\n\r\n".encode())),
    "chunks with extensions": Frame(CHUNKED, lambda b: b"%x;a=%b\r\n%b\r\n0\r\n\r\n" % (len(b), CANARY.encode(), b)),
    "an extension over a line": Frame(CHUNKED, lambda b: b"%x;a=\nX\r\n%b\r\n0\r\n\r\n" % (len(b), b)),
    "a chunk too short": Frame(CHUNKED, lambda body: b"%x\r\n%b\r\n0\r\n\r\n" % (len(body) - 1, body)),
    "a chunk too long": Frame(CHUNKED, lambda body: b"%x\r\n%b\r\n0\r\n\r\n" % (len(body) + 1, body)),
    "a negative chunk": Frame(CHUNKED, lambda body: b"-%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)),
    "a chunk of 2**64": Frame(CHUNKED, lambda body: b"10000000000000000\r\n%b\r\n0\r\n\r\n" % body),
    "a chunk with 0x": Frame(CHUNKED, lambda body: b"0x%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)),
    "a chunk with underscores": Frame(CHUNKED, lambda body: b"0_%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)),
    "chunks of bare line feeds": Frame(CHUNKED, lambda body: b"%x\n%b\n0\n\n" % (len(body), body)),
    "no line's end behind a chunk": Frame(CHUNKED, lambda body: b"%x\r\n%b0\r\n\r\n" % (len(body), body)),
    "no chunks": Frame(CHUNKED),
    "chunked twice": Frame(saying("transfer-encoding: chunked", "transfer-encoding: chunked"), chunks),
    "chunked in chunked": Frame(saying("transfer-encoding: chunked, chunked"), lambda b: chunks(chunks(b))),
    "gzip, chunked": Frame(saying("transfer-encoding: gzip, chunked"), lambda b: chunks(packed(b))),
    "chunked, identity": Frame(saying("transfer-encoding: chunked, identity"), chunks),
    "identity": Frame(saying("transfer-encoding: identity", "content-length: {}")),
    "xchunked": Frame(saying("transfer-encoding: xchunked", "content-length: {}")),
    "chunked with a tab": Frame(saying("transfer-encoding:\tchunked"), chunks),
    "chunked upper case": Frame(saying("transfer-encoding: CHUNKED"), chunks),
    "chunked by another name": Frame(saying("transfer_encoding: chunked", "content-length: {}")),
    "kept open": Frame(saying("content-length: {}"), ends=False),
}


@every(frame=FRAMES, way=["orders-list", "customer-read", "customer-change"])
async def test_frames(siege: Siege, frame: Frame, way: str) -> None:
    """An answer that is not framed as HTTP says is whole and own, or none; its rest is nobody's (D5.1, D5.7)."""
    body = body_of(WAYS[way])
    said = framed(frame.wrap(body), 200, JSON, *frame.lines(body))
    assert_own_or_failed(await siege.suffer(WAYS[way], said, close=frame.ends))
    body = body_of(WAYS[way], WAYS[way].foreign)
    said = framed(frame.wrap(body), 200, JSON, *frame.lines(body))
    assert_withheld(await siege.suffer(WAYS[way], said, close=frame.ends), 404, *FAILED)
    assert await siege.is_sound()


TWENTY = {f"{part * 5} %": part / 20 for part in range(21)}
SENT: dict[str, Spell] = {
    "with a length": answer,
    "in chunks": lambda body: framed(chunks(*halves(body)), 200, JSON, "transfer-encoding: chunked"),
    "until the end": lambda body: framed(body, 200, JSON),
}


@every(sent=SENT, part=TWENTY, way=["orders-list", "order-items"])
async def test_answers_cut_at_any_byte(siege: Siege, sent: Spell, part: float, way: str) -> None:
    """An answer that breaks off anywhere is none at all, and the next customer's begins anew."""
    said = sent(body_of(WAYS[way]))
    cut = said[: round(len(said) * part)]
    suffered = await siege.suffer(WAYS[way], cut, close=True)
    if len(cut) == len(said):
        assert_own(suffered)
    else:
        assert_failed(suffered)
    assert await siege.is_sound()


@every(part=TWENTY)
async def test_look_ups_cut_at_any_byte(siege: Siege, part: float) -> None:
    """A look-up that breaks off before its end proves nothing: nothing is written."""
    way = WAYS["address-change"]
    said = answer({"data": record("address", RON)})
    cut = said[: round((len(said) - 1) * part)]
    suffered = await siege.suffer(way, cut, when=way.looks_up, close=True)
    assert_failed(suffered)
    assert writes(suffered) == []


LINES: dict[str, bytes] = {
    "nothing": b"",
    "an empty line": b"\r\n\r\n",
    "no HTTP": b"hello\r\n\r\n",
    "another version": b"HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/0.9": b"{}",
    "HTTP/3": b"HTTP/3 200\r\n\r\n",
    "no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "a short number": b"HTTP/1.1 20 OK\r\n\r\n",
    "a long number": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a negative number": b"HTTP/1.1 -200 OK\r\n\r\n",
    "zero": b"HTTP/1.1 000 OK\r\n\r\n",
    "a request": b"GET /v2/orders HTTP/1.1\r\nhost: x\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x28",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "NULs": bytes(4096),
    "lines without end": b"a" * 200_000,
    "blank lines": b"\r\n" * 5000,
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a tab": b"HTTP/1.1\t200\tOK\r\n\r\n",
    "RTSP": b"RTSP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "ICY": b"ICY 200 OK\r\n\r\n",
}


@every(line=LINES, way=["orders-list", "order-items", "customer-delete"])
async def test_answers_that_are_no_http(siege: Siege, line: bytes, way: str) -> None:
    """What does not begin as an answer in HTTP/1 is none, and what follows is nobody's."""
    suffered = await siege.suffer(WAYS[way], line + foreign_list(), when=not_a_grant, close=True)
    assert_withheld(suffered, 502, 503, 504, 404)
    assert await siege.is_sound()
