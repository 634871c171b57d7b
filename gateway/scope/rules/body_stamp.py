"""Scoping rule `body_stamp`: the body names the customer, and nobody else."""

from enum import StrEnum
from typing import Any

from msgspec.structs import replace
from pydantic import Field

from gateway.scope.core import RuleOptions
from gateway.scope.names import is_alias
from gateway.vocab.messages import Json, Whose
from gateway.vocab.policy import Draft
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.pointer import Pointer, id_text, split


class Shape(StrEnum):
    """How the owner stands in the body."""

    OBJECT = "object"
    REFERENCES = "references"


class BodyStamp(RuleOptions):
    """Writes the customer's own id into the body; a body that names another id answers 403.

    `shape: object` makes the place exactly `{"id": <own>}`. `shape: references` makes it exactly
    `[{"type": <type>, "id": <own>}]`, as JSON:API relationships are written.
    """

    pointer: Pointer = Field(description="JSON pointer to the place of the owner, such as /data/customer.")
    shape: Shape = Field(default=Shape.OBJECT, description="How the owner stands there: object or references.")
    type: str = Field(default="customer", description="The `type` of a reference.")

    @property
    def needs_body(self) -> bool:
        """The body is read and rewritten."""
        return True

    def apply(self, draft: Draft, whose: Whose) -> Draft | Refusal:
        """Stamp the body; refuses with BODY_FIELD_FORBIDDEN what names somebody else."""
        own = whose.customer_id
        if own is None:
            return Refusal(Code.ACCESS_DENIED, "a stamp needs a customer")
        tokens = split(self.pointer)
        source = ".".join(tokens)
        stamp: Any = {"id": own} if self.shape is Shape.OBJECT else [{"type": self.type, "id": own}]
        document: Json = dict(draft.document or {})
        if self.shape is Shape.REFERENCES and document.keys() - {tokens[0]}:
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
        present = place.get(tokens[-1])
        if present not in (None, "") and (refusal := self._check(present, own, source)):
            return refusal
        place[tokens[-1]] = stamp
        return replace(draft, document=document)

    def _check(self, present: object, own: str, source: str) -> Refusal | None:
        entries = present if self.shape is Shape.REFERENCES else [present]
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            return Refusal(Code.BODY_FIELD_INVALID, f"not the shape {self.shape}", source=source)
        for entry in entries:
            # An empty id names nobody, as a guest's form sends it.
            if entry.get("id") not in (None, "") and id_text(entry["id"]) != own:
                return Refusal(Code.BODY_FIELD_FORBIDDEN, "another customer", source=source)
            if self.shape is Shape.REFERENCES and entry.get("type", self.type) != self.type:
                return Refusal(Code.BODY_FIELD_INVALID, "another type", source=source)
        return None
