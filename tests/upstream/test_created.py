"""Which Location of a record that was made is told: the caller's own, by its path, by this answer, or by a look."""

import pytest

from gateway.demo.data import LESLIE, RON
from tests.fakes.commerce import at
from tests.gateways import Site
from tests.saying import CART, FOREIGN, HOME, ME, OWN, PRODUCT, own, said


async def test_an_own_place_is_told(site: Site) -> None:
    """A path below the own id says whose the record is; query and fragment stay."""
    target = f"{ME}/addresses"
    site.commerce.script(at(target, "POST"), said(201, b"", ("location", f"{site.commerce.url}{target}/a9?x=1#f")))
    reply = await own(site, "POST", target, json=HOME)
    assert (reply.status, reply.headers["location"]) == (201, f"{target}/a9")


@pytest.mark.parametrize(
    "place",
    [
        f"/v2/customers/{LESLIE.id}/addresses/a9",
        f"/v2/customers/{LESLIE.id}",
        FOREIGN,
        "/v2/orders/nowhere",
        "/v2/carts/somebodys",
        PRODUCT,
        "/nowhere",
        "https://evil.example/v2/orders/o1",
        "//evil.example/",
        f"{ME}/addresses/%2e%2e/x",
        "javascript:x",
    ],
)
async def test_a_strangers_place_is_not_told(site: Site, place: str) -> None:
    """Neither an id of somebody else leaves in a Location, nor the key of a cart."""
    target = f"{ME}/addresses"
    site.commerce.script(at(target, "POST"), said(201, b"", ("location", place)))
    reply = await own(site, "POST", target, json=HOME)
    assert (reply.status, reply.body) == (201, b'{"data":null}')
    assert "location" not in reply.headers


async def test_a_record_that_only_a_look_proves_is_looked_at_once(site: Site) -> None:
    """It is told where it passes the guard of its own route, and nothing is told of one that is not there."""
    await site.token(RON.email)
    target = f"{CART}/checkout"
    order = {"data": {"customer": {"id": RON.id}, "billing_address": {}, "shipping_address": {}}}
    for place, is_told in ((OWN, True), (FOREIGN, False), ("/v2/orders/nowhere", False)):
        site.commerce.forget()
        site.commerce.script(at(target), said(201, b"", ("location", place)))
        reply = await own(site, "POST", target, json=order)
        assert (reply.status, reply.headers.get("location")) == (201, place if is_told else None)
        assert [request.path for request in site.commerce.requests] == [target, place]


async def test_another_record_than_the_one_that_was_named_proves_nothing(site: Site) -> None:
    """An upstream that answers any id with the caller's own record does not make the id the caller's."""
    await site.token(RON.email)
    target = f"{CART}/checkout"
    mine = site.commerce.shop.orders[OWN.rpartition("/")[2]]
    site.commerce.script(at(target), said(201, b"", ("location", FOREIGN)))
    site.commerce.script(at(FOREIGN), said(200, {"data": mine}))
    order = {"data": {"customer": {"id": RON.id}, "billing_address": {}, "shipping_address": {}}}
    assert "location" not in (await own(site, "POST", target, json=order)).headers


async def test_a_record_that_was_judged_needs_no_look(site: Site) -> None:
    """Its id stands in this very answer."""
    await site.token(RON.email)
    site.commerce.forget()
    target = f"{CART}/checkout"
    mine = site.commerce.shop.orders[OWN.rpartition("/")[2]]
    site.commerce.script(at(target), said(201, {"data": mine}, ("location", f"{site.commerce.url}{OWN}")))
    order = {"data": {"customer": {"id": RON.id}, "billing_address": {}, "shipping_address": {}}}
    reply = await own(site, "POST", target, json=order)
    assert (reply.status, reply.headers["location"], len(site.commerce.requests)) == (201, OWN, 1)
