"""Scoping rule `filter`: one filter, ours first. Grammar and escapes are tested with the dialects."""

import pytest
from pydantic import ValidationError

from gateway.scope.rules.filter import Filter
from gateway.vocab.messages import Query
from gateway.vocab.refusals import Code
from tests.scope.deciding import NOBODY, customer, draft, narrowed, refused

RULE = Filter(field="customer_id", aliases=("customer.id", "owner"))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param((), (("filter", "eq(customer_id,c1)"),), id="no filter"),
        pytest.param((("filter", ""),), (("filter", "eq(customer_id,c1)"),), id="an empty filter"),
        pytest.param(
            (("sort", "-created_at"), ("filter", "eq(status,paid)")),
            (("filter", "eq(customer_id,c1):eq(status,paid)"), ("sort", "-created_at")),
            id="the client's filter behind ours",
        ),
        pytest.param(
            (("filter", "eq(status,paid)|eq(status,unpaid)"),),
            (("filter", "eq(customer_id,c1):(eq(status,paid)|eq(status,unpaid))"),),
            id="the client's alternatives in parentheses",
        ),
    ],
)
def test_our_clause_comes_first(query: Query, expected: Query) -> None:
    """The list is narrowed to the customer whatever else is asked for."""
    result = narrowed(RULE, draft(query=query), customer())
    assert result.query == expected
    assert result.narrowed


@pytest.mark.parametrize(
    ("query", "code"),
    [
        pytest.param((("filter", "eq(customer_id,c2)"),), Code.FILTER_FIELD_RESERVED, id="D6.2: the owner field"),
        pytest.param((("filter", "eq(Owner,c2)"),), Code.FILTER_FIELD_RESERVED, id="an alias in another case"),
        pytest.param((("filter", "eq(customer.id,c2)"),), Code.FILTER_FIELD_RESERVED, id="an alias with a dot"),
        pytest.param((("filter", "eq(a,b):or:eq(customer_id,c2)"),), Code.FILTER_INVALID, id="D6.2: grammar escape"),
        pytest.param((("filter", "nonsense"),), Code.FILTER_INVALID, id="no filter at all"),
        pytest.param((("filter", "eq(a,b)"), ("filter", "eq(c,d)")), Code.QUERY_REPEATED, id="D6.1: twice"),
        pytest.param((("FILTER", "eq(a,b)"),), Code.QUERY_REPEATED, id="D6.1: in capitals"),
        pytest.param((("filter[]", "eq(a,b)"),), Code.QUERY_REPEATED, id="D6.1: as a list"),
        pytest.param((("a&filter", "x"),), Code.QUERY_NOT_ALLOWED, id="D6.1: hidden in another name"),
    ],
)
def test_what_could_widen_the_list_is_refused(query: Query, code: Code) -> None:
    """A client's filter never touches the owner, never appears twice and parses completely."""
    assert refused(RULE, draft(query=query), customer()) is code


def test_a_filter_by_customer_needs_a_customer() -> None:
    """For nobody there is no clause, so there is no request."""
    assert refused(RULE, draft(), NOBODY) is Code.ACCESS_DENIED


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("epcc", (("q", "eq(customer_id,c1)"),)),
        ("query", (("customer_id", "c1"),)),
        ("jsonapi", (("q[customer_id]", "c1"),)),
        ("postgrest", (("customer_id", "eq.c1"),)),
    ],
)
def test_each_dialect_can_be_chosen(dialect: str, expected: Query) -> None:
    """The option names the spelling, and `parameter` where it stands."""
    rule = Filter.model_validate({"field": "customer_id", "dialect": dialect, "parameter": "q"})
    assert narrowed(rule, draft(), customer()).query == expected


@pytest.mark.parametrize("options", [{"field": "--"}, {"field": "id", "aliases": ["_"]}])
def test_a_name_that_cannot_be_compared_is_no_option(options: dict[str, object]) -> None:
    """A field without letter or digit is a fault when the file is read, not when a request comes."""
    with pytest.raises(ValidationError, match="at least one letter or digit"):
        Filter.model_validate(options)
