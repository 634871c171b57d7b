"""Finds the one route of a request. Pure; knows nothing of callers and rules.

A path belongs to its most specific template: at each segment a literal wins over `{name}`, and `{name}` over the tail
`{name...}`. Two templates that differ in no literal are one path; a method of it may have one route only.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from msgspec import Struct

from gateway.vocab.messages import Target
from gateway.vocab.policy import Route
from gateway.vocab.refusals import Code, Refusal
from gateway.wire import meant

_PARAMETER = re.compile(r"\{([a-z][a-z0-9_]*)(\.\.\.)?\}")
_LITERAL = re.compile(r"[A-Za-z0-9._~!$'()*+,=:@-]+")
# What a route that answers GET also answers, unless it says otherwise (RFC 9110 section 9.3.2).
_HEAD_OF = "GET"
_NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})


class Match(Struct, frozen=True):
    """A route and the values of its path parameters."""

    route: Route
    parameters: Mapping[str, str]


@dataclass(slots=True)
class _Node:
    """A place in the tree of templates."""

    literals: "dict[str, _Node]" = field(default_factory=dict)
    parameter: "_Node | None" = None
    tail: "_Node | None" = None
    routes: dict[str, Route] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """One segment of a template: a literal, a parameter or the tail."""

    text: str
    is_parameter: bool = False
    is_tail: bool = False


# A routing file is checked, proven and compiled template by template, each of them many times.
@lru_cache(4096)
def parse_template(path: str) -> tuple[Part, ...]:
    """Read a path template such as `/v2/orders/{oid}/items` or `/catalog/{rest...}`; a slash at its end says nothing.

    Raises ValueError with a sentence that says what to write instead.
    """
    if not path.startswith("/") or path == "/" or "//" in path:
        what = "a path begins with one slash and has no empty segment"
        raise ValueError(what + meant.template(path))
    parts = []
    names: set[str] = set()
    segments = path.removesuffix("/")[1:].split("/")
    for position, segment in enumerate(segments):
        parameter = _PARAMETER.fullmatch(segment)
        if parameter is None:
            # `:oid` could be literal, and would match nothing that its author thought of.
            if not _LITERAL.fullmatch(segment) or segment in {".", ".."} or meant.is_parameter(segment):
                what = "a segment is plain text, {name}, or {name...} as the last one"
                raise ValueError(what + meant.template(path))
            parts.append(Part(segment))
            continue
        name, is_tail = parameter[1], parameter[2] is not None
        if name in names:
            raise ValueError("a parameter name may appear only once in a path")
        if is_tail and position != len(segments) - 1:
            raise ValueError("{name...} may stand only at the end of a path")
        names.add(name)
        parts.append(Part(name, is_parameter=True, is_tail=is_tail))
    return tuple(parts)


def shape(path: str) -> str:
    """Return a template with its parameter names removed: equal shapes are the same path."""
    return "/".join("{...}" if p.is_tail else "{}" if p.is_parameter else p.text for p in parse_template(path))


class RouteTable:
    """All routes, compiled. Matching costs one look-up a segment, however many routes there are."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._root = _Node()
        self._names = {
            route.name: tuple(p.text for p in parse_template(route.path) if p.is_parameter) for route in self.routes
        }
        for route in self.routes:
            self._add(route)
        # No other template can win over one without parameters, so that its matches are known beforehand.
        self._known = {
            (method, segments): self._match(method, segments)
            for route in self.routes
            if not self._names[route.name]
            for segments in [tuple(part.text for part in parse_template(route.path))]
            for method in (*route.methods, "HEAD")
        }

    def _add(self, route: Route) -> None:
        node = self._root
        for part in parse_template(route.path):
            if part.is_tail:
                node.tail = node = node.tail or _Node()
            elif part.is_parameter:
                node.parameter = node = node.parameter or _Node()
            else:
                node = node.literals.setdefault(part.text, _Node())
        for method in route.methods:
            if method in node.routes:
                raise ValueError(f"{method} {route.path} belongs to {node.routes[method].name} already")
            node.routes[method] = route

    def match(self, method: str, segments: tuple[str, ...]) -> Match | Refusal:
        """Return the one route of a method and a canonical path: ROUTE_UNKNOWN or METHOD_NOT_ALLOWED otherwise."""
        return self._known.get((method, segments)) or self._match(method, segments)

    def as_sent(self, method: str, sent: str, target: Target, route: Route) -> str | Refusal:
        """Return the target that an open route passes on: as the client `sent` it, where that has one reading.

        The match was made on the canonical reading. Somebody behind us may leave escapes as they are, or normalise
        Unicode: a reading by which the path is another route's, or needs normalising to be this one's, is refused, and
        escapes without which it is none's are undone.
        """
        path = sent.partition("?")[0]
        if target.has_slash:
            path = path[:-1]
        if path == target.path and target.folded is None:
            return sent
        undecoded = tuple(path[1:].split("/"))
        for reading in (undecoded, target.folded or target.segments):
            found = self.match(method, reading) if reading != target.segments else None
            if found is None or (isinstance(found, Match) and found.route is route):
                continue
            if reading is not undecoded or isinstance(found, Match) or found.code is not Code.ROUTE_UNKNOWN:
                return Refusal(Code.TARGET_AMBIGUOUS, "another route in another reading")
            sent = target.path + sent[len(path) :]
        return sent

    def _match(self, method: str, segments: tuple[str, ...]) -> Match | Refusal:
        found = _descend(self._root, segments, 0, ())
        if found is None:
            return Refusal(Code.ROUTE_UNKNOWN)
        node, values = found
        route = node.routes.get(method) or (node.routes.get(_HEAD_OF) if method == "HEAD" else None)
        if route is None:
            return Refusal(Code.METHOD_NOT_ALLOWED, allow=_allowed(node))
        # The matches that are known beforehand are shared, hence a mapping that nobody can change.
        return Match(route, dict(zip(self._names[route.name], values, strict=True)) if values else _NO_PARAMETERS)


def _allowed(node: _Node) -> tuple[str, ...]:
    head = {"HEAD"} if _HEAD_OF in node.routes else set()
    return tuple(sorted(node.routes.keys() | head))


def _descend(
    node: _Node, segments: tuple[str, ...], at: int, values: tuple[str, ...]
) -> tuple[_Node, tuple[str, ...]] | None:
    if at == len(segments):
        return (node, values) if node.routes else None
    literal = node.literals.get(segments[at])
    if literal is not None:
        found = _descend(literal, segments, at + 1, values)
        if found is not None:
            return found
    if node.parameter is not None:
        found = _descend(node.parameter, segments, at + 1, (*values, segments[at]))
        if found is not None:
            return found
    if node.tail is not None:
        return node.tail, (*values, "/".join(segments[at:]))
    return None
