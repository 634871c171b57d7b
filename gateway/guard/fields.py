"""The header lines that leave with a judged answer: none says more than the body that was judged. Pure.

The upstream's lines about its own bytes end here, for a judged body is always written anew.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from msgspec import Struct

from gateway.guard.members import PAGE_NAMES, bounded, page_asked, page_link
from gateway.vocab.messages import Answer, Headers, Plan
from gateway.vocab.policy import Route
from gateway.vocab.record_form import Shown
from gateway.wire.headers import first, for_client, values
from gateway.wire.links import LinkRewriter

# What is read of an answer's head. `content-encoding` is undone.
_READ = frozenset({
    "content-encoding", "content-range", "content-type", "etag", "last-modified", "link", "preference-applied",
    "x-total-count",
})  # fmt: skip
_PLAIN: Final[Headers] = (("content-type", "application/json"),)
# RFC 6838 section 4.2, and the one parameter that JSON is sent with.
_TYPE = re.compile(
    r"application/(?:[a-z0-9][a-z0-9!#$&^_.-]{0,63}\+)?json(?:[ \t]*;[ \t]*charset=\"?utf-?8\"?)?", re.IGNORECASE
)
# RFC 9110 section 14.4, and the form without a unit that some frameworks send with lists.
_CONTENT_RANGE = re.compile(
    r"(?P<unit>[A-Za-z][\w-]* )?(?:(?P<first>\d{1,9})-\d{1,9}|\*)/(?P<total>\d{1,15}|\*)", re.ASCII
)
# Read in one go, as in wire/links.py.
_LINK = re.compile(r'<([^<>]*)>((?:"(?:[^"\\]|\\.?)*+"?|[^",<])*+)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([a-z ]+)"|([a-z]+))', re.IGNORECASE)
_RELS = frozenset({"current", "first", "last", "next", "prev", "previous", "self"})
_MOST_LINKS = 10


class Fields(Struct, frozen=True):
    """One answer, and by what it is told which lines of its head leave, and how.

    Unless the route `is_open` to the caller, the validators of a list do not leave: they may change with records that
    are not in it.
    """

    answer: Answer
    route: Route
    plan: Plan
    links: LinkRewriter
    is_open: bool

    def leaving(self, document: object, shown: Shown | None = None) -> Headers:
        """Return the lines that leave with `document`, which was judged; none where it is plain JSON and that is all.

        `shown` are its records. None is an answer without a body.
        """
        lines = read(self.answer, self.route)
        connection = tuple(line for line in self.answer.headers if line[0] == "connection")
        passing = for_client((*lines, *connection))
        beside = [line for name, value in passing for line in self._leaving(name, value, shown)]
        if document is None:
            return tuple(beside)
        kind = of_type(tuple(line for line in lines if line[0] == "content-type"))
        return (*(kind or _PLAIN), *beside) if beside else kind

    def owes_tag(self, shown: Shown | None) -> bool:
        """Tell whether what was judged is a list that gets a tag of our own making instead of the upstream's."""
        # A write is done: no condition of its request says anything of it any more.
        is_judged_list = self.plan.method == "GET" and not self.is_open and shown is not None and shown.is_list
        return is_judged_list and first(self.answer.headers, "etag") is not None

    def _leaving(self, name: str, value: str, shown: Shown | None) -> Iterator[tuple[str, str]]:
        is_list = shown is not None and shown.is_list
        count = len(shown.records) if shown is not None and is_list else 1
        has_validators = self.is_open or not is_list
        match name:
            case "etag" if has_validators:
                yield name, self.links.tags.marked(value)
            case "last-modified" if has_validators:
                yield name, value
            case "preference-applied":
                yield name, value
            case "content-range":
                if (counted := self._content_range(value, count)) is not None:
                    yield name, counted
            case "x-total-count":
                if (total := self._total(value, None, count)) is not None:
                    yield name, str(total)
            case "link":
                yield from ((name, link) for link in self._links(value))
            case _ if name in self.route.answer_headers and name not in _READ:
                yield name, self.links.reference(value)

    def _links(self, value: str) -> list[str]:
        return _links(value, self.plan, self.route, self.links.public_url)

    def _total(self, text: str, start: int | None, count: int) -> int | None:
        if not re.fullmatch(r"\d{1,15}", text, re.ASCII):
            return None
        limit, offset = page_asked(self.plan.asked, self.route.form.page_size, int(text), count)
        # A link to another page is the upstream's word alone, and so no proof that a count is the customer's.
        return bounded(int(text), limit, offset if start is None else start, count)

    def _content_range(self, value: str, count: int) -> str | None:
        """Return the range of what was judged; None for ranges of bytes, and what is no range."""
        found = _CONTENT_RANGE.fullmatch(value)
        if found is None or (found["unit"] or "").strip().lower() == "bytes":
            return None
        start = int(found["first"] or 0)
        total = self._total(found["total"], start if found["first"] else None, count)
        span = f"{start}-{start + count - 1}" if found["first"] and count else "*"
        return f"{found['unit'] or ''}{span}/{'*' if total is None else total}"


def read(answer: Answer, route: Route) -> Headers:
    """Pick the lines of an answer's head that are read at all."""
    names = _names(route.answer_headers) if route.answer_headers else _READ
    return tuple([line for line in answer.headers if line[0] in names])


@lru_cache(maxsize=64)
def of_type(lines: Headers) -> Headers:
    """Return the line that says the media type of a judged body; none where it is plain JSON.

    A parameter could say anything of anybody; only the charset leaves.
    """
    kinds = values(lines, "content-type")
    kind = kinds[0] if len(kinds) == 1 else ""
    if not _TYPE.fullmatch(kind):
        kind = kind.partition(";")[0].strip()
    return (("content-type", kind),) if _TYPE.fullmatch(kind) and kind.lower() != "application/json" else ()


@lru_cache(maxsize=256)
def _names(listed: frozenset[str]) -> frozenset[str]:
    return _READ | listed


def _links(value: str, plan: Plan, route: Route, public_url: str) -> list[str]:
    """Return the links to pages of the same list, made anew.

    Numbers of pages leave although the route may not list their parameter: that the gateway refuses the next page then
    is noticed, and a list that ends too soon is not.
    """
    made = []
    for found in list(_LINK.finditer(value))[:_MOST_LINKS]:
        rel = _REL.search(found[2])
        relation = (rel[1] or rel[2]).lower() if rel else ""
        target = plan.path + found[1] if found[1].startswith("?") else found[1]
        link = page_link(target, plan, (route.query or frozenset()) | PAGE_NAMES, public_url)
        if relation in _RELS and link is not None:
            made.append(f'<{link}>; rel="{relation}"')
    return made
