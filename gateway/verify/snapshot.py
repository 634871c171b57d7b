"""What B has, before and after: a record that changed, went away or came is a leak in the other direction. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.verify.documents import record_id, written
from gateway.vocab.record_form import MOLTIN, RecordForm

Snapshot = Mapping[tuple[str, str], str]
"""Every record of B by (path it was read at, id), in one spelling."""


class What(StrEnum):
    """What became of a record."""

    CHANGED = "changed"
    GONE = "gone"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Change:
    """One record that is not as it was; `text` is how it is now."""

    what: What
    path: str
    id: str
    text: str = ""


def taken(
    path: str,
    found: Iterable[dict[str, Any]],
    is_own: Callable[[dict[str, Any]], bool],
    form: RecordForm = MOLTIN,
) -> dict[tuple[str, str], str]:
    """Write down those records of one answer that are B's."""
    own = ((place, record) for place, record in enumerate(found) if is_own(record))
    return {(path, record_id(record, form) or str(place)): written(record) for place, record in own}


def compare(before: Snapshot, after: Snapshot, read: Iterable[str]) -> list[Change]:
    """Return what changed, each record once. Paths that could not be read (not in `read`) say nothing."""
    readable = set(read)
    changes: dict[str, Change] = {}
    for place, text in before.items():
        path, ident = place
        if path not in readable:
            continue
        now = after.get(place)
        if now is None:
            changes[ident] = Change(What.GONE, path, ident)
        elif now != text:
            changes.setdefault(ident, Change(What.CHANGED, path, ident, now))
    for (path, ident), text in after.items():
        if (path, ident) not in before:
            changes.setdefault(ident, Change(What.NEW, path, ident, text))
    return list(changes.values())
