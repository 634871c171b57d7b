"""THE TABLE: what each path and method answers to each kind of caller, and what the upstream saw of it.

One test for each cell, through the door of a real gateway on config/moltin.yaml. The gateway is shared by the tests of
this module; the shop and the passwords are put back before each.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from gateway.authn.key import Algorithm, generate, load_key
from gateway.demo.data import (
    GUEST_CANARY,
    GUEST_ORDER_ID,
    LESLIE,
    LESLIE_CART,
    LESLIE_ID,
    RON,
    RON_CART,
    RON_ID,
    identity,
)
from gateway.demo.shop import Shop
from gateway.vocab.messages import Json
from gateway.vocab.refusals import Code
from tests.authn.forge import forge
from tests.fakes.commerce import Commerce, Recorded
from tests.gateways import UPSTREAM_SECRET, Answer, Site
from tests.gateways import site as run_site

together = pytest.mark.asyncio(loop_scope="module")
"""All tests of the module share one loop, and with it one gateway."""

PUBLIC, CUSTOMER, TRUSTED, LIMITED = "public", "customer", "trusted", "trusted with a customer token"
CALLERS = (PUBLIC, CUSTOMER, TRUSTED, LIMITED)
# A trusted caller that also sends a customer token is limited to that customer.
CUSTOMERS = (CUSTOMER, LIMITED)

OWN_ORDER = identity("order", f"{RON.email}:0")
OWN_OPEN_ORDER = identity("order", f"{RON.email}:{RON.orders - 1}")
FOREIGN_ORDER = identity("order", f"{LESLIE.email}:{LESLIE.orders - 1}")
UNKNOWN = identity("order", "nobody")
OWN_ADDRESS = identity("address", f"{RON.email}:Home")
FOREIGN_ADDRESS = identity("address", f"{LESLIE.email}:Home")
PRODUCT = identity("product", "CHAIR")

NAMES = {
    RON_ID: "{own}", LESLIE_ID: "{foreign}", OWN_ORDER: "{own order}", OWN_OPEN_ORDER: "{own open order}",
    FOREIGN_ORDER: "{foreign order}", GUEST_ORDER_ID: "{guest order}", UNKNOWN: "{unknown}",
    OWN_ADDRESS: "{own address}", FOREIGN_ADDRESS: "{foreign address}", PRODUCT: "{product}",
}  # fmt: skip

Sent = tuple[str, str, Any]
"""Method, target and JSON body of a request that the upstream saw."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One request, its answer, and what the upstream saw: nothing unless said."""

    who: str
    method: str
    target: str
    status: int
    code: str = ""
    sent: tuple[Sent, ...] = ()
    body: Any = None
    note: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        text = f"{self.who}: {self.method} {self.target}"
        for ident, name in NAMES.items():
            text = text.replace(ident, name)
        return f"{text} ({self.note})" if self.note else text


def told(code: str) -> int:
    """Return the status of a refusal code."""
    return Code[code].status


def no(code: str, method: str, target: str, *who: str, **more: Any) -> list[Cell]:
    """Say that callers are refused."""
    return [Cell(one, method, target, told(code), code, **more) for one in who]


def yes(status: int, method: str, target: str, *who: str, **more: Any) -> list[Cell]:
    """Say that callers are answered and the upstream sees the request as it is, unless `sent` says otherwise."""
    sent = more.pop("sent", ((method, target, more.get("body")),))
    return [Cell(one, method, target, status, sent=sent, **more) for one in who]


def data(**fields: Any) -> Json:
    """Write a body."""
    return {"data": fields}


ADDRESS = data(
    type="address", first_name="Ron", last_name="Swanson", line_1="1 Main Street", county="Wamapoke", postcode="46001",
    country="US",
)  # fmt: skip
CHECKOUT = {"billing_address": ADDRESS["data"], "shipping_address": ADDRESS["data"]}
GUEST = {"name": "Jerry", "email": "jerry@gergich.example"}
REFERENCES = {"external_ref": "web-1", "custom_attributes": {"gift": {"type": "boolean", "value": True}}}
PAY = data(gateway="manual", method="purchase")
NEW_ITEM = data(type="cart_item", id=PRODUCT, quantity=1)
REFERENCE = {"type": "customer", "id": RON_ID}
FOREIGN_REFERENCE = {"type": "customer", "id": LESLIE_ID}


def look_up(order: str) -> Sent:
    """Say that an order was looked up."""
    return ("GET", f"/v2/orders/{order}", None)


# --- Customers -------------------------------------------------------------------------------------------------------

