"""The one page: the way of a request through the gateway, stage by stage.

    1 normalise    wire.target      one reading of path and query
    2 match        routing          exactly one route
    3 authenticate authn            who asks
    4 scope        scope            the plan: the request narrowed to the caller's records
    5 credential   upstream         the server's own bearer
    6 forward      upstream         send the plan
    7 guard        guard            every record is the caller's, or nothing of the answer leaves
    8 reply        server           (the edge renders what is returned here)

Stages 1-4 and 7 are pure. `admit` and `plan` are all of them before the first wait, for `explain` and tests alike.
A request takes one of two lanes. The standard lane, `handle`, may wait at any stage. The express lane, `decide` and
`conclude`, never waits: the same stages, for requests where none of them has to; docs/express.md says how it is driven.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from gateway.authn.bearer import BearerVerifier
from gateway.authn.customer import CustomerVerifier
from gateway.guard import core as guard
from gateway.routing import RouteTable
from gateway.scope import core as scope
from gateway.upstream.backend import Backend
from gateway.upstream.client import Answer, Call
from gateway.upstream.parents import Parents
from gateway.upstream.streams import begun, bounded
from gateway.vocab.events import Emit, GuardViolated, RouteClosed
from gateway.vocab.messages import (
    Body,
    Caller,
    CallerKind,
    Headers,
    Json,
    Plan,
    Reply,
    Request,
    Target,
    Trace,
    Whose,
)
from gateway.vocab.policy import Access, Checked, Endpoint, Exchange, Passwords, Route
from gateway.vocab.refusals import Code, Refusal
from gateway.wire import headers as wire_headers
from gateway.wire import target as wire_target
from gateway.wire.body import encode, parse_request
from gateway.wire.cors import SCOPED_VARY, Cors, is_preflight
from gateway.wire.links import LinkRewriter

_BODILESS = frozenset({"GET", "HEAD"})
# RFC 9110 section 9.2.2: what may be sent again when a connection turns out to be dead.
_EXPRESS_METHODS = frozenset({"GET", "HEAD", "DELETE"})
# An upload up to this many bytes is taken whole before a connection to the upstream is: slow clients wait on their own.
_SMALL_UPLOAD = 64 * 1024
# What a scoped answer says of itself: it is one customer's, and no cache between us and the client may keep it.
_SCOPED_HEADERS: Headers = (
    ("content-type", "application/json"),
    ("cache-control", "private, no-store"),
    ("vary", SCOPED_VARY),
)
# An upstream of ours compresses for nobody: guards must read, and links are rewritten on the way.
_OWN_HEADERS: Headers = (("accept-encoding", "identity"),)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One compiled configuration. A request keeps the one it began with."""

    routes: RouteTable
    bearers: BearerVerifier
    customers: CustomerVerifier
    clients: frozenset[tuple[CallerKind, str]]
    requires_bearer: bool
    forwarded: frozenset[str]
    cors: Cors
    links: LinkRewriter


class Admission(Struct, frozen=True):
    """What stages 1-3 found out."""

    target: Target
    route: Route
    access: Access
    caller: Caller
    whose: Whose


class Ready(Struct, frozen=True):
    """A request that was decided without a wait: what to send, and by what its answer is judged."""

    admission: Admission
    plan: Plan
    target: str
    headers: Headers
    buffered: bool


class Relayed(Struct, frozen=True):
    """How an answer on an open route is passed on; `length` is that of its body, where it is known and stays."""

    headers: Headers
    length: str | None
    rewrites: bool
    has_body: bool
    is_error: bool


Later = Callable[[], Awaitable[Reply | Refusal]]
"""Gives a reply that has to be awaited."""

Handler = Callable[[Snapshot, Request, Body, Trace], Awaitable[Reply | Refusal]]


