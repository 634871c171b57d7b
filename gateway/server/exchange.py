"""One request in the express lane: from its plan to the last byte of its reply. Nothing here waits, or decides."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, Protocol

from gateway.flow import Flow, Later, Ready, Relayed, Snapshot, error_reply, relayed
from gateway.guard.core import ERROR_LIMIT, Received
from gateway.server.edge import CLIENT_GONE, SLOWEST, Edge, break_off, with_cors
from gateway.server.replies import render, reply_head
from gateway.upstream.connection import Break, UpstreamConnection
from gateway.upstream.streams import empty
from gateway.vocab.events import Failed, RequestDone, describe
from gateway.vocab.messages import Headers, Reply, Request, Trace
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.headers import first
from gateway.wire.links import Rewriting

_UNAUTHORIZED = 401
_UNCHANGED = 304
Given = ParamSpec("Given")
_TOO_LARGE = Refusal(Code.UPSTREAM_INVALID, "answer above the limit")


class Client(Protocol):
    """The connection that the request came on."""

    transport: asyncio.Transport | None

    @property
    def writing_paused(self) -> bool:
        """Whether it takes no more for now."""

    def settled(self, *, is_last: bool) -> None:
        """Know that the reply is through; `is_last` says that the connection ends behind it."""

    def handed_over(self) -> None:
        """Give the request to the standard lane."""


def _guarded(method: Callable[Concatenate["Exchange", Given], None]) -> Callable[Concatenate["Exchange", Given], None]:
    """Make a bug in a method an answer: it is counted and named, never shown."""

    def run(self: "Exchange", /, *given: Given.args, **named: Given.kwargs) -> None:
        try:
            method(self, *given, **named)
        except Exception as error:  # noqa: BLE001 - the last resort
            self.fail(error)

    return run


@dataclass(slots=True, eq=False)
class Exchange:
    """One request. It is the receiver of the upstream's answer."""

    client: Client
    edge: Edge
    flow: Flow
    snapshot: Snapshot
    request: Request
    trace: Trace
    started: float
    _ready: Ready = field(init=False)
    _connection: UpstreamConnection | None = None
    _sent_at: float = 0.0
    # Of the answer: its status and head; the pieces of one that is read whole, or how it is passed on.
    _status: int = 0
    _headers: Headers = ()
    _is_whole: bool = True
    _limit: int = 0
    _pieces: list[bytes] = field(default_factory=list)
    _size: int = 0
    _head: Relayed | None = None
    _rewriting: Rewriting | None = None
    # Of the reply: nothing has left while there is no status.
    _sent: int | None = None
    _written: int = 0
    _is_chunked: bool = False
    _is_ended: bool = False
    _is_last: bool = False
    _patience: asyncio.TimerHandle | None = None
    _task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.edge.enter()

    def send(self, ready: Ready, connection: UpstreamConnection) -> None:
        """Send the request upstream."""
        self._ready = ready
        self._connection = connection
        self._limit = ready.admission.route.answer_limit
        self.trace.upstream_calls = 1
        self._sent_at = self.edge.clock()
        connection.send(ready.plan.method, ready.target, ready.headers, self)

    def reply(self, outcome: Reply | Refusal) -> None:
        """Send a whole reply to the client."""
        self._release()
        if isinstance(outcome, Refusal):
            self.trace.code, self.trace.detail = outcome.code.name, outcome.detail
            if pause := self.edge.hesitation(outcome):
                self._patience = asyncio.get_running_loop().call_later(pause, self._write_whole, render(outcome))
                return
            outcome = render(outcome)
        self._write_whole(outcome)

    def _write_whole(self, outcome: Reply) -> None:
        self._stop_patience()
        body = b"" if self.request.method == "HEAD" else outcome.body
        self._written = len(body)
        self._write(outcome.status, self._reply_head(outcome.status, outcome.headers, len(outcome.body)) + body)
        self._end()

    def fail(self, error: Exception) -> None:
        """Answer a bug."""
        self.edge.emit(Failed(self.request.id, "request", describe(error)))
        if self._sent is None:
            self.reply(Refusal(Code.INTERNAL))
        else:
            self._break_off()

    def abandon(self) -> None:
        """Give up: the client has gone."""
        self._release()
        if self._task is not None:
            self._task.cancel()
        self._leave(aborted=True)

    # The client's pace

    def pause(self) -> None:
        """Wait for the client, as long as the standard lane would."""
        seconds = self.edge.patience.idle
        if self._is_whole:
            seconds += self._written / SLOWEST
        elif self._connection is not None:
            self._connection.pause()
        self._patience = asyncio.get_running_loop().call_later(seconds, self._break_off)

    def resume(self) -> None:
        """Go on: the client has caught up."""
        self._stop_patience()
        if self._is_ended:
            self._settle()
        elif self._connection is not None:
            self._connection.resume()

    # The upstream's side

    @_guarded
    def answered(self, status: int, headers: Headers) -> None:
        """Take the head of the answer."""
        self.trace.upstream_seconds = self.edge.clock() - self._sent_at
        self._status, self._headers = status, headers
        if status == _UNAUTHORIZED:
            # The standard lane repeats it with another bearer.
            self.flow.reject_credential(self._ready)
            self._hand_over()
            return
        refusal = None if self._ready.buffered else self._begin_relay(status, headers)
        announced = first(headers, "content-length")
        if self._is_whole and announced is not None and int(announced) > self._limit and status != _UNCHANGED:
            refusal = refusal or _TOO_LARGE
        if refusal is not None:
            self.reply(refusal)

    @_guarded
    def received(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._size += len(piece)
        if not self._is_whole:
            self._pass_on(piece if self._rewriting is None else self._rewriting.feed(piece))
        elif self._size > self._limit:
            self.reply(_TOO_LARGE)
        else:
            self._pieces.append(piece)

    @_guarded
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
        if self._sent is None:
            self.reply(empty(self.request.method))
            return
        if self._is_chunked:
            self._write(self._status, b"0\r\n\r\n")
        self._end()

    @_guarded
    def broken(self, reason: Break) -> None:
        """Know that no more of the answer comes."""
        self._connection = None
        if not self._status:
            self.trace.upstream_seconds = self.edge.clock() - self._sent_at
        if self._sent is not None:
            self._break_off()
        elif reason in {Break.STALE, Break.ODD}:
            self._hand_over()
        else:
            self.reply(reason.refusal(begun=bool(self._status)))

    # Ours

    def _begin_relay(self, status: int, headers: Headers) -> Refusal | None:
        route = self._ready.admission.route
        head = relayed(self.snapshot, route, self.request.method, status, headers)
        if isinstance(head, Refusal):
            return head
        self._head = head
        self._is_whole = head.is_error or not head.has_body
        if self._is_whole:
            self._limit = ERROR_LIMIT
        elif head.rewrites:
            self._rewriting = Rewriting(self.snapshot.links)
        return None

    async def _reply_later(self, later: Later) -> None:
        try:
            reply = await later()
            self._task = None
            self.reply(reply)
        except Exception as error:  # noqa: BLE001 - the last resort
            self.fail(error)

    def _outcome(self) -> Reply | Refusal | Later:
        answer = Received(self._status, self._headers, b"".join(self._pieces))
        head = self._head
        if head is None:
            return self.flow.conclude(self.snapshot, self._ready, answer, self.trace)
        return error_reply(answer) if head.is_error else Reply(self._status, head.headers)

    def _pass_on(self, piece: bytes) -> None:
        if not piece or self._head is None:
            return
        # Pieces are large: they are handed to the kernel in their place, not copied behind the bytes before them.
        parts = []
        if self._sent is None:
            length = self._head.length
            self._is_chunked = length is None
            parts.append(self._reply_head(self._status, self._head.headers, None if length is None else int(length)))
        parts += (b"%x\r\n" % len(piece), piece, b"\r\n") if self._is_chunked else (piece,)
        self._written += len(piece)
        self._write(self._status, *parts)

    def _reply_head(self, status: int, headers: Headers, length: int | None) -> bytes:
        lines = with_cors(headers, self.snapshot, self.request)
        self._is_last = self.edge.is_draining
        return reply_head(status, lines, self.request.id, length, self.edge.now(), is_last=self._is_last)

    def _write(self, status: int, *parts: bytes) -> None:
        self._sent = status
        if self.client.transport is not None:
            self.client.transport.writelines(parts)

    def _end(self) -> None:
        """Know that everything is written; the reply is through when the client has taken enough of it."""
        self._is_ended = True
        if not self.client.writing_paused:
            self._settle()

    def _settle(self) -> None:
        self._leave(aborted=False)
        self.client.settled(is_last=self._is_last)

    def _hand_over(self) -> None:
        self._release()
        self.edge.leave()
        self.client.handed_over()

    def _break_off(self) -> None:
        """Say by a reset that the reply is not whole; the client's connection then abandons us."""
        self._release()
        break_off(self.client.transport)

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
        edge, request = self.edge, self.request
        status = CLIENT_GONE if self._sent is None else self._sent
        seconds = edge.clock() - self.started
        edge.leave()
        edge.emit(
            RequestDone(request.id, request.method, status, seconds, request.peer, self.trace, self._written, aborted)
        )
