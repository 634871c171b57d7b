"""Which paths a template reaches: what two templates share, and what more specific ones take away. Pure.

It says of sets of paths what routing.py says of one path; it knows no methods and no callers.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from gateway.routing import Part

Template = tuple[Part, ...]
_T_co = TypeVar("_T_co", covariant=True)

_PARAMETER = Part("any", is_parameter=True)
TAIL = Part("rest", is_parameter=True, is_tail=True)
# The branches of a tree that no literal can be.
_ANY, _REST = "{}", "{...}"


@dataclass(slots=True)
class _Node:
    """A place in the tree: what stands here, and the nodes below."""

    items: list[int] = field(default_factory=list)
    branches: "dict[str, _Node]" = field(default_factory=dict)

    def below(self) -> "list[_Node]":
        """Return all nodes below, however deep."""
        nodes = [*self.branches.values()]
        for node in nodes:  # which grows on the way
            nodes += node.branches.values()
        return nodes


class Tree(Generic[_T_co]):
    """Values by template. It finds those that meet a template without a look at each of the others."""

    def __init__(self, items: Iterable[tuple[Template, _T_co]]) -> None:
        self._items = tuple(items)
        self._root = _Node()
        for number, (template, _) in enumerate(self._items):
            node = self._root
            for part in template:
                text = _REST if part.is_tail else _ANY if part.is_parameter else part.text
                node = node.branches.setdefault(text, _Node())
            node.items.append(number)

    def __iter__(self) -> Iterator[tuple[Template, _T_co]]:
        return iter(self._items)

    def meeting(self, template: Template) -> list[tuple[Template, _T_co]]:
        """Return what stands at the templates that share a path with this one, in the order it was given in."""
        nodes, found = [self._root], list[_Node]()
        for part in template:
            if part.is_tail:
                nodes = [below for node in nodes for below in node.below()]
                break
            found += (node.branches[_REST] for node in nodes if _REST in node.branches)
            nodes = [
                below
                for node in nodes
                for text in (node.branches.keys() - {_REST} if part.is_parameter else (part.text, _ANY))
                if (below := node.branches.get(text)) is not None
            ]
        return [self._items[number] for number in sorted(number for node in found + nodes for number in node.items)]


def rank(template: Template) -> tuple[int, ...]:
    """Return what decides who gets a path that several templates match: the smallest wins."""
    return tuple(2 if part.is_tail else 1 if part.is_parameter else 0 for part in template)


def meet(first: Template, second: Template) -> Template | None:
    """Return the template of the paths that both match; None where there is none."""
    shared: list[Part] = []
    for at in range(max(len(first), len(second))):
        if at >= len(first) or at >= len(second):
            return None
        ours, theirs = first[at], second[at]
        # A tail is one segment or more, whatever they are.
        if ours.is_tail:
            return (*shared, *second[at:])
        if theirs.is_tail:
            return (*shared, *first[at:])
        if not ours.is_parameter and not theirs.is_parameter and ours.text != theirs.text:
            return None
        shared.append(theirs if ours.is_parameter else ours)
    return tuple(shared)


def covers(template: Template, paths: Template) -> bool:
    """Tell whether a template matches every path of another one."""
    shared = meet(template, paths)
    return shared is not None and rank(shared) == rank(paths)


def is_taken(paths: Template, template: Template, others: Tree[object] | Collection[Template]) -> bool:
    """Tell whether all `paths`, which `template` matches, belong to more specific `others`."""
    near = [other for other, _ in others.meeting(paths)] if isinstance(others, Tree) else others
    ours = rank(template)
    stronger = [other for other in near if rank(other) < ours]
    return _is_covered(paths, stronger, max(map(len, stronger), default=0))


def _is_covered(paths: Template, by: Collection[Template], longest: int) -> bool:
    if any(covers(template, paths) for template in by):
        return True
    if not paths[-1].is_tail or len(paths) > longest:
        return False
    # A tail is covered where its one segment is, and its two or more.
    one = (*paths[:-1], _PARAMETER)
    return _is_covered(one, by, longest) and _is_covered((*one, TAIL), by, longest)


def reaches(template: Template, collection: Template, others: Tree[object] | Collection[Template]) -> bool:
    """Tell whether a template gets a path of a collection, of a record in it, or of what lies below the record."""
    shared = (meet(template, collection), meet(template, (*collection, TAIL)))
    return any(paths is not None and not is_taken(paths, template, others) for paths in shared)


def spelled(template: Template) -> str:
    """Return a template as it is written."""
    return "".join(
        f"/{{{part.text}{'...' * part.is_tail}}}" if part.is_parameter else f"/{part.text}" for part in template
    )
