"""Customer tokens: one header line, one customer."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authn.bearer import BearerVerifier
from gateway.authn.customer import CustomerVerifier
from gateway.authn.keyring import Algorithm
from gateway.vocab.messages import CallerKind
from gateway.vocab.refusals import Code, Refusal
from tests.authn.forge import AUDIENCE, ISSUER, MAX_LIFE, claims, forge, header, key, now, ring

OURS = key(Algorithm.EDDSA)
PATTERN = re.compile(r"[0-9a-f-]{1,36}")
CUSTOMER = "2f3c1d5a-8a1a-4b60-9a0b-0123456789ab"


def customers() -> CustomerVerifier:
    """Make a verifier with our key."""
    return CustomerVerifier(ring(), ISSUER, AUDIENCE, MAX_LIFE, PATTERN)


def is_refused(answer: str | Refusal) -> bool:
    """Tell whether this is the one refusal of customer tokens."""
    return isinstance(answer, Refusal) and answer.code is Code.CUSTOMER_TOKEN_INVALID


def test_a_minted_token_proves_its_customer() -> None:
    """The customer comes back, the id of the token is told, and the expiry is life seconds from now."""
    start = now()
    told: list[str] = []

    def is_revoked(_subject: str, token_id: str, _issued_at: int) -> bool:
        told.append(token_id)
        return False

    tokens = CustomerVerifier(ring(), ISSUER, AUDIENCE, MAX_LIFE, PATTERN, is_revoked=is_revoked)
    token, token_id, expires = tokens.mint(CUSTOMER, start, 600)
    assert tokens.verify([token], start) == CUSTOMER
    assert told == [token_id]
    assert expires == int(start) + 600


def test_one_line_is_required() -> None:
    """No line, two lines and two equal lines are refused (docs/threats.md D2.5)."""
    tokens = customers()
    first, second = (tokens.mint(customer, now(), 60)[0] for customer in (CUSTOMER, "c2"))
    assert tokens.verify((first,), now()) == CUSTOMER
    for values in ((), (first, second), (first, first), ("", first), (first, "")):
        assert is_refused(tokens.verify(values, now()))


@pytest.mark.parametrize("joined", ["{0}, {1}", "{0},{1}", "{0} {1}", "{0},", ",{0}", " {0}", "{0} ", "Bearer {0}", ""])
def test_one_token_stands_in_the_line(joined: str) -> None:
    """Commas, spaces and schemes make it something else than a token, remembered or not."""
    tokens = customers()
    first, second = (tokens.mint(customer, now(), 60)[0] for customer in (CUSTOMER, "c2"))
    for _ in range(2):
        assert is_refused(tokens.verify([joined.format(first, second)], now()))
        assert tokens.verify([first], now()) == CUSTOMER


@pytest.mark.parametrize(
    "subject",
    [
        "x),eq(id,*",
        "../orders",
        f"{CUSTOMER}/orders",
        f"{CUSTOMER}\n",
        "a b",
        "A",
        "a" * 37,
        f"{CUSTOMER},{CUSTOMER}",
        "*",
    ],
)
def test_the_subject_is_a_customer_id(subject: str) -> None:
    """A subject that does not wholly fit the pattern is refused even under our signature, and never minted."""
    head = header(OURS, typ="customer+jwt")
    assert is_refused(customers().verify([forge(OURS, head, claims(sub=subject))], now()))
    with pytest.raises(ValueError, match="pattern"):
        customers().mint(subject, now(), 60)


def test_the_forged_token_is_good_with_a_customer_id() -> None:
    """The table above is refused for its subjects."""
    forged = forge(OURS, header(OURS, typ="customer+jwt"), claims(sub=CUSTOMER))
    assert customers().verify([forged], now()) == CUSTOMER


def test_a_bearer_is_no_customer_token() -> None:
    """A token that the same key signed for a client is refused, even where the client is named like a customer."""
    bearer, _ = BearerVerifier(ring(), ISSUER, AUDIENCE, MAX_LIFE).mint(CallerKind.TRUSTED, CUSTOMER, now(), 60)
    assert is_refused(customers().verify([bearer], now()))


def test_a_token_expires() -> None:
    """A remembered token is refused from its expiry on."""
    tokens = customers()
    token, _, expires = tokens.mint(CUSTOMER, now(), 60)
    assert tokens.verify([token], expires - 1) == CUSTOMER
    assert is_refused(tokens.verify([token], expires))


def test_a_token_called_back_is_refused_though_remembered() -> None:
    """Revocation is asked on each use, and the token that it made forgotten does not come back."""
    revoked: set[str] = set()
    tokens = CustomerVerifier(
        ring(), ISSUER, AUDIENCE, MAX_LIFE, PATTERN, is_revoked=lambda subject, _token, _issued: subject in revoked
    )
    token, _, _ = tokens.mint(CUSTOMER, now(), 60)
    assert tokens.verify([token], now()) == CUSTOMER
    revoked.add(CUSTOMER)
    assert is_refused(tokens.verify([token], now()))
    assert is_refused(tokens.verify([token], now()))


@given(st.lists(st.text()))
def test_any_lines_give_an_answer(values: list[str]) -> None:
    """No text raises and none is a customer."""
    assert is_refused(customers().verify(values, 0.0))
