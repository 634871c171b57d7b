"""Signing keys: made, read, and refused with a reason that gives nothing away."""

import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from gateway.authn.compact import encode_segment
from gateway.authn.key import Algorithm, KeyFault, generate, load_key

Private = (
    ed25519.Ed25519PrivateKey
    | ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
    | ed448.Ed448PrivateKey
    | dsa.DSAPrivateKey
)
SECRET_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "k"}
JWKS = {algorithm: json.loads(generate(algorithm)) for algorithm in Algorithm}


def pem(private: Private, passphrase: bytes | None = None) -> str:
    """Write the key as PKCS 8."""
    cover: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        cover = serialization.BestAvailableEncryption(passphrase)
    encoding, container = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return private.private_bytes(encoding, container, cover).decode()


def public_pem(private: Private) -> str:
    """Write the public part."""
    encoding, container = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(encoding, container).decode()


def jwk(algorithm: Algorithm, *drop: str, **changes: Any) -> str:
    """Write our JWK of the algorithm, with changes and without what is dropped."""
    members = {**JWKS[algorithm], **changes}
    return json.dumps({name: value for name, value in members.items() if name not in drop})


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_generated_key_can_be_loaded(algorithm: Algorithm) -> None:
    """What is generated loads as a key of that algorithm, under the same kid."""
    text = JWKS[algorithm]
    key = load_key(json.dumps(text))
    assert (key.algorithm, key.kid, text["use"]) == (algorithm, text["kid"], "sig")


@pytest.mark.parametrize("algorithm", Algorithm)
def test_the_kid_is_the_thumbprint(algorithm: Algorithm) -> None:
    """Without a kid of its own a key is named by the RFC 7638 thumbprint."""
    text = JWKS[algorithm]
    members = {name: text[name] for name in ("crv", "e", "k", "kty", "n", "x", "y") if name in text}
    digest = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
    assert load_key(jwk(algorithm, "kid")).kid == encode_segment(digest) == text["kid"]


def test_the_thumbprint_of_the_rfc() -> None:
    """The Ed25519 key of RFC 8037 appendix A gets the thumbprint printed in appendix A.3."""
    text = {
        "kty": "OKP",
        "crv": "Ed25519",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "alg": "EdDSA",
    }
    assert load_key(json.dumps(text)).kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_kid_of_its_own_is_kept() -> None:
    """A JWK may name itself."""
    assert load_key(jwk(Algorithm.EDDSA, kid="2026-01")).kid == "2026-01"


@pytest.mark.parametrize(
    ("private", "algorithm"),
    [
        (ed25519.Ed25519PrivateKey.generate(), Algorithm.EDDSA),
        (ec.generate_private_key(ec.SECP256R1()), Algorithm.ES256),
        (rsa.generate_private_key(65537, 2048), Algorithm.RS256),
    ],
)
def test_a_pem_key_decides_the_algorithm(private: Private, algorithm: Algorithm) -> None:
    """A PEM private key is good for the one algorithm of its type."""
    assert load_key(pem(private)).algorithm is algorithm


@pytest.mark.parametrize("algorithm", Algorithm)
def test_only_the_public_part_is_published(algorithm: Algorithm) -> None:
    """A public JWK holds no private member, and a shared secret has none at all."""
    public = load_key(jwk(algorithm)).public_jwk
    if algorithm is Algorithm.HS256:
        assert public is None
    else:
        assert public is not None
        assert not SECRET_MEMBERS & public.keys()
        assert public.items() <= JWKS[algorithm].items()


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_key_shows_its_name_only(algorithm: Algorithm) -> None:
    """The text form of a key is its kid and its algorithm."""
    key = load_key(jwk(algorithm, kid="k1"))
    assert repr(key) == str(key) == f"Key(kid='k1', algorithm={algorithm.value})"


