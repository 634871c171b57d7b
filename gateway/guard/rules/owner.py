"""Guard rule `owner`: every record of an answer must carry the customer's id."""

from functools import cached_property
from typing import Any, ClassVar

from msgspec import UNSET
from pydantic import Field

from gateway.guard.core import GuardOptions
from gateway.vocab.messages import Plan, Whose
from gateway.vocab.record_form import Ids, RecordForm, Shown
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.owners import PlainRecords, names_another, owner_places
from gateway.wire.pointer import MISSING, Pointer, Reading, id_text, owner_at, references, resolve, split

# What included customers may be called, by their type or by the group they stand in, whatever an API says of its own.
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

    @cached_property
    def _tokens(self) -> tuple[str, ...]:
        return split(self.pointer)

    @cached_property
    def _others(self) -> tuple[tuple[str, ...], ...]:
        return tuple(split(pointer) for pointer in self.also)

    @cached_property
    def _by_form(self) -> dict[RecordForm, tuple[tuple[tuple[str, ...], ...], PlainRecords]]:
        """Other places and plain records in each form that there is."""
        return {}

    def _known(self, form: RecordForm) -> tuple[tuple[tuple[str, ...], ...], PlainRecords]:
        known = self._by_form.get(form)
        if known is None:
            places = owner_places(self._others, form.id_at)
            known = self._by_form[form] = places, PlainRecords(self._tokens, places, form.ids)
        return known

    def inspect(self, shown: Shown, whose: Whose, plan: Plan) -> Shown | Refusal:
        """Check every record, also the included ones."""
        records, form = shown.records, shown.form
        is_plain = self._are_plainly_own(records, whose, form)
        if not is_plain and not all(self._is_own(record, whose, form) for record in records):
            return self._refused(shown, whose, plan)
        if shown.included is not UNSET:
            included = _entries(shown.included, form.ids)
            if included is None or not _all_referred(included, records):
                return Refusal(Code.GUARD_VIOLATION, "an included record belongs to no checked record", violation=True)
            people = self._people(records, form) if included else frozenset()
            if any(
                (_is_called(names, people) and id_text(record["id"], form.ids) != whose.customer_id)
                or self._names_another(record, whose, form)
                for names, record in included
            ):
                return Refusal(Code.GUARD_VIOLATION, "an included record names another customer", violation=True)
        return shown

    def _refused(self, shown: Shown, whose: Whose, plan: Plan) -> Refusal:
        """Say that a record is foreign, or that what names its owner is no id of the kind that this API has."""
        if shown.form.ids is not Ids.EITHER and all(
            self._is_own(record, whose, shown.form) or self._is_mistyped(record, shown.form.ids)
            for record in shown.records
        ):
            what = f"the owner at {self.pointer} is no {shown.form.ids}"
            return Refusal(Code.UPSTREAM_INVALID if shown.is_list else Code.RECORD_NOT_FOUND, what, unfit=True)
        if shown.is_list:
            return Refusal(Code.GUARD_VIOLATION, "a list holds a foreign record", violation=True)
        return Refusal(Code.RECORD_NOT_FOUND, "the record is foreign", violation=plan.narrowed)

    def _is_mistyped(self, record: Any, ids: Ids) -> bool:
        """Tell whether a value stands at the pointer that is no id of the kind that this API has."""
        stands = resolve(record, self._tokens) is not MISSING
        return stands and owner_at(record, self._tokens, ids) is Reading.UNREADABLE

    def _are_plainly_own(self, records: list[Any], whose: Whose, form: RecordForm) -> bool:
        return (
            self.below is None
            and whose.customer_id is not None
            and self._known(form)[1].are_all(whose.customer_id, records)
        )

    def _people(self, records: list[Any], form: RecordForm) -> frozenset[str]:
        """Return what an included customer is called: as by default, by the API's form, and by the records' owners."""
        named = {form.owner_type}
        if self._tokens[-2:] == ("data", "id"):
            named.update(self._tokens[-3:-2])
        if self._tokens[-1] == form.id_at[-1]:
            kinds = (resolve(record, (*self._tokens[:-1], "type")) for record in records)
            named.update(kind for kind in kinds if isinstance(kind, str))
        folded = {name.casefold().removesuffix("s") for name in named}
        return _CUSTOMERS | folded | {f"{name}s" for name in folded}

    def _names_another(self, record: dict[str, Any], whose: Whose, form: RecordForm) -> bool:
        """Tell whether a record that need not name an owner names somebody else."""
        owner = owner_at(record, self._tokens, form.ids) if self._tokens != form.id_at else Reading.NOBODY
        if isinstance(owner, str) and owner != whose.customer_id:
            return True
        return names_another(record, whose.customer_id, self._known(form)[0], self.below, form.ids)

    def _is_own(self, record: Any, whose: Whose, form: RecordForm) -> bool:
        own, ids = whose.customer_id, form.ids
        if (self._others or self.below) and names_another(record, own, self._known(form)[0], self.below, ids):
            return False
        owner = owner_at(record, self._tokens, ids)
        if owner is Reading.NOBODY or (
            owner is Reading.UNREADABLE and not self.required and _lacks(record, self._tokens)
        ):
            # Something without an id is no record but a wrapping, and what is in it was not judged.
            return not self.required and isinstance(owner_at(record, form.id_at, ids), str)
        return own is not None and owner == own


def _lacks(record: Any, tokens: tuple[str, ...]) -> bool:
    """Tell whether the first member of the pointer is not there at all."""
    return isinstance(record, dict) and tokens[0] not in record


def _is_called(names: frozenset[str], people: frozenset[str]) -> bool:
    return any(name.casefold() in people for name in names)


def _entries(included: Any, ids: Ids) -> list[tuple[frozenset[str], dict[str, Any]]] | None:
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
            if not isinstance(record, dict) or id_text(record.get("id"), ids) is None:
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
