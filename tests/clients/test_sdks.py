"""The real Moltin SDKs of 2018 and of today do a shop's whole business through `gateway demo`."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.demo.data import GUEST, LESLIE, RON, RON_ID, customers, identity
from tests.clients.walk import ADDRESS, NEWCOMER, RON_ORDERS, Step, Walk, obstacle, walk

NOT_FOUND = (404, "RECORD_NOT_FOUND")
NOT_ALLOWED = (403, "ACCESS_DENIED")
NOT_SETTABLE = (403, "BODY_FIELD_FORBIDDEN")
BAD_TOKEN = (403, "CUSTOMER_TOKEN_INVALID")
BAD_LOGIN = (404, "LOGIN_FAILED")

if reason := obstacle():
    pytest.skip(reason, allow_module_level=True)


@pytest.fixture(scope="module", params=[3, 36], ids=["sdk-3.15.3", "sdk-36.0.0"])
def walked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """Give one SDK's walk through the shop."""
    return walk(request.param, tmp_path_factory.mktemp("walk"))


def owners(orders: list[dict[str, Any]]) -> set[str]:
    """Give the ids of those the orders belong to."""
    return {order["relationships"]["customer"]["data"]["id"] for order in orders}


def wire(step: Step) -> list[tuple[str, int]]:
    """Give method and status of each request of a step."""
    return [(request["method"], request["status"]) for request in step.requests]


def test_every_promise_settles(walked: Walk) -> None:
    """Whatever the gateway answers, the SDK's promise ends, and a rejection is an error an app can show."""
    for step in walked.steps.values():
        assert step.outcome in {"resolved", "rejected"}, step
        if step.outcome == "rejected":
            assert type(step.error["status"]) is int
            assert step.error["title"]
            assert step.error["detail"]


def test_no_refusal_is_asked_for_twice(walked: Walk) -> None:
    """Every refusal costs one request: nothing but a bad bearer makes an SDK try again."""
    for step in walked.steps.values():
        if step.outcome == "rejected":
            sent = [request for request in step.requests if request["target"] != "/oauth/access_token"]
            assert len(sent) == (0 if step.name in {"unknown_client", "wrong_secret"} else 1), step


def test_the_log_has_each_request_once(walked: Walk) -> None:
    """What the SDK sent is what the gateway served: one line of the access log for each request."""
    sent = Counter(pair for step in walked.steps.values() for pair in wire(step))
    if walked.sdk == 36:
        # The step `own_fetch` goes past the driver's counting.
        sent.update([("POST", 200), ("GET", 200)])
    assert Counter((line["method"], line["status"]) for line in walked.log if line["event"] == "request") == sent


def test_nothing_of_others_reaches_a_customer(walked: Walk) -> None:
    """No answer but those to the trusted server holds a byte of another customer."""
    for step in walked.steps.values():
        text = json.dumps(step.value)
        assert (LESLIE.canary in text) == (step.name in {"trusted_customers", "trusted_orders"}), step.name


def test_a_bearer_is_had_without_a_secret(walked: Walk) -> None:
    """The implicit grant of the SDK gives a bearer, which it then sends in its own spelling."""
    assert walked["grant"].value["token_type"] == "Bearer"
    assert walked["grant"].value["identifier"] == "implicit"
    assert walked["register"].requests[-1]["scheme"] == ("Bearer:" if walked.sdk == 3 else "Bearer")


def test_a_new_customer_registers(walked: Walk) -> None:
    """Registration gives the customer, with `password` as a boolean."""
    customer = walked["register"].data
    assert (customer["type"], customer["name"], customer["email"]) == ("customer", NEWCOMER["name"], NEWCOMER["email"])
    assert customer["password"] is True


def test_a_taken_email_is_told(walked: Walk) -> None:
    """A second registration with an e-mail address is a 409 with a title and a detail to show."""
    error = walked["register_again"].error
    assert (error["status"], error["title"], error["code"]) == (409, "Conflict", "EMAIL_TAKEN")
    assert "e-mail" in error["detail"]


def test_a_bad_email_is_named(walked: Walk) -> None:
    """A registration without a usable e-mail address is told which field is at fault."""
    assert walked["register_without_email"].refusal == (422, "BODY_FIELD_INVALID")
    assert walked["register_without_email"].error["source"] == "data.email"


def test_login_gives_a_token(walked: Walk) -> None:
    """A login gives the customer's id, a token and its end in epoch seconds, a day ahead."""
    token = walked["login"].data
    assert (token["type"], token["customer_id"]) == ("token", RON_ID)
    assert 0 < token["expires"] - datetime.now(UTC).timestamp() <= 86_400
    assert walked["login_newcomer"].data["customer_id"] == walked["register"].data["id"]


