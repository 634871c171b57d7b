"""Forged tokens on the wire (D3): 403 for customer tokens, 401 for bearers, and nothing goes upstream.

The tables of tests/authn prove which check refuses what; here each class goes through the door, as both kinds of token.
"""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.authn.compact import encode_segment
from gateway.authn.key import Algorithm, Key
from gateway.demo.data import LESLIE_ID, RON, RON_ID
from tests.attacks.field import ON_ONE_LOOP, PROBE, Field, Outcome, assert_clean, assert_refused, every, fielded
from tests.authn import forge
from tests.gateways import STOREFRONT, TRUSTED
from tests.sessions import session

pytestmark = ON_ONE_LOOP

KINDS = ("customer token", "bearer")
Header = dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rsa(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Field]:
    """Give a gateway that signs with RSA, whose public key anybody can read."""
    async with fielded(tmp_path_factory.mktemp("rsa"), algorithm=Algorithm.RS256) as running:
        yield running


def claims(kind: str, /, *drop: str, **changes: Any) -> dict[str, Any]:
    """Make claims that are good for this gateway, with changes and without what is dropped."""
    # Of a session that no log-out ends, or that would be what they are refused for.
    lasting = session(LESLIE_ID)
    numbers = {"num": lasting.number, "ver": lasting.version, "sid": lasting.id}
    own = {"sub": LESLIE_ID, **numbers} if kind == "customer token" else {"sub": TRUSTED, "kind": "trusted"}
    drop = (*drop, "kind") if kind == "customer token" else drop
    return forge.claims(*drop, **{"iss": "customer-token-gateway", "aud": "storefront", **own, **changes})


def header(key: Key, kind: str, /, *drop: str, **changes: Any) -> Header:
    """Make a header that is good for this gateway, with changes and without what is dropped."""
    typ = "customer+jwt" if kind == "customer token" else "bearer+jwt"
    return forge.header(key, *drop, **{"typ": typ, **changes})


def good(field: Field, kind: str, /, **changes: Any) -> str:
    """Sign a token with the gateway's own key."""
    return forge.forge(field.key, header(field.key, kind), claims(kind, **changes))


async def show(field: Field, kind: str, token: str | bytes) -> Outcome:
    """Send a token where it would open the most: all orders for a trusted bearer, somebody's own for a customer."""
    text = token if isinstance(token, bytes) else token.encode()
    if kind == "customer token":
        lines = [f"Authorization: Bearer {field.bearer}".encode(), b"X-Moltin-Customer-Token: " + text]
    else:
        lines = [b"Authorization: Bearer " + text]
    raw = b"\r\n".join([b"GET /v2/orders HTTP/1.1", b"Host: shop.example", *lines, b"", b""])
    return await field.attack(raw, me=None)


def assert_dead(outcome: Outcome, kind: str, *others: int) -> None:
    """Check for the refusal of a dead token of this kind; `others` are statuses of heads that are no HTTP."""
    assert_refused(outcome, 403 if kind == "customer token" else 401, *others)
    if outcome.status in {401, 403}:
        assert outcome.first.code == ("CUSTOMER_TOKEN_INVALID" if kind == "customer token" else "BEARER_INVALID")


@every(kind=KINDS)
async def test_the_forger_knows_the_key(field: Field, kind: str) -> None:
    """Unchanged, the forged tokens are good: what is refused below is refused for its change."""
    token = good(field, kind, sub=RON_ID if kind == "customer token" else TRUSTED)
    lines = [f"X-Moltin-Customer-Token: {token}", f"Authorization: Bearer {field.bearer}"]
    proof = lines if kind == "customer token" else [f"Authorization: Bearer {token}"]
    outcome = await field.attack(field.request("GET", f"/v2/customers/{RON_ID}", proof=proof), me=RON)
    assert outcome.status == 200
    assert outcome.first.json()["data"]["id"] == RON_ID


ALGORITHMS = (
    "none",
    "None",
    "NONE",
    "nOnE",
    "none ",
    "",
    "HS256",
    "hs256",
    "RS256",
    "ES256",
    "PS256",
    "EdDSA ",
    "ed25519",
    "HS512",
)
SIGNATURES = ("own", "empty", "zeros", "cut")


