"""Dialect `epcc`: the filter language of Elastic Path Commerce Cloud, `filter=eq(status,paid):like(name,*swan*)`.

A filter is parsed completely into a small tree and written again in one canonical spelling; text of the client never
reaches the upstream. What the grammar leaves open is refused, not guessed. Field names and types are the upstream's.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import prod
from types import MappingProxyType

from msgspec import Struct

from gateway.scope.filters.dialect import invalid, refuse_name, repeated, reserved_field
from gateway.scope.names import is_alias, is_reserved
from gateway.vocab.messages import Query
from gateway.vocab.refusals import Refusal

# elasticpath.dev, "Filtering", Limitations: 10 filters in a request, which may not exceed 8 KB. Ours counts.
MAX_CONDITIONS = 10
MAX_BYTES = 8192
# epcc-search-ast-helper, "OR Filter Restrictions": leaf 1, AND the product, OR the sum of its children, at most 4.
MAX_ALTERNATIVES = 4
# All > Any > All > condition is what the official SDK can build; no backend of ours was seen to need more.
MAX_DEPTH = 4
# The upstream warns of long lists and names no number; 100 is its largest page.
MAX_OPERANDS = 100

OPERATORS: Mapping[str, tuple[int, int]] = MappingProxyType(
    dict.fromkeys(("eq", "like", "ilike", "gt", "ge", "lt", "le", "contains", "text"), (1, 1))
    | dict.fromkeys(("in", "contains_any", "contains_all"), (1, MAX_OPERANDS))
    | {"is_null": (0, 0)}
)
"""The operators and how few and how many operands they take after the field."""

_OPERATOR = re.compile(r"[a-z_]{1,16}")
# Never longer than MAX_NAME of dialect.py, so that every field can be judged.
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
# elasticpath.dev, "Specifying Operands", less "|", which is an operator as well, and what people type into a search:
# SDKs quote nothing. What it may be beyond ASCII says `_is_literal`. It leaves in quotes: nobody can misread it there.
_UNQUOTED = re.compile(r"[A-Za-z0-9$\-_*.@{}+/ :!#%&'=?~\u0080-\U0010ffff]*")
# The API's own pages write times without quotes: a colon between digits is theirs, any other could be an AND. An
# apostrophe stands behind a letter and before something; elsewhere it could begin or end a quotation.
_AMBIGUOUS = re.compile(r"(?<![0-9]):|:(?![0-9])|(?<![^\W_]|[\u0300-\u036f])['\u2019]|['\u2019]\Z")
_QUOTED = {quote: re.compile(rf"{quote}(?:[^{quote}\\]|\\[\"'])*{quote}") for quote in "\"'"}
# A second encoding has no honest use inside a value that was decoded once.
_TWICE_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_APOSTROPHE = "\u2019"
# What stays unquoted: the classic grammar and the "@" and "+" of e-mail addresses. A "*" is a wildcard for like and
# ilike only; quoted it is a literal star everywhere else.
_PLAIN = re.compile(r"[A-Za-z0-9$\-_.@+](?:[A-Za-z0-9$\-_.@+ ]*[A-Za-z0-9$\-_.@+])?")
_PATTERN = re.compile(r"[A-Za-z0-9$\-_.@+*](?:[A-Za-z0-9$\-_.@+* ]*[A-Za-z0-9$\-_.@+*])?")


class Condition(Struct, frozen=True):
    """`operator(field,operands...)`; operands are unquoted and unescaped."""

    operator: str
    field: str
    operands: tuple[str, ...] = ()


class All(Struct, frozen=True):
    """Every child holds; at least one child."""

    children: tuple["Node", ...]


class Any(Struct, frozen=True):
    """At least one of the children holds; at least one child."""

    children: tuple["Node", ...]


Node = Condition | All | Any


class Epcc:
    """`filter=eq(field,value)`, or `filter=eq(field,value):(theirs)`, as the first parameter."""

    def scope(self, query: Query, field: str, value: str, reserved: frozenset[str], parameter: str) -> Query | Refusal:
        """Compose ours AND theirs; see `Dialect.scope`. An empty filter counts as none."""
        text: str | None = None
        rest = []
        for pair in query:
            name = pair[0]
            if name != parameter:
                if (refused := _refuse_beside(name, parameter)) is not None:
                    return refused
                rest.append(pair)
            elif text is None:
                text = pair[1]
            else:
                return repeated()
        # Before it is remembered: how long a target may be is a setting.
        if text and len(text) > MAX_BYTES:
            return invalid("longer than 8 KB")
        if isinstance(ours := _ours(field, value), Refusal):
            return ours
        if isinstance(theirs := _behind_ours(text, reserved) if text else "", Refusal):
            return theirs
        if theirs and len(ours.encode()) + len(theirs.encode()) >= MAX_BYTES:
            return invalid("longer than 8 KB")
        return ((parameter, f"{ours}:{theirs}" if theirs else ours), *rest)

    def equals(self, field: str, value: str, parameter: str) -> Query:
        """Ask for `field == value`; see `Dialect.equals`."""
        return ((parameter, _write(Condition("eq", field, (value,)))),)


def parse(text: str) -> Node | Refusal:
    """Read a whole filter, or refuse it with FILTER_INVALID.

    AND binds tighter than OR: the official SDK writes `{or: [{le, gt}, {le}]}` as `(le(..):gt(..)|le(..))`
    (elasticpath/js-sdk, test of formatQueryString).
    """
    if len(text) > MAX_BYTES:
        return invalid("longer than 8 KB")
    reader = _Reader(text)
    try:
        node = normalise(reader.any_of(1))
    except _UnreadableError as fault:
        return invalid(f"position {reader.at}: {fault}")
    if reader.at != len(text):
        return invalid(f"position {reader.at}: an end is expected")
    return invalid(excess) if (excess := _excess(node)) else node


def emit(node: Node) -> str:
    """Write a tree in its one canonical spelling: flat, no needless quote, parentheses around OR inside AND only."""
    return _write(normalise(node))


def normalise(node: Node) -> Node:
    """Return the flat tree of the same meaning: no All in All, no Any in Any, no group of one."""
    if isinstance(node, Condition):
        return node
    kind = type(node)
    flat: list[Node] = []
    for child in map(normalise, node.children):
        flat.extend(child.children if isinstance(child, kind) else (child,))
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


def conditions(node: Node) -> Iterator[Condition]:
    """Walk through all conditions of a tree, from left to right."""
    if isinstance(node, Condition):
        yield node
    else:
        for child in node.children:
            yield from conditions(child)


# A shop's pages use a handful of parameters (saves 1 us each).
@lru_cache(maxsize=256)
def _refuse_beside(name: str, parameter: str) -> Refusal | None:
    """Refuse a name that may not stand beside the filter's."""
    return repeated() if is_alias(name, parameter) else refuse_name(name)


