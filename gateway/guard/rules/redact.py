"""Guard rule `redact`: members of records that no customer gets to see."""

from functools import cached_property
from typing import Any

from pydantic import Field

from gateway.guard.core import GuardOptions
from gateway.vocab.messages import Plan, Whose
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.pointer import Pointer, split


class Redact(GuardOptions):
    """Removes members from every record of the answer, for instance internal notes."""

    pointers: tuple[Pointer, ...] = Field(
        min_length=1, description="JSON pointers, from the record, to what is removed."
    )
    bare: bool = Field(
        default=False, strict=True, description="true: the answer is the record or array itself, without `data`."
    )

    @property
    def judges_bare(self) -> bool:
        """Whether the answer is the record or array itself."""
        return self.bare

    @cached_property
    def _paths(self) -> tuple[tuple[str, ...], ...]:
        return tuple(split(pointer) for pointer in self.pointers)

    def inspect(self, document: Any, whose: Whose, plan: Plan) -> Any | Refusal:
        """Remove the members; refuses an answer without records."""
        del whose, plan
        data = document if self.bare else document.get("data") if isinstance(document, dict) else None
        kept: Any
        if isinstance(data, dict):
            kept = self._clean(data)
        elif isinstance(data, list) and all(isinstance(record, dict) for record in data):
            kept = [self._clean(record) for record in data]
        else:
            return Refusal(Code.UPSTREAM_INVALID, "no records where records are expected")
        return kept if self.bare else {**document, "data": kept}

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
