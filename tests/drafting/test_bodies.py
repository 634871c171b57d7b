"""What a customer may send: listed fields, the own id, and nobody in the depth of a body."""

from typing import Any

import pytest

from tests.drafting.drafts import answers, of, route, scope

TEXT = {"type": "string"}
ORDER = {"type": "object", "properties": {"id": TEXT, "customer_id": TEXT}}


def test_a_new_record_is_stamped() -> None:
    """A body that names its owner is stamped, in the shape and at the place that the document has."""
    assert scope(route("pages.yaml", "orders-create")) == {
        "body_fields": {"allow": ["note", "customer"]},
        "body_stamp": {"pointer": "/customer", "shape": "scalar"},
    }
    assert scope(route("resources.json", "create-order")) == {
        "body_fields": {"allow": ["type", "attributes/note", "relationships/customer"]},
        "body_stamp": {"pointer": "/data/relationships/customer/data", "shape": "reference", "type": "customers"},
    }
    assert scope(route("actions.yaml", "create-shopping-list"))["body_stamp"] == {
        "pointer": "/customer",
        "shape": "object",
    }


def test_what_asks_for_more_is_no_field() -> None:
    """Fields that bring other records along, or that cannot be spelled, are not allowed."""
    assert scope(route("bare.yaml", "update-checkout"))["body_fields"] == {"allow": ["note"]}


@pytest.mark.parametrize(
    ("deep", "is_closed"),
    [
        ({"items": {"type": "array", "items": {"properties": {"sku": TEXT}}}}, False),
        ({"items": {"type": "array", "items": {"properties": {"customer_id": TEXT}}}}, True),
        ({"ship": {"properties": {"to": {"properties": {"owner": TEXT}}}}}, True),
        ({"ship": {"properties": {"to": {"discriminator": {"propertyName": "x"}}}}}, True),
    ],
    ids=str,
)
def test_nobody_is_named_deep_in_a_body(deep: dict[str, Any], is_closed: bool) -> None:  # noqa: FBT001 - a table
    """A body in whose depth somebody may be named is not a customer's to send."""
    body = {"type": "object", "properties": {"customer_id": TEXT, **deep}}
    post = answers(ORDER) | {"requestBody": {"content": {"application/json": {"schema": body}}}}
    (made,) = of({"/orders": {"post": post}}).routes
    assert bool(made.closed) is is_closed


def test_a_dense_body_is_searched_once() -> None:
    """Components that all hold each other are each looked at once."""
    count = 60
    members: dict[str, Any] = {f"m{n}": {"$ref": f"#/components/schemas/C{n}"} for n in range(count)}
    one = {"type": "object", "properties": members}
    body = {"type": "object", "properties": {"customer_id": TEXT, **members}}
    post = answers(ORDER) | {"requestBody": {"content": {"application/json": {"schema": body}}}}
    (made,) = of({"/orders": {"post": post}}, components={"schemas": {f"C{n}": one for n in range(count)}}).routes
    assert made.closed == ""