# Who asks once asks again: remembered for as many customers as their tokens are (saves 2 us of 3).
@lru_cache(maxsize=4096)
def _ours(field: str, value: str) -> str | Refusal:
    """Return our condition, `field == value`."""
    if not _FIELD.fullmatch(field) or not value or not (_PLAIN.fullmatch(value) or _is_literal(value)):
        return invalid("the owner's field or value cannot be written as a condition")
    return _write(Condition("eq", field, (value,)))


# A storefront asks with the same few filters for all its customers: remembering them saves 8 us of 9, for 4 MB at most.
@lru_cache(maxsize=256)
def _behind_ours(text: str, reserved: frozenset[str]) -> str | Refusal:
    """Return the client's filter as it stands behind any condition of ours, which the limits count as one."""
    theirs = parse(text)
    if isinstance(theirs, Refusal):
        return theirs
    if any(is_reserved(condition.field, reserved) for condition in conditions(theirs)):
        return reserved_field()
    if excess := _excess(normalise(All((Condition("eq", "ours", ("x",)), theirs)))):
        return invalid(excess)
    return f"({_write(theirs)})" if isinstance(theirs, Any) else _write(theirs)


def _excess(node: Node) -> str:
    """Say which limit a tree exceeds, or nothing."""
    if sum(1 for _ in conditions(node)) > MAX_CONDITIONS:
        return "too many conditions"
    if _depth(node) > MAX_DEPTH:
        return "nested too deeply"
    return "too many alternatives" if _alternatives(node) > MAX_ALTERNATIVES else ""


def _depth(node: Node) -> int:
    return 1 if isinstance(node, Condition) else 1 + max(map(_depth, node.children))


def _alternatives(node: Node) -> int:
    if isinstance(node, Condition):
        return 1
    counts = map(_alternatives, node.children)
    return prod(counts) if isinstance(node, All) else sum(counts)


