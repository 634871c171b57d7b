"""The reply of one request on its way out: its head, its pieces and its end, collected and written once a turn.

It knows no upstream and decides nothing: `exchange` says what is to leave, and is told when all of it has.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable

from gateway.decision import Snapshot
from gateway.relay import Relayed
from gateway.server.body import RequestBody
from gateway.server.client import Client
from gateway.server.edge import Edge, with_cors
from gateway.server.replies import UNSAID, Closing, reply_head, without_token
from gateway.server.state import State
from gateway.vocab.messages import Headers, Reply, Request, Trace

# What waits for the end of the turn at most, in bytes: as much as uvloop reads at once. It may do so 32 times in one
# turn, and only a write tells that the client takes no more.
_AT_ONCE = 256 * 1024


class Outgoing(ABC):
    """A reply. `_write` collects, `_put` has the outbox call `_write_out` at the end of the turn, which writes.

    What has no value here is given by whoever derives from it, once for each request and without a call for it.
    """

    _client: Client
    _edge: Edge
    _snapshot: Snapshot
    _request: Request
    _body: RequestBody
    _closing: Closing
    _trace: Trace
    _leaving: list[bytes]
    _state = State.NEW
    # Of an answer that is passed on, as it comes or without its body.
    _answer_status = 0
    _head: Relayed | None = None
    # It has begun when it has a status.
    _reply_status: int | None = None
    _written = 0
    _waiting = 0
    _is_due = False
    _is_chunked = False
    _is_last = False
    _timer: asyncio.TimerHandle | None = None

    @abstractmethod
    def failed(self, error: Exception) -> None:
        """Answer a bug."""

    @abstractmethod
    def _settle(self) -> None:
        """Know that all of it has left, and that the client has taken enough of it."""

    @property
    def has_begun(self) -> bool:
        """Whether any of the reply has been given out."""
        return self._reply_status is not None

    def _go(self, state: State) -> None:
        # Members are compared by identity: to hash one is a call of Python's.
        if state not in self._state.followers:
            raise RuntimeError(f"{state} does not follow {self._state}")
        self._state = state

    def _write_whole(self, outcome: Reply) -> None:
        if self._timer is not None:
            self._stop_timer()
        body, length = outcome.body, len(outcome.body)
        if self._request.method == "HEAD":
            # What the upstream would say to a GET is not known where it was asked by HEAD.
            body, length = b"", length if self._head is None else UNSAID
        # Where its head cannot be written nothing has been said yet.
        self._leaving += (self._reply_head(outcome.status, outcome.headers, length), body)
        self._reply_status, self._written = outcome.status, len(body)
        self._end()

    def _write_without_body(self, head: Relayed) -> None:
        """Relay an answer that has no body by HTTP's own rules; that to a HEAD may say how long it would be."""
        length = 0
        if self._request.method == "HEAD":
            length = UNSAID if head.length is None else int(head.length)
        self._write(self._answer_status, self._reply_head(self._answer_status, head.headers, length))
        self._end()

    def _pass_on(self, piece: bytes) -> None:
        if not piece or self._head is None:
            return
        parts = []
        if self._reply_status is None:
            parts.append(self._relayed_head(self._head))
        parts += (b"%x\r\n" % len(piece), piece, b"\r\n") if self._is_chunked else (piece,)
        self._written += len(piece)
        self._write(self._answer_status, *parts)

    def _relayed_head(self, head: Relayed) -> bytes:
        self._is_chunked = head.length is None and not self._closing.is_old
        return self._reply_head(self._answer_status, head.headers, None if head.length is None else int(head.length))

    def _reply_head(self, status: int, headers: Headers, length: int | None) -> bytes:
        lines = with_cors(headers, self._snapshot, self._request.headers)
        if self._trace.ignored_token:
            lines = without_token(status, lines)
        closing = self._closing
        # A body that nobody took would have to be read to its end before the next request; ending is cheaper. The end
        # of a reply without length in HTTP/1.0 is that of its connection (RFC 9112 section 6.3).
        self._is_last = (
            closing.is_wanted
            or closing.is_needed
            or self._edge.is_draining
            or not self._body.is_over
            or (length is None and closing.is_old)
        )
        edge = self._edge
        return reply_head(status, lines, self._request.id, length, edge.now(), closing, is_last=self._is_last)

    def _write(self, status: int, *parts: bytes) -> None:
        self._reply_status = status
        self._leaving += parts
        self._waiting += sum(map(len, parts))
        if self._waiting > _AT_ONCE:
            self._write_now()
        else:
            self._put()

    def _end(self) -> None:
        self._go(State.REPLYING)
        self._put()

    def _put(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._edge.outbox.put(self._write_out)

    def _write_out(self) -> None:
        """Write what is to leave; behind its end the reply is through, when the client has taken enough of it."""
        self._is_due = False
        try:
            if self._write_now() and self._state is State.REPLYING and not self._client.writing_paused:
                self._settle()
        except Exception as error:  # noqa: BLE001 - the last resort
            self.failed(error)

    def _write_now(self) -> bool:
        """Write what is to leave; False where nobody is there any more, as the client's connection is about to say."""
        parts, self._leaving, self._waiting = self._leaving, [], 0
        transport = self._client.transport
        # A transport that is closing still writes what it has, and takes more as long as it has something.
        if transport is None or (parts and transport.is_closing() and not transport.get_write_buffer_size()):
            return False
        if parts:
            # Pieces are large: they are handed to the kernel in their place, not copied behind each other.
            transport.writelines(parts)
        return True

    def _set_timer(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
