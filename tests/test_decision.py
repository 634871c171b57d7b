"""The pure half of a request's way: who may go on, and what becomes of bodies."""

import inspect
import json
from dataclasses import dataclass
from typing import Any

import pytest

from gateway import decision, relay
from gateway.decision import Admission, Decided
from gateway.vocab.messages import (
    Caller,
    CallerKind,
    Headers,
    Json,
    Reply,
    Trace,
    Whose,
)
from gateway.vocab.policy import Access, Passwords, Route
from gateway.vocab.refusals import Code, Refusal
from tests.sessions import session
from tests.snapshot import (
    JSON_LINE,
    OPEN,
    ORDERS,
    PUBLIC,
    SCOPED,
    SNAPSHOT,
    STAMPED,
    TRUSTED,
    bearer,
    code,
    request,
    token,
)


def admitted(target: str, *headers: tuple[str, str], method: str = "GET") -> Admission:
    """Return the admission of a request that must go on."""
    admission = decision.admit(SNAPSHOT, request(target, *headers, method=method), Trace())
    assert isinstance(admission, Admission), admission
    return admission


# --- Who may go on ----------------------------------------------------------------------------------------------------


def test_a_dead_token_where_none_is_needed() -> None:
    """It goes on as the public's, and that is noted; where one is needed it stops the request."""
    line, trace = ("x-moltin-customer-token", "x"), Trace()
    decision.admit(SNAPSHOT, request("/v2/carts/c", bearer(), line), trace)
    assert (trace.caller, trace.ignored_token) == ("public", True)
    assert code(decision.admit(SNAPSHOT, request("/v2/orders", bearer(), line), Trace())) is Code.CUSTOMER_TOKEN_INVALID


@pytest.mark.parametrize(
    ("method", "target", "headers", "refused"),
    [
        ("GET", "/v2//orders", (), Code.TARGET_AMBIGUOUS),
        ("GET", "/v2/%2e%2e/orders", (), Code.TARGET_AMBIGUOUS),
        ("GET", "", (), Code.TARGET_INVALID),
        ("GET", "/v2/orders/", (), Code.TARGET_AMBIGUOUS),
        ("GET", "/v2/nothing/", (), Code.TARGET_AMBIGUOUS),
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
    assert admission.whose == Whose("c1", {}, session("c1").version)
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


def test_nothing_here_waits() -> None:
    """What has to be waited for is a value: no function of the pure half is a coroutine."""
    functions = [value for module in (decision, relay) for _, value in inspect.getmembers(module, inspect.isfunction)]
    assert functions
    assert not any(map(inspect.iscoroutinefunction, functions))
