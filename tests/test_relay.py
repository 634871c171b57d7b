"""How answers on open routes are passed on."""

import json

import pytest

from gateway import relay
from gateway.decision import Admission, Ready
from gateway.relay import Relayed
from gateway.vocab.messages import (
    Answer,
    Caller,
    CallerKind,
    Headers,
    Plan,
    Reply,
    Target,
    Whose,
)
from gateway.vocab.policy import Route
from gateway.vocab.refusals import Code, Refusal
from tests.snapshot import (
    EVERYBODY,
    JSON_LINE,
    OPEN,
    PRODUCT,
    SNAPSHOT,
    code,
    request,
)


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
    return relay.relayed(SNAPSHOT, ready, request(target, *sent, method=method), status, headers)


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
    tag = SNAPSHOT.apis["default"].links.tags.marked("a")
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
    reply = relay.error_reply(Answer(422, (JSON_LINE,), body))
    assert isinstance(reply, Reply)
    assert (reply.status, reply.headers) == (422, (JSON_LINE, ("cache-control", "no-store")))
    assert json.loads(reply.body)["errors"][0]["title"] == "No"
    assert b"inside" not in reply.body
    assert code(relay.error_reply(Answer(500, (JSON_LINE,), body))) is Code.UPSTREAM_FAILED


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_write_that_answers_nothing_is_a_success(method: str, status: int) -> None:
    """Its lines leave, and a document that says nothing, because old SDKs wait for one for ever."""
    lines: Headers = (("location", "/v2/x"), ("content-type", "text/plain"))
    reply = relay.empty(method, status, lines)
    assert reply == Reply(status, (("location", "/v2/x"), JSON_LINE), b'{"data":null}')


def test_an_answer_that_turned_out_empty() -> None:
    """A delete has no content, a redirect needs none, a file may have none; JSON that is nothing is no answer."""
    assert relay.empty("DELETE", 200, (JSON_LINE,)) == Reply(204)
    assert relay.empty("POST", 303, (("location", "/x"), JSON_LINE)) == Reply(303, (("location", "/x"),))
    picture: Headers = (("content-type", "image/png"),)
    assert relay.empty("GET", 200, picture) == Reply(200, picture)
    assert code(relay.empty("GET", 200, (JSON_LINE,))) is Code.UPSTREAM_INVALID
    assert code(relay.empty("GET", 200, ())) is Code.UPSTREAM_INVALID


def test_head_says_of_nothing_what_get_says() -> None:
    """As far as the head tells."""
    assert code(passed_on(200, JSON_LINE, ("content-length", "0"), method="HEAD")) is Code.UPSTREAM_INVALID
    for status in (204, 205, 304):
        # So some servers say it, although RFC 9110 section 8.6 does not let them.
        assert isinstance(passed_on(status, ("content-length", "0"), method="HEAD"), relay.Relayed)
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
