"""Every refusal is rendered in one shape, by its code alone."""

import json

import pytest

from gateway.server.replies import render, without_token
from gateway.vocab.refusals import Code, Refusal

SECRET = "eyJ-a-token-in-a-detail"
WAITING = {"OVERLOADED", "DRAINING", "STORE_UNAVAILABLE", "CREDENTIAL_UNAVAILABLE"}


@pytest.mark.parametrize("code", Code, ids=lambda code: str(code.name))
def test_each_code_has_the_one_shape(code: Code) -> None:
    """The envelope has an integer status, the code's public text, its name, and nothing of the private detail."""
    reply = render(Refusal(code, detail=SECRET))
    assert reply.status == code.status
    assert json.loads(reply.body) == {
        "errors": [
            {"status": code.status, "title": code.value.title, "detail": code.value.text, "code": code.name},
        ]
    }
    assert SECRET not in str(reply)
    headers = dict(reply.headers)
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    assert ("www-authenticate" in headers) == (code.status == 401)
    assert ("retry-after" in headers) == (code.name in WAITING)


def test_the_field_at_fault_is_named() -> None:
    """`source` stands in the error where there is one."""
    (error,) = json.loads(render(Refusal(Code.BODY_FIELD_INVALID, source="data.email")).body)["errors"]
    assert error["source"] == "data.email"


def test_methods_that_are_allowed() -> None:
    """405 says what the path answers (RFC 9110 section 15.5.6)."""
    headers = dict(render(Refusal(Code.METHOD_NOT_ALLOWED, allow=("GET", "HEAD"))).headers)
    assert headers["allow"] == "GET, HEAD"


def test_how_long_to_wait() -> None:
    """A refusal's own time goes before the code's."""
    assert dict(render(Refusal(Code.OVERLOADED, retry_after=7)).headers)["retry-after"] == "7"
    assert dict(render(Refusal(Code.THROTTLED, retry_after=3)).headers)["retry-after"] == "3"


def test_a_dead_token_is_told_of_and_kept_by_no_cache() -> None:
    """A page may read it, and no cache gives it to others, whose tokens are good: not even by rules of its own."""
    lines = (
        ("cache-control", "public, max-age=60"),
        ("cdn-cache-control", "max-age=600"),
        ("surrogate-control", "max-age=600"),
        ("etag", '"a"'),
        ("access-control-expose-headers", "ETag"),
    )
    told = without_token(200, lines)
    assert [value for name, value in told if name.endswith("-control")] == ["private, no-store"]
    assert {("etag", '"a"'), ("x-customer-token", "ignored")} <= set(told)
    assert dict(told)["access-control-expose-headers"] == "ETag, X-Customer-Token"
    assert without_token(304, lines) == lines
