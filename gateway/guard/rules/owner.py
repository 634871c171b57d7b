"""Guard rule `owner`: every record of an answer must carry the customer's id."""

from functools import cached_property
from typing import Any, ClassVar

from pydantic import Field

from gateway.guard.core import GuardOptions
from gateway.vocab.messages import Plan, Whose
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.owners import PlainRecords, names_another
from gateway.wire.pointer import Pointer, Reading, id_text, owner_at, references, split

# What included customers may be called, by their type or by the group they stand in.
_CUSTOMERS = frozenset({"customer", "customers"})


class Owner(GuardOptions):
    """Lets an answer leave only if each record in it belongs to the customer.

    A foreign record in a list withholds the whole list (502); a foreign single record is as if it were not there
    (404). Records in `included` must be referred to by a checked record, and name no other customer.

    `also` and `below` are for records that need not name their owner at `pointer`: where one of these places names
    somebody, it must be the customer.
    """

    judges_included: ClassVar[bool] = True

    pointer: Pointer = Field(description="JSON pointer, from the record, to its owner's id.")
    required: bool = Field(
        default=True,
        strict=True,
        description="false: a record that names no owner passes (only where the path proves whose it is).",
    )
    also: tuple[Pointer, ...] = Field(
        default=(),
        description="Other JSON pointers, from the record, at which an owner may stand: an id, or an object with one.",
    )
    below: str | None = Field(
        default=None,
        pattern=r"^(/[A-Za-z0-9._~-]+)+$",
        description="Path such as /v2/customers: a record whose links.self lies below it names its owner there.",
    )
    bare: bool = Field(
        default=False, strict=True, description="true: the answer is the record or array itself, without `data`."
    )

    @property
    def judges_bare(self) -> bool:
        """Whether the answer is the record or array itself."""
        return self.bare

    @cached_property
    def _tokens(self) -> tuple[str, ...]:
        return split(self.pointer)

    @cached_property
    def _others(self) -> tuple[tuple[str, ...], ...]:
        return tuple(split(pointer) for pointer in self.also)

    @cached_property
    def _plain(self) -> PlainRecords:
        return PlainRecords(self._tokens, self._others)

    def inspect(self, document: Any, whose: Whose, plan: Plan) -> Any | Refusal:
        """Check every record, also the included ones."""
        data = document if self.bare else document.get("data") if isinstance(document, dict) else None
        if isinstance(data, list):
            if not self._are_plainly_own(data, whose) and not all(self._is_own(record, whose) for record in data):
                return Refusal(Code.GUARD_VIOLATION, "a list holds a foreign record", violation=True)
            records = data
        elif isinstance(data, dict):
            if not self._are_plainly_own([data], whose) and not self._is_own(data, whose):
                return Refusal(Code.RECORD_NOT_FOUND, "the record is foreign", violation=plan.narrowed)
            records = [data]
        else:
            return Refusal(Code.UPSTREAM_INVALID, "no records where records are expected")
        if not self.bare and "included" in document:
            included = _entries(document["included"])
            if included is None or not _all_referred(included, records):
                return Refusal(Code.GUARD_VIOLATION, "an included record belongs to no checked record", violation=True)
            if any(self._names_another(names, record, whose) for names, record in included):
                return Refusal(Code.GUARD_VIOLATION, "an included record names another customer", violation=True)
        return document

    def _are_plainly_own(self, records: list[Any], whose: Whose) -> bool:
        return self.below is None and whose.customer_id is not None and self._plain.are_all(whose.customer_id, records)

    def _names_another(self, names: frozenset[str], record: dict[str, Any], whose: Whose) -> bool:
        """Tell whether a record that need not name an owner names somebody else, or is another customer."""
        if any(name.casefold() in _CUSTOMERS for name in names) and id_text(record["id"]) != whose.customer_id:
            return True
        owner = owner_at(record, self._tokens) if len(self._tokens) > 1 else Reading.NOBODY
        if isinstance(owner, str) and owner != whose.customer_id:
            return True
        return names_another(record, whose.customer_id, self._others, self.below)

    def _is_own(self, record: Any, whose: Whose) -> bool:
        if (self._others or self.below) and names_another(record, whose.customer_id, self._others, self.below):
            return False
        owner = owner_at(record, self._tokens)
        if owner is Reading.NOBODY or (
            owner is Reading.UNREADABLE and not self.required and _lacks(record, self._tokens)
        ):
            # Something without an id is no record but a wrapping, and what is in it was not judged.
            return not self.required and owner_at(record, ("id",)) not in {Reading.NOBODY, Reading.UNREADABLE}
        return whose.customer_id is not None and owner == whose.customer_id


def _lacks(record: Any, tokens: tuple[str, ...]) -> bool:
    """Tell whether the first member of the pointer is not there at all."""
    return isinstance(record, dict) and tokens[0] not in record


def _entries(included: Any) -> list[tuple[frozenset[str], dict[str, Any]]] | None:
    """Return each included record with the names it may be referred to by; None where the shape is not readable."""
    groups = included.items() if isinstance(included, dict) else [("", included)]
    entries: list[tuple[frozenset[str], dict[str, Any]]] = []
    for name, group in groups:
        if group is None:
            # So does Go write an empty list.
            continue
        if not isinstance(group, list):
            return None
        for record in group:
            if not isinstance(record, dict) or id_text(record.get("id")) is None:
                return None
            kind = record.get("type")
            # EPCC: included.items holds records of type order_item, referred to as relationship `items`, type `item`.
            names = {name, name.removesuffix("s"), kind if isinstance(kind, str) else ""} - {""}
            entries.append((frozenset(names), record))
    return entries


def _all_referred(included: list[tuple[frozenset[str], dict[str, Any]]], records: list[Any]) -> bool:
    """Tell whether each included record is referred to, directly or through another included record.

    Each record is looked at once, whatever refers to whom: the answer may be large and its author hostile.
    """
    waiting: dict[tuple[str, str], list[int]] = {}
    for index, (names, record) in enumerate(included):
        for name in names:
            waiting.setdefault((name, str(record["id"])), []).append(index)
    reached: set[int] = set()
    unread = list(records)
    while unread:
        for reference in references(unread.pop()):
            for index in waiting.pop(reference, ()):
                if index not in reached:
                    reached.add(index)
                    unread.append(included[index][1])
    return len(reached) == len(included)
