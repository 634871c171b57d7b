"""What is decided of a request and its answer: the pure half of the flow. Nothing here waits, sends, or asks the clock.

Stages 1 to 4 before a request goes upstream, and how an answer on an open route is passed on; `flow` calls them in
their order. What has to be waited for is a value, too: a `Later` is only made here, never run.
"""

from collections.abc import Awaitable, Callable

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.authn.bearer import BearerVerifier
from gateway.authn.customer import CustomerVerifier, is_nothing
from gateway.guard import core as guard
from gateway.guard import status as guard_status
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
from gateway.wire import etags
from gateway.wire import headers as wire_headers
from gateway.wire import target as wire_target
from gateway.wire.body import CODINGS, encode, inflate, parse_request
from gateway.wire.cors import Cors
from gateway.wire.lines import LineMemory
from gateway.wire.links import LinkRewriter
from gateway.wire.location import Places, Side
from gateway.wire.relaying import true_lines

_BODILESS = frozenset({"GET", "HEAD"})
# RFC 9110 section 15.4.5.
_OF_UNCHANGED = frozenset({"cache-control", "etag", "vary"})
_EVENTS = "text/event-stream"


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
    places: Places
    token_header: str = wire_headers.CUSTOMER_TOKEN
    authorities: frozenset[str] = frozenset()
    keeps_request_ids: bool = True
    lines: LineMemory = field(default_factory=LineMemory)


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


class Relayed(Struct, frozen=True):
    """How an answer on an open route is passed on; `length` is that of its body, where it is known and stays.

    `inflates`: it came compressed, though that was not asked for, and must be read whole to be rewritten.
    `is_endless`: it is a stream of events (WHATWG HTML, section 9.2), which may be silent for long.
    """

    headers: Headers
    length: str | None
    rewrites: bool
    has_body: bool
    is_error: bool
    inflates: bool = False
    is_endless: bool = False


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
    origin = _origin_form(snapshot, request)
    target = origin if isinstance(origin, Refusal) else wire_target.parse(origin)
    if isinstance(target, Refusal):
        return target
    match = snapshot.routes.match(request.method, target.segments)
    if isinstance(match, Refusal):
        return match
    trace.route = match.route.name
    if match.route.endpoint is not None and match.route.endpoint is not Endpoint.LOGIN:
        return wire_target.illegible(target) or Admission(
            target, match.route, Access(), Caller(CallerKind.PUBLIC), Whose(None)
        )
    # A login replaces the customer token, so a dead one must not stand in its way.
    reads_token = match.route.endpoint is not Endpoint.LOGIN
    caller = authenticate(snapshot, request, reads_token=reads_token, needs_token=not match.route.is_alike)
    if isinstance(caller, Refusal):
        return caller
    trace.ignored_token = caller.has_dead_token
    trace.caller = caller.kind
    trace.customer_id = caller.customer_id
    access = match.route.access.get(caller.kind)
    if access is None:
        return Refusal(Code.ACCESS_DENIED, f"{caller.kind} on {match.route.name}")
    sent: str | Refusal | None = None
    if not access.is_open or match.route.endpoint is not None:
        sent = wire_target.illegible(target)
    else:
        sent = snapshot.routes.as_sent(request.method, str(origin), target, match.route)
    if isinstance(sent, Refusal):
        return sent
    return Admission(target, match.route, access, caller, Whose(caller.customer_id, match.parameters), sent)


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


def authenticate(
    snapshot: Snapshot, request: Request, *, reads_token: bool = True, needs_token: bool = True
) -> Caller | Refusal:
    """Stage 3: bearer to client, customer token to customer. A trusted client with a customer token is the customer.

    Beside a public bearer a token that says "nobody" is none, and a dead one does no harm where none is needed: to
    leave it out would give as much. Beside a trusted one either stops the request: without it that client sees all.
    """
    # One value a name, as nearly always; then no line need be looked for twice (saves 1 us).
    named = dict(request.headers)
    is_plain = len(named) == len(request.headers)
    authorization = named.get("authorization")
    if snapshot.token_header == wire_headers.AUTHORIZATION:
        return _by_authorization(snapshot, request, reads_token=reads_token, needs_token=needs_token)
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
    token = named.get(snapshot.token_header)
    if token is None or not reads_token:
        return caller
    tokens = (token,) if is_plain else wire_headers.values(request.headers, snapshot.token_header)
    is_public = caller.kind is CallerKind.PUBLIC
    if is_public and is_nothing(tokens):
        return caller
    customer_id = snapshot.customers.verify(tokens, request.received_at)
    if isinstance(customer_id, Refusal):
        # Of two lines nobody can tell which one is meant.
        forgives = is_public and not needs_token and len(tokens) == 1
        return replace(caller, has_dead_token=True) if forgives else customer_id
    return Caller(CallerKind.CUSTOMER, caller.client_id, customer_id)


