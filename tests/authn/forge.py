"""Tokens as an attacker or a broken minter would write them: any header, any payload, any key."""

import functools
import json
from datetime import UTC, datetime
from typing import Any

from jwt.algorithms import get_default_algorithms

from gateway.authn.compact import encode_segment
from gateway.authn.keyring import Algorithm, Claims, Key, KeyRing, generate, load_key

ISSUER = "https://gateway.example"
AUDIENCE = "shop"
TYP = "bearer+jwt"
MAX_LIFE = 3600.0


def now() -> float:
    """Tell the real time: PyJWT reads that clock too."""
    return datetime.now(UTC).timestamp()


@functools.cache
def key(algorithm: Algorithm, name: str = "ours") -> Key:
    """Make one key for each algorithm and name; RSA keys take a while."""
    assert name
    return load_key(generate(algorithm))


def ring(algorithm: Algorithm = Algorithm.EDDSA) -> KeyRing:
    """Make a ring with our key of the algorithm."""
    return KeyRing([key(algorithm)])


def claims(*drop: str, **changes: Any) -> dict[str, Any]:
    """Make good claims, with changes and without what is dropped."""
    start = int(now())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "client-1",
        "iat": start,
        "exp": start + 600,
        "jti": "token-1",
        "kind": "public",
    }
    return {name: value for name, value in {**good, **changes}.items() if name not in drop}


def header(signer: Key, *drop: str, **changes: Any) -> dict[str, Any]:
    """Make a good header, with changes and without what is dropped."""
    good = {"alg": signer.algorithm.value, "typ": TYP, "kid": signer.kid}
    return {name: value for name, value in {**good, **changes}.items() if name not in drop}


def forge(signer: Key, head: dict[str, Any] | bytes, payload: dict[str, Any] | bytes) -> str:
    """Sign exactly these bytes with the key."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (head, payload)]
    signed = ".".join(map(encode_segment, parts))
    return f"{signed}.{encode_segment(signature(signer, signed.encode()))}"


def signature(signer: Key, message: bytes) -> bytes:
    """Sign the bytes with the key."""
    return get_default_algorithms()[signer.algorithm.value].sign(message, signer.signing)


def verify(token: str, keys: KeyRing | None = None) -> Claims | str:
    """Verify as a bearer of the test issuer."""
    return (keys or ring()).verify(token, TYP, ISSUER, AUDIENCE, MAX_LIFE)
