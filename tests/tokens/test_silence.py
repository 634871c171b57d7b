"""Customers whom the API makes or changes without showing them are read back, by id, before the store changes."""

import pytest

from gateway.demo.data import LESLIE
from tests.fakes.commerce import Recorded, at
from tests.gateways import Site
from tests.saying import said
from tests.tokens.accounts import ANN, OTHER, PASSWORD, change, register, store_of, token_of


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_a_password_is_kept_when_the_customer_was_read_back(site: Site, status: int) -> None:
    """A change that answers nothing is looked at, by its id, before the store changes."""
    made = (await register(site)).json()["data"]["id"]
    token = await token_of(site, ANN, PASSWORD)
    site.commerce.forget()
    site.commerce.script(at(f"/v2/customers/{made}", "PUT"), said(status))
    reply = await change(site, token, made, name="Ann", password=OTHER)
    assert (reply.status, reply.json()["data"]["id"], reply.json()["data"]["password"]) == (200, made, True)
    assert [request.method for request in site.commerce.requests] == ["PUT", "GET"]
    assert (await site.login(ANN, OTHER)).status == 201


async def test_no_password_is_kept_for_somebody_else(site: Site) -> None:
    """What is read back is another customer: the password stays as it was."""
    made = (await register(site)).json()["data"]["id"]
    token = await token_of(site, ANN, PASSWORD)
    before = await store_of(site).password_hash(made)
    site.commerce.script(at(f"/v2/customers/{made}", "PUT"), said(204))
    site.commerce.script(at(f"/v2/customers/{made}", "GET"), said(200, {"data": {"type": "customer", "id": LESLIE.id}}))
    reply = await change(site, token, made, name="Ann", password=OTHER)
    assert reply.status in {404, 502}
    assert await store_of(site).password_hash(made) == before


def quietly(site: Site, request: Recorded) -> bytes:
    """Make the customer and say nothing of it."""
    headers = {name.lower(): value for name, value in request.headers}
    site.commerce.shop.answer(request.method, request.path, request.query, headers, request.body)
    return said(201)


async def test_a_customer_who_was_made_in_silence_is_read_back(site: Site) -> None:
    """By the e-mail and then by id; the client sees whom it registered."""
    site.commerce.script(at("/v2/customers", "POST"), lambda request: quietly(site, request))
    reply = await register(site)
    assert (reply.status, reply.json()["data"]["email"], reply.json()["data"]["password"]) == (201, ANN, True)
    assert (await site.login(ANN, PASSWORD)).json()["data"]["customer_id"] == reply.json()["data"]["id"]


async def test_a_customer_without_password_who_was_made_in_silence_is_accepted(site: Site) -> None:
    """There is nothing to keep, and nobody to be shown."""
    site.commerce.script(at("/v2/customers", "POST"), lambda request: quietly(site, request))
    reply = await register(site, password=None)
    assert (reply.status, reply.json()["data"], reply.json()["meta"]["code"]) == (202, None, "REGISTRATION_ACCEPTED")
