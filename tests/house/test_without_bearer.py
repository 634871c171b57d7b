"""`clients.require: false`: for backends without an implicit grant, a request without a bearer is public."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.demo.data import DEMO_PASSWORDS, LESLIE_ID, RON, RON_ID
from tests.fakes.commerce import Commerce
from tests.gateways import Site
from tests.gateways import site as run_site
from tests.tokens.accounts import ANN, PASSWORD, customer

CONFIG = "extends: moltin.yaml\nclients: {require: false}\n"


@pytest.fixture(name="site")
async def _site(upstream: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    async with run_site(upstream, tmp_path, config=CONFIG) as running:
        yield running


async def login(site: Site, email: str, password: str) -> str:
    """Log in without a bearer."""
    body = {"data": {"type": "token", "email": email, "password": password}}
    answer = await site.call("POST", "/v2/customers/tokens", json=body)
    assert answer.status == 201
    return str(answer.json()["data"]["token"])


async def test_request_without_a_bearer_is_public(site: Site) -> None:
    """Without Authorization the caller is public: open routes answer, closed ones are 403."""
    assert (await site.call("GET", "/v2/products")).status == 200
    for method, target in (("GET", "/v2/orders"), ("GET", "/v2/customers"), ("GET", f"/v2/customers/{RON_ID}")):
        answer = await site.call(method, target)
        assert (answer.status, answer.code) == (403, "ACCESS_DENIED")
    assert all("authorization" in {name.lower() for name, _ in one.headers} for one in site.commerce.requests)


async def test_customer_token_works_without_a_bearer(site: Site) -> None:
    """Registration, login and own records need no bearer; foreign records stay as if not there."""
    assert (await site.call("POST", "/v2/customers", json=customer(ANN, PASSWORD))).status == 201
    assert await login(site, ANN, PASSWORD)
    headers = {"X-Moltin-Customer-Token": await login(site, RON.email, DEMO_PASSWORDS[RON.email])}
    orders = await site.call("GET", "/v2/orders", headers=headers)
    assert {one["relationships"]["customer"]["data"]["id"] for one in orders.json()["data"]} == {RON_ID}
    assert (await site.call("GET", f"/v2/customers/{RON_ID}", headers=headers)).status == 200
    assert (await site.call("GET", f"/v2/customers/{LESLIE_ID}", headers=headers)).status == 404


@pytest.mark.parametrize("authorization", ["Bearer x", "Bearer: x", "x", "Bearer ", "", "Basic eDp5"])
async def test_bearer_that_is_not_valid_is_refused(site: Site, authorization: str) -> None:
    """A bearer that is there must be valid: 401 also where none is required, with or without a customer token."""
    token = await login(site, RON.email, DEMO_PASSWORDS[RON.email])
    site.commerce.forget()
    for extra in ({}, {"X-Moltin-Customer-Token": token}):
        answer = await site.call("GET", "/v2/products", headers={"Authorization": authorization, **extra})
        assert (answer.status, answer.code) == (401, "BEARER_INVALID")
    assert not site.commerce.requests


async def test_customer_token_is_no_bearer(site: Site) -> None:
    """A customer token in Authorization is not a bearer, and a garbled customer token is 403."""
    token = await login(site, RON.email, DEMO_PASSWORDS[RON.email])
    assert (await site.call("GET", "/v2/orders", headers={"Authorization": f"Bearer {token}"})).status == 401
    garbled = await site.call("GET", "/v2/orders", headers={"X-Moltin-Customer-Token": token[:-2]})
    assert (garbled.status, garbled.code) == (403, "CUSTOMER_TOKEN_INVALID")


async def test_bearers_keep_working(site: Site) -> None:
    """A bearer may still be asked for and used, and a server's is still trusted."""
    assert (await site.public("GET", "/v2/products")).status == 200
    assert (await site.trusted("GET", "/v2/customers")).status == 200