@every(kind=KINDS, alg=ALGORITHMS, signed=SIGNATURES)
async def test_d3_2_alg_none(field: Field, kind: str, alg: str, signed: str) -> None:
    """The algorithm is the key's, whatever the header says, and the signature is required (D3.2)."""
    whole = forge.forge(field.key, header(field.key, kind, alg=alg), claims(kind))
    body, _, signature = whole.rpartition(".")
    token = {"own": whole, "empty": f"{body}.", "zeros": f"{body}.{'A' * 86}", "cut": f"{body}.{signature[:-4]}"}[
        signed
    ]
    assert_dead(await show(field, kind, token), kind)


@every(kind=KINDS, drop=["alg", "typ", "kid", "signature", "all of the header"])
async def test_d3_2_missing_parts(field: Field, kind: str, drop: str) -> None:
    """A token that lacks a part or a member of its header is refused (D3.2)."""
    head: Header | bytes = b"{}" if drop == "all of the header" else header(field.key, kind, drop)
    token = forge.forge(field.key, head, claims(kind))
    assert_dead(await show(field, kind, token.rpartition(".")[0] if drop == "signature" else token), kind)


SECRETS: dict[str, Callable[[Key], bytes]] = {
    "PEM": lambda key: public_bytes(key, Encoding.PEM),
    "PEM stripped": lambda key: public_bytes(key, Encoding.PEM).strip(),
    "DER": lambda key: public_bytes(key, Encoding.DER),
    "JWK": lambda key: json.dumps(dict(key.public_jwk or {})).encode(),
    "compact JWK": lambda key: json.dumps(dict(key.public_jwk or {}), separators=(",", ":")).encode(),
    "modulus": lambda key: str((key.public_jwk or {})["n"]).encode(),
    "kid": lambda key: key.kid.encode(),
    "empty": lambda key: key.kid[:0].encode(),
}


def public_bytes(key: Key, encoding: Encoding) -> bytes:
    """Write the public part of an asymmetric key."""
    assert not isinstance(key.verifying, bytes)
    return key.verifying.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


@every(kind=KINDS, secret=SECRETS, alg=["HS256", "RS256"])
async def test_cve_2026_39999_public_key_as_secret(
    rsa: Field, kind: str, secret: Callable[[Key], bytes], alg: str
) -> None:
    """HMAC under the text of our public key is refused (D3.1 APISIX; PyJWT CVE-2022-29217, CVE-2026-48526)."""
    attacker = Key(rsa.key.kid, Algorithm.HS256, secret(rsa.key), secret(rsa.key), None)
    token = forge.forge(attacker, header(attacker, kind, alg=alg), claims(kind))
    assert_dead(await show(rsa, kind, token), kind)


EXTRAS = {
    "crit exp": {"crit": ["exp"]},
    "crit unknown": {"crit": ["x"], "x": 1},
    "crit empty": {"crit": []},
    "crit b64": {"crit": ["b64"], "b64": False},
    "b64 false": {"b64": False},
    "zip": {"zip": "DEF"},
    "jku metadata": {"jku": "http://169.254.169.254/"},
    "x5u": {"x5u": "https://evil.example/x"},
    "x5c": {"x5c": ["MIIB"]},
    "jwk of theirs": {"jwk": dict(forge.key(Algorithm.EDDSA, "theirs").public_jwk or {})},
    "cty": {"cty": "JWT"},
    "nested enc": {"enc": "A256GCM", "alg": "dir"},
}


@every(kind=KINDS, extra=EXTRAS, signer=["ours", "theirs"])
async def test_cve_2026_32597_crit_and_kin(field: Field, kind: str, extra: dict[str, Any], signer: str) -> None:
    """Any further member of the header is refused; nothing is fetched (D3.3 PyJWT, Authlib CVE-2025-59420; D3.4)."""
    key = field.key if signer == "ours" else forge.key(Algorithm.EDDSA, "theirs")
    token = forge.forge(key, header(field.key, kind, **extra), claims(kind))
    assert_dead(await show(field, kind, token), kind)


@every(kind=KINDS, at=["jku", "x5u"])
async def test_d3_4_nothing_is_fetched(field: Field, kind: str, at: str) -> None:
    """An address in a header is not asked, not even our own upstream's (D3.4, D3.15)."""
    key = forge.key(Algorithm.EDDSA, "theirs")
    address = f"{field.site.commerce.url}/jwks"
    token = forge.forge(key, header(key, kind, **{at: address}), claims(kind))
    outcome = await show(field, kind, token)
    assert_dead(outcome, kind)
    assert {request.path for request in field.site.commerce.all_requests} <= {PROBE}


