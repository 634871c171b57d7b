"""What is decided of a request: the pure half of the flow. Nothing here waits, sends, or asks the clock.

Stages 1 to 4 before a request goes upstream; `flow` calls them in their order. What has to be waited for is a value,
too: a `Later` is only made here, never run.
"""

from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.authentication import Callers, authenticate
from gateway.authn.revocations import NOBODY, Revocations
from gateway.routing import RouteTable
from gateway.scope import core as scope
from gateway.vocab.messages import (
    READS,
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
from gateway.vocab.policy import Access, Endpoint, IdempotencyKey, Route
from gateway.vocab.refusals import Code, Refusal
from gateway.wire import etags, idempotency
from gateway.wire import headers as wire_headers
from gateway.wire import target as wire_target
from gateway.wire.api import Api
from gateway.wire.body import UNENCODED, parse_request
from gateway.wire.cors import Cors
from gateway.wire.lines import LineMemory

# What is answered without knowing who asks.
_UNASKED = frozenset({Endpoint.BEARER, Endpoint.JWKS})
# What is asked for by those who have no token yet.
_WITHOUT_TOKEN = frozenset({Endpoint.LOGIN, Endpoint.PASSWORDS})
# RFC 9110 section 15.4.5.
_OF_UNCHANGED = frozenset({"cache-control", "etag", "vary"})


class Snapshot(Struct, frozen=True):
    """One compiled configuration. A request keeps the one it began with."""

    routes: RouteTable
    callers: Callers
    apis: Mapping[str, Api]
    cors: Cors
    public: Headers = ()
    authorities: frozenset[str] = frozenset()
    keeps_request_ids: bool = True
    pseudonym: str = wire_headers.GATEWAY
    lines: LineMemory = field(default_factory=LineMemory)

    def api(self, route: Route) -> Api:
        """Return the upstream of a route."""
        return self.apis[route.upstream]


class Admission(Struct, frozen=True):
    """What stages 1-3 found out. `sent` is the target as the client wrote it, where it may leave so."""

    target: Target
    route: Route
    access: Access
    caller: Caller
    whose: Whose
    sent: str | None = None


class Ready(Struct, frozen=True):
    """A request that is decided: what to send, and by what its answer is judged.

    `uploads`: the client's body is still to come, and is passed on as it does. `lent` are those of `headers` that are
    our credential. `is_repeat`: it was sent before, with a credential that was not accepted.
    """

    admission: Admission
    plan: Plan
    target: str
    headers: Headers
    buffered: bool
    body: bytes = b""
    uploads: bool = False
    lent: Headers = ()
    is_repeat: bool = False


Later = Callable[[], Awaitable["Decided"]]
"""What has to be waited for before it is decided how a request goes on."""

Decided = Ready | Reply | Refusal | Later
"""How a request goes on: upstream, with a reply at once, or after something that takes time."""


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


def admit(snapshot: Snapshot, request: Request, trace: Trace, revocations: Revocations = NOBODY) -> Admission | Refusal:
    """Stages 1-3: say which route a request takes and for whom, or no. Pure."""
    if wire_headers.came_through(request.headers, snapshot.pseudonym):
        return Refusal(Code.FORWARDING_LOOP, "our own Via")
    origin = _origin_form(snapshot, request)
    target = origin if isinstance(origin, Refusal) else wire_target.parse(origin)
    if isinstance(target, Refusal):
        return target
    match = snapshot.routes.match(request.method, target.segments)
    if target.has_slash and (isinstance(match, Refusal) or not match.route.form.has_slash):
        return Refusal(Code.TARGET_AMBIGUOUS, "a slash at the end")
    if isinstance(match, Refusal):
        return match
    trace.route, trace.upstream = match.route.name, match.route.upstream
    if match.route.endpoint in _UNASKED:
        return wire_target.illegible(target) or Admission(
            target, match.route, Access(), Caller(CallerKind.PUBLIC), Whose(None)
        )
    # A login replaces the customer token, so a dead one must not stand in its way; nor in that of a new password.
    reads_token = match.route.endpoint not in _WITHOUT_TOKEN
    needs_token = not match.route.is_alike
    caller = authenticate(snapshot.callers, request, revocations, reads_token=reads_token, needs_token=needs_token)
    if isinstance(caller, Refusal):
        return caller
    trace.ignored_token = caller.has_dead_token
    trace.caller = caller.kind
    trace.customer_id = caller.customer_id
    access = match.route.access.get(caller.kind)
    if access is None:
        return Refusal(Code.ACCESS_DENIED, f"{caller.kind} on {match.route.name}")
    sent: str | Refusal | None = None
    if not access.is_open or match.route.endpoint is not None or match.route.is_respelled:
        sent = wire_target.illegible(target)
    else:
        sent = snapshot.routes.as_sent(request.method, str(origin), target, match.route)
    if isinstance(sent, Refusal):
        return sent
    whose = Whose(caller.customer_id, match.parameters, caller.version)
    return Admission(target, match.route, access, caller, whose, sent)


def _origin_form(snapshot: Snapshot, request: Request) -> str | Refusal:
    """Return a request's target in origin form."""
    if request.target.startswith("/"):
        return request.target
    # Where no name of ours is configured, whoever is asked in the Host line is: the absolute form must say the same
    # (RFC 9112 section 3.2.2). Nothing else is decided by it.
    scheme, hosts = request.target.partition(":")[0], wire_headers.values(request.headers, "host")
    return wire_target.origin_form(
        request.target, snapshot.authorities or [wire_target.authority(scheme, host) for host in hosts[:1]]
    )


def preflight(snapshot: Snapshot, request: Request) -> Reply:
    """Answer a browser's question before its request, for any path; nobody is asked for it upstream.

    Fetch standard, section 4.8: without a 2xx, or the method in it, a page never learns why its request fails. What is
    wrong with path or method the request itself is told.
    """
    return Reply(204, snapshot.cors.preflight(request.headers))


def plan(snapshot: Snapshot, request: Request, admission: Admission, document: Json | None) -> Plan | Refusal:
    """Stage 4: narrow the request. Pure; `document` is the body where `scope.needs_document` asks for it."""
    asked = (admission.route, admission.access, admission.whose, request, admission.target, document)
    planned = scope.make_plan(*asked, snapshot.api(admission.route).forwarded, snapshot.public, snapshot.pseudonym)
    keys = admission.route.idempotency_key
    if isinstance(planned, Refusal) or keys is IdempotencyKey.OFF or planned.method in READS:
        return planned
    is_required = keys is IdempotencyKey.REQUIRED
    key = idempotency.passing(
        request.headers, admission.caller, request.method, admission.target, is_required=is_required
    )
    if isinstance(key, Refusal):
        return key
    return replace(planned, key=key) if key else planned


def tagged(reply: Reply, conditions: Headers) -> Reply | Refusal:
    """Return a list with a tag made of its own bytes, or what the conditions of its request say about it.

    The upstream's own tag, and its date, may change with records that are not in the list.
    """
    tag = etags.made_of(reply.body)
    lines = (*reply.headers, ("etag", tag))
    match etags.holds(tag, conditions):
        case 304:
            return Reply(304, tuple(line for line in lines if line[0] in _OF_UNCHANGED))
        case 412:
            return Refusal(Code.CONDITION_FAILED, "the list is another one")
        case _:
            return Reply(reply.status, lines, reply.body)


def check_body(request: Request, route: Route, access: Access) -> Refusal | None:
    """Say whether a request may carry the body that its head announces."""
    wanted = scope.needs_document(route, access)
    if request.method in READS or (request.method == "DELETE" and not access.is_open and not wanted):
        return Refusal(Code.BODY_UNEXPECTED)
    coding = wire_headers.content_coding(request.headers)
    if wanted or coding is None:
        return None
    # Its header goes with it on open routes. Elsewhere it does not, and the body would be read as something else.
    passes = access.is_open and not wire_headers.ends_here(request.headers, "content-encoding")
    if passes and wire_headers.is_registered_coding(coding):
        return None
    return Refusal(Code.BODY_TYPE, "encoded body", accepts=UNENCODED)