CUSTOMER_CELLS = [
    *no("ACCESS_DENIED", "GET", "/v2/customers", PUBLIC),
    *yes(200, "GET", "/v2/customers", *CUSTOMERS, sent=(("GET", f"/v2/customers?filter=eq(id,{RON_ID})", None),)),
    *yes(200, "GET", "/v2/customers", TRUSTED),
    *yes(
        200, "GET", "/v2/customers?filter=eq(name,Ron*)&sort=name&page[limit]=5", *CUSTOMERS,
        sent=(("GET", f"/v2/customers?filter=eq(id,{RON_ID}):eq(name,%22Ron*%22)&sort=name&page[limit]=5", None),),
        note="a filter, a sort and a page",
    ),
    *no("FILTER_FIELD_RESERVED", "GET", f"/v2/customers?filter=eq(id,{LESLIE_ID})", *CUSTOMERS),
    *no("QUERY_NOT_ALLOWED", "GET", "/v2/customers?email=x", *CUSTOMERS),
    *no("ACCESS_DENIED", "GET", f"/v2/customers/{RON_ID}", PUBLIC),
    *yes(200, "GET", f"/v2/customers/{RON_ID}", *CUSTOMERS, TRUSTED),
    *yes(200, "GET", f"/v2/customers/{LESLIE_ID}", TRUSTED),
    *no("RECORD_NOT_FOUND", "GET", f"/v2/customers/{LESLIE_ID}", *CUSTOMERS),
    *no("RECORD_NOT_FOUND", "GET", f"/v2/customers/{UNKNOWN}", *CUSTOMERS),
    *yes(200, "GET", f"/v2/cust%6fmers/{RON_ID}", *CUSTOMERS, sent=(("GET", f"/v2/customers/{RON_ID}", None),)),
    *no("QUERY_NOT_ALLOWED", "GET", f"/v2/customers/{RON_ID}?include=x", *CUSTOMERS),
    *no("ACCESS_DENIED", "PUT", f"/v2/customers/{RON_ID}", PUBLIC, body=data(name="R")),
    *yes(200, "PUT", f"/v2/customers/{RON_ID}", *CUSTOMERS, TRUSTED, body=data(type="customer", name="Ron S")),
    *yes(200, "PUT", f"/v2/customers/{LESLIE_ID}", TRUSTED, body=data(type="customer", external_ref="x")),
    *no("RECORD_NOT_FOUND", "PUT", f"/v2/customers/{LESLIE_ID}", *CUSTOMERS, body=data(name="R")),
    *no("BODY_FIELD_UNKNOWN", "PUT", f"/v2/customers/{RON_ID}", *CUSTOMERS, body=data(external_ref="x"), note="more"),
    *[
        cell
        for password in (True, False, None, "")
        for cell in yes(
            200, "PUT", f"/v2/customers/{RON_ID}", *CUSTOMERS, note=f"the record as shown, password {password!r}",
            body=data(type="customer", id=RON_ID, name="R", external_ref="x", password=password, links={}, meta={}),
            sent=(("PUT", f"/v2/customers/{RON_ID}", data(type="customer", name="R")),),
        )
    ],
    *no("BODY_FIELD_FORBIDDEN", "PUT", f"/v2/customers/{RON_ID}", *CUSTOMERS, body=data(id=LESLIE_ID), note="an id"),
    *yes(200, "PUT", f"/v2/customers/{RON_ID}", *CUSTOMERS, body=data(id=RON_ID, name="R"), note="the own id",
         sent=(("PUT", f"/v2/customers/{RON_ID}", data(name="R")),)),
    *no(
        "BODY_FIELD_UNKNOWN", "PUT", f"/v2/customers/{RON_ID}", *CUSTOMERS, body=data(name="R") | {"meta": {}},
        note="a member beside the data",
    ),
    *no("BODY_FIELD_INVALID", "PUT", f"/v2/customers/{RON_ID}", *CUSTOMERS, body={"data": []}, note="a list"),
    *no("ACCESS_DENIED", "DELETE", f"/v2/customers/{RON_ID}", PUBLIC),
    *no("RECORD_NOT_FOUND", "DELETE", f"/v2/customers/{LESLIE_ID}", *CUSTOMERS),
    *yes(204, "DELETE", f"/v2/customers/{RON_ID}", *CUSTOMERS, TRUSTED),
    *yes(204, "DELETE", f"/v2/customers/{LESLIE_ID}", TRUSTED),
    *no(
        "BODY_FIELD_UNKNOWN", "POST", "/v2/customers", PUBLIC, *CUSTOMERS,
        body=data(type="customer", name="N", email="n@x.example", external_ref="x"), note="a field",
    ),
    *no(
        "BODY_FIELD_UNKNOWN", "POST", "/v2/customers", PUBLIC, *CUSTOMERS,
        body=data(type="customer", name="N", email="n@x.example", id=LESLIE_ID), note="an id",
    ),
]  # fmt: skip

# --- Addresses -------------------------------------------------------------------------------------------------------

OWN_ADDRESSES = f"/v2/customers/{RON_ID}/addresses"
FOREIGN_ADDRESSES = f"/v2/customers/{LESLIE_ID}/addresses"
ADDRESS_CELLS = [
    *no("ACCESS_DENIED", "GET", OWN_ADDRESSES, PUBLIC),
    *no("ACCESS_DENIED", "POST", OWN_ADDRESSES, PUBLIC, body=ADDRESS),
    *yes(200, "GET", OWN_ADDRESSES, *CUSTOMERS, TRUSTED),
    *yes(201, "POST", OWN_ADDRESSES, *CUSTOMERS, TRUSTED, body=ADDRESS),
    *yes(200, "GET", FOREIGN_ADDRESSES, TRUSTED),
    *no("RECORD_NOT_FOUND", "GET", FOREIGN_ADDRESSES, *CUSTOMERS),
    *no("RECORD_NOT_FOUND", "POST", FOREIGN_ADDRESSES, *CUSTOMERS, body=ADDRESS),
    *no("QUERY_NOT_ALLOWED", "GET", f"{OWN_ADDRESSES}?filter=eq(a,b)", *CUSTOMERS),
    *[
        cell
        for method, status, body in (("GET", 200, None), ("PUT", 200, data(name="Hut")), ("DELETE", 204, None))
        for cell in (
            *no("ACCESS_DENIED", method, f"{OWN_ADDRESSES}/{OWN_ADDRESS}", PUBLIC, body=body),
            *yes(status, method, f"{OWN_ADDRESSES}/{OWN_ADDRESS}", TRUSTED, body=body),
            # Before a write the address itself is looked up.
            *yes(
                status, method, f"{OWN_ADDRESSES}/{OWN_ADDRESS}", *CUSTOMERS, body=body,
                sent=tuple(
                    (way, f"{OWN_ADDRESSES}/{OWN_ADDRESS}", body if way == method else None)
                    for way in dict.fromkeys(("GET", method))
                ),
            ),
            *yes(status, method, f"{FOREIGN_ADDRESSES}/{FOREIGN_ADDRESS}", TRUSTED, body=body),
            *no("RECORD_NOT_FOUND", method, f"{FOREIGN_ADDRESSES}/{FOREIGN_ADDRESS}", *CUSTOMERS, body=body),
            # Under the own id somebody else's address does not exist, says the upstream.
            *no(
                "RECORD_NOT_FOUND", method, f"{OWN_ADDRESSES}/{FOREIGN_ADDRESS}", *CUSTOMERS, body=body,
                sent=(("GET", f"{OWN_ADDRESSES}/{FOREIGN_ADDRESS}", None),),
            ),
        )
    ],
]  # fmt: skip

