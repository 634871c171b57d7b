"""Customers' records and bodies, wherever an API has e-mail, name and password in them."""

from typing import Any

import pytest

from gateway.config.customers import Customers, customer_form
from gateway.config.records import Records
from gateway.tokens.customer import (
    Submitted,
    address_of,
    customers_in,
    email_of,
    id_of,
    made,
    name_of,
    record_in,
    said,
    submitted,
)
from gateway.vocab.customer_form import CustomerForm
from gateway.vocab.messages import Plan
from gateway.vocab.refusals import Code, Refusal


def how(preset: str, **customers: Any) -> CustomerForm:
    """Describe customers as a routing file does."""
    return customer_form(Customers.model_validate(customers), Records.model_validate({"preset": preset}))


MOLTIN = how("moltin")
REST = how("rest", path="/customers")
DRF = how("drf", path="/api/customers/")
JSONAPI = how("jsonapi", path="/customers", members={"/type": "customers"})
DEEP = how("rest", email="/contact/mail", name="/profile/full", members={"/is_active": True})
ANN = "ann@x.example"


def read(document: Any, form: CustomerForm) -> Submitted:
    """Read a body that must be good."""
    one = submitted(Plan("POST", "/x", document=document), form)
    assert isinstance(one, Submitted), one
    return one


@pytest.mark.parametrize(
    ("form", "document", "sent"),
    [
        pytest.param(
            MOLTIN,
            {"data": {"type": "customer", "email": "Ann@X.example", "name": " Ann ", "password": "pw"}},
            {"data": {"type": "customer", "email": ANN, "name": "Ann"}},
            id="moltin",
        ),
        pytest.param(
            REST,
            {"email": "Ann@X.example", "name": " Ann ", "password": "pw", "phone": "1"},
            {"email": ANN, "name": "Ann", "phone": "1"},
            id="flat",
        ),
        pytest.param(
            JSONAPI,
            {"data": {"attributes": {"email": "Ann@X.example", "name": " Ann ", "password": "pw"}}},
            {"data": {"attributes": {"email": ANN, "name": "Ann"}, "type": "customers"}},
            id="JSON:API, with a member that each record has",
        ),
        pytest.param(
            DEEP,
            {"contact": {"mail": "Ann@X.example", "password": "pw"}, "profile": {"full": " Ann "}},
            {"contact": {"mail": ANN}, "profile": {"full": "Ann"}, "is_active": True},
            id="in places of its own",
        ),
    ],
)
def test_a_registration_goes_up_without_its_password(form: CustomerForm, document: Any, sent: Any) -> None:
    """The e-mail is canonical, the name as one reads it, and the rest as it came."""
    one = made(read(document, form), form)
    assert (one.document, one.email, one.typed, one.name, one.password, one.changes) == (
        sent, ANN, "Ann@X.example", "Ann", "pw", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("form", "document", "source"),
    [
        (REST, {"email": 7}, "email"),
        (REST, {"email": ANN, "password": ""}, "password"),
        (REST, {"email": ANN, "name": ["x"]}, "name"),
        (JSONAPI, {"data": {"attributes": {"email": "x"}}}, "data.attributes.email"),
        (JSONAPI, {"data": []}, "data"),
        (REST, None, "body"),
    ],
)
def test_a_field_at_fault_is_named_where_the_client_wrote_it(form: CustomerForm, document: Any, source: str) -> None:
    """By its place in the body."""
    refusal = submitted(Plan("POST", "/x", document=document), form)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.source) == (Code.BODY_FIELD_INVALID, source)


@pytest.mark.parametrize(
    ("form", "document", "changes"),
    [
        (MOLTIN, {"data": {"type": "customer", "id": "7", "password": "pw"}}, False),
        (REST, {"id": "7", "password": "pw"}, False),
        (JSONAPI, {"data": {"type": "customers", "id": "7", "attributes": {"password": "pw"}}}, False),
        (REST, {"password": "pw", "phone": "1"}, True),
        (JSONAPI, {"data": {"attributes": {"password": "pw", "phone": "1"}}}, True),
    ],
)
def test_a_password_alone_changes_no_record(form: CustomerForm, document: Any, *, changes: bool) -> None:
    """What says only whose record it is is no change of it."""
    assert read(document, form).changes is changes


