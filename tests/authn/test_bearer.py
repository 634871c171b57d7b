"""Bearers: every spelling that real SDKs send, and nothing more."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authn.bearer import BearerVerifier
from gateway.authn.customer import CustomerVerifier
from gateway.authn.keyring import Algorithm
from gateway.vocab.messages import Caller, CallerKind
from gateway.vocab.refusals import Code, Refusal
from tests.authn.forge import AUDIENCE, ISSUER, MAX_LIFE, claims, forge, header, key, now, ring
from tests.sessions import session

OURS = key(Algorithm.EDDSA)
CALLER = Caller(CallerKind.PUBLIC, client_id="client-1")


def bearers() -> BearerVerifier:
    """Make a verifier with our key."""
    return BearerVerifier(ring(), ISSUER, AUDIENCE, MAX_LIFE)


def is_refused(answer: Caller | Refusal) -> bool:
    """Tell whether this is the one refusal of bearers."""
    return isinstance(answer, Refusal) and answer.code is Code.BEARER_INVALID


@pytest.mark.parametrize("kind", [CallerKind.PUBLIC, CallerKind.TRUSTED])
def test_a_minted_bearer_proves_its_caller(kind: CallerKind) -> None:
    """Kind and client come back, and the expiry is life seconds from now."""
    start = now()
    token, expires = bearers().mint(kind, "client-1", start, 600)
    assert bearers().verify(f"Bearer {token}", start) == Caller(kind, client_id="client-1")
    assert expires == int(start) + 600


def test_each_bearer_has_an_id_of_its_own() -> None:
    """Two bearers minted at once differ."""
    tokens = bearers()
    start = now()
    assert tokens.mint(CallerKind.PUBLIC, "c", start, 60) != tokens.mint(CallerKind.PUBLIC, "c", start, 60)


def test_customers_are_not_clients() -> None:
    """A bearer never says that somebody is a customer."""
    with pytest.raises(ValueError, match="public and trusted"):
        bearers().mint(CallerKind.CUSTOMER, "c1", now(), 60)


@pytest.mark.parametrize("scheme", ["Bearer ", "Bearer: ", "bearer ", "BEARER: ", "bEaReR   ", "Bearer:    ", ""])
def test_the_spellings_of_real_sdks_are_one(scheme: str) -> None:
    """With or without colon, in any case, with any run of spaces, and bare (docs/upstream.md section 1)."""
    tokens = bearers()
    token, _ = tokens.mint(CallerKind.PUBLIC, "client-1", now(), 60)
    assert [tokens.verify(scheme + token, now()) for _ in range(2)] == [CALLER, CALLER]


@pytest.mark.parametrize(
    "scheme",
    ["Bearer", "Bearer:", "Bearer:: ", "Bearer : ", "Bearer\t", "Bearer, ", "Bearer Bearer ", "Bearer: Bearer ", " ",
     "Basic ", "Token ", "Bearer=", "Bearer \t", "Be\u0430rer ", 'Bearer "', "undefined ", ":", " Bearer "],
)  # fmt: skip
def test_other_schemes_are_refused(scheme: str) -> None:
    """What no SDK sends is refused, and also beside a remembered token."""
    tokens = bearers()
    token, _ = tokens.mint(CallerKind.PUBLIC, "client-1", now(), 60)
    assert is_refused(tokens.verify(scheme + token, now()))
    assert tokens.verify(token, now()) == CALLER
    assert is_refused(tokens.verify(scheme + token, now()))


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Bearer: undefined", "Bearer null", "Basic dTpw", " " * 10**6]
)
def test_a_header_without_a_token_is_refused(value: str) -> None:
    """What broken clients send is a plain refusal."""
    assert is_refused(bearers().verify(value, now()))


@pytest.mark.parametrize(
    "kind", ["customer", "PUBLIC", "", "admin", None, 1, True, ["public"], {"public": 1}], ids=repr
)
def test_the_kind_is_public_or_trusted(kind: object) -> None:
    """Our own signature does not make another kind of caller."""
    assert is_refused(bearers().verify(forge(OURS, header(OURS), claims(kind=kind)), now()))


def test_the_kind_is_required() -> None:
    """A bearer without a kind is nobody's."""
    assert is_refused(bearers().verify(forge(OURS, header(OURS), claims("kind")), now()))


def test_a_customer_token_is_no_bearer() -> None:
    """A token that the same key signed for a customer is refused, even with the claims of a bearer."""
    customers = CustomerVerifier(ring(), ISSUER, AUDIENCE, MAX_LIFE, re.compile(r"[a-z0-9-]+"))
    token, _, _ = customers.mint(session("client-1"), now(), 60)
    assert is_refused(bearers().verify(f"Bearer {token}", now()))
    assert is_refused(bearers().verify(forge(OURS, header(OURS, typ="customer+jwt"), claims()), now()))


def test_a_bearer_expires() -> None:
    """A remembered bearer is refused from its expiry on."""
    tokens = bearers()
    token, expires = tokens.mint(CallerKind.PUBLIC, "client-1", now(), 60)
    assert tokens.verify(token, expires - 1) == CALLER
    assert is_refused(tokens.verify(token, expires))


@given(st.text() | st.text().map("Bearer {}".format) | st.text("eyJ._-=aZ ", max_size=200).map("Bearer: {}".format))
def test_any_header_gives_an_answer(value: str) -> None:
    """No text raises and none is a caller."""
    assert is_refused(bearers().verify(value, 0.0))
