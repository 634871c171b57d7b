"""Verified tokens, remembered: what bearers and customer tokens have in common. It reads no headers."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from cachetools import LRUCache

from gateway.authn.keyring import Claims, KeyRing
from gateway.vocab.refusals import Code, Refusal

Value = TypeVar("Value")

# A little more than a KiB each: 5 MiB of each kind at the most.
_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Profile:
    """What tokens of one kind must say, and the code of their refusal. `max_life` is in seconds.

    Raises ValueError where a check would be void.
    """

    code: Code
    typ: str
    issuer: str
    audience: str
    max_life: float

    def __post_init__(self) -> None:
        # PyJWT skips a check whose expected value is absent (docs/threats.md D3.5): closed unless opened.
        if not (self.typ and self.issuer and self.audience and self.max_life > 0):
            raise ValueError("typ, issuer, audience and max_life must be set")


class Verifier(Generic[Value]):
    """Verifies tokens of one profile and keeps the last good ones, each under its whole text.

    `read` turns claims into the value to hand out; None where they are not of this kind. `scheme` is what may stand
    before a token. For one thread only.
    """

    def __init__(
        self,
        ring: KeyRing,
        profile: Profile,
        read: Callable[[Claims], Value | None],
        cache_size: int = _TOKENS,
        scheme: re.Pattern[str] | None = None,
    ) -> None:
        self._ring: Final = ring
        self._profile: Final = profile
        self._read: Final = read
        self._scheme: Final = scheme
        # Keyed by the whole value: all tokens of one key begin alike (docs/threats.md D4.1). All other inputs of the
        # decision are fixed for the life of this object (D4.2); what changes is checked on each use (D4.3).
        self._cache: Final[LRUCache[str, tuple[Claims, Value]]] = LRUCache(cache_size)

    def verify(self, token: str, now: float) -> Value | Refusal:
        """Return the value of a good token, or a refusal with the profile's code."""
        known: tuple[Claims, Value] | Refusal
        try:
            # `get` would look twice, and this is done twice for each request.
            known, is_remembered = self._cache[token], True
        except KeyError:
            known, is_remembered = self._prove(token), False
        if isinstance(known, Refusal):
            return known
        claims, value = known
        # Checked on each use, remembered or not. RFC 7519 section 4.1.4: not "on or after" the expiration time.
        if now >= claims.expires_at:
            self._cache.pop(token, None)
            return self._refuse("expired")
        # Only good tokens come here, and only we can make those: nobody else can fill the cache.
        if not is_remembered and self._cache.maxsize:
            self._cache[token] = known
        return value

    def mint(self, subject: str, token_id: str, now: float, life: float, **extra: Any) -> tuple[str, int]:
        """Sign a token for the subject; return it with its expiry.

        Raises ValueError for a life that verification would refuse.
        """
        issued_at, seconds = int(now), int(life)
        if not 0 < seconds <= self._profile.max_life:
            raise ValueError("life must be at least one second and at most max_life")
        claims = {
            "iss": self._profile.issuer,
            "aud": self._profile.audience,
            "sub": subject,
            "iat": issued_at,
            "exp": issued_at + seconds,
            "jti": token_id,
            **extra,
        }
        return self._ring.sign(claims, self._profile.typ), issued_at + seconds

    def _prove(self, token: str) -> tuple[Claims, Value] | Refusal:
        profile = self._profile
        if self._scheme is not None and (scheme := self._scheme.match(token)) is not None:
            token = token[scheme.end() :]
        claims = self._ring.verify(token, profile.typ, profile.issuer, profile.audience, profile.max_life)
        if isinstance(claims, str):
            return self._refuse(claims)
        value = self._read(claims)
        return self._refuse("claims are not of this kind") if value is None else (claims, value)

    def _refuse(self, detail: str) -> Refusal:
        return Refusal(self._profile.code, detail)
