"""One request: from its head to the last byte of its reply. It decides nothing; it makes a task only to wait.

    NEW ──▶ DECIDING ──▶ ASKED ──▶ GATHERING ──▶ HESITATING ──▶ REPLYING ──▶ OVER
                                └▶ RELAYING ──────────────────▶

docs/carrying.md has the life of a request on one page: what moves it on, how long each state may last, who closes what.
"""

import asyncio
import math
from functools import partial
from typing import Final

from gateway import relay
from gateway.carrying.call import UNACCEPTED, Call, Carrier, Upload, Uploads
from gateway.carrying.fetch import is_announced_above
from gateway.decision import Decided, Later, Ready
from gateway.guard import core as guard
from gateway.guard.status import ERROR_LIMIT
from gateway.server.body import RequestBody
from gateway.server.client import Client
from gateway.server.edge import Edge, break_off
from gateway.server.outgoing import Outgoing
from gateway.server.replies import Closing, render
from gateway.server.state import State
from gateway.server.upload import upload
from gateway.vocab.events import Failed, RequestDone, describe
from gateway.vocab.messages import Answer, Headers, Reply, Request, Trace
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.links import Rewriting

# A reader of a complete reply slower than this, in bytes a second, is held to be gone.
SLOWEST = 16 * 1024
# What nginx logs for a client that went away.
CLIENT_GONE = 499
_TOO_LARGE = Refusal(Code.UPSTREAM_INVALID, "answer above the limit")
_TAKING: Final = (State.GATHERING, State.RELAYING)


