"""What stands beside the records of a judged answer: counts and links, held to what the customer may know. Pure."""

from math import ceil
from typing import Any

from gateway.vocab.messages import Json, Plan, Query
from gateway.vocab.refusals import Refusal
from gateway.wire.links import restored
from gateway.wire.target import parse_query, serialise

# Names of the API (docs/upstream.md section 4). Other counts, such as results.all, count everybody's records.
_PAGE = ("limit", "offset", "current", "total")
_LINKS = ("current", "first", "last", "next", "prev", "self")
# What asks for a page, in this API and in others: sizes, places of the first record, and numbers of pages.
_SIZES = ("page[limit]", "page[size]", "limit", "per_page", "page_size", "pageSize", "_limit")
_OFFSETS = ("page[offset]", "offset", "_start")
_NUMBERS = ("page[number]", "page", "p", "_page")
PAGE_NAMES = frozenset((*_SIZES, *_OFFSETS, *_NUMBERS))


def judged_members(document: Json, plan: Plan, query: frozenset[str], public_url: str, *, has_included: bool) -> Json:
    """Return of JSON:API's top level what was judged or can hold no record: records, counts of them, and links.

    `query` are the parameters that a client may send on this route; links lead to `public_url`.
    """
    records = document["data"]
    judged: Json = {"data": records}
    if has_included and "included" in document:
        judged["included"] = document["included"]
    meta, links = document.get("meta"), document.get("links")
    if isinstance(meta, dict) and isinstance(records, list):
        judged["meta"] = _counts(meta, records, plan.asked) if meta else {}
    if isinstance(links, dict):
        judged["links"] = _links(links, plan, query, public_url) if links else {}
    return judged


def _links(given: Json, plan: Plan, query: frozenset[str], public_url: str) -> Json:
    links: Json = {}
    made: dict[str, str | None] = {}
    for name in _LINKS:
        if name in given:
            link = given[name]
            # Of a single page the first is also the current and the last one: made once, it saves 10 us of 15.
            if isinstance(link, str) and link not in made:
                made[link] = page_link(link, plan, query, public_url)
            links[name] = made[link] if isinstance(link, str) else None
    return links


def _counts(meta: Json, records: list[Any], asked: Query) -> Json:
    """Rebuild page and results, counting no more than the customer can have seen or may still ask for."""
    given = meta.get("page")
    page = {name: given[name] for name in _PAGE if _is_count(given.get(name))} if isinstance(given, dict) else {}
    results = meta.get("results")
    total = results.get("total") if isinstance(results, dict) else None
    if not _is_count(total):
        total = None
    limit, offset = page.get("limit"), page.get("offset")
    if not limit or offset is None:
        asked_limit, asked_offset = page_asked(asked)
        limit, offset = limit or asked_limit, asked_offset if offset is None else offset
    total = None if total is None else bounded(total, limit, offset, len(records))
    if "total" in page:
        del page["total"]
        if total is not None and limit:
            page["total"] = ceil(total / limit)
    counts: Json = {"page": page} if page else {}
    if total is not None:
        counts["results"] = {"total": total}
    return counts


def page_asked(asked: Query) -> tuple[int | None, int]:
    """Return how many records a page has and which is its first, as the client asked."""
    said = dict(asked)
    if not said:
        return None, 0
    limit, offset, number = (
        next((found for name in names if (found := _number(said.get(name))) is not None), None)
        for names in (_SIZES, _OFFSETS, _NUMBERS)
    )
    if offset is None:
        offset = (number - 1) * limit if number and limit else 0
    return limit, offset


def bounded(total: int, limit: int | None, offset: int, count: int) -> int | None:
    """Return a total that counts no more than the customer can have seen or may still ask for.

    A page of `count` records that is not full is the last one: the records before it and on it are all there are. Of a
    page behind the end only that much is known, that it is empty: None.
    """
    if limit and count >= limit:
        return total
    return None if offset > 0 and not count else min(total, offset + count)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and len(text) <= 9 else None  # noqa: PLR2004 - fits any int


def page_link(link: str, plan: Plan, query: frozenset[str], public_url: str) -> str | None:
    """Return a link to a page of the same list, asking what the client asked; None where it leads elsewhere.

    It is made anew, of the gateway's address, the request's path, and parameters that the client sent or that are
    numbers: whatever else an upstream writes there may be somebody's.
    """
    place, mark, text = link.partition("?")
    if not place.endswith(plan.path):
        return None
    pairs = parse_query(text) if mark else ()
    if isinstance(pairs, Refusal):
        return None
    # With our own clause in it the next page would be refused, as would be a parameter that the route does not list.
    kept = restored(pairs, sent=plan.query, asked=plan.asked)
    for name, value in kept:
        if name not in query or ((name, value) not in plan.asked and _number(value) is None):
            return None
    return public_url + serialise(plan.path, kept)
