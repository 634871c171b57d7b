"""The body of a client's request on its way in: read whole or in pieces, never faster than asked, never for ever."""

import asyncio
import math
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from gateway.vocab.refusals import Code, Refusal


class ClientTimeouts(Struct, frozen=True):
    """How long clients may take, in seconds.

    `head`: from the first byte of a head to its last. `idle`: a body that brings nothing, or a reader that takes
    nothing, for this long is gone. `body`: a body that is read whole (at most some hundred KiB) must be there by then,
    however steadily it trickles. A body must bring `body_rate` bytes a second, and may fall behind by `idle` seconds;
    the time that the upstream takes to accept it does not count. `not_found`: how long at most a client waits for the
    news that a record is not there. `linger`: how long what is still sent behind a last reply is read and dropped.
    """

    head: float = 10.0
    idle: float = 30.0
    body: float = 60.0
    body_rate: float = 1024.0
    not_found: float = 0.01
    linger: float = 5.0


CLIENT_TIMEOUTS = ClientTimeouts()
"""The usual ones."""
_MALFORMED = Refusal(Code.REQUEST_MALFORMED, "body framing")


class Payload(Protocol):
    """What aiohttp's parser puts a body into: `aiohttp.StreamReader`. `total_bytes` have come of it."""

    total_bytes: int

    def is_eof(self) -> bool:
        """Tell whether all of it has come."""

    def at_eof(self) -> bool:
        """Tell whether all of it has come and was taken."""

    def exception(self) -> BaseException | None:
        """Return what was wrong with its framing."""

    def set_exception(self, exc: BaseException) -> None:
        """Say that no more of it can be had."""

    def read_nowait(self, n: int = -1) -> bytes:
        """Take what is there."""

    async def readany(self) -> bytes:
        """Wait for more, and take it."""


class RequestBody:
    """The body of one request. `say_continue` is called before the first wait for it, where the client asked so."""

    __slots__ = ("_credit", "_payload", "_say_continue", "_timeouts", "consumed", "length")

    def __init__(
        self, payload: Payload, length: int | None, say_continue: Callable[[], None] | None, timeouts: ClientTimeouts
    ) -> None:
        self._payload = payload
        self._say_continue = say_continue
        self._timeouts = timeouts
        # How long the client may still keep us waiting: each piece it brings earns back the time that it is worth.
        self._credit = timeouts.idle
        self.length = length
        self.consumed = False

    @property
    def expected(self) -> bool:
        """Whether the head announces a body; an announced length of zero is none."""
        return self.length != 0 and not self._payload.at_eof()

    @property
    def is_over(self) -> bool:
        """Whether all of it has come: behind it the next request can be read."""
        return self._payload.is_eof()

    def taken(self, limit: int) -> bytes | Refusal | None:
        """Take the whole body where all of it has come; None where one must wait for it. At most `limit` bytes."""
        if self._payload.exception() is not None:
            return _MALFORMED
        if not self._payload.is_eof():
            return None
        self._continue()
        raw = self._payload.read_nowait()
        self.consumed = self.consumed or bool(raw)
        return raw if len(raw) <= limit else Refusal(Code.BODY_TOO_LARGE, source="body")

    async def read(self, limit: int) -> bytes | Refusal:
        """Take the whole body; BODY_TOO_LARGE above `limit` bytes, BODY_TIMEOUT where it does not come."""
        pieces = []
        size = 0
        try:
            async with asyncio.timeout(self._timeouts.body):
                while piece := await self.piece():
                    if isinstance(piece, Refusal):
                        return piece
                    size += len(piece)
                    if size > limit:
                        return Refusal(Code.BODY_TOO_LARGE, source="body")
                    pieces.append(piece)
        except TimeoutError:
            return Refusal(Code.BODY_TIMEOUT)
        return b"".join(pieces)

    async def piece(self, within: float = math.inf) -> bytes | Refusal:
        """Take the next piece, with back-pressure; empty at the end. BODY_TIMEOUT also after `within` seconds."""
        if not self.expected:
            return b""
        self._continue()
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout_at(started + min(self._credit, within)):
                piece = await self._payload.readany()
        except TimeoutError:
            return Refusal(Code.BODY_TIMEOUT)
        except PayloadFault:
            return _MALFORMED
        self.consumed = self.consumed or bool(piece)
        earned = len(piece) / self._timeouts.body_rate
        self._credit = min(self._timeouts.idle, self._credit + earned - (loop.time() - started))
        return piece

    def _continue(self) -> None:
        if self._say_continue is not None:
            # RFC 9110 section 10.1.1: said only now, when the request is known to be wanted.
            self._say_continue()
            self._say_continue = None


class PayloadFault(Exception):  # noqa: N818 - raised by aiohttp's parser in our name, never seen outside
    """The framing of a body is broken."""
