"""Where the records of an answer or a body stand, as far as its schema tells. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.drafting.operation import JSON_API, Operation
from gateway.drafting.schema import Document, Schema
from gateway.drafting.template import snake
from gateway.vocab.record_form import Tokens

# What lists call the array of their records, and what holds a single one, where several arrays or objects are there.
LISTS = ("data", "results", "items", "records", "content", "value", "values", "elements", "rows", "objects")
HOLDERS = ("data", "result", "item", "record", "attributes")
# What holds such an object or array in turn, as JSend's `data` does.
_ENVELOPES = ("data", "result", "response", "payload")
_IDS = ("id", "_id", "uuid", "guid", "pk")
# Where there is a count as well, that is of the page.
_TOTALS = ("total", "total_count", "totalCount", "totalElements", "total_results", "totalResults", "count")


@dataclass(frozen=True, slots=True)
class Places:
    """Where the records stand, what one of them is, and where a total stands beside a list."""

    at: Tokens
    is_list: bool
    record: Schema
    total_at: Tokens | None = None


def answer(document: Document, operation: Operation, *, expects_list: bool) -> Places | None:
    """Return where the records of an operation's answer stand; None where it shows none."""
    if operation.answer is None:
        return None
    return _places(document, operation.answer, _words(operation.path), expects_list=expects_list)


def _words(path: str) -> frozenset[str]:
    """Return what the records at a path are called: one of them, and many."""
    literals = [part for part in path.split("/") if part and "{" not in part]
    word = snake(literals[-1]) if literals else ""
    one = f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s")
    return frozenset({word, one}) - {""}


def _places(document: Document, schema: Schema, words: frozenset[str], *, expects_list: bool) -> Places | None:
    if schema.is_list:
        record = document.schema(schema.items)
        return Places((), is_list=True, record=record) if record.members else None
    if not schema.members:
        return None
    # A record with an id of its own is one, whatever arrays it holds: an order has items.
    if _has_id(schema) and not (expects_list and _array(document, schema, words)):
        return Places((), is_list=False, record=schema)
    array = _array(document, schema, words)
    one = _holder(document, schema, words)
    if array is not None and (expects_list or one is None):
        total = next((name for name in _TOTALS if name in schema.members), None)
        return Places((array[0],), is_list=True, record=array[1], total_at=None if total is None else (total,))
    if one is not None:
        return Places((one[0],), is_list=False, record=one[1])
    for name in _ENVELOPES:
        within = document.member(schema, name)
        inner = _places(document, within, words, expects_list=expects_list) if within and within.is_object else None
        if inner is not None and inner.at:
            beside = None if inner.total_at is None else (name, *inner.total_at)
            return Places((name, *inner.at), inner.is_list, inner.record, beside)
    # Without an id and without a part that has one, a record is the whole of it: a cart by its key.
    return None if expects_list else Places((), is_list=False, record=schema)


def body(document: Document, operation: Operation) -> Places | None:
    """Return where the record of an operation's body stands; None where it is not told."""
    schema = operation.body
    if schema is None or not schema.members:
        return None
    if set(schema.members) == {"data"}:
        inner = document.schema(schema.members["data"])
        if inner.members and not inner.is_list:
            return Places(("data",), is_list=False, record=inner)
    return Places((), is_list=False, record=schema)


def _chosen(found: Iterable[str], usual: tuple[str, ...], words: frozenset[str]) -> str | None:
    """Return which of several members holds records: by a usual name, by that of the path, or because it is alone."""
    names = [*found]
    known = [name for name in usual if name in names] or [name for name in names if snake(name) in words]
    return known[0] if known else names[0] if len(names) == 1 else None


def _array(document: Document, schema: Schema, words: frozenset[str]) -> tuple[str, Schema] | None:
    """Return the array of records of a list's answer, and what one of them is."""
    found: dict[str, Schema] = {}
    for name in schema.members:
        member = document.member(schema, name)
        if member is not None and member.is_list and member.items is not None:
            record = document.schema(member.items)
            if record.members:
                found[name] = record
    chosen = _chosen(found, LISTS, words)
    return None if chosen is None else (chosen, found[chosen])


def _holder(document: Document, schema: Schema, words: frozenset[str]) -> tuple[str, Schema] | None:
    """Return the member that is the record of an answer, and what that is."""
    found = {
        name: member
        for name in schema.members
        if (member := document.member(schema, name)) is not None and member.members and not member.is_list
    }
    chosen = _chosen((name for name in found if _has_id(found[name])), HOLDERS, words)
    return None if chosen is None else (chosen, found[chosen])


def _has_id(schema: Schema) -> bool:
    return id_name(schema) is not None


def id_name(record: Schema) -> str | None:
    """Return what a record calls its id."""
    return next((name for name in _IDS if name in record.members), None)


def preset_of(document: Document, operation: Operation, found: Places) -> str:
    """Return the preset that an answer speaks like."""
    schema = operation.answer or Schema()
    names = set(schema.members)
    if operation.media.startswith(JSON_API) or {"type", "attributes"} <= set(found.record.members):
        return "jsonapi"
    if {"count", "next", "previous", "results"} <= names:
        return "drf"
    meta = document.member(schema, "meta")
    if found.at == ("data",) and meta is not None and "results" in meta.members:
        return "moltin"
    return "rest"