# --- Orders ----------------------------------------------------------------------------------------------------------

OWN_FILTER = f"filter=eq(customer_id,{RON_ID})"
ORDER_CELLS = [
    *no("ACCESS_DENIED", "GET", "/v2/orders", PUBLIC),
    *yes(200, "GET", "/v2/orders", *CUSTOMERS, sent=(("GET", f"/v2/orders?{OWN_FILTER}", None),)),
    *yes(200, "GET", "/v2/orders", TRUSTED),
    *yes(200, "GET", "/v2/orders?anything=1&anything=2", TRUSTED),
    *yes(
        200, "GET", "/v2/orders?include=items&page%5Blimit%5D=3&filter=eq(status,complete)", *CUSTOMERS,
        sent=(("GET", f"/v2/orders?{OWN_FILTER}:eq(status,complete)&include=items&page[limit]=3", None),),
        note="included items, a page and a filter",
    ),
    *no("FILTER_FIELD_RESERVED", "GET", f"/v2/orders?filter=eq(customer_id,{LESLIE_ID})", *CUSTOMERS),
    *no("FILTER_FIELD_RESERVED", "GET", f"/v2/orders?filter=eq(customer.id,{LESLIE_ID})", *CUSTOMERS),
    *no("FILTER_INVALID", "GET", "/v2/orders?filter=everything", *CUSTOMERS),
    *no("QUERY_REPEATED", "GET", "/v2/orders?filter=eq(a,b)&filter=eq(a,b)", *CUSTOMERS),
    *no("QUERY_NOT_ALLOWED", "GET", "/v2/orders?FILTER=eq(a,b)", *CUSTOMERS),
    *no("QUERY_NOT_ALLOWED", "GET", "/v2/orders?filter%5B%5D=eq(a,b)", *CUSTOMERS),
    *no("QUERY_NOT_ALLOWED", "GET", "/v2/orders?page[size]=1", *CUSTOMERS),
    *no("TARGET_AMBIGUOUS", "GET", "/v2/orders?fil%74er=eq(a,b)", *CALLERS),
    *no("ACCESS_DENIED", "GET", f"/v2/orders/{OWN_ORDER}", PUBLIC),
    *no("ACCESS_DENIED", "GET", f"/v2/orders/{GUEST_ORDER_ID}", PUBLIC),
    *yes(200, "GET", f"/v2/orders/{OWN_ORDER}", *CUSTOMERS, TRUSTED),
    *yes(200, "GET", f"/v2/orders/{OWN_ORDER}?include=items", *CUSTOMERS, TRUSTED),
    *yes(200, "GET", f"/v2/orders/{FOREIGN_ORDER}", TRUSTED),
    *[
        cell
        for order in (FOREIGN_ORDER, GUEST_ORDER_ID, UNKNOWN)
        for cell in (
            *no("RECORD_NOT_FOUND", "GET", f"/v2/orders/{order}", *CUSTOMERS, sent=(look_up(order),)),
            *no("RECORD_NOT_FOUND", "GET", f"/v2/orders/{order}/items", *CUSTOMERS, sent=(look_up(order),)),
            *no("RECORD_NOT_FOUND", "GET", f"/v2/orders/{order}/transactions", *CUSTOMERS, sent=(look_up(order),)),
        )
    ],
    *no("QUERY_NOT_ALLOWED", "GET", f"/v2/orders/{OWN_ORDER}?filter=eq(a,b)", *CUSTOMERS),
    *[
        cell
        for part in ("items", "transactions")
        for cell in (
            *no("ACCESS_DENIED", "GET", f"/v2/orders/{OWN_ORDER}/{part}", PUBLIC),
            *yes(
                200, "GET", f"/v2/orders/{OWN_ORDER}/{part}", *CUSTOMERS,
                sent=(look_up(OWN_ORDER), ("GET", f"/v2/orders/{OWN_ORDER}/{part}", None)),
            ),
            *yes(200, "GET", f"/v2/orders/{FOREIGN_ORDER}/{part}", TRUSTED),
            *no("QUERY_NOT_ALLOWED", "GET", f"/v2/orders/{OWN_ORDER}/{part}?include=x", *CUSTOMERS),
        )
    ],
]  # fmt: skip


def paid(order: str, *who: str) -> list[Cell]:
    """Say that callers may pay for an order, which is looked up first."""
    path = f"/v2/orders/{order}/payments"
    return yes(200, "POST", path, *who, body=PAY, sent=(look_up(order), ("POST", path, PAY)))


def unpaid(order: str, *who: str) -> list[Cell]:
    """Say that callers may not pay for an order, which was looked up."""
    return no("RECORD_NOT_FOUND", "POST", f"/v2/orders/{order}/payments", *who, body=PAY, sent=(look_up(order),))


CONFIRM = data(options={})


def confirmation(order: str) -> str:
    """Return where a transaction of an order is confirmed."""
    return f"/v2/orders/{order}/transactions/t/confirm"


def confirmed(order: str, *who: str) -> list[Cell]:
    """Say that callers may confirm a transaction of an order, which is looked up first."""
    path, note = confirmation(order), "carried; this upstream has none"
    sent = (look_up(order), ("POST", path, CONFIRM))
    return no("RECORD_NOT_FOUND", "POST", path, *who, body=CONFIRM, sent=sent, note=note)


