"""What every filter dialect promises, and when two names are the same word.

It knows the grammar of no dialect and reads no configuration.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

from gateway.vocab.messages import Query
from gateway.vocab.refusals import Code, Refusal

SOURCE = "query.filter"
"""The field at fault, as refusals of this floor name it to the client."""

MAX_NAME = 128
"""Longest name of a field or parameter. No API known to us needs half of it; it bounds the work per name."""

# Where a name may have structure for somebody behind us: PHP, Rack and qs read `a[b]`, qs also `a.b`, Django `a__b`,
# PostgREST `a->b`. What stands before it is then the name of the field.
_STRUCTURE = re.compile(r"[\[.:]|__|->")
# Printable ASCII, less what a second decoding would read as the structure of the query itself.
_NAME = re.compile(r'[ !"$\'()*+,\-./0-9:<>?@A-Z\[\]^_`a-z{|}~]{1,128}')


class Dialect(Protocol):
    """One way to write conditions into a query. Stateless; one file each."""

    def scope(self, query: Query, field: str, value: str, reserved: frozenset[str], parameter: str) -> Query | Refusal:
        """Restrict `query` to records whose `field` equals `value`; the client's own conditions are kept.

        `reserved` comes from `reserved_names`; `parameter` is the controlled query parameter, where the dialect has
        one. Refuses with FILTER_INVALID what does not parse completely, with FILTER_FIELD_RESERVED what names the
        owner field, with QUERY_REPEATED a controlled parameter that appears twice or under an alias, and with
        QUERY_NOT_ALLOWED parameter names that hide structure.
        """

    def equals(self, field: str, value: str, parameter: str) -> Query:
        """Return the query that asks for `field == value` alone; the value is always a literal."""


@lru_cache(maxsize=1024)
def fold(name: str) -> str:
    """Return what is left of a name when case, punctuation and Unicode dress are taken off."""
    plain = name if name.isascii() else unicodedata.normalize("NFKC", name)
    return "".join(filter(str.isalnum, plain.casefold()))


@lru_cache(maxsize=1024)
def _readings(name: str) -> frozenset[str]:
    """Return all words that a reader behind us may take `name` for. Only for names up to MAX_NAME: it is quadratic."""
    plain = name if name.isascii() else unicodedata.normalize("NFKC", name)
    heads = (plain[: structure.start()] for structure in _STRUCTURE.finditer(plain))
    return frozenset((fold(plain), *map(fold, heads)))


def reserved_names(field: str, aliases: Iterable[str]) -> frozenset[str]:
    """Return the folded names a client's filter may not use.

    Raises:
        ValueError: a name has no letter or digit, so that nothing could be compared with it.

    """
    names = frozenset(fold(name) for name in (field, *aliases))
    if "" in names:
        raise ValueError("a reserved field name needs at least one letter or digit")
    return names


def is_reserved(name: str, reserved: frozenset[str]) -> bool:
    """Whether `name`, or its part before a `[`, `.`, `:`, `__` or `->`, is a reserved word in any spelling.

    A name too long to be judged counts as reserved.
    """
    return len(name) > MAX_NAME or not reserved.isdisjoint(_readings(name))


def is_alias(name: str, parameter: str) -> bool:
    """Whether somebody behind us could take `name` for the controlled parameter, which it is not."""
    return name != parameter and len(name) <= MAX_NAME and fold(parameter) in _readings(name)


def refuse_name(name: str) -> Refusal | None:
    """Refuse a parameter name that is too long, not ASCII, or carries characters with a meaning in a query string."""
    if _NAME.fullmatch(name):
        return None
    return Refusal(Code.QUERY_NOT_ALLOWED, "a parameter name is too long or has unexpected characters", "query")


def refuse_value(value: str) -> Refusal | None:
    """Refuse an owner's value that cannot restrict anything: many backends read an empty value as "no filter"."""
    if value and value.isprintable():
        return None
    return Refusal(Code.FILTER_INVALID, "the owner's value is empty or not printable", SOURCE)


def invalid(detail: str) -> Refusal:
    """Return the refusal for a filter that does not parse completely. `detail` never quotes the client."""
    return Refusal(Code.FILTER_INVALID, detail, SOURCE)


def reserved_field() -> Refusal:
    """Return the refusal for a filter that names the owner field."""
    return Refusal(Code.FILTER_FIELD_RESERVED, "the client's filter names the owner field", SOURCE)


def repeated() -> Refusal:
    """Return the refusal for a controlled parameter that appears twice or under an alias."""
    return Refusal(Code.QUERY_REPEATED, "the filter parameter appears twice or under an alias", SOURCE)
