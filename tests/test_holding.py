"""Every kind of credential, through the door: what reaches the upstream, and what is said of what cannot be."""

import base64
from pathlib import Path

import pytest

from tests.fakes.commerce import Commerce, Recorded
from tests.gateways import site as run_site

OPEN = """\
extends: moltin.yaml
upstream:
  credential: {credential}
  public_credential: null
routes:
  - {{name: products, path: /v2/products, methods: [GET], access: {{public: open, trusted: open}}}}
"""
ANSWER = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"data":[]}'
REFUSED = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"
GRANT = b'{"access_token":"granted","expires_in":3600}'
GRANTED = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(GRANT), GRANT)


def lines_of(request: Recorded, *names: str) -> list[tuple[str, str]]:
    """Return the lines of a request that are called so."""
    return [(name.lower(), value) for name, value in request.headers if name.lower() in names]


def basic(user: str, password: str) -> str:
    """Return a user and a password as RFC 7617 writes them."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


KINDS = [
    pytest.param("{kind: none}", [], id="none"),
    pytest.param("{kind: bearer, token: '${env:TOKEN}'}", [("authorization", "Bearer static")], id="bearer"),
    pytest.param("{kind: header, value: 'Token ${env:TOKEN}'}", [("authorization", "Token static")], id="token"),
    pytest.param("{kind: header, name: X-Api-Key, value: '${env:TOKEN}'}", [("x-api-key", "static")], id="api key"),
    pytest.param(
        "{kind: basic, user: us, password: '${env:TOKEN}'}", [("authorization", basic("us", "static"))], id="basic"
    ),
    pytest.param("{kind: implicit, client_id: us}", [("authorization", "Bearer granted")], id="implicit"),
    pytest.param(
        "{kind: client_credentials, client_id: us, client_secret: '${env:TOKEN}', scope: read all, audience: shop}",
        [("authorization", "Bearer granted")],
        id="client credentials",
    ),
]


@pytest.fixture
def answering(upstream: Commerce) -> Commerce:
    """Give an upstream that answers everybody."""
    upstream.script(lambda request: request.path == "/v2/products", ANSWER)
    upstream.script(lambda request: request.path == "/oauth/access_token", GRANTED)
    return upstream


@pytest.mark.parametrize(("written", "expected"), KINDS)
async def test_what_each_kind_sends(
    answering: Commerce, tmp_path: Path, written: str, expected: list[tuple[str, str]]
) -> None:
    """Nothing but its own line, whatever the client sends under the same name."""
    config = OPEN.format(credential=written)
    async with run_site(answering, tmp_path, config=config, passwords=False, TOKEN="static") as site:
        headers = {"X-Api-Key": "of the client"}
        assert (await site.public("GET", "/v2/products", headers)).status == 200
        (request,) = [one for one in answering.requests if one.path == "/v2/products"]
        assert lines_of(request, "authorization", "x-api-key") == expected
        async with site.session.get(f"{site.admin_url}/ready") as ready:
            assert ready.status == 200


async def test_scope_and_audience_are_asked_for(answering: Commerce, tmp_path: Path) -> None:
    """They are fields of the form."""
    written = "{client_id: us, client_secret: '${env:TOKEN}', scope: read all, audience: shop, authentication: basic}"
    config = OPEN.format(credential=written)
    async with run_site(answering, tmp_path, config=config, passwords=False, TOKEN="static") as site:
        await site.public("GET", "/v2/products")
    (request,) = answering.token_requests
    assert request.body == b"grant_type=client_credentials&scope=read+all&audience=shop"
    assert lines_of(request, "authorization") == [("authorization", basic("us", "static"))]


@pytest.mark.parametrize("kind", ["client_credentials, client_secret: '${env:TOKEN}'", "implicit"])
async def test_a_token_endpoint_elsewhere(upstream: Commerce, tmp_path: Path, kind: str) -> None:
    """It alone is asked, under its own name; what it grants goes to the upstream, and nowhere else."""
    upstream.script(lambda request: request.path == "/v2/products", ANSWER)
    async with Commerce() as elsewhere:
        elsewhere.script(lambda request: request.path == "/realms/shop/token/", GRANTED)
        url = f"{elsewhere.url}/realms/shop/token/"
        config = OPEN.format(credential=f"{{kind: {kind}, client_id: us, url: '{url}'}}")
        async with run_site(upstream, tmp_path, config=config, passwords=False, TOKEN="static") as site:
            assert (await site.public("GET", "/v2/products")).status == 200
        (asked,) = elsewhere.all_requests
        assert (asked.method, asked.path) == ("POST", "/realms/shop/token/")
        assert lines_of(asked, "host") == [("host", elsewhere.url.removeprefix("http://"))]
    (request,) = upstream.all_requests
    assert lines_of(request, "authorization") == [("authorization", "Bearer granted")]


async def test_nothing_stands_in_for_a_token_endpoint_elsewhere(answering: Commerce, tmp_path: Path) -> None:
    """Where it cannot be reached the upstream is not asked in its place, and the gateway is not ready."""
    written = "{client_id: us, client_secret: '${env:TOKEN}', url: 'http://127.0.0.1:1/oauth/access_token'}"
    config = OPEN.format(credential=written)
    async with run_site(answering, tmp_path, config=config, passwords=False, TOKEN="static") as site:
        refused = await site.public("GET", "/v2/products")
        assert (refused.status, refused.code) == (503, "CREDENTIAL_UNAVAILABLE")
        async with site.session.get(f"{site.admin_url}/ready") as ready:
            assert ready.status == 503
    assert not answering.all_requests


async def test_a_bearer_in_a_file_may_change(upstream: Commerce, tmp_path: Path) -> None:
    """Once the upstream does not accept what the file held, it is read anew, and the request goes on."""
    file = tmp_path / "token"
    file.write_text("old\n")
    good = ["Bearer old"]

    def answer(request: Recorded) -> bytes:
        return ANSWER if request.header("authorization") in good else REFUSED

    upstream.script(lambda request: request.path == "/v2/products", answer)
    config = OPEN.format(credential=f"{{kind: bearer, token_file: {file}}}")
    async with run_site(upstream, tmp_path, config=config, passwords=False) as site:
        assert (await site.public("GET", "/v2/products")).status == 200
        file.write_text("new\n")
        good[:] = ["Bearer new"]
        assert (await site.public("GET", "/v2/products")).status == 200
        assert [request.header("authorization") for request in upstream.requests] == [
            "Bearer old", "Bearer old", "Bearer new",
        ]  # fmt: skip


@pytest.mark.parametrize("held", ["", "two words", None])
async def test_a_file_without_a_bearer_is_no_credential(upstream: Commerce, tmp_path: Path, held: str | None) -> None:
    """Nothing goes upstream, and the gateway is not ready."""
    file = tmp_path / "token"
    if held is not None:
        file.write_text(held)
    config = OPEN.format(credential=f"{{kind: bearer, token_file: {file}}}")
    async with run_site(upstream, tmp_path, config=config, passwords=False) as site:
        refused = await site.public("GET", "/v2/products")
        assert (refused.status, refused.code) == (503, "CREDENTIAL_UNAVAILABLE")
        async with site.session.get(f"{site.admin_url}/ready") as ready:
            assert ready.status == 503
    assert not upstream.requests


async def test_a_key_that_is_rejected_for_one_serves_the_others(upstream: Commerce, tmp_path: Path) -> None:
    """No client learns of the 401, and none can end the credential for all."""
    refuses = [True]
    upstream.script(lambda request: request.path == "/v2/products", lambda _: REFUSED if refuses[0] else ANSWER)
    config = OPEN.format(credential="{kind: header, name: X-Api-Key, value: '${env:TOKEN}'}")
    async with run_site(upstream, tmp_path, config=config, passwords=False, TOKEN="static") as site:
        refused = await site.public("GET", "/v2/products")
        assert (refused.status, refused.code) == (503, "CREDENTIAL_UNAVAILABLE")
        assert len(upstream.requests) == 1
        refuses[0] = False
        assert (await site.public("GET", "/v2/products")).status == 200
