"""Identity headers under another name (D2): who asks is said by two headers, once each, in one spelling."""

import pytest

from gateway.demo.data import LESLIE, LESLIE_ID, RON, RON_ID
from tests.attacks.field import (
    ON_ONE_LOOP,
    Field,
    Outcome,
    assert_clean,
    assert_nothing_sent,
    assert_refused,
    every,
)

pytestmark = ON_ONE_LOOP

OWN_LIST = f"/v2/orders?filter=eq(customer_id,{RON_ID})"
VALUES = ("other's token", "other's id", "both tokens", "bearer and token")


def value_of(field: Field, what: str) -> str:
    """Return the value of a header that names the victim."""
    return {
        "other's token": field.stolen,
        "other's id": LESLIE_ID,
        "both tokens": f"{field.stolen}, {field.token}",
        "bearer and token": f"Bearer {field.stolen}",
        "trusted bearer": f"Bearer {field.trusted}",
    }[what]


def assert_own_list(outcome: Outcome) -> None:
    """Check that the request was taken as the attacker's plain one, or refused."""
    assert_clean(outcome)
    if outcome.status == 200:
        assert [request.target for request in outcome.requests] == [OWN_LIST]
        owners = {order["relationships"]["customer"]["data"]["id"] for order in outcome.first.json()["data"]}
        assert owners == {RON_ID}
    else:
        assert_refused(outcome)


async def test_the_attacker_is_somebody(field: Field) -> None:
    """Without any trick the attacker sees the own orders: what is refused below is refused for the trick."""
    outcome = await field.attack(field.request("GET", "/v2/orders"))
    assert outcome.status == 200
    assert_own_list(outcome)
    assert RON.canary.encode() in outcome.first.body
    stolen = [f"Authorization: Bearer {field.bearer}", f"X-Moltin-Customer-Token: {field.stolen}"]
    outcome = await field.attack(field.request("GET", "/v2/orders", proof=stolen), me=LESLIE)
    assert LESLIE.canary.encode() in outcome.first.body


_WORDS = ("X", "Moltin", "Customer", "Token")
ALIASES = {
    **{
        f"joined by {joint!r}": joint.join(_WORDS)
        for joint in ("_", ".", "", "~", "!", "+", "'", "^", "|", "`", "--", "__")
    },
    "underscore, then dashes": "X_Moltin-Customer-Token",
    "dashes, then underscore": "X-Moltin-Customer_Token",
    "mixed": "X_Moltin-Customer.Token",
    "capitals and underscores": "X_MOLTIN_CUSTOMER_TOKEN",
    "as CGI": "HTTP_X_MOLTIN_CUSTOMER_TOKEN",
    "leading dash": "-X-Moltin-Customer-Token",
    "leading underscore": "_X-Moltin-Customer-Token",
    "trailing dash": "X-Moltin-Customer-Token-",
    "trailing underscore": "X-Moltin-Customer-Token_",
    "trailing star": "X-Moltin-Customer-Token*",
    "numbered": "X-Moltin-Customer-Token-0",
    "indexed": "X-Moltin-Customer-Token[]",
    "quoted": '"X-Moltin-Customer-Token"',
    "escaped": "X%2DMoltin-Customer-Token",
    "with a space": "X-Moltin Customer-Token",
    "space before the colon": "X-Moltin-Customer-Token ",
    "tab before the colon": "X-Moltin-Customer-Token\t",
    "space before the name": " X-Moltin-Customer-Token",
    "NUL at the end": "X-Moltin-Customer-Token\0",
    "vertical tab": "X-Moltin-Customer-Token\x0b",
    "carriage return": "\rX-Moltin-Customer-Token",
    "fullwidth": "\uff38-Moltin-Customer-Token",
    "fullwidth dash": "X\uff0dMoltin-Customer-Token",
    "Kelvin sign": "X-Moltin-Customer-To\N{KELVIN SIGN}en",
    "long s": "X-Moltin-Cu\N{LATIN SMALL LETTER LONG S}tomer-Token",
}
ALIAS_VALUES = ("other's token", "other's id")


@every(alias=ALIASES, value=ALIAS_VALUES)
async def test_cve_2025_64484_aliases_of_the_customer_token(field: Field, alias: str, value: str) -> None:
    """What is the customer token to somebody else only is no token and goes no further (D2.1, three vendors)."""
    line = f"{alias}: {value_of(field, value)}"
    assert_own_list(await field.attack(field.request("GET", "/v2/orders", line)))
    for proof in ([f"Authorization: Bearer {field.bearer}", line], [line, f"Authorization: Bearer {field.bearer}"]):
        assert_refused(await field.attack(field.request("GET", "/v2/orders", proof=proof), me=None), 400, 403)


