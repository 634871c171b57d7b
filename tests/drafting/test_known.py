"""What is known of a record beforehand: its parent, where it stands, and what a filter calls its owner."""

import pytest

from tests.drafting.drafts import answers, guard, of, route, scope

TEXT = {"type": "string"}
ORDER = {"type": "object", "properties": {"id": TEXT, "customer_id": TEXT}}


def test_parts_of_a_record() -> None:
    """What lies below a record is its owner's where each part names the record."""
    made = route("wrapped.yaml", "get-claims")
    assert scope(made) == {"parent_owner": {"path": "/store/orders/{order_id}", "pointer": "/customer_id"}}
    assert guard(made) == {"belongs_to": {"parameter": "order_id", "pointer": "/order_id"}}
    assert made.records == {"list": "/claims", "record": "/order"}


def test_a_write_that_answers_something_else_stays_closed() -> None:
    """Where the GET shows the owner elsewhere than the write's answer, nothing proves the write."""
    other = {"type": "object", "properties": {"order": ORDER}}
    made = of({"/orders/{id}": {"get": answers(ORDER), "delete": answers(other)}})
    assert "another form" in made.routes[1].closed


@pytest.mark.parametrize(
    ("parameter", "field"),
    [
        ("customer_id", "customer_id"),
        ("filter[customer_id]", "customer_id"),
        ("customer", "customer_id"),
        ("id", "customer_id"),
    ],
)
def test_what_a_filter_calls_the_owner(parameter: str, field: str) -> None:
    """The parameter that the document lists for the owner, else what records call it; never the id of a record."""
    listed = {"type": "array", "items": ORDER}
    (made,) = of({"/orders": {"get": answers(listed) | {"parameters": [{"name": parameter, "in": "query"}]}}}).routes
    assert scope(made) == {"filter": {"field": field}}


@pytest.mark.parametrize(
    ("parameter", "field"),
    [
        ("customer__id", "customer__id"),
        ("customerId", "customerId"),
        ("customer.id", "customer.id"),
        ("x", "customer.id"),
    ],
)
def test_what_a_filter_calls_an_owner_inside(parameter: str, field: str) -> None:
    """Django joins names by underscores, others by dots or not at all."""
    order = {"type": "object", "properties": {"id": TEXT, "customer": {"type": "object", "properties": {"id": TEXT}}}}
    listed = {"type": "array", "items": order}
    paths = {"/orders": {"get": answers(listed) | {"parameters": [{"name": parameter, "in": "query"}]}}}
    (made,) = of(paths).routes
    assert scope(made)["filter"]["field"] == (field if parameter != "x" else "customer")


def test_a_language_for_conditions_is_told_of() -> None:
    """The gateway does not write it: the list may be withheld."""
    (told,) = route("actions.yaml", "list-orders").told
    assert told.startswith("The document lists where, perhaps a language of its own, and none that is written here.")
    assert told.endswith("If the API ignores customerId, the guard withholds the list (502).")


def test_a_total_beside_a_list_of_its_own_is_said() -> None:
    """Else it would not leave; one that stands where the file says need not be."""
    assert route("wrapped.yaml", "get-orders").records == {"list": "/orders", "total": "/count"}
    assert "total" not in route("actions.yaml", "list-orders").records


def test_ids_of_two_kinds_are_said() -> None:
    """A record whose id is a text and whose owner's is a number says that ids are either."""
    order = {"type": "object", "properties": {"id": TEXT, "customer_id": {"type": "integer"}}}
    more = {"type": "object", "properties": {"id": TEXT}}
    made = of({"/orders/{id}": {"get": answers(order)}, "/x/{id}": {"get": answers(more)}})
    assert made.records["ids"] == "text"
    assert made.routes[0].records == {"ids": "either"}
