"""Known attacks on tokens, by their rows in docs/threats.md D3: each is refused, and by the check meant for it."""

import json
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.authn.bearer import BearerVerifier
from gateway.authn.compact import encode_segment
from gateway.authn.customer import CustomerVerifier
from gateway.authn.keyring import Algorithm, Claims, Key, KeyRing
from gateway.authn.revocations import NOBODY
from gateway.vocab.refusals import Code, Refusal
from tests.authn.forge import AUDIENCE, ISSUER, MAX_LIFE, TYP, claims, forge, header, key, now, ring, verify
from tests.sessions import session

OURS = key(Algorithm.EDDSA)
RSA = key(Algorithm.RS256)


def unsigned(head: dict[str, Any], tail: str = "") -> str:
    """Write a token without a signature."""
    return ".".join([*(encode_segment(json.dumps(part).encode()) for part in (head, claims())), tail])


def test_the_forger_can_make_a_good_token() -> None:
    """The tables below are refused for what they change: unchanged, the forged token is good."""
    assert isinstance(verify(forge(OURS, header(OURS), claims())), Claims)
    assert isinstance(verify(forge(RSA, header(RSA), claims()), ring(Algorithm.RS256)), Claims)


def rsa_secrets() -> dict[str, bytes]:
    """Write our public RSA key in the forms in which libraries took it for an HMAC secret."""
    assert not isinstance(RSA.verifying, bytes)
    pem = RSA.verifying.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = RSA.verifying.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    jwk = RSA.public_jwk
    forms = {"PEM": pem, "PEM stripped": pem.strip(), "DER": der, "JWK": json.dumps(jwk).encode()}
    return {**forms, "compact JWK": json.dumps(jwk, separators=(",", ":")).encode()}


@pytest.mark.parametrize("secret", rsa_secrets().values(), ids=rsa_secrets().keys())
def test_d3_1_a_public_key_is_no_secret(secret: bytes) -> None:
    """HS256 under the text of our public RSA key is refused: a key has one algorithm."""
    attacker = Key(RSA.kid, Algorithm.HS256, secret, secret, None)
    for alg in ("HS256", "RS256"):
        for keys in (ring(Algorithm.RS256), KeyRing([RSA, key(Algorithm.HS256)])):
            assert isinstance(verify(forge(attacker, header(attacker, alg=alg), claims()), keys), str)


def test_d3_1_a_key_of_the_ring_serves_its_own_kid_only() -> None:
    """A signature by one of our keys under the kid of another is refused, with either algorithm in the header."""
    keys = KeyRing([OURS, key(Algorithm.HS256), key(Algorithm.ES256)])
    for signer in (key(Algorithm.HS256), key(Algorithm.ES256)):
        for alg in ("EdDSA", signer.algorithm.value):
            assert isinstance(verify(forge(signer, header(signer, kid=OURS.kid, alg=alg), claims()), keys), str)


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "nOnE", "", "eddsa", "EdDSA ", "HS256", "ES256", None, ["EdDSA"]]
)
def test_d3_2_the_algorithm_is_not_negotiable(alg: object) -> None:
    """A header with another algorithm is refused, signed by our key or by none."""
    head = header(OURS, alg=alg)
    assert verify(forge(OURS, head, claims())) == "alg is not the key's"
    assert isinstance(verify(unsigned(head)), str)
    assert verify(unsigned(head, "AAAA")) == "alg is not the key's"


def test_d3_2_a_signature_is_required() -> None:
    """A token with an empty, a foreign or no signature is refused under our own algorithm."""
    stranger = forge(key(Algorithm.EDDSA, "theirs"), header(OURS), claims())
    assert verify(stranger) == "refused by PyJWT: InvalidSignatureError"
    for token in (unsigned(header(OURS)), unsigned(header(OURS)).rstrip("."), unsigned(header(OURS), "AA")):
        assert isinstance(verify(token), str)


@pytest.mark.parametrize(
    "extra",
    [
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"b64": True},
        {"zip": "DEF"},
        {"jku": "http://169.254.169.254/"},
        {"jwk": key(Algorithm.EDDSA, "theirs").public_jwk},
        {"x5u": "https://evil.example/x"},
        {"x5c": ["MIIB"]},
        {"x5t": "AA"},
        {"cty": "JWT"},
        {"": ""},
    ],
    ids="+".join,
)
def test_d3_3_the_header_says_three_things(extra: dict[str, object]) -> None:
    """Any member beside alg, typ and kid is refused, even under our own signature: nothing is fetched or unpacked."""
    assert verify(forge(OURS, header(OURS, **extra), claims())) == "header members are not alg, typ and kid"


@pytest.mark.parametrize("member", ["alg", "typ", "kid"])
def test_d3_3_the_header_says_all_three(member: str) -> None:
    """A header without one of its members is refused."""
    assert verify(forge(OURS, header(OURS, member), claims())) == "header members are not alg, typ and kid"


