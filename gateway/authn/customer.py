"""Customer tokens: who is logged in. It does not know whether that customer still exists upstream."""

import re
import secrets
from collections.abc import Sequence
from typing import Final

from gateway.authn.keyring import Claims, KeyRing
from gateway.authn.verifier import Profile, Revoked, Verifier
from gateway.vocab.refusals import Code, Refusal

# What JavaScript makes of a token that is not there: an empty text, or the word for nothing.
_NOTHING: Final = frozenset({"", "undefined", "null"})


def is_nothing(values: Sequence[str]) -> bool:
    """Tell whether `X-Moltin-Customer-Token` lines are one that says in an app's words that nobody is logged in."""
    return len(values) == 1 and values[0] in _NOTHING


class CustomerVerifier:
    """Mints customer tokens and turns `X-Moltin-Customer-Token` lines into customer ids.

    `pattern` is what a whole customer id looks like: it ends up in paths and filters.
    """

    def __init__(
        self,
        ring: KeyRing,
        issuer: str,
        audience: str,
        max_life: float,
        pattern: re.Pattern[str],
        *,
        is_revoked: Revoked | None = None,
    ) -> None:
        # The type keeps bearers out, which the same keys sign (RFC 8725 section 3.11).
        profile = Profile(Code.CUSTOMER_TOKEN_INVALID, "customer+jwt", issuer, audience, max_life)
        self._pattern: Final = pattern
        self._verifier: Final = Verifier(ring, profile, self._read, is_revoked)

    def verify(self, values: Sequence[str], now: float) -> str | Refusal:
        """Return the customer id that the header lines prove, or CUSTOMER_TOKEN_INVALID."""
        # One line: whoever checks the first of two and forwards the second has checked nothing (docs/threats.md D2.5).
        # Two tokens joined in one line fail as a token, for it has neither comma nor space.
        if len(values) != 1:
            return Refusal(Code.CUSTOMER_TOKEN_INVALID, f"{len(values)} header lines")
        return self._verifier.verify(values[0], now)

    def mint(self, customer_id: str, now: float, life: float) -> tuple[str, str, int]:
        """Return a new token, its id, and its expiry in epoch seconds.

        Raises ValueError for an id that does not fit the pattern and for what verification would refuse.
        """
        if not self._pattern.fullmatch(customer_id):
            raise ValueError("the customer id does not fit the configured pattern")
        token_id = secrets.token_hex(16)
        token, expires_at = self._verifier.mint(customer_id, token_id, now, life)
        return token, token_id, expires_at

    def _read(self, claims: Claims) -> str | None:
        return claims.subject if self._pattern.fullmatch(claims.subject) else None
