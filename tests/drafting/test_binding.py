"""What becomes of single operations: the rules they get, and why others stay closed."""

import pytest

from tests.drafting.drafts import answers, drafted, guard, of, route, scope

TEXT = {"type": "string"}
ORDER = {"type": "object", "properties": {"id": TEXT, "customer_id": TEXT}}


def test_a_list_is_filtered_and_guarded() -> None:
    """The filter is what the document calls it; only what pages and sorts passes beside it."""
    made = route("wrapped.yaml", "get-orders")
    assert scope(made) == {"filter": {"field": "customer_id"}}
    assert guard(made) == {"owner": {"pointer": "/customer_id"}}
    assert made.query == ("limit", "offset")
    assert made.told == ("The document lists the parameter customer_id.",)
    untold = route("bare.yaml", "list-checkouts")
    assert (scope(untold), guard(untold)) == ({"filter": {"field": "user"}}, {"owner": {"pointer": "/user/id"}})
    assert "502" in untold.told[0]


def test_a_record_is_guarded_and_looked_up_before_a_write() -> None:
    """A read is judged, a write looks first; its body holds what the document lists, and the customer's own id."""
    assert (scope(route("wrapped.yaml", "get-order")), guard(route("wrapped.yaml", "get-order"))) == (
        {},
        {"owner": {"pointer": "/customer_id"}},
    )
    assert scope(route("wrapped.yaml", "delete-order")) == {"parent_owner": {"pointer": "/customer_id"}}
    assert scope(route("wrapped.yaml", "post-order")) == {
        "parent_owner": {"pointer": "/customer_id"},
        "body_fields": {"allow": ["email", "metadata", "customer_id"]},
        "body_stamp": {"pointer": "/customer_id", "shape": "scalar"},
    }


def test_customers_are_held_by_their_path() -> None:
    """A customer reads the own record, and changes of it what gives nobody a right."""
    assert scope(route("pages.yaml", "customers-list")) == {"filter": {"field": "id"}}
    assert scope(route("pages.yaml", "customers-retrieve")) == {"path_owner": {"parameter": "id"}}
    assert scope(route("pages.yaml", "customers-partial-update")) == {
        "path_owner": {"parameter": "id"},
        "parent_owner": {"pointer": "/id"},
        "body_fields": {"allow": ["name"]},
    }
    for name in ("customers-list", "customers-retrieve", "customers-partial-update"):
        assert guard(route("pages.yaml", name)) == {"owner": {"pointer": "/id"}}
    assert [route("pages.yaml", f"customers-{name}").passwords for name in ("create", "partial-update", "destroy")] == [
        "register",
        "change",
        "forget",
    ]
    below = route("bare.yaml", "create-address")
    assert scope(below) == {"path_owner": {"parameter": "user_id"}, "body_fields": {"allow": ["street"]}}
    assert guard(below) == {"owner": {"pointer": "/userId"}}


@pytest.mark.parametrize(
    ("document", "name", "why"),
    [
        ("wrapped.yaml", "get-customers-me", "by who asks"),
        ("wrapped.yaml", "get-customers", "the shop's own people"),
        ("wrapped.yaml", "get-notes", "neither a customer nor the order_id"),
        ("wrapped.yaml", "delete-claim", "no GET of the record"),
        ("wrapped.yaml", "get-products", "no member of the record"),
        ("actions.yaml", "create-order", "the body names no customer"),
        ("actions.yaml", "update-order", "at /actions"),
        ("pages.yaml", "customers-create", "everybody could register"),
        ("pages.yaml", "customers-destroy", "could delete themselves"),
        ("pages.yaml", "reviews-create", "the body names no customer"),
        ("pets.json", "get-user-by-name", "by username, and tokens do by the id"),
        ("pets.json", "update-user", "by username, and tokens do by the id"),
        ("pets.json", "upload-file", "not known"),
        ("bare.yaml", "list-keys", "no member of the record"),
        ("bare.yaml", "get-sale", "its ids are number"),
        ("storefront.yaml", "get-orders", "says that the API answers by who asks"),
        ("storefront.yaml", "get-customers-me-address", "by who asks"),
        ("office.yaml", "get-orders", "the shop's own people: /admin"),
        ("actions.yaml", "create-customer", "everybody could register"),
    ],
)
def test_what_stays_closed(document: str, name: str, why: str) -> None:
    """An operation whose owner is not known has no rules, and says why."""
    made = route(document, name)
    assert why in made.closed
    assert (made.scope, made.guard) == ((), ())


