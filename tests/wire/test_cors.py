"""Cross-origin rules: who may read a reply, and what a preflight says."""

import pytest

from gateway.vocab.messages import Headers
from gateway.wire.cors import Cors, is_preflight, scoped_vary
from gateway.wire.headers import CONDITIONAL

SHOP: Headers = (("origin", "https://shop.example"),)


def test_without_origins_no_reply_is_for_a_foreign_page() -> None:
    """Closed unless opened."""
    assert Cors().headers(SHOP) == ()
    assert Cors().preflight(SHOP) == ()


def test_any_origin_may_read_without_credentials() -> None:
    """`*` lets every page read; credentials mode is never granted."""
    lines = dict(Cors(frozenset({"*"})).headers(SHOP))
    assert lines["access-control-allow-origin"] == "*"
    assert "x-request-id" in lines["access-control-expose-headers"].lower()
    assert "access-control-allow-credentials" not in lines


@pytest.mark.parametrize(
    ("request_headers", "allowed"),
    [
        pytest.param(SHOP, True, id="a listed origin"),
        pytest.param((("origin", "https://shop.example.evil"),), False, id="an origin that begins alike"),
        pytest.param((("origin", "http://shop.example"),), False, id="another scheme"),
        pytest.param((("origin", "https://SHOP.example"),), False, id="another spelling"),
        pytest.param((("origin", "null"),), False, id="no origin at all, as a sandbox says it"),
        pytest.param((), False, id="no browser"),
    ],
)
def test_only_listed_origins_may_read(request_headers: Headers, *, allowed: bool) -> None:
    """A listed origin is named; for every other the reply says only that it depends on the origin."""
    lines = dict(Cors(frozenset({"https://shop.example"})).headers(request_headers))
    assert lines.get("access-control-allow-origin") == ("https://shop.example" if allowed else None)
    assert lines["vary"] == "Origin"


def test_a_preflight_names_methods_and_headers() -> None:
    """The browser may ask with any method, so that a 405 can be read, and learns which headers SDKs may send."""
    cors = Cors(frozenset({"https://shop.example"}), max_age=60, extra_headers=("x-own",))
    lines = dict(cors.preflight(SHOP))
    assert lines["access-control-allow-methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE"
    assert lines["access-control-max-age"] == "60"
    named = {name.strip().lower() for name in lines["access-control-allow-headers"].split(",")}
    assert {"authorization", "content-type", "x-moltin-customer-token", "x-own"} <= named
    assert "access-control-expose-headers" not in lines


def test_a_preflight_of_a_stranger_is_told_nothing() -> None:
    """An origin that is not listed learns neither methods nor headers."""
    cors = Cors(frozenset({"https://shop.example"}))
    assert cors.preflight((("origin", "https://evil.example"),)) == (("vary", "Origin"),)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param((*SHOP, ("access-control-request-method", "PUT")), True, id="a preflight"),
        pytest.param(SHOP, False, id="no method asked for"),
        pytest.param((("access-control-request-method", "PUT"),), False, id="no origin"),
    ],
)
def test_a_preflight_has_both_lines(headers: Headers, *, expected: bool) -> None:
    """Fetch standard, section 3.2.2."""
    assert is_preflight(headers) is expected


def test_scoped_answers_vary_by_who_asks() -> None:
    """A cache that ignores no-store still keeps customers apart."""
    assert scoped_vary("x-moltin-customer-token") == "Authorization, X-Moltin-Customer-Token"
    assert scoped_vary("authorization") == "Authorization"


def test_pages_may_read_what_answers_are_about() -> None:
    """Without a setting: where a record is, its validator, the next page, how many, and when to ask again."""
    shop = frozenset({"https://shop.example"})
    for cors in (Cors(shop), Cors(frozenset({"*"})), Cors(shop, expose=("x-rate",))):
        exposed = {
            name.strip() for name in dict(cors.headers(SHOP))["access-control-expose-headers"].lower().split(",")
        }
        assert {"location", "link", "etag", "x-total-count", "content-range", "retry-after", "x-request-id"} <= exposed
        assert ("x-rate" in exposed) is bool(cors.expose)


def test_pages_may_make_requests_conditional() -> None:
    """Every condition that is forwarded may be sent (RFC 9110 section 13.1)."""
    allowed = dict(Cors(frozenset({"*"})).preflight(SHOP))["access-control-allow-headers"].lower().split(", ")
    assert set(allowed) >= CONDITIONAL
