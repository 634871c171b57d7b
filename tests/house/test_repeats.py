"""Idempotency-Key from socket to socket: which requests it goes up with, and what it is then."""

from pathlib import Path

import pytest

from gateway.config.faults import ConfigError
from gateway.config.load import load
from gateway.demo.data import LESLIE, RON, RON_ID
from tests.fakes.commerce import Commerce
from tests.gateways import Site, environment
from tests.gateways import site as run_site
from tests.tokens.accounts import register

ADDRESSES = f"/v2/customers/{RON_ID}/addresses"
KEY = {"Idempotency-Key": "canary-key-1"}
ADDRESS = {
    "data": {"type": "address", "name": "n", "first_name": "f", "last_name": "l", "line_1": "1", "county": "c",
             "postcode": "p", "country": "US"},
}  # fmt: skip
REQUIRED = """
extends: moltin.yaml
routes:
  - {name: notes, path: /v2/notes, methods: [GET, POST], idempotency_key: required, access: {public: open}}
  - {name: quiet, path: /v2/quiet, methods: [POST], idempotency_key: "off", access: {public: open}}
"""


def keys(site: Site, method: str, path: str) -> list[str]:
    """Return the keys of requests that came to the upstream."""
    asked = [one for one in site.commerce.requests if (one.method, one.path) == (method, path)]
    return [key for one in asked for key in one.values("idempotency-key")]


async def test_a_repeated_write_is_known_upstream(site: Site) -> None:
    """By a digest; the looks before it, reads, and another customer's key have nothing of it."""
    for _ in range(2):
        await site.customer(RON.email, "POST", ADDRESSES, headers={**KEY, "If-Match": '"x"'}, json=ADDRESS)
        await site.customer(RON.email, "GET", ADDRESSES, headers=KEY)
    first, second = keys(site, "POST", ADDRESSES)
    assert (first, len(first)) == (second, 64)
    assert [one for request in site.commerce.requests for one in request.values("idempotency-key")] == [first, second]
    path = ADDRESSES.replace(RON_ID, LESLIE.id)
    await site.customer(LESLIE.email, "POST", path, headers=KEY, json=ADDRESS)
    assert keys(site, "POST", path) != [first]


async def test_nothing_passes_where_passwords_are_kept(bare: Site) -> None:
    """A registration's own intent makes its repeat safe."""
    bare.commerce.requests.clear()
    await bare.public("GET", "/v2/products")
    assert (await register(bare)).status == 201
    form = {"data": {"type": "customer", "name": "N", "email": "n@x.example", "password": "canary-pass"}}
    assert (await bare.public("POST", "/v2/customers", headers=KEY, json=form)).status == 201
    assert keys(bare, "POST", "/v2/customers") == []


async def test_a_route_may_need_one_or_none(upstream: Commerce, tmp_path: Path) -> None:
    """400 without one on writes; `off` passes none."""
    async with run_site(upstream, tmp_path, config=REQUIRED, passwords=False) as site:
        missing = await site.public("POST", "/v2/notes", json={})
        assert (missing.status, missing.code) == (400, "IDEMPOTENCY_KEY_MISSING")
        await site.public("POST", "/v2/notes", headers=KEY, json={})
        await site.public("POST", "/v2/quiet", headers=KEY, json={})
        assert (await site.public("GET", "/v2/notes")).code != "IDEMPOTENCY_KEY_MISSING"
        assert (len(keys(site, "POST", "/v2/notes")), keys(site, "POST", "/v2/quiet")) == (1, [])


@pytest.mark.parametrize("route", ["methods: [POST], passwords: register", "methods: [GET]"])
def test_a_key_where_none_passes_is_a_fault(tmp_path: Path, route: str) -> None:
    """Neither with passwords nor with reads."""
    path = tmp_path / "g.yaml"
    path.write_text(
        f"extends: {Path('config/moltin.yaml').resolve()}\nroutes:\n"
        f"  - {{name: x, path: /v2/x, {route}, idempotency_key: required, access: {{public: open}}}}\n"
    )
    with pytest.raises(ConfigError, match=r"routes\[0\]\.idempotency_key"):
        load(path, environment(tmp_path, "http://up.example"))
