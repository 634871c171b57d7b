"""Scoping rule `filter`: restricts a list to the customer's records by a filter of the upstream."""

from functools import cached_property
from typing import Literal, Self

from msgspec.structs import replace
from pydantic import Field, model_validator

from gateway.scope.core import RuleOptions
from gateway.scope.filters import DIALECTS
from gateway.scope.filters.dialect import Dialect
from gateway.scope.names import reserved_names
from gateway.vocab.messages import Whose
from gateway.vocab.policy import Draft
from gateway.vocab.record_form import RecordForm
from gateway.vocab.refusals import Code, Refusal


class Filter(RuleOptions):
    """Adds "owner field equals the customer's id" to the query; the client's own filter is parsed and kept behind it.

    The upstream may ignore a filter (EPCC does for fields it does not support), so a route with this rule needs a
    guard as well.
    """

    field: str = Field(description="The upstream's name of the owner field, such as customer_id.")
    aliases: tuple[str, ...] = Field(
        default=(), description="Other names of the owner that a client may not filter by."
    )
    dialect: Literal["epcc", "query", "jsonapi", "postgrest"] | None = Field(
        default=None, description="How the upstream spells filters. Without it as `records.filter` says."
    )
    parameter: str | None = Field(
        default=None,
        description="Name of the query parameter that holds the filter. Without it as `records.filter_parameter` says.",
    )

    @model_validator(mode="after")
    def _can_be_compared(self) -> Self:
        reserved_names(self.field, self.aliases)
        return self

    @cached_property
    def _reserved(self) -> frozenset[str]:
        return reserved_names(self.field, self.aliases)

    def written_in(self, form: RecordForm) -> tuple[Dialect, str]:
        """Return the dialect and the parameter of a filter where records have this form."""
        return DIALECTS[self.dialect or form.dialect], self.parameter or form.filter_parameter

    def apply(self, draft: Draft, whose: Whose) -> Draft | Refusal:
        """Compose the filter; refuses what does not parse, repeats the parameter, or names the owner."""
        if whose.customer_id is None:
            return Refusal(Code.ACCESS_DENIED, "a filter by customer needs a customer")
        dialect, parameter = self.written_in(draft.form)
        query = dialect.scope(draft.query, self.field, whose.customer_id, self._reserved, parameter)
        return query if isinstance(query, Refusal) else replace(draft, query=query, narrowed=True)
