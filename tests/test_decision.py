"""The pure half of a request's way: who may go on, what becomes of bodies, and how open answers are passed on."""

import inspect
import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from gateway import decision
from gateway.authn.bearer import BearerVerifier
from gateway.authn.customer import CustomerVerifier
from gateway.authn.key import Algorithm, generate, load_key
from gateway.authn.keyring import KeyRing
from gateway.decision import Admission, Decided, Ready, Relayed, Snapshot
from gateway.guard.rules.owner import Owner
from gateway.routing import RouteTable
from gateway.scope.rules.body_fields import BodyFields
from gateway.scope.rules.filter import Filter
from gateway.vocab.messages import (
    Answer,
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
from gateway.vocab.policy import Access, Endpoint, Passwords, Route
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.cors import Cors
from gateway.wire.links import LinkRewriter
from gateway.wire.location import Places
from gateway.wiring import now

# PyJWT has a clock of its own.
NOW = now()
DAY = 86400.0
OPEN = Access()
SCOPED = Access((Filter(field="customer_id"),), (Owner(pointer="/customer_id"),))
STAMPED = Access((BodyFields(allow=("type", "name")),), (Owner(pointer="/id"),))
EVERYBODY = dict.fromkeys(CallerKind, OPEN)
ORDERS = Route(
    "orders",
    "/v2/orders",
    frozenset({"GET"}),
    {CallerKind.CUSTOMER: SCOPED, CallerKind.TRUSTED: OPEN},
    query=frozenset({"filter"}),
)
PRODUCT = Route("product", "/v2/products/{id}", frozenset({"GET", "PUT", "DELETE"}), EVERYBODY)
LOGIN = Route("login", "/v2/tokens", frozenset({"POST"}), EVERYBODY, endpoint=Endpoint.LOGIN)
BEARER = Route("bearer", "/oauth/access_token", frozenset({"POST"}), EVERYBODY, endpoint=Endpoint.BEARER)
CART = Route("cart", "/v2/carts/{ref}", frozenset({"GET"}), EVERYBODY, is_alike=True)
NOBODY = ("x-moltin-customer-token", "")
RING = KeyRing([load_key(generate(Algorithm.EDDSA))])
PUBLIC = (("x-forwarded-proto", "https"), ("x-forwarded-host", "gw.example"))
SNAPSHOT = Snapshot(
    routes=RouteTable([ORDERS, PRODUCT, CART, LOGIN, BEARER]),
    bearers=BearerVerifier(RING, "us", "shop", DAY),
    customers=CustomerVerifier(RING, "us", "shop", DAY, re.compile(r"c\d+")),
    clients=frozenset({(CallerKind.PUBLIC, "front"), (CallerKind.TRUSTED, "back")}),
    requires_bearer=True,
    forwarded=frozenset({"accept"}),
    cors=Cors(frozenset({"https://app.example"})),
    links=LinkRewriter(("http://up.example",), "https://gw.example"),
    places=Places("http://up.example", (), "https://gw.example", ("https://sso.example",)),
    public=PUBLIC,
)
JSON_LINE = ("content-type", "application/json")


def bearer(kind: CallerKind = CallerKind.PUBLIC, client: str = "front") -> tuple[str, str]:
    """Return the line of a bearer."""
    return "authorization", f"Bearer {SNAPSHOT.bearers.mint(kind, client, NOW, DAY)[0]}"


def token(customer: str = "c1", life: float = DAY) -> tuple[str, str]:
    """Return the line of a customer token."""
    return "x-moltin-customer-token", SNAPSHOT.customers.mint(customer, NOW - DAY + life, DAY)[0]


TRUSTED = bearer(CallerKind.TRUSTED, "back")


def request(target: str, *headers: tuple[str, str], method: str = "GET") -> Request:
    """Make a request."""
    return Request("r-1", method, target, headers, "192.0.2.1", NOW)


def admitted(target: str, *headers: tuple[str, str], method: str = "GET") -> Admission:
    """Return the admission of a request that must go on."""
    admission = decision.admit(SNAPSHOT, request(target, *headers, method=method), Trace())
    assert isinstance(admission, Admission), admission
    return admission


def code(outcome: object) -> Code:
    """Return the code of what must be refused."""
    assert isinstance(outcome, Refusal), outcome
    return outcome.code


# --- Who may go on ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "caller"),
    [
        ((bearer(),), Caller(CallerKind.PUBLIC, "front")),
        ((TRUSTED,), Caller(CallerKind.TRUSTED, "back")),
        ((bearer(), token()), Caller(CallerKind.CUSTOMER, "front", "c1")),
        ((TRUSTED, token("c2")), Caller(CallerKind.CUSTOMER, "back", "c2", is_by_trusted=True)),
    ],
)
def test_who_asks(headers: Headers, caller: Caller) -> None:
    """The bearer tells the client; a customer token makes a customer of any, a trusted one included."""
    assert decision.authenticate(SNAPSHOT, request("/", *headers)) == caller