@pytest.mark.parametrize(
    ("form", "document", "ident"),
    [
        (MOLTIN, {"data": {"id": "7", "email": ANN, "name": "Ann"}}, "7"),
        (REST, {"id": 7, "email": ANN, "name": "Ann"}, "7"),
        (DRF, {"id": 7, "email": ANN, "name": "Ann"}, "7"),
        (JSONAPI, {"data": {"id": "7", "attributes": {"email": ANN, "name": "Ann"}}}, "7"),
    ],
)
def test_a_record_says_who_it_is(form: CustomerForm, document: Any, ident: str) -> None:
    """Its id as it stands in paths and tokens, its e-mail, and its name."""
    record = record_in(document, form.form)
    assert (id_of(record, form), email_of(record, form), name_of(record, form)) == (ident, ANN, "Ann")


@pytest.mark.parametrize("document", [None, [], {"data": [{"id": "7"}]}, {"data": "x"}, {}])
def test_no_record_says_nothing(document: Any) -> None:
    """Many are not one, and nothing is nobody."""
    record = record_in(document, MOLTIN.form)
    assert (id_of(record, MOLTIN), email_of(record, MOLTIN), name_of(record, MOLTIN)) == (None, None, "")


def test_a_customer_has_an_address() -> None:
    """In the API's own form."""
    assert address_of("7", DRF) == ("/api/customers/7/", ())
    assert address_of("7", how("postgrest", path="/customers")) == ("/customers", (("id", "eq.7"),))


@pytest.mark.parametrize(
    ("form", "path", "document", "found"),
    [
        (REST, "/customers", [{"id": "7"}], 1),
        (REST, "/customers/7", {"id": "7"}, 1),
        (REST, "/customers/7/notes", [{"id": "7"}], 0),
        (REST, "/orders", [{"id": "7"}], 0),
        (DRF, "/api/customers/7/", {"id": 7}, 1),
        (MOLTIN, "/v2/orders", {"data": [{"type": "order"}], "included": {"customers": [{"type": "customer"}]}}, 1),
        (JSONAPI, "/orders", {"data": [{"type": "orders"}], "included": [{"type": "customers"}, {"type": "x"}]}, 1),
    ],
)
def test_customers_are_known_by_their_type_or_their_path(
    form: CustomerForm, path: str, document: Any, found: int
) -> None:
    """A flat record says no type."""
    assert len(customers_in(document, path, form.form, form)) == found


def test_whether_there_is_a_password_is_said_beside_the_email() -> None:
    """Where the form says the fields of a record are; a record without them says nothing."""
    record: dict[str, Any] = {"id": "7", "attributes": {"email": ANN}}
    said(record, JSONAPI, has_password=True)
    assert record["attributes"] == {"email": ANN, "password": True}
    said(record, JSONAPI, has_password=None)
    assert record["attributes"] == {"email": ANN}
    bare = {"id": "7"}
    said(bare, JSONAPI, has_password=True)
    assert bare == {"id": "7"}


@pytest.mark.parametrize(
    ("form", "document", "source"),
    [
        (MOLTIN, {"data": {"Email": ANN}}, "data.Email"),
        (REST, {"name": "Ann", "PASSWORD": "x"}, "PASSWORD"),
        (REST, {"name": "Ann", "Current_Password": "x"}, "Current_Password"),
        (JSONAPI, {"data": {"Attributes": {"email": ANN}}}, "data.Attributes"),
    ],
)
def test_another_spelling_of_a_field_is_refused(form: CustomerForm, document: Any, source: str) -> None:
    """A reader behind us that ignores case would take it for the field that nobody has looked at."""
    refusal = submitted(Plan("PATCH", "/c/1", document=document), form)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.source) == (Code.BODY_FIELD_FORBIDDEN, source)
