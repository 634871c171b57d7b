"""The one page: the way of a request through the gateway, stage by stage.

    1 normalise    wire.target      one reading of path and query
    2 match        routing          exactly one route
    3 authenticate authn            who asks
    4 scope        scope            the plan: the request narrowed to the caller's records
    5 credential   upstream         one of the gateway's own, never the client's
    6 forward      carrying         send the plan
    7 guard        guard            every record is the caller's, or nothing of the answer leaves
    8 reply        server           (the exchange renders what is returned here)

Stages 1-4 and 7 are pure: `decision` is what they have to say of a request. Waiting is a value: whatever has to be
awaited first - a body, a parent, a credential, a password - is a `Later`, which gives the next thing to do. What need
not wait makes none. docs/carrying.md says how what is decided here is carried.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol

from msgspec.structs import replace

from gateway import decision
from gateway.authn.revocations import Revocations
from gateway.carrying.call import SAFE, Call
from gateway.decision import Admission, Decided, Later, Ready, Snapshot
from gateway.guard import core as guard
from gateway.scope import core as scope
from gateway.upstream.backend import Backend, lent, rejection
from gateway.upstream.created import Creations, Named
from gateway.upstream.parents import Parents
from gateway.vocab.events import AnswerUnfit, Emit, GuardViolated, RouteClosed
from gateway.vocab.messages import (
    READS,
    Answer,
    Body,
    CallerKind,
    Checked,
    Headers,
    Json,
    Plan,
    Reply,
    Request,
    Trace,
    Whose,
)
from gateway.vocab.policy import Endpoint, Passwords, Perform, Route
from gateway.vocab.record_form import RecordForm
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.api import address
from gateway.wire.body import encode
from gateway.wire.cors import is_preflight, scoped_vary
from gateway.wire.counting import counting
from gateway.wire.headers import CUSTOMER_TOKEN, first

# An upload up to this many bytes is taken whole before a connection to the upstream is: slow clients wait on their own.
_SMALL_UPLOAD = 64 * 1024
# What a scoped answer says of itself: it is one customer's, and no cache between us and the client may keep it.
_PRIVATE: Headers = (("cache-control", "private, no-store"),)
# An upstream of ours compresses for nobody: guards must read, and links are rewritten on the way.
_OWN_HEADERS: Headers = (("accept-encoding", "identity"),)

Handler = Callable[[Snapshot, Request, Body, Trace, Admission], Decided]
"""Answers a path of the gateway's own."""


class PasswordKeeper(Protocol):
    """Keeps passwords on the way of requests that carry or show them. tokens/keeper.py is it."""

    async def carry(
        self, mode: Passwords, plan: Plan, whose: Whose, perform: Perform, trace: Trace
    ) -> Checked | Refusal:
        """Take the password out of `plan`, `perform` the rest, and keep the password."""

    def showing(
        self, document: Any, whose: Whose, plan: Plan, form: RecordForm
    ) -> Callable[[], Awaitable[Refusal | None]] | None:
        """Return what sets `password` to a boolean on every customer in `document`; None where there is none."""


