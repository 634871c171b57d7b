"""Guard rule `belongs_to`: every record of an answer is part of the parent that was looked up."""

from functools import cached_property
from typing import Any

from pydantic import Field

from gateway.guard.core import GuardOptions
from gateway.vocab.messages import Plan, Whose
from gateway.vocab.record_form import RecordForm, Shown
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.pointer import MISSING, Pointer, id_text, is_id, owner_at, resolve, split


class BelongsTo(GuardOptions):
    """Lets records leave only if they are part of the parent that the path names, for records that name no owner.

    A record proves it by naming the parent's id at `pointer`, or by standing in the parent's own `relationship`, as
    `parent_owner` looked it up. One that names another parent is always withheld.
    """

    parameter: str = Field(description="Name of the path parameter that holds the parent's id.")
    pointer: Pointer = Field(description="JSON pointer, from the record, to its parent's id.")
    relationship: str | None = Field(
        default=None, description="Relationship of the parent that refers to such records, such as items."
    )
    required: bool = Field(
        default=True, strict=True, description="false: a record passes that names no parent and stands in none."
    )

    @cached_property
    def _tokens(self) -> tuple[str, ...]:
        return split(self.pointer)

    def inspect(self, shown: Shown, whose: Whose, plan: Plan) -> Shown | Refusal:
        """Check every record; refuses what belongs elsewhere or cannot prove where."""
        parent_id = whose.parameters[self.parameter]
        if all(self._is_part(record, parent_id, plan, shown.form) for record in shown.records):
            return shown
        code = Code.GUARD_VIOLATION if shown.is_list else Code.RECORD_NOT_FOUND
        return Refusal(code, "a record belongs to another parent", violation=is_id(parent_id, shown.form.ids))

    def _is_part(self, record: Any, parent_id: str, plan: Plan, form: RecordForm) -> bool:
        if not isinstance(record, dict):
            return False
        named = resolve(record, self._tokens)
        if named is not MISSING and named is not None:
            return owner_at(record, self._tokens, form.ids) == parent_id
        ident = id_text(resolve(record, form.id_at), form.ids)
        return not self.required or (self.relationship, ident) in plan.referred