class PasswordKeeper(Protocol):
    """Keeps passwords on the way of requests that carry or show them. tokens/keeper.py is it."""

    async def carry(
        self, mode: Passwords, plan: Plan, whose: Whose, exchange: Exchange, trace: Trace
    ) -> Checked | Refusal:
        """Take the password out of `plan`, send the rest with `exchange`, and keep the password."""

    def showing(self, document: Any, whose: Whose) -> Callable[[], Awaitable[Refusal | None]] | None:
        """Return what sets `password` to a boolean on every customer in `document`; None where there is none."""


def admit(snapshot: Snapshot, request: Request, trace: Trace) -> Admission | Refusal:
    """Stages 1-3: say which route a request takes and for whom, or no. Pure."""
    target = wire_target.parse(request.target)
    if isinstance(target, Refusal):
        return target
    match = snapshot.routes.match(request.method, target.segments)
    if isinstance(match, Refusal):
        return match
    trace.route = match.route.name
    if match.route.endpoint is not None and match.route.endpoint is not Endpoint.LOGIN:
        return Admission(target, match.route, Access(), Caller(CallerKind.PUBLIC), Whose(None))
    # A login replaces the customer token, so a dead one must not stand in its way.
    caller = authenticate(snapshot, request, reads_token=match.route.endpoint is not Endpoint.LOGIN)
    if isinstance(caller, Refusal):
        return caller
    trace.caller = caller.kind
    trace.customer_id = caller.customer_id
    access = match.route.access.get(caller.kind)
    if access is None:
        return Refusal(Code.ACCESS_DENIED, f"{caller.kind} on {match.route.name}")
    return Admission(target, match.route, access, caller, Whose(caller.customer_id, match.parameters))


def preflight(snapshot: Snapshot, request: Request) -> Reply | Refusal:
    """Answer a browser's question before its request; nobody is asked for it upstream."""
    target = wire_target.parse(request.target)
    if isinstance(target, Refusal):
        return target
    methods = snapshot.routes.methods(target.segments)
    if not methods:
        return Refusal(Code.ROUTE_UNKNOWN)
    return Reply(204, snapshot.cors.preflight(request.headers, methods))


def authenticate(snapshot: Snapshot, request: Request, *, reads_token: bool = True) -> Caller | Refusal:
    """Stage 3: bearer to client, customer token to customer. A trusted client with a customer token is the customer."""
    authorization = wire_headers.values(request.headers, "authorization")
    caller: Caller | Refusal
    if not authorization:
        if snapshot.requires_bearer:
            return Refusal(Code.BEARER_MISSING)
        caller = Caller(CallerKind.PUBLIC)
    elif len(authorization) > 1:
        return Refusal(Code.BEARER_INVALID, "more than one Authorization line")
    else:
        caller = snapshot.bearers.verify(authorization[0], request.received_at)
        if isinstance(caller, Refusal):
            return caller
        if (caller.kind, caller.client_id) not in snapshot.clients:
            return Refusal(Code.BEARER_INVALID, "client is not configured any more")
    tokens = wire_headers.values(request.headers, wire_headers.CUSTOMER_TOKEN)
    if not tokens or not reads_token:
        return caller
    customer_id = snapshot.customers.verify(tokens, request.received_at)
    if isinstance(customer_id, Refusal):
        return customer_id
    return Caller(CallerKind.CUSTOMER, caller.client_id, customer_id)


def plan(snapshot: Snapshot, request: Request, admission: Admission, document: Json | None) -> Plan | Refusal:
    """Stage 4: narrow the request. Pure; `document` is the body where `scope.needs_document` asks for it."""
    return scope.make_plan(
        admission.route, admission.access, admission.whose, request, admission.target, document, snapshot.forwarded
    )


def standard_because(request: Request, admission: Admission, planned: Plan | None) -> str | None:
    """Say why a request without a body has to take the standard lane; None where it may take either. Pure.

    `planned` is its plan where there is one already: what that asks for is known only then.
    """
    route = admission.route
    if planned is not None and planned.parents:
        return "a record is looked up first"
    if route.endpoint is not None:
        return "the gateway answers it itself"
    if route.passwords not in {None, Passwords.SHOW}:
        return "passwords are kept"
    if request.method not in _EXPRESS_METHODS:
        return f"{request.method} is not for the express lane"
    if request.method == "HEAD" and not scope.is_buffered(route, admission.access):
        return "HEAD on an open route"
    return None


