"""Plans of whole documents: form, customers, names, and what is left out."""

from pathlib import Path

import pytest

from gateway.drafting.document import parse
from gateway.drafting.operation import read
from gateway.drafting.plan import plan
from gateway.drafting.trial import tried
from tests.drafting.drafts import DOCUMENTS, answers, drafted, of, route

TEXT = {"type": "string"}
ORDER = {"type": "object", "properties": {"id": TEXT, "customer_id": TEXT}}
ORDERS = {"type": "array", "items": ORDER}


@pytest.mark.parametrize(
    ("name", "records", "customers", "counts"),
    [
        ("wrapped.yaml", {"preset": "rest", "ids": "text"}, "/admin/customers", (5, 11, 1)),
        (
            "actions.yaml",
            {"preset": "rest", "list": "/results", "total": "/total", "ids": "text"},
            "/customers",
            (7, 4, 3),
        ),
        ("pets.json", {"preset": "rest", "ids": "number"}, "/user", (1, 8, 0)),
        ("pages.yaml", {"preset": "drf"}, "/api/customers", (8, 4, 0)),
        ("bare.yaml", {"preset": "rest", "ids": "text"}, "/users", (8, 2, 0)),
        ("resources.json", {"preset": "jsonapi"}, "/customers", (3, 0, 0)),
        ("storefront.yaml", {"preset": "rest", "ids": "text"}, "", (2, 4, 0)),
        ("office.yaml", {"preset": "rest", "ids": "text"}, "/admin/customers", (0, 3, 0)),
        ("handwritten.yaml", {"preset": "rest", "id": "/_id", "ids": "text"}, "/users", (4, 0, 0)),
        ("mutations.yaml", {"preset": "rest", "ids": "number"}, "/customers", (5, 1, 0)),
    ],
)
def test_documents(name: str, records: dict[str, str], customers: str, counts: tuple[int, int, int]) -> None:
    """How each API speaks, who its customers are, and how many operations are bound, closed and left out."""
    made = drafted(name)
    assert {**made.records, "preset": made.records["preset"]} == records
    assert made.customers.path == customers
    assert (len(made.bound), len(made.closed), len(made.left_out)) == counts


def test_what_differs_is_said_at_the_route() -> None:
    """A route says only what its records have elsewhere than those of the file."""
    assert route("wrapped.yaml", "get-orders").records == {"list": "/orders", "total": "/count"}
    assert route("wrapped.yaml", "get-order").records == {"record": "/order"}
    assert route("pages.yaml", "orders-list").records == {}


def test_where_customers_have_their_records() -> None:
    """As their list, one of them, and a new one have it: nobody else's records need be there."""
    assert drafted("wrapped.yaml").customer_records == {"list": "/customers", "total": "/count", "record": "/customer"}
    assert drafted("handwritten.yaml").customer_records == {"record": "/data/user"}
    assert drafted("pages.yaml").customer_records == {}


def test_passwords_are_kept_as_customers_are_described(tmp_path: Path) -> None:
    """A route that keeps them reads bodies as the section of the customers says, or the file would have a fault."""
    person = {"type": "object", "properties": {"id": TEXT, "email": TEXT, "name": TEXT, "password": TEXT}}
    wrapped = {"type": "object", "properties": {"customer": person}}
    body = {"requestBody": {"content": {"application/json": {"schema": person}}}}
    record = {"get": answers(wrapped), "patch": answers(wrapped) | body, "delete": answers(wrapped)}
    orders = {"/orders": {"get": answers(ORDERS)}, "/orders/{id}": {"get": answers(ORDER)}}
    made = of({"/customers": {"post": answers(wrapped) | body}, "/customers/{id}": record, **orders})
    keeping = [one for one in made.routes if one.passwords not in {None, "show"}]
    assert [(one.passwords, one.records) for one in keeping] == [
        (mode, {"record": "/customer"}) for mode in ("register", "change", "forget")
    ]
    _, config, tried_of = tried(made, "x", tmp_path)
    assert config.customer_form.form.record_at == ("customer",)
    assert len(tried_of.left_out) == 0


def test_the_parameter_of_the_shop() -> None:
    """What every path begins with is no part of the routes, and what does not begin so is left out."""
    made = drafted("actions.yaml")
    assert made.prefix == "/{projectKey}"
    assert [left.path for left in made.left_out] == ["/{projectKey}", "/{projectKey}/customers/key={key}", "/status"]


def test_names() -> None:
    """Each route has a name of its own, as the document calls it, or of its method and path."""
    made = of(
        {
            "/orders": {"get": {**answers(ORDERS), "operationId": "listOrders"}, "put": {}},
            "/orders/all": {"get": {**answers(ORDERS), "operationId": "list_orders"}},
            "/x": {"get": {"operationId": "-" * 80}, "post": {"operationId": "x" * 200}},
        }
    )
    assert [one.name for one in made.routes] == ["list-orders", "put-orders", "list-orders-2", "get-x", "x" * 60]


def test_what_is_left_out() -> None:
    """The same path twice, and paths of the gateway's own, are left out with the reason."""
    made = of({"/a/{x}": {"get": {}}, "/a/{y}": {"get": {}}, "/oauth/access_token": {"post": {}}})
    assert [one.path for one in made.routes] == ["/a/{x}"]
    assert [left.reason for left in made.left_out] == [
        "it is the same path as /a/{x}",
        "the gateway answers this path itself",
    ]


def test_a_login_is_told_of() -> None:
    """A login of the API is named, so that the reader can decide who keeps the passwords."""
    assert drafted("pages.yaml").login == "POST /api/login/"
    assert drafted("pets.json").login == ""


def test_paths_of_both_kinds() -> None:
    """Where most paths end with a slash, the others say that they do not."""
    made = of({"/a/": {"get": {}}, "/b/": {"get": {}}, "/c": {"get": {}}})
    assert made.records["trailing_slash"] is True
    assert [one.records for one in made.routes] == [{}, {}, {"trailing_slash": False}]


def test_a_preset_that_was_asked_for() -> None:
    """A preset stands in place of what the document speaks like."""
    api = read(parse((DOCUMENTS / "pages.yaml").read_bytes()))
    assert plan(api, "rest").records == {"preset": "rest"}
