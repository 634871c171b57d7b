"""Reads an OpenAPI document to plain data: JSON, or YAML whose scalars stay text. Pure.

It does not know what the keys mean. Nothing of a document is executed, looked up elsewhere, or read without a bound:
PyYAML makes its events only, for its composers follow a stranger as deep as the stack reaches, and beyond.
"""

from typing import Any

import msgspec
import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

# The largest documents of shops that we know have 7 MB.
LIMIT = 16 * 1024 * 1024
# They nest about 30 levels deep.
DEPTH_LIMIT = 200
# About 30 s of PyYAML without libyaml.
VALUE_LIMIT = 1_000_000
LOADER = yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader
# Where a document shows what data look like; a `$ref` in there is data.
_SHOWN = frozenset({"example", "examples", "default", "enum", "const"})
SHOWN_REFERENCE = 80


class UnfitDocumentError(Exception):
    """No routing file can be made of a document; the text is one line that says why."""


def parse(raw: bytes, loader: Any = LOADER) -> dict[str, Any]:
    """Return what a document says. Raises UnfitDocumentError where it is none, is too large, or refers elsewhere."""
    if len(raw) > LIMIT:
        raise UnfitDocumentError(f"it is larger than {LIMIT // 1024 // 1024} MiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnfitDocumentError("it is not UTF-8 text") from None
    document = _json(text) if text.lstrip()[:1] == "{" else _yaml(text, loader)
    if not isinstance(document, dict):
        raise UnfitDocumentError("it is not an OpenAPI document: there are no keys in it")
    _bounded(document)
    return document


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        what = "it nests too deep" if isinstance(error, RecursionError) else f"it is broken JSON: {error}"
        raise UnfitDocumentError(what) from None


def _yaml(text: str, loader: Any) -> Any:
    try:
        builder = _Builder()
        for count, event in enumerate(yaml.parse(text, Loader=loader)):
            if count > VALUE_LIMIT:
                raise UnfitDocumentError(f"it has more than {VALUE_LIMIT} values")
            builder.take(event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "a character that YAML does not have"
        raise UnfitDocumentError(f"it is broken YAML{place}: {' '.join(str(problem).split())}") from None
    return builder.root[0] if builder.root else None


class _Builder:
    """Builds plain data of YAML's events; an alias shares what it names."""

    def __init__(self) -> None:
        self.root: list[Any] = []
        # What is open, outermost first; in a mapping the key that waits for its value; and the anchor of each.
        self._open: list[Any] = [self.root]
        self._keys: list[str | None] = [None]
        self._names: list[str | None] = [None]
        self._anchors: dict[str, Any] = {}

    def take(self, event: Event) -> None:
        """Take the next event."""
        if isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            value, name = self._open.pop(), self._names.pop()
            self._keys.pop()
            if name is not None:
                self._anchors[name] = value
        elif isinstance(event, DocumentStartEvent) and self.root:
            raise UnfitDocumentError("it holds more than one YAML document")
        elif isinstance(event, ScalarEvent):
            self._put(event.value, event)
            if event.anchor is not None:
                self._anchors[event.anchor] = event.value
        elif isinstance(event, AliasEvent):
            # A name is known once what it names is closed: what stands in itself is circular.
            if event.anchor not in self._anchors:
                raise UnfitDocumentError(f"it is circular, or broken, at {_line(event)}: an unknown alias")
            self._put(self._anchors[event.anchor], event)
        elif isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            value = {} if isinstance(event, MappingStartEvent) else []
            self._put(value, event)
            self._open.append(value)
            self._keys.append(None)
            self._names.append(event.anchor)
            if len(self._open) > DEPTH_LIMIT:
                raise UnfitDocumentError("it nests too deep")

    def _put(self, value: Any, event: Event) -> None:
        holder, key = self._open[-1], self._keys[-1]
        if isinstance(holder, list):
            holder.append(value)
        elif key is not None:
            holder[key] = value
            self._keys[-1] = None
        elif isinstance(value, str):
            self._keys[-1] = value
        else:
            raise UnfitDocumentError(f"it is broken YAML at {_line(event)}: a key that is no text")


def _line(event: Event) -> str:
    return f"line {event.start_mark.line + 1}" if event.start_mark is not None else "some line"


def _bounded(document: dict[str, Any]) -> None:
    """Refuse what has too many values, aliases counted, is too deep, or refers to another document."""
    waiting: list[tuple[Any, int]] = [(document, 0)]
    count = 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count > VALUE_LIMIT:
            raise UnfitDocumentError(f"it has more than {VALUE_LIMIT} values")
        if depth > DEPTH_LIMIT:
            raise UnfitDocumentError("it nests too deep")
        if isinstance(value, dict):
            refuse_remote(value)
            waiting += ((item, depth + 1) for key, item in value.items() if not _is_shown(key))
        elif isinstance(value, list):
            waiting += ((item, depth + 1) for item in value)


def _is_shown(key: str) -> bool:
    return key in _SHOWN or key.startswith("x-")


def refuse_remote(value: dict[str, Any]) -> None:
    """Refuse an object that is a reference to another document: nothing is fetched but what was asked for."""
    reference = value.get("$ref")
    if isinstance(reference, str) and not reference.startswith("#"):
        shown = plain_text(reference, SHOWN_REFERENCE)
        raise UnfitDocumentError(f"it refers to another document ($ref: {shown}): bundle them into one file first")


def plain_text(text: object, limit: int) -> str:
    """Return a stranger's text as part of one line: printable, of at most `limit` characters."""
    whole = " ".join("".join(char if char.isprintable() else " " for char in str(text)).split())
    return whole if len(whole) <= limit else whole[: limit - 3].rstrip() + "..."
