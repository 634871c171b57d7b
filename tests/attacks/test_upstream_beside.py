"""What an upstream that misbehaves puts beside records or around them (D4.7, D6): only what was judged leaves."""

import json
from collections.abc import Callable

import pytest

from gateway.demo.data import LESLIE, RON
from gateway.vocab.messages import Json
from tests.attacks.field import ON_ONE_LOOP, every, order_of
from tests.attacks.upstream import (
    LIST,
    WAYS,
    Shape,
    Siege,
    Way,
    answer,
    assert_own,
    assert_own_or_failed,
    assert_withheld,
    owned_by,
    record,
    without,
)

pytestmark = [ON_ONE_LOOP, pytest.mark.usefixtures("families")]


# --- Beside the records -----------------------------------------------------------------------------------------------


def refers(name: str, kind: str, ident: str) -> Json:
    """Return a relationship to one record."""
    return {name: {"data": {"type": kind, "id": ident}}}


ITEM = record("order_item", LESLIE) | {"relationships": {}}
OWN_ITEM = record("order_item", RON) | {"relationships": {}}
CHAINED = OWN_ITEM | {"relationships": refers("related", "order", order_of(LESLIE))}
TO_LESLIE = OWN_ITEM | {"relationships": refers("related", "customer", LESLIE.id)}
UNTYPED = without(record("customer", LESLIE), "type")
INCLUDED: dict[str, object] = {
    "one that nobody refers to": {"items": [ITEM]},
    "one behind the own": {"items": [OWN_ITEM, ITEM]},
    "as a flat list": [ITEM],
    "under a name of its own": {"tax_items": [ITEM]},
    "somebody's order at the end of a chain": {"items": [CHAINED], "orders": [record("order", LESLIE)]},
    "somebody's address at the end of a chain": {
        "items": [OWN_ITEM | {"relationships": refers("shipping", "address", "a")}],
        "addresses": [record("address", LESLIE) | {"id": "a"}],
    },
    "a customer at the end of a chain": {"items": [TO_LESLIE], "customers": [record("customer", LESLIE)]},
    "an own item that names somebody": {"items": [OWN_ITEM | {"relationships": owned_by(LESLIE)}]},
    "a customer whom nobody refers to": {"customers": [record("customer", LESLIE)]},
    "a text": LESLIE.canary,
    "a number": 46002,
    "a record": ITEM,
    "null": None,
    "true": True,
    "records by id": {"items": {ITEM["id"]: ITEM}},
    "a list in a list": {"items": [[ITEM]]},
    "a record without id": {"items": [{"type": "order_item", "description": LESLIE.canary}]},
    "a record with a number as id": {"items": [ITEM | {"id": 1}]},
    "two that refer to each other": {
        "items": [ITEM | {"relationships": refers("items", "item", "b")}],
        "b": [ITEM | {"id": "b", "relationships": refers("items", "item", ITEM["id"])}],
    },
}


@every(included=INCLUDED, way=["orders-list", "order"])
async def test_included_records(siege: Siege, included: object, way: str) -> None:
    """What is included belongs to a record that was checked, and names nobody but the customer."""
    suffered = await siege.suffer(WAYS[way], answer(WAYS[way].document() | {"included": included}))
    if included is None:
        # Nothing, as some languages write it.
        assert_own_or_failed(suffered)
        return
    assert_withheld(suffered, 502)
    assert suffered.violations == 1


NAMING_ANOTHER: dict[str, object] = {
    "a customer of no type": {"items": [TO_LESLIE], "customers": [UNTYPED]},
    "a customer in capitals": {
        "items": [OWN_ITEM | {"relationships": refers("buyer", "Customer", LESLIE.id)}],
        "Customers": [UNTYPED | {"type": "Customer"}],
    },
    "a customer of another type": {"items": [TO_LESLIE], "customers": [UNTYPED | {"type": "customers"}]},
    "an own item that names a customer_id": {"items": [OWN_ITEM | {"customer_id": LESLIE.id}]},
    "an own item that names a customer.id": {"items": [OWN_ITEM | {"customer": {"id": LESLIE.id}}]},
}


@every(included=NAMING_ANOTHER, way=["orders-list", "order"])
async def test_included_records_that_name_another_elsewhere(siege: Siege, included: object, way: str) -> None:
    """Whatever an included record calls itself, and wherever it names a customer, it is held to it."""
    suffered = await siege.suffer(WAYS[way], answer(WAYS[way].document() | {"included": included}))
    assert_withheld(suffered, 502)


