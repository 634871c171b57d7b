"""Guard rule `belongs_to`."""

from typing import Any

import pytest

from gateway.guard.rules.belongs_to import BelongsTo
from gateway.vocab.messages import Plan, Whose
from gateway.vocab.refusals import Code, Refusal
from tests.guard.judging import inspected

RULE = BelongsTo(parameter="oid", pointer="/relationships/order/data/id", relationship="items")
LENIENT = BelongsTo(parameter="oid", pointer="/relationships/order/data/id", required=False)
WHOSE = Whose("c1", {"oid": "o1"})
PLAN = Plan("GET", "/v2/orders/o1/items", narrowed=True, referred=frozenset({("items", "i1"), ("item", "i1")}))


def item(ident: str = "i1", order: Any = None) -> dict[str, Any]:
    """Make an item, which may name an order."""
    return {"id": ident} | ({"relationships": {"order": {"data": {"id": order}}}} if order is not None else {})


@pytest.mark.parametrize("records", [[], [item()], [item("i2", "o1")], [item(), item("i3", "o1")]])
def test_parts_of_the_parent_leave(records: list[Any]) -> None:
    """A record proves it by naming the parent, or by standing in the parent's relationship."""
    assert inspected(RULE, {"data": records}, WHOSE, PLAN) == {"data": records}
    for record in records:
        assert inspected(RULE, {"data": record}, WHOSE, PLAN) == {"data": record}


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(item("i2"), id="names nothing and stands nowhere"),
        pytest.param(item("i1", "o2"), id="names another parent, though it is referred to"),
        pytest.param(item("i1", ["o1"]), id="names it in no readable way"),
        pytest.param(item("i1", {"id": "o1"}), id="names an object"),
        pytest.param({"type": "item"}, id="has no id"),
        pytest.param("i1", id="is no record"),
    ],
)
def test_what_belongs_elsewhere_is_withheld(record: Any) -> None:
    """One such record withholds a list, and a single one is as if it were not there."""
    refusal = inspected(RULE, {"data": [item(), record]}, WHOSE, PLAN)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.violation) == (Code.GUARD_VIOLATION, True)
    if isinstance(record, dict):
        single = inspected(RULE, {"data": record}, WHOSE, PLAN)
        assert isinstance(single, Refusal)
        assert (single.code, single.violation) == (Code.RECORD_NOT_FOUND, True)


def test_without_a_relationship_only_the_record_itself_can_prove_it() -> None:
    """What the parent refers to by another name is not asked."""
    rule = BelongsTo(parameter="oid", pointer="/relationships/order/data/id")
    assert isinstance(inspected(rule, {"data": [item()]}, WHOSE, PLAN), Refusal)
    assert inspected(rule, {"data": [item("i1", "o1")]}, WHOSE, PLAN)


def test_a_record_need_not_prove_it_where_that_is_not_required() -> None:
    """What names another parent is withheld all the same."""
    assert inspected(LENIENT, {"data": item("i9")}, WHOSE, PLAN) == {"data": item("i9")}
    assert isinstance(inspected(LENIENT, {"data": item("i9", "o2")}, WHOSE, PLAN), Refusal)


@pytest.mark.parametrize("document", [{"data": None}, {}, [], "x", {"data": "i1"}])
def test_what_holds_no_records_is_not_understood(document: Any) -> None:
    """Nothing was judged in it."""
    refusal = inspected(RULE, document, WHOSE, PLAN)
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.UPSTREAM_INVALID