@pytest.mark.parametrize("nothing", ["", "undefined", "null"])
def test_a_token_that_says_nobody(nothing: str) -> None:
    """What an app sends while nobody is logged in is no token, beside a public bearer or where none is required."""
    line = ("x-moltin-customer-token", nothing)
    assert decision.authenticate(SNAPSHOT, request("/", bearer(), line)) == Caller(CallerKind.PUBLIC, "front")
    relaxed = replace(SNAPSHOT, requires_bearer=False)
    assert decision.authenticate(relaxed, request("/", line)) == Caller(CallerKind.PUBLIC)


@pytest.mark.parametrize("dead", ["x", "a.b.c", token(life=-60)[1], f"{token()[1]}x"], ids=["x", "abc", "over", "torn"])
def test_a_dead_token_where_none_is_needed(dead: str) -> None:
    """It goes on as the public's, and that is noted; never beside a trusted bearer, and never one of two."""
    line = ("x-moltin-customer-token", dead)
    found = decision.authenticate(SNAPSHOT, request("/", bearer(), line), needs_token=False)
    assert found == Caller(CallerKind.PUBLIC, "front", has_dead_token=True)
    for headers in ((TRUSTED, line), (bearer(), line, line), (bearer(), line, NOBODY)):
        refused = decision.authenticate(SNAPSHOT, request("/", *headers), needs_token=False)
        assert code(refused) is Code.CUSTOMER_TOKEN_INVALID
    trace = Trace()
    decision.admit(SNAPSHOT, request("/v2/carts/c", bearer(), line), trace)
    assert (trace.caller, trace.ignored_token) == ("public", True)
    assert code(decision.admit(SNAPSHOT, request("/v2/orders", bearer(), line), Trace())) is Code.CUSTOMER_TOKEN_INVALID


def test_without_a_bearer() -> None:
    """It is missing, unless none is required: then anybody is the public, and may still be a customer."""
    assert code(decision.authenticate(SNAPSHOT, request("/"))) is Code.BEARER_MISSING
    assert code(decision.authenticate(SNAPSHOT, request("/", token()))) is Code.BEARER_MISSING
    relaxed = replace(SNAPSHOT, requires_bearer=False)
    assert decision.authenticate(relaxed, request("/")) == Caller(CallerKind.PUBLIC)
    assert decision.authenticate(relaxed, request("/", token())) == Caller(CallerKind.CUSTOMER, None, "c1")
    assert code(decision.authenticate(relaxed, request("/", ("authorization", "")))) is Code.BEARER_INVALID


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        pytest.param((("authorization", "Bearer x"),), Code.BEARER_INVALID, id="none of ours"),
        pytest.param((bearer(), bearer()), Code.BEARER_INVALID, id="two bearers"),
        pytest.param((bearer(client="gone"),), Code.BEARER_INVALID, id="a client that is not there any more"),
        pytest.param((bearer(CallerKind.TRUSTED, "front"),), Code.BEARER_INVALID, id="a client of the other kind"),
        pytest.param((("authorization", token()[1]),), Code.BEARER_INVALID, id="a customer token as a bearer"),
        pytest.param((bearer(), ("x-moltin-customer-token", "x")), Code.CUSTOMER_TOKEN_INVALID, id="no token"),
        pytest.param((bearer(), ("x-moltin-customer-token", "NULL")), Code.CUSTOMER_TOKEN_INVALID, id="no such word"),
        pytest.param((bearer(), NOBODY, NOBODY), Code.CUSTOMER_TOKEN_INVALID, id="nothing twice"),
        pytest.param((bearer(), NOBODY, token()), Code.CUSTOMER_TOKEN_INVALID, id="nothing and a token"),
        pytest.param((TRUSTED, NOBODY), Code.CUSTOMER_TOKEN_INVALID, id="trusted, an empty token"),
        pytest.param(
            (TRUSTED, ("x-moltin-customer-token", "undefined")), Code.CUSTOMER_TOKEN_INVALID, id="trusted, no"
        ),
        pytest.param((TRUSTED, ("x-moltin-customer-token", "null")), Code.CUSTOMER_TOKEN_INVALID, id="trusted, null"),
        pytest.param((bearer(), token(), token()), Code.CUSTOMER_TOKEN_INVALID, id="two tokens"),
        pytest.param((TRUSTED, token(life=-60)), Code.CUSTOMER_TOKEN_INVALID, id="a token that is over"),
        pytest.param((TRUSTED, ("x-moltin-customer-token", "x")), Code.CUSTOMER_TOKEN_INVALID, id="trusted, no token"),
    ],
)
def test_who_does_not_prove_it(headers: Headers, refused: Code) -> None:
    """No state of a customer token makes its bearer more than it is without: a bad one stops the request."""
    assert code(decision.authenticate(SNAPSHOT, request("/", *headers))) is refused


