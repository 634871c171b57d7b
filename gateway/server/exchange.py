"""One request in the express lane: from its plan to the last byte of its reply. Nothing here waits, or decides."""

import asyncio
from typing import Protocol

from gateway.flow import Flow, Later, Ready, Relayed, Snapshot, error_reply, relayed
from gateway.guard.core import ERROR_LIMIT, Received
from gateway.server.edge import CLIENT_GONE, SLOWEST, Edge, break_off, with_cors
from gateway.server.replies import render, reply_head
from gateway.upstream.connection import Break, UpstreamConnection
from gateway.upstream.outbox import Outbox
from gateway.upstream.streams import empty
from gateway.vocab.events import Failed, RequestDone, describe
from gateway.vocab.messages import Headers, Reply, Request, Trace
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.headers import first
from gateway.wire.links import Rewriting

# What waits for the end of the turn at most, in bytes: as much as uvloop reads at once. It may do so 32 times in one
# turn, and only a write tells that the client takes no more.
_AT_ONCE = 256 * 1024
_UNAUTHORIZED = 401
_UNCHANGED = 304
_TOO_LARGE = Refusal(Code.UPSTREAM_INVALID, "answer above the limit")


class Client(Protocol):
    """The connection that the request came on."""

    transport: asyncio.Transport | None
    outbox: Outbox

    @property
    def writing_paused(self) -> bool:
        """Whether it takes no more for now."""

    def settled(self, *, is_last: bool) -> None:
        """Know that the reply is through; `is_last` says that the connection ends behind it."""

    def handed_over(self) -> None:
        """Give the request to the standard lane."""


