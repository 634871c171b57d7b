"""Records of an upstream that misbehaves (D4, D6, D2.8): nobody else's leaves, in whatever it is wrapped."""

import pytest

from gateway.demo.data import GUEST, LESLIE, RON
from gateway.vocab.messages import Json
from tests.attacks.field import ON_ONE_LOOP, every, order_of
from tests.attacks.upstream import (
    LISTS,
    WAYS,
    Shape,
    Siege,
    Way,
    answer,
    assert_own,
    assert_withheld,
    owned_by,
    record,
    twice,
    without,
)
from tests.fakes.commerce import Fault

pytestmark = [ON_ONE_LOOP, pytest.mark.usefixtures("families")]

CALLERS = {"customer": "customer", "trusted and customer": "limited"}


# --- Somebody else's record -------------------------------------------------------------------------------------------


ANOTHERS: dict[str, Shape] = {
    "alone": lambda way: way.document(way.foreign),
    "in a list": lambda way: {"data": [way.foreign]},
    "behind the own one": lambda way: {"data": [way.own, way.foreign]},
    "in a list in a list": lambda way: {"data": [[way.foreign]]},
    "without its type": lambda way: way.document(without(way.foreign, "type")),
}


@every(caller=CALLERS, wrapped=ANOTHERS, way=WAYS)
async def test_anothers_record(siege: Siege, caller: str, wrapped: Shape, way: Way) -> None:
    """Whatever a request asked for, an answer with somebody else's record is withheld and counted."""
    caller = caller if way.caller == "customer" else way.caller
    suffered = await siege.suffer(way, answer(wrapped(way), way.status), caller=caller)
    assert_withheld(suffered, 404, 502)
    if wrapped is ANOTHERS["alone"]:
        assert_withheld(suffered)


@every(place=["first", "middle", "last", "24th of 25"], way=LISTS)
async def test_one_foreign_record_in_a_list(siege: Siege, place: str, way: Way) -> None:
    """One foreign record withholds the list, wherever it stands (D6: the filter was ignored)."""
    records = [way.own for _ in range(25)]
    records[{"first": 0, "middle": 12, "last": 24, "24th of 25": 23}[place]] = way.foreign
    suffered = await siege.suffer(way, answer(way.document(*records)))
    assert_withheld(suffered)
    assert suffered.violations == 1


@every(fault={"ignores the filter": Fault.IGNORE_FILTER}, way=["customers-list", "orders-list"], caller=CALLERS)
async def test_filters_that_are_ignored(siege: Siege, fault: Fault, way: str, caller: str) -> None:
    """EPCC "will return everything" for a filter it does not support: nothing of everything leaves (D6)."""
    siege.commerce.forget()
    siege.commerce.fault(fault, when=WAYS[way].asks)
    suffered = await siege.watch(WAYS[way], caller)
    assert_withheld(suffered)
    assert suffered.violations == 1


@every(way=["customer-read", "order", "order-items", "order-transactions"], caller=CALLERS)
async def test_another_record_than_was_asked_for(siege: Siege, way: str, caller: str) -> None:
    """An upstream that answers each id with somebody else's record is believed in nothing (D4: crossed answers)."""
    siege.commerce.forget()
    kept = LESLIE.id if way == "customer-read" else order_of(LESLIE)
    siege.commerce.fault(Fault.OTHER_RECORD, when=lambda _: True, record=kept)
    assert_withheld(await siege.watch(WAYS[way], caller), 404)


@every(way=["order-items", "order-transactions", "order-payments"])
async def test_parts_of_another_order_of_ones_own(siege: Siege, way: str) -> None:
    """The data of two orders swapped: even the own other order's is not what was asked for."""
    swapped = WAYS[way].own | {"relationships": {"order": {"data": {"type": "order", "id": order_of(RON, 1)}}}}
    assert_withheld(await siege.suffer(WAYS[way], answer(WAYS[way].document(swapped))))


