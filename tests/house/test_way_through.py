"""The way through: request in, what the upstream saw, reply out."""

from gateway.demo.data import LESLIE, LESLIE_ID, RON, RON_ID
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