PAYMENT_CELLS = [
    *paid(GUEST_ORDER_ID, PUBLIC, *CUSTOMERS),
    *paid(OWN_OPEN_ORDER, *CUSTOMERS),
    *unpaid(OWN_OPEN_ORDER, PUBLIC),
    *unpaid(FOREIGN_ORDER, PUBLIC, *CUSTOMERS),
    *unpaid(UNKNOWN, PUBLIC, *CUSTOMERS),
    *yes(200, "POST", f"/v2/orders/{FOREIGN_ORDER}/payments", TRUSTED, body=PAY),
    *confirmed(GUEST_ORDER_ID, PUBLIC, *CUSTOMERS),
    *confirmed(OWN_OPEN_ORDER, *CUSTOMERS),
    *[
        cell
        for order, who in ((OWN_OPEN_ORDER, (PUBLIC,)), (FOREIGN_ORDER, (PUBLIC, *CUSTOMERS)))
        for cell in no("RECORD_NOT_FOUND", "POST", confirmation(order), *who, body=CONFIRM, sent=(look_up(order),))
    ],
    *no(
        "BODY_FIELD_FORBIDDEN", "POST", confirmation(OWN_OPEN_ORDER), *CUSTOMERS, note="a customer in the body",
        body=data(customer={"id": LESLIE_ID}),
    ),
    *yes(404, "POST", confirmation(FOREIGN_ORDER), TRUSTED, body=CONFIRM, note="carried; this upstream has none"),
]  # fmt: skip

# --- Carts -----------------------------------------------------------------------------------------------------------

CART = f"/v2/carts/{RON_CART}"
STAMPED = data(**CHECKOUT, customer={"id": RON_ID})
CART_CELLS = [
    *yes(201, "POST", "/v2/carts", *CALLERS, body=data(name="New")),
    *yes(200, "GET", CART, *CALLERS),
    *yes(200, "GET", f"/v2/carts/{LESLIE_CART}", *CALLERS, note="the reference is the capability"),
    *yes(200, "GET", "/v2/carts/a%2Bb?x=1&x=2&y", *CALLERS, note="an open target leaves as it came"),
    *yes(200, "PUT", CART, *CALLERS, body=data(name="Mine")),
    *yes(204, "DELETE", CART, *CALLERS),
    *yes(405, "POST", CART, *CALLERS, body=data(name="x"), note="carried; this upstream does not know it"),
    *[
        cell
        for method, path in (("POST", "/v2/carts"), ("PUT", CART), ("POST", CART))
        for name, value in (("relationships", {"customers": {"data": [REFERENCE]}}), ("customer", {"id": LESLIE_ID}))
        for cell in no("BODY_FIELD_FORBIDDEN", method, path, PUBLIC, *CUSTOMERS, body=data(**{name: value}), note=name)
    ],
    *yes(200, "GET", f"{CART}/items", *CALLERS),
    *yes(201, "POST", f"{CART}/items", *CALLERS, body=NEW_ITEM),
    *yes(200, "DELETE", f"{CART}/items", *CALLERS),
    *yes(405, "PUT", f"{CART}/items", *CALLERS, body=data(), note="carried; this upstream does not know it"),
    *yes(200, "PUT", f"{CART}/items/{identity('cart_item', RON_CART)}", *CALLERS, body=data(quantity=2)),
    *yes(200, "DELETE", f"{CART}/items/{identity('cart_item', RON_CART)}", *CALLERS),
    *yes(405, "GET", f"{CART}/items/x", *CALLERS, note="carried; this upstream does not know it"),
    *yes(405, "POST", f"{CART}/items/x", *CALLERS, body=data(), note="carried; this upstream does not know it"),
    *yes(201, "POST", f"{CART}/checkout", PUBLIC, TRUSTED, body=data(**CHECKOUT, customer=GUEST), note="a guest"),
    *yes(201, "POST", f"{CART}/checkout", TRUSTED, body=data(**CHECKOUT, customer={"id": LESLIE_ID}), note="another"),
    *[
        cell
        for note, customer in (("no customer", None), ("the own id", {"id": RON_ID}), ("name and e-mail", GUEST))
        for cell in yes(
            201, "POST", f"{CART}/checkout", *CUSTOMERS, note=note, sent=(("POST", f"{CART}/checkout", STAMPED),),
            body=data(**CHECKOUT, **({"customer": customer} if customer else {})),
        )
    ],
    *[
        cell
        for nobody in ("", None)
        for cell in (
            *yes(
                201, "POST", f"{CART}/checkout", PUBLIC, note=f"a guest whose id is {nobody!r}",
                body=data(**CHECKOUT, customer={**GUEST, "id": nobody}),
                sent=(("POST", f"{CART}/checkout", data(**CHECKOUT, customer=GUEST)),),
            ),
            *yes(
                201, "POST", f"{CART}/checkout", *CUSTOMERS, note=f"an id that is {nobody!r}",
                body=data(**CHECKOUT, customer={**GUEST, "id": nobody}),
                sent=(("POST", f"{CART}/checkout", STAMPED),),
            ),
        )
    ],
    *yes(201, "POST", f"{CART}/checkout", PUBLIC, body=data(**CHECKOUT, **REFERENCES, customer=GUEST), note="ours"),
    *yes(
        201, "POST", f"{CART}/checkout", *CUSTOMERS, body=data(**CHECKOUT, **REFERENCES), note="ours",
        sent=(("POST", f"{CART}/checkout", data(**CHECKOUT, **REFERENCES, customer={"id": RON_ID})),),
    ),
    *yes(200, "DELETE", f"{CART}/discounts/CODE", *CALLERS, note="there is none, and nothing changes"),
    *no("BODY_FIELD_FORBIDDEN", "POST", f"{CART}/checkout", PUBLIC, *CUSTOMERS, note="another id",
        body=data(**CHECKOUT, customer={"id": LESLIE_ID})),
    *no("BODY_FIELD_FORBIDDEN", "POST", f"{CART}/checkout", PUBLIC, note="an id beside name and e-mail",
        body=data(**CHECKOUT, customer={**GUEST, "id": RON_ID})),
    *no("BODY_FIELD_FORBIDDEN", "POST", f"{CART}/checkout", PUBLIC, *CUSTOMERS, note="an account",
        body=data(**CHECKOUT, account={"id": "a"})),
    *no("BODY_FIELD_UNKNOWN", "POST", f"{CART}/checkout", PUBLIC, *CUSTOMERS, note="a field nobody listed",
        body=data(**CHECKOUT, relationships={"customer": {"data": FOREIGN_REFERENCE}})),
    *no("BODY_FIELD_INVALID", "POST", f"{CART}/checkout", PUBLIC, *CUSTOMERS, note="a text for the customer",
        body=data(**CHECKOUT, customer=LESLIE_ID)),
    *[
        cell
        for method in ("POST", "DELETE")
        for cell in (
            *no("ACCESS_DENIED", method, f"{CART}/relationships/customers", PUBLIC, body={"data": [REFERENCE]}),
            *yes(204, method, f"{CART}/relationships/customers", *CUSTOMERS, TRUSTED, body={"data": [REFERENCE]}),
            *yes(
                204, method, f"{CART}/relationships/customers", *CUSTOMERS, body={"data": []}, note="nobody named",
                sent=((method, f"{CART}/relationships/customers", {"data": [REFERENCE]}),),
            ),
            *no("BODY_FIELD_FORBIDDEN", method, f"{CART}/relationships/customers", *CUSTOMERS,
                body={"data": [FOREIGN_REFERENCE]}, note="another id"),
            *no("BODY_FIELD_FORBIDDEN", method, f"{CART}/relationships/customers", *CUSTOMERS,
                body={"data": [REFERENCE, FOREIGN_REFERENCE]}, note="another id behind the own one"),
            *no("BODY_FIELD_INVALID", method, f"{CART}/relationships/customers", *CUSTOMERS,
                body={"data": REFERENCE}, note="an object"),
        )
    ],
]  # fmt: skip

