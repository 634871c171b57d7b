"""Customer tokens: who is logged in. It does not know whether that customer still exists upstream."""

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from gateway.authn.keyring import Claims, KeyRing
from gateway.authn.revocations import Revocations
from gateway.authn.verifier import Profile, Verifier
from gateway.vocab.messages import Session
from gateway.vocab.refusals import Code, Refusal

# What JavaScript makes of a token that is not there: an empty text, or the word for nothing.
_NOTHING: Final = frozenset({"", "undefined", "null"})
# The store's numbers of the customer, of the last log-out before, and of the login (OpenID Connect has `sid` as well).
_NUMBERS: Final = ("num", "ver", "sid")
_NUMBER_CAP: Final = 2**63


def is_nothing(values: Sequence[str]) -> bool:
    """Tell whether `X-Moltin-Customer-Token` lines are one that says in an app's words that nobody is logged in."""
    return len(values) == 1 and values[0] in _NOTHING


class _Proven(Struct):
    """What a token says whose signature is ours, and the edition of what is known by which it was not logged out."""

    session: Session
    cleared_by: object = None


class CustomerVerifier:
    """Mints customer tokens and turns `X-Moltin-Customer-Token` lines into sessions.

    `pattern` is what a whole customer id looks like: it ends up in paths and filters.
    """

    def __init__(self, ring: KeyRing, issuer: str, audience: str, max_life: float, pattern: re.Pattern[str]) -> None:
        # The type keeps bearers out, which the same keys sign (RFC 8725 section 3.11).
        profile = Profile(Code.CUSTOMER_TOKEN_INVALID, "customer+jwt", issuer, audience, max_life)
        self._pattern: Final = pattern
        self._verifier: Final = Verifier(ring, profile, self._read)

    def verify(self, values: Sequence[str], now: float, revocations: Revocations) -> Session | Refusal:
        """Return the session that the header lines prove.

        CUSTOMER_TOKEN_INVALID also where it has ended, and REVOCATION_STALE where nobody can tell.
        """
        # One line: whoever checks the first of two and forwards the second has checked nothing (docs/threats.md D2.5).
        # Two tokens joined in one line fail as a token, for it has neither comma nor space.
        if len(values) != 1:
            return Refusal(Code.CUSTOMER_TOKEN_INVALID, f"{len(values)} header lines")
        proven = self._verifier.verify(values[0], now)
        if isinstance(proven, Refusal):
            return proven
        # Looked up once for each token and each change of what is known: a million log-outs take microseconds.
        if proven.cleared_by is not revocations.edition:
            if revocations.is_over(proven.session):
                return Refusal(Code.CUSTOMER_TOKEN_INVALID, "logged out")
            proven.cleared_by = revocations.edition
        if revocations.is_stale:
            return Refusal(Code.REVOCATION_STALE, retry_after=1)
        return proven.session

    def mint(self, session: Session, now: float, life: float) -> tuple[str, str, int]:
        """Return a new token, its id, and its expiry in epoch seconds.

        Raises ValueError for an id that does not fit the pattern and for what verification would refuse.
        """
        if not self._pattern.fullmatch(session.customer_id):
            raise ValueError("the customer id does not fit the configured pattern")
        token_id = secrets.token_hex(16)
        numbers = dict(zip(_NUMBERS, (session.number, session.version, session.id), strict=True))
        if _session(session.customer_id, numbers) != session or not session.id:
            raise ValueError("a session has numbers of the store")
        token, expires_at = self._verifier.mint(session.customer_id, token_id, now, life, **numbers)
        return token, token_id, expires_at

    def _read(self, claims: Claims) -> _Proven | None:
        if not self._pattern.fullmatch(claims.subject):
            return None
        numbers = {name: claims.extra[name] for name in _NUMBERS if name in claims.extra}
        # A token of an earlier release has none of them, and counts as version 0 until it expires.
        session = _session(claims.subject, numbers) if numbers else Session(claims.subject)
        return None if session is None else _Proven(session)


def _session(customer_id: str, numbers: Mapping[str, object]) -> Session | None:
    """Return a session with all of its numbers; None where one is missing or is none."""
    number, version, ident = (numbers.get(name) for name in _NUMBERS)
    # bool is an int in Python, hence the exact types.
    if type(number) is not int or type(version) is not int or type(ident) is not int:
        return None
    is_good = 0 < number < _NUMBER_CAP and 0 <= version < _NUMBER_CAP and 0 < ident < _NUMBER_CAP
    return Session(customer_id, number, version, ident) if is_good else None
