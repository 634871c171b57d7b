"""The key ring: signs our tokens and verifies them. It keeps no state and knows neither callers nor customers.

This is the one place with `jwt.decode`. PyJWT reads the clock itself: the stated exception to purity.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import jwt
from jwt.types import Options

from gateway.authn.compact import decode_segment, read_object
from gateway.authn.key import Algorithm, Key, KeyFault, generate, load_key
from gateway.vocab.messages import Json

__all__ = ["Algorithm", "Claims", "Key", "KeyFault", "KeyRing", "generate", "load_key"]

# Ours have 300 to 700 characters; the cap bounds the work done for strangers (CVE-2025-30204, CVE-2025-27144).
_LENGTH: Final = 8 * 1024
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# Replicas' clocks differ. PyJWT grants one leeway for iat, nbf and exp alike; the verifiers check exp exactly.
_SKEW_SECONDS: Final = 60
_HEADER: Final = frozenset({"alg", "typ", "kid"})
_REQUIRED: Final = ("iss", "aud", "sub", "iat", "exp", "jti")
_OPTIONS: Final[Options] = {"require": list(_REQUIRED), "strict_aud": True, "enforce_minimum_key_length": True}
# The year 36,812: far beyond any life, and safe in every date library that may meet it.
_EXP_CAP: Final = 2**40
# Longest identifiers of known backends are 36 characters (UUID).
_NAME_LENGTH: Final = 128


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says. Times are whole epoch seconds; `extra` holds the claims that are not registered."""

    subject: str
    expires_at: int
    issued_at: int
    token_id: str
    extra: Mapping[str, Any]


class KeyRing:
    """The keys in use: the first signs, all of them verify. Raises KeyFault for no key or a repeated kid."""

    def __init__(self, keys: Sequence[Key]) -> None:
        if not keys:
            raise KeyFault("the key ring holds no key")
        self._keys = {key.kid: key for key in keys}
        if len(self._keys) != len(keys):
            raise KeyFault("two keys of the ring share one kid")
        self._signer = keys[0]

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(map(repr, self._keys.values()))})"

    def sign(self, claims: Mapping[str, Any], typ: str) -> str:
        """Sign the claims with the first key."""
        key = self._signer
        return jwt.encode(dict(claims), key.signing, key.algorithm.value, {"kid": key.kid, "typ": typ})

    def verify(self, token: str, typ: str, issuer: str, audience: str, max_life: float) -> Claims | str:
        """Return what the token says, or the private reason why it is not good.

        Expiry is checked by PyJWT's clock and with its leeway of one minute: compare `expires_at` yourself.
        """
        # Length and charset come before any split, so that no parser meets what is not a token (docs/threats.md D3.10).
        if len(token) > _LENGTH or not _SHAPE.fullmatch(token):
            return "not a compact token"
        header, payload, signature = map(decode_segment, token.split("."))
        if header is None or payload is None or signature is None:
            return "base64url with a second spelling"
        key = self._key_for(header, typ)
        if isinstance(key, str):
            return key
        try:
            jwt.decode(  # noqa: TID251  the one place that verifies tokens
                token,
                key.verifying,
                # The key's own, never the header's: one key, one algorithm (docs/threats.md D3.1).
                algorithms=[key.algorithm.value],
                options=_OPTIONS,
                issuer=issuer,
                audience=audience,
                leeway=_SKEW_SECONDS,
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as fault:
            return f"refused by PyJWT: {type(fault).__name__}"
        return _read_claims(payload, max_life)

    def public_jwks(self) -> Json:
        """Return the JWK set to publish; shared secrets are left out."""
        return {"keys": [dict(key.public_jwk) for key in self._keys.values() if key.public_jwk is not None]}

    def _key_for(self, text: bytes, typ: str) -> Key | str:
        header = read_object(text)
        if header is None:
            return "header is not one JSON object"
        # Exactly these: crit, b64, zip, jku, jwk, x5u and x5c each change how a token is to be read or trusted.
        if header.keys() != _HEADER:
            return "header members are not alg, typ and kid"
        kid = header["kid"]
        # A dictionary key and nothing else: no path, no query, no address (docs/threats.md D3.4).
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            return "unknown kid"
        if header["alg"] != key.algorithm.value:
            return "alg is not the key's"
        if header["typ"] != typ:
            return f"typ is not {typ}"
        return key


def _read_claims(payload: bytes, max_life: float) -> Claims | str:
    # PyJWT took the last of repeated claims and numbers in any dress; what we hand out is read strictly.
    claims = read_object(payload)
    if claims is None:
        return "payload is not one JSON object"
    expires_at, issued_at = claims["exp"], claims["iat"]
    # bool is an int in Python, hence the exact types.
    if any(type(time) is not int for time in (expires_at, issued_at, claims.get("nbf", 0))):
        return "exp, iat or nbf is not an integer"
    if not issued_at < expires_at < _EXP_CAP:
        return "exp is out of range"
    if expires_at - issued_at > max_life:
        return "life is longer than allowed"
    subject, token_id = claims["sub"], claims["jti"]
    if not _is_name(subject) or not _is_name(token_id):
        return "sub or jti is not a name"
    extra = {name: value for name, value in claims.items() if name not in _REQUIRED and name != "nbf"}
    return Claims(subject, expires_at, issued_at, token_id, MappingProxyType(extra))


def _is_name(value: object) -> bool:
    # isprintable also keeps out lone surrogates, which no encoder can write later.
    return isinstance(value, str) and 0 < len(value) <= _NAME_LENGTH and value.isprintable()