# --- Catalogue -------------------------------------------------------------------------------------------------------

CATALOGUE = {
    "products": ("product", "CHAIR"), "categories": ("category", "Tools"), "brands": ("brand", "Very Good Building"),
    "collections": ("collection", "Harvest"), "files": ("file", "chair.png"), "currencies": ("currency", "USD"),
}  # fmt: skip
CATALOGUE_CELLS = [
    *[
        cell
        for path, (kind, name) in CATALOGUE.items()
        for target in (f"/v2/{path}", f"/v2/{path}?page[limit]=1&anything=1", f"/v2/{path}/{identity(kind, name)}")
        for method in ("GET", "HEAD")
        for cell in yes(200, method, target, *CALLERS)
    ],
    *yes(200, "GET", "/catalog/products", *CALLERS),
    *yes(200, "GET", f"/catalog/products/{PRODUCT}", *CALLERS),
    *yes(404, "GET", "/v2/inventories/x", *CALLERS, note="carried; this upstream has none"),
    *yes(404, "POST", "/v2/inventories/multiple", *CALLERS, body={"data": [{"id": "x"}]}, note="carried"),
    *yes(404, "POST", "/catalog/products/x/configure", *CALLERS, body=data(selected_options={}), note="carried"),
    *yes(404, "GET", "/catalog/nodes/a/relationships/products", *CALLERS, note="carried; this upstream has none"),
]

# --- Log-outs --------------------------------------------------------------------------------------------------------

LOGOUT_CELLS = [
    *no("ACCESS_DENIED", "DELETE", "/v2/customers/tokens", PUBLIC, TRUSTED),
    *yes(204, "DELETE", "/v2/customers/tokens", *CUSTOMERS, sent=()),
    *[
        cell
        for method, what in (("DELETE", "tokens"), ("PUT", "block"), ("DELETE", "block"))
        for cell in (
            *no("ACCESS_DENIED", method, f"/v2/customers/{RON_ID}/{what}", PUBLIC, *CUSTOMERS),
            *yes(204, method, f"/v2/customers/{RON_ID}/{what}", TRUSTED, sent=()),
            *yes(204, method, f"/v2/customers/{UNKNOWN}/{what}", TRUSTED, sent=(), note="nobody is asked who it is"),
        )
    ],
]

# --- HEAD on scoped routes -------------------------------------------------------------------------------------------

HEAD_CELLS = [
    *yes(200, "HEAD", f"/v2/orders/{OWN_ORDER}", *CUSTOMERS, sent=(look_up(OWN_ORDER),)),
    *yes(404, "HEAD", f"/v2/orders/{FOREIGN_ORDER}", *CUSTOMERS, sent=(look_up(FOREIGN_ORDER),)),
    *yes(200, "HEAD", "/v2/orders", *CUSTOMERS, sent=(("GET", f"/v2/orders?{OWN_FILTER}", None),)),
    *yes(404, "HEAD", f"/v2/customers/{LESLIE_ID}", *CUSTOMERS, sent=()),
    *yes(403, "HEAD", "/v2/orders", PUBLIC, sent=()),
]

