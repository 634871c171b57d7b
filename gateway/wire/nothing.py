"""Nothing, as back ends of several languages spell it in JSON. Pure.

Go writes an empty list as null, and others show `[]` where there is no record.
"""

from typing import Any, Final

_OK: Final = 200
BESIDE: Final = frozenset({"data", "jsonapi", "links", "meta"})
"""What may stand beside no record without being one (JSON:API 1.1, "Top Level")."""


def is_nothing(value: object) -> bool:
    """Tell whether a value stands for no record: null, or an array without one."""
    return value is None or value == []


def tells_nothing(status: int, document: Any) -> bool:
    """Tell whether an answer of JSON:API's shape says plainly that there is nothing.

    Only a 200 that reports no error does: what is missing from any other answer is missing.
    """
    return _tells(status, document) and is_nothing(document["data"])


def with_list(status: int, document: Any) -> Any:
    """Return an answer that should hold a list, an empty one written out where null stands for it."""
    if not _tells(status, document) or document["data"] is not None:
        return document
    return {**document, "data": []}


def _tells(status: int, document: Any) -> bool:
    if status != _OK or not isinstance(document, dict) or "data" not in document:
        return False
    # Errors, included records, or a record that stands beside the envelope: more than nothing is said.
    return not any(value for name, value in document.items() if name not in BESIDE)
