"""The one judge of a request's framing: aiohttp's parser, and all that we rely on of it beyond what is documented.

It is named here and nowhere else, and `check` tries it out at start: an aiohttp that does otherwise, or that runs
without its compiled parser, which is the one that attacks were tried on, is a fault that is told of in one line.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from aiohttp import HttpVersion10, HttpVersion11

from gateway.server.body import Payload, PayloadFault
from gateway.server.unfit import UnfitParserError
from gateway.vocab.policy import HeadLimits

_missing: str | None = None
try:
    from aiohttp.http import HttpRequestParser, RawRequestMessage
    from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
    from aiohttp.streams import EMPTY_PAYLOAD
except ImportError as error:
    # `check` tells of it: commands that serve nothing go on. The types say that this cannot be.
    _missing = error.msg.partition(" (")[0]
    HttpRequestParser = RawRequestMessage = EMPTY_PAYLOAD = cast("Any", None)  # type: ignore[misc]
    HttpProcessingError = LineTooLong = cast("Any", Exception)  # type: ignore[misc]

if TYPE_CHECKING:
    from aiohttp.base_protocol import BaseProtocol

# aiohttp has an error of its own for lines that are too long, and these words for too many of them.
_TOO_MANY: Final = "Too many headers received"
_TRIAL: Final = HeadLimits(line=1024, total=4096, lines=10)
# What a body may hold that nobody has taken yet: twice this.
_BODY_BUFFER: Final = 64 * 1024
AHEAD_MOST: Final = 32
"""Requests that a client may send ahead: so many the parser reads that it was not told to be consumed."""

Begun = tuple[RawRequestMessage, Payload]


class Owner(Protocol):
    """Whose parser it is: the bodies that it makes tell their owner how full they are."""

    @property
    def connected(self) -> bool:
        """Whether more may come."""

    def pause_reading(self) -> None:
        """Take no more of a body for now."""

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's own signature
        """Take more of it."""


def make_parser(owner: Owner, loop: asyncio.AbstractEventLoop, heads: HeadLimits) -> HttpRequestParser:
    """Return the parser of one connection; what a head may have in all it does not count."""
    return HttpRequestParser(
        cast("BaseProtocol", owner),
        loop,
        _BODY_BUFFER,
        max_line_size=heads.line,
        max_field_size=heads.line,
        max_headers=heads.lines,
        payload_exception=PayloadFault,
        auto_decompress=False,
        max_msg_queue_size=AHEAD_MOST,
    )


def is_too_large(error: HttpProcessingError) -> bool:
    """Tell whether the parser could not read a head for its size alone."""
    return isinstance(error, LineTooLong) or error.message == _TOO_MANY


_GET: Final = b"GET /a?b=%20c HTTP/1.1\r\nHost: x\r\n\r\n"
_POST: Final = (
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nX-Odd:  v \xff\r\nTransfer-Encoding: chunked\r\n\r\n"
)
# What an attacker would like to be read in one of two ways: each must be refused.
_AMBIGUOUS: Final = (
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    b"GET / HTTP/1.1\nHost: x\n\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX-A : b\r\n\r\n",
    _POST + b"3;a\0b\r\nabc\r\n0\r\n\r\n",
    _POST + b"3\r\nabcd\r\n0\r\n\r\n",
)


class _Witness:
    """Stands for a connection while the parser is tried out."""

    connected = True

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.parser = make_parser(self, loop, _TRIAL)
        self.pauses = 0
        self.resumed = 0

    def pause_reading(self) -> None:
        self.pauses += 1
        self.parser.pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's own signature
        self.resumed += resume_parser

    def feed(self, data: bytes) -> Sequence[Begun]:
        messages, has_upgraded, _ = self.parser.feed_data(data)
        _must(not has_upgraded, "it takes a request for an upgrade")
        return messages


def check() -> None:
    """Try the parser out as connections use it, in about a millisecond. Raises UnfitParserError."""
    if _missing is not None:
        raise UnfitParserError(_missing)
    # Bodies want one; nothing is run on it.
    loop = asyncio.new_event_loop()
    try:
        _check_heads(loop)
        _check_bodies(loop)
        _check_refusals(loop)
        _check_pace(loop)
    except UnfitParserError:
        raise
    except Exception as error:
        # Whatever another version does instead: a name is missing, a result has another shape.
        raise UnfitParserError(f"its parser works otherwise ({type(error).__name__}: {error})") from error
    finally:
        loop.close()


def _must(condition: bool, reason: str) -> None:  # noqa: FBT001 - as in an assertion
    if not condition:
        raise UnfitParserError(reason)


def _check_heads(loop: asyncio.AbstractEventLoop) -> None:
    ((message, payload),) = _Witness(loop).feed(_GET)
    _must(payload is EMPTY_PAYLOAD, "a request without a body has one")
    found = (message.method, message.path, message.version, message.should_close, message.chunked)
    _must(found == ("GET", "/a?b=%20c", HttpVersion11, False, False), "it reads a request line otherwise")
    ((message, _),) = _Witness(loop).feed(b"GET / HTTP/1.0\r\nX-A: b\r\nX-A: c\r\n\r\n")
    _must(message.version == HttpVersion10 and message.should_close, "it reads HTTP/1.0 otherwise")
    _must(message.raw_headers == ((b"X-A", b"b"), (b"X-A", b"c")), "it reads header lines otherwise")
    _must(message.headers.getall("x-a", ()) == ["b", "c"] and "x-a" in message.headers, "it finds no header lines")
    _, has_upgraded, _ = _Witness(loop).parser.feed_data(
        _GET[:-2] + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\nx"
    )
    _must(has_upgraded, "it does not tell of an upgrade")


def _check_bodies(loop: asyncio.AbstractEventLoop) -> None:
    witness = _Witness(loop)
    ((message, payload),) = witness.feed(_POST + b"3\r\nabc\r\n")
    _must(message.chunked and message.raw_headers[2] == (b"X-Odd", b"v \xff"), "it reads header lines otherwise")
    _must((payload.total_bytes, payload.is_eof(), payload.exception()) == (3, False, None), "a body is not counted")
    _must(not witness.feed(b"0\r\n\r\n") and payload.is_eof() and not payload.at_eof(), "a body has no end")
    _must(payload.read_nowait() == b"abc" and payload.at_eof() and witness.resumed > 0, "a body cannot be taken")
    ((_, payload),) = _Witness(loop).feed(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
    _must(payload.read_nowait() == b"abc" and payload.is_eof(), "a body with a length cannot be taken")


def _check_pace(loop: asyncio.AbstractEventLoop) -> None:
    witness = _Witness(loop)
    _must(len(witness.feed(_GET * (AHEAD_MOST + 2))) == AHEAD_MOST, "it does not hold requests back")
    for _ in range(AHEAD_MOST):
        witness.parser.message_consumed()
    _must(len(witness.feed(b"")) == 2, "it loses requests that it held back")  # noqa: PLR2004 - as many as it held back
    witness, size = _Witness(loop), 2 * _BODY_BUFFER + 1
    began = witness.feed(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + bytes(size) + _GET)
    _must((witness.pauses, len(began)) == (1, 1), "a full body does not pause it")
    _must(len(witness.feed(b"")) == 1, "it loses what it held back behind a full body")


def _check_refusals(loop: asyncio.AbstractEventLoop) -> None:
    _must(issubclass(LineTooLong, HttpProcessingError), "it raises other errors")
    for raw in (b"nonsense\r\n\r\n", *_AMBIGUOUS):
        try:
            _Witness(loop).feed(raw)
        except HttpProcessingError:
            continue
        raise UnfitParserError("it accepts requests that can be read in two ways (is its compiled parser missing?)")
    many = b"".join(b"X-%d: y\r\n" % number for number in range(_TRIAL.lines))
    for raw in (b"GET /" + b"a" * 2 * _TRIAL.line + b" HTTP/1.1\r\nHost: x\r\n\r\n", _GET[:-2] + many + b"\r\n"):
        try:
            _Witness(loop).feed(raw)
        except HttpProcessingError as error:
            _must(is_too_large(error), "it does not tell a head that is too large")
            continue
        raise UnfitParserError("it takes lines of any length")


__all__ = [
    "AHEAD_MOST",
    "EMPTY_PAYLOAD",
    "Begun",
    "HttpProcessingError",
    "HttpVersion10",
    "HttpVersion11",
    "LineTooLong",
    "RawRequestMessage",
    "UnfitParserError",
    "check",
    "is_too_large",
    "make_parser",
]
