"""Carts of the demo shop."""

import pytest

from gateway.demo.data import (
    APRIL_ID,
    LESLIE_ID,
    RON,
    RON_CART,
    RON_ID,
)
from tests.demo.asking import Client


def test_checkout(client: Client) -> None:
    """A checkout with an id makes that customer's order, one with name and e-mail a guest's."""
    billing = {"line_1": "1 Main Street"}
    owned = client.ask(
        "POST", f"/v2/carts/{RON_CART}/checkout", {"customer": {"id": RON_ID}, "billing_address": billing}
    )
    assert owned.status == 201
    assert owned.json()["data"]["relationships"]["customer"]["data"]["id"] == RON_ID
    named = {"name": "Ron", "email": RON.email}
    guest = client.ask("POST", f"/v2/carts/{RON_CART}/checkout", {"customer": named, "billing_address": billing})
    assert "customer" not in guest.json()["data"]["relationships"]
    assert guest.json()["data"]["id"] in client.shop.orders


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"customer": {"id": RON_ID}}, 422),
        ({"billing_address": {"line_1": "1"}}, 422),
        ({"customer": {}, "billing_address": {"line_1": "1"}}, 422),
        ({"customer": {"id": "nobody"}, "billing_address": {"line_1": "1"}}, 404),
        ({"customer": {"id": ["x"]}, "billing_address": {"line_1": "1"}}, 404),
    ],
)
def test_bad_checkouts(client: Client, data: object, status: int) -> None:
    """A checkout needs a known customer, or name and e-mail, and a billing address."""
    assert client.ask("POST", f"/v2/carts/{RON_CART}/checkout", data).status == status


def test_cart_items(client: Client) -> None:
    """Items of a cart are added, counted and removed, and custom items have their own price."""
    custom = {"type": "custom_item", "name": "Gift", "sku": "G", "price": {"amount": 500}, "quantity": 3}
    added = client.ask("POST", "/v2/carts/new/items", custom).json()
    assert added["meta"]["display_price"]["with_tax"]["amount"] == 1500
    item = f"/v2/carts/new/items/{added['data'][0]['id']}"
    assert client.ask("PUT", item, {"quantity": 1}).json()["data"][0]["quantity"] == 1
    assert client.ask("PUT", item, {"quantity": 0}).status == 422
    assert client.ask("DELETE", item).json()["data"] == []
    assert client.ask("DELETE", item).status == 404


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ([{"type": "customer", "id": RON_ID}], 204),
        ([{"type": "customer", "id": LESLIE_ID}], 403),
        ([{"type": "customer", "id": LESLIE_ID}, {"type": "customer", "id": RON_ID}], 403),
        ([{"type": "customer", "id": "nobody"}], 403),
        ([{"type": "order", "id": RON_ID}], 400),
        ({"type": "customer", "id": RON_ID}, 403),
        ([], 403),
    ],
)
def test_cart_association(client: Client, data: object, status: int) -> None:
    """A cart is linked to one known customer, by an array."""
    assert client.ask("POST", f"/v2/carts/{RON_CART}/relationships/customers", data).status == status


def test_cart_of_another_customer(client: Client) -> None:
    """A cart that was let go can be linked to another customer, and is then in that customer's list."""
    path = f"/v2/carts/{RON_CART}/relationships/customers"
    assert client.ask("DELETE", path, [{"type": "customer", "id": RON_ID}]).status == 204
    assert client.ask("POST", path, [{"type": "customer", "id": APRIL_ID}]).status == 200
    assert [one["id"] for one in client.get(f"/v2/carts?filter=eq(customer_id,{APRIL_ID})")["data"]] == [RON_CART]


def test_cart_life(client: Client) -> None:
    """A cart is made by a post or by the first look at it, renamed, emptied and deleted."""
    made = client.ask("POST", "/v2/carts", {"name": "List"}).json()["data"]
    assert client.get(f"/v2/carts/{made['id']}")["data"]["name"] == "List"
    assert client.ask("PUT", f"/v2/carts/{made['id']}", {"name": "Other"}).json()["data"]["name"] == "Other"
    assert client.get("/v2/carts/seen-first")["data"]["relationships"]["items"]["data"] == []
    assert len(client.get(f"/v2/carts/{RON_CART}/items")["data"]) == 1
    assert client.ask("DELETE", f"/v2/carts/{RON_CART}/items").json()["data"] == []
    order = {"customer": {"id": RON_ID}, "billing_address": {"line_1": "1"}}
    assert client.ask("POST", f"/v2/carts/{RON_CART}/checkout", order).status == 400
    assert client.ask("DELETE", f"/v2/carts/{RON_CART}").status == 204
    assert RON_CART not in client.shop.carts


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"type": "cart_item", "id": "nothing"}, 404),
        ({"type": "custom_item", "name": "Gift"}, 422),
        ({"type": "custom_item", "name": "Gift", "price": {"amount": -1}}, 422),
        ({"type": "gift"}, 422),
    ],
)
def test_bad_cart_items(client: Client, data: object, status: int) -> None:
    """An item is a known product, or has a name and a price."""
    assert client.ask("POST", f"/v2/carts/{RON_CART}/items", data).status == status


def test_cart_association_needs_json(client: Client) -> None:
    """The answer to a body that is no JSON is the documented 403."""
    path = f"/v2/carts/{RON_CART}/relationships/customers"
    assert client.shop.answer("POST", path, [], {"authorization": client.bearer}, b"{").status == 403
