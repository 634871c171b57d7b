"""A connection to the upstream: one request, one answer at a time, without a task or a future.

Nothing here knows credentials or routes, nor who waits for a connection: the pool does.
"""

import asyncio
import math
import os
import select
import socket
from typing import Protocol, cast

from gateway.carrying.call import SAFE, Break, Call, Receiver, Timeouts, Upload, tell
from gateway.carrying.outbox import Outbox
from gateway.carrying.reader import AnswerReader
from gateway.vocab.messages import READS
from gateway.vocab.policy import HeadLimits
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.head import END, render_lines

KEPT_IDLE = 15.0
"""How long an unused connection is kept, in seconds; upstreams close theirs after a minute or so."""
# Behind a TLS handshake come session tickets: bytes in the socket that are no answer. The transport reads them in the
# next turn of the loop; what is still there after some turns is something else.
_TURNS_FOR_TICKETS = 8
_REST = 64 * 1024


class Keeper(Protocol):
    """Whoever keeps connections: the pool."""

    def rested(self, connection: "UpstreamConnection") -> None:
        """Take back a connection whose answer is complete."""

    def gone(self, connection: "UpstreamConnection") -> None:
        """Count a connection no more."""

    def again(self, call: Call, receiver: Receiver, *, is_repeat: bool) -> None:
        """Send a call on another connection; `is_repeat` tells that this one may have read it."""


