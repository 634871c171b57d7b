"""The demo shop's first contents, the same on every start; each call gives fresh copies.

Everything a customer owns carries that customer's canary, so that a leak shows in any text. The API keeps no passwords:
`DEMO_PASSWORDS` are public demo data, which `make run` loads into the gateway's own store.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from uuid import UUID, uuid5

from gateway.vocab.messages import Json

NAMESPACE = UUID("6d6f6c74-696e-4000-8000-64656d6f0000")
OPENED = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Person:
    """A customer of the demo; `orders` is how many there are, `town` is where they go."""

    name: str
    email: str
    town: str
    postcode: str
    orders: int

    @property
    def id(self) -> str:
        """The customer's id."""
        return identity("customer", self.email)

    @property
    def canary(self) -> str:
        """Text that stands in everything this customer owns and nowhere else."""
        return f"only-for-{self.name.replace(' ', '-').lower()}"


@cache
def identity(kind: str, name: str) -> str:
    """Make the id of a seeded record."""
    return str(uuid5(NAMESPACE, f"{kind}:{name}"))


def stamp(moment: datetime) -> str:
    """Write a time as the API does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


RON = Person("Ron Swanson", "ron@swanson.example", "Pawnee", "46001", 12)
LESLIE = Person("Leslie Knope", "leslie@knope.example", "Pawnee", "46002", 3)
APRIL = Person("April Ludgate", "april@ludgate.example", "Pawnee", "46003", 2)
PEOPLE = (RON, LESLIE, APRIL)
RON_ID, LESLIE_ID, APRIL_ID = (person.id for person in PEOPLE)
GUEST = Person("Jerry Gergich", "jerry@gergich.example", "Muncie", "47302", 1)

DEMO_PASSWORDS = {
    RON.email: "ron-demo-password",
    LESLIE.email: "leslie-demo-password",
    APRIL.email: "april-demo-password",
}
CANARIES = {person.id: person.canary for person in PEOPLE}
GUEST_CANARY = GUEST.canary
GUEST_ORDER_ID = identity("order", f"{GUEST.email}:0")
RON_CART, LESLIE_CART = "ron-cart", "leslie-cart"
PRODUCTS = (("WAFFLE", "Waffle iron", 4900), ("CHAIR", "Oak chair", 12900), ("CANOE", "Cedar canoe", 99000))
DRAFT = ("SAILBOAT", "Teak sailboat", 899000)
STATES = (("complete", "paid", "fulfilled"), ("processing", "authorized", "unfulfilled"))
OPEN = ("incomplete", "unpaid", "unfulfilled")


def money(amount: int, currency: str = "USD") -> Json:
    """Write an amount of minor units as the API does."""
    return {"amount": amount, "currency": currency, "formatted": f"${amount / 100:,.2f}"}


def prices(amount: int) -> Json:
    """Write the display price of a cart, an order or an item; the demo has no tax."""
    return {"with_tax": money(amount), "without_tax": money(amount), "tax": money(0)}


def times(moment: datetime) -> Json:
    """Write the timestamps of a record made at this moment."""
    return {"created_at": stamp(moment), "updated_at": stamp(moment)}


def customers() -> dict[str, Json]:
    """Give the customers by id."""
    return {
        person.id: {
            "type": "customer",
            "id": person.id,
            "name": person.name,
            "email": person.email,
            "external_ref": person.canary,
            "password": False,
            "meta": {"timestamps": times(OPENED + timedelta(days=number))},
        }
        for number, person in enumerate(PEOPLE)
    }


def addresses() -> dict[str, dict[str, Json]]:
    """Give the addresses by customer id and address id: two for Ron, one for each of the others."""
    found: dict[str, dict[str, Json]] = {}
    for person in PEOPLE:
        for label in ("Home", "Cabin") if person is RON else ("Home",):
            ident = identity("address", f"{person.email}:{label}")
            found.setdefault(person.id, {})[ident] = {
                "type": "address",
                "id": ident,
                "name": label,
                **_postal(person),
                "meta": {"timestamps": times(OPENED)},
            }
    return found


def _postal(person: Person) -> Json:
    first, last = person.name.split(" ")
    return {
        "first_name": first,
        "last_name": last,
        "phone_number": "",
        "company_name": "",
        "line_1": "1 Main Street",
        "line_2": "",
        "city": person.town,
        "county": "Wamapoke",
        "region": "Indiana",
        "postcode": person.postcode,
        "country": "US",
        "instructions": person.canary,
    }


def orders() -> tuple[dict[str, Json], dict[str, list[Json]], dict[str, list[Json]]]:
    """Give the orders by id, and by the same id their items and their transactions."""
    heads: dict[str, Json] = {}
    items: dict[str, list[Json]] = {}
    transactions: dict[str, list[Json]] = {}
    for start, person in enumerate((*PEOPLE, GUEST)):
        for number in range(person.orders):
            moment = OPENED + timedelta(days=10 + 7 * number, hours=start)
            order, item = _order(person, number, moment)
            heads[order["id"]] = order
            items[order["id"]] = [item]
            paid = order["payment"] != "unpaid"
            transactions[order["id"]] = [_transaction(person, order, moment)] if paid else []
    return heads, items, transactions


def _order(person: Person, number: int, moment: datetime) -> tuple[Json, Json]:
    ident = identity("order", f"{person.email}:{number}")
    sku, name, amount = PRODUCTS[number % len(PRODUCTS)]
    # The newest order of each person is still open, so that there is one to pay for.
    status, payment, shipping = OPEN if number == person.orders - 1 else STATES[number % len(STATES)]
    item = {
        "type": "order_item",
        "id": identity("order_item", f"{person.email}:{number}"),
        "product_id": identity("product", sku),
        "sku": sku,
        "name": name,
        "description": person.canary,
        "quantity": 1,
        "unit_price": money(amount),
        "value": money(amount),
        "meta": {"display_price": prices(amount), "timestamps": times(moment)},
    }
    relationships: Json = {"items": {"data": [{"type": "item", "id": item["id"]}]}}
    if person is not GUEST:
        relationships["customer"] = {"data": {"type": "customer", "id": person.id}}
    order = {
        "type": "order",
        "id": ident,
        "status": status,
        "payment": payment,
        "shipping": shipping,
        "anonymized": False,
        "customer": {"name": person.name, "email": person.email},
        "shipping_address": _postal(person),
        "billing_address": _postal(person),
        "links": {},
        "meta": {"display_price": prices(amount), "timestamps": times(moment)},
        "relationships": relationships,
    }
    return order, item


def _transaction(person: Person, order: Json, moment: datetime) -> Json:
    return {
        "type": "transaction",
        "id": identity("transaction", order["id"]),
        "reference": person.canary,
        "gateway": "manual",
        "transaction-type": "purchase" if order["payment"] == "paid" else "authorize",
        "status": "complete",
        **{key: order["meta"]["display_price"]["with_tax"][key] for key in ("amount", "currency")},
        "relationships": {"order": {"data": {"type": "order", "id": order["id"]}}},
        "meta": {"timestamps": times(moment)},
    }


def carts() -> tuple[dict[str, Json], dict[str, list[Json]]]:
    """Give the carts by reference, and their items; each belongs to one customer."""
    heads: dict[str, Json] = {}
    items: dict[str, list[Json]] = {}
    for ref, person, (sku, name, amount) in ((RON_CART, RON, PRODUCTS[1]), (LESLIE_CART, LESLIE, PRODUCTS[0])):
        heads[ref] = {
            "type": "cart",
            "id": ref,
            "name": f"Cart of {person.name}",
            "description": person.canary,
            "meta": {"timestamps": times(OPENED)},
            "relationships": {"customers": {"data": [{"type": "customer", "id": person.id}]}},
        }
        items[ref] = [
            {
                "type": "cart_item",
                "id": identity("cart_item", ref),
                "product_id": identity("product", sku),
                "sku": sku,
                "name": name,
                "description": person.canary,
                "quantity": 1,
                "unit_price": money(amount),
                "value": money(amount),
            }
        ]
    return heads, items


def catalogue() -> dict[str, dict[str, Json]]:
    """Give the catalogue by path and id; nobody owns it."""
    names = {
        "category": ("Tools", "Breakfast"),
        "brand": ("Very Good Building",),
        "collection": ("Harvest",),
        "hierarchy": ("Departments",),
        "node": ("Outdoor", "Indoor"),
    }
    plain = {kind: _records(kind, values) for kind, values in names.items()}
    goods = {
        identity("product", sku): {
            "type": "product",
            "id": identity("product", sku),
            "name": name,
            "slug": sku.lower(),
            "sku": sku,
            "status": "draft" if sku == DRAFT[0] else "live",
            "price": [{"amount": amount, "currency": "USD", "includes_tax": True}],
            "meta": {"display_price": prices(amount), "timestamps": times(OPENED)},
        }
        for sku, name, amount in (*PRODUCTS, DRAFT)
    }
    published = {ident: record for ident, record in goods.items() if record["status"] == "live"}
    files = _records("file", ("waffle.png", "chair.png"))
    for record in files.values():
        record["link"] = {"href": f"https://files.example/{record['name']}"}
    currencies = _records("currency", ("USD", "EUR"))
    for record in currencies.values():
        record |= {"code": record["name"], "default": record["name"] == "USD"}
    return {
        "/v2/products": goods,
        "/v2/categories": plain["category"],
        "/v2/brands": plain["brand"],
        "/v2/collections": plain["collection"],
        "/v2/files": files,
        "/v2/currencies": currencies,
        "/catalog/products": published,
        "/catalog/nodes": plain["node"],
        "/catalog/hierarchies": plain["hierarchy"],
    }


def _records(kind: str, names: tuple[str, ...]) -> dict[str, Json]:
    return {
        identity(kind, name): {
            "type": kind,
            "id": identity(kind, name),
            "name": name,
            "slug": name.lower().replace(" ", "-"),
            "meta": {"timestamps": times(OPENED)},
        }
        for name in names
    }
