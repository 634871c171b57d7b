"""Tables for the demo's filter grammar."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.filters import FilterError, matches

ORDER = {
    "type": "order",
    "id": "o-1",
    "status": "complete",
    "payment": "paid",
    "external_ref": None,
    "customer": {"name": 'Ron "Duke" Swanson', "email": "ron+1@swanson.example"},
    "meta": {
        "display_price": {"with_tax": {"amount": 4900, "currency": "USD"}},
        "timestamps": {"created_at": "2026-01-05T09:30:00Z"},
    },
    "relationships": {"customer": {"data": {"type": "customer", "id": "c-ron"}}},
}


@pytest.mark.parametrize(
    "text",
    [
        "eq(customer_id,c-ron)",
        "eq(email,ron+1@swanson.example)",
        "eq(status,complete):eq(payment,paid)",
        "eq(status,nope)|eq(payment,paid)",
        "eq(status,complete)|eq(status,nope):eq(payment,nope)",
        "(eq(status,nope)|eq(payment,paid)):eq(currency,USD)",
        r'eq(name,"Ron \"Duke\" Swanson")',
        """eq(name,'Ron "Duke" Swanson')""",
        "like(email,*@swanson.example)",
        "like(email,ron*)",
        "like(name,*Duke*)",
        "ilike(name,RON*)",
        "contains(email,swanson)",
        "in(status,processing,complete)",
        "is_null(external_ref)",
        "gt(with_tax,4899)",
        "ge(with_tax,4900)",
        "lt(with_tax,4901)",
        "le(with_tax,4900.0)",
        "eq(with_tax,4900)",
        "gt(created_at,2026-01-01)",
        "lt(created_at,2026-01-05T09:30:01Z)",
        "ge(created_at,1767605400000)",
    ],
)
def test_accepts(text: str) -> None:
    """A record that fulfils the filter passes."""
    assert matches(text, ORDER)


@pytest.mark.parametrize(
    "text",
    [
        "eq(customer_id,c-leslie)",
        "eq(status,Complete)",
        "eq(status,complete):eq(payment,unpaid)",
        "(eq(status,complete)|eq(status,nope)):eq(payment,nope)",
        "like(email,ron)",
        "eq(email,*)",
        "is_null(status)",
        "eq(external_ref,None)",
        "gt(with_tax,4900)",
        "gt(with_tax,many)",
        "gt(status,a)",
        "lt(created_at,2026-01-01)",
        'eq(status,"complete)|eq(payment,paid")',
    ],
)
def test_rejects(text: str) -> None:
    """A record that does not fulfil the filter does not pass."""
    assert not matches(text, ORDER)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "eq",
        "eq()",
        "eq(status)",
        "eq(status,)",
        "eq(status,a,b)",
        "is_null(status,a)",
        "eq(status,complete",
        "eq(status,complete))",
        "(eq(status,complete)",
        "eq(status,complete):",
        "|eq(status,complete)",
        "eq(status,complete)eq(payment,paid)",
        "eq(status,complete) : eq(payment,paid)",
        "EQ(status,complete)",
        "has(status,complete)",
        'eq(status,"complete)',
        'eq(status,"complete\\',
        'eq(status,"complete"x)',
        "eq(status,a;b)",
        "eq(status,a\x00b)",
        "eq(.status,a)",
        "(" * 5000 + "eq(status,a)" + ")" * 5000,
    ],
)
def test_refuses_bad_text(text: str) -> None:
    """What the grammar does not make is an error, never a filter that lets everything pass."""
    with pytest.raises(FilterError):
        matches(text, ORDER)


@pytest.mark.parametrize("field", ["customer.id", "relationships.customer.data.id", "shipping_name", "amount"])
def test_refuses_unsupported_fields(field: str) -> None:
    """A field that orders cannot be filtered by is named in the error."""
    with pytest.raises(FilterError, match="unknown field"):
        matches(f"eq({field},a)", ORDER)


def test_any_field_of_an_unknown_kind() -> None:
    """Records of no known type are filtered by any field, nested ones by dots, lists by any member."""
    record = {"a": {"b": [{"c": 1}, {"c": True}]}, "relationships": {"customer": {"data": {"id": "x"}}}}
    assert matches("eq(a.b.c,1):eq(a.b.c,true):eq(customer_id,x):is_null(a.z)", record)


@given(value=st.text(min_size=0))
def test_quoted_values_are_literal(value: str) -> None:
    """Any text, quoted and escaped, equals exactly itself."""
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    assert matches(f'eq(name,"{quoted}")', {"name": value})
    assert not matches(f'eq(name,"{quoted}x")', {"name": value})


@given(text=st.text(alphabet="eqlikn(),:|\"'\\ a_1.*"))
def test_any_text_is_a_filter_or_an_error(text: str) -> None:
    """No text breaks the evaluator."""
    with contextlib.suppress(FilterError):
        assert matches(text, {"a": "1"}) in {True, False}
