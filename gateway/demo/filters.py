"""The `epcc` filter grammar, evaluated over records; written for the demo alone, so that it can judge the gateway's.

    any  = all *("|" all)            all  = term *(":" term)         AND binds tighter than OR
    term = "(" any ")" / operator "(" field *("," value) ")"

It knows nothing of the gateway's own parser: property tests use it as the independent oracle.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.vocab.messages import Json

FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
OPERATOR = re.compile(r"[a-z_]+")
# The characters that need no quotes, from the upstream's own list (classic and beta grammar together).
BARE = re.compile(r"[A-Za-z0-9$\-_*. @{}|+:/]+")
NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
# Only what looks like a full time is compared as one: an order number of eight digits is no date.
EPOCH = re.compile(r"[0-9]{12,15}")
STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")
# Values each operator takes after the field: fewest and most (None: any number).
OPERATORS: Mapping[str, tuple[int, int | None]] = {
    "eq": (1, 1),
    "like": (1, 1),
    "ilike": (1, 1),
    "contains": (1, 1),
    "gt": (1, 1),
    "ge": (1, 1),
    "lt": (1, 1),
    "le": (1, 1),
    "in": (1, None),
    "is_null": (0, 0),
}
# Parentheses nest no deeper than this; deeper text is an attack on the recursion, not a filter.
DEEPEST = 20
OWNER = "relationships.customer.data.id"
STAMPS = {"created_at": "meta.timestamps.created_at", "updated_at": "meta.timestamps.updated_at"}
CATALOGUE = {"id": "id", "name": "name", "slug": "slug", "sku": "sku", **STAMPS}
# Per record type: the fields the upstream documents as filterable, and where they are in the record.
FIELDS: Mapping[str, Mapping[str, str]] = {
    "customer": {"id": "id", "name": "name", "email": "email", "external_ref": "external_ref", **STAMPS},
    "order": {
        "id": "id",
        "status": "status",
        "payment": "payment",
        "shipping": "shipping",
        "order_number": "order_number",
        "external_ref": "external_ref",
        "customer_id": OWNER,
        "name": "customer.name",
        "email": "customer.email",
        "currency": "meta.display_price.with_tax.currency",
        "with_tax": "meta.display_price.with_tax.amount",
        "without_tax": "meta.display_price.without_tax.amount",
        "shipping_postcode": "shipping_address.postcode",
        "billing_postcode": "billing_address.postcode",
        **STAMPS,
    },
    "cart": {"id": "id", "name": "name", "customer_id": "relationships.customers.data.id", **STAMPS},
    **dict.fromkeys(("product", "category", "brand", "collection", "file", "node", "hierarchy"), CATALOGUE),
    "currency": {"id": "id", "code": "code"},
}


class FilterError(ValueError):
    """The text is no filter, or names a field that cannot be filtered."""


@dataclass(frozen=True, slots=True)
class _Test:
    operator: str
    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _All:
    parts: tuple["_Node", ...]


@dataclass(frozen=True, slots=True)
class _Any:
    parts: tuple["_Node", ...]


_Node = _Test | _All | _Any


class Filter:
    """A filter that was read: `kind` is the type of the records; without a known kind every field may be named."""

    def __init__(self, text: str, kind: str | None = None) -> None:
        self._paths = FIELDS.get(kind) if kind is not None else None
        self._tree = _Reader(text).read()
        for name in _fields(self._tree):
            if self._paths is not None and name not in self._paths:
                allowed = " ".join(sorted(self._paths))
                raise FilterError(
                    f"error validating filter: unknown field [{name}] specified in search filter, "
                    f"allowed fields are [{allowed}]"
                )

    def accepts(self, record: Json) -> bool:
        """Say whether the record passes."""
        return self._holds(self._tree, record)

    def _holds(self, node: _Node, record: Json) -> bool:
        if isinstance(node, _All):
            return all(self._holds(part, record) for part in node.parts)
        if isinstance(node, _Any):
            return any(self._holds(part, record) for part in node.parts)
        if self._paths is not None:
            path = self._paths[node.field]
        else:
            path = OWNER if node.field == "customer_id" else node.field
        return _passes(node, _found(record, path.split(".")))


def matches(filter_text: str, record: Json) -> bool:
    """Say whether the record passes the filter; the record's `type` decides which fields may be named.

    Raises FilterError for bad text and for unsupported fields.
    """
    kind = record.get("type")
    return Filter(filter_text, kind if isinstance(kind, str) else None).accepts(record)


class _Reader:
    """Reads the text once, left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self) -> _Node:
        node = self._any(0)
        if self._at != len(self._text):
            raise self._error("end of the filter")
        return node

    def _any(self, depth: int) -> _Node:
        parts = [self._all(depth)]
        while self._take("|"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else _Any(tuple(parts))

    def _all(self, depth: int) -> _Node:
        parts = [self._term(depth)]
        while self._take(":"):
            parts.append(self._term(depth))
        return parts[0] if len(parts) == 1 else _All(tuple(parts))

    def _term(self, depth: int) -> _Node:
        if depth > DEEPEST:
            raise FilterError("Could not parse the supplied filter: too many parentheses")
        if self._take("("):
            node = self._any(depth + 1)
            self._need(")")
            return node
        operator = self._pattern(OPERATOR, "search operator")
        if operator not in OPERATORS:
            raise FilterError(f"Could not parse the supplied filter: unknown operator [{operator}]")
        self._need("(")
        name = self._pattern(FIELD, "field")
        values = []
        while self._take(","):
            values.append(self._value())
        self._need(")")
        fewest, most = OPERATORS[operator]
        if len(values) < fewest or (most is not None and len(values) > most):
            raise FilterError(f"Could not parse the supplied filter: wrong number of values for [{operator}]")
        return _Test(operator, name, tuple(values))

    def _value(self) -> str:
        for quote in ('"', "'"):
            if self._take(quote):
                return self._quoted(quote)
        return self._pattern(BARE, "value")

    def _quoted(self, quote: str) -> str:
        letters: list[str] = []
        while self._at < len(self._text):
            letter = self._text[self._at]
            self._at += 1
            if letter == quote:
                return "".join(letters)
            if letter == "\\":
                if self._at == len(self._text):
                    break
                letter = self._text[self._at]
                self._at += 1
            letters.append(letter)
        raise self._error("closing quote")

    def _take(self, mark: str) -> bool:
        if self._text.startswith(mark, self._at):
            self._at += 1
            return True
        return False

    def _need(self, mark: str) -> None:
        if not self._take(mark):
            raise self._error(f"`{mark}`")

    def _pattern(self, pattern: re.Pattern[str], what: str) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self._error(what)
        self._at = found.end()
        return found.group()

    def _error(self, what: str) -> FilterError:
        return FilterError(f"Could not parse the supplied filter: {what} expected at position {self._at}")


def _fields(node: _Node) -> list[str]:
    if isinstance(node, _Test):
        return [node.field]
    return [name for part in node.parts for name in _fields(part)]


def _found(value: Any, path: list[str]) -> list[Any]:
    """Give every value at the path; a list on the way stands for each of its members."""
    if isinstance(value, list):
        return [hit for member in value for hit in _found(member, path)]
    if not path:
        return [] if value is None else [value]
    return _found(value.get(path[0]), path[1:]) if isinstance(value, dict) else []


def _passes(test: _Test, found: list[Any]) -> bool:
    if test.operator == "is_null":
        return not found
    return any(_one(test.operator, value, wanted) for value in found for wanted in test.values)


def _one(operator: str, value: Any, wanted: str) -> bool:
    text = _text(value)
    if operator in {"like", "ilike"}:
        return _like(text.lower(), wanted.lower()) if operator == "ilike" else _like(text, wanted)
    if operator == "contains":
        return wanted in text
    if operator in {"eq", "in"} and text == wanted:
        return True
    order = _order(value, wanted)
    if order is None:
        return False
    return {"eq": order == 0, "in": order == 0, "gt": order > 0, "ge": order >= 0, "lt": order < 0, "le": order <= 0}[
        operator
    ]


def _like(text: str, pattern: str) -> bool:
    if pattern == "*":
        return True
    opened, closed = pattern.startswith("*"), pattern.endswith("*")
    needle = pattern[opened : len(pattern) - closed]
    if opened and closed:
        return needle in text
    if opened:
        return text.endswith(needle)
    return text.startswith(needle) if closed else text == needle


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _order(value: str | float, wanted: str) -> float | None:
    """Compare numbers as numbers and times as times; None where the two cannot be compared."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value - float(wanted) if NUMBER.fullmatch(wanted) else None
    left, right = _instant(value) if STAMP.match(value) else None, _instant(wanted)
    return None if left is None or right is None else left - right


def _instant(text: str) -> float | None:
    """Read an ISO date or time, or epoch milliseconds."""
    if EPOCH.fullmatch(text):
        return int(text) / 1000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