class Flow:
    """Carries requests. `keeper` is None where the upstream keeps the passwords itself."""

    def __init__(
        self,
        backend: Backend,
        parents: Parents,
        keeper: PasswordKeeper | None,
        endpoints: Mapping[Endpoint, Handler],
        emit: Emit,
    ) -> None:
        self._backend = backend
        self._parents = parents
        self._keeper = keeper
        self._endpoints = endpoints
        self._emit = emit
        self._closed: set[str] = set()

    async def handle(self, snapshot: Snapshot, request: Request, body: Body, trace: Trace) -> Reply | Refusal:
        """Take one request through all stages."""
        if is_preflight(request.method, request.headers):
            return preflight(snapshot, request)
        admission = admit(snapshot, request, trace)
        if isinstance(admission, Refusal):
            return admission
        route = admission.route
        if route.endpoint is not None:
            return await self._endpoints[route.endpoint](snapshot, request, body, trace)
        if route.name in self._closed:
            return Refusal(Code.ROUTE_CLOSED)
        if body.expected and (refusal := check_body(request, route, admission.access)) is not None:
            return refusal

        planned = await self._plan(snapshot, request, body, admission, trace)
        if isinstance(planned, Refusal):
            return self._refused(planned, route, trace)
        if not scope.is_buffered(route, admission.access):
            return await self._relay(snapshot, request, body, planned, route, trace)

        async def exchange(planned: Plan) -> Checked | Refusal:
            return await self._exchange(snapshot, body, planned, admission, trace)

        checked = await self._kept(route.passwords, planned, admission.whose, exchange, trace)
        return self._judged(checked, route, trace)

    def decide(self, snapshot: Snapshot, request: Request, trace: Trace) -> Ready | Reply | Refusal | None:
        """Take a request without a body through stages 1-5 at once; None where a decision has to wait.

        Nothing was done for a request that gets None: the standard lane begins anew with it.
        """
        if is_preflight(request.method, request.headers):
            return preflight(snapshot, request)
        admission = admit(snapshot, request, trace)
        if isinstance(admission, Refusal):
            return admission
        if standard_because(request, admission, None) is not None:
            return None
        route = admission.route
        if route.name in self._closed:
            return Refusal(Code.ROUTE_CLOSED)
        planned = plan(snapshot, request, admission, None)
        if isinstance(planned, Refusal):
            return self._refused(planned, route, trace)
        if standard_because(request, admission, planned) is not None:
            return None
        credential = self._backend.credential_in_hand()
        if credential is None:
            return None
        headers = (*planned.headers, *_OWN_HEADERS, ("x-request-id", request.id), credential)
        target = wire_target.serialise(planned.path, planned.query)
        return Ready(admission, planned, target, headers, scope.is_buffered(route, admission.access))

    def conclude(
        self, snapshot: Snapshot, ready: Ready, answer: guard.Received, trace: Trace
    ) -> Reply | Refusal | Later:
        """Stage 7 for a whole answer that `decide` led to.

        Where customers are shown the store says who has a password: then the reply comes later.
        """
        admission = ready.admission
        judged = guard.judge(admission.route, admission.access, ready.plan, admission.whose, answer, snapshot.links)
        if isinstance(judged, Checked) and self._keeper is not None and admission.route.passwords is Passwords.SHOW:
            showing = self._keeper.showing(judged.document, admission.whose)
            if showing is not None:
                return partial(self._shown, judged, showing, admission.route, trace)
        return self._judged(judged, admission.route, trace)

    async def _shown(
        self, checked: Checked, showing: Callable[[], Awaitable[Refusal | None]], route: Route, trace: Trace
    ) -> Reply | Refusal:
        return self._judged(await showing() or checked, route, trace)

    def reject_credential(self, ready: Ready) -> None:
        """Doubt the bearer that `decide` took, after a 401."""
        self._backend.reject_credential(ready.headers[-1])

    def _judged(self, checked: Checked | Refusal, route: Route, trace: Trace) -> Reply | Refusal:
        if isinstance(checked, Refusal):
            return self._refused(checked, route, trace)
        return Reply(checked.status, _SCOPED_HEADERS, b"" if checked.document is None else encode(checked.document))

    async def _plan(
        self, snapshot: Snapshot, request: Request, body: Body, admission: Admission, trace: Trace
    ) -> Plan | Refusal:
        """Stage 4 with its two waits: for the client's body before it, for the plan's parents after it."""
        # The body is read only now, when it is known who sends it and that the route wants it.
        document: Json | None = None
        # A request without a body has nothing to be read; whoever needs one there says so itself.
        if scope.needs_document(admission.route, admission.access) and (body.expected or admission.route.passwords):
            read = await read_document(request, body, admission.route.body_limit)
            if isinstance(read, Refusal):
                return read
            document = read
        planned = plan(snapshot, request, admission, document)
        if isinstance(planned, Refusal):
            return planned
        for parent in planned.parents:
            referred = await self._parents.check(parent, trace)
            if isinstance(referred, Refusal):
                return referred
            planned = replace(planned, referred=planned.referred | referred)
        return planned

    async def _kept(
        self, mode: Passwords | None, planned: Plan, whose: Whose, exchange: Exchange, trace: Trace
    ) -> Checked | Refusal:
        """Run an exchange with what its route has to do with passwords around it."""
        if mode is None or self._keeper is None:
            return await exchange(planned)
        if mode is Passwords.SHOW:
            checked = await exchange(planned)
        else:
            checked = await self._keeper.carry(mode, planned, whose, exchange, trace)
        if isinstance(checked, Checked) and (showing := self._keeper.showing(checked.document, whose)) is not None:
            return await showing() or checked
        return checked

    async def _exchange(
        self, snapshot: Snapshot, body: Body, planned: Plan, admission: Admission, trace: Trace
    ) -> Checked | Refusal:
        """Stages 5-7 for an answer that is read whole and judged."""
        route = admission.route
        answer = await self._send(planned, body, route, trace)
        if isinstance(answer, Refusal):
            return answer
        raw = await answer.read(route.answer_limit)
        if isinstance(raw, Refusal):
            return raw
        received = guard.Received(answer.status, answer.headers, raw)
        return guard.judge(route, admission.access, planned, admission.whose, received, snapshot.links)

    async def _relay(
        self, snapshot: Snapshot, request: Request, body: Body, planned: Plan, route: Route, trace: Trace
    ) -> Reply | Refusal:
        """Stages 5-7 for an open route: the answer is passed on as it arrives."""
        answer = await self._send(planned, body, route, trace, relayed=True)
        if isinstance(answer, Refusal):
            return answer
        head = relayed(snapshot, route, request.method, answer.status, answer.headers)
        if isinstance(head, Refusal):
            answer.abort()
            return head
        if head.is_error:
            raw = await answer.read(guard.ERROR_LIMIT)
            return raw if isinstance(raw, Refusal) else error_reply(guard.Received(answer.status, answer.headers, raw))
        chunks = answer.chunks()
        reply = Reply(answer.status, head.headers)
        if head.length is not None:
            reply = Reply(answer.status, (*head.headers, ("content-length", head.length)))
        if not head.has_body and request.method != "HEAD":
            # Whatever came is dropped, but must have come whole.
            dropped = await answer.read(guard.ERROR_LIMIT)
            return dropped if isinstance(dropped, Refusal) else reply
        if not head.has_body:
            async for _ in chunks:  # to its end, which is at once, so that the connection is used again
                pass
            return reply
        stream = snapshot.links.stream(chunks) if head.rewrites else chunks
        return await begun(reply, request.method, stream, chunks)

    async def _send(
        self, planned: Plan, body: Body, route: Route, trace: Trace, *, relayed: bool = False
    ) -> Answer | Refusal:
        outgoing: bytes | Callable[[], AsyncIterator[bytes]] | None = None
        headers = (*planned.headers, *_OWN_HEADERS, ("x-request-id", trace.request_id))
        if planned.document is not None:
            outgoing = encode(planned.document)
        elif body.expected and not body.consumed and planned.method not in _BODILESS:
            if route.stream_limit is not None and body.length is not None and body.length > route.stream_limit:
                return Refusal(Code.BODY_TOO_LARGE)
            if body.length is not None and body.length <= _SMALL_UPLOAD:
                outgoing = await body.read(_SMALL_UPLOAD)
            else:
                outgoing = partial(bounded, body, route.stream_limit)
        target = wire_target.serialise(planned.path, planned.query)
        call = Call(planned.method, target, headers, outgoing, body.length, relayed=relayed)
        return await self._backend.send(call, trace, untouched=lambda: not body.consumed)

    def _refused(self, refusal: Refusal, route: Route, trace: Trace) -> Refusal:
        if refusal.violation:
            self._emit(GuardViolated(trace.request_id, route.name, refusal.detail))
            if route.closes_on_violation and route.name not in self._closed:
                self._closed.add(route.name)
                self._emit(RouteClosed(route.name))
        return refusal