BEARER_ALIASES = (
    "Authorization_", "Authorization.", "_Authorization", "HTTP_AUTHORIZATION", "X-Authorization",
    "Proxy-Authorization",
    "X-Original-Authorization", "X-Forwarded-Authorization", "X-Access-Token", "X-Api-Key", "X-Auth-Token", "Auth",
    "Authorisation", "Authorization ", "Authorization\0", "Authorization\t", " Authorization", "Author\u0131zation",
    "X-Amzn-Oidc-Data", "Cf-Access-Jwt-Assertion", "X-Goog-Iap-Jwt-Assertion", "Cookie",
)  # fmt: skip


@every(alias=BEARER_ALIASES, caller=["customer", "nobody"])
async def test_d2_1_aliases_of_the_bearer(field: Field, alias: str, caller: str) -> None:
    """A trusted bearer counts in Authorization only (D2.1)."""
    line = f"{alias}: Bearer {field.trusted}"
    if caller == "customer":
        assert_own_list(await field.attack(field.request("GET", "/v2/orders", line)))
    else:
        assert_refused(await field.attack(field.request("GET", "/v2/orders", proof=[line]), me=None), 400, 401)


IDENTITY = (
    "X-Customer-Id", "X_Customer_Id", "Customer-Id", "X-Moltin-Customer-Id", "X-Customer", "X-User", "X-User-Id",
    "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Preferred-Username", "X-Remote-User", "Remote-User",
    "X-Auth-Request-User", "X-Auth-Request-Email", "X-WebAuth-User", "X-Authenticated-User", "X-Authenticated-Userid",
    "X-Consumer-Id", "X-Consumer-Custom-Id", "X-Credential-Identifier", "X-Role", "X-Roles", "X-Admin", "X-Scope",
    "X-Moltin-Auth-Store", "EP-Account-Management-Authentication-Token", "EP-Internal-Search-Ast-V1",
    "EP-Internal-Search-Ast-V2", "X-Moltin-Secret-Key", "X-Moltin-Integration-Trigger", "X-Jwt-Payload", "X-Userinfo",
    "X-Ssl-Client-Verify", "X-Client-Cert", "X-Forwarded-Client-Cert", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip",
    "Cf-Connecting-Ip", "X-Forwarded-For", "Cookie", "Idempotency-Key", "X-Request-Id", "Via", "Content-Encoding",
    "X-B3-Traceid", "X-Envoy-Internal", "X-Gateway-Caller", "Baggage",
)  # fmt: skip


@every(name=IDENTITY, value=VALUES)
async def test_cve_2026_33433_forwarded_identity(field: Field, name: str, value: str) -> None:
    """No other header says who asks, here or upstream: none of them is forwarded (D2.3 Traefik, D2.6 Oathkeeper)."""
    line = f"{name}: {value_of(field, value)}"
    outcome = await field.attack(field.request("GET", "/v2/orders", line))
    assert outcome.status == 200
    assert_own_list(outcome)
    public = await field.attack(field.request("GET", "/v2/orders", line, customer=False), me=None)
    assert_refused(public, 403, code="ACCESS_DENIED")
    opened = await field.attack(field.request("GET", "/v2/products", line, customer=False), me=None)
    assert_clean(opened)
    assert opened.status == 200
    if name != "X-Request-Id":
        # That one names the request, whatever else it names: a decision reads it nowhere.
        assert all(value_of(field, value).encode() not in request.raw for request in opened.requests)


DUPLICATES = {
    "two lines": ["{own}", "{other}"],
    "two lines, other first": ["{other}", "{own}"],
    "the same twice": ["{own}", "{own}"],
    "empty first": ["", "{own}"],
    "empty last": ["{own}", ""],
    "two empty": ["", ""],
    "comma": ["{own},{other}"],
    "comma and space": ["{own}, {other}"],
    "other, then own": ["{other},{own}"],
    "leading comma": [",{own}"],
    "trailing comma": ["{own},"],
    "space": ["{own} {other}"],
    "semicolon": ["{own};{other}"],
    "semicolon at the end": ["{own};q=1"],
    "quoted": ['"{own}"'],
    "scheme": ["Bearer {own}"],
    "tab": ["{own}\t{other}"],
    "fold": ["{own}\r\n {other}"],
    "escaped comma": ["{own}%2c{other}"],
    "NUL between": ["{own}\0{other}"],
    "three lines": ["{own}", "{own}", "{other}"],
}


