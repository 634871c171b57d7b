"""Where a record may name its owner besides the one place that must."""

from typing import Any

import pytest

from gateway.wire.owners import names_another

PLACES = (("customer_id",), ("customer",), ("relationships", "customers"))
BELOW = "/v2/customers"


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"customer_id": None, "customer": {"name": "Ron"}},
        {"customer_id": "c1", "customer": {"data": {"id": "c1"}}},
        {"relationships": {"customers": {"data": [{"id": "c1"}, {"id": "c1"}]}}},
        {"links": {"self": "https://gw/v2/customers/c1/addresses/a1"}},
        {"links": {"self": {"href": "/V2/customers/C1"}}},
        {"links": {"self": "/v2/addresses/a1"}},
        {"links": []},
        "c2",
        None,
    ],
)
def test_who_names_nobody_else(record: Any) -> None:
    """Null and nothing name nobody; the own id may stand anywhere."""
    assert not names_another(record, "c1", PLACES, BELOW)


@pytest.mark.parametrize(
    "record",
    [
        {"customer_id": "c2"},
        {"customer_id": True},
        {"customer_id": 1.5},
        {"customer": "c2"},
        {"customer": {"id": "c2"}},
        {"customer": {"data": {"type": "customer", "id": "c2"}}},
        {"relationships": {"customers": {"data": [{"id": "c1"}, {"id": "c2"}]}}},
        {"links": {"self": "/v2/customers/c2"}},
        {"links": {"self": {"href": "/v2/customers/c2/addresses/a1"}}},
        {"links": {"self": "/V2//Customers/c2"}},
        {"links": {"self": "/v2/customers/c1/v2/customers/c2"}},
    ],
)
def test_who_names_somebody_else(record: Any) -> None:
    """One place is enough, in any spelling of a link."""
    assert names_another(record, "c1", PLACES, BELOW)


def test_without_an_owner_everybody_is_another() -> None:
    """A guest's record names nobody at all."""
    assert names_another({"customer_id": "c1"}, None, PLACES, BELOW)
    assert names_another({"links": {"self": "/v2/customers/c1"}}, None, PLACES, BELOW)
    assert not names_another({"customer": {"name": "Jerry"}}, None, PLACES, BELOW)


def test_deep_nesting_is_no_danger() -> None:
    """Whoever writes the answer may be hostile."""
    value: Any = "c2"
    for _ in range(100_000):
        value = {"data": value}
    assert names_another({"customer": value}, "c1", PLACES, None)