# --- Everything else -------------------------------------------------------------------------------------------------

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ANSWERED = {
    "/v2/customers": ("GET", "HEAD", "POST"),
    "/v2/customers/tokens": ("DELETE", "POST"),
    f"/v2/customers/{RON_ID}/tokens": ("DELETE",),
    f"/v2/customers/{RON_ID}/block": ("DELETE", "PUT"),
    "/oauth/access_token": ("POST",),
    "/.well-known/jwks.json": ("GET", "HEAD"),
    f"/v2/customers/{RON_ID}": ("GET", "HEAD", "PUT", "DELETE"),
    OWN_ADDRESSES: ("GET", "HEAD", "POST"),
    f"{OWN_ADDRESSES}/{OWN_ADDRESS}": ("GET", "HEAD", "PUT", "DELETE"),
    "/v2/orders": ("GET", "HEAD"),
    f"/v2/orders/{OWN_ORDER}": ("GET", "HEAD"),
    f"/v2/orders/{OWN_ORDER}/items": ("GET", "HEAD"),
    f"/v2/orders/{OWN_ORDER}/transactions": ("GET", "HEAD"),
    f"/v2/orders/{OWN_ORDER}/payments": ("POST",),
    f"/v2/orders/{OWN_ORDER}/transactions/x/confirm": ("POST",),
    "/v2/carts": ("POST",),
    CART: ("GET", "HEAD", "POST", "PUT", "DELETE"),
    f"{CART}/items": ("GET", "HEAD", "POST", "PUT", "DELETE"),
    f"{CART}/items/x": ("GET", "HEAD", "POST", "PUT", "DELETE"),
    f"{CART}/checkout": ("POST",),
    f"{CART}/discounts/CODE": ("DELETE",),
    "/v2/inventories/x": ("GET", "HEAD"),
    "/v2/inventories/multiple": ("POST",),
    "/catalog/products/x/configure": ("GET", "HEAD", "POST"),
    f"{CART}/relationships/customers": ("DELETE", "POST"),
    **{f"/v2/{path}": ("GET", "HEAD") for path in CATALOGUE},
    **{f"/v2/{path}/x": ("GET", "HEAD") for path in CATALOGUE},
    "/catalog/products": ("GET", "HEAD"),
    "/catalog/a/b/c": ("GET", "HEAD"),
}
UNKNOWN_PATHS = (
    "/", "/v2", "/v1/customers", "/v3/orders", "/oauth", "/catalog", "/.well-known/openid-configuration", "/metrics",
    "/v2/settings", "/v2/settings/customer-authentication", "/v2/gateways", "/v2/integrations", "/v2/flows",
    "/v2/flows/wishlist/entries", "/v2/promotions", "/v2/account-members/tokens", "/v2/addresses",
    "/v2/customers/attributes/x", f"/v2/customers/{RON_ID}/orders", f"/v2/customers/{RON_ID}/relationships/x",
    f"{OWN_ADDRESSES}/{OWN_ADDRESS}/x", f"/v2/orders/{OWN_ORDER}/transactions/x",
    f"/v2/orders/{OWN_ORDER}/transactions/x/refund", f"/v2/orders/{OWN_ORDER}/shipping-groups", "/v2/orders/a/b/c",
    f"{CART}/discounts", f"{CART}/relationships/accounts", "/v2/Customers", "/V2/customers", "/v2/products/x/y",
    "/v2/inventories", "/v2/inventories/x/transactions", f"{CART}/custom-discounts", f"{CART}/custom-discounts/x",
)  # fmt: skip
ELSE_CELLS = [
    *[
        cell
        for path, methods in ANSWERED.items()
        for method in METHODS
        if method not in methods
        for cell in no("METHOD_NOT_ALLOWED", method, path, *CALLERS, headers=(("allow", ", ".join(sorted(methods))),))
    ],
    *[cell for path in UNKNOWN_PATHS for cell in no("ROUTE_UNKNOWN", "GET", path, *CALLERS)],
    *[cell for path in UNKNOWN_PATHS for cell in no("ROUTE_UNKNOWN", "DELETE", path, TRUSTED)],
]

# Each cell says what is asked of the upstream, whatever the one before it has found out.
FORGETFUL = "extends: moltin.yaml\nupstream: {owner_memory: 0s}\n"

CELLS = [
    *CUSTOMER_CELLS, *ADDRESS_CELLS, *ORDER_CELLS, *PAYMENT_CELLS, *CART_CELLS, *CATALOGUE_CELLS, *LOGOUT_CELLS,
    *HEAD_CELLS, *ELSE_CELLS,
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Table:
    """A running gateway."""

    site: Site

    async def ask(self, cell: Cell) -> Answer:
        """Send the request of a cell as its caller."""
        headers = {"Authorization": f"Bearer {await self.site.bearer(self.grant(cell))}"}
        if cell.who in CUSTOMERS:
            headers["X-Moltin-Customer-Token"] = await self.site.token(RON.email)
        options = {} if cell.body is None else {"json": cell.body}
        return await self.site.call(cell.method, cell.target, headers=headers, **options)

    @staticmethod
    def grant(cell: Cell) -> str:
        """Return the kind of bearer that a caller holds."""
        return "trusted" if cell.who in {TRUSTED, LIMITED} else "public"

    async def put_back(self) -> None:
        """Undo what the last test did to the shop and the passwords, and forget what the upstream saw."""
        self.site.commerce.shop.reset()
        await self.site.give_demo_passwords()
        await self.site.gateway.store.unblock(RON_ID)
        # A token lasts as long as nothing has ended it.
        if (await self.site.customer(RON.email, "GET", "/v2/customers")).status == 403:
            self.site.tokens.clear()
        # Both bearers and the token exist, so that a test sees nothing of how they came to be.
        await self.site.bearer("trusted")
        await self.site.token(RON.email)
        self.site.commerce.forget()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Table]:
    """Run the one gateway of this module."""
    shop = Shop("canary-upstream-id", UPSTREAM_SECRET)
    folder = tmp_path_factory.mktemp("table")
    async with Commerce(shop) as commerce, run_site(commerce, folder, config=FORGETFUL) as site:
        yield Table(site)


@pytest_asyncio.fixture(loop_scope="module")
async def table(shared: Table) -> Table:
    """Give the gateway as if it had just started."""
    await shared.put_back()
    return shared


def seen(requests: list[Recorded]) -> tuple[Sent, ...]:
    """Return what the upstream saw."""
    return tuple((request.method, request.target, request.json() if request.body else None) for request in requests)


def check_upstream_headers(site: Site) -> None:
    """Whatever a client sent, the upstream sees the gateway's own bearer, and never a token or the client's bearer."""
    for request in site.commerce.requests:
        (authorization,) = request.values("authorization")
        assert authorization.startswith("Bearer ")
        assert not request.values("x-moltin-customer-token")
        for secret in (*site.bearers.values(), *site.tokens.values()):
            assert secret.encode() not in request.raw
    assert not site.commerce.unfinished
    assert not site.commerce.malformed
    assert not site.commerce.shop.passwords_seen


@together
@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_cell_of_the_table(table: Table, cell: Cell) -> None:
    """The status, the code, and exactly what the upstream saw."""
    answer = await table.ask(cell)
    assert (answer.status, answer.code if cell.code and cell.method != "HEAD" else cell.code) == (
        cell.status,
        cell.code,
    )
    assert seen(table.site.commerce.requests) == cell.sent
    check_upstream_headers(table.site)
    assert answer.status == 204 or answer.headers["content-type"].startswith("application/json")
    assert all(answer.headers.get(name) == value for name, value in cell.headers)
    if cell.who != TRUSTED and "cart" not in cell.target:
        assert LESLIE.canary.encode() not in answer.body
        assert GUEST_CANARY.encode() not in answer.body


