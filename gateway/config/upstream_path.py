"""Where the requests of a route go at their upstream, where that is another path than clients know.

`/api/orders/{oid}/`, or with a filter that names the record: `/orders?id=eq.{oid}`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from gateway.routing import Part, parse_template
from gateway.scope.filters import DIALECTS
from gateway.vocab.messages import Query
from gateway.wire.target import encode_path

_FILTER = re.compile(r"([^=&{}]+)=([^=&{}]*)\{([a-z][a-z0-9_]*)\}([^=&{}]*)")
# A value by which the dialects show how they write one.
_SHOWN = "shown"
# Where a field's name may stand in the name of a query parameter, or in its value.
_NAMES = re.compile(r"[A-Za-z0-9_.]+")


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter that names the record by a parameter of the path: `field` equals it, as `dialect` writes that."""

    parameter: str
    dialect: str
    field: str
    name: str

    def written(self, value: str) -> Query:
        """Return the query that asks for a value, which is a literal whatever is in it."""
        return DIALECTS[self.dialect].equals(self.field, value, self.name)


@dataclass(frozen=True, slots=True)
class UpstreamPath:
    """A path of the upstream's with parameters of the public one. Called with their values, it gives the address."""

    segments: tuple[Part, ...]
    ends_with_slash: bool
    conditions: tuple[Condition, ...] = ()

    def __call__(self, parameters: Mapping[str, str]) -> tuple[str, Query]:
        """Return the path, encoded, and the filters."""
        filled: list[str] = []
        for part in self.segments:
            value = parameters[part.text] if part.is_parameter else part.text
            filled += value.split("/") if part.is_tail else (value,)
        path = encode_path(tuple(filled)) + "/" * self.ends_with_slash
        return path, tuple(pair for one in self.conditions for pair in one.written(parameters[one.parameter]))

    @property
    def record(self) -> str:
        """The parameter that names the record at the end; empty where the end is a literal."""
        last = self.template[-1]
        return last.text if last.is_parameter and not last.is_tail else ""

    @property
    def template(self) -> tuple[Part, ...]:
        """Which record it names: the path, and behind it what a filter picks out of that collection."""
        return (*self.segments, *(Part(one.parameter, is_parameter=True) for one in self.conditions))

    @property
    def names(self) -> frozenset[str]:
        """The query parameters that it writes."""
        return frozenset(name for one in self.conditions for name, _ in one.written(_SHOWN))


@lru_cache(1024)
def parse_upstream_path(text: str) -> UpstreamPath:
    """Read a path of the upstream's. Raises ValueError with a sentence that says what to write instead."""
    path, mark, query = text.partition("?")
    ends_with_slash = len(path) > 1 and path.endswith("/")
    segments = parse_template(path.removesuffix("/") if ends_with_slash else path)
    if segments[-1].is_tail and ends_with_slash:
        raise ValueError("{name...} is all that follows: no slash stands behind it")
    return UpstreamPath(segments, ends_with_slash, tuple(_condition(one) for one in query.split("&")) if mark else ())


def _condition(text: str) -> Condition:
    found = _FILTER.fullmatch(text)
    shown = found and (found[1], f"{found[2]}{_SHOWN}{found[4]}")
    if found is not None:
        for dialect, name, field in _spellings(found[1], found[2]):
            if DIALECTS[dialect].equals(field, _SHOWN, name) == (shown,):
                return Condition(found[3], dialect, field, name)
    raise ValueError(
        "behind ? stand filters that pick one record by a parameter; write ?id=eq.{id} (postgrest), ?filter=eq(id,{id})"
        " (epcc), ?filter[id]={id} (jsonapi) or ?id={id} (query)"
    )


def _spellings(name: str, value: str) -> Iterator[tuple[str, str, str]]:
    """Yield what a pair may mean: dialect, controlled parameter and field."""
    fields = [*_NAMES.findall(name), *_NAMES.findall(value), name]
    for dialect in DIALECTS:
        for field in dict.fromkeys(reversed(fields)):
            yield dialect, name.partition("[")[0], field