@pytest.mark.parametrize(
    "kid",
    ["../../dev/null", "/dev/null", "' OR 1=1--", "file:///etc/passwd", "", OURS.kid + "\0", OURS.kid.lower(), "0",
     None, 0, True, [OURS.kid], {"kid": OURS.kid}],
    ids=lambda kid: repr(kid).replace(OURS.kid, "ours").replace(OURS.kid.lower(), "OURS"),
)  # fmt: skip
def test_d3_4_the_kid_is_a_dictionary_key(kid: object) -> None:
    """A kid that is not exactly one of ours finds no key, signed by ours or with an empty secret."""
    assert verify(forge(OURS, header(OURS, kid=kid), claims())) == "unknown kid"
    nothing = Key("", Algorithm.HS256, b"", b"", None)
    assert verify(forge(nothing, header(nothing, kid=kid), claims())) == "unknown kid"


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "customer+jwt", "BEARER+JWT", "application/bearer+jwt", "", None, 1])
def test_d3_5_the_type_is_exact(typ: object) -> None:
    """A token of another type is refused, whoever signed it."""
    assert verify(forge(OURS, header(OURS, typ=typ), claims())) == f"typ is not {TYP}"


@pytest.mark.parametrize("name", ["iss", "aud"])
@pytest.mark.parametrize("value", ["other", "", None, [], 1, {}, ["shop", "other"], [ISSUER], [AUDIENCE]], ids=str)
def test_d3_5_issuer_and_audience_are_exact(name: str, value: object) -> None:
    """A token of another issuer or for another audience is refused, and so is a list that holds ours."""
    assert isinstance(verify(forge(OURS, header(OURS), claims(**{name: value}))), str)


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "iat", "exp", "jti"])
def test_d3_6_each_claim_is_required(name: str) -> None:
    """A token that lacks a claim, or has null there, is refused."""
    reason = "refused by PyJWT: MissingRequiredClaimError"
    assert verify(forge(OURS, header(OURS), claims(name))) == reason
    assert verify(forge(OURS, header(OURS), claims(**{name: None}))) == reason


def times(start: int) -> dict[str, dict[str, object]]:
    """Return changes to the times of a token made at `start`, each of which must be refused."""
    return {
        "expired": {"iat": start - 900, "exp": start - 300},
        "exp as text": {"exp": str(start + 600)},
        "exp as float": {"exp": start + 600.0},
        "exp true": {"exp": True},
        "exp and iat as booleans": {"iat": False, "exp": True},
        "exp 10**18": {"exp": 10**18},
        "exp 10**18 from then": {"iat": 10**18 - 600, "exp": 10**18},
        "exp 2**40": {"iat": 2**40 - 600, "exp": 2**40},
        "exp infinite": {"exp": float("inf")},
        "exp not a number": {"exp": float("nan")},
        "exp a list": {"exp": [start + 600]},
        "exp before iat": {"iat": start - 10, "exp": start - 20},
        "exp at iat": {"iat": start + 30, "exp": start + 30},
        "life too long": {"exp": start + int(MAX_LIFE) + 60},
        "iat long ago": {"iat": 0},
        "iat as text": {"iat": str(start)},
        "iat as float": {"iat": start - 0.5},
        "iat true": {"iat": True},
        "iat in the future": {"iat": start + 600, "exp": start + 900},
        "nbf in the future": {"nbf": start + 600},
        "nbf as text": {"nbf": str(start)},
        "nbf as float": {"nbf": start - 0.5},
        "nbf true": {"nbf": True},
        "nbf null": {"nbf": None},
    }


@pytest.mark.parametrize("name", times(0))
def test_d3_6_times_are_whole_numbers_in_order(name: str) -> None:
    """Times of another type, out of order, out of range or beyond the allowed life are refused."""
    # Beside this moment's `iat`: what was a life too long when the tests were collected may be none by now.
    changes = times(int(now()))[name]
    assert isinstance(verify(forge(OURS, header(OURS), claims(**changes))), str)


@pytest.mark.parametrize("literal", ["1e999", "-1e999", "NaN", "Infinity", "1e9", "9" * 5000, "0x7fffffff", "01"])
def test_d3_6_numbers_in_strange_dress_are_refused(literal: str) -> None:
    """An exp that JSON readers disagree about is refused."""
    payload = json.dumps(claims(exp="EXP")).replace('"EXP"', literal)
    assert isinstance(verify(forge(OURS, header(OURS), payload.encode())), str)


def test_d3_6_clocks_may_differ_by_a_minute() -> None:
    """A token of a replica whose clock is a little ahead is good."""
    assert isinstance(verify(forge(OURS, header(OURS), claims(iat=int(now()) + 30))), Claims)


@pytest.mark.parametrize("name", ["sub", "jti"])
@pytest.mark.parametrize("value", ["", "n" * 129, 1, True, ["c1"], {"id": "c1"}, "a\nb", "a\0", "\ud800"], ids=repr)
def test_d3_7_names_are_short_printable_text(name: str, value: object) -> None:
    """A subject or token id that is no printable text of 1 to 128 characters is refused."""
    assert isinstance(verify(forge(OURS, header(OURS), claims(**{name: value}))), str)


