"""What of an upstream's error leaves on a route with rules."""

from typing import Any

import pytest

from gateway.guard.envelope import VOCABULARY, explained
from gateway.vocab.messages import Plan

PLAN = Plan(
    "POST",
    "/v2/customers/c1/addresses",
    query=(("filter", "eq(customer_id,c1):eq(status,Paid-X)"),),
    asked=(("filter", "eq(status,Paid-X)"),),
    document={"data": {"first_name": "Zo\u00eb", "county": "Sunnyville", "lines": [{"sku": 4711}]}},
)
WITHHELD = "The commerce API refused the request."


def text_of(message: Any, member: str = "detail", plan: Plan | None = PLAN) -> Any:
    """Return what becomes of one text of an error."""
    return explained(422, {"errors": [{member: message}]}, plan)["errors"][0].get(member)


@pytest.mark.parametrize(
    "message",
    [
        "Validation failed: field 'Name' on the 'min' tag.",
        "Does not match format 'email'",
        "The type does not exist or is not listed as customer",
        "Cannot associate more than one customer",
        "Customer does not have the required permissions to fulfill this request",
        "Could not parse the supplied filter",
        "The supplied filter contained unsupported characters",
        "error validating filter: unknown field [status] specified in search filter, allowed fields are [email name]",
        "The field `method` must be `purchase` or `authorize`",
        "The order is already paid",
        "customer not found",
        "The email already exists",
        "must be less than or equal to 2048 characters",
        "Your card was declined.",
        "Your card has insufficient funds. Please try another card.",
        "Your card has expired.",
        "There is not enough stock to add this product to your cart",
        "This product is sold out.",
        "The promotion code has already been redeemed",
        "postcode is required",
        "The shipping address is outside our delivery area",
    ],
)
def test_messages_of_the_api_leave(message: str) -> None:
    """All that they consist of is vocabulary (docs/upstream.md section 2)."""
    assert text_of(message) == message


@pytest.mark.parametrize(
    "message", ["'Zo\u00eb' is not valid", "4711 is out of stock", "unknown field [county]", "Paid-X"]
)
def test_what_the_client_said_itself_leaves(message: str) -> None:
    """Its own words tell the client nothing new."""
    assert text_of(message) == message


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("order of leslie@knope.example is locked", id="an address"),
        pytest.param("only-for-leslie-knope", id="a name"),
        pytest.param("customer 5f8da740-6680-463e-b31c-190b2db4bf9d not found", id="an id"),
        pytest.param("total is 12900", id="an amount"),
        pytest.param("c2", id="another id"),
        pytest.param("the email \u2709 exists", id="a sign that is no punctuation"),
        pytest.param("the em\u0430il exists", id="a letter that only looks like ours"),
        pytest.param("a " * 151, id="longer than a message"),
        pytest.param(["a"], id="no text"),
        pytest.param({"name": "a"}, id="a record"),
    ],
)
@pytest.mark.parametrize("member", ["title", "detail", "source"])
def test_every_other_text_stays(message: Any, member: str) -> None:
    """A word that nobody knows may be somebody's record."""
    assert text_of(message, member) in {None, WITHHELD, "Unprocessable Entity"}


def test_our_own_clause_is_not_what_the_client_said() -> None:
    """The words of a composed filter are the gateway's; here they are the customer's own id, in the path as well."""
    plan = Plan("GET", "/v2/orders", query=(("filter", "eq(customer_id,c1)"),))
    assert text_of("c1", plan=plan) == WITHHELD


def test_without_rules_every_message_leaves() -> None:
    """A trusted caller may see whatever the upstream says."""
    assert text_of("order of leslie@knope.example is locked", plan=None) == "order of leslie@knope.example is locked"


def test_the_vocabulary_is_plain_words() -> None:
    """Compared without case, and no number in it is longer than a limit."""
    assert all(word == word.casefold() and word.isalnum() and word.isascii() for word in VOCABULARY)
    assert all(int(word) <= 10_000 for word in VOCABULARY if word.isdigit())


@pytest.mark.parametrize(
    ("message", "left"),
    [
        (
            "There is not enough stock to add blue-shirt to your cart",
            "There is not enough stock to add [...] to your cart",
        ),
        ("customer 5f8da740-6680-463e-b31c-190b2db4bf9d not found", WITHHELD),
        ("The customer 5f8da740-6680-463e-b31c-190b2db4bf9d was not found", "The customer [...] was not found"),
        ("only-for-leslie-knope", WITHHELD),
        ("order_of_leslie_knope is locked", WITHHELD),
        ("the order of Leslie-Knope is locked already", WITHHELD),
        ("the order of leslie-knope@x-y.example is locked already", WITHHELD),
        ("the order of leslie knope-1 is locked already", WITHHELD),
        ("the order /v2/leslie-knope/a-b is locked already", WITHHELD),
        ("the order of l-e-s-l-i-e k-n-o-p-e is locked", WITHHELD),
    ],
)
def test_slugs_and_ids_are_left_out_of_a_text(message: str, left: str) -> None:
    """A shopper reads what is wrong without the name of the thing; what might be a person's name hides all of it."""
    assert text_of(message) == left


@pytest.mark.parametrize(
    "source",
    [
        "data.billing_address.postcode",
        {"pointer": "/data/billing_address/postcode"},
        {"pointer": "/data/shippingAddress/firstName"},
        {"pointer": "/data/items/0/quantity"},
        {"parameter": "page[limit]"},
        {"pointer": "/data/county"},
    ],
)
def test_the_place_at_fault_leaves(source: Any) -> None:
    """A form must know which of its fields is wrong (JSON:API 1.1, "Error objects"); names of fields are nobody's."""
    assert text_of(source, "source") == source


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ({"pointer": "/data/orders/5f8da740-6680-463e-b31c-190b2db4bf9d"}, None),
        ({"pointer": "/data/customers/leslie@knope.example"}, None),
        ({"pointer": "/data/name", "parameter": "leslie", "leak": {"name": "leslie"}}, {"pointer": "/data/name"}),
        ({"pointer": ["/data/name"]}, None),
        ({"header": "authorization"}, None),
        ({}, None),
        (["data"], None),
        ("leslieKnope", None),
    ],
)
def test_a_place_that_may_be_somebodys_stays(source: Any, kept: Any) -> None:
    """Of a source nothing leaves but a pointer and a parameter, each made of known words."""
    assert text_of(source, "source") == kept


@pytest.mark.parametrize(
    ("document", "detail"),
    [
        ({"title": "Conflict", "detail": "the email already exists", "status": 409}, "the email already exists"),
        ({"code": "23505", "message": "duplicate key value of leslie"}, WITHHELD),
        ({"code": "23505", "message": "duplicate key value"}, "duplicate key value"),
        ({"errors": {"email": ["taken"]}}, WITHHELD),
        ({"errors": []}, WITHHELD),
        ({"errors": ["x", None]}, WITHHELD),
        ([], WITHHELD),
        (None, WITHHELD),
        ("text", WITHHELD),
    ],
)
def test_an_error_of_any_shape_has_one_envelope(document: Any, detail: str) -> None:
    """SDKs read errors[0], always (docs/upstream.md section 2); RFC 9457 and PostgREST have members of their own."""
    (error,) = explained(409, document, PLAN)["errors"]
    assert (error["status"], error["detail"], error["code"]) == (409, detail, "UPSTREAM_REFUSED")
