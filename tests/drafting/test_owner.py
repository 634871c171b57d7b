"""Guesses of owners: what is taken for one, what is not, and why."""

from typing import Any

import pytest

from gateway.drafting.owner import Customers, NoOwner, Owner, owner, people
from gateway.drafting.schema import Document
from gateway.vocab.record_form import OwnerShape

DOCUMENT = Document({"components": {"schemas": {"Customer": {"properties": {"id": {"type": "integer"}}}}}})
TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
ONE = {"type": "object", "properties": {"id": NUMBER}}
CUSTOMERS = Customers(
    "/customers", "customer", DOCUMENT.schema({"$ref": "#/components/schemas/Customer"}), frozenset(), "number"
)


def guess(customers: Customers = CUSTOMERS, /, **members: Any) -> Owner | NoOwner:
    """Guess the owner of a record with these members."""
    return owner(DOCUMENT, DOCUMENT.schema({"properties": members}), customers)


@pytest.mark.parametrize(
    ("members", "at", "shape"),
    [
        ({"customer_id": NUMBER, "user": NUMBER}, ("customer_id",), OwnerShape.SCALAR),
        ({"customerId": NUMBER}, ("customerId",), OwnerShape.SCALAR),
        ({"customer": NUMBER}, ("customer",), OwnerShape.SCALAR),
        ({"customer": ONE}, ("customer", "id"), OwnerShape.OBJECT),
        ({"customer": {"oneOf": [NUMBER, ONE]}}, ("customer",), OwnerShape.SCALAR),
        ({"user": NUMBER}, ("user",), OwnerShape.SCALAR),
        ({"owner": NUMBER}, ("owner",), OwnerShape.SCALAR),
        ({"attributes": {"properties": {"customer_id": NUMBER}}}, ("attributes", "customer_id"), OwnerShape.SCALAR),
        (
            {"relationships": {"properties": {"customer": {"properties": {"data": ONE}}}}},
            ("relationships", "customer", "data", "id"),
            OwnerShape.REFERENCE,
        ),
    ],
    ids=str,
)
def test_owners(members: dict[str, Any], at: tuple[str, ...], shape: OwnerShape) -> None:
    """What is called like a customer is one, the surest name first."""
    made = guess(**members)
    assert isinstance(made, Owner)
    assert (made.at, made.shape) == (at, shape)
    assert made.reason


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"name": TEXT},
        {"customers": {"type": "array", "items": NUMBER}},
        {"customer": {"type": "object"}},
        {"customer": {"type": "boolean"}},
        {"customer": {"type": "array", "items": ONE}},
        {"relationships": {"properties": {"customer": {"properties": {"data": {"type": "array", "items": ONE}}}}}},
        {"account_id": NUMBER},
        {"customer_note": TEXT},
    ],
    ids=str,
)
def test_nobody(members: dict[str, Any]) -> None:
    """Lists of people, things without an id and names of something else are no owner."""
    assert isinstance(guess(**members), NoOwner)


def test_other_people_are_no_customers() -> None:
    """A user is no customer where users are a collection of their own, or customers have a user."""
    others = Customers("/customers", "customer", None, frozenset({"user"}), "number")
    assert guess(others, user_id=NUMBER) == NoOwner(
        "user_id: names one of another collection of people than /customers"
    )
    owned = guess(others, owner_id=NUMBER)
    assert owned == NoOwner("owner_id: may name one of another collection of people than /customers")
    has_user = Customers("/customers", "customer", DOCUMENT.schema({"properties": {"user": NUMBER}}), frozenset(), "")
    made = guess(has_user, user=NUMBER)
    assert isinstance(made, NoOwner)
    assert "a user of its own" in made.reason
    # A customer beside them still is.
    assert isinstance(guess(others, user_id=NUMBER, customer_id=NUMBER), Owner)


def test_ids_of_another_kind() -> None:
    """A text can be no id of customers whose ids are numbers."""
    assert guess(customer_id=TEXT) == NoOwner("customer_id: its ids are text, those of /customers number")


def test_reasons() -> None:
    """The reason says how sure a guess is: a record of the collection, its name, or a name alone."""
    record = guess(customer={"$ref": "#/components/schemas/Customer"})
    assert isinstance(record, Owner)
    assert record.reason == "/customer is a record of /customers"
    named = guess(customer_id=NUMBER)
    assert isinstance(named, Owner)
    assert named.reason == "/customer_id is called like the records of /customers"
    unsure = guess(owner=NUMBER)
    assert isinstance(unsure, Owner)
    assert "said nowhere" in unsure.reason


def test_people() -> None:
    """Collections of people are found by their names, customers before users, the shortest path first."""
    paths = ["/admin/api/customers", "/users/", "/customers", "/customers/{id}/users", "/orders", "/Accounts"]
    assert people(paths) == {"customer": "/customers", "user": "/users/", "account": "/Accounts"}
    assert people(["/orders", "/@v1/customers"]) == {}
