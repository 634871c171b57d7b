"""Callers, plans and records for tests of guards."""

from typing import Any

from gateway.vocab.messages import Plan, Whose
from gateway.vocab.policy import GuardRule
from gateway.vocab.refusals import Refusal

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


def refused(rule: GuardRule, document: Any, *, plan: Plan = NARROWED, whose: Whose = WHOSE) -> Refusal:
    """Inspect what must be withheld."""
    answer = rule.inspect(document, whose, plan)
    assert isinstance(answer, Refusal), answer
    return answer