@pytest.mark.parametrize(
    ("method", "target", "headers", "refused"),
    [
        ("GET", "/v2//orders", (), Code.TARGET_AMBIGUOUS),
        ("GET", "/v2/%2e%2e/orders", (), Code.TARGET_AMBIGUOUS),
        ("GET", "", (), Code.TARGET_INVALID),
        ("GET", "/v2/nothing", (), Code.ROUTE_UNKNOWN),
        ("POST", "/v2/orders", (), Code.METHOD_NOT_ALLOWED),
        ("GET", "/v2/orders", (), Code.BEARER_MISSING),
        ("GET", "/v2/orders", (bearer(),), Code.ACCESS_DENIED),
        ("GET", "/v2/orders", (TRUSTED, token(life=-60)), Code.CUSTOMER_TOKEN_INVALID),
        ("POST", "/v2/tokens", (), Code.BEARER_MISSING),
    ],
)
def test_the_first_stage_that_says_no(method: str, target: str, headers: Headers, refused: Code) -> None:
    """In their order: target, route, method, caller, access."""
    outcome = decision.admit(SNAPSHOT, request(target, *headers, method=method), Trace())
    assert code(outcome) is refused


def test_who_goes_on() -> None:
    """With the route, the access of this caller, whose it is, and the parameters of the path."""
    admission = admitted("/v2/orders?filter=eq(a,b)", bearer(), token())
    assert (admission.route, admission.access) == (ORDERS, SCOPED)
    assert admission.target.query == (("filter", "eq(a,b)"),)
    assert admission.whose == Whose("c1")
    assert admitted("/v2/orders", TRUSTED).access == OPEN
    assert admitted("/v2/products/p%31", bearer()).whose == Whose(None, {"id": "p1"})


def test_what_is_noted_on_the_way() -> None:
    """The route as soon as it is known, and the caller, whatever is decided of him."""
    for headers, noted in (
        ((), ("orders", "-", None)),
        ((bearer(),), ("orders", "public", None)),
        ((bearer(), token()), ("orders", "customer", "c1")),
    ):
        trace = Trace()
        decision.admit(SNAPSHOT, request("/v2/orders", *headers), trace)
        assert (trace.route, trace.caller, trace.customer_id) == noted


def test_paths_of_our_own() -> None:
    """A bearer is issued to whoever has none; a login needs one, and replaces a customer token, dead or not."""
    assert admitted("/oauth/access_token", method="POST").caller == Caller(CallerKind.PUBLIC)
    dead = ("x-moltin-customer-token", "dead")
    assert admitted("/v2/tokens", bearer(), dead, method="POST").caller == Caller(CallerKind.PUBLIC, "front")


