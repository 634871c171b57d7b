"""What is decided of a request and its answer: the pure half of the flow. Nothing here waits, sends, or asks the clock.

Stages 1 to 4 before a request goes upstream, and how an answer on an open route is passed on; `flow` calls them in
their order. What has to be waited for is a value, too: a `Later` is only made here, never run.
"""

from collections.abc import Awaitable, Callable

from msgspec import Struct, field

from gateway.authn.bearer import BearerVerifier
from gateway.authn.customer import CustomerVerifier
from gateway.guard import core as guard
from gateway.routing import RouteTable
from gateway.scope import core as scope
from gateway.vocab.messages import (
    Answer,
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
from gateway.vocab.policy import Access, Endpoint, Route
from gateway.vocab.refusals import Code, Refusal
from gateway.wire import headers as wire_headers
from gateway.wire import target as wire_target
from gateway.wire.body import encode, parse_request
from gateway.wire.cors import Cors
from gateway.wire.lines import LineMemory
from gateway.wire.links import LinkRewriter

_BODILESS = frozenset({"GET", "HEAD"})


class Snapshot(Struct, frozen=True):
    """One compiled configuration. A request keeps the one it began with."""

    routes: RouteTable
    bearers: BearerVerifier
    customers: CustomerVerifier
    clients: frozenset[tuple[CallerKind, str]]
    requires_bearer: bool
    forwarded: frozenset[str]
    cors: Cors
    links: LinkRewriter
    public: Headers = ()
    lines: LineMemory = field(default_factory=LineMemory)


class Admission(Struct, frozen=True):
    """What stages 1-3 found out."""

    target: Target
    route: Route
    access: Access
    caller: Caller
    whose: Whose


class Ready(Struct, frozen=True):
    """A request that is decided: what to send, and by what its answer is judged.

    The last of `headers` is the server's credential. `uploads`: the client's body is still to come, and is passed on as
    it does. `is_repeat`: it was sent before, with a credential that was not accepted.
    """

    admission: Admission
    plan: Plan
    target: str
    headers: Headers
    buffered: bool
    body: bytes = b""
    uploads: bool = False
    is_repeat: bool = False


Later = Callable[[], Awaitable["Decided"]]
"""What has to be waited for before it is decided how a request goes on."""

Decided = Ready | Reply | Refusal | Later
"""How a request goes on: upstream, with a reply at once, or after something that takes time."""


class Relayed(Struct, frozen=True):
    """How an answer on an open route is passed on; `length` is that of its body, where it is known and stays."""

    headers: Headers
    length: str | None
    rewrites: bool
    has_body: bool
    is_error: bool


def when_read(body: Body, limit: int, go_on: Callable[[bytes], Decided]) -> Decided:
    """Go on with a request's whole body: at once where all of it has come, else later."""
    raw = body.taken(limit)
    if raw is not None:
        return raw if isinstance(raw, Refusal) else go_on(raw)

    async def later() -> Decided:
        read = await body.read(limit)
        return read if isinstance(read, Refusal) else go_on(read)

    return later


def with_document(request: Request, body: Body, limit: int, go_on: Callable[[Json], Decided]) -> Decided:
    """Go on with a request's body as one JSON object of at most `limit` bytes."""
    for name in ("content-type", "content-encoding"):
        if wire_headers.is_repeated(request.headers, name):
            return Refusal(Code.REQUEST_MALFORMED, f"more than one {name} line")
    if body.length is not None and body.length > limit:
        return Refusal(Code.BODY_TOO_LARGE, source="body")

    def parsed(raw: bytes) -> Decided:
        content_type = wire_headers.first(request.headers, "content-type")
        document = parse_request(raw, content_type, wire_headers.first(request.headers, "content-encoding"))
        return document if isinstance(document, Refusal) else go_on(document)

    return when_read(body, limit, parsed)


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
    # One value a name, as nearly always; then no line need be looked for twice (saves 1 us).
    named = dict(request.headers)
    is_plain = len(named) == len(request.headers)
    authorization = named.get("authorization")
    caller: Caller | Refusal
    if authorization is None:
        if snapshot.requires_bearer:
            return Refusal(Code.BEARER_MISSING)
        caller = Caller(CallerKind.PUBLIC)
    elif not is_plain and wire_headers.is_repeated(request.headers, "authorization"):
        return Refusal(Code.BEARER_INVALID, "more than one Authorization line")
    else:
        caller = snapshot.bearers.verify(authorization, request.received_at)
        if isinstance(caller, Refusal):
            return caller
        if (caller.kind, caller.client_id) not in snapshot.clients:
            return Refusal(Code.BEARER_INVALID, "client is not configured any more")
    token = named.get(wire_headers.CUSTOMER_TOKEN)
    if token is None or not reads_token:
        return caller
    tokens = (token,) if is_plain else wire_headers.values(request.headers, wire_headers.CUSTOMER_TOKEN)
    customer_id = snapshot.customers.verify(tokens, request.received_at)
    if isinstance(customer_id, Refusal):
        return customer_id
    return Caller(CallerKind.CUSTOMER, caller.client_id, customer_id)


def plan(snapshot: Snapshot, request: Request, admission: Admission, document: Json | None) -> Plan | Refusal:
    """Stage 4: narrow the request. Pure; `document` is the body where `scope.needs_document` asks for it."""
    route, access, whose, target = admission.route, admission.access, admission.whose, admission.target
    return scope.make_plan(route, access, whose, request, target, document, snapshot.forwarded, snapshot.public)


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


def error_reply(answer: Answer) -> Reply | Refusal:
    """Return what leaves of an error on an open route."""
    judged = guard.relayed_error(answer)
    if isinstance(judged, Refusal):
        return judged
    headers = (("content-type", "application/json"), ("cache-control", "no-store"))
    return Reply(judged.status, headers, encode(judged.document))


def empty(method: str) -> Reply | Refusal:
    """Return what becomes of an open answer whose body turned out empty: old SDKs stand that of a delete alone.

    Source: docs/upstream.md section 7.
    """
    return Reply(204) if method == "DELETE" else Refusal(Code.UPSTREAM_INVALID, "empty body")


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