def relayed(snapshot: Snapshot, route: Route, method: str, status: int, headers: Headers) -> Relayed | Refusal:
    """Say how an answer on an open route is passed on. Pure."""
    refusal = guard.relayable(status, headers, method)
    if refusal is not None:
        return refusal
    is_error = status >= 400 and method != "HEAD"  # noqa: PLR2004 - HTTP's own number
    rewrites = (
        status != 206  # noqa: PLR2004 - a part of a body has no whole strings in it
        and wire_headers.is_json(wire_headers.first(headers, "content-type"))
        and wire_headers.first(headers, "content-encoding") is None
    )
    has_body = not guard.lacks_body(status, method)
    lines = wire_headers.for_client(headers, set_cookie=route.set_cookie)
    lines = tuple((name, snapshot.links.location(value) if name == "location" else value) for name, value in lines)
    length = wire_headers.first(headers, "content-length")
    if rewrites or not (has_body or method == "HEAD"):
        length = None
    return Relayed(lines, length, rewrites, has_body, is_error)


def error_reply(answer: guard.Received) -> Reply | Refusal:
    """Return what leaves of an error on an open route."""
    judged = guard.relayed_error(answer)
    if isinstance(judged, Refusal):
        return judged
    headers = (("content-type", "application/json"), ("cache-control", "no-store"))
    return Reply(judged.status, headers, encode(judged.document))


