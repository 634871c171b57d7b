"""When two names are the same word for somebody behind us: fields of filters and bodies, parameters of queries.

Three vendors needed several tries to close aliases of one name because they listed them (docs/threats.md D2.1); here
what a name could be taken for is computed.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

MAX_NAME = 128
"""Longest name of a field or parameter. No API known to us needs half of it; it bounds the work per name."""

# Where a name may have structure for somebody behind us: PHP, Rack and qs read `a[b]`, qs also `a.b`, Django `a__b`,
# PostgREST `a->b`. What stands before it is then the name of the field.
_STRUCTURE = re.compile(r"[\[.:]|__|->")


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


def reserved_names(field: str, aliases: Iterable[str] = ()) -> frozenset[str]:
    """Return the folded names that a client may not use.

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
