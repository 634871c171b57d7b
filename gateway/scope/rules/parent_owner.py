"""Scoping rule `parent_owner`: a record, looked up first, must be the caller's."""

import re
from enum import StrEnum
from functools import cached_property
from typing import Annotated

from msgspec.structs import replace
from pydantic import AfterValidator, Field

from gateway.scope import addressing
from gateway.scope.core import RuleOptions
from gateway.vocab.messages import Parent, Whose
from gateway.vocab.policy import Draft
from gateway.vocab.refusals import Code, Refusal
from gateway.wire import meant
from gateway.wire.pointer import Pointer, is_id

_PARAMETER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_PATH = re.compile(r"(/([A-Za-z0-9_~-][A-Za-z0-9._~-]*|\{[a-z][a-z0-9_]*\}))*/\{[a-z][a-z0-9_]*\}")


def _ends_with_the_record(path: str) -> str:
    path = path.removesuffix("/")
    if not _PATH.fullmatch(path):
        what = "the path of a parent ends with the parameter that names it, as /v2/orders/{oid}"
        raise ValueError(what + meant.template(path))
    return path


class Accepts(StrEnum):
    """Whose the looked-up record may be."""

    OWN = "own"
    GUEST = "guest"
    OWN_OR_GUEST = "own_or_guest"


class ParentOwner(RuleOptions):
    """Looks up a record named by the path before the request goes on; 404 unless it is the caller's.

    Without `path` it is the record of the request itself, for writes by id. `accepts: guest` lets only records without
    any customer pass, `own_or_guest` both. Between the look-up (see `upstream.owner_memory`) and the request that
    follows, the record may change hands upstream.
    """

    path: Annotated[str, AfterValidator(_ends_with_the_record)] | None = Field(
        default=None, description="Upstream path of the parent with parameters of the route, such as /v2/orders/{oid}."
    )
    upstream: str | None = Field(
        default=None, description="Which of the `upstreams` is asked for it; without it, that of the route."
    )
    pointer: Pointer = Field(description="JSON pointer, from the record, to its owner's id.")
    also: tuple[Pointer, ...] = Field(
        default=(), description="Other JSON pointers, from the record, at which no other owner may stand."
    )
    below: str | None = Field(
        default=None,
        pattern=r"^(/[A-Za-z0-9._~-]+)+$",
        description="Path such as /v2/customers: a record whose links.self lies below it names its owner there.",
    )
    accepts: Accepts = Field(default=Accepts.OWN, description="Whose the parent may be: own, guest or own_or_guest.")

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The route's parameters that the path uses."""
        return tuple(_PARAMETER.findall(self.path or ""))

    @cached_property
    def _parts(self) -> tuple[str, ...]:
        return tuple(self.path[1:].split("/")) if self.path else ()

    def apply(self, draft: Draft, whose: Whose) -> Draft | Refusal:
        """Add the look-up to the draft; it is judged before the request is sent."""
        if whose.customer_id is None and self.accepts is not Accepts.GUEST:
            return Refusal(Code.ACCESS_DENIED, "a parent's owner needs a customer")
        segments = draft.target.segments
        if self._parts:
            segments = tuple(_PARAMETER.sub(lambda name: whose.parameters[name[1]], part) for part in self._parts)
        form = draft.forms.get(self.upstream or "", draft.form)
        path, query = addressing.known(segments, form)
        record_id = segments[-1]
        if not self._parts and draft.record is not None:
            (path, record_id), query = draft.record, ()
        if not is_id(record_id, form.ids):
            return Refusal(Code.RECORD_NOT_FOUND, "no id that a record of this API can have")
        parent = Parent(
            path=path,
            query=query,
            record_id=record_id,
            form=form,
            pointer=self.pointer,
            owner=None if self.accepts is Accepts.GUEST else whose.customer_id,
            guest=self.accepts is not Accepts.OWN,
            also=self.also,
            below=self.below,
            upstream=self.upstream or "",
        )
        return replace(draft, parents=(*draft.parents, parent), narrowed=True)