@every(way=[name for name, way in WAYS.items() if way.kind != "order"])
async def test_included_records_where_nobody_asked(siege: Siege, way: str) -> None:
    """What is included is withheld on every route, also where no include can be asked for."""
    document = WAYS[way].document() | {"included": {"items": [ITEM]}}
    assert_withheld(await siege.suffer(WAYS[way], answer(document, WAYS[way].status)), 502)


@every(chain={"short": 10, "long": 5000})
async def test_chains_of_included_records(siege: Siege, chain: int) -> None:
    """A chain of references is followed to its end, where a stranger stands, at once."""
    links = [OWN_ITEM | {"id": f"i{at}", "relationships": refers("items", "item", f"i{at + 1}")} for at in range(chain)]
    links[-1] |= {"relationships": refers("order", "order", order_of(LESLIE))}
    first = OWN_ITEM | {"relationships": refers("items", "item", "i0")}
    included = {"items": [first, *links], "orders": [record("order", LESLIE)]}
    assert_withheld(await siege.suffer(LIST, answer(LIST.document() | {"included": included})), 502)


EXTRAS: dict[str, Json] = {
    "records under another name": {"records": [record("order", LESLIE)], "Data": record("order", LESLIE)},
    "errors beside the data": {"errors": [{"title": LESLIE.canary, "detail": LESLIE.email}]},
    "jsonapi": {"jsonapi": {"version": "1.0", "meta": {"customer": LESLIE.name}}},
    "a name that tells": {LESLIE.canary: True, LESLIE.id: {}},
    "meta with records": {"meta": {"previous": [record("order", LESLIE)], "page": {}, "results": {}}},
    "meta with a name that tells": {"meta": {LESLIE.canary: 1, "page": {LESLIE.id: 1}, "results": {LESLIE.email: 2}}},
    "meta with texts": {
        "meta": {"page": {"limit": LESLIE.id, "total": LESLIE.name}, "results": {"total": LESLIE.canary}}
    },
    "meta with lists": {"meta": {"page": [LESLIE.canary], "results": {"total": [LESLIE.canary]}}},
    "meta with objects": {"meta": {"page": {"limit": {"of": LESLIE.email}}, "results": {"total": {"of": LESLIE.id}}}},
    "a text for meta": {"meta": LESLIE.canary},
    "a text for links": {"links": LESLIE.canary},
    "a list for links": {"links": [f"/v2/customers/{LESLIE.id}"]},
    "a link to somebody": {"links": {"self": f"/v2/customers/{LESLIE.id}", "next": f"/v2/orders/{order_of(LESLIE)}"}},
    "a link under another name": {"links": {"customer": f"/v2/customers/{LESLIE.id}", LESLIE.canary: None}},
    "a link that is an object": {"links": {"next": {"href": "/v2/orders", "meta": {"for": LESLIE.canary}}}},
    "a link with another parameter": {"links": {"next": f"/v2/orders?customer={LESLIE.id}"}},
}


@every(extra=EXTRAS, way=["customers-list", "customer-read", "addresses-list", "orders-list", "order", "order-items"])
async def test_what_stands_beside_the_records(siege: Siege, extra: Json, way: str) -> None:
    """Only what was judged leaves: no other member, no count but numbers, no link but to the same list."""
    suffered = await siege.suffer(WAYS[way], answer(WAYS[way].document() | extra))
    assert_own(suffered)
    links = suffered.document.get("links", {})
    assert set(links) <= {"current", "first", "last", "next", "prev", "self"}


PLACES: dict[str, Callable[[str], str]] = {
    "somebody's filter": lambda path: f"{path}?filter=eq(customer_id,{LESLIE.id})&page[limit]=25&page[offset]=25",
    "somebody's filter behind the own": lambda path: f"{path}?filter=eq(customer_id,{RON.id}):eq(email,{LESLIE.email})",
    "a sort that tells": lambda path: f"{path}?sort={LESLIE.canary}",
    "an offset that tells": lambda path: f"{path}?page[offset]={LESLIE.id}",
    "a host that tells": lambda path: f"https://{LESLIE.canary}.example{path}",
    "a path before it that tells": lambda path: f"https://api.example/{LESLIE.email}{path}",
    "a user in the address": lambda path: f"https://{LESLIE.canary}@api.example{path}?page[offset]=0",
    "a fragment that tells": lambda path: f"{path}?page[offset]=0#{LESLIE.canary}",
}