def test_no_cell_stands_twice() -> None:
    """Each cell has a name of its own, so that a failure names it."""
    names = [str(cell) for cell in CELLS]
    assert len(set(names)) == len(names)


# --- Registration ----------------------------------------------------------------------------------------------------


@together
@pytest.mark.parametrize("who", CALLERS)
async def test_anybody_may_register_and_no_password_goes_upstream(table: Table, who: str) -> None:
    """POST /v2/customers: the listed fields are sent on without the password, which the reply says is kept."""
    fields = {"type": "customer", "name": "Tom", "email": f"tom{CALLERS.index(who)}@haverford.example"}
    answer = await table.ask(
        Cell(who, "POST", "/v2/customers", 201, body={"data": {**fields, "password": "pw-canary"}})
    )
    assert answer.status == 201
    assert answer.json()["data"]["password"] is True
    *look_ups, create, read_back = seen(table.site.commerce.requests)
    assert create == ("POST", "/v2/customers", {"data": fields})
    assert read_back == ("GET", f"/v2/customers/{answer.json()['data']['id']}", None)
    assert all(method == "GET" for method, _, _ in look_ups)
    assert not any(b"pw-canary" in request.raw for request in table.site.commerce.requests)
    check_upstream_headers(table.site)


@together
@pytest.mark.parametrize("who", [*CUSTOMERS, TRUSTED])
async def test_a_changed_password_is_kept_and_not_sent_on(table: Table, who: str) -> None:
    """PUT /v2/customers/{id} with a password: the rest goes upstream, and the new password logs in."""
    body = data(type="customer", name="Ron S", password="another-demo-password")
    answer = await table.ask(Cell(who, "PUT", f"/v2/customers/{RON_ID}", 200, body=body))
    assert (answer.status, answer.json()["data"]["password"]) == (200, True)
    assert seen(table.site.commerce.requests)[-1] == (
        "PUT", f"/v2/customers/{RON_ID}", data(type="customer", name="Ron S"),
    )  # fmt: skip
    assert (await table.site.login(RON.email, "another-demo-password")).status == 201
    check_upstream_headers(table.site)


# --- Not there -------------------------------------------------------------------------------------------------------


@together
@pytest.mark.parametrize("who", CUSTOMERS)
@pytest.mark.parametrize(
    ("method", "template"),
    [
        ("GET", "/v2/customers/{customer}"),
        ("PUT", "/v2/customers/{customer}"),
        ("DELETE", "/v2/customers/{customer}"),
        ("GET", "/v2/customers/{customer}/addresses"),
        ("POST", "/v2/customers/{customer}/addresses"),
        ("GET", "/v2/customers/{customer}/addresses/{address}"),
        ("GET", f"/v2/customers/{RON_ID}/addresses/{{address}}"),
        ("GET", "/v2/orders/{order}"),
        ("GET", "/v2/orders/{order}/items"),
        ("GET", "/v2/orders/{order}/transactions"),
        ("POST", "/v2/orders/{order}/payments"),
    ],
)
async def test_a_foreign_record_answers_as_an_unknown_one(table: Table, who: str, method: str, template: str) -> None:
    """Nobody learns from a reply whether somebody else's record exists: same status, headers and body."""
    body = data(name="x") if method in {"PUT", "POST"} else None
    asked = Cell(who, method, "", 404, body=body)
    foreign = template.format(customer=LESLIE_ID, address=FOREIGN_ADDRESS, order=FOREIGN_ORDER)
    unknown = template.format(customer=UNKNOWN, address=UNKNOWN, order=UNKNOWN)
    answers = [await table.ask(replace(asked, target=target)) for target in (foreign, unknown)]
    told_apart = {"date", "x-request-id"}
    first, second = (
        (one.status, one.body, [(k.lower(), v) for k, v in one.headers.items() if k.lower() not in told_apart])
        for one in answers
    )
    assert first == second
    assert first[0] == 404


# --- Who asks --------------------------------------------------------------------------------------------------------

BEARERS = {
    "garbled": "garbled",
    "empty": "",
    "three dots": "a.b.c",
    "the upstream's own secret": UPSTREAM_SECRET,
    "two in one line": "{bearer}, {bearer}",
    "cut off": "{cut}",
    "padded": "{bearer}=",
    "a customer token": "{token}",
}


@together
@pytest.mark.parametrize("scheme", ["Bearer ", "Bearer: ", ""])
@pytest.mark.parametrize("bearer", BEARERS.values(), ids=BEARERS.keys())
async def test_a_bad_bearer_is_401_and_asks_nobody(table: Table, scheme: str, bearer: str) -> None:
    """With and without the colon, on open and scoped routes alike: 401 is for the bearer."""
    good = await table.site.bearer()
    filled = bearer.format(bearer=good, cut=good[:-3], token=await table.site.token(RON.email))
    for target in ("/v2/products", "/v2/orders"):
        answer = await table.site.call("GET", target, headers={"Authorization": scheme + filled})
        assert (answer.status, answer.code) == (401, "BEARER_INVALID")
    assert not table.site.commerce.requests


@together
@pytest.mark.parametrize("scheme", ["Bearer ", "Bearer: ", "bearer ", "BEARER: ", ""])
async def test_a_good_bearer_is_taken_with_and_without_the_colon(table: Table, scheme: str) -> None:
    """Real SDKs send both (docs/upstream.md section 1)."""
    headers = {"Authorization": scheme + await table.site.bearer()}
    assert (await table.site.call("GET", "/v2/products", headers=headers)).status == 200
    headers["X-Moltin-Customer-Token"] = await table.site.token(RON.email)
    assert (await table.site.call("GET", "/v2/orders", headers=headers)).status == 200
    check_upstream_headers(table.site)