@every(way=["order-items", "order-transactions"], whose=["nobody", "null", "an empty text", "a list", "an object"])
async def test_parts_that_do_not_say_of_what(siege: Siege, way: str, whose: str) -> None:
    """A part that names no order, and to which the order does not refer, belongs to nobody who asks."""
    named = {"null": None, "an empty text": "", "a list": [order_of(RON)], "an object": {"id": order_of(RON)}}
    relationships = {} if whose == "nobody" else {"order": {"data": {"type": "order", "id": named[whose]}}}
    part = WAYS[way].foreign | {"relationships": relationships}
    assert_withheld(await siege.suffer(WAYS[way], answer(WAYS[way].document(WAYS[way].own, part))))


@every(way=["cart-checkout"])
async def test_a_guests_order_for_a_customers_checkout(siege: Siege, way: str) -> None:
    """A checkout that was stamped with the customer is answered with the customer's order, not with a guest's."""
    assert_withheld(await siege.suffer(WAYS[way], answer({"data": record("order", GUEST)}, 201)))


# --- Owners that cannot be read ---------------------------------------------------------------------------------------


OWN_ID = RON.id
NOT_OWN: dict[str, object] = {
    "foreign": LESLIE.id,
    "upper case": OWN_ID.upper(),
    "a space before": f" {OWN_ID}",
    "a space behind": f"{OWN_ID} ",
    "a line's end": f"{OWN_ID}\n",
    "a NUL": f"{OWN_ID}\x00",
    "an invisible character": f"{OWN_ID}\u200b",
    "full width": OWN_ID.replace("0", "\uff10").replace("1", "\uff11"),
    "two": f"{OWN_ID},{LESLIE.id}",
    "percent-encoded": OWN_ID.replace("-", "%2D"),
    "without hyphens": OWN_ID.replace("-", ""),
    "a number": 7,
    "zero": 0,
    "a fraction": 1.5,
    "a huge number": 10**30,
    "true": True,
    "false": False,
    "a list": [OWN_ID],
    "a list of both": [OWN_ID, LESLIE.id],
    "an object": {"id": OWN_ID},
    "an empty text": "",
    "an empty list": [],
    "an empty object": {},
}
NOBODY: dict[str, object] = {"null": None}
NEEDS_OWNER = {name: WAYS[name] for name in ("customers-list", "customer-read", "orders-list", "order")}
MAY_BE_UNNAMED = {
    name: WAYS[name]
    for name in ("addresses-list", "address", "address-create", "address-change", "order-items", "cart-checkout")
}


def named(way: Way, body: Json, owner: object) -> Json:
    """Return a record whose owner is this value."""
    if way.kind == "customer":
        return body | {"id": owner}
    kept = body.get("relationships", {})
    return body | {"relationships": kept | {"customer": {"data": {"type": "customer", "id": owner}}}}


@every(owner=NOT_OWN | NOBODY, way=NEEDS_OWNER)
async def test_owners_that_are_not_the_customer(siege: Siege, owner: object, way: Way) -> None:
    """An owner of another type or spelling is not the customer: no comparison but the exact one."""
    assert_withheld(await siege.suffer(way, answer(way.document(named(way, way.foreign, owner)))))


@every(owner=NOT_OWN, way=MAY_BE_UNNAMED)
async def test_owners_that_need_not_be_there(siege: Siege, owner: object, way: Way) -> None:
    """Where a record need not name its owner, one that names somebody, however spelled, is still held to it."""
    assert_withheld(await siege.suffer(way, answer(way.document(named(way, way.own, owner)), way.status)))


BROKEN_RELATIONSHIPS: dict[str, object] = {
    "null": None,
    "a list": [owned_by(RON)],
    "a text": RON.id,
    "empty": {},
    "customer null": {"customer": None},
    "customer a list": {"customer": [{"data": {"type": "customer", "id": RON.id}}]},
    "customer a text": {"customer": RON.id},
    "customer empty": {"customer": {}},
    "data null": {"customer": {"data": None}},
    "data empty": {"customer": {"data": {}}},
    "data a text": {"customer": {"data": RON.id}},
    "data a list": {"customer": {"data": [{"type": "customer", "id": RON.id}]}},
    "data two": {"customer": {"data": [{"id": RON.id}, {"id": LESLIE.id}]}},
    "customers": {"customers": owned_by(RON)["customer"]},
    "upper case": {"Customer": owned_by(RON)["customer"]},
    "an account": {"account": {"data": {"id": RON.id}}},
}


