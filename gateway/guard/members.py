"""What stands beside the records of a judged answer: counts and links, held to what the customer may know. Pure."""

from functools import lru_cache
from math import ceil
from typing import Any

from msgspec import UNSET

from gateway.vocab.messages import Json, Plan, Query
from gateway.vocab.record_form import RecordForm, Shown, Tokens
from gateway.vocab.refusals import Refusal
from gateway.wire.links import restored
from gateway.wire.pointer import placed, resolve
from gateway.wire.target import parse_query, serialise

_PAGE = ("limit", "offset", "current", "total")
# The link that says that there is another page.
_MORE = "next"
# What asks for a page, in this API and in others: sizes, places of the first record, and numbers of pages.
_SIZES = ("page[limit]", "page[size]", "limit", "per_page", "page_size", "pageSize", "_limit")
_OFFSETS = ("page[offset]", "offset", "_start")
_NUMBERS = ("page[number]", "page", "p", "_page")
PAGE_NAMES = frozenset((*_SIZES, *_OFFSETS, *_NUMBERS))


def judged_members(document: Any, shown: Shown, plan: Plan, query: frozenset[str], public_url: str) -> Any:
    """Return of a document what was judged or can hold no record: records, counts of them, and links.

    `query` are the parameters that a client may send on this route; links lead to `public_url`.
    """
    form, is_list = shown.form, shown.is_list
    is_in_array = not is_list and form.is_only_of_list
    place = form.list_at if is_list or is_in_array else form.record_at
    content: Any = shown.records if is_list or is_in_array else shown.records[0]
    if not place:
        return content
    judged: Json = {place[0]: content} if len(place) == 1 else placed(None, place, content)
    if shown.included is not UNSET:
        judged["included"] = shown.included
    has_more = None
    if form.links_at is not None and (is_list or form.links_at):
        links = resolve(document, form.links_at)
        if isinstance(links, dict):
            made = _links(links, form.link_names, plan, query, public_url) if links else {}
            has_more = made.get(_MORE) is not None
            if form.links_at:
                _put(judged, form.links_at, made)
            else:
                judged.update(made)
    if is_list:
        _count(document, judged, shown, plan.asked, has_more=has_more)
    return judged


def _put(judged: Json, place: Tokens, value: Any) -> None:
    """Put a value at a place, which is not the document itself; objects on the way are made."""
    if len(place) > 1:
        for token in place[:-1]:
            judged = judged.setdefault(token, {})
    judged[place[-1]] = value


def _links(given: Json, names: tuple[str, ...], plan: Plan, query: frozenset[str], public_url: str) -> Json:
    links: Json = {}
    made: dict[str, str | None] = {}
    for name in names:
        if name in given:
            link = given[name]
            # Of a single page the first is also the current and the last one: made once, it saves 10 us of 15.
            if isinstance(link, str) and link not in made:
                made[link] = page_link(link, plan, query, public_url)
            links[name] = made[link] if isinstance(link, str) else None
    return links


def _count(document: Any, judged: Json, shown: Shown, asked: Query, *, has_more: bool | None) -> None:
    """Rebuild page and total, counting no more than the customer can have seen or may still ask for."""
    form = shown.form
    page_at, total_at = form.page_at, form.total_at
    page = {} if page_at is None else _page(resolve(document, page_at))
    limit, offset = page.get("limit"), page.get("offset")
    total = None if total_at is None else _total(resolve(document, total_at), shown, asked, limit, offset, has_more)
    if "total" in page:
        del page["total"]
        if total is not None and (limit := limit or page_asked(asked, form.page_size)[0]):
            page["total"] = ceil(total / limit)
    if page and page_at:
        _put(judged, page_at, page)
    if total is not None and total_at:
        _put(judged, total_at, total)
    if not page or total is None:
        # An object that could hold counts stays, without what is no count.
        for top in _tops(form):
            if isinstance(document.get(top), dict):
                judged.setdefault(top, {})


def _total(
    said: Any,
    shown: Shown,
    asked: Query,
    limit: int | None,
    offset: int | None,
    has_more: bool | None,  # noqa: FBT001
) -> int | None:
    """Return how many records a list has, as far as the customer may know; None where nobody says."""
    if not _is_count(said):
        return None
    count = len(shown.records)
    if not limit or offset is None:
        asked_limit, asked_offset = page_asked(asked, shown.form.page_size, said, count)
        limit, offset = limit or asked_limit, asked_offset if offset is None else offset
    return bounded(said, limit, offset, count, has_more=has_more)


def _page(given: Any) -> Json:
    """Return what is a count in an object that says which page of a list this is."""
    return {name: given[name] for name in _PAGE if _is_count(given.get(name))} if isinstance(given, dict) else {}


@lru_cache(maxsize=64)
def _tops(form: RecordForm) -> frozenset[str]:
    """Return the members of a document that are objects with counts in them."""
    return frozenset(place[0] for place in (form.page_at, form.total_at) if place and len(place) > 1)


def page_asked(
    asked: Query, page_size: int | None = None, total: int | None = None, count: int = 0
) -> tuple[int | None, int | None]:
    """Return how many records a page has and which is its first, as the client asked; None where nobody knows.

    `page_size` is how many there are where a client does not say. Without it the size of a page behind the first is the
    one that fits a `total`, of whose records the last `count` are on this page.
    """
    limit, offset, number = _page_words(asked)
    limit = limit or page_size
    if offset is not None:
        return limit, offset
    before = (number or 1) - 1
    if limit or not before:
        return limit, before * (limit or 0)
    size, rest = divmod((total or 0) - count, before)
    return limit, before * size if not rest and size >= count else None


# A shop's pages ask for the same few pages of lists (saves 3 us of 4); 2 MiB at most, for targets may be long.
@lru_cache(maxsize=64)
def _page_words(asked: Query) -> tuple[int | None, int | None, int | None]:
    """Return which size, place of the first record, and number of a page a query says."""
    said = dict(asked)
    limit, offset, number = (
        next((found for name in names if (found := _number(said.get(name))) is not None), None)
        for names in (_SIZES, _OFFSETS, _NUMBERS)
    )
    return limit, offset, number


def bounded(
    total: int, limit: int | None, offset: int | None, count: int, *, has_more: bool | None = None
) -> int | None:
    """Return a total that counts no more than the customer can have seen or may still ask for.

    A page of `count` records that is not full is the last one: the records before it and on it are all there are. Of a
    page behind the end only that much is known, that it is empty: None. Where nobody says how many records a page has,
    `has_more` says whether there is another one, and of the last of several pages (`offset` None) nothing is known.
    """
    if (limit and count >= limit) or (not limit and has_more):
        return total
    return None if offset is None or (offset > 0 and not count) else min(total, offset + count)


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