def check_body(request: Request, route: Route, access: Access) -> Refusal | None:
    """Say whether a request may carry the body that its head announces."""
    wanted = scope.needs_document(route, access)
    if request.method in _BODILESS or (request.method == "DELETE" and not access.is_open and not wanted):
        return Refusal(Code.BODY_UNEXPECTED)
    # What is streamed goes on without this header, and would be read as something else.
    if not wanted and any(
        value.lower() != "identity" for value in wire_headers.values(request.headers, "content-encoding")
    ):
        return Refusal(Code.BODY_TYPE, "encoded body")
    return None


async def read_document(request: Request, body: Body, limit: int) -> Json | Refusal:
    """Read a request's body as one JSON object of at most `limit` bytes."""
    for name in ("content-type", "content-encoding"):
        if wire_headers.is_repeated(request.headers, name):
            return Refusal(Code.REQUEST_MALFORMED, f"more than one {name} line")
    if body.length is not None and body.length > limit:
        return Refusal(Code.BODY_TOO_LARGE, source="body")
    raw = await body.read(limit)
    if raw is None:
        return Refusal(Code.BODY_TOO_LARGE, source="body")
    content_type = wire_headers.first(request.headers, "content-type")
    return parse_request(raw, content_type, wire_headers.first(request.headers, "content-encoding"))