def filled(lines: list[str], own: str, other: str) -> list[str]:
    """Write the values of the lines."""
    return [line.format(own=own, other=other) for line in lines]


@every(lines=DUPLICATES, names=["X-Moltin-Customer-Token", "x-moltin-customer-token", "alternating"])
async def test_cve_2026_26308_two_customer_tokens(field: Field, lines: list[str], names: str) -> None:
    """A customer token stands once, alone in its line; anything else is refused (D2.5, Envoy and Istio)."""
    spelled = ["X-Moltin-Customer-Token", "x-MOLTIN-customer-token"] if names == "alternating" else [names]
    values = filled(lines, field.token, field.stolen)
    tokens = [f"{spelled[number % len(spelled)]}: {value}" for number, value in enumerate(values)]
    raw = field.request("GET", "/v2/orders", *tokens, customer=False)
    assert_refused(await field.attack(raw, me=None), 400, 403)


@every(
    lines={name: lines for name, lines in DUPLICATES.items() if name != "scheme"}, scheme=["Bearer ", "Bearer: ", ""]
)
async def test_cve_2020_25017_two_bearers(field: Field, lines: list[str], scheme: str) -> None:
    """Authorization stands once, with one bearer; anything else is refused (D2.5, D2.9)."""
    values = filled(lines, field.bearer, field.trusted)
    proof = [f"Authorization: {scheme}{value}" for value in values]
    assert_refused(await field.attack(field.request("GET", "/v2/products", proof=proof), me=None), 400, 401)


SCHEMES = (
    "Basic {token}", "Basic YTpi", "Token {token}", "JWT {token}", "Bearer", "Bearer ", "Bearer{token}",
    "Bearer\t{token}",
    "Bearer Bearer {token}", "Bearer: Bearer: {token}", "Bearer:{token}", "Bearer {token} x", "Digest {token}",
    "{token}=",
    "Bearer null", "Bearer undefined", 'Bearer "{token}"', "Bearer <{token}>", "Bearer token={token}",
    "Negotiate {token}",
    "Bearer {token}\u00a0", "bearer::{token}",
)  # fmt: skip


@every(scheme=SCHEMES)
async def test_d2_9_bearers_in_other_dress(field: Field, scheme: str) -> None:
    """Two spellings of a bearer are known and a bare one; others are refused with 401 (D2.9, docs/upstream.md 1)."""
    proof = [f"Authorization: {scheme.format(token=field.trusted)}"]
    assert_refused(await field.attack(field.request("GET", "/v2/orders", proof=proof), me=None), 400, 401)


CONNECTION_NAMES = (
    "Authorization", "authorization", "X-Moltin-Customer-Token", "x-moltin-customer-token", "Host", "Content-Type",
    "Content-Length", "Transfer-Encoding", "Accept", "Accept-Encoding", "X-Request-Id", "Cookie", "X-Customer-Id",
    "X-Forwarded-For", "User-Agent", "EP-Channel", "If-None-Match", "Range", "Connection",
)  # fmt: skip


@every(name=CONNECTION_NAMES, form=["{name}", "close, {name}", "keep-alive, {name}", "{name}, close", "a,,{name} ,b"])
async def test_cve_2024_45410_connection_names_a_header(field: Field, name: str, form: str) -> None:
    """What Connection names is taken from the client's lines, never from ours (D2.4, Traefik, Fabio, Oathkeeper)."""
    line = f"Connection: {form.format(name=name)}"
    assert_own_list(await field.attack(field.request("GET", "/v2/orders", line)))
    opened = await field.attack(field.request("GET", "/v2/products", line, customer=False), me=None)
    assert_clean(opened)
    if opened.status == 200:
        assert "connection" not in [key.lower() for key, _ in opened.last.headers]


@every(
    second=[
        "Connection: Authorization",
        "Proxy-Connection: Authorization",
        "Keep-Alive: x",
        "TE: trailers",
        "Trailer: X",
    ]
)
async def test_d2_4_hop_by_hop_lines_end_here(field: Field, second: str) -> None:
    """Headers of a connection are not forwarded, also when there are two of them (RFC 9110 7.6.1)."""
    assert_own_list(await field.attack(field.request("GET", "/v2/orders", "Connection: keep-alive", second)))


