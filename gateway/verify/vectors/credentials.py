"""Vectors in headers and tokens: spoofed identities, forged and borrowed credentials."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

from gateway.verify.model import Caller, Group, Shot
from gateway.verify.vectors.base import CUSTOMERS, Setting, vector
from gateway.wire.headers import CUSTOMER_TOKEN

IDENTITY_HEADERS = (
    "X-Customer-Id", "X-Customer_Id", "X-User-Id", "X-Moltin-Customer-Id", "X-Moltin-Customer", "X-Authenticated-User",
    "X-Authenticated-Userid", "X-Consumer-Id", "X-Consumer-Custom-Id", "X-Auth-Request-User", "X-WebAuth-User",
    "Remote-User", "X-Remote-User", "X-Forwarded-User", "X-On-Behalf-Of", "Impersonate-User", "X-Impersonate",
)  # fmt: skip
_TOKEN_ALIASES = (
    "X_Moltin_Customer_Token", "X.Moltin.Customer.Token", "X-Moltin_Customer.Token", "X-Customer-Token",
    "Customer-Token", "EP-Account-Management-Authentication-Token", "X-Access-Token",
)  # fmt: skip
_NOBODY = frozenset({Caller.ANONYMOUS, Caller.PUBLIC, Caller.CUSTOMER, Caller.TRUSTED})


def _places(s: Setting) -> tuple[str, ...]:
    """Return where an identity matters: A's own path, and B's."""
    return tuple(path for path in (s.own, *s.foreign[-1:]) if path is not None)


def _spoofed(s: Setting, *lines: tuple[str, str]) -> Iterator[Shot]:
    for path in _places(s):
        yield s.shot(path, headers=lines)


@vector("identity-headers", Group.HEADERS, "B's id in the headers by which proxies tell servers who is logged in.")
def identity_headers(s: Setting) -> Iterator[Shot]:
    """Say in headers to be B."""
    yield from _spoofed(s, *((name, s.victim.id) for name in IDENTITY_HEADERS))


@vector("token-aliases", Group.HEADERS, "A forged token of B under names that a server may fold into the token's name.")
def token_aliases(s: Setting) -> Iterator[Shot]:
    """Send a second token under another name."""
    yield from _spoofed(s, *((name, forged(s)) for name in _TOKEN_ALIASES))


@vector(
    "two-token-lines",
    Group.HEADERS,
    "Two lines with customer tokens: A's and a forged one of B, in both orders.",
    CUSTOMERS,
)
def two_token_lines(s: Setting) -> Iterator[Shot]:
    """Let two readers take different ones."""
    for path in _places(s):
        yield s.shot(path, tokens=(s.attacker.token, forged(s)))
        yield s.shot(path, tokens=(forged(s), s.attacker.token))
        yield s.shot(path, tokens=(f"{s.attacker.token}, {forged(s)}",))


@vector("two-bearers", Group.HEADERS, "Two Authorization lines.")
def two_bearers(s: Setting) -> Iterator[Shot]:
    """Send a second bearer."""
    for path in _places(s):
        yield s.shot(path, headers=(("Authorization", f"Bearer {forged(s)}"),))


@vector("forwarded", Group.HEADERS, "Forwarding headers that claim an inner network, another host, a verified client.")
def forwarded(s: Setting) -> Iterator[Shot]:
    """Come from inside."""
    yield from _spoofed(
        s,
        ("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Host", "localhost"), ("X-Forwarded-Proto", "https"),
        ("X-Real-IP", "127.0.0.1"), ("Forwarded", f"for=127.0.0.1;by={s.victim.id}"), ("X-Forwarded-Prefix", "/v2"),
        ("X-Client-Verify", "SUCCESS"), ("X-Internal", "1"), ("User-Agent", "GoogleHC/1.0"),
    )  # fmt: skip


@vector("original-url", Group.HEADERS, "B's path in headers that say which URL is really meant.")
def original_url(s: Setting) -> Iterator[Shot]:
    """Ask for one path and mean another."""
    for goal in s.targets[-1:]:
        names = (
            "X-Original-URL",
            "X-Rewrite-URL",
            "X-Forwarded-Uri",
            "X-Envoy-Original-Path",
            "X-Original-URI",
            "Destination",
        )
        yield from s.at_own(headers=tuple((name, goal) for name in names))


@vector("method-override", Group.HEADERS, "Another method in a header, on B's path.")
def method_override(s: Setting) -> Iterator[Shot]:
    """Ask by one method and mean another."""
    for path in s.targets[-1:]:
        for method in ("GET", "PUT", "DELETE") if s.reads else ("GET",):
            names = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
            yield s.shot(path, headers=tuple((name, method) for name in names), changes=True)


@vector(
    "connection-names",
    Group.HEADERS,
    "Connection names the token and the bearer, so that a proxy drops them before it looks.",
)
def connection_names(s: Setting) -> Iterator[Shot]:
    """Have the credentials removed."""
    for path in _places(s):
        for named in (CUSTOMER_TOKEN, f"authorization, {CUSTOMER_TOKEN}, cookie", "x-customer-id, host"):
            yield s.shot(path, headers=(("Connection", f"keep-alive, {named}"), ("X-Customer-Id", s.victim.id)))


@vector("host", Group.HEADERS, "Another host name, one of an inner network, and one that smuggles a parameter.")
def host(s: Setting) -> Iterator[Shot]:
    """Claim another host."""
    for path in _places(s):
        for name in ("localhost", "internal", "a;by=b", "169.254.169.254"):
            yield s.shot(path, headers=(("Host", name),), raw=True)


@vector("cookies", Group.HEADERS, "B's id and a forged token of B in cookies.")
def cookies(s: Setting) -> Iterator[Shot]:
    """Say in cookies to be B."""
    b, token = s.victim.id, forged(s)
    yield from _spoofed(s, ("Cookie", f"customer_id={b}; customer_token={token}; session={b}; mcustomer={token}"))


@vector(
    "store-switch",
    Group.HEADERS,
    "Headers by which the commerce API changes the store, the account, or the parsed filter.",
)
def store_switch(s: Setting) -> Iterator[Shot]:
    """Talk past the gateway to the server behind it."""
    clause = json.dumps({"type": "EQ", "args": ["customer_id", s.victim.id]})
    yield from _spoofed(
        s,
        ("X-MOLTIN-AUTH-STORE", s.victim.id),
        ("EP-Internal-Search-Ast-v1", clause),
        ("EP-Internal-Search-Ast-v2", clause),
        ("EP-Context-Tag", s.victim.id),
        ("EP-Disable-Beta-Filtering", "true"),
        ("X-Moltin-Customer-Token-Id", s.victim.id),
    )


@vector("upgrade", Group.HEADERS, "An upgrade to a protocol in which nobody would look at requests any more.")
def upgrade(s: Setting) -> Iterator[Shot]:
    """Ask for a tunnel."""
    plain = (("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__"))
    # The key of the example in RFC 6455 section 1.3.
    key = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    socket = (("Connection", "Upgrade"), ("Upgrade", "websocket"), key, ("Sec-WebSocket-Version", "13"))
    for path in _places(s):
        for lines in (plain, socket):
            yield s.shot(path, headers=lines, raw=True)


def _segment(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _read(part: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _parts(s: Setting) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Take A's token apart; an opaque token gives what a usual one would hold."""
    head, _, rest = s.attacker.token.partition(".")
    payload, _, signature = rest.partition(".")
    return _read(head) or {"alg": "HS256", "typ": "JWT"}, _read(payload) | {"sub": s.victim.id}, signature