EDDSA, ES256, RS256, HS256 = Algorithm
REFUSED = {
    "nothing": ("", "neither"),
    "no JSON": ("hello", "neither"),
    "not an object": ("[]", "neither"),
    "a repeated member": (jwk(HS256)[:-1] + ',"alg":"HS256"}', "neither"),
    "a lone surrogate": (jwk(EDDSA, kid="KID").replace("KID", "\ud800"), "neither"),
    "an escaped lone surrogate": (jwk(EDDSA, kid="\ud800"), "neither"),
    "no alg": (jwk(EDDSA, "alg"), "alg"),
    "alg none": (jwk(EDDSA, alg="none"), "alg"),
    "alg of another type": (jwk(EDDSA, alg=["EdDSA"]), "alg"),
    "unknown alg": (jwk(RS256, alg="RS512"), "alg"),
    "alg of another key type": (jwk(RS256, alg="HS256"), "contradicts"),
    "alg of another curve": (jwk(EDDSA, crv="Ed448"), "contradicts"),
    "P-384 as ES256": (jwk(ES256, crv="P-384"), "contradicts"),
    "a key for encryption": (jwk(EDDSA, use="enc"), "use"),
    "an empty kid": (jwk(EDDSA, kid=""), "kid"),
    "a kid that is a number": (jwk(EDDSA, kid=1), "kid"),
    "a kid with a line break": (jwk(EDDSA, kid="a\nb"), "kid"),
    "a kid of 129 characters": (jwk(EDDSA, kid="k" * 129), "kid"),
    "public Ed25519": (jwk(EDDSA, "d"), "public"),
    "public P-256": (jwk(ES256, "d"), "public"),
    "public RSA": (jwk(RS256, *SECRET_MEMBERS), "public"),
    "RSA without primes": (jwk(RS256, "p"), "lacks a member"),
    "a member that is a number": (jwk(EDDSA, d=5), "lacks a member"),
    "x of another key": (jwk(EDDSA, x=encode_segment(b"x" * 32)), "not a valid"),
    "a point off the curve": (jwk(ES256, x=encode_segment(b"x" * 32)), "not a valid"),
    "a short d": (jwk(EDDSA, d=encode_segment(b"d")), "not a valid"),
    "d that is no base64": (jwk(EDDSA, d="\xe9"), "not a valid"),
    "RSA whose numbers do not fit": (jwk(RS256, d="AQAB"), "not a valid"),
    "a short secret": (jwk(HS256, k=encode_segment(b"s" * 31)), "shorter than 32"),
    "an empty secret": (jwk(HS256, k=""), "shorter than 32"),
    "a secret with padding": (jwk(HS256, k=encode_segment(b"s" * 32) + "="), "base64url"),
    "RSA of 1024 bits": (pem(rsa.generate_private_key(65537, 1024)), "2048"),  # noqa: S505  the point
    "P-384": (pem(ec.generate_private_key(ec.SECP384R1())), "P-256"),
    "Ed448": (pem(ed448.Ed448PrivateKey.generate()), "neither Ed25519"),
    "DSA": (pem(dsa.generate_private_key(1024)), "neither Ed25519"),  # noqa: S505  it is made fast
    "an encrypted key": (pem(ed25519.Ed25519PrivateKey.generate(), b"passphrase"), "encrypted"),
    "a public PEM key": (public_pem(ed25519.Ed25519PrivateKey.generate()), "public key"),
    "a certificate": ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate"),
    "half a PEM file": (pem(ed25519.Ed25519PrivateKey.generate())[:60], "unreadable"),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_key_is_refused_with_a_reason(text: str, reason: str) -> None:
    """A key that cannot be trusted is a fault of one line, which holds no part of the key and no cause that does."""
    with pytest.raises(KeyFault) as caught:
        load_key(text)
    said = str(caught.value)
    assert reason in said
    assert "\n" not in said
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    for line in (*text.splitlines(), *SECRET_MEMBERS):
        assert len(line) < 8 or line not in said


@given(st.text() | st.builds(lambda body: f"-----BEGIN PRIVATE KEY-----\n{body}", st.text()))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Any text is a fault of the one kind."""
    with pytest.raises(KeyFault):
        load_key(text)
