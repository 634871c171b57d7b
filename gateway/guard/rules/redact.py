"""Guard rule `redact`: members of records that no customer gets to see."""

from functools import cached_property
from typing import Any

from msgspec.structs import replace
from pydantic import Field

from gateway.guard.core import GuardOptions
from gateway.vocab.messages import Plan, Whose
from gateway.vocab.record_form import Shown
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.pointer import Pointer, split


class Redact(GuardOptions):
    """Removes members from every record of the answer, for instance internal notes."""

    pointers: tuple[Pointer, ...] = Field(
        min_length=1, description="JSON pointers, from the record, to what is removed."
    )

    @cached_property
    def _paths(self) -> tuple[tuple[str, ...], ...]:
        return tuple(split(pointer) for pointer in self.pointers)

    def inspect(self, shown: Shown, whose: Whose, plan: Plan) -> Shown | Refusal:
        """Remove the members; refuses what is no record."""
        del whose, plan
        if not all(isinstance(record, dict) for record in shown.records):
            return Refusal(Code.UPSTREAM_INVALID, "something in the list is no record", unfit=True)
        return replace(shown, records=[self._clean(record) for record in shown.records])

    def _clean(self, record: dict[str, Any]) -> dict[str, Any]:
        for path in self._paths:
            record = _without(record, path)
        return record


def _without(record: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Return a copy of `record` that lacks what `path` leads to."""
    name, *rest = path
    if name not in record:
        return record
    if not rest:
        return {key: value for key, value in record.items() if key != name}
    inner = record[name]
    return {**record, name: _without(inner, tuple(rest))} if isinstance(inner, dict) else record
