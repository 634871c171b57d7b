"""Header lines of judged answers: they say no more than the body beside them."""

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.guard.core import judge
from gateway.guard.rules.owner import Owner
from gateway.vocab.messages import Answer, Checked, Headers, Plan, Query
from gateway.vocab.policy import Access, Route
from gateway.vocab.record_form import PRESETS
from gateway.vocab.refusals import Refusal
from gateway.wire.links import LinkRewriter
from tests.guard.judging import WHOSE, order

GUARDED = Access(guards=(Owner(pointer="/relationships/customer/data/id"),))
OPEN = Access()
QUERY = frozenset({"filter", "page[limit]", "page[offset]"})
LISTED = frozenset({"x-rate", "x-where", "etag", "content-encoding"})
ROUTE = Route("orders", "/v2/orders", frozenset({"GET"}), {}, query=QUERY, answer_headers=LISTED)
BARE = replace(ROUTE, form=PRESETS["rest"])
LINKS = LinkRewriter(("http://up/api",), "https://gw")
TYPE = ("content-type", "application/json")
CHANGED = ("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT")
TAG = ("etag", '"v1"')
MARKED = ("etag", LINKS.tags.marked('"v1"'))


def checked(
    *headers: tuple[str, str],
    data: Any = None,
    status: int = 200,
    access: Access = GUARDED,
    route: Route = ROUTE,
    kind: tuple[str, str] | None = TYPE,
    **plan: Any,
) -> Checked:
    """Judge an answer that may leave."""
    document = order() if data is None else data
    body = b"" if status in {204, 304} else json.dumps(document if route is BARE else {"data": document}).encode()
    lines = headers if kind is None else (kind, *headers)
    planned = Plan(**{"method": "GET", "path": "/v2/orders", **plan})
    judged = judge(
        route, access, planned, WHOSE, Answer(status, lines, body), LINKS, is_proven=bool(planned.conditions)
    )
    assert isinstance(judged, Checked), judged
    return judged


def beside(*headers: tuple[str, str], **answer: Any) -> Headers:
    """Return the lines that leave, without the media type."""
    return tuple(line for line in checked(*headers, **answer).headers if line[0] != "content-type")


@pytest.mark.parametrize(
    "kind",
    [
        "application/vnd.api+json",
        "application/hal+json; charset=utf-8",
        "application/json; charset=UTF8",
        "application/json; charset=utf-8",
        "application/problem+json",
        "Application/Vnd.Shop.v2+JSON;charset=UTF-8",
    ],
)
def test_the_media_type_stays(kind: str) -> None:
    """A client that speaks JSON:API or HAL is answered in it."""
    assert checked(kind=("content-type", kind)).headers == (("content-type", kind),)
    assert checked(TAG, kind=("content-type", kind)).headers == (("content-type", kind), MARKED)


def test_plain_json_needs_no_word() -> None:
    """What nearly every answer is; a media type that cannot be told is plain JSON as well."""
    assert checked().headers == ()
    assert checked(("server", "x"), ("content-encoding", "identity")).headers == ()
    assert checked(kind=("content-type", "Application/JSON")).headers == ()


@pytest.mark.parametrize(
    "parameters", ["; for=leslie@swanson.example", '; profile="x"', "; charset=utf-8; a=b", ";\x01"]
)
def test_no_parameter_but_the_charset_leaves(parameters: str) -> None:
    """It could say anything of anybody."""
    assert checked(kind=("content-type", f"application/json{parameters}")).headers == ()
    kind = ("content-type", "application/vnd.api+json")
    assert checked(kind=(kind[0], kind[1] + parameters)).headers == (kind,)


def test_validators_of_a_record_leave() -> None:
    """The body is written anew, so the tag is marked; weak stays weak."""
    assert beside(TAG, CHANGED) == (MARKED, CHANGED)
    assert beside(("etag", 'W/"v1"')) == (("etag", LINKS.tags.marked('W/"v1"')),)
    assert beside(TAG, CHANGED, status=204, method="PUT") == (MARKED, CHANGED)


def test_validators_of_a_list_do_not_leave() -> None:
    """They may change with records that are somebody else's; a trusted caller sees all of those."""
    for route in (ROUTE, BARE):
        answer = checked(TAG, CHANGED, data=[order()], route=route)
        assert (answer.headers, answer.owes_tag) == ((TYPE,) if answer.headers else (), True)
    assert not checked(data=[order()]).owes_tag
    assert not checked(data=[order()], conditions=(("if-none-match", "x"),)).owes_tag
    assert beside(TAG, CHANGED, data=[order()], access=OPEN) == (MARKED, CHANGED)


def test_not_modified_leaves_where_the_record_is_proven() -> None:
    """Without a type, for it has no body; and never where nobody asked under a condition."""
    answer = checked(TAG, CHANGED, status=304, kind=None, conditions=(("if-none-match", "x"),))
    assert answer == Checked(304, None, (MARKED, CHANGED))
    judged = judge(ROUTE, GUARDED, Plan("GET", "/v2/orders"), WHOSE, Answer(304, (TAG,), b""), LINKS)
    assert isinstance(judged, Refusal)