def _write(node: Node) -> str:
    if isinstance(node, Condition):
        plain = _PATTERN if node.operator in {"like", "ilike"} else _PLAIN
        operands = [operand if plain.fullmatch(operand) else _quote(operand) for operand in node.operands]
        return f"{node.operator}({','.join((node.field, *operands))})"
    if isinstance(node, All):
        return ":".join(f"({_write(child)})" if isinstance(child, Any) else _write(child) for child in node.children)
    return "|".join(map(_write, node.children))


def _quote(operand: str) -> str:
    """Quote so that no escape is needed; only `equals` may need one, and its answer is compared with the value."""
    if "\\" not in operand and '"' in operand and "'" not in operand:
        return f"'{operand}'"
    escaped = operand.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _is_literal(operand: str) -> bool:
    """Whether an operand can be quoted beyond doubt: printable ASCII, letters, and accents on them.

    Punctuation beyond ASCII has look-alikes of our operators, format characters hide text; the apostrophe that phones
    type is somebody's single quote at worst, which ends nothing inside double ones. Whether the upstream takes
    two backslashes for one is not documented (epcc-search-ast-helper, `AsFilter`, leaves them single), so that a quote
    behind them might end the string or not: a backslash is refused, and quotes of both kinds, which would need one.
    """
    if "\\" in operand or ('"' in operand and ("'" in operand or _APOSTROPHE in operand)):
        return False
    return all(
        char.isprintable()
        if char.isascii()
        else char.isalpha() or char == _APOSTROPHE or unicodedata.category(char) in {"Mn", "Mc"}
        for char in operand
    )


class _UnreadableError(Exception):
    """The text is not a filter. Never leaves this file: `parse` makes a refusal of it."""


class _Reader:
    """Recursive descent over one text, a method per line of the grammar; depth is bounded by MAX_DEPTH."""

    __slots__ = ("at", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def any_of(self, depth: int) -> Node:
        children = [self._all_of(depth)]
        while self._take("|"):
            children.append(self._all_of(depth))
        return Any(tuple(children))

    def _all_of(self, depth: int) -> Node:
        children = [self._term(depth)]
        while self._take(":"):
            children.append(self._term(depth))
        return All(tuple(children))

    def _term(self, depth: int) -> Node:
        if not self._take("("):
            return self._condition()
        if depth == MAX_DEPTH:
            raise _UnreadableError("parentheses are nested too deeply")
        node = self.any_of(depth + 1)
        self._expect(")")
        return node

    def _condition(self) -> Condition:
        operator = self._match(_OPERATOR, "an operator")
        if operator not in OPERATORS:
            raise _UnreadableError("the operator is unknown")
        self._expect("(")
        field = self._match(_FIELD, "a field")
        fewest, most = OPERATORS[operator]
        operands: list[str] = []
        while self._take(","):
            if len(operands) == most:
                raise _UnreadableError("too many operands")
            operands.append(self._operand())
        if len(operands) < fewest:
            raise _UnreadableError("an operand is missing")
        self._expect(")")
        return Condition(operator, field, tuple(operands))

    def _operand(self) -> str:
        # elasticpath.dev, "Specifying Operands": leading spaces are dropped. Of trailing ones it does not speak.
        while self._take(" "):
            pass
        quoted = _QUOTED.get(self.text[self.at : self.at + 1])
        if quoted is None:
            operand = self._match(_UNQUOTED, "an operand")
            if not operand or operand[-1] == " ":
                raise _UnreadableError("an operand is empty or ends in a space")
            if _AMBIGUOUS.search(operand):
                raise _UnreadableError("an operand can be read in two ways")
        else:
            # The pattern lets a backslash stand before quotes only, so that dropping it is all there is to unescape.
            operand = self._match(quoted, "a closing quote")[1:-1].replace("\\", "")
        if not _is_literal(operand) or _TWICE_ENCODED.search(operand):
            raise _UnreadableError("an operand has unexpected characters")
        return operand

    def _match(self, pattern: re.Pattern[str], what: str) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            raise _UnreadableError(f"{what} is expected")
        self.at = found.end()
        return found[0]

    def _take(self, char: str) -> bool:
        if not self.text.startswith(char, self.at):
            return False
        self.at += 1
        return True

    def _expect(self, char: str) -> None:
        if not self._take(char):
            raise _UnreadableError(f"a {char} is expected")