@together
@pytest.mark.parametrize("target", ["/v2/products", "/v2/orders", "/v2/carts/x", f"/v2/customers/{RON_ID}"])
async def test_without_a_bearer_nothing_is_answered(table: Table, target: str) -> None:
    """A customer token alone proves no client; an unknown route stays unknown."""
    for headers in ({}, {"X-Moltin-Customer-Token": await table.site.token(RON.email)}):
        answer = await table.site.call("GET", target, headers=headers)
        assert (answer.status, answer.code) == (401, "BEARER_MISSING")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert (await table.site.call("GET", "/v2/unknown")).status == 404
    assert not table.site.commerce.requests


@together
async def test_two_bearers_are_none(table: Table) -> None:
    """D2.9: whoever checks the first of two lines and forwards the second has checked nothing."""
    bearer = ("Authorization", f"Bearer {await table.site.bearer()}")
    answer = await table.site.call("GET", "/v2/products", headers=[bearer, bearer])
    assert (answer.status, answer.code) == (401, "BEARER_INVALID")
    assert not table.site.commerce.requests


WRONG_HEADS: dict[str, Json] = {
    "of another type": {"typ": "bearer+jwt"},
    "of another algorithm": {"alg": "HS256"},
    "without algorithm": {"alg": "none"},
    "under an unknown name": {"kid": "x"},
}
WRONG_CLAIMS: dict[str, Json] = {
    "expired": {"iat": -7200, "exp": -3600},
    "from the future": {"iat": 3600, "exp": 7200},
    "for another audience": {"aud": "another-shop"},
    "of another issuer": {"iss": "somebody"},
    "for everybody": {"sub": "*"},
}


def forged(site: Site, what: str) -> str:
    """Write a customer token for Leslie that is good but for one thing."""
    ours = load_key(site.config.tokens.keys[0].get_secret_value())
    stranger = load_key(generate(Algorithm.EDDSA))
    tokens, start = site.config.tokens, int(datetime.now(UTC).timestamp())
    good: Json = {"iss": tokens.issuer, "aud": tokens.audience, "sub": LESLIE_ID, "iat": 0, "exp": 600, "jti": "0" * 32}
    good |= {"num": 1, "ver": 2**62, "sid": 2}
    good |= WRONG_CLAIMS.get(what, {})
    payload = {**good, "iat": start + good["iat"], "exp": start + good["exp"]}
    head = {"alg": ours.algorithm.value, "typ": "customer+jwt", "kid": ours.kid, **WRONG_HEADS.get(what, {})}
    token = forge(ours, head, payload)
    others = {
        "of another key": forge(stranger, {**head, "kid": stranger.kid}, payload),
        "of another key under our name": forge(stranger, head, payload),
        "without signature": f"{token.rpartition('.')[0]}.",
        "cut off": token[:-2],
        "padded": f"{token}=",
        "garbled": "garbled",
        "three dots": "a.b.c",
        "empty": "",
    }
    return others.get(what, token)


@together
@pytest.mark.parametrize("grant", ["public", "trusted"])
@pytest.mark.parametrize("scheme", ["Bearer ", "Bearer: "])
@pytest.mark.parametrize(
    "what",
    [
        *WRONG_CLAIMS, *WRONG_HEADS, "of another key", "of another key under our name", "without signature", "cut off",
        "padded", "garbled", "three dots", "empty",
    ],
)  # fmt: skip
async def test_a_bad_customer_token_is_403_and_asks_nobody(table: Table, what: str, scheme: str, grant: str) -> None:
    """Where it matters who is logged in: never 401, which SDKs retry. Beside a trusted bearer it matters everywhere."""
    headers = {
        "Authorization": scheme + await table.site.bearer(grant),
        "X-Moltin-Customer-Token": forged(table.site, what),
    }
    is_none = what == "empty" and grant == "public"
    for target in ("/v2/orders", f"/v2/customers/{LESLIE_ID}"):
        answer = await table.site.call("GET", target, headers=headers)
        assert (answer.status, answer.code) == (403, "ACCESS_DENIED" if is_none else "CUSTOMER_TOKEN_INVALID")
    assert not table.site.commerce.requests
    answer = await table.site.call("GET", "/v2/products", headers=headers)
    if grant == "trusted":
        assert (answer.status, answer.code) == (403, "CUSTOMER_TOKEN_INVALID")
        assert not table.site.commerce.requests
    else:
        assert (answer.status, answer.headers.get("x-customer-token")) == (200, None if is_none else "ignored")


@together
async def test_the_forger_can_make_a_good_token(table: Table) -> None:
    """The tokens above are refused for what is wrong with them."""
    headers = {
        "Authorization": f"Bearer {await table.site.bearer()}",
        "X-Moltin-Customer-Token": forged(table.site, "good"),
    }
    assert (await table.site.call("GET", f"/v2/customers/{LESLIE_ID}", headers=headers)).status == 200


@together
@pytest.mark.parametrize("second", ["the same", "another", "empty"])
async def test_two_customer_tokens_are_none(table: Table, second: str) -> None:
    """D2.5: exactly one line with exactly one token."""
    own = await table.site.token(RON.email)
    other = {"the same": own, "another": forged(table.site, "good"), "empty": ""}[second]
    bearer = ("Authorization", f"Bearer {await table.site.bearer()}")
    name = "X-Moltin-Customer-Token"
    for lines in ([(name, own), (name, other)], [(name, other), (name, own)], [(name, f"{own}, {other}")]):
        answer = await table.site.call("GET", "/v2/orders", headers=[bearer, *lines])
        assert (answer.status, answer.code) == (403, "CUSTOMER_TOKEN_INVALID")
    assert not table.site.commerce.requests


@together
async def test_a_trusted_caller_with_a_token_sees_that_customer_only(table: Table) -> None:
    """The token limits; it is never ignored because the bearer could do more."""
    everything = await table.site.trusted("GET", "/v2/orders?page[limit]=100")
    assert LESLIE.canary.encode() in everything.body
    headers = {"X-Moltin-Customer-Token": await table.site.token(RON.email)}
    limited = await table.site.trusted("GET", "/v2/orders?page[limit]=100", headers)
    owners = {order["relationships"]["customer"]["data"]["id"] for order in limited.json()["data"]}
    assert owners == {RON_ID}