def test_what_a_route_lists_leaves_and_nothing_else() -> None:
    """URLs in it are ours; what the gateway says itself is not listed by being listed."""
    lines = (("x-rate", "7"), ("x-where", "http://up/api/x"), ("x-other", "1"), ("connection", "x-none"))
    assert beside(*lines) == (("x-rate", "7"), ("x-where", "https://gw/x"))
    assert beside(*lines, ("connection", "x-rate")) == (("x-where", "https://gw/x"),)
    assert beside(("x-rate", "a\x01b")) == ()
    unsaid = ("set-cookie", "www-authenticate", "access-control-allow-origin", "cache-control", "location", "digest")
    assert beside(*((name, "x") for name in unsaid)) == ()
    assert beside(("preference-applied", "return=minimal")) == (("preference-applied", "return=minimal"),)


FULL: Query = (("page[limit]", "2"),)
TWO = [order(), order(ident="o2")]


@pytest.mark.parametrize(
    ("records", "asked", "total", "said"),
    [
        pytest.param(TWO, FULL, "100", "100", id="a full page"),
        pytest.param(TWO, (("page[limit]", "3"),), "100", "2", id="the last page"),
        pytest.param(TWO, (), "100", "2", id="no page asked for"),
        pytest.param(TWO, (), "1", "1", id="fewer than there are"),
        pytest.param(TWO, (("page[limit]", "3"), ("page[offset]", "3")), "100", "5", id="a later page"),
        pytest.param(TWO, (("per_page", "3"), ("page", "2")), "100", "5", id="a later page by number"),
        pytest.param([], (("page[offset]", "9"),), "100", None, id="behind the end"),
        pytest.param([], (), "100", "0", id="nothing"),
        pytest.param(order(), (), "100", "1", id="a record"),
        pytest.param(TWO, FULL, "-1", None, id="no count"),
        pytest.param(TWO, FULL, "٣", None, id="other digits"),
        pytest.param(TWO, FULL, "1" * 16, None, id="too many digits"),
    ],
)
def test_a_total_counts_what_the_customer_may_know(records: Any, asked: Query, total: str, said: str | None) -> None:
    """As `meta` does: a page that is not full is the last one."""
    assert dict(beside(("x-total-count", total), data=records, asked=asked)).get("x-total-count") == said


@pytest.mark.parametrize(
    ("records", "asked", "given", "said"),
    [
        (TWO, FULL, "0-9/100", "0-1/100"),
        (TWO, FULL, "items 4-5/100", "items 4-5/100"),
        (TWO, (), "items 0-1/100", "items 0-1/2"),
        (TWO, (), "0-1/*", "0-1/*"),
        ([], (), "*/100", "*/0"),
        ([], (), "0-9/100", "*/0"),
        (order(), (), "0-9/100", "0-0/1"),
        (TWO, FULL, "bytes 0-9/100", None),
        (TWO, FULL, "leslie 0-9/100; x", None),
        (TWO, FULL, "0-9", None),
    ],
)
def test_a_range_is_that_of_what_was_judged(records: Any, asked: Query, given: str, said: str | None) -> None:
    """Ranges of bytes are none of a body that is written anew."""
    assert dict(beside(("content-range", given), data=records, asked=asked)).get("content-range") == said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('<http://up/api/v2/orders?page[offset]=2>; rel="next"', '<https://gw/v2/orders?page[offset]=2>; rel="next"'),
        ("</v2/orders?p=2>; rel=next; title=x", '<https://gw/v2/orders?p=2>; rel="next"'),
        ('<?page[offset]=2>; title="<a, b>"; rel="NEXT"', '<https://gw/v2/orders?page[offset]=2>; rel="next"'),
        ("</v2/orders?filter=eq(customer_id,c1)&p=2>; rel=next", '<https://gw/v2/orders?p=2>; rel="next"'),
        ("</v2/orders?p=leslie>; rel=next", None),
        ("</v2/orders?leslie=2>; rel=next", None),
        ("</v2/customers/c2>; rel=next", None),
        ("</v2/orders?p=2>; rel=author", None),
        ("</v2/orders?p=2>", None),
        ("nonsense", None),
    ],
)
def test_links_to_pages_are_made_anew(given: str, said: str | None) -> None:
    """They lead to the same list, with what the client asked, and numbers."""
    plan: dict[str, Any] = {"query": (("filter", "eq(customer_id,c1)"),)}
    assert dict(beside(("link", given), data=TWO, **plan)).get("link") == said


def test_links_are_bounded() -> None:
    """An upstream that writes a thousand is given ten."""
    assert len(beside(("link", ", ".join(["</v2/orders?p=2>; rel=next"] * 1000)), data=TWO)) == 10
