"""Rules of the dialect `query`: plain `field=value`."""

import pytest

from gateway.scope.filters.query import PlainQuery
from gateway.scope.names import reserved_names
from gateway.vocab.messages import Query
from gateway.vocab.refusals import Code, Refusal

RESERVED = reserved_names("customer_id", ["owner"])


def scope(query: Query, value: str = "c1") -> Query | Refusal:
    """Scope to customer c1."""
    return PlainQuery().scope(query, "customer_id", value, RESERVED, "filter")


@pytest.mark.parametrize(
    "query",
    [
        pytest.param((), id="no parameter at all"),
        pytest.param((("status", "paid"),), id="a condition"),
        pytest.param((("status", "paid"), ("status", "unpaid")), id="a parameter of the client twice"),
        pytest.param((("q", "customer_id=c2"),), id="the field's name in a value"),
        pytest.param((("customer_group", "7"), ("filter", "x")), id="names that share letters"),
    ],
)
def test_our_parameter_comes_first_and_the_others_stay(query: Query) -> None:
    """The client's own parameters are kept as they are."""
    assert scope(query) == (("customer_id", "c1"), *query)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("customer_id", id="the field itself"),
        pytest.param("customer_id[]", id="as a list"),
        pytest.param("customer_id[0]", id="as an element of a list, which PHP lets replace ours"),
        pytest.param("customer.id", id="with a dot, which PHP turns into an underscore"),
        pytest.param("customer id", id="with a space, which PHP turns into an underscore"),
        pytest.param("Customer_ID", id="in other case"),
        pytest.param("customerId", id="in camel case"),
        pytest.param("customer_id__in", id="with a Django operator"),
        pytest.param("customer_id!", id="with an operator at the end"),
        pytest.param("owner", id="by its alias"),
        pytest.param("\uff43ustomer_id", id="with a full-width letter"),
    ],
)
def test_the_owner_field_may_not_be_named(name: str) -> None:
    """Whoever reads the last of two parameters, or a list, would read the client's."""
    refusal = scope(((name, "c2"),))
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.FILTER_FIELD_RESERVED


def test_an_owner_value_with_a_comma_is_refused() -> None:
    """Backends read it as "one of these"."""
    refusal = scope((), "c1,c2")
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.FILTER_INVALID


def test_equals_asks_for_the_value_alone() -> None:
    """The value is a literal; encoding is the business of whoever writes the URL."""
    assert PlainQuery().equals("email", "o'brien+1@x.test", "filter") == (("email", "o'brien+1@x.test"),)


def test_an_empty_owner_value_or_a_name_with_structure_closes_the_route() -> None:
    """Neither may reach the upstream, whoever configured or sent it."""
    found = [scope((), ""), scope((("x&y", "1"),))]
    assert [refusal.code for refusal in found if isinstance(refusal, Refusal)] == [
        Code.FILTER_INVALID,
        Code.QUERY_NOT_ALLOWED,
    ]
