"""The express lane's connections to the upstream: one request, one answer at a time, without a task or a future.

Whatever is unusual ends an exchange with a `Break`: the caller decides whether the standard lane may try the same
request again. Nothing here knows credentials or routes.
"""

import asyncio
import select
import ssl
from enum import Enum, auto
from typing import Protocol, cast

import yarl

from gateway.upstream.client import KEPT_IDLE, Timeouts
from gateway.upstream.reader import AnswerReader
from gateway.vocab.messages import Headers
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.head import END, render_lines

# Connections made at once, and the pause after one could not be made.
_OPENING_MOST = 8
_PAUSE = 1.0
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


class UpstreamConnection(asyncio.Protocol):
    """One connection. `send` a request, have its answer given to the receiver; between answers it must be silent."""

    def __init__(self, pool: "ConnectionPool", limits: Timeouts) -> None:
        self._pool = pool
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._reader = AnswerReader()
        self._poll = select.poll()
        self._transport: asyncio.Transport | None = None
        self._receiver: Receiver | None = None
        self._is_answered = False
        self._is_paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._until_total = 0.0

    @property
    def is_quiet(self) -> bool:
        """Whether it is open and nothing has come since the last answer: neither to us nor to the socket."""
        return self._transport is not None and not self._transport.is_closing() and not self._poll.poll(0)

    def rest(self) -> None:
        """Wait, for some seconds, in the pool."""
        self._until_total = self._loop.time() + KEPT_IDLE
        self._expect_within(KEPT_IDLE)
        self._pool.put(self)

    def send(self, method: str, target: str, headers: Headers, receiver: Receiver) -> None:
        """Send a request that has no body; `target` is the canonical path and query."""
        self._receiver = receiver
        self._is_answered = False
        self._until_total = self._loop.time() + self._limits.total
        self._expect_within(self._limits.connect + self._limits.first_byte)
        if method not in _NEVER_WITH_BODY:
            # RFC 9110 section 8.6: said where a body could be expected.
            headers = (*headers, ("Content-Length", "0"))
        start = f"{method} {self._pool.base_path}{target} HTTP/1.1"
        if self._transport is not None:
            self._transport.write(render_lines((self._pool.host, *headers), start) + END)

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
        if self._receiver is None:
            self.close()
            return
        self._reader.feed(data)
        self._hand_on()

    def eof_received(self) -> None:
        """Know that the upstream says no more."""
        self._reader.end()
        if self._reader.is_complete:
            self._hand_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Know that it is gone."""
        del exc
        self._transport = None
        self._end_with(Break.STALE if self._reader.is_silent else Break.BROKEN)

    def _hand_on(self) -> None:
        """Give the receiver what has come; it may give up at any moment."""
        receiver, reader = self._receiver, self._reader
        if receiver is None or not (self._is_answered or self._hand_on_head(receiver)):
            return
        pieces, reader.pieces = reader.pieces, []
        for piece in pieces:
            if self._receiver is receiver:
                receiver.received(piece)
        if self._receiver is not receiver:
            return
        if reader.is_odd:
            self._end_with(Break.ODD)
        elif reader.is_complete:
            self._finish(receiver)
        elif not self._is_paused:
            self._expect_within(self._limits.idle)

    def _hand_on_head(self, receiver: Receiver) -> bool:
        reader = self._reader
        if reader.is_odd:
            self._end_with(Break.ODD)
        elif reader.headers is not None:
            self._is_answered = True
            receiver.answered(reader.status, reader.headers)
        return self._is_answered

    def _finish(self, receiver: Receiver) -> None:
        self._receiver = None
        if self._reader.is_reusable and not self._reader.has_surplus:
            self._reader.begin()
            self.resume()
            self.rest()
        else:
            self.close()
        receiver.ended()

    def _end_with(self, reason: Break) -> None:
        receiver = self._receiver
        self.close()
        if receiver is not None:
            receiver.broken(reason)

    def _expect_within(self, seconds: float) -> None:
        """Set the time by which something must have happened.

        The timer stays where it is if it fires earlier, and is set anew then: an exchange costs no timer.
        """
        self._deadline = min(self._loop.time() + seconds, self._until_total)
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


class ConnectionPool:
    """Open connections to one upstream, at most `most`. It never makes a caller wait: it gives one or none.

    Where it has none it makes one for the requests to come, while this one goes through the standard lane.
    """

    def __init__(self, url: str, limits: Timeouts, most: int) -> None:
        base = yarl.URL(url)
        self._address = (base.host or "", base.port or 0)
        self._ssl = ssl.create_default_context() if base.scheme == "https" else None
        self.base_path = base.raw_path.rstrip("/")
        self.host = ("Host", base.host_port_subcomponent or "")
        self._limits = limits
        self._most = most
        self._idle: list[UpstreamConnection] = []
        self._all: set[UpstreamConnection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._not_before = 0.0
        self._is_closed = False

    def take(self) -> UpstreamConnection | None:
        """Return a connection that is silent, or None."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_quiet:
                return connection
            connection.close()
        self.open()
        return None

    def put(self, connection: UpstreamConnection) -> None:
        """Take back a connection whose answer is complete."""
        self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """Count a connection no more."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def open(self) -> None:
        """Begin to make one more connection, if there may be one."""
        loop = asyncio.get_running_loop()
        is_full = len(self._all) + len(self._opening) >= self._most or len(self._opening) >= _OPENING_MOST
        if is_full or self._is_closed or loop.time() < self._not_before:
            return
        task = loop.create_task(self._connect(loop), name="upstream connection")
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        host, port = self._address
        try:
            async with asyncio.timeout(self._limits.connect):
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(self, self._limits), host, port, ssl=self._ssl
                )
        except (OSError, TimeoutError):
            # The standard lane meets the same fault and says so to its client.
            self._not_before = loop.time() + _PAUSE
            return
        self._all.add(connection)
        connection.rest()

    async def close(self) -> None:
        """Close all connections; exchanges under way end without a word."""
        self._is_closed = True
        opening = list(self._opening)
        for task in opening:
            task.cancel()
        if opening:
            await asyncio.wait(opening)
        for connection in list(self._all):
            connection.close()