@every(place=PLACES, way=["orders-list", "customers-list"])
async def test_links_that_tell(siege: Siege, place: Callable[[str], str], way: str) -> None:
    """A link to the next page holds what the client asked and where it goes on, nothing of another's list (D4.7)."""
    links = dict.fromkeys(("self", "current", "first", "next", "prev", "last"), place(WAYS[way].path))
    assert_own(await siege.suffer(WAYS[way], answer(WAYS[way].document() | {"links": links})))


@every(count={"huge": 10**12, "everybody's": 424242, "negative": -424242, "a fraction": 424242.5, "64 bit": 2**63})
async def test_counts_of_everybody(siege: Siege, count: float) -> None:
    """A list that is not full says how many there are: no count of the upstream's can say more."""
    meta = {"page": {"limit": 25, "offset": 0, "current": 1, "total": count}, "results": {"total": count, "all": count}}
    suffered = await siege.suffer(LIST, answer(LIST.document() | {"meta": meta}))
    assert_own(suffered)
    assert str(count).encode() not in suffered.body
    assert b'"all"' not in suffered.body


SHAPES: dict[str, Shape] = {
    "null": lambda _: {"data": None},
    "a text": lambda way: {"data": json.dumps(way.foreign)},
    "a number": lambda _: {"data": 46002},
    "true": lambda _: {"data": True},
    "texts": lambda _: {"data": [LESLIE.canary, LESLIE.id]},
    "nulls": lambda _: {"data": [None, None]},
    "lists in lists": lambda way: {"data": [[[[way.foreign]]]]},
    "no data": lambda way: {"records": [way.foreign]},
    "an array": lambda way: [way.foreign],
    "a record": lambda way: way.foreign,
    "an empty object": lambda _: {},
    "errors": lambda _: {"errors": [{"status": 200, "title": LESLIE.canary, "detail": LESLIE.email}]},
    "a bare text": lambda _: LESLIE.canary,
    "a bare null": lambda _: None,
}


@every(shape=SHAPES, way=WAYS)
async def test_shapes_that_are_no_records(siege: Siege, shape: Shape, way: Way) -> None:
    """What is no record does not leave; a DELETE may have nothing to say, and a write that shows nobody was one."""
    said = shape(way)
    suffered = await siege.suffer(way, answer(said, way.status))
    if said in (None, {}, {"data": None}) and way.method in {"POST", "PUT"}:
        assert (suffered.status, suffered.body) == (way.status, b'{"data":null}')
    elif said == {"data": None} and way.is_list and suffered.status == 200:
        assert json.loads(suffered.body)["data"] == []
    elif way.method != "DELETE" or suffered.status >= 400:
        assert_withheld(suffered, 404, 502)
    else:
        assert suffered.status == 204


WRAPPED: dict[str, Shape] = {
    "data in data": lambda way: {"data": {"data": way.foreign}},
    "a list in data in data": lambda way: {"data": {"data": [way.foreign]}},
    "a number as key": lambda way: {"data": {"0": way.foreign}},
    "under its type": lambda way: {"data": {way.kind: way.foreign}},
    "in a list": lambda way: {"data": [{"record": way.foreign}]},
}
HAS_NO_ID = ("addresses-list", "address-create", "order-payments", "guest-payments", "cart-checkout", "guest-checkout")


@every(shape=WRAPPED, way={name: way for name, way in WAYS.items() if name not in HAS_NO_ID})
async def test_records_in_wrappings(siege: Siege, shape: Shape, way: Way) -> None:
    """A record inside something that is none is not judged, and does not leave."""
    assert_withheld(await siege.suffer(way, answer(shape(way), way.status)), 404, 502)


@every(shape=WRAPPED, way=HAS_NO_ID)
async def test_records_in_wrappings_where_owners_may_be_missing(siege: Siege, shape: Shape, way: str) -> None:
    """Nor does it where a record need not name its owner: what has no id is no record."""
    assert_withheld(await siege.suffer(WAYS[way], answer(shape(WAYS[way]), WAYS[way].status)), 404, 502)
