"""Scoping rule `body_fields`: only listed fields may stand in the body."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from gateway.scope.core import RuleOptions
from gateway.scope.names import is_alias, is_reserved, reserved_names
from gateway.vocab.messages import Json, Whose
from gateway.vocab.policy import Draft
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.pointer import Pointer, id_text, resolve, split


def _relative(field: str) -> str:
    if not all(field.split("/")):
        raise ValueError("write fields from `pointer` on, without a slash before them: name, or customer/name")
    return field


_FieldName = Annotated[str, AfterValidator(_relative)]


class BodyFields(RuleOptions):
    """Lets only listed fields pass in an object of the body; others answer 422, forbidden ones 403.

    Without `allow` every field passes that is not forbidden. What is forbidden is so in every spelling that a reader
    behind the gateway could take for it: other cases, look-alike letters, `customer[id]`.

    Fields are written relative to `pointer`: `name` allows a field with all that is in it, `customer/name` allows
    this member of the object `customer` and no other.
    """

    pointer: Pointer = Field(default="/data", description="JSON pointer to the object that holds the fields.")
    allow: tuple[_FieldName, ...] | None = Field(
        default=None, description="Fields that may stand in it; without it, any."
    )
    forbid: tuple[_FieldName, ...] = Field(default=(), description="Fields that answer 403 instead of 422.")
    match: Mapping[_FieldName, str] = Field(
        default_factory=dict,
        description="Fields that may stand in it with the value of a path parameter only, such as {id: aid}; else 403.",
    )

    @property
    def needs_body(self) -> bool:
        """The body is read."""
        return True

    @cached_property
    def _allowed(self) -> dict[str, frozenset[str] | None]:
        members: dict[str, set[str]] = {}
        whole: set[str] = set()
        for entry in self.allow or ():
            field, _, member = entry.partition("/")
            if member:
                members.setdefault(field, set()).add(member)
            else:
                whole.add(field)
        return {name: frozenset(found) for name, found in members.items()} | dict.fromkeys(whole)

    @cached_property
    def _forbidden(self) -> tuple[tuple[str, tuple[frozenset[str], ...]], ...]:
        return tuple((entry, tuple(reserved_names(name) for name in entry.split("/"))) for entry in self.forbid)

    def apply(self, draft: Draft, whose: Whose) -> Draft | Refusal:
        """Refuse fields that are not listed."""
        tokens = split(self.pointer)
        if draft.document is None and self.allow is None:
            return draft
        document: Json = draft.document or {}
        if set(document) - {tokens[0]}:
            return Refusal(Code.BODY_FIELD_UNKNOWN, "members beside the data", source="body")
        fields = resolve(document, tokens)
        prefix = ".".join(tokens)
        if not isinstance(fields, dict):
            return Refusal(Code.BODY_FIELD_INVALID, "not an object", source=prefix)
        for entry, names in self._forbidden:
            if _holds(fields, names):
                return Refusal(Code.BODY_FIELD_FORBIDDEN, source=f"{prefix}.{entry.replace('/', '.')}")
        for name, parameter in self.match.items():
            for field, value in fields.items():
                if is_alias(field, name) or (field == name and id_text(value) != whose.parameters[parameter]):
                    return Refusal(Code.BODY_FIELD_FORBIDDEN, "another id than the path's", source=f"{prefix}.{name}")
        return draft if self.allow is None else self._check(fields, prefix) or draft

    def _check(self, fields: dict[str, Any], prefix: str) -> Refusal | None:
        for name, value in fields.items():
            if name in self.match:
                continue
            if name not in self._allowed:
                return Refusal(Code.BODY_FIELD_UNKNOWN, f"{name!r} is not listed", source=prefix)
            members = self._allowed[name]
            if members is None:
                continue
            if not isinstance(value, dict):
                return Refusal(Code.BODY_FIELD_INVALID, "not an object", source=f"{prefix}.{name}")
            if set(value) - members:
                return Refusal(Code.BODY_FIELD_UNKNOWN, "members that are not listed", source=f"{prefix}.{name}")
        return None


def _holds(fields: Any, names: tuple[frozenset[str], ...]) -> bool:
    """Tell whether a member by these names, one inside the other, is there in any spelling."""
    if not isinstance(fields, dict):
        return False
    found = (value for name, value in fields.items() if is_reserved(name, names[0]))
    return any(len(names) == 1 or _holds(value, names[1:]) for value in found)
