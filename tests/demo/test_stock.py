"""Stock, options and discounts of the demo shop: what storefronts ask for on the way to a checkout."""

import pytest

from gateway.demo.data import DRAFT, PEOPLE, PRODUCTS, identity
from gateway.demo.shop import Shop
from tests.demo.asking import Client

PRODUCT = identity("product", PRODUCTS[0][0])
DRAFTED = identity("product", DRAFT[0])


def test_stock_of_one_product_and_of_many(shop: Shop) -> None:
    """By the product's id; drafts are there for servers alone."""
    public = Client(shop, "implicit")
    stock = public.get(f"/v2/inventories/{PRODUCT}")["data"]
    assert (stock["type"], stock["id"], stock["available"] > 0) == ("stock", PRODUCT, True)
    many = public.ask("POST", "/v2/inventories/multiple", [{"type": "product", "id": PRODUCT}])
    assert (many.status, many.json()["data"]) == (200, [stock])
    assert public.ask("GET", f"/v2/inventories/{DRAFTED}").status == 404
    assert Client(shop).ask("GET", f"/v2/inventories/{DRAFTED}").status == 200


@pytest.mark.parametrize("data", [None, {}, "x", ["x"]])
def test_what_is_no_list_of_products(shop: Shop, data: object) -> None:
    """A list of references is asked for."""
    assert Client(shop).ask("POST", "/v2/inventories/multiple", data).status == 400


def test_a_product_is_configured(shop: Shop) -> None:
    """It has no options, and stays what it is."""
    public = Client(shop, "implicit")
    answer = public.ask("POST", f"/catalog/products/{PRODUCT}/configure", {"selected_options": {}})
    assert (answer.status, answer.json()["data"]["id"]) == (200, PRODUCT)
    assert public.ask("POST", f"/catalog/products/{DRAFTED}/configure", {}).status == 404


def test_a_discount_is_removed(shop: Shop) -> None:
    """There are none: the cart's items stay."""
    public = Client(shop, "implicit")
    public.ask("POST", "/v2/carts/c/items", {"type": "cart_item", "id": PRODUCT, "quantity": 1})
    answer = public.ask("DELETE", "/v2/carts/c/discounts/CODE")
    assert (answer.status, len(answer.json()["data"])) == (200, 1)


def test_a_payment_is_confirmed(shop: Shop) -> None:
    """It needs no second step, and is shown as it is."""
    order = next(order for order in shop.orders if shop.transactions[order])
    transaction = shop.transactions[order][0]
    public = Client(shop, "implicit")
    answer = public.ask("POST", f"/v2/orders/{order}/transactions/{transaction['id']}/confirm", {})
    assert (answer.status, answer.json()["data"]) == (200, transaction)
    assert public.ask("POST", f"/v2/orders/{order}/transactions/{PEOPLE[0].id}/confirm", {}).status == 404
