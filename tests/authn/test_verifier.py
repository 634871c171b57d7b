"""Remembered tokens: what is remembered, under what, and what is checked again."""

import pytest

from gateway.authn.keyring import Claims
from gateway.authn.verifier import Profile, Verifier
from gateway.vocab.refusals import Code, Refusal
from tests.authn.forge import AUDIENCE, ISSUER, MAX_LIFE, TYP, now, ring

PROFILE = Profile(Code.BEARER_INVALID, TYP, ISSUER, AUDIENCE, MAX_LIFE)


class Reader:
    """Reads the subject of the claims, and keeps which claims it was asked to read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, claims: Claims) -> str | None:
        """Read the subject; nobody is not of this kind."""
        self.read.append(claims.subject)
        return None if claims.subject == "nobody" else claims.subject


def verifier(reader: Reader, cache_size: int = 8) -> Verifier[str]:
    """Make a verifier of the test profile."""
    return Verifier(ring(), PROFILE, reader, cache_size)


def test_a_good_token_is_proven_once() -> None:
    """The second use of a token is answered from memory."""
    reader = Reader()
    tokens = verifier(reader)
    token, _ = tokens.mint("a", "t1", now(), 60)
    assert [tokens.verify(token, now()) for _ in range(3)] == ["a", "a", "a"]
    assert reader.read == ["a"]


def test_a_refusal_is_not_remembered() -> None:
    """Bad tokens take no room, and each use of one is judged anew."""
    reader = Reader()
    tokens = verifier(reader, cache_size=1)
    good, _ = tokens.mint("a", "t1", now(), 60)
    bad, _ = tokens.mint("nobody", "t2", now(), 60)
    tokens.verify(good, now())
    for _ in range(2):
        assert tokens.verify(bad, now()) == Refusal(Code.BEARER_INVALID, "claims are not of this kind")
    assert tokens.verify(good, now()) == "a"
    assert reader.read == ["a", "nobody", "nobody"]


def test_the_whole_token_is_the_key() -> None:
    """Tokens that begin alike are told apart (docs/threats.md D4.1), and so are all prefixes of a remembered one."""
    tokens = verifier(Reader())
    first, _ = tokens.mint("customer-1", "t1", now(), 60)
    second, _ = tokens.mint("customer-2", "t1", now(), 60)
    assert first[:60] == second[:60]
    assert [tokens.verify(token, now()) for token in (first, second, first)] == [
        "customer-1",
        "customer-2",
        "customer-1",
    ]
    for end in range(len(first)):
        assert isinstance(tokens.verify(first[:end], now()), Refusal)


def test_a_signature_cannot_be_swapped_beside_the_cache() -> None:
    """Claims of one remembered token with the signature of another are not good."""
    tokens = verifier(Reader())
    first, second = (tokens.mint(name, "t1", now(), 60)[0] for name in ("a", "b"))
    assert [tokens.verify(token, now()) for token in (first, second)] == ["a", "b"]
    mixed = f"{first.rpartition('.')[0]}.{second.rpartition('.')[2]}"
    assert isinstance(tokens.verify(mixed, now()), Refusal)


def test_expiry_is_checked_on_each_use() -> None:
    """A remembered token expires to the second, without leeway, and then is forgotten (docs/threats.md D4.3)."""
    reader = Reader()
    tokens = verifier(reader)
    token, expires_at = tokens.mint("a", "t1", now(), 60)
    assert tokens.verify(token, expires_at - 0.001) == "a"
    assert tokens.verify(token, expires_at) == Refusal(Code.BEARER_INVALID, "expired")
    assert tokens.verify(token, expires_at - 0.001) == "a"
    assert reader.read == ["a", "a"]


def test_expiry_is_exact_on_the_first_use() -> None:
    """The leeway for clocks does not lengthen the life of a token that was never seen."""
    tokens = verifier(Reader())
    token, _ = tokens.mint("a", "t1", now() - 40, 20)
    assert tokens.verify(token, now()) == Refusal(Code.BEARER_INVALID, "expired")


def test_the_cache_is_bounded_and_keeps_what_is_used() -> None:
    """The token not used for longest leaves first."""
    reader = Reader()
    tokens = verifier(reader, cache_size=2)
    a, b, c = (tokens.mint(name, "t1", now(), 60)[0] for name in "abc")
    for token in (a, b, a, c, a, b):
        tokens.verify(token, now())
    assert reader.read == ["a", "b", "c", "b"]


def test_a_cache_of_nothing_works() -> None:
    """Without room every use is proven."""
    reader = Reader()
    tokens = verifier(reader, cache_size=0)
    token, _ = tokens.mint("a", "t1", now(), 60)
    assert [tokens.verify(token, now()) for _ in range(2)] == ["a", "a"]
    assert reader.read == ["a", "a"]


@pytest.mark.parametrize("life", [0, 0.9, -1, MAX_LIFE + 1])
def test_no_token_is_minted_that_would_be_refused(life: float) -> None:
    """A life below a second or beyond the allowed one is an error of the minter."""
    with pytest.raises(ValueError, match="life"):
        verifier(Reader()).mint("a", "t1", now(), life)


@pytest.mark.parametrize(
    "values",
    [("", ISSUER, AUDIENCE, 1.0), (TYP, "", AUDIENCE, 1.0), (TYP, ISSUER, "", 1.0), (TYP, ISSUER, AUDIENCE, 0.0)],
)
def test_a_profile_without_a_check_is_refused(values: tuple[str, str, str, float]) -> None:
    """A missing type, issuer, audience or life is an error at start, not a check that is skipped (threats D3.5)."""
    with pytest.raises(ValueError, match="must be set"):
        Profile(Code.BEARER_INVALID, *values)