def _by_authorization(
    snapshot: Snapshot, request: Request, *, reads_token: bool, needs_token: bool
) -> Caller | Refusal:
    """Stage 3 where `Authorization` carries the customer token, or a client's bearer: their types tell them apart."""
    lines = wire_headers.values(request.headers, wire_headers.AUTHORIZATION)
    if len(lines) > 1:
        return Refusal(Code.BEARER_INVALID, "more than one Authorization line")
    authorization, at = "".join(lines), request.received_at
    scheme, _, rest = authorization.partition(" ")
    token = rest.strip() if scheme.rstrip(":").lower() == "bearer" else authorization.strip()
    if is_nothing((token,)):
        return Caller(CallerKind.PUBLIC)
    customer_id = snapshot.customers.verify((token,), at)
    if not isinstance(customer_id, Refusal):
        return Caller(CallerKind.CUSTOMER, None, customer_id) if reads_token else Caller(CallerKind.PUBLIC)
    caller = snapshot.bearers.verify(authorization, at)
    if not isinstance(caller, Refusal) and (caller.kind, caller.client_id) in snapshot.clients:
        return caller
    # Without it everybody is a public caller: where that is as much, or it is about to be replaced, it does no harm.
    if not reads_token or not needs_token:
        return Caller(CallerKind.PUBLIC, has_dead_token=reads_token)
    return customer_id


def plan(snapshot: Snapshot, request: Request, admission: Admission, document: Json | None) -> Plan | Refusal:
    """Stage 4: narrow the request. Pure; `document` is the body where `scope.needs_document` asks for it."""
    return scope.make_plan(
        admission.route, admission.access, admission.whose, request, admission.target, document, snapshot.forwarded
    )


def relayed(snapshot: Snapshot, ready: Ready, request: Request, status: int, headers: Headers) -> Relayed | Refusal:
    """Say how an answer on an open route is passed on. Pure.

    An error is read whole: of it leave its status and messages. HEAD is answered as GET would be, as far as a head
    tells.
    """
    refusal = guard.relayable(status, headers)
    if refusal is not None:
        return refusal
    method = request.method
    if status >= 400:  # noqa: PLR2004 - HTTP's own number
        return Relayed((), None, rewrites=False, has_body=method != "HEAD", is_error=True)
    # A part of a body has no whole strings in it; `without_range` asks for the whole instead.
    is_json = wire_headers.is_json(wire_headers.first(headers, "content-type"))
    rewrites = is_json and not wire_headers.is_part(status, headers)
    has_body = not guard.lacks_body(status, method)
    coding = wire_headers.content_coding(headers) if rewrites else None
    if coding is not None and coding not in CODINGS:
        return Refusal(Code.UPSTREAM_INVALID, "JSON in a content coding that cannot be read")
    passing = wire_headers.for_client(headers, set_cookie=ready.admission.route.set_cookie)
    lines = true_lines(passing, snapshot.links, status, ready.plan.conditions, rewrites=rewrites)
    if status in guard_status.REDIRECTS:
        place = _redirected(snapshot, ready, request, status, passing)
        if isinstance(place, Refusal):
            return place
        lines = tuple((name, place if name == "location" else value) for name, value in lines)
        if not is_json:
            # The page that comes with it is for people, and may name the upstream's own address.
            return Relayed(wire_headers.without_content(lines), "0", rewrites=False, has_body=False, is_error=False)
    length = wire_headers.first(headers, "content-length")
    if length == "0" and method == "HEAD" and isinstance(nothing := empty("GET", status, lines), Refusal):
        return nothing
    if rewrites or not (has_body or method == "HEAD"):
        length = None
    is_endless = has_body and wire_headers.media_type(wire_headers.first(headers, "content-type")) == _EVENTS
    inflates = coding is not None and has_body
    return Relayed(lines, length, rewrites, has_body, is_error=False, inflates=inflates, is_endless=is_endless)


