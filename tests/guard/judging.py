"""Callers, plans and records for tests of guards."""

from typing import Any

from gateway.vocab.messages import Plan, Whose
from gateway.vocab.policy import GuardRule
from gateway.vocab.record_form import MOLTIN, RecordForm
from gateway.vocab.refusals import Refusal
from gateway.wire.pointer import placed
from gateway.wire.records import shown

OWN = "c1"
FOREIGN = "c2"
WHOSE = Whose(OWN)
GUESSED = Plan("GET", "/v2/orders/o1")
NARROWED = Plan("GET", "/v2/orders", narrowed=True)


def order(owner: str | None = OWN, ident: str = "o1", **members: Any) -> dict[str, Any]:
    """Make an order with an item; without owner it is a guest's."""
    relationships: dict[str, Any] = {"items": {"data": [{"type": "item", "id": f"{ident}-i"}]}}
    if owner is not None:
        relationships["customer"] = {"data": {"type": "customer", "id": owner}}
    return {"type": "order", "id": ident, "relationships": relationships, **members}


def inspected(rule: GuardRule, document: Any, whose: Whose, plan: Plan, form: RecordForm = MOLTIN) -> Any | Refusal:
    """Return a document with the records that may leave."""
    found = shown(document, form, expects_one=plan.method != "GET")
    judged = found if isinstance(found, Refusal) else rule.inspect(found, whose, plan)
    if isinstance(judged, Refusal):
        return judged
    place, content = (form.list_at, judged.records) if judged.is_list else (form.record_at, judged.records[0])
    return placed(document, place, content)


def refused(
    rule: GuardRule, document: Any, *, plan: Plan = NARROWED, whose: Whose = WHOSE, form: RecordForm = MOLTIN
) -> Refusal:
    """Inspect what must be withheld."""
    answer = inspected(rule, document, whose, plan, form)
    assert isinstance(answer, Refusal), answer
    return answer
