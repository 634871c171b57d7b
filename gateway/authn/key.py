"""Signing keys: made, read from JWK or PEM, and tied to one algorithm each. It signs and verifies no tokens."""

import hashlib
import json
import secrets
from dataclasses import dataclass

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway.authn.compact import decode_segment, encode_segment, read_object
from gateway.vocab.algorithm import Algorithm
from gateway.vocab.messages import Json

__all__ = ["Algorithm", "Key", "KeyFault", "PrivateKey", "generate", "load_key"]

# RFC 7518 section 3.2: a key of the size of the hash output or larger.
_SECRET_BYTES = 32
# RFC 7518 section 3.3 is the floor for keys that are given to us; new ones have the 128 bit strength of the others.
_RSA_BITS_LEAST = 2048
_RSA_BITS_NEW = 3072
# `kid` travels in each token and stands in log lines: a name, not a document.
_KID_LENGTH = 128

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey
Signing = PrivateKey | bytes
Verifying = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey | bytes


# RFC 7638 section 3.2 and RFC 8037 section 2: the members of a thumbprint, which are also all that is public.
_PUBLIC_MEMBERS = {
    "OKP": ("crv", "kty", "x"),
    "EC": ("crv", "kty", "x", "y"),
    "RSA": ("e", "kty", "n"),
    "oct": ("k", "kty"),
}
_PRIVATE_MEMBERS = {"OKP": ("d",), "EC": ("d",), "RSA": ("d", "p", "q", "dp", "dq", "qi"), "oct": ()}
_KTY = {Algorithm.EDDSA: "OKP", Algorithm.ES256: "EC", Algorithm.RS256: "RSA", Algorithm.HS256: "oct"}
_CURVE = {Algorithm.EDDSA: "Ed25519", Algorithm.ES256: "P-256"}


class KeyFault(Exception):  # noqa: N818  a fault of the configuration, named as the other faults are
    """A key cannot be used. The text is one line and never holds key material."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Key:
    """One key, good for one algorithm. `public_jwk` is None for a shared secret, which is never published."""

    kid: str
    algorithm: Algorithm
    signing: Signing
    verifying: Verifying
    public_jwk: Json | None

    def __repr__(self) -> str:
        return f"Key(kid={self.kid!r}, algorithm={self.algorithm.value})"


def generate(algorithm: Algorithm) -> str:
    """Make a new private key, as JWK text that `load_key` reads."""
    members = _new_members(algorithm)
    return json.dumps({**members, "alg": algorithm.value, "kid": _thumbprint(members), "use": "sig"})


def load_key(text: str) -> Key:
    """Read a private key: JWK JSON as `generate` writes it, or an unencrypted PEM file.

    Raises KeyFault with the reason.
    """
    return _from_pem(text) if "-----BEGIN" in text else _from_jwk(text)


def _new_members(algorithm: Algorithm) -> Json:
    if algorithm is Algorithm.HS256:
        return {"kty": "oct", "k": encode_segment(secrets.token_bytes(_SECRET_BYTES))}
    if algorithm is Algorithm.RS256:
        members = RSAAlgorithm.to_jwk(generate_rsa(65537, _RSA_BITS_NEW), as_dict=True)
        return {name: value for name, value in members.items() if name != "key_ops"}
    if algorithm is Algorithm.ES256:
        return ECAlgorithm.to_jwk(generate_private_key(SECP256R1()), as_dict=True)
    return OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate(), as_dict=True)


def _thumbprint(members: Json) -> str:
    # RFC 7638 section 3: the required members only, sorted, without white space.
    required = {name: members[name] for name in sorted(_PUBLIC_MEMBERS[members["kty"]])}
    return encode_segment(hashlib.sha256(json.dumps(required, separators=(",", ":")).encode("ascii")).digest())


def _from_pem(text: str) -> Key:
    try:
        private = load_pem_private_key(text.strip().encode("utf-8"), password=None)
    except TypeError:
        raise KeyFault("the PEM key is encrypted; give it without a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        reason = "a public key or certificate cannot sign" if _is_public(text) else "the PEM private key is unreadable"
        raise KeyFault(reason) from None
    if not isinstance(private, PrivateKey):
        raise KeyFault("the PEM key is neither Ed25519, P-256 nor RSA")
    return _from_private(private, None)


def _is_public(text: str) -> bool:
    return "PUBLIC KEY-----" in text or "CERTIFICATE-----" in text


def _from_jwk(text: str) -> Key:
    jwk = read_object(text.encode("utf-8", "surrogatepass"))
    if jwk is None:
        raise KeyFault("the key is neither a PEM private key nor a JWK (one JSON object without repeated members)")
    try:
        algorithm = Algorithm(jwk.get("alg", ""))
    except ValueError:
        raise KeyFault(f"the JWK's alg is not one of {', '.join(Algorithm)}") from None
    kty = _KTY[algorithm]
    if jwk.get("kty") != kty or jwk.get("crv") != _CURVE.get(algorithm):
        raise KeyFault(f"the JWK's kty or crv contradicts its alg {algorithm.value}")
    if jwk.get("use", "sig") != "sig":
        raise KeyFault("the JWK's use is not sig")
    kid = jwk.get("kid")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= _KID_LENGTH and kid.isprintable()):
        raise KeyFault(f"the JWK's kid is not a printable text of 1 to {_KID_LENGTH} characters")
    members = {name: jwk.get(name) for name in (*_PUBLIC_MEMBERS[kty], *_PRIVATE_MEMBERS[kty])}
    if not all(isinstance(value, str) for value in members.values()):
        raise KeyFault("the JWK lacks a member of a private key; a public key cannot sign")
    if algorithm is Algorithm.HS256:
        return _from_secret(members, kid)
    try:
        # `members` holds the private part, so that a private key is the only thing it can become.
        private: PrivateKey = jwt.PyJWK(members, algorithm).key
    # The libraries' messages may quote the members, so none of them is passed on.
    except (jwt.PyJWTError, OverflowError, UnsupportedAlgorithm):
        raise KeyFault("the JWK's members are not a valid private key") from None
    return _from_private(private, kid)


def _from_secret(members: Json, kid: str | None) -> Key:
    secret = decode_segment(members["k"])
    if secret is None:
        raise KeyFault("the JWK's k is not base64url without padding")
    if len(secret) < _SECRET_BYTES:
        raise KeyFault(f"the HS256 secret is shorter than {_SECRET_BYTES} bytes")
    return Key(kid or _thumbprint(members), Algorithm.HS256, secret, secret, None)


def _from_private(private: PrivateKey, kid: str | None) -> Key:
    # The public part is computed from the private one, never taken from the file.
    match private:
        case RSAPrivateKey():
            if private.key_size < _RSA_BITS_LEAST:
                raise KeyFault(f"the RSA key is shorter than {_RSA_BITS_LEAST} bits")
            algorithm, members = Algorithm.RS256, RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case EllipticCurvePrivateKey():
            if not isinstance(private.curve, SECP256R1):
                raise KeyFault("the EC key is not on the curve P-256")
            algorithm, members = Algorithm.ES256, ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case _:
            algorithm, members = Algorithm.EDDSA, OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    public = {name: members[name] for name in _PUBLIC_MEMBERS[_KTY[algorithm]]}
    kid = kid or _thumbprint(members)
    jwk = {**public, "alg": algorithm.value, "kid": kid, "use": "sig"}
    return Key(kid, algorithm, private, private.public_key(), jwk)