def _redirected(snapshot: Snapshot, ready: Ready, request: Request, status: int, lines: Headers) -> str | Refusal:
    """Return where a redirect leads as a client may follow it; empty where it does not say.

    Browsers and SDKs repeat headers of their own, the customer token too, at the new origin on every redirect, and
    behind 307 and 308 the body as well: only to a listed origin may either go.
    """
    found = wire_headers.values(lines, "location")
    if len(found) > 1:
        return Refusal(Code.UPSTREAM_INVALID, "more than one Location")
    if not found:
        return ""
    place = snapshot.places.read(found[0], ready.target)
    carries = (
        status in {307, 308}
        or ready.admission.caller.kind is CallerKind.TRUSTED
        or any(wire_headers.values(request.headers, snapshot.token_header))
    )
    if place.side is Side.UNREADABLE or (place.side is Side.ELSEWHERE and carries):
        blame = Code.UPSTREAM_INVALID if request.method in _BODILESS else Code.WRITE_UNCONFIRMED
        return Refusal(blame, "a redirect leads where it may not")
    return place.link


def without_range(ready: Ready, status: int, headers: Headers) -> Later | Refusal | None:
    """Return how a request goes on whose answer is a part of JSON: its bytes are not those that clients get.

    The whole is asked for, which a server may always answer instead (RFC 9110 section 14.2). None for other answers.
    """
    if not wire_headers.is_part(status, headers):
        return None
    content_type = wire_headers.first(headers, "content-type")
    # The parts of several ranges say of themselves what they are, out of sight.
    if not wire_headers.is_json(content_type) and wire_headers.media_type(content_type) != "multipart/byteranges":
        return None
    kept = tuple(line for line in ready.headers if line[0] not in {"range", "if-range"})
    if len(kept) == len(ready.headers) or ready.plan.method not in _BODILESS:
        # A write is not repeated; Range means nothing to one.
        return Refusal(Code.UPSTREAM_INVALID, "a part that was not asked for")

    async def later() -> Decided:
        return replace(ready, headers=kept)

    return later


def inflated(snapshot: Snapshot, head: Relayed, answer: Answer, limit: int) -> Reply | Refusal:
    """Return an open answer that came compressed, in plain and rewritten; at most `limit` bytes of it."""
    plain = inflate(answer.body, wire_headers.content_coding(answer.headers), limit)
    if isinstance(plain, Refusal):
        return plain
    return Reply(answer.status, head.headers, snapshot.links.rewrite(plain))


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


def error_reply(answer: Answer) -> Reply | Refusal:
    """Return what leaves of an error on an open route."""
    judged = guard_status.relayed_error(answer)
    if isinstance(judged, Refusal):
        return judged
    headers = (("content-type", "application/json"), ("cache-control", "no-store"), *judged.headers)
    return Reply(judged.status, headers, encode(judged.document))


def empty(method: str, status: int, lines: Headers) -> Reply | Refusal:
    """Return what becomes of an open answer whose body turned out empty: what was done was done.

    Old SDKs stand an empty body behind a 204 only, so that a write gets a document that says nothing, and where JSON
    was asked for none is no answer. Source: docs/upstream.md section 7.
    """
    if status in guard_status.REDIRECTS:
        return Reply(status, wire_headers.without_content(lines))
    if method == "DELETE":
        return Reply(204)
    kind = wire_headers.first(lines, "content-type")
    if method not in _BODILESS:
        lines = (*wire_headers.without_content(lines), ("content-type", "application/json"))
        return Reply(status, lines, encode({"data": None}))
    if kind is None or wire_headers.is_json(kind):
        return Refusal(Code.UPSTREAM_INVALID, "empty body")
    return Reply(status, lines)


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