class Exchange(Outgoing):
    """One request. It is the receiver of the upstream's answer. `closing` is what its head says of its connection."""

    carrier: Carrier | None = None
    _ready: Ready
    _sent_at = 0.0
    # Of the answer, beside what is passed on of it: its head, and its size so far.
    _headers: Headers = ()
    _limit = 0
    _size = 0
    _rewriting: Rewriting | None = None
    _task: asyncio.Task[None] | None = None
    _uploading: asyncio.Task[None] | None = None

    def __init__(
        self, client: Client, edge: Edge, request: Request, body: RequestBody, closing: Closing, started: float
    ) -> None:
        self._client = client
        self._edge = edge
        self._snapshot, self._flow, self._pools = edge.serving.snapshot, edge.serving.flow, edge.serving.pools
        self._request = request
        self._body = body
        self._closing = closing
        self._started = started
        self._trace = Trace(request_id=request.id, target=request.target, client_id=request.client_id)
        self._pieces: list[bytes] = []
        self._leaving: list[bytes] = []
        edge.enter()

    def begin(self) -> None:
        """Decide the request and go on with it."""
        try:
            self._go_on(self._flow.decide(self._snapshot, self._request, self._body, self._trace))
        except Exception as error:  # noqa: BLE001 - the last resort: a bug is answered, counted and named, never shown
            self.failed(error)

    def refuse(self, refusal: Refusal) -> None:
        """Answer a request that is not to be decided."""
        self._reply(refusal)

    def is_heard_out(self, *, is_last: bool) -> bool:
        """Tell whether the reply can still be had by a client that will send no more; `is_last`: no other follows.

        It cannot where a body breaks off, and will not where it has no end.
        """
        is_endless = self._head is not None and self._head.is_endless
        if self._state is not State.REPLYING and (not self._body.is_over or is_endless):
            return False
        if is_last:
            self._closing = Closing(is_wanted=True, is_needed=self._closing.is_needed, is_old=self._closing.is_old)
        return True

    def abandon(self) -> None:
        """Give up: the client has gone."""
        if self._state is not State.OVER:
            self._release()
            self._leave(aborted=True)

    def _go_on(self, outcome: Decided) -> None:
        if isinstance(outcome, Ready):
            self._ask(outcome)
        elif callable(outcome):
            self._go(State.DECIDING)
            self._task = asyncio.get_running_loop().create_task(self._wait(outcome), name="deciding")
        else:
            self._reply(outcome)

    async def _wait(self, later: Later) -> None:
        try:
            outcome = await later()
            self._task = None
            self._go_on(outcome)
        except Exception as error:  # noqa: BLE001 - the last resort
            self._task = None
            self.failed(error)

    # The upstream's side

    def _ask(self, ready: Ready) -> None:
        self._go(State.ASKED)
        self._ready = ready
        route = ready.admission.route
        self._limit = route.answer_limit
        self._trace.upstream_calls += 1
        self._sent_at = self._edge.clock()
        headers, upload = ready.headers, None
        if ready.uploads:
            upload = Upload.CHUNKED
            if self._body.length is not None:
                upload, headers = Upload.SIZED, (*headers, ("content-length", str(self._body.length)))
        of = (route.name, self._trace.counts_for)
        call = Call(ready.plan.method, ready.target, headers, ready.body, upload, not ready.buffered, *of)
        self._pools[route.upstream].send(call, self)

    def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Take all of an answer that came at once."""
        self.carrier = None
        if self._ready.buffered and status not in UNACCEPTED:
            self._stop_uploading()
            self._trace.upstream_seconds += self._edge.clock() - self._sent_at
            self._sent_at = 0.0
            self._go(State.GATHERING)
            if len(body) > self._limit:
                self._answer_status, self._headers = status, headers
                self._too_large()
            else:
                answer = Answer(status, headers, body)
                self._go_on(self._flow.conclude(self._snapshot, self._ready, answer, self._trace))
            return
        self.answered(status, headers)
        if body and self._state in _TAKING:
            self.received(body)
        if self._state in _TAKING:
            self.ended()

    def answered(self, status: int, headers: Headers) -> None:
        """Take the head of the answer."""
        self._trace.upstream_seconds += self._edge.clock() - self._sent_at
        self._sent_at = 0.0
        self._answer_status, self._headers = status, headers
        if status in UNACCEPTED:
            self._release()
            self._go_on(self._flow.rejected(self._ready))
            return
        if not self._ready.buffered and (whole := relay.without_range(self._ready, status, headers)) is not None:
            self._release()
            self._go_on(whole)
            return
        if self._ready.buffered:
            self._go(State.GATHERING)
        else:
            refusal = self._begin_relay(status, headers)
            if refusal is not None:
                self._reply(refusal)
                return
        idle = self._ready.admission.route.idle_limit
        is_endless = self._head is not None and self._head.is_endless
        if self.carrier is not None and (is_endless or idle is not None):
            self.carrier.allow_silence(math.inf if idle is None else idle)
        is_to_come = self._state is State.GATHERING and self._ready.plan.method != "HEAD"
        if is_to_come and is_announced_above(self._limit, status, headers):
            self._too_large()

    def _too_large(self) -> None:
        """Give up a body that is too large to be read; errors and redirects say enough without theirs."""
        head = self._head
        if self._answer_status < 400 and (head is None or head.inflates):  # noqa: PLR2004 - HTTP's own number
            self._reply(guard.unusable(_TOO_LARGE, self._ready.admission.access, self._ready.plan))
            return
        self._pieces.clear()
        self._release()
        if head is None or head.is_error:
            self._go_on(self._outcome())
        else:
            self._write_without_body(head)

    def _begin_relay(self, status: int, headers: Headers) -> Refusal | None:
        head = relay.relayed(self._snapshot, self._ready, self._request, status, headers)
        if isinstance(head, Refusal):
            return head
        self._head = head
        if head.is_error or head.inflates or not head.has_body:
            self._go(State.GATHERING)
            self._limit = self._ready.admission.route.answer_limit if head.inflates else ERROR_LIMIT
        else:
            self._go(State.RELAYING)
            if head.rewrites:
                self._rewriting = Rewriting(self._snapshot.api(self._ready.admission.route).links)
            if head.is_endless:
                self._begin_events()
        return None

    def _begin_events(self) -> None:
        """Give the head of a stream out at once: its first event may be long in coming, and the client waits for it."""
        if self._client.is_half_closed:
            # It has most likely gone, and would be seen to only at the next event.
            self._break_off()
        elif self._head is not None:
            self._write(self._answer_status, self._relayed_head(self._head))

    def received(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._size += len(piece)
        if self._state is State.RELAYING:
            self._pass_on(piece if self._rewriting is None else self._rewriting.feed(piece))
        elif self._size > self._limit:
            self._too_large()
        else:
            self._pieces.append(piece)

    def ended(self) -> None:
        """Know that the answer is complete."""
        self.carrier = None
        self._stop_uploading()
        if self._state is State.GATHERING:
            if self._head is None or self._head.is_error or self._head.inflates:
                self._go_on(self._outcome())
            else:
                self._write_without_body(self._head)
            return
        if self._rewriting is not None:
            self._pass_on(self._rewriting.end())
        if self._reply_status is None:
            lines = () if self._head is None else self._head.headers
            self._reply(relay.empty(self._request.method, self._answer_status, lines))
            return
        if self._is_chunked:
            self._write(self._answer_status, b"0\r\n\r\n")
        self._end()

    def broken(self, refusal: Refusal) -> None:
        """Know that no more of the answer comes."""
        self.carrier = None
        if self._sent_at:
            self._trace.upstream_seconds += self._edge.clock() - self._sent_at
        self._give_up(refusal)

    def failed(self, error: Exception) -> None:
        """Answer a bug: it is counted and named, never shown."""
        self._edge.emit(Failed(self._request.id, "request", describe(error)))
        if self._state is State.OVER:
            return
        if self._reply_status is None and self._state is not State.REPLYING:
            self._reply(Refusal(Code.INTERNAL))
        else:
            self._break_off()

    def _outcome(self) -> Decided:
        answer = Answer(self._answer_status, self._headers, b"".join(self._pieces))
        head = self._head
        if head is None:
            return self._flow.conclude(self._snapshot, self._ready, answer, self._trace)
        if head.inflates and not head.is_error:
            if not answer.body:
                return relay.empty(self._request.method, answer.status, head.headers)
            return relay.inflated(self._snapshot, self._ready, answer, head, self._limit)
        return relay.error_reply(answer, self._ready.admission.route.form)

    # The client's body

    def wanted(self, uploads: Uploads) -> None:
        """Upload the body: the head has left."""
        limit = self._ready.admission.route.stream_limit
        idle = self._pools[self._ready.admission.route.upstream].timeouts.idle
        sending = upload(self._body, limit, idle, uploads, self)
        self._uploading = asyncio.get_running_loop().create_task(sending, name="upload")

    def spoiled(self, refusal: Refusal) -> None:
        """Give up because of the body: the upstream must not take what it has for the whole."""
        self._uploading = None
        self._release()
        self._give_up(refusal)

    def _stop_uploading(self) -> None:
        uploading, self._uploading = self._uploading, None
        if uploading is not None:
            uploading.cancel()

    # The client's pace

    def pause(self) -> None:
        """Wait for the client, for some time; a reply that is held back has its own."""
        if self._state is State.HESITATING:
            return
        seconds = self._edge.timeouts.idle
        if self._state is State.RELAYING:
            if self.carrier is not None:
                self.carrier.pause()
        elif self._state is State.REPLYING and self._head is None:
            seconds += self._written / SLOWEST
        self._set_timer(seconds, self._break_off)

    def resume(self) -> None:
        """Go on: the client has caught up."""
        if self._state is State.HESITATING:
            return
        self._stop_timer()
        if self._state is State.REPLYING:
            if not self._is_due:
                self._settle()
        elif self.carrier is not None:
            self.carrier.resume()

    # How it ends

    def _reply(self, outcome: Reply | Refusal) -> None:
        """Send a whole reply to the client."""
        if self.carrier is not None or self._task is not None or self._uploading is not None:
            self._release()
        if isinstance(outcome, Refusal):
            self._trace.code, self._trace.detail = outcome.code.name, outcome.detail
            pause = self._edge.hesitation(outcome)
            outcome = render(outcome)
            if pause:
                self._go(State.HESITATING)
                self._set_timer(pause, partial(self._write_whole, outcome))
                return
        self._write_whole(outcome)

    def _give_up(self, refusal: Refusal) -> None:
        """Refuse what has not been answered; what has begun can only be broken off."""
        if self._reply_status is None:
            self._reply(refusal)
        else:
            self._break_off()

    def _settle(self) -> None:
        self._leave(aborted=False)
        self._client.settled(is_last=self._is_last, has_rest=not self._body.is_over)

    def _break_off(self) -> None:
        """Say by a reset that the reply is not whole; the client's connection then abandons us."""
        self._release()
        self._write_now()
        break_off(self._client.transport)

    def _release(self) -> None:
        """Give up what is awaited, and what the upstream still says."""
        carrier, self.carrier = self.carrier, None
        if carrier is not None:
            carrier.close()
        self._stop_uploading()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    def _leave(self, *, aborted: bool) -> None:
        self._go(State.OVER)
        if self._timer is not None:
            self._stop_timer()
        edge, request = self._edge, self._request
        status = CLIENT_GONE if self._reply_status is None else self._reply_status
        seconds = edge.clock() - self._started
        edge.leave()
        edge.emit(
            RequestDone(request.id, request.method, status, seconds, request.peer, self._trace, self._written, aborted)
        )
