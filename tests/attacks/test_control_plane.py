"""The admin port and the public port (D8): each has its own paths, and neither shows a secret."""

import asyncio
import json

from gateway.demo.data import DEMO_PASSWORDS, PEOPLE
from tests.attacks.field import ON_ONE_LOOP, Field, assert_refused, every, telling
from tests.gateways import TRUSTED_SECRET, UPSTREAM_SECRET

pytestmark = ON_ONE_LOOP

PATHS = ("/live", "/ready", "/metrics", "/config")
METHODS = ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")


def secrets_of(field: Field) -> list[str]:
    """Return what no port may show."""
    private = json.loads(field.site.config.tokens.keys[0].get_secret_value())["d"]
    texts = [UPSTREAM_SECRET, TRUSTED_SECRET, private, field.token, field.stolen, field.bearer, field.trusted]
    return [*texts, *DEMO_PASSWORDS.values()]


@every(path=PATHS)
async def test_cve_2022_23469_admin_shows_no_secret(field: Field, path: str) -> None:
    """The admin port shows no secret and nobody's record (D7.8, D8.1)."""
    await field.attack(field.request("GET", "/v2/orders"))
    async with field.site.session.get(field.site.admin_url + path) as response:
        assert response.status == 200
        shown = await response.read() + repr(dict(response.headers)).encode()
    for secret in secrets_of(field):
        assert secret.encode() not in shown
    for person in PEOPLE:
        assert not [text for text in telling(person) if text in shown]


@every(path=PATHS, origin=["http://evil.example", "null", "http://127.0.0.1", "*"])
async def test_cve_2026_27589_no_other_site_reads_admin(field: Field, path: str, origin: str) -> None:
    """No browser gives an answer of the admin port to another site: it grants no origin anything (D8.1, Caddy)."""
    url = field.site.admin_url + path
    asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    async with field.site.session.get(url, headers=asked) as response:
        assert not [name for name in response.headers if name.lower().startswith("access-control-")]
    async with field.site.session.options(url, headers=asked) as response:
        assert response.status >= 400
        assert not [name for name in response.headers if name.lower().startswith("access-control-")]


@every(path=PATHS, method=METHODS)
async def test_d8_1_admin_answers_get_alone(field: Field, path: str, method: str) -> None:
    """Nothing can be changed through the admin port (D8.1)."""
    async with field.site.session.request(method, field.site.admin_url + path, data=b"{}") as response:
        assert response.status == 405


OTHERS = (
    "/", "/v2/orders", "/v2/customers", "/oauth/access_token", "/v2/customers/tokens", "/.well-known/jwks.json",
    "/config/",
    "/config/tokens", "/load", "/stop", "/debug/pprof", "/debug/vars", "/env", "/actuator", "/heapdump", "/config.json",
    "/metrics/", "/Config", "//config", "/live/../config", "/%2e%2e/etc/passwd", "/static/../../etc/passwd", "/id/x",
)  # fmt: skip


@every(path=OTHERS)
async def test_cve_2025_24030_admin_has_four_paths(field: Field, path: str) -> None:
    """The admin port has four paths and forwards nothing (D8.2, Envoy Gateway)."""
    field.site.commerce.forget()
    host, _, port = field.site.admin_url.removeprefix("http://").partition(":")
    status, body = await ask(host, int(port), path, field.lines())
    assert status in {400, 404}
    assert b"canary" not in body
    assert not field.site.commerce.requests


async def ask(host: str, port: int, target: str, lines: list[str]) -> tuple[int, bytes]:
    """GET a target exactly as it is spelled, and return status and all that came."""
    reader, writer = await asyncio.open_connection(host, port)
    head = [f"GET {target} HTTP/1.1", "Host: admin.example", *lines, "Connection: close", "", ""]
    writer.write("\r\n".join(head).encode())
    data = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(data.split(b" ", 2)[1]), data


SPELLED = ("{path}", "{path}/", "/{path}", "{path}?x=1", "/v2{path}", "/admin{path}", "/catalog/..{path}", "/./{path}")


@every(path=PATHS, form=SPELLED, caller=["nobody", "customer", "trusted"])
async def test_d8_2_the_public_port_has_no_admin_paths(field: Field, path: str, form: str, caller: str) -> None:
    """No caller reaches what is the admin port's through the public one (D8.2)."""
    proof = {"nobody": [], "customer": field.lines(), "trusted": [f"Authorization: Bearer {field.trusted}"]}[caller]
    outcome = await field.attack(field.request("GET", form.format(path=path), proof=proof), me=None)
    assert_refused(outcome, 400, 404)


@every(path=["/.well-known/jwks.json"])
async def test_published_keys_are_public(field: Field, path: str) -> None:
    """The published keys hold no private member."""
    outcome = await field.attack(field.request("GET", path, proof=[]), me=None)
    assert outcome.status == 200
    for key in outcome.first.json()["keys"]:
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & key.keys()


async def test_d7_8_the_log_shows_no_secret(field: Field) -> None:
    """After everything above the log holds no token, no password and nobody's record (D7.8, APISIX CVE-2022-29266)."""
    text = field.site.log.getvalue()
    assert text
    for secret in secrets_of(field):
        assert secret not in text
    for person in PEOPLE:
        assert person.canary not in text
        assert person.email not in text
