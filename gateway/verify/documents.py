"""Reads records out of answers, and writes down what they hold so that it can be compared. Pure."""

import json
import re
from collections.abc import Iterator
from typing import Any

from gateway.vocab.record_form import MOLTIN, RecordForm
from gateway.vocab.refusals import Refusal
from gateway.wire.pointer import id_text, resolve
from gateway.wire.records import shown

# Times change by themselves, and two records of one moment share them.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?")
# APIs that count their records have numbers shorter than this.
_COUNTED = 8


def parse(body: bytes) -> Any:
    """Return the JSON of a body, None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def records(document: Any, form: RecordForm | None = None) -> list[dict[str, Any]]:
    """Return the records of an answer, one or many: where the form of its API says, else under `data`, or bare."""
    if form is not None:
        found = shown(document, form)
        return [] if isinstance(found, Refusal) else [one for one in found.records if isinstance(one, dict)]
    data = document["data"] if isinstance(document, dict) and "data" in document else document
    listed = data if isinstance(data, list) else [data]
    return [record for record in listed if isinstance(record, dict) and "errors" not in record]


def included(document: Any) -> list[dict[str, Any]]:
    """Return the records that came along."""
    found = document.get("included") if isinstance(document, dict) else None
    groups = found.values() if isinstance(found, dict) else [found]
    return [record for group in groups if isinstance(group, list) for record in group if isinstance(record, dict)]


def record_id(record: dict[str, Any], form: RecordForm = MOLTIN) -> str:
    """Return the id of a record, empty where it has none."""
    return id_text(resolve(record, form.id_at)) or ""


def is_counted(ident: str) -> bool:
    """Tell whether an id is a small number: others have it too, in other collections, and it stands in many a text."""
    return ident.isdecimal() and len(ident) < _COUNTED


def texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text in a value with its place, numbers left out."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from texts(part, f"{place}/{key}")
    elif isinstance(value, list):
        for part in value:
            yield from texts(part, place)


def is_moment(text: str) -> bool:
    """Tell whether a text is a date or a time."""
    return _MOMENT.fullmatch(text) is not None


def names(record: Any, *wanted: str) -> bool:
    """Tell whether one of the texts stands in the record as a whole value, or a canary within one."""
    found = {text for _, text in texts(record)}
    return not found.isdisjoint(wanted)


def holds(record: Any, part: str) -> bool:
    """Tell whether a text stands anywhere in a record."""
    return any(part in text for _, text in texts(record))


def written(record: Any) -> str:
    """Write a record in one spelling, times left out, so that two readings of it are equal or it has changed."""
    return json.dumps(_timeless(record), sort_keys=True, ensure_ascii=False)


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(part) for key, part in value.items() if key != "links"}
    if isinstance(value, list):
        return [_timeless(part) for part in value]
    return None if isinstance(value, str) and is_moment(value) else value


def encode(document: Any) -> bytes:
    """Write a document as a client does."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