def test_a_wrong_password_is_sent_once(walked: Walk) -> None:
    """A wrong password is a 404 that no SDK repeats, and an unknown e-mail address looks the same."""
    assert walked["login_wrong_password"].refusal == BAD_LOGIN
    assert wire(walked["login_wrong_password"]) == [("POST", 404)]
    assert walked["login_unknown_email"].value == walked["login_wrong_password"].value


def test_failed_logins_are_logged_once(walked: Walk) -> None:
    """The access log has one line for each failed login: the throttle counts what a person did."""
    failed = [
        step for step in walked.steps.values() if step.outcome == "rejected" and step.error["code"] == BAD_LOGIN[1]
    ]
    lines = [line for line in walked.log if line["event"] == "request" and line["code"] == BAD_LOGIN[1]]
    assert len(lines) == len(failed) == 4


def test_a_customer_sees_the_own_profile_only(walked: Walk) -> None:
    """The own id gives the profile, another one is as if not there."""
    assert walked["own_customer"].data["email"] == RON.email
    assert walked["own_customer"].data["password"] is True
    assert walked["foreign_customer"].refusal == NOT_FOUND
    assert walked["rename_foreign"].refusal == NOT_FOUND


def test_a_customer_lists_nobody_else(walked: Walk) -> None:
    """The list of customers holds the customer that asks."""
    assert [customer["id"] for customer in walked["customers_list"].data] == [RON_ID]


def test_a_profile_needs_a_good_token(walked: Walk) -> None:
    """Without a customer token, or with a garbled one, there is a 403 and no second try."""
    assert walked["own_customer_without_token"].refusal == NOT_ALLOWED
    assert walked["own_customer_garbled_token"].refusal == BAD_TOKEN
    assert wire(walked["own_customer_garbled_token"]) == [("GET", 403)]


def test_the_old_update_sends_no_token(walked: Walk) -> None:
    """`Customers.Update` of 3.15.3 drops the token and is refused; its request factory carries it, as 36.0.0 does."""
    if walked.sdk == 3:
        assert not walked["rename"].sent_token
        assert walked["rename"].refusal == NOT_ALLOWED
    else:
        assert walked["rename"].data["name"] == "Ron U. Swanson"
    assert walked["rename_with_token"].sent_token
    assert walked["rename_with_token"].data["name"] == "Ron U. Swanson"


def test_a_password_is_changed(walked: Walk) -> None:
    """After a change of the password the new one logs in and the old one does not."""
    assert walked["change_password"].data["password"] is True
    assert walked["login_old_password"].refusal == BAD_LOGIN
    assert walked["login_new_password"].data["customer_id"] == walked["register"].data["id"]


def test_delete_sends_no_token(walked: Walk) -> None:
    """`Customers.Delete` never sends a token and is refused; with the token the customer is gone, the login too."""
    assert not walked["remove"].sent_token
    assert walked["remove"].refusal == NOT_ALLOWED
    assert wire(walked["remove_with_token"])[-1] == ("DELETE", 204)
    assert walked["remove_with_token"].value == "{}"
    assert walked["login_removed"].refusal == BAD_LOGIN


def test_own_addresses_are_kept(walked: Walk) -> None:
    """An address is made, read, changed, listed and deleted."""
    made = walked["address_create"].data
    assert ADDRESS.items() <= made.items()
    assert walked["address_get"].data == made
    assert walked["address_update"].data["name"] == "Cabin in the woods"
    assert made["id"] in {address["id"] for address in walked["address_list"].data}
    assert walked["address_delete"].outcome == "resolved"
    assert walked["address_deleted"].refusal == NOT_FOUND


@pytest.mark.parametrize("step", ["address_list_foreign", "address_get_foreign", "address_create_foreign"])
def test_addresses_of_another_are_not_there(walked: Walk, step: str) -> None:
    """Addresses under another customer's id are as if not there."""
    assert walked[step].refusal == NOT_FOUND


def test_own_orders_are_listed(walked: Walk) -> None:
    """The list of orders holds every own order and no other; without a token it is refused."""
    assert {order["id"] for order in walked["orders"].data} == RON_ORDERS
    assert walked["orders_without_token"].refusal == NOT_ALLOWED


