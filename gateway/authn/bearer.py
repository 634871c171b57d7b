"""Bearers: the tokens with which a front end or a server proves which client it is. Customers are in customer.py."""

import re
import secrets
from typing import Final

from gateway.authn.keyring import Claims, KeyRing
from gateway.authn.verifier import Profile, Verifier
from gateway.vocab.messages import Caller, CallerKind
from gateway.vocab.refusals import Code, Refusal

# docs/upstream.md section 1: SDKs send `Bearer X` and `Bearer: X`, and snippets in the documentation send a bare `X`.
_SCHEME: Final = re.compile(r"bearer:? +", re.IGNORECASE | re.ASCII)
_KINDS: Final = {kind.value: kind for kind in (CallerKind.PUBLIC, CallerKind.TRUSTED)}


class BearerVerifier:
    """Mints bearers and turns `Authorization` values into callers."""

    def __init__(self, ring: KeyRing, issuer: str, audience: str, max_life: float) -> None:
        # The type keeps customer tokens out, which the same keys sign (RFC 8725 section 3.11).
        profile = Profile(Code.BEARER_INVALID, "bearer+jwt", issuer, audience, max_life)
        self._verifier: Final = Verifier(ring, profile, _read, scheme=_SCHEME)

    def verify(self, header_value: str, now: float) -> Caller | Refusal:
        """Return the caller that the header value proves, or BEARER_INVALID."""
        return self._verifier.verify(header_value, now)

    def mint(self, kind: CallerKind, client_id: str, now: float, life: float) -> tuple[str, int]:
        """Return a new bearer and its expiry in epoch seconds.

        Raises ValueError for customers, who are not clients, and for what verification would refuse.
        """
        if kind.value not in _KINDS:
            raise ValueError("a bearer is for public and trusted callers")
        return self._verifier.mint(client_id, secrets.token_hex(16), now, life, kind=kind.value)


def _read(claims: Claims) -> Caller | None:
    kind = claims.extra.get("kind")
    known = _KINDS.get(kind) if isinstance(kind, str) else None
    return None if known is None else Caller(known, client_id=claims.subject)
