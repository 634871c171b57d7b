"""Which client a grant request says it is: the form, Basic, and both readings of what is in it."""

import base64
from urllib.parse import quote_plus

import pytest

from gateway.tokens.client import Claim, read_claim
from gateway.vocab.refusals import Code, Refusal


def line(text: str) -> tuple[str, str]:
    """Give the header line of Basic."""
    return "authorization", f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(("user", "secret"), [("a b", "p+w/=:%"), ("a:b", "x"), ("ü", "é"), ("plain", "plain")])
def test_basic_is_form_encoded(user: str, secret: str) -> None:
    """RFC 6749 section 2.3.1: id and secret are form-encoded before they are joined."""
    claim = read_claim((line(f"{quote_plus(user)}:{quote_plus(secret)}"),), {}, needs_secret=True)
    assert isinstance(claim, Claim)
    assert claim.pairs[0] == (user, secret)
    assert claim.by_basic


@pytest.mark.parametrize("secret", ["a+b", "100%", "%zz", "a%2", "x:y"])
def test_basic_is_taken_as_it_is_too(secret: str) -> None:
    """Clients that encode nothing (as RFC 7617 has it) are as many; both readings are tried."""
    claim = read_claim((line(f"id:{secret}"),), {}, needs_secret=True)
    assert isinstance(claim, Claim)
    assert ("id", secret) in claim.pairs


def test_two_lines_of_basic_are_refused() -> None:
    """Nobody can tell which one is meant."""
    refusal = read_claim((line("a:b"), line("c:d")), {}, needs_secret=True)
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.FORM_INVALID


def test_without_basic_the_form_counts() -> None:
    """Its id with its secret, or none; without an id it names nobody."""
    assert read_claim((), {"client_id": "a", "client_secret": "b"}, needs_secret=True) == Claim((("a", "b"),))
    assert read_claim((), {"client_id": "a"}, needs_secret=False) == Claim((("a", ""),))
    assert read_claim((), {"client_secret": "b"}, needs_secret=True) == Claim(())
