"""Scoping rule `body_fields`: only listed fields may stand in the body."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

from msgspec.structs import replace
from pydantic import AfterValidator, Field

from gateway.scope.core import RuleOptions
from gateway.scope.names import is_alias, is_reserved, reserved_names
from gateway.vocab.messages import Json, Whose
from gateway.vocab.policy import Draft
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.owners import names_another
from gateway.wire.pointer import Place, id_text, placed, resolve, split


def _relative(field: str) -> str:
    if not all(field.split("/")):
        raise ValueError("write fields from `pointer` on, without a slash before them: name, or customer/name")
    return field


_FieldName = Annotated[str, AfterValidator(_relative)]


class BodyFields(RuleOptions):
    """Lets only listed fields pass in an object of the body; others answer 422, forbidden ones 403.

    Without `allow` every field passes that is not forbidden. What is forbidden is so in every spelling that a reader
    behind the gateway could take for it: other cases, look-alike letters, `customer[id]`.

    A forbidden member (`customer/id`) that is null or empty names nobody: it is taken off. So are fields under `drop`,
    which a client sends because it was shown them; one that names another customer, by itself or where `forbid` looks
    for it, answers 403.

    Fields are written relative to `pointer`: `name` allows a field with all that is in it, `customer/name` allows
    this member of the object `customer` and no other.
    """

    pointer: Place | None = Field(
        default=None,
        description="JSON pointer to the object that holds the fields; empty for the body itself. Without it where"
        " `records.body` says.",
    )
    allow: tuple[_FieldName, ...] | None = Field(
        default=None, description="Fields that may stand in it; without it, any."
    )
    forbid: tuple[_FieldName, ...] = Field(default=(), description="Fields that answer 403 instead of 422.")
    drop: tuple[_FieldName, ...] = Field(
        default=(), description="Fields that may stand in it and go no further: what is read-only in the record."
    )
    shown: tuple[_FieldName, ...] = Field(
        default=(),
        description="The same for fields that could be meant as a change, where the body is the whole record as it was"
        " shown: with all that stands under `match`.",
    )
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

    @cached_property
    def _named_below(self) -> tuple[tuple[str, ...], ...]:
        """Where what is dropped could name a customer: by itself, or where `forbid` looks for one."""
        within = [(name, *entry.split("/")) for name in (*self.drop, *self.shown) for entry in self.forbid]
        return (*within, *((name,) for name in self.drop if name not in self.match))

    def apply(self, draft: Draft, whose: Whose) -> Draft | Refusal:
        """Refuse fields that are not listed."""
        tokens = draft.form.body_at if self.pointer is None else split(self.pointer)
        if draft.document is None and self.allow is None:
            return draft
        document: Json = draft.document or {}
        if tokens and document.keys() - {tokens[0]}:
            return Refusal(Code.BODY_FIELD_UNKNOWN, "members beside the data", source="body")
        fields = resolve(document, tokens)
        if not isinstance(fields, dict):
            return Refusal(Code.BODY_FIELD_INVALID, "not an object", source=_source(tokens))
        if names_another(fields, whose.customer_id, self._named_below, None):
            return Refusal(Code.BODY_FIELD_FORBIDDEN, "a dropped field names another customer", source=_source(tokens))
        is_record = bool(self.match) and fields.keys() >= self.match.keys()
        dropped = {*self.drop, *self.shown} if is_record else self.drop
        kept = {name: value for name, value in fields.items() if name not in dropped}
        for entry, names in self._forbidden:
            if "/" in entry:
                kept = _without_nobody(kept, tuple(entry.split("/")))
            if _holds(kept, names):
                return Refusal(Code.BODY_FIELD_FORBIDDEN, source=_source(tokens, *entry.split("/")))
        refusal = self._mismatch(fields, whose, tokens) or self._check(kept, tokens)
        if refusal is not None or kept == fields:
            return refusal or draft
        return replace(draft, document=placed(document, tokens, kept))

    def _mismatch(self, fields: dict[str, Any], whose: Whose, tokens: tuple[str, ...]) -> Refusal | None:
        for name, parameter in self.match.items():
            for field, value in fields.items():
                if is_alias(field, name) or (field == name and id_text(value) != whose.parameters[parameter]):
                    why = "another id than the path's"
                    return Refusal(Code.BODY_FIELD_FORBIDDEN, why, source=_source(tokens, name))
        return None

    def _check(self, fields: dict[str, Any], tokens: tuple[str, ...]) -> Refusal | None:
        if self.allow is None:
            return None
        for name, value in fields.items():
            if name in self.match:
                continue
            if name not in self._allowed:
                return Refusal(Code.BODY_FIELD_UNKNOWN, f"{name!r} is not listed", source=_source(tokens))
            members = self._allowed[name]
            if members is None:
                continue
            if not isinstance(value, dict):
                return Refusal(Code.BODY_FIELD_INVALID, "not an object", source=_source(tokens, name))
            if set(value) - members:
                return Refusal(Code.BODY_FIELD_UNKNOWN, "members that are not listed", source=_source(tokens, name))
        return None


def _source(tokens: tuple[str, ...], *names: str) -> str:
    """Return a place of the body as a client knows it."""
    return ".".join((*tokens, *names)) or "body"


def _without_nobody(fields: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Return fields without the one at `path`, as it is written there, if it is null or empty."""
    name, *below = path
    value = fields.get(name)
    if below:
        return fields | {name: _without_nobody(value, path[1:])} if isinstance(value, dict) else fields
    is_nobody = name in fields and (value is None or value == "")
    return {other: found for other, found in fields.items() if other != name} if is_nobody else fields


def _holds(fields: Any, names: tuple[frozenset[str], ...]) -> bool:
    """Tell whether a member by these names, one inside the other, is there in any spelling."""
    if not isinstance(fields, dict):
        return False
    found = (value for name, value in fields.items() if is_reserved(name, names[0]))
    return any(len(names) == 1 or _holds(value, names[1:]) for value in found)
