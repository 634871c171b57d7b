"""What the demo shop knows: records in memory and how to make more; it answers no requests."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

from gateway.demo import data
from gateway.demo.answers import ShopError
from gateway.vocab.messages import Json

# Local part and domain of dot-separated words, at least two in the domain: no dots at ends and none doubled.
EMAIL = re.compile(r"[^@\s.,;<>]+(?:\.[^@\s.,;<>]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")

Clock = Callable[[], float]


def wall_clock() -> float:
    """Give the time in epoch seconds."""
    return datetime.now(UTC).timestamp()


class State:
    """The shop's records. Tests look at the dictionaries directly."""

    def __init__(self, *, base_url: str, clock: Clock, passwords: dict[str, str] | None) -> None:
        self.base_url = base_url
        self.clock = clock
        self.passwords = passwords
        self.passwords_seen: list[str] = []
        """Method and path of each request that carried a `password` key; must stay empty behind a gateway."""
        self.customers: dict[str, Json] = {}
        self.addresses: dict[str, dict[str, Json]] = {}
        self.orders: dict[str, Json] = {}
        self.order_items: dict[str, list[Json]] = {}
        self.transactions: dict[str, list[Json]] = {}
        self.carts: dict[str, Json] = {}
        self.cart_items: dict[str, list[Json]] = {}
        self.catalogue = data.catalogue()
        self.reset()

    def reset(self) -> None:
        """Return to the first contents."""
        self.passwords_seen.clear()
        self.customers = data.customers()
        self.addresses = data.addresses()
        self.orders, self.order_items, self.transactions = data.orders()
        self.carts, self.cart_items = data.carts()

    def now(self) -> datetime:
        """Give the time by the shop's clock."""
        return datetime.fromtimestamp(self.clock(), UTC)

    def times(self) -> Json:
        """Give the timestamps of a record made now."""
        return data.times(self.now())

    def touched(self, record: Json, changes: Json) -> Json:
        """Give the record with the changes and a new `updated_at`; what the API itself keeps cannot be changed."""
        fixed = {"id", "type", "meta", "links", "relationships", "password"}
        meta = {**record["meta"], "timestamps": {**record["meta"]["timestamps"], "updated_at": data.stamp(self.now())}}
        return {**record, **{key: value for key, value in changes.items() if key not in fixed}, "meta": meta}

    def place_customer(self, fields: Json) -> Json:
        """Keep a customer with these fields, among them `id`, `name` and `email`.

        400 for a bad e-mail and 409 for one that exists, in whatever case of letters.
        """
        self.check_email(fields["email"])
        fixed = {"type": "customer", "password": False, "meta": {"timestamps": self.times()}}
        self.customers[fields["id"]] = {"external_ref": None, **fields, **fixed}
        return self.customers[fields["id"]]

    def check_email(self, email: object, own_id: str | None = None) -> None:
        """Answer 400 for a bad e-mail and 409 for one that another customer has."""
        if not isinstance(email, str) or not EMAIL.fullmatch(email):
            raise ShopError(400, "Does not match format 'email'", "format")
        for ident, record in self.customers.items():
            if ident != own_id and record["email"].casefold() == email.casefold():
                raise ShopError(409, "A customer with this email already exists", "Duplicate email")

    def place_address(self, customer_id: str, fields: Json) -> Json:
        """Keep an address with these fields."""
        fixed = {"type": "address", "id": str(uuid4()), "meta": {"timestamps": self.times()}}
        record = {"name": "", **fields, **fixed}
        self.addresses.setdefault(customer_id, {})[record["id"]] = record
        return record

    def place_order(self, customer_id: str | None, items: list[Json], amount: int, fields: Json) -> Json:
        """Make an unpaid order of these items."""
        ident = str(uuid4())
        relationships: Json = {"items": {"data": [{"type": "item", "id": item["id"]} for item in items]}}
        buyer: Json = {"name": "Guest", "email": "guest@guest.example"}
        if customer_id is not None:
            relationships["customer"] = {"data": {"type": "customer", "id": customer_id}}
            owner = self.customers.get(customer_id, buyer)
            buyer = {"name": owner["name"], "email": owner["email"]}
        self.orders[ident] = {
            "type": "order",
            "id": ident,
            "status": "incomplete",
            "payment": "unpaid",
            "shipping": "unfulfilled",
            "anonymized": False,
            "customer": buyer,
            "shipping_address": {},
            "billing_address": {},
            "links": {},
            **fields,
            "meta": {"display_price": data.prices(amount), "timestamps": self.times()},
            "relationships": relationships,
        }
        self.order_items[ident] = items
        self.transactions[ident] = []
        return self.orders[ident]

    def shown(self, record: Json) -> Json:
        """Give a customer as the API shows it: `password` says only whether one is kept."""
        return {**record, "password": record["email"] in (self.passwords or {})}
