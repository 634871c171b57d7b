"""Nothing, as back ends of several languages spell it in JSON. Pure.

Go writes an empty list as null, and others show `[]` where there is no record.
"""

from functools import lru_cache
from typing import Any, Final

from gateway.vocab.record_form import RecordForm
from gateway.wire.pointer import MISSING, placed, resolve

_OK: Final = 200
# What JSON:API lets stand beside its records without being one (1.1, "Top Level").
_BESIDE: Final = frozenset({"jsonapi", "links", "meta"})


@lru_cache(maxsize=64)
def beside(form: RecordForm) -> frozenset[str]:
    """Return the members of a list's document that hold no record: counts, links, and the list itself."""
    links = form.link_names if form.links_at == () else (form.links_at or ())[:1]
    tops = [place[0] for place in (form.list_at, form.total_at, form.page_at) if place]
    return _BESIDE | {*tops, *links}


def is_nothing(value: object) -> bool:
    """Tell whether a value stands for no record: null, or an array without one."""
    return value is None or value == []


def tells_nothing(status: int, document: Any, form: RecordForm) -> bool:
    """Tell whether an answer says plainly that there is nothing.

    Only a 200 that reports no error does: what is missing from any other answer is missing.
    """
    return is_nothing(resolve(document, form.list_at)) and _tells(status, document, form)


def with_list(status: int, document: Any, form: RecordForm) -> Any:
    """Return an answer that should hold a list, an empty one written out where null stands for it."""
    if resolve(document, form.list_at) is not None or not _tells(status, document, form):
        return document
    return placed(document, form.list_at, [])


def _tells(status: int, document: Any, form: RecordForm) -> bool:
    if status != _OK or resolve(document, form.list_at) is MISSING:
        return False
    # Errors, included records, or a record that stands beside the envelope: more than nothing is said.
    others = document.items() if form.list_at else ()
    return not any(value for name, value in others if name not in beside(form))