class UpstreamConnection(asyncio.Protocol):
    """One connection. `send` a request, have its answer given to the receiver; between answers it must be silent.

    `host` is the Host line and `base_path` what stands before every target; `heads` is what an answer's may hold.
    """

    def __init__(
        self,
        keeper: Keeper,
        outbox: Outbox,
        limits: Timeouts,
        host: tuple[str, str],
        base_path: str,
        heads: HeadLimits = HeadLimits(),  # noqa: B008 - a frozen value
    ) -> None:
        self._keeper = keeper
        self._outbox = outbox
        self._limits = limits
        self._host = host
        self._base_path = base_path
        self._loop = asyncio.get_running_loop()
        self._reader = AnswerReader(heads)
        self._poll = select.poll()
        self._transport: asyncio.Transport | None = None
        self._is_tls = False
        self._is_fresh = True
        self._call: Call | None = None
        self._receiver: Receiver | None = None
        self._is_repeat = False
        self._is_asked = False
        self._is_answered = False
        self._is_uploading = False
        self._is_paused = False
        self._turns = 0
        self._idle = limits.idle
        self._drained: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = math.inf
        self._deadline = 0.0
        self._until_total = 0.0
        self._until_old = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it can be written to, as far as is known."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_in_use(self) -> bool:
        """Whether somebody waits for its answer."""
        return self._receiver is not None

    @property
    def is_untried(self) -> bool:
        """Whether no answer has ever begun on it."""
        return self._is_fresh and not self._is_answered

    def has_rested(self, seconds: float) -> bool:
        """Tell whether a connection that rests has done so for so long, or was never used."""
        return self._loop.time() >= self._until_total - KEPT_IDLE + seconds

    def rest(self, seconds: float = KEPT_IDLE) -> None:
        """Wait, for some seconds, to be used again."""
        self._call = None
        self._expect_within(seconds, total=seconds)

    def send(self, call: Call, receiver: Receiver, *, is_repeat: bool = False) -> None:
        """Send a request at the end of this turn of the loop. `is_repeat`: it was sent before and may not be again."""
        self._call, self._receiver, self._is_repeat = call, receiver, is_repeat
        receiver.carrier = self
        self._is_asked = self._is_answered = False
        self._expect_within(self._limits.first_byte, total=self._limits.total)
        self._outbox.put(self._ask)

    def _ask(self) -> None:
        """Write the request, if nothing has come since the last answer: neither to us nor to the socket."""
        receiver, call, transport = self._receiver, self._call, self._transport
        if receiver is None or call is None:
            return
        try:
            if transport is None or transport.is_closing():
                self._end_unasked(call, receiver)
            elif self._poll.poll(0):
                if self._is_tls and self._turns < _TURNS_FOR_TICKETS:
                    self._turns += 1
                    self._loop.call_soon(self._ask)
                else:
                    self._end_unasked(call, receiver)
            else:
                self._is_asked = True
                self._turns = 0
                if call.method == "HEAD":
                    self._reader.expect_no_body()
                transport.write(self._rendered(call))
                if call.upload is not None:
                    self._is_uploading = True
                    self._expect_within(self._limits.total)
                    receiver.wanted(self)
        except Exception as error:  # noqa: BLE001 - the receiver has the last resort
            receiver.failed(error)

    def _rendered(self, call: Call) -> bytes:
        headers = call.headers
        if call.upload is Upload.CHUNKED:
            headers = (*headers, ("Transfer-Encoding", "chunked"))
        elif call.upload is None and (call.body or call.method not in READS):
            # RFC 9110 section 8.6: said where a body could be expected.
            headers = (*headers, ("Content-Length", str(len(call.body))))
        start = f"{call.method} {self._base_path}{call.target} HTTP/1.1"
        head = render_lines((self._host, *headers), start) + END
        return head + call.body if call.body else head

    # The client's body, while it is uploaded

    async def upload(self, piece: bytes) -> bool:
        """Pass a piece of the body on and wait until the upstream has taken enough; False where it wants no more."""
        call, transport = self._call, self._transport
        if not self._is_uploading or call is None or transport is None or transport.is_closing():
            return False
        if call.upload is Upload.CHUNKED:
            transport.writelines((b"%x\r\n" % len(piece), piece, b"\r\n"))
        else:
            transport.write(piece)
        if self._drained is not None:
            # As long as it takes nothing, it is held to the limit; the client is held to its own.
            self._expect_of_upload(self._limits.idle)
            await self._drained
            self._expect_of_upload(self._limits.total)
        return self._is_uploading

    def uploaded(self) -> None:
        """Know that the body is complete: now the answer is due."""
        if not self._is_uploading or self._transport is None or self._call is None:
            return
        self._is_uploading = False
        if self._call.upload is Upload.CHUNKED:
            self._transport.write(b"0\r\n\r\n")
        self._expect_of_upload(self._limits.first_byte)

    def _expect_of_upload(self, seconds: float) -> None:
        if not self._is_answered and self._receiver is not None:
            self._expect_within(seconds)

    def pause_writing(self) -> None:
        """Know that the upstream takes less than comes."""
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """Know that it has caught up, or never will."""
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # The answer

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
            self._expect_within(self._idle)
            self._transport.resume_reading()

    def allow_silence(self, seconds: float) -> None:
        """Let so much time pass between two pieces of this answer, instead of the usual `idle`."""
        self._idle = seconds

    def close(self) -> None:
        """Close at once; whoever waits for an answer is not told."""
        self._receiver = None
        self._is_uploading = False
        self.resume_writing()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        self._keeper.gone(self)

    # asyncio calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._until_old = self._loop.time() + self._limits.life
        self._transport = cast("asyncio.Transport", transport)
        self._is_tls = transport.get_extra_info("sslcontext") is not None
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Read what came. An answer to nobody's question must not become the answer to the next one."""
        receiver = self._receiver
        if receiver is None or not self._is_asked:
            self._end_with(Break.BROKEN)
            return
        self._reader.feed(data)
        self._hand_on(receiver)

    def eof_received(self) -> None:
        """Know that the upstream says no more."""
        self._reader.end()
        if self._reader.is_complete and self._receiver is not None:
            self._hand_on(self._receiver)

    def connection_lost(self, exc: Exception | None) -> None:
        """Know that it is gone. What the upstream said before counts, where only a write of ours failed."""
        if exc is not None and self._is_asked and not self._is_tls:
            self._read_rest()
        self._transport = None
        self._end_with(Break.BROKEN)

    def _read_rest(self) -> None:
        """Read what the kernel still has: a write that fails ends the connection before that is read.

        Linux keeps what came before a reset (tcp(7)), and the socket is closed behind `connection_lost` only.
        """
        if self._transport is None:
            return
        with socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno())) as kernels:
            while self._receiver is not None:
                try:
                    data = kernels.recv(_REST)
                except OSError:
                    # Nothing is left, or the reset itself.
                    return
                if not data:
                    # A reset that was told already looks like an end here, and is none.
                    return
                self.data_received(data)

    def _hand_on(self, receiver: Receiver) -> None:
        """Give the receiver what has come; it may give up at any moment."""
        reader = self._reader
        try:
            if reader.is_complete and not self._is_answered and not reader.is_odd:
                # As most answers come: head, body and end are one thing.
                status, headers, pieces = reader.status, reader.headers or (), reader.pieces
                self._finish()
                receiver.whole(status, headers, pieces[0] if len(pieces) == 1 else b"".join(pieces))
                return
            self._hand_on_pieces(reader, receiver)
            if self._receiver is not receiver:
                return
            if reader.is_odd:
                self._end_with(Break.UNREADABLE)
            elif reader.is_complete:
                self._finish()
                receiver.ended()
            elif self._is_answered and not self._is_paused:
                self._expect_within(self._idle)
        except Exception as error:  # noqa: BLE001 - the receiver has the last resort
            receiver.failed(error)

    def _hand_on_pieces(self, reader: AnswerReader, receiver: Receiver) -> None:
        if not self._is_answered and reader.headers is not None and not reader.is_odd:
            self._is_answered = True
            self._idle = self._limits.idle
            receiver.answered(reader.status, reader.headers)
        if self._is_answered:
            pieces, reader.pieces = reader.pieces, []
            for piece in pieces:
                if self._receiver is receiver:
                    receiver.received(piece)

    def _finish(self) -> None:
        self._receiver = None
        reader = self._reader
        # A body that is still on its way would be read as the next request.
        is_usable = reader.is_reusable and not reader.has_surplus and not self._is_uploading and self.is_open
        # One that is never closed would lead for ever to where the name once led.
        if is_usable and self._loop.time() < self._until_old:
            reader.begin()
            self._is_fresh = False
            self.resume()
            self._keeper.rested(self)
        else:
            self.close()

    def _end_with(self, reason: Break) -> None:
        receiver, call = self._receiver, self._call
        if receiver is None or call is None:
            self.close()
        elif not self._is_asked:
            self._end_unasked(call, receiver)
        elif self._reader.is_silent and reason is Break.BROKEN and call.method in SAFE and not self._is_repeat:
            # Nobody knows whether it was read; to ask once more changes nothing.
            self.close()
            self._keeper.again(call, receiver, is_repeat=True)
        else:
            self.close()
            tell(receiver, reason.refusal(begun=self._is_answered))

    def _end_unasked(self, call: Call, receiver: Receiver) -> None:
        """Have a call sent on another connection: nothing of it has left on this one, which ended or spoke first."""
        is_repeat = self._is_repeat
        self.close()
        if self._is_fresh and is_repeat:
            # A second new one is as bad: to go on would be for ever.
            tell(receiver, Refusal(Code.UPSTREAM_INVALID, "new connections end, or speak, before the request"))
        else:
            self._keeper.again(call, receiver, is_repeat=is_repeat or self._is_fresh)

    def _expect_within(self, seconds: float, *, total: float | None = None) -> None:
        """Set the time by which something must have happened; `total` is for all that follows.

        The timer stays where it is if it fires earlier, and is set anew then: an exchange costs no timer.
        """
        now = self._loop.time()
        if total is not None:
            self._until_total = now + total
        self._deadline = min(now + seconds, self._until_total)
        if self._fires_at > self._deadline:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires_at = self._deadline
        self._timer = self._loop.call_at(self._deadline, self._check_time)

    def _check_time(self) -> None:
        self._timer, self._fires_at = None, math.inf
        if self._loop.time() < self._deadline:
            self._set_timer()
        else:
            self._end_with(Break.SILENT)