@pytest.mark.parametrize(
    ("summary", "is_of_the_asker"),
    [
        ("List Logged-in Customer's Orders", True),
        ("Retrieve the orders of the currently authenticated user.", True),
        ("Returns orders for the current account", True),
        ("List the signed in shopper\u2019s orders", True),
        ("Returns orders. Requires an authenticated user.", False),
        ("For authenticated users only", False),
        ("List orders of a customer", False),
    ],
)
def test_what_is_of_whoever_asks_may_be_said_in_words(summary: str, *, is_of_the_asker: bool) -> None:
    """The gateway asks, so that it would get what is the gateway's own; to be known is another thing."""
    listed = {"type": "array", "items": ORDER}
    (made,) = of({"/orders": {"get": answers(listed) | {"description": summary}}}).routes
    assert ("by who asks" in made.closed) is is_of_the_asker


def test_what_anybody_may_ask_for_is_told() -> None:
    """Where the document asks for a credential elsewhere: it may be the same for everybody."""
    told = "The document asks nobody for a credential here."
    assert route("storefront.yaml", "get-products").told[0].startswith(told)
    assert route("mutations.yaml", "product-categories").told[0].startswith(told)
    assert not any(one.told and told in one.told[0] for one in drafted("wrapped.yaml").routes)
    assert not route("office.yaml", "post-auth").told


def test_a_parameter_that_must_be_there_is_told_of() -> None:
    """Unless it passes, or is what the filter writes."""
    parameters = [{"name": name, "in": "query", "required": True} for name in ("shop", "page", "customer_id")]
    (made,) = of({"/orders": {"get": answers({"type": "array", "items": ORDER}) | {"parameters": parameters}}}).routes
    assert made.told[1:] == ("The API asks for the parameter shop: clients may send it once you list it under query.",)


def test_a_parameter_in_the_singular_names_a_customer() -> None:
    """As `{customer}` does below /customers; `{username}` may be something else."""
    assert scope(route("mutations.yaml", "customer")) == {"path_owner": {"parameter": "customer"}}
    assert scope(route("mutations.yaml", "customer-orders")) == {"path_owner": {"parameter": "customer"}}
    record = {"type": "object", "properties": {"id": TEXT}}
    (made,) = of({"/customers/{name}": {"get": answers(record)}}).routes
    assert "by name, and tokens do by the id" in made.closed


def test_records_beside_errors() -> None:
    """An owner in `anyOf` with null, of ids that are any number, below members of the path's name."""
    made = route("mutations.yaml", "order")
    assert (guard(made), made.records) == ({"owner": {"pointer": "/customer/id"}}, {"record": "/order"})
    assert route("mutations.yaml", "orders").records == {"list": "/orders", "total": "/totalCount"}


def test_only_what_is_below_a_collection_is_in_it() -> None:
    """A collection whose name begins like the customers' is another one."""
    record = {"type": "object", "properties": {"id": TEXT}}
    listed = {"type": "array", "items": record}
    made = of(
        {
            "/customer": {"get": answers(listed)},
            "/customer-group": {"get": answers(listed)},
            "/customer-group/{id}": {"get": answers(record)},
        }
    )
    assert [bool(one.closed) for one in made.routes] == [False, True, True]


@pytest.mark.parametrize(
    "name",
    [
        *("wrapped.yaml", "actions.yaml", "pets.json", "pages.yaml", "bare.yaml", "resources.json"),
        *("storefront.yaml", "office.yaml", "mutations.yaml", "handwritten.yaml"),
    ],
)
def test_nothing_is_opened(name: str) -> None:
    """Each route is closed, or has a guard that requires an owner; none is open to the public."""
    for made in drafted(name).routes:
        assert bool(made.closed) != bool(made.guard), made.name
        assert not any("required" in rule.options for rule in made.guard)
