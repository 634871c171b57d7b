"""Guard rule `identity`: the answer is the record that the path names."""

from pydantic import Field

from gateway.guard.core import GuardOptions
from gateway.vocab.messages import Plan, Whose
from gateway.vocab.record_form import Shown
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.pointer import is_id, is_respelled, owner_at


class Identity(GuardOptions):
    """Lets a single record leave only if its id is the path's parameter; for records that name no owner."""

    parameter: str = Field(description="Name of the path parameter that holds the record's id.")

    def inspect(self, shown: Shown, whose: Whose, plan: Plan) -> Shown | Refusal:
        """Compare the id; refuses another record, a list, and what is no record."""
        del plan
        if shown.is_list:
            return Refusal(Code.UPSTREAM_INVALID, "no single record where one is expected", unfit=True)
        named, ids = whose.parameters[self.parameter], shown.form.ids
        found = owner_at(shown.records[0], shown.form.id_at, ids)
        if found != named:
            # A server that reads 07 as 7 has not mixed records up: it was asked for what is no id.
            is_mix_up = is_id(named, ids) and not is_respelled(named, found)
            what = "the record is another one than the path names"
            return Refusal(Code.RECORD_NOT_FOUND, what, violation=is_mix_up)
        return shown