KIDS: dict[str, object] = {
    "path": "../../dev/null", "device": "/dev/null", "SQL": "' OR 1=1--", "file": "file:///etc/passwd", "empty": "",
    "shell": "|id", "null": None, "zero": 0, "true": True, "list": ["k"], "object": {"k": "v"},
    "other": "kid-of-nobody",
    "long": "k" * 3000, "traversal to a key": "../signing.jwk", "LDAP": "*)(kid=*",
}  # fmt: skip


@every(kind=KINDS, kid=KIDS, signer=["ours", "nothing"])
async def test_d3_4_kid(field: Field, kind: str, kid: object, signer: str) -> None:
    """A kid is a dictionary key into our own keys and nothing else (D3.4)."""
    key = field.key if signer == "ours" else Key("", Algorithm.HS256, b"", b"", None)
    assert_dead(await show(field, kind, forge.forge(key, header(key, kind, kid=kid), claims(kind))), kind)


@every(kind=KINDS, number=[str(number) for number in range(5)])
async def test_ghsa_fhv5_random_kids(field: Field, kind: str, number: str) -> None:
    """A flood of kids costs no request of ours (D3.14)."""
    key = forge.key(Algorithm.EDDSA, f"flood {number}")
    assert_dead(await show(field, kind, forge.forge(key, header(key, kind), claims(kind))), kind)
    assert {request.path for request in field.site.commerce.all_requests} <= {PROBE}


SCOPE_VALUES: tuple[Any, ...] = (
    "other", "", None, [], {}, 1, True, ["storefront"], ["storefront", "other"], "storefront ", "STOREFRONT",
    "customer-token-gateway/", ["customer-token-gateway"],
)  # fmt: skip
SCOPES: dict[str, dict[str, Any]] = {
    f"{name} {value!r}": {name: value} for name in ("iss", "aud") for value in SCOPE_VALUES
}


@every(kind=KINDS, changes=SCOPES)
async def test_cve_2026_55689_other_issuer_or_audience(field: Field, kind: str, changes: dict[str, Any]) -> None:
    """Issuer and audience are exactly ours (D3.5 OpenFGA, ZITADEL CVE-2026-55669)."""
    assert_dead(await show(field, kind, good(field, kind, **changes)), kind)


@every(kind=KINDS, name=["iss", "aud", "sub", "iat", "exp", "jti"], how=["missing", "null", "object", "list"])
async def test_ghsa_wxg7_missing_claims(field: Field, kind: str, name: str, how: str) -> None:
    """Each claim is required and of its type (D3.6, ZITADEL, APISIX #13468)."""
    values: dict[str, Any] = {"null": None, "object": {"a": 1}, "list": ["a"]}
    said = claims(kind, name) if how == "missing" else claims(kind, **{name: values[how]})
    assert_dead(await show(field, kind, forge.forge(field.key, header(field.key, kind), said)), kind)


NOW = int(forge.now())
TIMES: dict[str, dict[str, Any]] = {
    "expired": {"iat": NOW - 900, "exp": NOW - 1},
    "expired long ago": {"iat": 1, "exp": 2},
    "exp as text": {"exp": str(NOW + 600)},
    "exp as float": {"exp": NOW + 600.5},
    "exp true": {"exp": True},
    "exp 10**18": {"exp": 10**18},
    "exp -1": {"exp": -1},
    "exp infinite": {"exp": float("inf")},
    "exp NaN": {"exp": float("nan")},
    "exp 9999 nines": {"exp": "NINES"},
    "exp 1e999": {"exp": "1E999"},
    "exp before iat": {"iat": NOW, "exp": NOW - 5},
    "a life of a year": {"exp": NOW + 365 * 86400},
    "iat in the future": {"iat": NOW + 7200, "exp": NOW + 7800},
    "iat as text": {"iat": str(NOW)},
    "iat true": {"iat": True},
    "iat of 1970": {"iat": 0},
    "nbf in the future": {"nbf": NOW + 7200},
    "nbf as text": {"nbf": str(NOW)},
    "nbf null": {"nbf": None},
    "nbf true": {"nbf": True},
}