def test_orders_are_asked_for_in_detail(walked: Walk) -> None:
    """Include, sort, limit, offset and filter of the SDK work together."""
    step = walked["orders_asked_for"]
    assert len(step.data) == 2
    assert {order["status"] for order in step.data} == {"complete"}
    made = [order["meta"]["timestamps"]["created_at"] for order in step.data]
    assert made == sorted(made, reverse=True)
    assert step.value["meta"]["page"] == {"limit": 2, "offset": 1, "current": 1, "total": 3}
    referred = {item["id"] for order in step.data for item in order["relationships"]["items"]["data"]}
    assert {item["id"] for item in step.value["included"]["items"]} == referred


def test_pages_make_the_whole(walked: Walk) -> None:
    """Paging until there is no next page gives every own order once."""
    pages = [step.data for name, step in walked.steps.items() if name.startswith("orders_page_")]
    assert [len(page) for page in pages] == [5, 5, 2]
    assert sorted(order["id"] for page in pages for order in page) == sorted(RON_ORDERS)


def test_a_filter_does_not_widen(walked: Walk) -> None:
    """A filter for another customer is refused, and one that breaks out of its value finds own orders only."""
    assert walked["orders_of_another"].refusal == (400, "FILTER_FIELD_RESERVED")
    assert owners(walked["orders_widened"].data) == {RON_ID}
    assert {order["status"] for order in walked["orders_widened"].data} == {"complete", "processing"}


def test_one_order_with_its_items(walked: Walk) -> None:
    """One own order comes with its items; a foreign and an unknown one look the same."""
    step = walked["order"]
    assert step.data["id"] == identity("order", f"{RON.email}:0")
    assert [item["id"] for item in step.value["included"]["items"]] == [identity("order_item", f"{RON.email}:0")]
    assert walked["order_foreign"].refusal == NOT_FOUND
    assert walked["order_foreign"].value == walked["order_unknown"].value


@pytest.mark.parametrize("step", ["items", "transactions", "transactions_deprecated"])
def test_parts_of_orders_send_no_token(walked: Walk, step: str) -> None:
    """`Orders.Items`, `Orders.Transactions` and `Transactions.All` send no customer token and are refused."""
    assert not walked[step].sent_token
    assert walked[step].refusal == NOT_ALLOWED


def test_parts_of_own_orders_with_the_token(walked: Walk) -> None:
    """With the token the items and transactions of an own order are there, and those of a foreign one are not."""
    assert [item["id"] for item in walked["items_with_token"].data] == [identity("order_item", f"{RON.email}:0")]
    assert [one["type"] for one in walked["transactions_with_token"].data] == ["transaction"]
    assert walked["items_foreign"].refusal == NOT_FOUND
    assert walked["transactions_foreign"].refusal == NOT_FOUND


def test_paying_needs_the_token_for_customers(walked: Walk) -> None:
    """`Orders.Payment` sends no token: a guest's order is paid so, a customer's only with the token."""
    assert not walked["pay"].sent_token
    assert walked["pay"].refusal == NOT_FOUND
    assert walked["pay_with_token"].data["type"] == "transaction"
    assert walked["pay_foreign"].refusal == NOT_FOUND
    assert not walked["pay_guest"].sent_token
    assert walked["pay_guest"].data["type"] == "transaction"


def test_a_cart_is_filled(walked: Walk) -> None:
    """A cart of the SDK's own reference takes products without a customer token, and is deleted."""
    assert walked["cart"].data["type"] == "cart"
    assert [(item["sku"], item["quantity"]) for item in walked["cart_items"].data] == [("WAFFLE", 2)]
    assert walked["cart_items"].data == walked["cart_add"].data
    assert walked["cart_delete"].outcome == "resolved"


def test_a_guest_checks_out(walked: Walk) -> None:
    """A guest with name and e-mail gets an order that no customer can see, whatever the address says."""
    order = walked["checkout_guest"].data
    assert order["customer"] == {"name": GUEST.name, "email": GUEST.email}
    assert "customer" not in order["relationships"]
    assert walked["order_guest"].refusal == NOT_FOUND


def test_a_customer_checks_out(walked: Walk) -> None:
    """With the token the order is the customer's, also where the app still names a guest; it is there at once."""
    assert owners([walked["checkout_with_token"].data, walked["checkout_stamped"].data]) == {RON_ID}
    assert walked["order_bought"].data["id"] == walked["checkout_with_token"].data["id"]


def test_nobody_checks_out_for_another(walked: Walk) -> None:
    """A customer's id in a checkout needs that customer's token."""
    assert not walked["checkout_own_id"].sent_token
    assert walked["checkout_own_id"].refusal == NOT_SETTABLE
    assert walked["checkout_foreign"].refusal == NOT_SETTABLE


