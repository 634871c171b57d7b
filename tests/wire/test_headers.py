"""Which header lines pass, in both directions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.vocab.messages import Headers
from gateway.wire.headers import (
    CONDITIONAL,
    CUSTOMER_TOKEN,
    FORWARDED,
    OWN_FIELDS,
    first,
    for_client,
    for_upstream,
    is_json,
    is_repeated,
    media_type,
    of_refusal,
    retry_after,
    values,
    without_content,
)

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("authorization", id="D2.9: the client's own authorization"),
        pytest.param(CUSTOMER_TOKEN, id="the customer token"),
        pytest.param("x_moltin_customer_token", id="D2.1: the token's name with underscores"),
        pytest.param("x.moltin.customer.token", id="D2.1: the token's name with dots"),
        pytest.param("x_moltin-customer.token", id="D2.1: the token's name, mixed"),
        pytest.param("cookie", id="cookies"),
        pytest.param("host", id="D2.6: the host"),
        pytest.param("forwarded", id="D2.6: Forwarded"),
        pytest.param("x-forwarded-for", id="D2.6: X-Forwarded-For"),
        pytest.param("x-forwarded-uri", id="D1.7: X-Forwarded-Uri"),
        pytest.param("x-original-url", id="D1.7: X-Original-URL"),
        pytest.param("x-rewrite-url", id="D1.7: X-Rewrite-URL"),
        pytest.param("x-envoy-original-path", id="D1.8: a proxy's own header"),
        pytest.param("x-http-method-override", id="D.0: another method"),
        pytest.param("connection", id="Connection"),
        pytest.param("upgrade", id="D5.4: Upgrade"),
        pytest.param("http2-settings", id="D5.4: HTTP2-Settings"),
        pytest.param("te", id="TE"),
        pytest.param("transfer-encoding", id="Transfer-Encoding"),
        pytest.param("content-length", id="Content-Length, which the edge says itself"),
        pytest.param("content-encoding", id="a compressed body, which no rule could read"),
        pytest.param("accept-encoding", id="Accept-Encoding: the gateway asks for itself"),
        pytest.param("expect", id="Expect"),
        pytest.param("proxy-authorization", id="Proxy-Authorization"),
        pytest.param("x-moltin-auth-store", id="another store"),
        pytest.param("ep-internal-search-ast-v2", id="a parsed filter"),
        pytest.param("ep-account-management-authentication-token", id="another kind of identity"),
        pytest.param("x-request-id", id="the request's id, which is ours"),
        pytest.param("idempotency-key", id="a key that all customers would share behind one bearer"),
        pytest.param("x-anything", id="what nobody listed"),
    ],
)
def test_what_is_not_listed_does_not_go_upstream(name: str) -> None:
    """The upstream request is built from an allow-list."""
    assert for_upstream(((name, "x"),), FORWARDED | CONDITIONAL) == ()


@pytest.mark.parametrize("value", ["x", "1.1 edge (a comment)", "1.1", "", "1.1 edge,, 1.1 b", "a.b.c"])
def test_a_way_that_is_none_ends_here(value: str) -> None:
    """Via passes in its own form, without comments: nothing else can be said in it (RFC 9110 section 7.6.3)."""
    assert for_upstream((("via", value),), FORWARDED) == ()


@pytest.mark.parametrize("name", sorted(FORWARDED | CONDITIONAL))
def test_what_is_listed_goes_upstream(name: str) -> None:
    """Each listed line passes with its value."""
    line = (name, {"traceparent": TRACE, "via": "1.0 fred, 1.1 p.example:8080"}.get(name, "x"))
    assert for_upstream((line,), FORWARDED | CONDITIONAL) == (line,)


@pytest.mark.parametrize(
    "connection",
    [
        pytest.param("accept", id="D2.4: alone"),
        pytest.param("close, Accept", id="D2.4: in a list and in other case"),
        pytest.param(" x ,\taccept ", id="D2.4: with white space"),
    ],
)
def test_what_connection_names_does_not_pass(connection: str) -> None:
    """RFC 9110 section 7.6.1: such a field ends at this hop, in both directions."""
    headers: Headers = (("accept", "a"), ("connection", connection), ("user-agent", "u"))
    assert for_upstream(headers, FORWARDED) == (("user-agent", "u"),)
    assert for_client(headers) == (("user-agent", "u"),)


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        pytest.param(TRACE, True, id="a well-formed trace"),
        pytest.param(TRACE.upper(), False, id="upper case"),
        pytest.param(TRACE + "\n", False, id="a line end behind it"),
        pytest.param("x" + TRACE, False, id="text before it"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_only_a_well_formed_trace_is_passed_on(value: str, *, passes: bool) -> None:
    """W3C Trace Context section 3.2: a malformed traceparent is dropped."""
    assert bool(for_upstream((("traceparent", value),), FORWARDED)) is passes


def test_what_the_gateway_says_itself_is_never_listed() -> None:
    """No setting may let a client's line pass in place of ours."""
    assert {"authorization", "host", "cookie", "connection", "content-length", CUSTOMER_TOKEN} <= OWN_FIELDS
    assert not OWN_FIELDS & (FORWARDED | CONDITIONAL)


@pytest.mark.parametrize("value", ["a\x00b", "a\x0bb", "a\x7fb", "a\nb"])
def test_a_value_with_control_characters_does_not_pass(value: str) -> None:
    """RFC 9110 section 5.5: such a field of an upstream is invalid."""
    assert for_client((("x-note", value),)) == ()


DATE = "Wed, 21 Oct 2099 07:28:00 GMT"


