"""Rules of the dialect `jsonapi`: `filter[field]=value`."""

import pytest

from gateway.scope.filters.jsonapi import JsonApi
from gateway.scope.names import reserved_names
from gateway.vocab.messages import Query
from gateway.vocab.refusals import Code, Refusal

RESERVED = reserved_names("customer_id", ["owner"])


def scope(query: Query, value: str = "c1") -> Query | Refusal:
    """Scope to customer c1."""
    return JsonApi().scope(query, "customer_id", value, RESERVED, "filter")


@pytest.mark.parametrize(
    "query",
    [
        pytest.param((), id="no parameter at all"),
        pytest.param((("filter[status]", "paid"),), id="a condition"),
        pytest.param((("filter[created_at][gt]", "2020-01-01"),), id="a condition with an operator"),
        pytest.param((("filter[address][city]", "Bonn"),), id="a condition on a sub-field"),
        pytest.param((("filter[address.city]", "Bonn"),), id="a condition on a dotted sub-field"),
        pytest.param((("page[limit]", "10"), ("include", "items"), ("fields[orders]", "id")), id="other families"),
        pytest.param((("filters", "x"),), id="a name that shares letters"),
    ],
)
def test_our_member_comes_first_and_the_others_stay(query: Query) -> None:
    """The client's own members are kept as they are."""
    assert scope(query) == (("filter[customer_id]", "c1"), *query)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("filter[customer_id]", id="the field itself"),
        pytest.param("filter[customer_id][]", id="as a list"),
        pytest.param("filter[customer_id][ne]", id="with an operator"),
        pytest.param("filter[customer][id]", id="nested"),
        pytest.param("filter[customer][id][ne]", id="nested with an operator"),
        pytest.param("filter[orders][customer_id]", id="under another member"),
        pytest.param("filter[or][0][customer_id]", id="inside an OR"),
        pytest.param("filter[$or][0][customer_id]", id="inside an OR of Mongo"),
        pytest.param("filter[][customer_id]", id="behind an empty member"),
        pytest.param("filter[customer.id]", id="with a dot"),
        pytest.param("filter[customerId]", id="in camel case"),
        pytest.param("filter[CUSTOMER-ID]", id="in capitals"),
        pytest.param("filter[\uff43ustomer_id]", id="with a full-width letter"),
        pytest.param("filter[customer_id", id="without the closing bracket"),
        pytest.param("filter[owner]", id="by its alias"),
        pytest.param("customer_id", id="outside the family"),
        pytest.param(f"filter[{'x' * 200}]", id="too long to be judged"),
    ],
)
def test_the_owner_field_may_not_be_named(name: str) -> None:
    """Whoever reads the last of two members would read the client's."""
    refusal = scope(((name, "c2"),))
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.FILTER_FIELD_RESERVED


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("filter", id="bare, which PHP lets replace all members before"),
        pytest.param("Filter[status]", id="in other case"),
        pytest.param("FILTER", id="in capitals"),
        pytest.param("filter.status", id="with a dot, as qs reads it"),
        pytest.param(" filter[status]", id="with a space before it, which PHP drops"),
        pytest.param("filter [status]", id="with a space inside"),
        pytest.param("\uff46ilter[status]", id="with a full-width letter"),
    ],
)
def test_the_family_may_not_be_named_otherwise(name: str) -> None:
    """A second spelling of the family could replace the first."""
    refusal = scope(((name, "x"),))
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.QUERY_REPEATED


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("filter[]", id="an empty member"),
        pytest.param("filter[status][]", id="a list"),
        pytest.param("filter[status]x", id="text behind the bracket"),
        pytest.param("filter[status", id="an open bracket"),
        pytest.param("filter[a[b]]", id="a bracket in a bracket"),
        pytest.param("filter[a][b][c]", id="three levels"),
        pytest.param("filter[0][x]", id="an index"),
        pytest.param("filter[$or][x]", id="an operator of Mongo"),
        pytest.param("filter[or][x]", id="a logical word"),
        pytest.param("filter[status][NOT]", id="a logical word in capitals"),
        pytest.param("filter[a.or]", id="a logical word behind a dot"),
        pytest.param("filter[rock-group][group]", id="a group of Drupal"),
        pytest.param("filter[x][condition]", id="a condition of Drupal, which names its field in the value"),
        pytest.param("filter[st\u0430tus]", id="a Cyrillic letter"),
        pytest.param("filter[a\x00]", id="a NUL"),
    ],
)
def test_a_member_we_cannot_read_is_refused(name: str) -> None:
    """Groups could carry our condition into an OR; what has no meaning to us passes nowhere."""
    refusal = scope(((name, "x"),))
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.FILTER_INVALID


def test_an_owner_value_with_a_comma_is_refused() -> None:
    """Backends read it as "one of these"."""
    refusal = scope((), "c1,c2")
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.FILTER_INVALID


def test_equals_asks_for_the_value_alone() -> None:
    """The parameter's name is the configured one."""
    assert JsonApi().equals("email", "o'brien+1@x.test", "where") == (("where[email]", "o'brien+1@x.test"),)


def test_an_empty_owner_value_or_a_name_with_structure_closes_the_route() -> None:
    """Neither may reach the upstream, whoever configured or sent it."""
    found = [scope((), ""), scope((("x&y", "1"),))]
    assert [refusal.code for refusal in found if isinstance(refusal, Refusal)] == [
        Code.FILTER_INVALID,
        Code.QUERY_NOT_ALLOWED,
    ]
