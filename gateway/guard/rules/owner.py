"""Guard rule `owner`: every record of an answer must carry the customer's id."""

from functools import cached_property
from typing import Any

from pydantic import Field

from gateway.guard.core import GuardOptions
from gateway.vocab.messages import Plan, Whose
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.pointer import Pointer, Reading, owner_at, split

# JSON:API's top level; what else stands there has no checked meaning and does not leave.
_MEMBERS = ("data", "included", "meta", "links")


class Owner(GuardOptions):
    """Lets an answer leave only if each record in it belongs to the customer.

    A foreign record in a list withholds the whole list (502); a foreign single record is as if it were not there
    (404). Records in `included` must be referred to by a checked record.
    """

    pointer: Pointer = Field(min_length=2, description="JSON pointer, from the record, to its owner's id.")
    required: bool = Field(
        default=True, description="false: a record that names no owner passes (only where the path proves whose it is)."
    )
    bare: bool = Field(default=False, description="true: the answer is the record or array itself, without `data`.")

    @cached_property
    def _tokens(self) -> tuple[str, ...]:
        return split(self.pointer)

    def inspect(self, document: Any, whose: Whose, plan: Plan) -> Any | Refusal:
        """Check every record; returns the members that were checked and nothing else."""
        data = document if self.bare else document.get("data") if isinstance(document, dict) else None
        if isinstance(data, list):
            if not all(self._is_own(record, whose) for record in data):
                return Refusal(Code.GUARD_VIOLATION, "a list holds a foreign record", violation=True)
            records = data
        elif isinstance(data, dict):
            if not self._is_own(data, whose):
                return Refusal(Code.RECORD_NOT_FOUND, "the record is foreign", violation=plan.narrowed)
            records = [data]
        else:
            return Refusal(Code.UPSTREAM_INVALID, "no records where records are expected")
        if self.bare:
            return document
        if "included" in document and not _all_referred(document["included"], records):
            return Refusal(Code.GUARD_VIOLATION, "an included record belongs to no checked record", violation=True)
        return {name: document[name] for name in _MEMBERS if name in document}

    def _is_own(self, record: Any, whose: Whose) -> bool:
        owner = owner_at(record, self._tokens)
        if owner is Reading.NOBODY or (
            owner is Reading.UNREADABLE and not self.required and _lacks(record, self._tokens)
        ):
            return not self.required
        return whose.customer_id is not None and owner == whose.customer_id


def _lacks(record: Any, tokens: tuple[str, ...]) -> bool:
    """Tell whether the first member of the pointer is not there at all."""
    return isinstance(record, dict) and tokens[0] not in record


def _references(record: dict[str, Any]) -> set[tuple[str, str]]:
    """Return what a record refers to, as (relationship name, id) and (type, id)."""
    found: set[tuple[str, str]] = set()
    relationships = record.get("relationships")
    if not isinstance(relationships, dict):
        return found
    for name, relationship in relationships.items():
        linked = relationship.get("data") if isinstance(relationship, dict) else None
        for reference in linked if isinstance(linked, list) else [linked]:
            if isinstance(reference, dict) and isinstance(reference.get("id"), str):
                found.add((name, reference["id"]))
                if isinstance(reference.get("type"), str):
                    found.add((reference["type"], reference["id"]))
    return found


def _all_referred(included: Any, records: list[Any]) -> bool:
    """Tell whether each included record is referred to, directly or through another included record."""
    groups = included.items() if isinstance(included, dict) else [("", included)]
    waiting: list[tuple[frozenset[tuple[str, str]], dict[str, Any]]] = []
    for name, group in groups:
        if not isinstance(group, list):
            return False
        for record in group:
            if not isinstance(record, dict) or not isinstance(record.get("id"), str):
                return False
            kind = record.get("type")
            # EPCC: included.items holds records of type order_item, referred to as relationship `items`, type `item`.
            names = {name, name.removesuffix("s"), kind if isinstance(kind, str) else ""} - {""}
            waiting.append((frozenset((n, record["id"]) for n in names), record))
    known = set().union(*(_references(record) for record in records)) if records else set()
    while waiting:
        referred = [record for names, record in waiting if not known.isdisjoint(names)]
        if not referred:
            return False
        waiting = [entry for entry in waiting if known.isdisjoint(entry[0])]
        known = known.union(*map(_references, referred))
    return True