def forged(
    s: Setting, header: dict[str, Any] | None = None, payload: dict[str, Any] | None = None, **key: bytes
) -> str:
    """Make a token that says B: with A's signature, or signed with `key`."""
    head, claims, signature = _parts(s)
    signed = f"{_segment(head | (header or {}))}.{_segment(claims | (payload or {}))}"
    if "key" in key:
        signature = _segment(hmac.new(key["key"], signed.encode(), hashlib.sha256).digest())
    return f"{signed}.{signature}"


def _with_tokens(s: Setting, *tokens: str) -> Iterator[Shot]:
    for token in tokens:
        for path in _places(s):
            yield s.shot(path, tokens=(token,))


@vector("token-subject", Group.TOKEN, "A's customer token with B's id as its subject, and A's signature.", _NOBODY)
def token_subject(s: Setting) -> Iterator[Shot]:
    """Change the name on the ticket."""
    yield from _with_tokens(s, forged(s))


@vector("token-none", Group.TOKEN, "A customer token of B that says it needs no signature, in four spellings.", _NOBODY)
def token_none(s: Setting) -> Iterator[Shot]:
    """Say that no signature is needed."""
    for name in ("none", "None", "nOnE", ""):
        yield from _with_tokens(s, forged(s, {"alg": name}).rpartition(".")[0] + ".")


