"""Lists of the demo API: filter, sort, page and absolute links; it knows no resource."""

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from gateway.demo.answers import Call, ShopAnswer, ShopError, json_answer
from gateway.demo.filters import FIELDS, Filter, FilterError
from gateway.demo.state import State
from gateway.vocab.messages import Json

# The upstream's documented numbers: 25 records without page[limit], 100 at most, no offset above 10 000.
DEFAULT_LIMIT = 25
MOST = 100
DEEPEST_OFFSET = 10_000
# Letters the real API leaves as they are in its links, brackets included.
LINK_SAFE = "()*,:|@-._$[]/"


def listed(
    state: State,
    call: Call,
    kind: str,
    records: Iterable[Json],
    included: Callable[[list[Json]], Json] | None = None,
) -> ShopAnswer:
    """Answer a list: filtered, then sorted, then cut to the page."""
    chosen = _sorted(call, kind, _filtered(call, kind, records))
    limit = min(_number(call, "page[limit]", DEFAULT_LIMIT, 1), MOST)
    offset = _number(call, "page[offset]", 0, 0)
    if offset > DEEPEST_OFFSET:
        raise ShopError(400, f"page[offset] must not be above {DEEPEST_OFFSET}")
    page = chosen[offset : offset + limit]
    total = len(chosen)
    last = max(total - 1, 0) // limit * limit
    document: Json = {
        "data": page,
        "meta": {
            "page": {
                "limit": limit,
                "offset": offset,
                "current": offset // limit + 1,
                "total": last // limit + 1,
            },
            "results": {"total": total},
        },
        "links": {
            "current": _link(state, call, limit, offset),
            "first": _link(state, call, limit, 0),
            "last": _link(state, call, limit, last),
            "prev": _link(state, call, limit, max(offset - limit, 0)) if offset > 0 else None,
            "next": _link(state, call, limit, offset + limit) if offset + limit < total else None,
        },
    }
    if included is not None:
        document["included"] = included(page)
    return json_answer(document)


def _filtered(call: Call, kind: str, records: Iterable[Json]) -> list[Json]:
    text = call.parameter("filter")
    if text is None:
        return list(records)
    try:
        wanted = Filter(text, kind)
    except FilterError as error:
        raise ShopError(400, str(error)) from None
    return [record for record in records if wanted.accepts(record)]


def _sorted(call: Call, kind: str, records: list[Json]) -> list[Json]:
    """Sort by the parameter; newest first without one, as the upstream does."""
    text = call.parameter("sort") or "-created_at"
    name = text.removeprefix("-")
    path = FIELDS[kind].get(name)
    if path is None:
        if call.parameter("sort"):
            raise ShopError(400, f"Cannot sort by [{name}]")
        return records
    return sorted(records, key=lambda record: _key(record, path), reverse=text.startswith("-"))


def _key(record: Json, path: str) -> tuple[float, str]:
    value: Any = record
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return (value, "") if isinstance(value, int | float) else (0.0, str(value or ""))


def _number(call: Call, name: str, default: int, least: int) -> int:
    text = call.parameter(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
        raise ShopError(400, f"{name} must be a whole number, at least {least}")
    return int(text)


def _link(state: State, call: Call, limit: int, offset: int) -> str:
    rest = [(name, value) for name, value in call.query if not name.startswith("page[")]
    pairs = [*rest, ("page[limit]", str(limit)), ("page[offset]", str(offset))]
    return f"{state.base_url}{call.path}?" + "&".join(
        f"{quote(name, safe=LINK_SAFE)}={quote(value, safe=LINK_SAFE)}" for name, value in pairs
    )
