"""Counts and links beside the records of a scoped answer."""

from typing import Any

import pytest

from gateway.guard.members import judged_members
from gateway.vocab.messages import Plan, Query
from gateway.vocab.record_form import MOLTIN, PRESETS, Shown
from tests.guard.judging import order

QUERY = frozenset({"filter", "sort", "page[limit]", "page[offset]"})


def members(count: int, meta: Any = None, links: Any = None, asked: Query = (), query: Query | None = None) -> Any:
    """Judge what stands beside some records."""
    document: Any = {"data": [order() for _ in range(count)], "meta": meta, "links": links}
    plan = Plan("GET", "/v2/orders", asked if query is None else query, asked)
    return judged_members(document, Shown(document["data"], is_list=True, form=MOLTIN), plan, QUERY, "https://gw")


def paged(total: Any, limit: int | None = 25, offset: int = 0, **page: Any) -> dict[str, Any]:
    """Write `meta` as the API does."""
    return {"page": {"limit": limit, "offset": offset, **page}, "results": {"total": total}}


def with_pages(meta: dict[str, Any]) -> dict[str, Any]:
    """Add the number of pages."""
    return {**meta, "page": {**meta["page"], "total": 200}}


@pytest.mark.parametrize(
    ("count", "meta", "asked", "total"),
    [
        pytest.param(2, paged(2), (), 2, id="all of them"),
        pytest.param(2, paged(5000), (), 2, id="everybody counted"),
        pytest.param(2, paged(5000, limit=None), (("page[limit]", "10"),), 2, id="the limit is known from the request"),
        pytest.param(2, paged(5000, limit=None), (), 2, id="no limit is known"),
        pytest.param(1, paged(5000, limit=2, offset=2), (), 3, id="the last page"),
        pytest.param(2, paged(12, limit=2), (), 12, id="a full page: more may be asked for"),
        pytest.param(0, paged(5000), (), 0, id="none"),
        pytest.param(0, paged(5000, offset=9999), (), None, id="behind the end"),
        pytest.param(2, paged("5000"), (), None, id="a text"),
        pytest.param(2, paged(-1), (), None, id="a negative count"),
        pytest.param(2, paged([2]), (), None, id="a list"),
        pytest.param(2, {"results": {"all": 5000}}, (), None, id="only the count of everybody"),
    ],
)
def test_no_more_is_counted_than_the_customer_may_know(count: int, meta: Any, asked: Query, total: int | None) -> None:
    """An upstream that ignores the filter where it counts tells nobody how many orders there are."""
    results = members(count, meta, asked=asked)["meta"].get("results")
    assert results == (None if total is None else {"total": total})


def test_pages_are_counted_from_the_checked_total() -> None:
    """The number of pages would tell the total as well."""
    assert members(2, with_pages(paged(5000, current=1)))["meta"]["page"] == {
        "limit": 25, "offset": 0, "current": 1, "total": 1,
    }  # fmt: skip
    assert "total" not in members(0, with_pages(paged(5000, offset=9999)))["meta"]["page"]


@pytest.mark.parametrize(
    "meta", [None, [], "x", {"page": []}, {"page": {"limit": "5"}}, {"note": "somebody", "all": 7}]
)
def test_what_is_no_known_count_stays(meta: Any) -> None:
    """Texts, lists and unknown counts could be somebody's data."""
    assert members(1, meta).get("meta", {}) in ({}, {"page": {}})