def test_a_preflight() -> None:
    """It is answered alike for every path: what is wrong with it, the request itself is told, and the page can read."""
    origin = ("origin", "https://app.example")
    for target in ("/v2/products/p1", "/v2/x", "/v2//x", "*"):
        reply = decision.preflight(SNAPSHOT, request(target, origin, method="OPTIONS"))
        assert (reply.status, reply.body) == (204, b"")
        methods = dict(reply.headers)["access-control-allow-methods"]
        assert {"GET", "PUT", "DELETE"} <= set(methods.split(", "))


def test_a_plan_is_narrowed() -> None:
    """What goes upstream is the customer's, of the header lines those that are listed, and no token."""
    asked = request("/v2/orders?filter=eq(a,b)", bearer(), token(), ("accept", "*/*"), ("cookie", "a=b"))
    planned = decision.plan(SNAPSHOT, asked, admitted(asked.target, bearer(), token()), None)
    assert not isinstance(planned, Refusal)
    assert (planned.method, planned.path) == ("GET", "/v2/orders")
    assert planned.query == (("filter", "eq(customer_id,c1):eq(a,b)"),)
    assert planned.headers == (
        ("accept", "*/*"),
        ("x-forwarded-for", "192.0.2.1"),
        *PUBLIC,
        ("via", "1.1 customer-token-gateway"),
    )
    refused = request("/v2/orders?filter=eq(customer_id,c2)", bearer(), token())
    admission = admitted(refused.target, bearer(), token())
    assert code(decision.plan(SNAPSHOT, refused, admission, None)) is Code.FILTER_FIELD_RESERVED


# --- Bodies -----------------------------------------------------------------------------------------------------------


@dataclass
class Given:
    """A body: what of it has come, what comes later, and what was asked of it."""

    now: bytes | Refusal | None = None
    later: bytes | Refusal = b""
    length: int | None = None
    expected: bool = True
    consumed: bool = False
    limit: int = -1
    is_awaited: bool = False

    def taken(self, limit: int) -> bytes | Refusal | None:
        """Give what has come."""
        self.limit = limit
        return self.now

    async def read(self, limit: int) -> bytes | Refusal:
        """Give what comes later."""
        self.limit = limit
        self.is_awaited = True
        return self.later

    async def piece(self, within: float = 0.0) -> bytes | Refusal:
        """Give nothing: pieces are for uploads."""
        del within
        return b""


async def settled(decided: Decided) -> Decided:
    """Return what is decided in the end."""
    while callable(decided):
        decided = await decided()
    return decided


def ended(value: Any) -> Reply:
    """Decide with what was read."""
    return Reply(200, (), value if isinstance(value, bytes) else json.dumps(value).encode())


def test_a_body_that_has_come_needs_no_wait() -> None:
    """It is gone on with at once, and a refusal of it is one at once."""
    body = Given(b"abc")
    assert decision.when_read(body, 10, ended) == Reply(200, (), b"abc")
    assert (body.limit, body.is_awaited) == (10, False)
    assert decision.when_read(Given(b""), 10, ended) == Reply(200)
    assert code(decision.when_read(Given(Refusal(Code.BODY_TOO_LARGE)), 10, ended)) is Code.BODY_TOO_LARGE


async def test_a_body_that_has_not_come_is_waited_for() -> None:
    """Nothing is read before somebody runs what is to be waited for."""
    body = Given(later=b"abc")
    decided = decision.when_read(body, 10, ended)
    assert callable(decided)
    assert not body.is_awaited
    assert await settled(decided) == Reply(200, (), b"abc")
    late = decision.when_read(Given(later=Refusal(Code.BODY_TIMEOUT)), 10, ended)
    assert code(await settled(late)) is Code.BODY_TIMEOUT


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize(
    ("headers", "raw", "expected"),
    [
        pytest.param((JSON_LINE,), b'{"a":1}', {"a": 1}, id="an object"),
        pytest.param((JSON_LINE, ("content-encoding", "identity")), b"{}", {}, id="identity"),
        pytest.param((), b"{}", Code.BODY_TYPE, id="no type"),
        pytest.param((("content-type", "text/plain"),), b"{}", Code.BODY_TYPE, id="another type"),
        pytest.param((JSON_LINE, ("content-encoding", "gzip")), b"{}", Code.BODY_TYPE, id="compressed"),
        pytest.param((JSON_LINE,), b'{"a":1,"a":2}', Code.BODY_MALFORMED, id="a key twice"),
        pytest.param((JSON_LINE,), b"", Code.BODY_MALFORMED, id="nothing"),
        pytest.param((JSON_LINE,), b"[]", Code.BODY_MALFORMED, id="no object"),
    ],
)
async def test_a_document(headers: Headers, raw: bytes, expected: Json | Code, *, is_there: bool) -> None:
    """It is one JSON object, whether it has come or is waited for."""
    body = Given(raw) if is_there else Given(later=raw)
    decided = decision.with_document(request("/", *headers, method="POST"), body, 100, ended)
    assert callable(decided) is not is_there
    outcome = await settled(decided)
    if isinstance(expected, Code):
        assert code(outcome) is expected
    else:
        assert isinstance(outcome, Reply)
        assert json.loads(outcome.body) == expected
    assert body.limit == 100


