"""Scoping rule `parent_owner`: another record, looked up first, must be the caller's."""

import re
from dataclasses import replace
from enum import StrEnum
from urllib.parse import quote, unquote

from pydantic import Field

from gateway.scope.core import RuleOptions
from gateway.vocab.messages import Parent, Whose
from gateway.vocab.policy import Draft
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.pointer import Pointer

_PARAMETER = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class Accepts(StrEnum):
    """Whose the looked-up record may be."""

    OWN = "own"
    GUEST = "guest"
    OWN_OR_GUEST = "own_or_guest"


class ParentOwner(RuleOptions):
    """Looks up a record named by the path before the request goes on; 404 unless it is the caller's.

    `accepts: guest` lets only records without any customer pass, `own_or_guest` both.
    """

    path: str = Field(description="Upstream path of the parent with parameters of the route, such as /v2/orders/{oid}.")
    pointer: Pointer = Field(description="JSON pointer, from the record, to its owner's id.")
    accepts: Accepts = Field(default=Accepts.OWN, description="Whose the parent may be: own, guest or own_or_guest.")

    def apply(self, draft: Draft, whose: Whose) -> Draft | Refusal:
        """Add the look-up to the draft; it is judged before the request is sent."""
        if whose.customer_id is None and self.accepts is not Accepts.GUEST:
            return Refusal(Code.ACCESS_DENIED, "a parent's owner needs a customer")
        path = _PARAMETER.sub(lambda name: quote(whose.parameters[name[1]], safe=""), self.path)
        parent = Parent(
            path=path,
            record_id=unquote(path.rpartition("/")[2]),
            pointer=self.pointer,
            owner=None if self.accepts is Accepts.GUEST else whose.customer_id,
            guest=self.accepts is not Accepts.OWN,
        )
        return replace(draft, parents=(*draft.parents, parent), narrowed=True)
