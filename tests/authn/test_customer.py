"""Customer tokens: one header line, one customer."""

import json
import re
from array import array
from base64 import urlsafe_b64decode
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.authn.bearer import BearerVerifier
from gateway.authn.customer import CustomerVerifier
from gateway.authn.keyring import Algorithm
from gateway.authn.revocations import NOBODY, Page, Revocations
from gateway.vocab.messages import CallerKind, Session
from gateway.vocab.refusals import Code, Refusal
from tests.authn.forge import AUDIENCE, ISSUER, MAX_LIFE, claims, forge, header, key, now, ring
from tests.sessions import session

OURS = key(Algorithm.EDDSA)
PATTERN = re.compile(r"[0-9a-f-]{1,36}")
CUSTOMER = "2f3c1d5a-8a1a-4b60-9a0b-0123456789ab"


def customers() -> CustomerVerifier:
    """Make a verifier with our key."""
    return CustomerVerifier(ring(), ISSUER, AUDIENCE, MAX_LIFE, PATTERN)


def ended_at(versions: Mapping[int, int]) -> Revocations:
    """Know of log-outs, by the numbers that they end."""
    return Revocations((Page(array("Q", sorted(versions)), array("Q", [versions[one] for one in sorted(versions)])),))


def is_refused(answer: Session | Refusal) -> bool:
    """Tell whether this is the one refusal of customer tokens."""
    return isinstance(answer, Refusal) and answer.code is Code.CUSTOMER_TOKEN_INVALID


def test_a_minted_token_proves_its_session() -> None:
    """The session comes back with all of its numbers, and the expiry is life seconds from now."""
    start = now()
    tokens = customers()
    opened = Session(CUSTOMER, 2**63 - 1, 0, 1)
    token, token_id, expires = tokens.mint(opened, start, 600)
    assert tokens.verify([token], start, NOBODY) == opened
    assert json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))["jti"] == token_id
    assert expires == int(start) + 600


def test_one_line_is_required() -> None:
    """No line, two lines and two equal lines are refused (docs/threats.md D2.5)."""
    tokens = customers()
    first, second = (tokens.mint(session(customer), now(), 60)[0] for customer in (CUSTOMER, "c2"))
    assert tokens.verify((first,), now(), NOBODY) == session(CUSTOMER)
    for values in ((), (first, second), (first, first), ("", first), (first, "")):
        assert is_refused(tokens.verify(values, now(), NOBODY))


@pytest.mark.parametrize("joined", ["{0}, {1}", "{0},{1}", "{0} {1}", "{0},", ",{0}", " {0}", "{0} ", "Bearer {0}", ""])
def test_one_token_stands_in_the_line(joined: str) -> None:
    """Commas, spaces and schemes make it something else than a token, remembered or not."""
    tokens = customers()
    first, second = (tokens.mint(session(customer), now(), 60)[0] for customer in (CUSTOMER, "c2"))
    for _ in range(2):
        assert is_refused(tokens.verify([joined.format(first, second)], now(), NOBODY))
        assert tokens.verify([first], now(), NOBODY) == session(CUSTOMER)


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
    assert is_refused(customers().verify([forge(OURS, head, claims(sub=subject))], now(), NOBODY))
    with pytest.raises(ValueError, match="pattern"):
        customers().mint(session(subject), now(), 60)


def test_the_forged_token_is_good_with_a_customer_id() -> None:
    """The table above is refused for its subjects."""
    forged = forge(OURS, header(OURS, typ="customer+jwt"), claims(sub=CUSTOMER))
    assert customers().verify([forged], now(), NOBODY) == Session(CUSTOMER)


def test_a_bearer_is_no_customer_token() -> None:
    """A token that the same key signed for a client is refused, even where the client is named like a customer."""
    bearer, _ = BearerVerifier(ring(), ISSUER, AUDIENCE, MAX_LIFE).mint(CallerKind.TRUSTED, CUSTOMER, now(), 60)
    assert is_refused(customers().verify([bearer], now(), NOBODY))


def test_a_token_expires() -> None:
    """A remembered token is refused from its expiry on."""
    tokens = customers()
    token, _, expires = tokens.mint(session(CUSTOMER), now(), 60)
    assert tokens.verify([token], expires - 1, NOBODY) == session(CUSTOMER)
    assert is_refused(tokens.verify([token], expires, NOBODY))


def test_a_session_that_ended_is_refused_though_remembered() -> None:
    """What is known is looked at on each use, and a token that is refused once stays so while that is known."""
    tokens = customers()
    token, _, _ = tokens.mint(Session(CUSTOMER, 1, 5, 2), now(), 60)
    ended, other = ended_at({2: 6}), ended_at({3: 6})
    for known, is_good in ((NOBODY, True), (other, True), (ended, False), (ended, False), (NOBODY, True)):
        assert is_refused(tokens.verify([token], now(), known)) is not is_good


def test_what_is_stale_refuses_in_its_own_words() -> None:
    """Where nobody can tell who has logged out a good token is 503; one that is not good stays what it is."""
    tokens = customers()
    token, _, _ = tokens.mint(session(CUSTOMER), now(), 60)
    stale = replace(NOBODY, is_stale=True)
    for _ in range(2):
        refused = tokens.verify([token], now(), stale)
        assert isinstance(refused, Refusal)
        assert refused.code is Code.REVOCATION_STALE
    assert is_refused(tokens.verify([f"{token}x"], now(), stale))
    assert tokens.verify([token], now(), NOBODY) == session(CUSTOMER)


@pytest.mark.parametrize(
    "numbers",
    [
        {"ver": 1, "sid": 1},
        {"num": 1, "ver": 1},
        {"num": 1, "sid": 1},
        {"num": "1", "ver": 1, "sid": 1},
        {"num": True, "ver": 1, "sid": 1},
        {"num": 1, "ver": 1.0, "sid": 1},
        {"num": 1, "ver": None, "sid": 1},
        {"num": 0, "ver": 1, "sid": 1},
        {"num": 1, "ver": 1, "sid": 0},
        {"num": 1, "ver": -1, "sid": 1},
        {"num": 2**63, "ver": 1, "sid": 1},
        {"num": 1, "ver": 2**63, "sid": 1},
    ],
)
def test_numbers_are_all_there_or_none(numbers: dict[str, object]) -> None:
    """A token with some of its numbers, or with others than the store gives, is refused even under our signature."""
    forged = forge(OURS, header(OURS, typ="customer+jwt"), claims(sub=CUSTOMER, **numbers))
    assert is_refused(customers().verify([forged], now(), NOBODY))


@pytest.mark.parametrize("numbers", [(0, 0, 0), (0, 1, 1), (1, 1, 0), (1, -1, 1), (2**63, 1, 1)])
def test_no_token_is_minted_without_numbers(numbers: tuple[int, int, int]) -> None:
    """A session that no log-out could end is none."""
    with pytest.raises(ValueError, match="numbers"):
        customers().mint(Session(CUSTOMER, *numbers), now(), 60)


@given(st.lists(st.text()))
def test_any_lines_give_an_answer(values: list[str]) -> None:
    """No text raises and none is a customer."""
    assert is_refused(customers().verify(values, 0.0, NOBODY))
