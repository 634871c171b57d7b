"""Reads an OpenAPI document to plain data: JSON, or YAML whose scalars stay text. Pure.

It does not know what the keys mean. Nothing of a document is executed, looked up elsewhere, or read without a bound:
PyYAML makes only its events, for its composers go as deep as a stranger wants.
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
_LOADER = yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader
# Where a document shows what data look like; a `$ref` in there is data.
_SHOWN = frozenset({"example", "examples", "default", "enum", "const"})
SHOWN_REFERENCE = 80


class UnfitDocumentError(Exception):
    """No routing file can be made of a document; the text is one line that says why."""


def parse(raw: bytes) -> dict[str, Any]:
    """Return what a document says. Raises UnfitDocumentError where it is none, is too large, or refers elsewhere."""
    if len(raw) > LIMIT:
        raise UnfitDocumentError(f"it is larger than {LIMIT // 1024 // 1024} MiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnfitDocumentError("it is not UTF-8 text") from None
    document = _json(text) if text.lstrip()[:1] == "{" else _yaml(text)
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


def _yaml(text: str) -> Any:
    try:
        return _built(yaml.parse(text, Loader=_LOADER))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "a character that YAML does not have"
        raise UnfitDocumentError(f"it is broken YAML{place}: {' '.join(str(problem).split())}") from None


def _built(events: Any) -> Any:
    """Build plain data of YAML's events. Aliases share what they name."""
    root: list[Any] = []
    # Each open collection, the key that waits for its value, and the anchor.
    open_ones: list[tuple[Any, str | None]] = [(root, None)]
    keys: list[str | None] = [None]
    anchors: dict[str, Any] = {}
    for count, event in enumerate(events):
        if count > VALUE_LIMIT:
            raise UnfitDocumentError(f"it has more than {VALUE_LIMIT} values")
        if isinstance(event, DocumentStartEvent) and root:
            raise UnfitDocumentError("it holds more than one YAML document")
        if isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            value, anchor = open_ones.pop()
            keys.pop()
            if anchor is not None:
                anchors[anchor] = value
            continue
        value = _value(event, anchors)
        if value is _NOTHING:
            continue
        holder = open_ones[-1][0]
        if isinstance(holder, list):
            holder.append(value)
        elif keys[-1] is not None:
            holder[keys[-1]] = value
            keys[-1] = None
        elif isinstance(value, str):
            keys[-1] = value
        else:
            raise UnfitDocumentError(f"it is broken YAML at line {event.start_mark.line + 1}: a key that is no text")
        if isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            open_ones.append((value, event.anchor))
            keys.append(None)
            if len(open_ones) > DEPTH_LIMIT:
                raise UnfitDocumentError("it nests too deep")
        elif isinstance(event, ScalarEvent) and event.anchor is not None:
            anchors[event.anchor] = value
    return root[0] if root else None


_NOTHING = object()


def _value(event: Event, anchors: dict[str, Any]) -> Any:
    if isinstance(event, MappingStartEvent):
        return {}
    if isinstance(event, SequenceStartEvent):
        return []
    if isinstance(event, ScalarEvent):
        return event.value
    if isinstance(event, AliasEvent):
        # An anchor is known once it is closed: what stands in itself is circular.
        if event.anchor not in anchors:
            raise UnfitDocumentError(f"it is circular, or broken, at line {event.start_mark.line + 1}: an unknown alias")
        return anchors[event.anchor]
    return _NOTHING


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