@pytest.mark.parametrize(
    ("headers", "length", "refused"),
    [
        pytest.param((JSON_LINE, JSON_LINE), 2, Code.REQUEST_MALFORMED, id="two types"),
        pytest.param(
            (JSON_LINE, ("content-encoding", "identity"), ("content-encoding", "gzip")),
            2,
            Code.REQUEST_MALFORMED,
            id="two encodings",
        ),
        pytest.param((JSON_LINE,), 101, Code.BODY_TOO_LARGE, id="too large by its own word"),
    ],
)
def test_a_document_that_is_not_read(headers: Headers, length: int, refused: Code) -> None:
    """What the head says of it is enough."""
    body = Given(b"{}", length=length)
    asked = request("/", *headers, method="POST")
    assert code(decision.with_document(asked, body, 100, ended)) is refused
    assert body.limit == -1


@pytest.mark.parametrize(
    ("method", "access", "passwords", "headers", "refused"),
    [
        ("GET", OPEN, None, (), Code.BODY_UNEXPECTED),
        ("HEAD", OPEN, None, (), Code.BODY_UNEXPECTED),
        ("DELETE", SCOPED, None, (), Code.BODY_UNEXPECTED),
        ("DELETE", STAMPED, None, (), None),
        ("DELETE", OPEN, None, (), None),
        ("POST", OPEN, None, (), None),
        ("POST", OPEN, None, (("content-encoding", "Identity"),), None),
        ("POST", OPEN, None, (("content-encoding", "gzip"),), None),
        ("POST", OPEN, None, (("content-encoding", "identity"), ("content-encoding", "gzip")), None),
        # Its header would end here, and the body would be read as something else.
        ("POST", OPEN, None, (("content-encoding", "gzip"), ("connection", "Content-Encoding")), Code.BODY_TYPE),
        ("PUT", SCOPED, None, (("content-encoding", "gzip"),), Code.BODY_TYPE),
        # Where it is read, whoever reads it says so.
        ("POST", STAMPED, None, (("content-encoding", "gzip"),), None),
        ("POST", OPEN, Passwords.REGISTER, (("content-encoding", "gzip"),), None),
    ],
)
def test_which_requests_may_carry_a_body(
    method: str, access: Access, passwords: Passwords | None, headers: Headers, refused: Code | None
) -> None:
    """None where it would mean nothing, and none in a coding that is not passed on."""
    route = Route("x", "/x", frozenset({method}), {}, passwords=passwords)
    outcome = decision.check_body(request("/x", *headers, method=method), route, access)
    assert (None if outcome is None else outcome.code) is refused


# --- Answers on open routes -------------------------------------------------------------------------------------------


def passed_on(
    status: int,
    *headers: tuple[str, str],
    method: str = "GET",
    route: Route = PRODUCT,
    caller: CallerKind = CallerKind.PUBLIC,
    sent: Headers = (),
) -> Relayed | Refusal:
    """Return how an answer is passed on."""
    target = "/v2/products/p1"
    admission = Admission(Target(target, ()), route, OPEN, Caller(caller), Whose(None))
    ready = Ready(admission, Plan(method, target), target, (), buffered=False)
    return decision.relayed(SNAPSHOT, ready, request(target, *sent, method=method), status, headers)


