"""Where the records of answers and bodies stand."""

from typing import Any

import pytest

from gateway.drafting import places
from gateway.drafting.operation import Operation
from gateway.drafting.schema import Document

DOCUMENT = Document({})
TEXT = {"type": "string"}
RECORD = {"type": "object", "properties": {"id": TEXT}}
RECORDS = {"type": "array", "items": RECORD}


def found(schema: dict[str, Any], *, expects_list: bool) -> tuple[tuple[str, ...], bool] | None:
    """Return where the records stand, and whether they are a list."""
    operation = Operation("GET", "/a/orders/{id}", answer=DOCUMENT.schema(schema))
    made = places.answer(DOCUMENT, operation, expects_list=expects_list)
    return None if made is None else (made.at, made.is_list)


def members(**named: Any) -> dict[str, Any]:
    """Make a schema of an object."""
    return {"type": "object", "properties": named}


@pytest.mark.parametrize(
    ("schema", "expects_list", "at"),
    [
        (RECORDS, True, ((), True)),
        (RECORDS, False, ((), True)),
        (RECORD, False, ((), False)),
        (RECORD, True, ((), False)),
        (members(data=RECORDS), True, (("data",), True)),
        (members(data=RECORD), False, (("data",), False)),
        (members(orders=RECORDS, count={"type": "integer"}), True, (("orders",), True)),
        (members(order=RECORD), False, (("order",), False)),
        (members(results=RECORDS, facets=RECORDS), True, (("results",), True)),
        (members(id=TEXT, items=RECORDS), False, ((), False)),
        (members(ones=RECORDS, others=RECORDS), True, None),
        (members(errors=RECORDS, orders=RECORDS), True, (("orders",), True)),
        (members(errors=RECORDS, order=RECORD, customer=RECORD), False, (("order",), False)),
        (members(customer=RECORD, cart=RECORD), False, ((), False)),
        (members(data=members(orders=RECORDS, page=TEXT)), True, (("data", "orders"), True)),
        (members(status=TEXT, data=members(order=RECORD)), False, (("data", "order"), False)),
        (members(data=members(note=TEXT)), False, ((), False)),
        (members(ok={"type": "boolean"}), True, None),
        ({"type": "array", "items": TEXT}, True, None),
        (TEXT, False, None),
    ],
    ids=str,
)
def test_answers(schema: dict[str, Any], expects_list: bool, at: Any) -> None:  # noqa: FBT001 - a table
    """A list is the array of records, a record has an id; what could be several is none."""
    assert found(schema, expects_list=expects_list) == at


def test_bodies() -> None:
    """A record under `data` alone stands there; anything else is the body itself."""
    wrapped = Operation("POST", "/a", body=DOCUMENT.schema(members(data=RECORD)))
    made = places.body(DOCUMENT, wrapped)
    assert made is not None
    assert made.at == ("data",)
    beside = Operation("POST", "/a", body=DOCUMENT.schema(members(data=RECORD, more=TEXT)))
    made = places.body(DOCUMENT, beside)
    assert made is not None
    assert made.at == ()
    assert places.body(DOCUMENT, Operation("POST", "/a")) is None


def test_the_total_is_not_the_size_of_the_page() -> None:
    """Where a list tells a count and a total, the total is that."""
    schema = members(count={"type": "integer"}, total={"type": "integer"}, results=RECORDS)
    made = places.answer(DOCUMENT, Operation("GET", "/a", answer=DOCUMENT.schema(schema)), expects_list=True)
    assert made is not None
    assert made.total_at == ("total",)


def test_a_total_within_an_envelope() -> None:
    """Stands beside the list, where that is."""
    schema = members(data=members(total={"type": "integer"}, orders=RECORDS))
    made = places.answer(DOCUMENT, Operation("GET", "/a", answer=DOCUMENT.schema(schema)), expects_list=True)
    assert made is not None
    assert (made.at, made.total_at) == (("data", "orders"), ("data", "total"))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/shop/product-categories/{id}", "productCategory"),
        ("/product_categories", "product_category"),
        ("/orders/{id}", "Order"),
        ("/orders/{id}/lines", "line"),
        ("/news", "news"),
    ],
)
def test_a_record_is_called_as_its_path(path: str, name: str) -> None:
    """Of several records in an answer the one is meant that the path names, in the singular, however it is spelled."""
    operation = Operation("GET", path, answer=DOCUMENT.schema(members(other=RECORD, **{name: RECORD})))
    made = places.answer(DOCUMENT, operation, expects_list=False)
    assert made is not None
    assert made.at == (name,)