def test_a_single_record_has_no_counts() -> None:
    """What stands in `meta` beside it is about nobody knows what."""
    document = {"data": order(), "meta": paged(7)}
    shown = Shown([order()], is_list=False, form=MOLTIN)
    assert "meta" not in judged_members(document, shown, Plan("GET", "/v2/orders/o1"), QUERY, "")


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        pytest.param("https://gw/v2/orders?page[offset]=2", "https://gw/v2/orders?page[offset]=2", id="absolute"),
        pytest.param("https://elsewhere/v2/orders?sort=-id", "https://gw/v2/orders?sort=-id", id="another address"),
        pytest.param("/v2/orders", "https://gw/v2/orders", id="without a query"),
        pytest.param(None, None, id="null"),
        pytest.param("/v2/orders?x=somebody", None, id="a parameter that the route does not list"),
        pytest.param("/v2/orders?sort=somebody", None, id="a value that the client did not send"),
        pytest.param("/v2/orders?page[offset]=somebody", None, id="an offset that is no number"),
        pytest.param("/v2/orders?page[offset]=%zz", None, id="a query that cannot be read"),
        pytest.param("/v2/orders?page[offset]=0#somebody", None, id="a fragment"),
        pytest.param("/v2/customers/c2", None, id="another path"),
        pytest.param("somebody's name", None, id="no link"),
        pytest.param(["/v2/orders"], None, id="a list"),
    ],
)
def test_links_lead_to_this_list_or_nowhere(link: Any, kept: str | None) -> None:
    """A link is made anew of what the client knows; what the gateway itself would refuse is no link."""
    assert members(0, links={"next": link}, asked=(("sort", "-id"),))["links"] == {"next": kept}


@pytest.mark.parametrize(
    ("count", "following", "asked", "total"),
    [
        pytest.param(2, "/v2/orders?page=2", (), 5000, id="there is another page"),
        pytest.param(2, None, (), 2, id="the only page"),
        pytest.param(2, "/v2/customers?page=2", (), 2, id="a link to elsewhere is none"),
        pytest.param(2, None, (("limit", "2"),), 5000, id="a full page, whatever is said of another"),
        pytest.param(0, None, (("offset", "9"),), None, id="behind the end"),
        pytest.param(2, None, (("page", "3"),), 5000, id="the last page, and a size that fits the total"),
        pytest.param(1, None, (("page", "3"),), None, id="the last page, and no size that fits"),
        pytest.param(2500, None, (("page", "3"),), None, id="a last page that is longer than those before"),
        pytest.param(2, None, (("page", "3"), ("limit", "10")), 22, id="the last of pages of a known size"),
    ],
)
def test_counts_of_a_page_whose_size_nobody_says(count: int, following: Any, asked: Query, total: int | None) -> None:
    """As Django REST framework counts: where there is another page, more may be asked for."""
    records = [{"id": number} for number in range(count)]
    document = {"count": 5000, "next": following, "previous": None, "results": records, "note": "somebody"}
    shown = Shown(records, is_list=True, form=PRESETS["drf"])
    plan = Plan("GET", "/v2/orders", asked, asked)
    judged = judged_members(document, shown, plan, frozenset({"page", "limit", "offset"}), "https://gw")
    kept = following if following and following.startswith("/v2/orders") else None
    expected = {"results": records, "next": kept and f"https://gw{kept}", "previous": None}
    assert judged == expected | ({} if total is None else {"count": total})


@pytest.mark.parametrize(
    ("form", "records", "is_list", "expected"),
    [
        ("rest", [{"id": "1"}], True, [{"id": "1"}]),
        ("rest", [{"id": "1"}], False, {"id": "1"}),
        ("drf", [{"id": 1}], False, {"id": 1}),
        ("postgrest", [{"id": 1}], False, [{"id": 1}]),
    ],
)
def test_records_leave_as_they_stood(form: str, records: list[Any], expected: Any, *, is_list: bool) -> None:
    """In the envelope of their API, or in none."""
    shown = Shown(records, is_list=is_list, form=PRESETS[form])
    assert judged_members(expected, shown, Plan("GET", "/x"), QUERY, "") == expected


def test_other_links_do_not_leave() -> None:
    """Names that the API does not use could be anybody's."""
    assert members(0, links={"somebody": "/v2/orders"})["links"] == {}


def test_links_ask_what_the_client_asked() -> None:
    """Our clause is taken out again, or the next page would be refused."""
    ours = (("filter", "eq(customer_id,c1):eq(a,b)"),)
    given = {"next": "/v2/orders?filter=eq(customer_id,c1):eq(a,b)&page[offset]=5"}
    assert members(0, links=given, asked=(("filter", "eq(a,b)"),), query=ours)["links"] == {
        "next": "https://gw/v2/orders?filter=eq(a,b)&page[offset]=5"
    }