@pytest.mark.parametrize("name", ["sub", "exp", "aud", "iss", "jti", "iat", "kind"])
def test_d3_8_a_claim_appears_once(name: str) -> None:
    """A repeated claim is refused, even with the same value: parsers differ in which one they take."""
    text = json.dumps(claims())
    twice = text[:-1] + f", {json.dumps(name)}: {json.dumps(claims()[name])}}}"
    escaped = text[:-1] + f', "\\u{ord(name[0]):04x}{name[1:]}": {json.dumps(claims()[name])}}}'
    for payload in (twice, escaped):
        assert verify(forge(OURS, header(OURS), payload.encode())) == "payload is not one JSON object"


@pytest.mark.parametrize("name", ["alg", "typ", "kid"])
def test_d3_8_a_header_member_appears_once(name: str) -> None:
    """A repeated header member is refused."""
    text = json.dumps(header(OURS))
    twice = text[:-1] + f", {json.dumps(name)}: {json.dumps(header(OURS)[name])}}}"
    assert verify(forge(OURS, twice.encode(), claims())) == "header is not one JSON object"


@pytest.mark.parametrize("part", [b"[]", b"1", b'"text"', b"null", b"{", b"\xff", b"[" * 5000, b'{"a":' * 1000])
def test_d3_8_both_parts_are_json_objects(part: bytes) -> None:
    """A header or payload that is no JSON object, or nests absurdly, is refused."""
    assert isinstance(verify(forge(OURS, part, claims())), str)
    assert isinstance(verify(forge(OURS, header(OURS), part)), str)


GOOD = forge(OURS, header(OURS), claims())
SPELLINGS = {
    "padding": GOOD + "=",
    "more padding": GOOD + "==",
    "escaped padding": GOOD + "%3d",
    "padding inside": GOOD.replace(".", "=.", 1),
    "leading space": " " + GOOD,
    "trailing space": GOOD + " ",
    "trailing tab": GOOD + "\t",
    "trailing newline": GOOD + "\n",
    "a space inside": GOOD.replace(".", " .", 1),
    "double quotes": f'"{GOOD}"',
    "single quotes": f"'{GOOD}'",
    "Bearer twice": f"Bearer {GOOD}",
    "two tokens": f"{GOOD},{GOOD}",
    "two tokens apart": f"{GOOD}, {GOOD}",
    "a fourth part": GOOD + ".AAAA",
    "a trailing dot": GOOD + ".",
    "a leading dot": "." + GOOD,
    "truncated": GOOD[:-1],
    "without signature": GOOD.rpartition(".")[0],
    "standard base64": GOOD.replace("_", "/").replace("-", "+") + "/",
    "NUL": GOOD + "\0",
    "another digit": GOOD[:-1] + "\N{FULLWIDTH DIGIT ONE}",
    "nothing": "",
    "1 MB of dots": "." * 1_000_000,
    "200 KB": "A" * 66_000 + "." + "A" * 66_000 + "." + "A" * 66_000,
    "one above the cap": forge(OURS, header(OURS), claims(pad="p" * 6200)),
}


@pytest.mark.parametrize("token", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_d3_9_a_token_has_one_spelling(token: str) -> None:
    """Padding, white space, quotes, joins, cuts and floods are refused, as bearer and as customer token."""
    assert isinstance(verify(token), str)
    bearer = BearerVerifier(ring(), ISSUER, AUDIENCE, MAX_LIFE)
    refused = bearer.verify(f"Bearer {token}", now())
    if not token.startswith(" "):  # a run of spaces behind the scheme is allowed
        assert isinstance(refused, Refusal)
        assert refused.code is Code.BEARER_INVALID


def test_d3_9_the_same_holds_for_customer_tokens() -> None:
    """A customer token has one spelling as well, and none beside a remembered one."""
    customers = CustomerVerifier(ring(), ISSUER, AUDIENCE, MAX_LIFE, re.compile(r".+"))
    good, _, _ = customers.mint(session("c1"), now(), 600)
    assert customers.verify([good], now(), NOBODY) == session("c1")
    for text in SPELLINGS.values():
        refused = customers.verify([text.replace(GOOD, good)], now(), NOBODY)
        assert isinstance(refused, Refusal)
        assert refused.code is Code.CUSTOMER_TOKEN_INVALID


def test_d3_10_length_and_shape_come_first() -> None:
    """A flood is refused as no token, and the cap itself is within."""
    for name in ("1 MB of dots", "200 KB", "one above the cap"):
        assert verify(SPELLINGS[name]) == "not a compact token"
    within = forge(OURS, header(OURS), claims(pad="p" * 5500))
    assert 7000 < len(within) <= 8 * 1024
    assert isinstance(verify(within), Claims)
