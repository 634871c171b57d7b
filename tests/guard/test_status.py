"""What leaves of an answer that is no success: the status, in the gateway's own words."""

import json

import pytest

from gateway.guard.core import judge
from gateway.guard.status import ERROR_LIMIT, relayed_error, unable
from gateway.vocab.messages import Answer, Checked, Headers, Plan
from gateway.vocab.policy import Access
from gateway.vocab.refusals import Code, Refusal
from tests.guard.judging import FOREIGN, WHOSE, order
from tests.guard.test_core import GUARDED, JSON_TYPE, LINKS, ROUTE

BLIND = Access(guards=GUARDED.guards, unproven=frozenset({"GET"}))
HTML = (("content-type", "text/html"),)
SAID: tuple[tuple[bytes, Headers], ...] = (
    (b"", ()),
    (b"<h1>no</h1>", HTML),
    (b"no", (("content-type", "text/plain"),)),
    (json.dumps({"title": "No", "status": 9}).encode(), (("content-type", "application/problem+json"),)),
    (b'{"code":"x","message":"y"}', (JSON_TYPE,)),
    (json.dumps({"errors": [{"detail": "x"}], "data": order(FOREIGN)}).encode(), (JSON_TYPE,)),
    (b'{"errors":[', (JSON_TYPE, ("content-encoding", "gzip"))),
)
REFUSALS = (400, 402, 403, 405, 406, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 425)
LATER_REFUSALS = (426, 428, 431, 451, 499)


def answered(
    status: int, method: str = "PUT", access: Access = GUARDED, headers: Headers = (), body: bytes = b""
) -> Checked | Refusal:
    """Judge one answer."""
    return judge(ROUTE, access, Plan(method, "/v2/orders/o1"), WHOSE, Answer(status, headers, body), LINKS)


@pytest.mark.parametrize("status", [*REFUSALS, *LATER_REFUSALS])
def test_a_refusal_keeps_its_status_whatever_it_says(status: int) -> None:
    """On guarded and on open routes, with one error of ours where the API's cannot be read."""
    for body, headers in SAID:
        for checked in (
            answered(status, "PUT", GUARDED, headers, body),
            answered(status, "GET", GUARDED, headers, body),
            relayed_error(Answer(status, headers, body)),
        ):
            assert isinstance(checked, Checked)
            assert checked.status == status
            (error,) = checked.document["errors"]
            assert (error["status"], error["code"]) == (status, "UPSTREAM_REFUSED")
            assert FOREIGN not in json.dumps(checked.document)


def test_an_error_that_is_too_long_is_not_read() -> None:
    """Ten errors of any API are shorter; the status says it all the same."""
    long = json.dumps({"errors": [{"detail": "invalid email"}], "x": "a" * ERROR_LIMIT}).encode()
    for body, detail in (
        (long[:9] + long[-2:], False),
        (long, False),
        (b'{"errors":[{"detail":"invalid email"}]}', True),
    ):
        checked = answered(422, body=body)
        assert isinstance(checked, Checked)
        assert (checked.document["errors"][0]["detail"] == "invalid email") is detail


def test_a_refusal_keeps_the_lines_that_say_why() -> None:
    """Methods that are allowed, and how long the thing is of which no part was to be had; never a challenge."""
    headers: Headers = (("allow", "GET, HEAD"), ("content-range", "bytes */9"), ("www-authenticate", "Basic"))
    for checked in (answered(416, headers=headers), relayed_error(Answer(416, headers, b""))):
        assert isinstance(checked, Checked)
        assert checked.headers == headers[:2]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, *REFUSALS, *LATER_REFUSALS, 404])
def test_of_a_record_whose_owner_nothing_proved_nothing_is_said(status: int) -> None:
    """Else a status, or a line beside it, tells a foreign record from none."""
    headers: Headers = (("allow", "GET"), ("content-range", "bytes */9"), ("retry-after", "9"))
    refusal = answered(status, "GET", BLIND, headers)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.allow, refusal.retry_after) == (Code.RECORD_NOT_FOUND, (), None)


def test_patience_is_asked_for_whatever_the_record() -> None:
    """429 and 503 come before any record is looked at, and keep their Retry-After."""
    date = "Wed, 21 Oct 2099 07:28:00 GMT"
    for access in (GUARDED, BLIND, Access()):
        for status, code in ((429, Code.THROTTLED), (503, Code.UPSTREAM_UNAVAILABLE)):
            refusal = answered(status, "GET", access, (("retry-after", date),))
            assert refusal == Refusal(code, f"upstream answered {status}", retry_after=date, upstream_status=status)
            opened = relayed_error(Answer(status, (("retry-after", "120"),), b"<html>"))
            assert isinstance(opened, Refusal)
            assert (opened.code, opened.retry_after) == (code, "120")
    assert unable(429, ()) == Refusal(Code.THROTTLED, "upstream answered 429", retry_after=1)
    assert unable(503, ()) == Refusal(Code.UPSTREAM_UNAVAILABLE, "upstream answered 503")


@pytest.mark.parametrize("status", [500, 501, 502, 504, 505, 507, 511, 599])
def test_a_failing_upstream_says_nothing(status: int) -> None:
    """Nothing of its body leaves, on any route."""
    body = json.dumps({"data": [order()]}).encode()
    for refusal in (
        answered(status, "GET", GUARDED, (JSON_TYPE,), body),
        answered(status, "GET", BLIND, (JSON_TYPE,), body),
        relayed_error(Answer(status, (JSON_TYPE,), body)),
    ):
        assert isinstance(refusal, Refusal)
        assert refusal.code is Code.UPSTREAM_FAILED


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirected_write_may_have_happened(method: str, status: int) -> None:
    """Behind a 303 it mostly did: a client that reads "failed" would do it twice."""
    refusal = answered(status, method)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.upstream_status) == (Code.WRITE_UNCONFIRMED, status)