ELSEWHERE = (
    "X-Original-URL", "X-Original-URI", "X-Original-Path", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Forwarded-Url",
    "X-Forwarded-Path", "X-Forwarded-Prefix", "X-Envoy-Original-Path", "X-Envoy-Decorator-Operation", "X-Replaced-Path",
    "X-Script-Name", "X-Accel-Redirect", "X-Sendfile", "X-Proxy-Url", "Request-Uri", "X-Request-Uri", "Destination",
    "Content-Location", "Location", "Referer", "Base-Url", "X-Waws-Unencoded-Url", "X-Ms-Original-Url",
)  # fmt: skip
PLACES = {
    "other's profile": f"/v2/customers/{LESLIE_ID}",
    "open route": "/v2/products",
    "all orders": "/v2/orders?filter=",
    "foreign host": "http://evil.example/v2/orders",
}


@every(name=ELSEWHERE, place=PLACES)
async def test_cve_2026_40575_another_path_in_a_header(field: Field, name: str, place: str) -> None:
    """No header says which path is meant (D1.7 oauth2-proxy; D1.8 Envoy CVE-2023-27487)."""
    line = f"{name}: {place}"
    outcome = await field.attack(field.request("GET", "/v2/orders", line))
    assert outcome.status == 200
    assert_own_list(outcome)
    public = await field.attack(field.request("GET", "/v2/orders", line, customer=False), me=None)
    assert_refused(public, 403, code="ACCESS_DENIED")
    opened = await field.attack(field.request("GET", "/v2/products", line, customer=False), me=None)
    assert opened.paths == ["/v2/products"]
    assert place.encode() not in opened.last.raw.partition(b"\r\n")[2]


OVERRIDES = (
    "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-HTTP_Method_Override", "X_HTTP_METHOD_OVERRIDE",
    "X-Forwarded-Method", "X-Original-Method", "Method-Override", "X-Requested-Method", "Access-Control-Request-Method",
)  # fmt: skip


@every(name=OVERRIDES, method=["DELETE", "PUT", "delete", "CONNECT"])
async def test_d1_7_another_method_in_a_header(field: Field, name: str, method: str) -> None:
    """No header says which method is meant: GET is judged and GET is sent (D1.7, D.0)."""
    for target in ("/v2/orders", f"/v2/customers/{RON_ID}", "/v2/products"):
        outcome = await field.attack(field.request("GET", target, f"{name}: {method}"))
        assert_clean(outcome)
        assert [request.method for request in outcome.requests] == ["GET"]
    assert RON_ID in field.site.commerce.shop.customers


@every(
    name=[
        "_method",
        "_METHOD",
        "__method",
        "method",
        "X-HTTP-Method-Override",
        "_method%00",
        "%5fmethod",
        "x-http-method",
    ],
    method=["DELETE", "PUT"],
)
async def test_d1_7_another_method_in_the_query(field: Field, name: str, method: str) -> None:
    """On a scoped route no parameter says which method is meant (D1.7)."""
    for target in ("/v2/orders", f"/v2/customers/{RON_ID}"):
        assert_refused(await field.attack(field.request("GET", f"{target}?{name}={method}")), 400)
    assert RON_ID in field.site.commerce.shop.customers


HOSTS = (
    "evil.example", "evil.example:80", "a;by=evil", "a, b", "a b", "", "user@evil.example", "127.0.0.1:1", "[::1]",
    "[::1",
    "a_b.example", "%2e%2e", "shop.example/../v2", "shop.example?x", "shop.example#x", "shop.example\\evil", "-",
    "169.254.169.254",
    "localhost", "shop.example:99999", "shop.example:x", "\uff53hop.example", "x" * 4000, "shop.example\tevil", "'",
)  # fmt: skip


@every(host={repr(host[:20]): host for host in HOSTS})
async def test_ghsa_4jgr_host(field: Field, host: str) -> None:
    """Host decides nothing, is not shown and does not go upstream (D2.6, Heimdall)."""
    outcome = await field.attack(field.request("GET", "/v2/orders", host=f"Host: {host}"))
    assert_own_list(outcome)
    if len(host) > 8:
        assert host.encode() not in b"".join(
            [*(reply.body for reply in outcome.replies), *(r.raw for r in outcome.requests)]
        )