@pytest.mark.parametrize("value", ["7", "0", "120", "100000", DATE])
def test_retry_after_leaves_as_it_came(value: str) -> None:
    """RFC 9110 section 10.2.3: seconds, or a date."""
    assert retry_after((("retry-after", value),)) == value


@pytest.mark.parametrize(
    "value",
    [
        *("soon", "-1", "", "1.5", "\u0667", "9" * 10, "Wed, 21 Oct 2099 07:28:00 CET", DATE + "!"),
        *("Wed, 31 Feb 2099 07:28:00 GMT", "Wed, 21 Okt 2099 07:28:00 GMT", "Wed, 21 Oct 2099 24:00:00 GMT"),
    ],
)
def test_what_is_no_time_is_no_retry_after(value: str) -> None:
    """Nothing that an upstream writes there leaves unread; and of two lines nobody knows which is meant."""
    assert retry_after((("retry-after", value),)) is None
    assert retry_after((("retry-after", "1"), ("retry-after", "2"))) is None
    assert retry_after(()) is None


@pytest.mark.parametrize(
    ("status", "name", "value", "is_kept"),
    [
        (405, "allow", "GET, HEAD", True),
        (405, "allow", "", True),
        (405, "allow", "GET, leslie", False),
        (405, "allow", "GET,,PUT", False),
        (416, "content-range", "bytes */1234", True),
        (416, "content-range", "items */1234", False),
        (416, "content-range", "bytes 0-1/1234", False),
        (404, "content-range", "bytes */1234", False),
        (401, "www-authenticate", "Bearer", False),
        (409, "etag", '"a"', False),
    ],
)
def test_of_an_errors_head_only_what_says_why_leaves(status: int, name: str, value: str, *, is_kept: bool) -> None:
    """RFC 9110 sections 10.2.1 and 15.5.17; of a challenge to us no client hears."""
    assert of_refusal(status, ((name, value),)) == (((name, value),) if is_kept else ())


def test_what_speaks_of_a_body_goes_with_it() -> None:
    """Without the body its type, encoding and digest would be lies; what speaks of the record stays."""
    kept: Headers = (("location", "/x"), ("etag", '"a"'))
    content: Headers = (
        ("content-type", "text/html"),
        ("content-encoding", "gzip"),
        ("content-md5", "x"),
        ("digest", "y"),
    )
    assert without_content((*content, *kept)) == kept


def test_an_open_answer_keeps_what_describes_it() -> None:
    """Type, language, caching, ranges and the upstream's own headers reach the client."""
    headers: Headers = (
        ("content-type", "application/json"),
        ("etag", '"x"'),
        ("content-range", "bytes 0-1/2"),
        ("cache-control", "public"),
        ("x-moltin-version", "1"),
    )
    assert for_client(headers) == headers


@pytest.mark.parametrize(
    "name",
    [
        "access-control-allow-credentials", "access-control-allow-origin", "alt-svc", "connection", "content-length",
        "http2-settings", "keep-alive", "proxy-authenticate", "server", "set-cookie", "set-cookie2", "te", "trailer",
        "transfer-encoding", "upgrade", "www-authenticate", "x-request-id",
    ],
)  # fmt: skip
def test_the_gateway_speaks_for_itself(name: str) -> None:
    """Framing, cookies, CORS, challenges and the request id of the upstream do not reach the client."""
    assert for_client(((name, "x"),)) == ()


def test_cookies_pass_where_a_route_opens_them() -> None:
    """`set_cookie` opens Set-Cookie and nothing else."""
    headers: Headers = (("set-cookie", "a=1"), ("set-cookie", "b=2"), ("set-cookie2", "c=3"))
    assert for_client(headers, set_cookie=True) == headers[:2]


def test_lines_are_found_by_name() -> None:
    """All, the first, and whether there are several."""
    headers: Headers = (("a", "1"), ("b", "2"), ("a", "3"))
    assert values(headers, "a") == ["1", "3"]
    assert first(headers, "a") == "1"
    assert first(headers, "c") is None
    assert is_repeated(headers, "a")
    assert not is_repeated(headers, "b")
    assert not is_repeated(headers, "c")


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON", True),
        ("application/json; charset=utf-8", True),
        ('application/json;charset="UTF-8"', True),
        ("application/json; charset=utf-8; x=y", True),
        ("application/vnd.api+json", True),
        ("application/problem+json", True),
        ("application/json; charset=utf-16", False),
        ("application/json; charset=utf-8x", False),
        ("application/json; charset=latin1; x=utf-8", False),
        ("application/jsonp", False),
        ("application/x-ndjson", False),
        ("application/json-seq", False),
        ("text/json", False),
        ("text/plain", False),
        ("application/x-www-form-urlencoded", False),
        ("image/svg+json", False),
        ("json", False),
        ("", False),
        (None, False),
    ],
)
def test_only_json_in_utf_8_is_json(content_type: str | None, *, expected: bool) -> None:
    """RFC 8259 section 8.1 and RFC 6839 section 3.1; another charset is another document."""
    assert is_json(content_type) is expected


def test_a_media_type_is_bare_and_lower() -> None:
    """Parameters and case say nothing."""
    assert media_type(" Text/HTML ; charset=x") == "text/html"
    assert media_type(None) == ""


lines = st.lists(
    st.tuples(
        st.sampled_from([*sorted(FORWARDED), "connection", "authorization", CUSTOMER_TOKEN]), st.text(max_size=20)
    )
).map(tuple)


@given(lines)
def test_only_listed_lines_pass_in_their_order(headers: Headers) -> None:
    """What goes upstream is a sub-sequence of what came, made of listed names only."""
    passed = for_upstream(headers, FORWARDED)
    assert {name for name, _ in passed} <= FORWARDED
    remaining = iter(headers)
    assert all(line in remaining for line in passed)