class Flow:
    """Takes requests through all stages; `backends` and `parents` by upstream. `keeper` is None where nobody logs in.

    `revocations` gives who was logged out, as this process knows it by now. `counted` tells under what a client's
    address counts in shares and throttles (`wire.counting`). `closed` names the routes that violations have closed, and
    outlives a configuration.
    """

    def __init__(  # noqa: PLR0913 - all who are asked on the way of a request
        self,
        backends: Mapping[str, Backend],
        parents: Mapping[str, Parents],
        keeper: PasswordKeeper | None,
        endpoints: Mapping[Endpoint, Handler],
        emit: Emit,
        *,
        revocations: Callable[[], Revocations],
        token_header: str = CUSTOMER_TOKEN,
        counted: Callable[[str], str] = counting(knows_proxies=False),  # noqa: B008 - a function
        closed: set[str] | None = None,
    ) -> None:
        self._private: Headers = (*_PRIVATE, ("vary", scoped_vary(token_header)))
        self._scoped: Headers = (("content-type", "application/json"), *self._private)
        self._backends = backends
        self._parents = parents
        self._keeper = keeper
        self._endpoints = endpoints
        self._emit = emit
        self._revocations = revocations
        self._counted = counted
        self._creations = Creations(backends, parents)
        self._closed: set[str] = set() if closed is None else closed

    def decide(self, snapshot: Snapshot, request: Request, body: Body, trace: Trace) -> Decided:
        """Stages 1-5: say how a request goes on."""
        if request.method == "OPTIONS":
            if request.target == "*":
                # It is asked of the server itself (RFC 9110 section 9.3.7).
                return Reply(204)
            if is_preflight(request.headers):
                return decision.preflight(snapshot, request)
        admission = decision.admit(snapshot, request, trace, self._revocations())
        if isinstance(admission, Refusal):
            return admission
        route = admission.route
        if not (admission.caller.kind is CallerKind.TRUSTED or admission.caller.is_by_trusted):
            # What a trusted client sends is sent for many, from one address.
            trace.counts_for = self._counted(request.peer)
        if route.endpoint is not None:
            return self._endpoints[route.endpoint](snapshot, request, body, trace, admission)
        if route.name in self._closed:
            return Refusal(Code.ROUTE_CLOSED)
        if body.expected and (refusal := decision.check_body(request, route, admission.access)) is not None:
            return refusal
        # The body is read only now, when it is known who sends it and that the route wants it. A request without one
        # has nothing to be read; whoever needs one there says so itself.
        if scope.needs_document(route, admission.access) and (body.expected or route.passwords):
            go_on = partial(self._planned, snapshot, request, body, admission, trace)
            return decision.with_document(request, body, route.body_limit, go_on)
        return self._planned(snapshot, request, body, admission, trace, None)

    def _planned(
        self,
        snapshot: Snapshot,
        request: Request,
        body: Body,
        admission: Admission,
        trace: Trace,
        document: Json | None,
    ) -> Decided:
        """Stage 4, and whose look-ups and passwords it has to wait for."""
        planned = decision.plan(snapshot, request, admission, document)
        if isinstance(planned, Refusal):
            return self._refused(planned, admission.route, trace)
        looks = bool(planned.conditions) and scope.is_looked_at_first(admission.access, planned)
        if not planned.parents and not looks:
            return self._looked_up(snapshot, body, admission, trace, planned)

        async def later() -> Decided:
            if looks:
                # What it answers under a condition must not tell somebody else's record from none.
                seen = replace(planned, method="GET", document=None, conditions=())
                found = await self._performed(snapshot, admission, seen, trace)
                if isinstance(found, Refusal):
                    return self._refused(found, admission.route, trace)
            referred: frozenset[tuple[str, str]] = frozenset()
            is_guests = False
            for parent in planned.parents:
                allowed = await self._parents[parent.upstream or admission.route.upstream].check(parent, trace)
                if isinstance(allowed, Refusal):
                    return self._refused(allowed, admission.route, trace)
                referred |= allowed.refers
                is_guests |= allowed.is_guests
            known = replace(planned, referred=referred, is_guests=is_guests)
            return self._looked_up(snapshot, body, admission, trace, known)

        return later

    def _looked_up(self, snapshot: Snapshot, body: Body, admission: Admission, trace: Trace, planned: Plan) -> Decided:
        mode = admission.route.passwords
        if mode is not None and mode is not Passwords.SHOW and self._keeper is not None:
            return partial(self._kept, self._keeper, mode, snapshot, admission, trace, planned)
        if planned.document is not None:
            return self._forwarded(snapshot, admission, trace, planned, encode(planned.document))
        if not body.expected or body.consumed or planned.method in READS:
            return self._forwarded(snapshot, admission, trace, planned, b"")
        limit = admission.route.stream_limit
        if limit is not None and body.length is not None and body.length > limit:
            return Refusal(Code.BODY_TOO_LARGE)
        if body.length is None or body.length > _SMALL_UPLOAD:
            return self._forwarded(snapshot, admission, trace, planned, None)
        return decision.when_read(body, _SMALL_UPLOAD, partial(self._forwarded, snapshot, admission, trace, planned))

    def _forwarded(
        self, snapshot: Snapshot, admission: Admission, trace: Trace, planned: Plan, body: bytes | None
    ) -> Ready | Later:
        """Stage 5: a request that can be sent, as soon as there is a credential. A body of None is streamed."""
        headers = (*planned.headers, *planned.key, *_OWN_HEADERS, ("x-request-id", trace.request_id))
        if planned.conditions and not scope.is_judged_first(admission.access, planned):
            headers += snapshot.api(admission.route).links.tags.unmarked(planned.conditions)
        target = address(planned, admission.sent)
        buffered = scope.is_buffered(admission.route, admission.access)
        name, backend = lent(admission.access, planned), self._backends[admission.route.upstream]
        lines = backend.in_hand(name)
        if lines is not None:
            headers += lines
            return Ready(admission, planned, target, headers, buffered, body or b"", body is None, lines)

        async def later() -> Decided:
            lines = await backend.lines(name)
            if isinstance(lines, Refusal):
                return lines
            sent = headers + lines
            return Ready(admission, planned, target, sent, buffered, body or b"", body is None, lines)

        return later

    def rejected(self, ready: Ready) -> Refusal | Later:
        """Say how a request goes on whose answer was a 401: it speaks of our credential, never of the client's.

        What changes nothing is sent once more with a fresh one. Anything else is the client's to repeat, who knows
        whether twice does harm: the upstream said that it did not let us in.
        """
        name, backend = lent(ready.admission.access, ready.plan), self._backends[ready.admission.route.upstream]
        backend.reject(name, ready.lent)
        if ready.is_repeat or ready.plan.method not in SAFE:
            return rejection(name)

        async def later() -> Decided:
            fresh = await backend.lines(name, ready.lent)
            if isinstance(fresh, Refusal):
                return fresh
            kept = tuple(line for line in ready.headers if line not in ready.lent)
            return replace(ready, headers=kept + fresh, lent=fresh, is_repeat=True)

        return later

    def conclude(self, snapshot: Snapshot, ready: Ready, answer: Answer, trace: Trace) -> Reply | Refusal | Later:
        """Stage 7 for a whole answer that is judged.

        Where customers are shown the store says who has a password, where only a Location says what was made it may
        have to be looked at, and a record that is now known to be the caller's is asked for under the client's
        conditions: then the reply comes later.
        """
        admission, plan = ready.admission, ready.plan
        links = snapshot.api(admission.route).links
        asks = bool(plan.conditions) and scope.is_judged_first(admission.access, plan)
        judged = guard.judge(
            *(admission.route, admission.access, plan, admission.whose, answer, links),
            is_proven=bool(plan.conditions) and not asks,
        )
        if not isinstance(judged, Checked):
            return self._refused(judged, admission.route, trace)
        asks = asks and judged.status < 300 and not guard.shows_list(judged.document, admission.route, plan)  # noqa: PLR2004 - HTTP's own number
        named: Named = None
        is_done = plan.method not in SAFE and judged.status < 300  # noqa: PLR2004
        if is_done and (location := first(answer.headers, "location")) is not None:
            named = self._creations.named(snapshot, ready, judged, location, trace)
            if isinstance(named, str):
                judged = replace(judged, headers=(*judged.headers, ("location", named)))
        showing = None if admission.route.passwords is None else self._showing(judged, admission, plan)
        if showing is None and not callable(named) and not asks:
            return self._judged(judged, admission.route, trace, plan)

        async def later() -> Decided:
            checked: Checked | Refusal = judged
            if asks:
                checked = await self._performed(snapshot, admission, plan, trace, is_proven=True)
            elif callable(named) and (link := await named()) is not None:
                checked = replace(judged, headers=(*judged.headers, ("location", link)))
            return self._judged(await self._shown(checked, admission, plan), admission.route, trace, plan)

        return later

    async def _performed(
        self, snapshot: Snapshot, admission: Admission, plan: Plan, trace: Trace, *, is_proven: bool = False
    ) -> Checked | Refusal:
        """Stages 5 to 7 for one more request on the way of a client's own, with its conditions."""
        body = b"" if plan.document is None else encode(plan.document)
        links = snapshot.api(admission.route).links
        conditions = links.tags.unmarked(plan.conditions)
        headers = (*plan.headers, *conditions, *_OWN_HEADERS, ("x-request-id", trace.request_id))
        call = Call(plan.method, address(plan), headers, body)
        backend, name = self._backends[admission.route.upstream], lent(admission.access, plan)
        answer = await backend.send(call, admission.route.answer_limit, trace, name)
        if isinstance(answer, Refusal):
            return guard.unusable(answer, admission.access, plan)
        judged = (admission.route, admission.access, plan, admission.whose, answer, links)
        return guard.judge(*judged, is_proven=is_proven)

    async def _kept(
        self,
        keeper: PasswordKeeper,
        mode: Passwords,
        snapshot: Snapshot,
        admission: Admission,
        trace: Trace,
        planned: Plan,
    ) -> Decided:
        """Stages 5-7 with a password around them; they may be run more than once."""

        async def perform(one: Plan) -> Checked | Refusal:
            if one.path != planned.path:
                one = replace(one, conditions=())
            done = await self._performed(snapshot, admission, one, trace, is_proven=bool(one.conditions))
            # A write that changes nothing but a password asks for the record; its condition did not hold.
            is_refused = one.method != planned.method and isinstance(done, Checked) and done.status == 304  # noqa: PLR2004
            return Refusal(Code.CONDITION_FAILED) if is_refused else done

        checked = await keeper.carry(mode, planned, admission.whose, perform, trace)
        return self._judged(await self._shown(checked, admission, planned), admission.route, trace, planned)

    def _showing(
        self, checked: Checked, admission: Admission, plan: Plan
    ) -> Callable[[], Awaitable[Refusal | None]] | None:
        if self._keeper is None:
            return None
        return self._keeper.showing(checked.document, admission.whose, plan, admission.route.form)

    async def _shown(self, checked: Checked | Refusal, admission: Admission, plan: Plan) -> Checked | Refusal:
        """Return an answer whose customers show who has a password, on routes that keep them."""
        if isinstance(checked, Refusal) or admission.route.passwords is None:
            return checked
        showing = self._showing(checked, admission, plan)
        return checked if showing is None else await showing() or checked

    def _judged(self, checked: Checked | Refusal, route: Route, trace: Trace, plan: Plan) -> Reply | Refusal:
        """Stage 8 for what was judged: what the reply says of itself, and its bytes."""
        if isinstance(checked, Refusal):
            return self._refused(checked, route, trace)
        headers = checked.headers
        if not headers and checked.status != 304:  # noqa: PLR2004 - it has no body that could be of a type
            headers = self._scoped
        elif checked.document is None or first(headers, "content-type") is not None:
            headers += self._private
        else:
            headers = (*self._scoped, *headers)
        body = b"" if checked.document is None else encode(checked.document)
        if checked.owes_tag:
            return decision.tagged(Reply(checked.status, headers, body), plan.conditions)
        return Reply(checked.status, headers, body)

    def _refused(self, refusal: Refusal, route: Route, trace: Trace) -> Refusal:
        if refusal.violation:
            self._emit(GuardViolated(trace.request_id, route.name, refusal.detail))
            if route.closes_on_violation and route.name not in self._closed:
                self._closed.add(route.name)
                self._emit(RouteClosed(route.name))
        elif refusal.unfit:
            self._emit(AnswerUnfit(trace.request_id, route.name, refusal.detail))
        return refusal
