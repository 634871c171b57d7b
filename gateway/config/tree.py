"""The configuration as a tree in which every key and value knows its place in a file.

It reads no files and judges no values: document.py builds it, source.py merges it and fills in the interpolations.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

Loc = tuple[str | int, ...]


class Place(NamedTuple):
    """A position in a file; lines and columns count from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. `interpolated` says that the environment or a file gave it, at least in part."""

    place: Place
    # The value may be a secret: it stays out of every repr.
    value: str | int | float | bool | None = field(repr=False)
    interpolated: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A list."""

    place: Place
    items: "tuple[Node, ...]"


class Entry(NamedTuple):
    """A value of a mapping with the place of its key."""

    key_place: Place
    node: "Node"


@dataclass(frozen=True, slots=True)
class Branch:
    """A mapping."""

    place: Place
    entries: dict[str, Entry]


Node = Scalar | Row | Branch


def plain(node: Node) -> Any:
    """Return the tree as dicts, lists and scalars, without places."""
    match node:
        case Scalar():
            return node.value
        case Row():
            return [plain(item) for item in node.items]
        case Branch():
            return {key: plain(entry.node) for key, entry in node.entries.items()}


def merge(base: Branch, over: Branch) -> Branch:
    """Lay `over` on `base`: mappings merge key by key, lists, scalars and mappings of another `kind` replace."""
    if _kind(over) not in {None, _kind(base)}:
        return over
    entries = dict(base.entries)
    for key, entry in over.entries.items():
        below = entries.get(key)
        if below is not None and isinstance(below.node, Branch) and isinstance(entry.node, Branch):
            entries[key] = Entry(entry.key_place, merge(below.node, entry.node))
        else:
            entries[key] = entry
    return Branch(over.place, entries)


def _kind(branch: Branch) -> object:
    entry = branch.entries.get("kind")
    return entry.node.value if entry is not None and isinstance(entry.node, Scalar) else None


class Where:
    """Answers where a value of the configuration was written, after all merging."""

    def __init__(self, root: Branch) -> None:
        self._root = root

    def locate(self, loc: Loc) -> Place:
        """Return the place of the value at `loc`, or of its nearest existing ancestor."""
        return self._walk(loc)[1].place

    def locate_key(self, loc: Loc) -> Place:
        """Return the place of the key at `loc` (of the item in a list), or of its nearest existing ancestor."""
        return self._walk(loc)[0]

    def interpolated(self, loc: Loc) -> bool:
        """Tell whether the scalar at exactly `loc` came, at least in part, from the environment or a file.

        A literal default (`${env:NAME:-default}`) that took effect did not.
        """
        _, node, depth = self._walk(loc)
        return depth == len(loc) and isinstance(node, Scalar) and node.interpolated

    def is_scalar(self, loc: Loc) -> bool:
        """Tell whether one value stands at exactly `loc`, and no list or mapping."""
        _, node, depth = self._walk(loc)
        return depth == len(loc) and isinstance(node, Scalar)

    def _walk(self, loc: Loc) -> tuple[Place, Node, int]:
        key_place: Place = self._root.place
        node: Node = self._root
        for depth, part in enumerate(loc):
            if isinstance(node, Branch) and isinstance(part, str) and part in node.entries:
                key_place, node = node.entries[part]
            elif isinstance(node, Row) and isinstance(part, int) and 0 <= part < len(node.items):
                node = node.items[part]
                key_place = node.place
            else:
                return key_place, node, depth
        return key_place, node, len(loc)
