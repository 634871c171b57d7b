"""Rules of the dialect `postgrest`: `field=eq.value`."""

import pytest

from gateway.scope.filters.postgrest import PostgRest
from gateway.scope.names import reserved_names
from gateway.vocab.messages import Query
from gateway.vocab.refusals import Code, Refusal

RESERVED = reserved_names("customer_id", ["owner"])


def scope(query: Query, value: str = "c1") -> Query | Refusal:
    """Scope to customer c1."""
    return PostgRest().scope(query, "customer_id", value, RESERVED, "filter")


@pytest.mark.parametrize(
    "query",
    [
        pytest.param((), id="no parameter at all"),
        pytest.param((("status", "eq.paid"),), id="a condition"),
        pytest.param((("status", "not.in.(paid,unpaid)"),), id="a negated condition"),
        pytest.param((("data->>city", "eq.Bonn"),), id="a JSON path"),
        pytest.param((("select", "id,status,customer_id"), ("order", "id.desc"), ("limit", "5")), id="a selection"),
        pytest.param((("notes", "eq.x"), ("order_id", "eq.1")), id="names that begin like logical words"),
    ],
)
def test_our_condition_comes_first_and_the_others_stay(query: Query) -> None:
    """The client's own parameters are kept as they are."""
    assert scope(query) == (("customer_id", "eq.c1"), *query)


@pytest.mark.parametrize(
    "name",
    [
        "customer_id",
        '"customer_id"',
        "CUSTOMER_ID",
        "customer_id->>x",
        "customer_id.x",
        " customer_id",
        "owner",
        "o" * 129,
    ],
)
def test_the_owner_field_may_not_be_named(name: str) -> None:
    """Neither quoted nor with a path behind it."""
    refusal = scope(((name, "eq.c2"),))
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.FILTER_FIELD_RESERVED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("or", "(customer_id.eq.c2,id.gt.0)", id="an OR"),
        pytest.param("and", "(id.gt.0)", id="an AND"),
        pytest.param("not.or", "(id.gt.0)", id="a negated OR"),
        pytest.param("not.and", "(id.gt.0)", id="a negated AND"),
        pytest.param("items.or", "(id.gt.0)", id="an OR on another table"),
        pytest.param("items.not.or", "(id.gt.0)", id="a negated OR on another table"),
        pytest.param("Or", "(id.gt.0)", id="an OR in other case"),
        pytest.param("select", "*,customers(*)", id="another table"),
        pytest.param("select", "*,...customers!inner(email)", id="another table, spread"),
        pytest.param("select", "amount.sum()", id="a sum"),
        pytest.param("select", "customer_id:agent_id", id="a column under the owner's name"),
        pytest.param("select", "payload->>customer_id", id="a member of a column, which is called so"),
        pytest.param("Select", "*,customers(*)", id="a selection in other case"),
    ],
)
def test_logic_and_embedding_are_refused(name: str, value: str) -> None:
    """They are not parsed, so they do not pass."""
    refusal = scope(((name, value),))
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.FILTER_INVALID


@pytest.mark.parametrize("value", ["a,b", "(x)", 'say "x"', "a.b", "o'brien+1@x.test"])
def test_a_value_is_written_as_it_is(value: str) -> None:
    """PostgREST takes all that follows the first dot as the value; quotes would become part of it."""
    assert scope((), value) == (("customer_id", f"eq.{value}"),)
    assert PostgRest().equals("email", value, "filter") == (("email", f"eq.{value}"),)


def test_an_empty_owner_value_or_a_name_with_structure_closes_the_route() -> None:
    """Neither may reach the upstream, whoever configured or sent it."""
    found = [scope((), ""), scope((("x&y", "1"),))]
    assert [refusal.code for refusal in found if isinstance(refusal, Refusal)] == [
        Code.FILTER_INVALID,
        Code.QUERY_NOT_ALLOWED,
    ]