@pytest.mark.parametrize(
    ("method", "status", "headers", "expected"),
    [
        pytest.param("GET", 200, (JSON_LINE,), (None, True, True, False), id="JSON"),
        pytest.param(
            "GET", 200, (JSON_LINE, ("content-encoding", "gzip")), (None, True, True, False), id="compressed JSON"
        ),
        pytest.param("GET", 206, (JSON_LINE,), ("9", False, True, False), id="a part"),
        pytest.param("GET", 200, (("content-type", "image/png"),), ("9", False, True, False), id="a picture"),
        pytest.param("POST", 201, (), ("9", False, True, False), id="no type"),
        pytest.param("GET", 404, (JSON_LINE,), (None, False, True, True), id="an error"),
        pytest.param("GET", 404, (("content-type", "text/html"),), (None, False, True, True), id="an error page"),
        pytest.param("HEAD", 200, (JSON_LINE,), (None, True, False, False), id="HEAD of JSON"),
        pytest.param("HEAD", 200, (("content-type", "image/png"),), ("9", False, False, False), id="HEAD"),
        pytest.param("HEAD", 404, (), (None, False, False, True), id="HEAD of an error"),
        pytest.param("HEAD", 500, (), (None, False, False, True), id="HEAD of a failure"),
        pytest.param("GET", 302, (JSON_LINE,), (None, True, True, False), id="a redirect in JSON"),
        pytest.param("GET", 302, (("content-type", "text/html"),), ("0", False, False, False), id="a redirect's page"),
        pytest.param("HEAD", 302, (), ("0", False, False, False), id="HEAD of a redirect"),
        pytest.param("GET", 304, (), (None, False, False, False), id="not modified"),
        pytest.param("DELETE", 204, (), (None, False, False, False), id="no content"),
    ],
)
def test_how_an_answer_is_passed_on(
    method: str, status: int, headers: Headers, expected: tuple[str | None, bool, bool, bool]
) -> None:
    """Its length stays where nothing is rewritten, links in JSON are, and errors are read whole."""
    head = passed_on(status, *headers, ("content-length", "9"), method=method)
    assert isinstance(head, Relayed)
    assert (head.length, head.rewrites, head.has_body, head.is_error) == expected
    assert "content-length" not in dict(head.headers)


