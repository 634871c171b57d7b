"""Dialect `query`: plain parameters, `field=value`, that the backend joins with AND.

It has no filter language: what else the client sends stays as it is.
"""

from gateway.scope.filters.dialect import invalid, refuse_name, refuse_value, reserved_field
from gateway.scope.names import is_reserved
from gateway.vocab.messages import Query
from gateway.vocab.refusals import Refusal


class PlainQuery:
    """`field=value` as the first parameter; no other parameter may be taken for it."""

    def scope(self, query: Query, field: str, value: str, reserved: frozenset[str], parameter: str) -> Query | Refusal:
        """Put our condition first; see `Dialect.scope`. There is no controlled parameter but the field itself."""
        del parameter
        refused = refuse_value(value)
        if refused is not None:
            return refused
        # Many backends read `field=a,b` as "one of these", which would widen.
        if "," in value:
            return invalid("the owner's value has a comma")
        for name, _ in query:
            if is_reserved(name, reserved):
                return reserved_field()
            refused = refuse_name(name)
            if refused is not None:
                return refused
        return ((field, value), *query)

    def equals(self, field: str, value: str, parameter: str) -> Query:
        """Ask for `field == value`; see `Dialect.equals`."""
        del parameter
        return ((field, value),)