def test_a_cart_is_given_to_oneself_only(walked: Walk) -> None:
    """A cart is associated with the own customer, never with another one or without a token."""
    assert walked["associate"].data == [{"type": "customer", "id": RON_ID}]
    assert walked["associate_foreign"].refusal == NOT_SETTABLE
    assert walked["associate_without_token"].refusal == NOT_ALLOWED


def test_what_is_not_open_is_told(walked: Walk) -> None:
    """The list of all carts is a 405, a resource that is not in the routing file a 404."""
    assert walked["carts_list"].refusal == (405, "METHOD_NOT_ALLOWED")
    assert walked["unknown_route"].refusal == (404, "ROUTE_UNKNOWN")


def test_the_catalogue_is_open(walked: Walk) -> None:
    """Products are listed page by page and read one by one without a login."""
    names = [product["sku"] for step in ("products", "products_next") for product in walked[step].data]
    assert sorted(names) == ["CANOE", "CHAIR", "WAFFLE"]
    assert walked["product"].data["sku"] == "WAFFLE"


def test_a_bad_bearer_is_renewed_by_the_new_sdk(walked: Walk) -> None:
    """A 401 makes 36.0.0 fetch a new bearer and try again; 3.15.3, or 36.0.0 with one attempt, gives it to the app."""
    refusal = (401, "BEARER_INVALID")
    assert walked["bad_bearer_one_attempt"].refusal == refusal
    if walked.sdk == 3:
        assert walked["bad_bearer"].refusal == refusal
    else:
        assert wire(walked["bad_bearer"]) == [("GET", 401), ("POST", 200), ("GET", 200)]
        assert len(walked["bad_bearer"].data) == 3


@pytest.mark.parametrize("step", ["unknown_client", "wrong_secret"])
def test_an_unknown_client_is_told(walked: Walk, step: str) -> None:
    """A client the gateway does not know gets one 401 at the grant."""
    assert walked[step].refusal == (401, "CLIENT_UNKNOWN")
    assert wire(walked[step]) == [("POST", 401)]


def test_a_server_sees_everything(walked: Walk) -> None:
    """The SDK with a client secret reads all customers and orders; with a customer token it is that customer."""
    assert {customer["id"] for customer in walked["trusted_customers"].data} == set(customers())
    assert len(walked["trusted_orders"].data) > len(walked["trusted_as_customer"].data)
    assert owners(walked["trusted_as_customer"].data) == {RON_ID}


@pytest.mark.parametrize("walked", [36], ids=["sdk-36.0.0"], indirect=True)
def test_the_headers_option_carries_the_token(walked: Walk) -> None:
    """The `headers` option of 36.0.0 goes with every call, whether given to `gateway` or set after the login."""
    assert owners(walked["headers_everywhere"].data) == {RON_ID}
    assert walked["headers_rename"].data["name"] == RON.name
    assert len(walked["headers_products"].data) == 3
    assert [item["type"] for item in walked["headers_set_later"].data] == ["order_item"]
    steps = ("headers_everywhere", "headers_rename", "headers_products", "headers_set_later")
    assert all(walked[step].sent_token for step in steps)


@pytest.mark.parametrize("walked", [36], ids=["sdk-36.0.0"], indirect=True)
def test_checkout_takes_headers_of_its_own(walked: Walk) -> None:
    """The fourth argument of `Cart.Checkout` of 36.0.0 carries the token for that call alone."""
    assert walked["checkout_by_argument"].sent_token
    assert owners([walked["checkout_by_argument"].data]) == {RON_ID}


@pytest.mark.parametrize("walked", [36], ids=["sdk-36.0.0"], indirect=True)
def test_a_dead_token_is_in_the_way_of_nothing_that_is_open(walked: Walk) -> None:
    """A token that is not good says nothing where nobody has to be a customer; it is in nobody's way to a new one."""
    assert len(walked["expired_headers_products"].data) == 3
    assert walked["expired_headers_login"].data["customer_id"] == RON_ID
    assert walked["login_after_removal"].data["customer_id"] == RON_ID


@pytest.mark.parametrize("walked", [36], ids=["sdk-36.0.0"], indirect=True)
def test_the_fetch_of_the_sdk_works_too(walked: Walk) -> None:
    """Without `custom_fetch` 36.0.0 uses the fetch it brings along."""
    assert owners(walked["own_fetch"].data) == {RON_ID}