def test_which_lines_are_passed_on() -> None:
    """Those about the connection and the server stay; cookies pass where the route says so; locations are ours."""
    lines = (
        JSON_LINE,
        ("etag", "a"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("server", "x"),
        ("access-control-allow-origin", "*"),
        ("set-cookie", "a=b"),
        ("location", "http://up.example/v2/products/p1"),
    )
    tag = SNAPSHOT.links.tags.marked("a")
    kept: Headers = (JSON_LINE, ("etag", tag), ("location", "https://gw.example/v2/products/p1"))
    head = passed_on(201, *lines)
    assert isinstance(head, Relayed)
    assert head.headers == kept
    baked = Route("x", "/x", frozenset({"GET"}), EVERYBODY, set_cookie=True)
    head = passed_on(201, *lines, route=baked)
    assert isinstance(head, Relayed)
    assert sorted(head.headers) == sorted((*kept, ("set-cookie", "a=b")))


@pytest.mark.parametrize(
    ("status", "headers", "refused"),
    [
        (101, (), Code.UPSTREAM_INVALID),
        (99, (), Code.UPSTREAM_INVALID),
        (200, (JSON_LINE, JSON_LINE), Code.UPSTREAM_INVALID),
        (200, (("content-type", "text/html"),), Code.UPSTREAM_INVALID),
        (302, (("location", "/a"), ("location", "/b")), Code.UPSTREAM_INVALID),
    ],
)
def test_what_is_not_passed_on(status: int, headers: Headers, refused: Code) -> None:
    """What old SDKs cannot stand, and what is no answer."""
    assert code(passed_on(status, *headers)) is refused


def test_an_error_is_passed_on_in_our_words() -> None:
    """Its messages in the one envelope; above 499 it is the upstream's failure, and says nothing."""
    body = json.dumps({"errors": [{"title": "No", "detail": "why"}], "trace": "inside"}).encode()
    reply = decision.error_reply(Answer(422, (JSON_LINE,), body))
    assert isinstance(reply, Reply)
    assert (reply.status, reply.headers) == (422, (JSON_LINE, ("cache-control", "no-store")))
    assert json.loads(reply.body)["errors"][0]["title"] == "No"
    assert b"inside" not in reply.body
    assert code(decision.error_reply(Answer(500, (JSON_LINE,), body))) is Code.UPSTREAM_FAILED


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_write_that_answers_nothing_is_a_success(method: str, status: int) -> None:
    """Its lines leave, and a document that says nothing, because old SDKs wait for one for ever."""
    lines: Headers = (("location", "/v2/x"), ("content-type", "text/plain"))
    reply = decision.empty(method, status, lines)
    assert reply == Reply(status, (("location", "/v2/x"), JSON_LINE), b'{"data":null}')


def test_an_answer_that_turned_out_empty() -> None:
    """A delete has no content, a redirect needs none, a file may have none; JSON that is nothing is no answer."""
    assert decision.empty("DELETE", 200, (JSON_LINE,)) == Reply(204)
    assert decision.empty("POST", 303, (("location", "/x"), JSON_LINE)) == Reply(303, (("location", "/x"),))
    picture: Headers = (("content-type", "image/png"),)
    assert decision.empty("GET", 200, picture) == Reply(200, picture)
    assert code(decision.empty("GET", 200, (JSON_LINE,))) is Code.UPSTREAM_INVALID
    assert code(decision.empty("GET", 200, ())) is Code.UPSTREAM_INVALID


def test_head_says_of_nothing_what_get_says() -> None:
    """As far as the head tells."""
    assert code(passed_on(200, JSON_LINE, ("content-length", "0"), method="HEAD")) is Code.UPSTREAM_INVALID
    picture = passed_on(200, ("content-type", "image/png"), ("content-length", "0"), method="HEAD")
    assert isinstance(picture, Relayed)
    assert picture.length == "0"
    assert code(passed_on(200, ("content-type", "text/html"), method="HEAD")) is Code.UPSTREAM_INVALID


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_redirect_to_the_upstream_leads_to_us(status: int, method: str) -> None:
    """Whoever asks, and whatever the body beside it."""
    for kind in ((), (("content-type", "text/html"), ("content-encoding", "br"))):
        head = passed_on(
            status, ("location", "http://up.example/v2/x?a=1"), *kind, method=method, caller=CallerKind.TRUSTED
        )
        assert isinstance(head, Relayed)
        assert head.headers == (("location", "https://gw.example/v2/x?a=1"),)


@pytest.mark.parametrize(
    ("status", "caller", "sent", "passes"),
    [
        *[(status, CallerKind.PUBLIC, (), status <= 303) for status in (301, 302, 303, 307, 308)],
        (302, CallerKind.TRUSTED, (), False),
        (302, CallerKind.CUSTOMER, (("x-moltin-customer-token", "t"),), False),
        (302, CallerKind.PUBLIC, (("x-moltin-customer-token", "t"),), False),
        (302, CallerKind.PUBLIC, (("x-moltin-customer-token", ""),), True),
    ],
)
def test_a_redirect_elsewhere_takes_no_token_along(
    status: int, caller: CallerKind, sent: Headers, *, passes: bool
) -> None:
    """Browsers and SDKs repeat custom headers at the new origin, and behind 307 and 308 bodies too."""
    head = passed_on(status, ("location", "https://evil.example/x"), caller=caller, sent=sent)
    assert isinstance(head, Relayed) is passes, head
    listed = passed_on(status, ("location", "https://sso.example/x"), caller=caller, sent=sent)
    assert isinstance(listed, Relayed)
    assert listed.headers == (("location", "https://sso.example/x"),)


@pytest.mark.parametrize(
    "value", ["javascript:x", "/\\evil.example", "http:evil.example", "http://up.example@evil.example"]
)
def test_a_redirect_that_nobody_can_read_goes_nowhere(value: str) -> None:
    """What we read in one way a browser may read in another."""
    assert code(passed_on(302, ("location", value))) is Code.UPSTREAM_INVALID
    assert code(passed_on(302, ("location", value), method="POST")) is Code.WRITE_UNCONFIRMED


def test_nothing_here_waits() -> None:
    """What has to be waited for is a value: no function of the pure half is a coroutine."""
    functions = [value for _, value in inspect.getmembers(decision, inspect.isfunction)]
    assert functions
    assert not any(map(inspect.iscoroutinefunction, functions))