@vector(
    "token-unsigned",
    Group.TOKEN,
    "A customer token of B with its signature cut off, or emptied, or too short.",
    _NOBODY,
)
def token_unsigned(s: Setting) -> Iterator[Shot]:
    """Leave the signature out."""
    bare = forged(s).rpartition(".")[0]
    yield from _with_tokens(s, bare, f"{bare}.AA", f"{bare}.{_segment(bytes(64))}")


@vector("token-key-id", Group.TOKEN, "A customer token whose key id is B's id, a file, a query or a URL.", _NOBODY)
def token_key_id(s: Setting) -> Iterator[Shot]:
    """Choose the key."""
    for kid in (s.victim.id, "../../../../dev/null", "' UNION SELECT 'x'--", f"{s.origin}/x"):
        yield from _with_tokens(s, forged(s, {"kid": kid, "alg": "HS256"}, key=b""))
    yield from _with_tokens(s, forged(s, {"jku": "http://127.0.0.1:1/keys", "alg": "HS256"}, key=b"x"))


@vector("token-own-key", Group.TOKEN, "A customer token of B signed with a key that it brings along.", _NOBODY)
def token_own_key(s: Setting) -> Iterator[Shot]:
    """Bring the key."""
    key = b"a key of the attacker, 32 bytes long"
    jwk = {"kty": "oct", "k": _segment(key), "alg": "HS256", "kid": "own"}
    yield from _with_tokens(s, forged(s, {"alg": "HS256", "jwk": jwk, "kid": "own"}, key=key))


@vector(
    "token-public-key",
    Group.TOKEN,
    "A customer token of B signed with the gateway's public key as if it were a secret.",
    _NOBODY,
)
def token_public_key(s: Setting) -> Iterator[Shot]:
    """Take what is public for what is secret."""
    if s.public_key:
        yield from _with_tokens(s, forged(s, {"alg": "HS256"}, key=s.public_key.encode()))
        for part in _read_key(s.public_key):
            yield from _with_tokens(s, forged(s, {"alg": "HS256"}, key=part))


def _read_key(jwk: str) -> Iterator[bytes]:
    found = json.loads(jwk)
    for name in ("x", "n"):
        if isinstance(found.get(name), str):
            yield base64.urlsafe_b64decode(found[name] + "=" * (-len(found[name]) % 4))


@vector(
    "token-lifetime",
    Group.TOKEN,
    "A token of B that expired long ago, one that never does, and one with two subjects.",
    _NOBODY,
)
def token_lifetime(s: Setting) -> Iterator[Shot]:
    """Change times and repeat claims."""
    yield from _with_tokens(s, forged(s, payload={"exp": 1}), forged(s, payload={"exp": 10**18, "iat": 0}))
    head, claims, signature = _parts(s)
    twice = _segment(json.dumps(claims)[:-1].encode() + f',"sub":"{s.attacker.id}","sub":"{s.victim.id}"}}'.encode())
    yield from _with_tokens(s, f"{_segment(head)}.{twice}.{signature}")


@vector("token-plain", Group.TOKEN, "B's id or e-mail itself in place of a customer token.", _NOBODY)
def token_plain(s: Setting) -> Iterator[Shot]:
    """Name B in place of a proof."""
    yield from _with_tokens(s, s.victim.id, f"Bearer {s.victim.id}", s.victim.email, "null")


@vector("token-as-bearer", Group.TOKEN, "A's customer token, and a forged one of B, in place of the bearer.")
def token_as_bearer(s: Setting) -> Iterator[Shot]:
    """Use one kind of token for another."""
    for path in _places(s):
        yield s.shot(path, bearers=(f"Bearer {s.attacker.token}",))
        yield s.shot(path, bearers=(f"Bearer {forged(s)}",))
        yield s.shot(path, bearers=(f"Bearer {forged(s, payload={'kind': 'trusted'})}",), tokens=())


VECTORS = (
    identity_headers, token_aliases, two_token_lines, two_bearers, forwarded, original_url, method_override,
    connection_names, host, cookies, store_switch, upgrade, token_subject, token_none, token_unsigned, token_key_id,
    token_own_key, token_public_key, token_lifetime, token_plain, token_as_bearer,
)  # fmt: skip
