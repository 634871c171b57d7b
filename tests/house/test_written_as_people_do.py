"""What clients are told in the words of their own protocols, and what passes in the form it was written."""

import gzip
from pathlib import Path

import pytest

from tests.fakes.commerce import Commerce, at
from tests.gateways import STOREFRONT, TRUSTED, TRUSTED_SECRET, Answer, Site
from tests.gateways import site as run_site

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
UPLOADS = """
extends: moltin.yaml
routes:
  - {name: files, path: /v2/files, methods: [GET, POST], access: {public: open}}
  - name: drafts
    path: /v2/drafts/{cid}
    methods: [POST]
    access:
      customer:
        scope: [path_owner: {parameter: cid}]
        guard: [owner: {pointer: /cid}]
"""


async def grant(site: Site, form: str, **headers: str) -> Answer:
    """Ask for a bearer."""
    return await site.call("POST", "/oauth/access_token", data=form.encode(), headers={**FORM, **headers})


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        (f"grant_type=client_credentials&client_id={TRUSTED}&client_secret=no", 401, "invalid_client"),
        ("grant_type=implicit&client_id=nobody", 401, "invalid_client"),
        (f"grant_type=password&client_id={STOREFRONT}", 400, "unsupported_grant_type"),
        (f"client_id={STOREFRONT}", 400, "invalid_request"),
        ("grant_type=&client_id=x", 400, "invalid_request"),
        ("grant_type=implicit", 400, "invalid_request"),
        ("grant_type=implicit&grant_type=implicit", 400, "invalid_request"),
        ("x=" + "x" * 9000, 413, "invalid_request"),
    ],
)
async def test_a_refused_grant_has_oauths_error(bare: Site, form: str, status: int, error: str) -> None:
    """Libraries of OAuth read `error` (RFC 6749 section 5.2), SDKs of the API `errors`."""
    answer = await grant(bare, form)
    document = answer.json()
    assert (answer.status, document["error"]) == (status, error)
    assert document["error_description"] == document["errors"][0]["detail"]


async def test_other_refusals_have_no_error_of_oauth(bare: Site) -> None:
    """Only the token endpoint speaks so."""
    assert set((await bare.public("GET", "/nowhere")).json()) == {"errors"}


async def test_whoever_sent_a_secret_is_asked_for_one(bare: Site) -> None:
    """The challenge names what the endpoint takes; a page is not asked, or its browser would ask the shopper."""
    server = await grant(bare, f"grant_type=client_credentials&client_id={TRUSTED}&client_secret=no")
    page = await grant(bare, "grant_type=implicit&client_id=nobody")
    assert server.headers["www-authenticate"].startswith("Basic ")
    assert page.headers["www-authenticate"] == "Bearer"


async def test_415_says_what_would_be_taken(bare: Site) -> None:
    """RFC 9110 section 15.5.16: in `Accept`, or in `Accept-Encoding` where the coding is at fault."""
    form = await grant(bare, "grant_type=implicit", **{"Content-Type": "application/json"})
    assert (form.status, form.headers["accept"]) == (415, "application/x-www-form-urlencoded")
    login = await bare.public("POST", "/v2/customers/tokens", data=b"a=b", headers=FORM)
    assert (login.status, login.headers["accept"]) == (415, "application/json")
    coded = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    login = await bare.public("POST", "/v2/customers/tokens", data=gzip.compress(b"{}"), headers=coded)
    assert (login.status, login.headers["accept-encoding"]) == (415, "identity")
    assert "accept" not in login.headers


async def test_a_compressed_body_passes_on_open_routes(upstream: Commerce, tmp_path: Path) -> None:
    """It goes up as it came, with what says how to read it, and never without."""
    sent = gzip.compress(b'{"data":{}}' * 10)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    upstream.script(at("/v2/files"), b"HTTP/1.1 204 X\r\n\r\n")
    async with run_site(upstream, tmp_path, config=UPLOADS, passwords=False) as site:
        assert (await site.public("POST", "/v2/files", data=sent, headers=headers)).status == 204
        asked = next(one for one in upstream.requests if one.path == "/v2/files")
        assert (asked.body, asked.values("content-encoding")) == (sent, ["gzip"])
        told = len(upstream.requests)
        cut = await site.public("POST", "/v2/files", data=sent, headers={**headers, "Connection": "content-encoding"})
        assert (cut.status, cut.headers["accept-encoding"], len(upstream.requests)) == (415, "identity", told)
        assert (await site.public("GET", "/v2/files", headers={"Content-Encoding": "gzip"})).status == 204
        assert upstream.requests[-1].values("content-encoding") == []


async def test_two_secrets_are_good_for_as_long_as_they_stand_there(upstream: Commerce, tmp_path: Path) -> None:
    """A secret is exchanged without an outage: both open, and nothing else does."""
    (tmp_path / "old").write_text("canary-old-secret\n")
    config = f"""
extends: moltin.yaml
clients:
  client_credentials:
    - id: {TRUSTED}
      secret: null
      secrets: ["${{env:TRUSTED_CLIENT_SECRET}}", "${{file:old}}"]
"""
    async with run_site(upstream, tmp_path, config=config, passwords=False) as site:
        tried = {"": 401, TRUSTED_SECRET: 200, "canary-old-secret": 200, "canary-old-secret%0A": 401, "-": 401}
        for secret, status in tried.items():
            form = f"grant_type=client_credentials&client_id={TRUSTED}&client_secret={secret}"
            assert (await grant(site, form)).status == status, secret
