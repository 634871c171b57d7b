"""Scoping rule `body_stamp`: the body names the customer, and nobody else."""

from typing import Any

from msgspec.structs import replace
from pydantic import Field

from gateway.scope.core import RuleOptions
from gateway.scope.names import is_alias
from gateway.vocab.messages import Json, Whose
from gateway.vocab.policy import Draft
from gateway.vocab.record_form import Ids, OwnerShape, RecordForm
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.owners import names_another
from gateway.wire.pointer import Place, id_text, is_id, split

_REFERENCES = frozenset({OwnerShape.REFERENCE, OwnerShape.REFERENCES})


class BodyStamp(RuleOptions):
    """Writes the customer's own id into the body; a body that names another id answers 403.

    `shape: scalar` makes the place the id itself, a number where ids are numbers; `object` makes it exactly
    `{"id": <own>}`, `reference` exactly `{"type": <type>, "id": <own>}` and `references` a list of that one, as
    JSON:API relationships are written.
    """

    pointer: Place = Field(
        description="JSON pointer to the place of the owner, such as /data/customer; empty for the body itself."
    )
    shape: OwnerShape | None = Field(
        default=None,
        description="How the owner stands there: scalar, object, reference or references. Without it as"
        " `records.owner` says.",
    )
    type: str | None = Field(
        default=None, min_length=1, description="The `type` of a reference. Without it as `records.owner_type` says."
    )

    @property
    def needs_body(self) -> bool:
        """The body is read and rewritten."""
        return True

    def shape_in(self, form: RecordForm) -> OwnerShape:
        """Return how the owner stands in a body of this form."""
        return self.shape or form.owner_shape

    def stamp(self, own: str, form: RecordForm) -> Any:
        """Return what stands at the place of an owner whose id is `own`."""
        written: str | int = int(own) if form.ids is Ids.NUMBER else own
        match self.shape_in(form):
            case OwnerShape.SCALAR:
                return written
            case OwnerShape.OBJECT:
                return {form.id_at[-1]: written}
            case OwnerShape.REFERENCE:
                return {"type": self.type or form.owner_type, "id": written}
            case OwnerShape.REFERENCES:
                return [{"type": self.type or form.owner_type, "id": written}]

    def apply(self, draft: Draft, whose: Whose) -> Draft | Refusal:
        """Stamp the body; refuses with BODY_FIELD_FORBIDDEN what names somebody else."""
        own, form = whose.customer_id, draft.form
        if own is None or not is_id(own, form.ids):
            return Refusal(Code.ACCESS_DENIED, "a stamp needs a customer")
        tokens = split(self.pointer)
        source = ".".join(tokens) or "body"
        document: Json = dict(draft.document or {})
        if self.shape_in(form) is OwnerShape.REFERENCES and document.keys() - {tokens[0]}:
            return Refusal(Code.BODY_FIELD_UNKNOWN, "members beside the references", source="body")
        place = document
        for depth, token in enumerate(tokens):
            # A reader that ignores case would take the last of `data` and `DATA`.
            if any(is_alias(name, token) for name in place):
                return Refusal(Code.BODY_FIELD_FORBIDDEN, "another spelling of the stamped place", source=source)
            if depth == len(tokens) - 1:
                break
            child = place.get(token, {})
            if not isinstance(child, dict):
                return Refusal(Code.BODY_FIELD_INVALID, "not an object", source=source)
            place[token] = place = dict(child)
        if tokens and _has_another_inside(place, tokens[-1], own):
            return Refusal(Code.BODY_FIELD_FORBIDDEN, "another customer inside another member", source=source)
        present = place.get(tokens[-1]) if tokens else place or None
        if present not in (None, "") and (refusal := self._check(present, own, form, source)):
            return refusal
        stamp = self.stamp(own, form)
        if not tokens:
            return replace(draft, document=stamp)
        place[tokens[-1]] = stamp
        return replace(draft, document=document)

    def _check(self, present: object, own: str, form: RecordForm, source: str) -> Refusal | None:
        shape = self.shape_in(form)
        if shape is OwnerShape.SCALAR:
            if isinstance(present, (dict, list)):
                return Refusal(Code.BODY_FIELD_INVALID, f"not the shape {shape}", source=source)
            named = None if id_text(present) == own else present
            return None if named is None else Refusal(Code.BODY_FIELD_FORBIDDEN, "another customer", source=source)
        entries = present if shape is OwnerShape.REFERENCES else [present]
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            return Refusal(Code.BODY_FIELD_INVALID, f"not the shape {shape}", source=source)
        own_type = self.type or form.owner_type
        name = "id" if shape in _REFERENCES else form.id_at[-1]
        for entry in entries:
            # An empty id names nobody, as a guest's form sends it.
            if entry.get(name) not in (None, "") and id_text(entry[name]) != own:
                return Refusal(Code.BODY_FIELD_FORBIDDEN, "another customer", source=source)
            if shape in _REFERENCES and entry.get("type", own_type) != own_type:
                return Refusal(Code.BODY_FIELD_INVALID, "another type", source=source)
        return None


def _has_another_inside(place: Json, name: str, own: str) -> bool:
    """Tell whether a member beside the stamped one holds it once more, for somebody else.

    Rails reads the fields of a record from a member called after it, `{"order": {"customer_id": ...}}`, and only
    without such a one from the body itself (ActionController::ParamsWrapper).
    """
    inner = [
        one for key, value in place.items() if key != name for one in (value if isinstance(value, list) else [value])
    ]
    return any(
        names_another(one, own, tuple((key,) for key in one if key == name or is_alias(key, name)), None)
        for one in inner
        if isinstance(one, dict)
    )
