"""Dialect `jsonapi`: `filter[field]=value`, the custom of JSON:API 1.1 (section "Query Parameter Families").

Members are `filter[field]` and `filter[field][operator or sub-field]`; groups and logical words are refused, because
they could put a condition of ours into an OR.
"""

import re

from gateway.scope.filters.dialect import invalid, refuse_name, refuse_value, repeated, reserved_field
from gateway.scope.names import fold, is_alias, is_reserved
from gateway.vocab.messages import Query
from gateway.vocab.refusals import Refusal

_MEMBERS = re.compile(r"\[([A-Za-z_][A-Za-z0-9_.-]*)\](?:\[([A-Za-z_][A-Za-z0-9_.-]*)\])?")
_BRACKETS = re.compile(r"[\[\]]+")
# Words that build conditions out of conditions: Rails' and Sequelize's and/or/not, Drupal's filter groups, whose
# "path" carries the field name in the value, where we do not look for it.
_LOGIC = frozenset({"and", "or", "not", "nor", "any", "all", "group", "condition", "conjunction", "memberof", "path"})


class JsonApi:
    """`filter[field]=value` as the first parameter; the client's own members behind it."""

    def scope(self, query: Query, field: str, value: str, reserved: frozenset[str], parameter: str) -> Query | Refusal:
        """Put our member first; see `Dialect.scope`."""
        refused = refuse_value(value)
        if refused is not None:
            return refused
        # JSON:API backends read `filter[id]=a,b` as "one of these", which would widen.
        if "," in value:
            return invalid("the owner's value has a comma")
        for name, _ in query:
            refused = _refuse(name, reserved, parameter)
            if refused is not None:
                return refused
        return ((f"{parameter}[{field}]", value), *query)

    def equals(self, field: str, value: str, parameter: str) -> Query:
        """Ask for `field == value`; see `Dialect.equals`."""
        return ((f"{parameter}[{field}]", value),)


def _refuse(name: str, reserved: frozenset[str], parameter: str) -> Refusal | None:
    """Say no to a parameter that is, hides or overwrites a condition on the owner field."""
    if name.startswith(f"{parameter}["):
        return _refuse_member(name[len(parameter) :], reserved)
    # A bare `filter=x` is refused as well: PHP lets it replace every `filter[...]` that came before.
    if name == parameter or is_alias(name, parameter):
        return repeated()
    if is_reserved(name, reserved):
        return reserved_field()
    return refuse_name(name)


def _refuse_member(members: str, reserved: frozenset[str]) -> Refusal | None:
    # As a whole for `[customer][id]`, one by one for `[orders][customer_id]`.
    if is_reserved(members, reserved) or any(is_reserved(part, reserved) for part in _BRACKETS.split(members) if part):
        return reserved_field()
    parts = _MEMBERS.fullmatch(members)
    if parts is None:
        return invalid("a filter member is not [field] or [field][operator]")
    if any(part and not _LOGIC.isdisjoint(map(fold, part.split("."))) for part in parts.groups()):
        return invalid("a filter member is a logical word")
    return None