class Exchange:
    """One request. It is the receiver of the upstream's answer."""

    _ready: Ready
    _connection: UpstreamConnection | None = None
    _sent_at = 0.0
    # Of the answer: its status and head, its size so far, and how it is passed on where it is not read whole.
    _answer_status = 0
    _headers: Headers = ()
    _is_whole = True
    _limit = 0
    _size = 0
    _head: Relayed | None = None
    _rewriting: Rewriting | None = None
    # Of the reply, which has begun when it has a status: what waits to be written, and what became of it.
    _reply_status: int | None = None
    _written = 0
    _waiting = 0
    _is_due = False
    _is_chunked = False
    _is_ended = False
    _is_last = False
    _patience: asyncio.TimerHandle | None = None
    _task: asyncio.Task[None] | None = None

    def __init__(  # noqa: PLR0913, PLR0917 - the request, and what carries it
        self,
        client: Client,
        edge: Edge,
        flow: Flow,
        snapshot: Snapshot,
        request: Request,
        trace: Trace,
        started: float,
    ) -> None:
        self._client = client
        self._edge = edge
        self._flow = flow
        self._snapshot = snapshot
        self._request = request
        self._trace = trace
        self._started = started
        self._pieces: list[bytes] = []
        self._leaving: list[bytes] = []
        edge.enter()

    def send(self, ready: Ready, connection: UpstreamConnection) -> None:
        """Send the request upstream."""
        self._ready = ready
        self._connection = connection
        self._limit = ready.admission.route.answer_limit
        self._trace.upstream_calls = 1
        self._sent_at = self._edge.clock()
        connection.send(ready.plan.method, ready.target, ready.headers, self)

    def reply(self, outcome: Reply | Refusal) -> None:
        """Send a whole reply to the client."""
        self._release()
        if isinstance(outcome, Refusal):
            self._trace.code, self._trace.detail = outcome.code.name, outcome.detail
            if pause := self._edge.hesitation(outcome):
                self._patience = asyncio.get_running_loop().call_later(pause, self._write_whole, render(outcome))
                return
            outcome = render(outcome)
        self._write_whole(outcome)

    def _write_whole(self, outcome: Reply) -> None:
        self._stop_patience()
        body = b"" if self._request.method == "HEAD" else outcome.body
        self._written = len(body)
        self._write(outcome.status, self._reply_head(outcome.status, outcome.headers, len(outcome.body)) + body)
        self._end()

    def abandon(self) -> None:
        """Give up: the client has gone."""
        self._release()
        if self._task is not None:
            self._task.cancel()
        self._leave(aborted=True)

    # The client's pace

    def pause(self) -> None:
        """Wait for the client, as long as the standard lane would."""
        seconds = self._edge.patience.idle
        if self._is_whole:
            seconds += self._written / SLOWEST
        elif self._connection is not None:
            self._connection.pause()
        self._patience = asyncio.get_running_loop().call_later(seconds, self._break_off)

    def resume(self) -> None:
        """Go on: the client has caught up."""
        self._stop_patience()
        if self._is_ended:
            if not self._is_due:
                self._settle()
        elif self._connection is not None:
            self._connection.resume()

    # The upstream's side

    def answered(self, status: int, headers: Headers) -> None:
        """Take the head of the answer."""
        self._trace.upstream_seconds = self._edge.clock() - self._sent_at
        self._answer_status, self._headers = status, headers
        if status == _UNAUTHORIZED:
            # The standard lane repeats it with another bearer.
            self._flow.reject_credential(self._ready)
            self._hand_over()
            return
        refusal = None if self._ready.buffered else self._begin_relay(status, headers)
        announced = first(headers, "content-length")
        if self._is_whole and announced is not None and int(announced) > self._limit and status != _UNCHANGED:
            refusal = refusal or _TOO_LARGE
        if refusal is not None:
            self.reply(refusal)

    def received(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._size += len(piece)
        if not self._is_whole:
            self._pass_on(piece if self._rewriting is None else self._rewriting.feed(piece))
        elif self._size > self._limit:
            self.reply(_TOO_LARGE)
        else:
            self._pieces.append(piece)

    def ended(self) -> None:
        """Know that the answer is complete."""
        self._connection = None
        if self._is_whole:
            outcome = self._outcome()
            if callable(outcome):
                self._task = asyncio.get_running_loop().create_task(self._reply_later(outcome))
            else:
                self.reply(outcome)
            return
        if self._rewriting is not None:
            self._pass_on(self._rewriting.end())
        if self._reply_status is None:
            self.reply(empty(self._request.method))
            return
        if self._is_chunked:
            self._write(self._answer_status, b"0\r\n\r\n")
        self._end()

    def broken(self, reason: Break) -> None:
        """Know that no more of the answer comes."""
        self._connection = None
        if not self._answer_status:
            self._trace.upstream_seconds = self._edge.clock() - self._sent_at
        if self._reply_status is not None:
            self._break_off()
        elif reason in {Break.STALE, Break.ODD}:
            self._hand_over()
        else:
            self.reply(reason.refusal(begun=bool(self._answer_status)))

    def failed(self, error: Exception) -> None:
        """Answer a bug: it is counted and named, never shown."""
        self._edge.emit(Failed(self._request.id, "request", describe(error)))
        if self._reply_status is None:
            self.reply(Refusal(Code.INTERNAL))
        else:
            self._break_off()

    # Ours

    def _begin_relay(self, status: int, headers: Headers) -> Refusal | None:
        route = self._ready.admission.route
        head = relayed(self._snapshot, route, self._request.method, status, headers)
        if isinstance(head, Refusal):
            return head
        self._head = head
        self._is_whole = head.is_error or not head.has_body
        if self._is_whole:
            self._limit = ERROR_LIMIT
        elif head.rewrites:
            self._rewriting = Rewriting(self._snapshot.links)
        return None

    async def _reply_later(self, later: Later) -> None:
        try:
            reply = await later()
            self._task = None
            self.reply(reply)
        except Exception as error:  # noqa: BLE001 - the last resort
            self.failed(error)

    def _outcome(self) -> Reply | Refusal | Later:
        answer = Received(self._answer_status, self._headers, b"".join(self._pieces))
        head = self._head
        if head is None:
            return self._flow.conclude(self._snapshot, self._ready, answer, self._trace)
        return error_reply(answer) if head.is_error else Reply(self._answer_status, head.headers)

    def _pass_on(self, piece: bytes) -> None:
        if not piece or self._head is None:
            return
        parts = []
        if self._reply_status is None:
            length = self._head.length
            self._is_chunked = length is None
            parts.append(
                self._reply_head(self._answer_status, self._head.headers, None if length is None else int(length))
            )
        parts += (b"%x\r\n" % len(piece), piece, b"\r\n") if self._is_chunked else (piece,)
        self._written += len(piece)
        self._write(self._answer_status, *parts)

    def _reply_head(self, status: int, headers: Headers, length: int | None) -> bytes:
        lines = with_cors(headers, self._snapshot, self._request)
        self._is_last = self._edge.is_draining
        return reply_head(status, lines, self._request.id, length, self._edge.now(), is_last=self._is_last)

    # The way out: `_write` collects, `_put` has the outbox call `_write_out` at the end of the turn, which writes, and
    # settles behind the end of the reply.

    def _write(self, status: int, *parts: bytes) -> None:
        self._reply_status = status
        self._leaving += parts
        self._waiting += sum(map(len, parts))
        if self._waiting > _AT_ONCE:
            self._write_now()
        else:
            self._put()

    def _end(self) -> None:
        self._is_ended = True
        self._put()

    def _put(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._client.outbox.put(self._write_out)

    def _write_out(self) -> None:
        """Write what is to leave; behind its end the reply is through, when the client has taken enough of it."""
        self._is_due = False
        try:
            if self._write_now() and self._is_ended and not self._client.writing_paused:
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

    def _settle(self) -> None:
        self._leave(aborted=False)
        self._client.settled(is_last=self._is_last)

    def _hand_over(self) -> None:
        self._release()
        self._client.handed_over()
        self._edge.leave()

    def _break_off(self) -> None:
        """Say by a reset that the reply is not whole; the client's connection then abandons us."""
        self._release()
        self._is_ended = False
        self._write_now()
        break_off(self._client.transport)

    def _release(self) -> None:
        """Give up what the upstream still says."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _stop_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _leave(self, *, aborted: bool) -> None:
        self._stop_patience()
        edge, request = self._edge, self._request
        status = CLIENT_GONE if self._reply_status is None else self._reply_status
        seconds = edge.clock() - self._started
        edge.leave()
        edge.emit(
            RequestDone(request.id, request.method, status, seconds, request.peer, self._trace, self._written, aborted)
        )