@every(
    hosts={"none": [], "two": ["Host: a", "Host: b"], "twice the same": ["Host: a"] * 2, "folded": ["Host: a\r\n b"]}
)
async def test_cve_2026_34525_not_exactly_one_host(field: Field, hosts: list[str]) -> None:
    """A request has exactly one Host (RFC 9112 section 3.2)."""
    lines = [*hosts, *field.lines()]
    raw = "\r\n".join(["GET /v2/orders HTTP/1.1", *lines, "", ""]).encode()
    assert_refused(await field.attack(raw), 400)


FORWARDED = (
    "X-Forwarded-Proto: https", "X-Forwarded-Proto: javascript", "X-Forwarded-Host: evil.example",
    "X-Forwarded-Port: 1",
    "X-Forwarded-Server: evil.example", "X-Forwarded-Scheme: https", "X-Forwarded-Ssl: on", "Front-End-Https: on",
    "Forwarded: for=127.0.0.1;host=evil.example;proto=https", 'Forwarded: for="_secret"', "X-Host: evil.example",
    "X-Original-Host: evil.example", "X-HTTP-Host-Override: evil.example", "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-For: 127.0.0.1, 10.0.0.1", "Client-IP: 127.0.0.1", "X-Cluster-Client-Ip: 127.0.0.1",
    "X-ProxyUser-Ip: 127.0.0.1", "X-Originating-Ip: 127.0.0.1", "Via: evil.example", "Origin: http://evil.example",
)  # fmt: skip


@every(line=FORWARDED)
async def test_cve_2026_33495_forwarded_headers(field: Field, line: str) -> None:
    """X-Forwarded-* and kin are believed in nothing: not in links, not in the log, not upstream (D2.6)."""
    outcome = await field.attack(field.request("GET", "/v2/orders?page[limit]=1", line))
    assert_clean(outcome)
    assert outcome.status == 200
    assert b"evil.example" not in outcome.first.body + outcome.last.raw
    assert b"127.0.0.1" not in outcome.first.body
    await field.attack(field.request("GET", "/v2/currencies", "Connection: close", customer=False), me=None)
    peers = {entry["peer"] for entry in field.site.log_lines() if entry["event"] == "request"}
    assert peers == {"127.0.0.1"}
    assert "evil.example" not in field.site.log.getvalue()


AGENTS = (
    "GoogleHC/1.0",
    "kube-probe/1.28",
    "ELB-HealthChecker/2.0",
    "Envoy/HC",
    "Mozilla/5.0",
    "customer-token-gateway",
)


@every(agent=AGENTS, target=["/v2/orders", "/v2/customers", "/ready", "/live", "/healthz", "/"])
async def test_cve_2026_34457_user_agent_of_a_health_check(field: Field, agent: str, target: str) -> None:
    """No User-Agent opens a route (D2.7, oauth2-proxy)."""
    outcome = await field.attack(field.request("GET", target, f"User-Agent: {agent}", proof=[]), me=None)
    assert_refused(outcome, 401, 404)


@pytest.mark.parametrize(
    "line", ["", "X", ":", ": x", "=: x", "(): x", "{}: x", "\x7f: x", "X\x00: x", "X: \x01", "\xe9: x"]
)
async def test_broken_header_lines(field: Field, line: str) -> None:
    """A line that is no header ends the connection with 400, and is quoted nowhere (D.0)."""
    canary = "eyJ-in-a-broken-line"
    raw = field.request("GET", "/v2/orders", f"{line}{canary}" if line else f" {canary}")
    outcome = await field.attack(raw)
    if outcome.status != 200:
        assert_refused(outcome, 400)
    assert_clean(outcome)
    assert canary not in field.site.log.getvalue()
    assert all(canary.encode() not in reply.body for reply in outcome.replies)


async def test_d2_8_the_customer_token_goes_nowhere(field: Field) -> None:
    """On no route, open or scoped, is a token of a client forwarded (D2.8, Traefik CVE-2026-41181)."""
    for target in ("/v2/orders", "/v2/products", f"/v2/customers/{RON_ID}", "/v2/carts/x", "/catalog/products"):
        outcome = await field.attack(field.request("GET", target))
        assert_clean(outcome)
        assert outcome.requests
    dead = [f"Authorization: Bearer {field.bearer}", "X-Moltin-Customer-Token: a.b.c"]
    outcome = await field.attack(field.request("GET", "/v2/products", proof=dead), me=None)
    assert_clean(outcome)
    assert all(b"a.b.c" not in request.raw for request in outcome.requests)
    outcome = await field.attack(field.request("GET", "/v2/orders", proof=dead), me=None)
    assert_refused(outcome, 403)
    assert_nothing_sent(outcome)