@every(broken=BROKEN_RELATIONSHIPS, way=["orders-list", "order"])
async def test_relationships_that_cannot_be_read(siege: Siege, broken: object, way: str) -> None:
    """An order whose customer cannot be read is no customer's."""
    suffered = await siege.suffer(WAYS[way], answer(WAYS[way].document(WAYS[way].foreign | {"relationships": broken})))
    assert_withheld(suffered)


NAMING: dict[str, Json] = {
    "customer_id": {"customer_id": LESLIE.id},
    "customer.id": {"customer": {"id": LESLIE.id}},
    "links.self": {"links": {"self": f"/v2/customers/{LESLIE.id}/addresses/x"}},
    "links.self, absolute": {"links": {"self": f"https://api.example/v2/customers/{LESLIE.id}/addresses/x"}},
}


@every(named_at=NAMING, way=["addresses-list", "address", "address-create", "address-change", "order-items"])
async def test_owners_in_other_places(siege: Siege, named_at: Json, way: str) -> None:
    """A record that names somebody else anywhere an owner may stand is somebody else's."""
    unnamed = {name: part for name, part in WAYS[way].own.items() if name != "relationships" or way == "order-items"}
    suffered = await siege.suffer(WAYS[way], answer(WAYS[way].document(unnamed | named_at), WAYS[way].status))
    assert_withheld(suffered)


UNSEEN: dict[str, Json] = {
    "links.self.href": {"links": {"self": {"href": f"/v2/customers/{LESLIE.id}/addresses/x"}}},
    "links.self, upper case": {"links": {"self": f"/V2/Customers/{LESLIE.id}/addresses/x"}},
    "links.self, behind the own": {"links": {"self": f"/v2/customers/{RON.id}/v2/customers/{LESLIE.id}"}},
    "a text for the customer": {"customer": LESLIE.id},
    "customer.data.id": {"customer": {"data": {"type": "customer", "id": LESLIE.id}}},
    "relationships.customers": {"relationships": {"customers": {"data": [{"type": "customer", "id": LESLIE.id}]}}},
}


@every(named_at=UNSEEN, way=["addresses-list", "address"])
async def test_owners_in_places_that_nobody_looks_at(siege: Siege, named_at: Json, way: str) -> None:
    """A record that names no owner where it should is not taken for the customer's while it names another elsewhere."""
    unnamed = without(WAYS[way].own, "relationships")
    assert_withheld(await siege.suffer(WAYS[way], answer(WAYS[way].document(unnamed | named_at))))


@every(last={"own last": False, "foreign last": True}, way=WAYS)
async def test_duplicate_keys(siege: Siege, *, last: bool, way: Way) -> None:
    """An owner that comes twice is read once, and what was read is what leaves: never both."""
    name, value = ("id", LESLIE.id) if way.kind in {"customer", "reference"} else ("relationships", owned_by(LESLIE))
    body = twice(way.own, name, value, last=last)
    body = b'{"data": [' + body + b"]}" if way.is_list else b'{"data": ' + body + b"}"
    suffered = await siege.suffer(way, answer(body, way.status))
    if last:
        assert_withheld(suffered)
    else:
        assert_own(suffered)


@every(last={"own last": False, "foreign last": True}, way=WAYS)
async def test_duplicate_documents(siege: Siege, *, last: bool, way: Way) -> None:
    """Of records that come twice under one name, only those leave that were judged."""
    suffered = await siege.suffer(
        way, answer(twice({"data": way.document()["data"]}, "data", way.document(way.foreign)["data"], last=last))
    )
    if last:
        assert_withheld(suffered)
    else:
        assert_own(suffered)
