"""The key ring: what it signs it verifies, and everything else it refuses."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authn.keyring import Algorithm, Claims, Key, KeyFault, KeyRing
from tests.authn.forge import AUDIENCE, ISSUER, MAX_LIFE, TYP, claims, forge, header, key, now, ring, verify

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
OURS = key(Algorithm.EDDSA)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_what_is_signed_is_verified(algorithm: Algorithm) -> None:
    """A token of ours gives back its claims; unregistered ones are the extra ones."""
    said = claims(nbf=int(now()))
    assert verify(ring(algorithm).sign(said, TYP), ring(algorithm)) == Claims(
        "client-1", said["exp"], said["iat"], "token-1", {"kind": "public"}
    )


def test_the_first_key_signs_and_all_verify() -> None:
    """A key can be rotated: the old one still verifies behind the new one, and no longer once it is gone."""
    old, new = key(Algorithm.ES256), OURS
    token = KeyRing([old]).sign(claims(), TYP)
    assert isinstance(verify(token, KeyRing([new, old])), Claims)
    assert isinstance(verify(KeyRing([new, old]).sign(claims(), TYP), KeyRing([new])), Claims)
    assert verify(token, KeyRing([new])) == "unknown kid"


def test_an_empty_ring_is_a_fault() -> None:
    """Without a key there is nothing to verify with."""
    with pytest.raises(KeyFault):
        KeyRing([])


def test_a_kid_names_one_key() -> None:
    """Two keys of one kid would make the choice depend on their order."""
    twin = Key(OURS.kid, Algorithm.HS256, b"s" * 32, b"s" * 32, None)
    with pytest.raises(KeyFault, match="share one kid"):
        KeyRing([OURS, twin])


def test_shared_secrets_are_not_published() -> None:
    """The published set holds the public part of the asymmetric keys, and is a copy."""
    keys = KeyRing([key(algorithm) for algorithm in Algorithm])
    published = keys.public_jwks()
    assert [jwk["alg"] for jwk in published["keys"]] == ["EdDSA", "ES256", "RS256"]
    published["keys"][0].clear()
    assert keys.public_jwks()["keys"][0]["kid"] == OURS.kid


def test_a_ring_shows_names_only() -> None:
    """The text form of a ring lists kids and algorithms."""
    assert repr(ring()) == f"KeyRing(Key(kid={OURS.kid!r}, algorithm=EdDSA))"


def test_claims_cannot_be_changed() -> None:
    """Verified claims are cached and shared, so they are read-only."""
    verified = verify(ring().sign(claims(), TYP))
    assert isinstance(verified, Claims)
    with pytest.raises(TypeError):
        verified.extra["kind"] = "trusted"  # type: ignore[index]


@pytest.mark.parametrize("algorithm", Algorithm)
@pytest.mark.parametrize("part", [0, 1, 2], ids=["header", "payload", "signature"])
def test_unused_bits_are_no_second_spelling(algorithm: Algorithm, part: int) -> None:
    """Flipping bits that base64url does not use gives the same bytes and a token that is refused."""
    signer, twins = key(algorithm), 0
    for filler in range(3):
        # Of three neighbouring lengths two leave unused bits in header and payload.
        head = json.dumps(header(signer)).encode() + b" " * filler
        parts = forge(signer, head, claims(pad="p" * filler)).split(".")
        assert isinstance(verify(".".join(parts), ring(algorithm)), Claims)
        genuine = parts[part]
        for flip in range(1, {0: 1, 2: 16, 3: 4}[len(genuine) % 4]):
            parts[part] = genuine[:-1] + ALPHABET[ALPHABET.index(genuine[-1]) ^ flip]
            assert base64.urlsafe_b64decode(parts[part] + "==") == base64.urlsafe_b64decode(genuine + "==")
            assert verify(".".join(parts), ring(algorithm)) == "base64url with a second spelling"
            twins += 1
    # The 384 bytes of our RSA signatures leave no bit unused.
    assert twins or (algorithm is Algorithm.RS256 and part == 2)


@pytest.mark.parametrize("algorithm", [Algorithm.EDDSA, Algorithm.HS256, Algorithm.ES256])
@given(data=st.data())
def test_any_changed_character_is_refused(algorithm: Algorithm, data: st.DataObject) -> None:
    """A token with one character replaced, removed or inserted is not good."""
    token = ring(algorithm).sign(claims(), TYP)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(ALPHABET + ".") | st.characters())
    mutants = {token[:place] + other + token[place + 1 :], token[:place] + token[place + 1 :]}
    mutants |= {token[:place] + other + token[place:], token + other, other + token}
    for mutant in mutants - {token}:
        assert isinstance(verify(mutant, ring(algorithm)), str)


SHAPED = st.lists(st.text(ALPHABET, min_size=1, max_size=40), min_size=3, max_size=3).map(".".join)


@given(st.text() | st.text(ALPHABET + ".") | SHAPED)
def test_any_text_is_refused_without_a_fault(token: str) -> None:
    """No text raises, and no reason repeats the text."""
    reason = verify(token)
    assert isinstance(reason, str)
    assert len(token) < 20 or token not in reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda node: st.lists(node, max_size=3)
)


@given(st.dictionaries(st.sampled_from([*claims(), "nbf", "crit"]) | st.text(), JSON))
def test_any_signed_claims_give_an_answer(changes: dict[str, Any]) -> None:
    """Whatever our own key has signed, verification never raises and what it lets through has the right types."""
    verified = verify(forge(OURS, header(OURS), {**claims(), **changes}))
    if isinstance(verified, Claims):
        assert type(verified.expires_at) is type(verified.issued_at) is int
        assert 0 < verified.expires_at - verified.issued_at <= MAX_LIFE
        assert 1 <= len(verified.subject) <= 128
        assert 1 <= len(verified.token_id) <= 128


@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64"]) | st.text(), JSON))
def test_any_signed_header_gives_an_answer(changes: dict[str, Any]) -> None:
    """Whatever header our own key has signed, only exactly ours is good."""
    head = {**header(OURS), **changes}
    verified = verify(forge(OURS, head, claims()))
    assert isinstance(verified, Claims) == (head == header(OURS))


@pytest.mark.parametrize("expected", [("", ISSUER, AUDIENCE), (TYP, "", AUDIENCE), (TYP, ISSUER, "")])
def test_an_empty_expectation_matches_nothing(expected: tuple[str, str, str]) -> None:
    """An absent setting never switches a check off."""
    assert isinstance(ring().verify(ring().sign(claims(), TYP), *expected, MAX_LIFE), str)
