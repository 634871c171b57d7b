"""A connection of the express lane to the upstream: one request, one answer at a time, without a task or a future.

Whatever is unusual ends an exchange with a `Break`: the caller decides whether the standard lane may try the same
request again. Nothing here knows credentials or routes.
"""

import asyncio
import select
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol, cast

from gateway.upstream.client import KEPT_IDLE, Timeouts
from gateway.upstream.reader import AnswerReader
from gateway.vocab.messages import Headers
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.head import END, render_lines

if TYPE_CHECKING:
    from gateway.upstream.connections import ConnectionPool

_NEVER_WITH_BODY = frozenset({"GET", "HEAD"})


class Break(Enum):
    """Why an exchange ended without a whole answer."""

    STALE = auto()
    """The connection was closed before a byte came: nobody knows if the request was read."""
    ODD = auto()
    """The answer is not HTTP to the letter."""
    BROKEN = auto()
    """It broke off."""
    SILENT = auto()
    """Nothing came for too long."""

    def refusal(self, *, begun: bool) -> Refusal:
        """Return the refusal that says so; `begun` tells that the head of the answer had come."""
        if self is Break.SILENT:
            return Refusal(Code.UPSTREAM_TIMEOUT, "stalled within the answer" if begun else "no answer in time")
        return Refusal(Code.UPSTREAM_INVALID, "broke off")


class Receiver(Protocol):
    """Takes one answer. After `ended` or `broken` nothing more comes."""

    def answered(self, status: int, headers: Headers) -> None:
        """Take the head."""

    def received(self, piece: bytes) -> None:
        """Take a piece of the body."""

    def ended(self) -> None:
        """Know that the answer is complete."""

    def broken(self, reason: Break) -> None:
        """Know that no more comes."""

    def failed(self, error: Exception) -> None:
        """Know that one of these, or what led to it, raised `error`."""


class UpstreamConnection(asyncio.Protocol):
    """One connection. `send` a request, have its answer given to the receiver; between answers it must be silent."""

    def __init__(self, pool: "ConnectionPool", limits: Timeouts) -> None:
        self._pool = pool
        self._outbox = pool.outbox
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._reader = AnswerReader()
        self._poll = select.poll()
        self._transport: asyncio.Transport | None = None
        self._receiver: Receiver | None = None
        self._request = b""
        self._is_asked = False
        self._is_answered = False
        self._is_paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._until_total = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it can be written to, as far as is known."""
        return self._transport is not None and not self._transport.is_closing()

    def rest(self) -> None:
        """Wait, for some seconds, in the pool."""
        self._expect_within(KEPT_IDLE, total=KEPT_IDLE)
        self._pool.put(self)

    def send(self, method: str, target: str, headers: Headers, receiver: Receiver) -> None:
        """Send a request that has no body, at the end of this turn of the loop.

        `target` is the canonical path and query.
        """
        self._receiver = receiver
        self._is_asked = self._is_answered = False
        self._expect_within(self._limits.connect + self._limits.first_byte, total=self._limits.total)
        if method not in _NEVER_WITH_BODY:
            # RFC 9110 section 8.6: said where a body could be expected.
            headers = (*headers, ("Content-Length", "0"))
        start = f"{method} {self._pool.base_path}{target} HTTP/1.1"
        self._request = render_lines((self._pool.host, *headers), start) + END
        self._outbox.put(self._ask)

    def _ask(self) -> None:
        """Write the request, if nothing has come since the last answer: neither to us nor to the socket."""
        receiver, transport = self._receiver, self._transport
        if receiver is None or transport is None:
            return
        try:
            if transport.is_closing() or self._poll.poll(0):
                self._end_with(Break.STALE)
            else:
                self._is_asked = True
                request, self._request = self._request, b""
                transport.write(request)
        except Exception as error:  # noqa: BLE001 - the receiver has the last resort
            receiver.failed(error)

    def pause(self) -> None:
        """Take no more of the answer until `resume`: the client is slower than the upstream."""
        if self._transport is not None and not self._is_paused:
            self._is_paused = True
            self._expect_within(self._limits.total)
            self._transport.pause_reading()

    def resume(self) -> None:
        """Take the answer again."""
        if self._transport is not None and self._is_paused:
            self._is_paused = False
            self._expect_within(self._limits.idle)
            self._transport.resume_reading()

    def close(self) -> None:
        """Close at once; whoever waits for an answer is not told."""
        self._receiver = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        self._pool.forget(self)

    # asyncio calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Read what came. An answer to nobody's question must not become the answer to the next one."""
        receiver = self._receiver
        if receiver is None or not self._is_asked:
            self._end_with(Break.STALE)
            return
        self._reader.feed(data)
        self._hand_on(receiver)

    def eof_received(self) -> None:
        """Know that the upstream says no more."""
        self._reader.end()
        if self._reader.is_complete and self._receiver is not None:
            self._hand_on(self._receiver)

    def connection_lost(self, exc: Exception | None) -> None:
        """Know that it is gone."""
        del exc
        self._transport = None
        self._end_with(Break.STALE if self._reader.is_silent else Break.BROKEN)

    def _hand_on(self, receiver: Receiver) -> None:
        """Give the receiver what has come; it may give up at any moment."""
        reader = self._reader
        try:
            if not self._is_answered and reader.headers is not None and not reader.is_odd:
                self._is_answered = True
                receiver.answered(reader.status, reader.headers)
            if self._is_answered:
                pieces, reader.pieces = reader.pieces, []
                for piece in pieces:
                    if self._receiver is receiver:
                        receiver.received(piece)
            if self._receiver is not receiver:
                return
            if reader.is_odd:
                self._end_with(Break.ODD)
            elif reader.is_complete:
                self._finish()
                receiver.ended()
            elif self._is_answered and not self._is_paused:
                self._expect_within(self._limits.idle)
        except Exception as error:  # noqa: BLE001 - the receiver has the last resort
            receiver.failed(error)

    def _finish(self) -> None:
        self._receiver = None
        if self._reader.is_reusable and not self._reader.has_surplus:
            self._reader.begin()
            self.resume()
            self.rest()
        else:
            self.close()

    def _end_with(self, reason: Break) -> None:
        receiver = self._receiver
        self.close()
        if receiver is None:
            return
        try:
            receiver.broken(reason)
        except Exception as error:  # noqa: BLE001 - the receiver has the last resort
            receiver.failed(error)

    def _expect_within(self, seconds: float, *, total: float | None = None) -> None:
        """Set the time by which something must have happened; `total` is for all that follows.

        The timer stays where it is if it fires earlier, and is set anew then: an exchange costs no timer.
        """
        now = self._loop.time()
        if total is not None:
            self._until_total = now + total
        self._deadline = min(now + seconds, self._until_total)
        if self._timer is None or self._timer.when() > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._check_time)

    def _check_time(self) -> None:
        self._timer = None
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._check_time)
        else:
            self._end_with(Break.SILENT)
