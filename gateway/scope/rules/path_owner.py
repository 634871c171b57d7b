"""Scoping rule `path_owner`: a path parameter must be the customer's own id."""

from msgspec.structs import replace
from pydantic import Field

from gateway.scope.core import RuleOptions
from gateway.vocab.messages import Whose
from gateway.vocab.policy import Draft
from gateway.vocab.refusals import Code, Refusal


class PathOwner(RuleOptions):
    """The path parameter must be the customer's own id; anything else answers 404 and asks nobody."""

    parameter: str = Field(default="id", description="Name of the path parameter that holds the customer's id.")

    def apply(self, draft: Draft, whose: Whose) -> Draft | Refusal:
        """Refuse with RECORD_NOT_FOUND unless the parameter is the caller's id."""
        if whose.customer_id is None or whose.parameters[self.parameter] != whose.customer_id:
            return Refusal(Code.RECORD_NOT_FOUND, "path names another customer")
        return replace(draft, narrowed=True)
