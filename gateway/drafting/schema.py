"""What a schema of an OpenAPI document says of a value: what it is, and which members it has. Pure.

Schemas are read where they are needed, never unrolled: most shops' refer to each other in circles, which is no fault.
One that is nothing but itself is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from gateway.drafting.document import SHOWN_REFERENCE, UnfitDocumentError, plain_text, refuse_remote

# `allOf` of `allOf`, and references to references; real documents have four.
_DEEPEST = 32
_TYPES = ("string", "integer", "number", "boolean", "array", "object")
_VARIANTS = ("allOf", "oneOf", "anyOf")


@dataclass(frozen=True, slots=True)
class Schema:
    """A value: the JSON types that it may have, its members, those of its items, and the components it is made of.

    `is_open`: what else it may hold is told elsewhere, by a discriminator that lists no variants.
    """

    types: frozenset[str] = frozenset()
    members: Mapping[str, Any] = field(default_factory=dict)
    items: Any = None
    names: frozenset[str] = frozenset()
    is_read_only: bool = False
    is_open: bool = False

    @property
    def is_list(self) -> bool:
        """Whether it is an array and nothing else."""
        return self.types == {"array"}

    @property
    def is_object(self) -> bool:
        """Whether it is an object and nothing else."""
        return self.types == {"object"}

    @property
    def id_kind(self) -> str:
        """What it is as an id: text or number; empty where it is none."""
        if len(self.types) != 1:
            return ""
        # Many generators know one kind of numbers, and call ids so as well.
        return "text" if "string" in self.types else "number" if self.types & {"integer", "number"} else ""


class Document:
    """A parsed document, whose references are followed."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        # Components are read once, however often and by however many ways they are referred to.
        self._read: dict[str, Schema] = {}

    def resolved(self, node: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return what a node is, behind all references, and the references. Raises UnfitDocumentError in a circle."""
        seen: list[str] = []
        while isinstance(node, dict) and isinstance(node.get("$ref"), str):
            refuse_remote(node)
            reference = node["$ref"]
            if reference in seen:
                shown = plain_text(reference, SHOWN_REFERENCE)
                raise UnfitDocumentError(f"it is circular: $ref {shown} leads to itself")
            seen.append(reference)
            node = self._at(reference)
        return (node if isinstance(node, dict) else {}), tuple(seen)

    def _at(self, reference: str) -> Any:
        node: Any = self.data
        for token in reference.removeprefix("#").removeprefix("/").split("/"):
            node = _step(node, token.replace("~1", "/").replace("~0", "~"))
            if node is None:
                shown = plain_text(reference, SHOWN_REFERENCE)
                raise UnfitDocumentError(f"it is broken: nothing stands at $ref {shown}")
        return node

    def schema(self, node: Any) -> Schema:
        """Return what a schema says, its parts (`allOf`) and variants (`oneOf`, `anyOf`) taken together."""
        return self._schema(node, (), 0)

    def _schema(self, node: Any, above: tuple[str, ...], depth: int) -> Schema:
        said, references = self.resolved(node)
        # What stands beside a reference is of this place alone.
        is_component = bool(references) and set(node) == {"$ref"}
        if is_component and references[0] in self._read:
            return self._read[references[0]]
        circle = [reference for reference in references if reference in above]
        if circle or depth > _DEEPEST:
            shown = plain_text(circle[0], SHOWN_REFERENCE) if circle else "a schema"
            raise UnfitDocumentError(f"it is circular: {shown} is made of itself")
        above += references
        types = _types(said)
        members = dict(_members(said))
        items = said.get("items")
        names = frozenset(reference.rpartition("/")[2] for reference in references)
        for variant in _VARIANTS:
            for part in _listed(said.get(variant)):
                other = self._schema(part, above, depth + 1)
                types |= other.types
                members = {**other.members, **members}
                items = other.items if items is None else items
                names |= other.names
        if not types:
            types = {"object"} if members else {"array"} if items is not None else set()
        is_read_only = is_true(said.get("readOnly")) or (isinstance(node, dict) and is_true(node.get("readOnly")))
        is_open = isinstance(said.get("discriminator"), (dict, str)) and not said.get("oneOf") and not said.get("anyOf")
        made = Schema(frozenset(types), members, items, names, is_read_only, is_open)
        if is_component:
            self._read[references[0]] = made
        return made

    def member(self, schema: Schema, name: str) -> Schema | None:
        """Return what a member of a value is; None where it has none of this name."""
        return self.schema(schema.members[name]) if name in schema.members else None


def is_true(value: Any) -> bool:
    """Tell whether a flag is set; in YAML as it is read here it is a text."""
    return value is True or value == "true"


def _types(said: Mapping[str, Any]) -> set[str]:
    found = said.get("type")
    listed = found if isinstance(found, list) else [found]
    # A value that may also be null (3.1: in the list of types; 3.0: `nullable`) is read as what it is otherwise.
    # What JSON does not have, such as `list`, says nothing: members and items do.
    return {kind for kind in listed if kind in _TYPES}


def _step(node: Any, token: str) -> Any:
    """Return what stands one step of a reference below a node; None where nothing does.

    RFC 6901: a number leads into an array (section 4), and a fragment may be percent-encoded (section 6), which few do.
    """
    if isinstance(node, list):
        return node[int(token)] if re.fullmatch(r"[0-9]{1,9}", token) and int(token) < len(node) else None
    if not isinstance(node, dict):
        return None
    return node[token] if token in node else node.get(unquote(token))


def _members(said: Mapping[str, Any]) -> Mapping[str, Any]:
    found = said.get("properties")
    return found if isinstance(found, dict) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
