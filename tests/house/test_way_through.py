"""The way through: request in, what the upstream saw, reply out."""

from gateway.demo.data import DEMO_PASSWORDS, LESLIE, LESLIE_ID, RON, RON_ID
from tests.gateways import Site


async def test_own_orders_are_filtered_and_foreign_ones_are_not_there(site: Site) -> None:
    """A customer's list is filtered upstream by the customer's id and holds nobody else's record."""
    answer = await site.customer(RON.email, "GET", "/v2/orders")
    assert answer.status == 200
    assert site.commerce.requests[-1].target == f"/v2/orders?filter=eq(customer_id,{RON_ID})"
    owners = {order["relationships"]["customer"]["data"]["id"] for order in answer.json()["data"]}
    assert owners == {RON_ID}
    assert LESLIE.canary.encode() not in answer.body


async def test_foreign_customer_is_as_if_not_there(site: Site) -> None:
    """Somebody else's profile answers 404 and asks nobody."""
    await site.token(RON.email)
    site.commerce.forget()
    answer = await site.customer(RON.email, "GET", f"/v2/customers/{LESLIE_ID}")
    assert (answer.status, answer.code) == (404, "RECORD_NOT_FOUND")
    assert not site.commerce.requests


async def test_links_of_a_list_can_be_followed(site: Site) -> None:
    """The next page that a list links to is the customer's next page: our own clause is not in the link."""
    first = await site.customer(RON.email, "GET", "/v2/orders?page[limit]=5&filter=gt(with_tax,1)")
    link = first.json()["links"]["next"]
    assert "customer_id" not in link
    second = await site.customer(RON.email, "GET", link)
    assert second.status == 200
    assert {order["id"] for order in second.json()["data"]}.isdisjoint(order["id"] for order in first.json()["data"])
    assert site.commerce.requests[-1].target.count("gt(with_tax,1)") == 1


async def test_dead_customer_token_does_not_stand_in_the_way_of_a_login(site: Site) -> None:
    """A login answers whatever customer token comes with it; a call for customers with a dead one is 403."""
    dead = {"X-Moltin-Customer-Token": "a.b.c"}
    data = {"type": "token", "email": RON.email, "password": DEMO_PASSWORDS[RON.email]}
    assert (await site.public("POST", "/v2/customers/tokens", dead, json={"data": data})).status == 201
    assert (await site.public("GET", "/v2/orders", dead)).code == "CUSTOMER_TOKEN_INVALID"