@every(kind=KINDS, changes=TIMES)
async def test_d3_6_times(field: Field, kind: str, changes: dict[str, Any]) -> None:
    """Times are whole numbers, in order, in range and within the life that we give (D3.6)."""
    payload = json.dumps(claims(kind, **changes))
    payload = payload.replace('"NINES"', "9" * 4000).replace('"1E999"', "1e999")
    token = forge.forge(field.key, header(field.key, kind), payload.encode())
    assert_dead(await show(field, kind, token), kind)


@every(kind=KINDS, name=["sub", "exp", "aud", "iss", "jti", "iat"], how=["first", "last", "escaped"])
async def test_d3_8_repeated_claims(field: Field, kind: str, name: str, how: str) -> None:
    """A claim that stands twice is refused: parsers differ in which of the two they take (D.0, PyJWT)."""
    said = claims(kind)
    member = f"{json.dumps(name)}: {json.dumps(said[name])}"
    spelled = member if how != "escaped" else f'"\\u{ord(name[0]):04x}{member[2:]}'
    text = json.dumps(said)
    payload = f"{{{spelled}, {text[1:]}" if how == "first" else f"{text[:-1]}, {spelled}}}"
    assert_dead(await show(field, kind, forge.forge(field.key, header(field.key, kind), payload.encode())), kind)


SUBJECTS: dict[str, object] = {
    "filter": "x),eq(id,*", "filter with or": f"{RON_ID})|eq(customer_id,{LESLIE_ID}", "wildcard": "*",
    "comma": f"{RON_ID},x",
    "path": f"../customers/{LESLIE_ID}", "slash": f"{RON_ID}/addresses", "query": f"{RON_ID}?x", "escaped": "%2e%2e",
    "empty": "", "space": f"{RON_ID} ", "NUL": f"{RON_ID}\0", "line": f"{RON_ID}\r\nX: y", "surrogate": "\ud800",
    "number": 1, "list": [RON_ID], "object": {"id": RON_ID}, "true": True, "long": "c" * 65, "dots": "..", "dot": "a.b",
    "fullwidth": "\uff431", "quote": '"', "template": "{id}", "colon": "a:b",
}  # fmt: skip


@every(subject=SUBJECTS)
async def test_d3_7_subjects_that_are_no_customer_id(field: Field, subject: object) -> None:
    """A subject that could mean something in a filter or a path is refused, under our own signature (D.0)."""
    assert_dead(await show(field, "customer token", good(field, "customer token", sub=subject)), "customer token")


@every(
    kind_claim={
        repr(value): value for value in ("customer", "admin", "TRUSTED", "", None, 1, ["trusted"], {"trusted": True})
    }
)
async def test_d3_6_bearers_are_of_two_kinds(field: Field, kind_claim: object) -> None:
    """A bearer of another kind than public and trusted is refused."""
    assert_dead(await show(field, "bearer", good(field, "bearer", kind=kind_claim)), "bearer")


@every(subject=[STOREFRONT, "nobody", "", "*"])
async def test_d3_5_bearers_of_clients_that_are_not_configured(field: Field, subject: str) -> None:
    """A bearer for a client that is not trusted by the configuration is refused (D3.5)."""
    assert_dead(await show(field, "bearer", good(field, "bearer", sub=subject)), "bearer")


async def test_d3_5_tokens_are_kept_apart_by_their_type(field: Field) -> None:
    """A bearer is no customer token and a customer token no bearer, though one key signs both (RFC 8725 3.11)."""
    for token in (field.bearer, field.trusted):
        assert_dead(await show(field, "customer token", token), "customer token")
    for token in (field.token, field.stolen):
        assert_dead(await show(field, "bearer", token), "bearer")


TYPES = ("JWT", "at+jwt", "CUSTOMER+JWT", "application/customer+jwt", "", "refresh+jwt", "swapped")


