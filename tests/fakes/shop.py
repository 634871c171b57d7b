"""What tests do with the demo shop beside requests: bearers given and taken, records put in."""

from uuid import uuid4

from gateway.demo.data import money
from gateway.demo.shop import Shop
from gateway.vocab.messages import Json


def issue_bearer(shop: Shop, grant: str = "client_credentials") -> str:
    """Give a bearer without a request."""
    return shop.bearers.issue(grant)[0]


def revoke_bearers(shop: Shop) -> None:
    """Forget every bearer, so that each gets 401 from now on."""
    shop.bearers.issued.clear()


def add_customer(shop: Shop, name: str, email: str, ident: str | None = None) -> Json:
    """Add a customer."""
    return shop.place_customer({"id": ident or str(uuid4()), "name": name, "email": email})


def add_order(shop: Shop, customer_id: str) -> Json:
    """Add an unpaid order of a customer, with one item."""
    item = {
        "type": "order_item",
        "id": str(uuid4()),
        "name": "Waffle iron",
        "sku": "WAFFLE",
        "quantity": 1,
        "unit_price": money(1000),
        "value": money(1000),
    }
    return shop.place_order(customer_id, [item], 1000, {})
