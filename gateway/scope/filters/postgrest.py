"""Dialect `postgrest`: `field=eq.value`, as PostgREST and Supabase read it; conditions are joined with AND.

The logical parameters (`or`, `and`, `not`) and embedding in `select` are refused, not parsed.
"""

from gateway.scope.filters.dialect import invalid, refuse_name, refuse_value, reserved_field
from gateway.scope.names import fold, is_reserved
from gateway.vocab.messages import Query
from gateway.vocab.refusals import Refusal

# PostgREST takes any parameter whose last dotted word is one of these for a logic tree: QueryParams.hs, `endingIn`.
_LOGIC = frozenset({"and", "or", "not"})


class PostgRest:
    """`field=eq.value` as the first parameter.

    Nothing in the value is quoted: outside logic trees and `in` lists PostgREST takes everything after the first dot
    as the value (QueryParams.hs: `pSingleVal = many anyChar`); quotes would become part of it.
    """

    def scope(self, query: Query, field: str, value: str, reserved: frozenset[str], parameter: str) -> Query | Refusal:
        """Put our condition first; see `Dialect.scope`. There is no controlled parameter but the field itself."""
        del parameter
        refused = refuse_value(value)
        if refused is not None:
            return refused
        for name, text in query:
            refused = _refuse(name, text, reserved)
            if refused is not None:
                return refused
        return ((field, f"eq.{value}"), *query)

    def equals(self, field: str, value: str, parameter: str) -> Query:
        """Ask for `field == value`; see `Dialect.equals`."""
        del parameter
        return ((field, f"eq.{value}"),)


def _refuse(name: str, text: str, reserved: frozenset[str]) -> Refusal | None:
    """Say no to a parameter that names the owner field, builds logic, or brings in other tables."""
    # This also bounds the length, before names are folded.
    if is_reserved(name, reserved):
        return reserved_field()
    if any(fold(word) in _LOGIC for word in name.split(".")):
        return invalid("a logical parameter")
    # Parentheses embed other tables, whose rows carry no condition of ours. A colon renames a column, so that the
    # guard would read another column as the owner; so does an arrow, which calls it as the last key on the way.
    if fold(name) == "select" and not {"(", ")", ":", ">"}.isdisjoint(text):
        return invalid("select embeds, computes or renames")
    return refuse_name(name)