@every(kind=KINDS, typ=TYPES)
async def test_d3_5_types_are_exact(field: Field, kind: str, typ: str) -> None:
    """A token of another type is refused, whoever signed it."""
    swapped = "bearer+jwt" if kind == "customer token" else "customer+jwt"
    head = header(field.key, kind, typ=swapped if typ == "swapped" else typ)
    assert_dead(await show(field, kind, forge.forge(field.key, head, claims(kind))), kind)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "padding": lambda token: token + "=",
    "two paddings": lambda token: token + "==",
    "escaped padding": lambda token: token + "%3d",
    "padding inside": lambda token: token.replace(".", "=.", 1),
    "space inside": lambda token: token.replace(".", " .", 1),
    "tab inside": lambda token: token.replace(".", "\t.", 1),
    "double quotes": lambda token: f'"{token}"',
    "single quotes": lambda token: f"'{token}'",
    "scheme": lambda token: f"Bearer {token}",
    "scheme with a colon": lambda token: f"Bearer: {token}",
    "two tokens": lambda token: f"{token},{token}",
    "a fourth part": lambda token: token + ".AAAA",
    "five parts": lambda token: token + ".AAAA.AAAA",
    "trailing dot": lambda token: token + ".",
    "leading dot": lambda token: "." + token,
    "cut": lambda token: token[:-1],
    "last bits": lambda token: token[:-1] + chr(ord(token[-1]) + 1),
    "standard base64": lambda token: token + "+/",
    "other capitals": lambda token: token.swapcase(),
    "semicolon": lambda token: token + ";x=1",
    "bytes beyond ASCII": lambda token: token + "\N{FULLWIDTH DIGIT ONE}",
    "no-break space": lambda token: token + "\u00a0",
    "zero width": lambda token: "\u200b" + token,
    "JSON": lambda token: json.dumps({"token": token}),
    "only dots": lambda token: f"..{token[:0]}",
    "NUL": lambda token: token + "\0",
    "escape": lambda token: token + "\x1b[0m",
}


@every(kind=KINDS, nothing=["", "null", "undefined"])
async def test_a_token_that_is_nothing(field: Field, kind: str, nothing: str) -> None:
    """As a customer token it is none, and what customers alone may see stays closed; as a bearer it is no good one."""
    outcome = await show(field, kind, nothing)
    assert_refused(outcome, 403 if kind == "customer token" else 401)
    assert outcome.first.code == ("ACCESS_DENIED" if kind == "customer token" else "BEARER_INVALID")


@every(kind=KINDS, spelling=SPELLINGS)
async def test_cve_2026_27840_a_token_has_one_spelling(field: Field, kind: str, spelling: Callable[[str], str]) -> None:
    """A token that is good in its one spelling is refused in every other (D3.9, ZITADEL)."""
    token = field.stolen if kind == "customer token" else field.trusted
    # Known good first: a cache must not know the second spelling by the first.
    spelled = spelling(token)
    outcome = await show(field, kind, spelled)
    if kind == "bearer" and spelled == "":
        assert_refused(outcome, 401)
    else:
        assert_dead(outcome, kind, 400)


SIZES = {
    "8 KB of dots": "." * 8000,
    "1 MB of dots": "." * 1_000_000,
    "three parts of 2.6 KB": ".".join(["A" * 2600] * 3),
    "200 KB": ".".join(["A" * 66_000] * 3),
    "nested header": encode_segment(b'{"a":' * 1000) + ".e30.AAAA",
    "header of lists": encode_segment(b"[" * 4000) + ".e30.AAAA",
}


@every(kind=KINDS, size=SIZES)
async def test_cve_2025_30204_sizes(field: Field, kind: str, size: str) -> None:
    """A flood is refused before it is split or decoded (D3.10, golang-jwt, go-jose CVE-2025-27144)."""
    outcome = await show(field, kind, size)
    assert_clean(outcome)
    assert_dead(outcome, kind, 400, 431)


@every(kind=KINDS)
async def test_d3_10_our_own_tokens_above_the_cap(field: Field, kind: str) -> None:
    """Not even our own signature makes a token good that is longer than the cap."""
    token = good(field, kind, pad="p" * 6000)
    assert len(token) > 8 * 1024
    assert_dead(await show(field, kind, token), kind, 431, 400)


@every(kind=KINDS, theirs=["EdDSA", "ES256", "RS256", "HS256"])
async def test_signed_by_a_foreign_key(field: Field, kind: str, theirs: str) -> None:
    """A token signed by a key that is not ours is refused under every kid (D3.4)."""
    key = forge.key(Algorithm(theirs), "theirs")
    for kid in (key.kid, field.key.kid):
        assert_dead(await show(field, kind, forge.forge(key, header(key, kind, kid=kid), claims(kind))), kind)
