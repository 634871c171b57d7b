"""Fuzz harness: no token is good but those that we minted, and a good one says exactly what was minted.

The first byte says how the rest becomes a token: as it is, spliced into one of ours, in place of a part of one, as a
payload or a header signed with our keys, or signed by a stranger. `$NOW` and `$END` in it become good times.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.authn.bearer import BearerVerifier
from gateway.authn.compact import decode_segment, encode_segment, read_object
from gateway.authn.customer import CustomerVerifier
from gateway.authn.keyring import Key, KeyRing, load_key
from gateway.authn.revocations import NOBODY
from gateway.vocab.messages import Caller, CallerKind, Session
from gateway.vocab.refusals import Refusal
from gateway.wire.body import encode
from tests.authn.forge import forge
from tests.sessions import session

ISSUER, AUDIENCE = "https://gateway.example", "shop"
MAX_LIFE = 30 * 86_400
NOW = datetime.now(UTC).timestamp()
PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")
SCHEME = re.compile(r"bearer:? +", re.IGNORECASE)


def _pem(private: Any) -> str:
    return str(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def _secret(first: int) -> Key:
    jwk = {"kty": "oct", "alg": "HS256", "kid": f"secret-{first}", "k": encode_segment(bytes(range(first, first + 32)))}
    return load_key(json.dumps(jwk))


# The same keys in each run, so that an input that was kept can be tried again.
KEYS = [
    load_key(_pem(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))),
    load_key(_pem(derive_private_key(1234567, SECP256R1()))),
    _secret(0),
]
STRANGERS = [
    load_key(_pem(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))),
    load_key(_pem(derive_private_key(7654321, SECP256R1()))),
    _secret(1),
]
RING = KeyRing(KEYS)
TYPES = ("bearer+jwt", "customer+jwt")


def _bearers(ring: KeyRing) -> BearerVerifier:
    return BearerVerifier(ring, ISSUER, AUDIENCE, MAX_LIFE)


def _customers(ring: KeyRing) -> CustomerVerifier:
    return CustomerVerifier(ring, ISSUER, AUDIENCE, MAX_LIFE, PATTERN)


BEARERS, CUSTOMERS = _bearers(RING), _customers(RING)
MINTED_BEARERS = {
    _bearers(KeyRing([key])).mint(kind, f"client-{kind}", NOW, MAX_LIFE)[0]: Caller(kind, client_id=f"client-{kind}")
    for key in KEYS
    for kind in (CallerKind.PUBLIC, CallerKind.TRUSTED)
}
MINTED_CUSTOMERS = {
    _customers(KeyRing([key])).mint(session(f"customer-{number}"), NOW, MAX_LIFE)[0]: session(f"customer-{number}")
    for number, key in enumerate(KEYS)
}
MINTED = [*MINTED_BEARERS, *MINTED_CUSTOMERS]


def one_input(data: bytes) -> None:
    """Make a token of the bytes and judge what becomes of it."""
    mode, choice, place, width, rest = (*data[:4].ljust(4, b"\0"), data[4:])
    rest = rest.replace(b"$NOW", b"%d" % NOW).replace(b"$END", b"%d" % (NOW + MAX_LIFE))
    _check_compact(rest)
    token = MINTED[choice % len(MINTED)]
    number = choice % len(KEYS)
    typ = TYPES[place % 2]
    match mode % 6:
        case 0:
            _judge(rest.decode("latin-1"))
        case 1:
            at = (place << 2) % (len(token) + 1)
            _judge(token[:at] + rest.decode("latin-1") + token[at + width :])
        case 2:
            parts = token.split(".")
            parts[place % 3] = rest.decode("latin-1") if width % 2 else encode_segment(rest)
            _judge(".".join(parts))
        case 3:
            signed = forge(KEYS[number], _header(KEYS[number], typ), rest)
            _judge(signed, allowed=_strict(rest))
        case 4:
            # With the key id of ours, for that is all a stranger knows.
            _judge(forge(STRANGERS[number], _header(KEYS[number], typ), rest or _claims()))
        case _:
            good = _strict(rest) in [_header(KEYS[number], typ) for typ in TYPES]
            _judge(forge(KEYS[number], rest, _claims()), allowed=_strict(_claims()) if good else None)


def _judge(token: str, *, allowed: dict[str, Any] | None = None) -> None:
    """Verify a token as both kinds; `allowed` are the claims where our keys signed it."""
    caller = BEARERS.verify(token, NOW)
    if not isinstance(caller, Refusal):
        bare = SCHEME.sub("", token, count=1)
        if bare in MINTED_BEARERS:
            assert caller == MINTED_BEARERS[bare]
        else:
            claims = _check_claims(allowed)
            assert claims["kind"] in {"public", "trusted"}
            assert caller == Caller(CallerKind(claims["kind"]), client_id=claims["sub"])
    customer = CUSTOMERS.verify([token], NOW, NOBODY)
    if not isinstance(customer, Refusal):
        if token in MINTED_CUSTOMERS:
            assert customer == MINTED_CUSTOMERS[token]
        else:
            claims = _check_claims(allowed)
            assert customer == Session(claims["sub"], *(claims.get(name, 0) for name in ("num", "ver", "sid")))
            assert PATTERN.fullmatch(customer.customer_id)
    assert isinstance(caller, Refusal) or isinstance(customer, Refusal), "good as both kinds"


def _check_claims(claims: dict[str, Any] | None) -> dict[str, Any]:
    """Say again, in other words than the key ring's, what a good token must say."""
    assert claims is not None, "a token was accepted that we did not sign, or that has two readings"
    assert (claims["iss"], claims["aud"]) == (ISSUER, AUDIENCE)
    assert type(claims["exp"]) is int
    assert type(claims["iat"]) is int
    assert NOW < claims["exp"] <= claims["iat"] + MAX_LIFE
    assert claims["iat"] <= datetime.now(UTC).timestamp() + 60
    for name in ("sub", "jti"):
        assert isinstance(claims[name], str)
        assert 0 < len(claims[name]) <= 128
        assert claims[name].isprintable()
    return claims


def _check_compact(data: bytes) -> None:
    """Judge how base64url and objects are read: strictly, in one spelling each."""
    text = data.decode("latin-1")
    decoded = decode_segment(text)
    assert decoded is None or encode_segment(decoded) == text
    assert decode_segment(encode_segment(data)) == data
    read = read_object(data)
    assert read is None or json.loads(encode(read)) == _strict(data)


def _header(key: Key, typ: str) -> dict[str, str]:
    return {"alg": key.algorithm.value, "typ": typ, "kid": key.kid}


def _claims() -> bytes:
    start = int(NOW)
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "customer-1", "iat": start, "exp": start + 600, "jti": "t"}
    return json.dumps({**claims, "kind": "public"}).encode()


def _strict(text: bytes) -> dict[str, Any] | None:
    """Read one JSON object without repeated names and constants of JavaScript; None for anything else."""
    try:
        read = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_never)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a repeated name")
    return read


def _never(name: str) -> NoReturn:
    raise ValueError(name)
