"""Customers, addresses and tokens of the demo shop."""

from typing import Any

import pytest

from gateway.demo.data import (
    APRIL_ID,
    DEMO_PASSWORDS,
    RON,
    RON_ID,
)
from gateway.demo.shop import Shop
from tests.demo.asking import Client


def test_customer_life(client: Client) -> None:
    """A customer is created, found by e-mail, changed in part, and deleted."""
    created = client.ask("POST", "/v2/customers", {"type": "customer", "name": "Tom", "email": "tom@haverford.example"})
    ident = created.json()["data"]["id"]
    assert created.status == 201
    assert created.json()["data"]["password"] is False
    found = client.get("/v2/customers?filter=eq(email,tom@haverford.example)")["data"]
    assert [one["id"] for one in found] == [ident]
    changed = client.ask("PUT", f"/v2/customers/{ident}", {"name": "Tommy", "id": "other", "nickname": "T"}).json()
    assert (changed["data"]["id"], changed["data"]["name"], changed["data"]["nickname"]) == (ident, "Tommy", "T")
    assert changed["data"]["email"] == "tom@haverford.example"
    gone = client.ask("DELETE", f"/v2/customers/{ident}")
    assert (gone.status, gone.body) == (204, b"")
    assert client.ask("GET", f"/v2/customers/{ident}").status == 404


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"name": "R", "email": "r@r.example"}, 422),
        ({"type": "customer", "email": "r@r.example"}, 422),
        ({"type": "customer", "name": "R", "email": "nope"}, 400),
        ({"type": "customer", "name": "R", "email": "r..r@r.example"}, 400),
        ({"type": "customer", "name": "R", "email": None}, 400),
        ({"type": "customer", "name": "R", "email": "RON@swanson.EXAMPLE"}, 409),
        (["customer"], 400),
    ],
)
def test_bad_customers(client: Client, data: object, status: int) -> None:
    """A customer without type, name or good new e-mail is refused."""
    assert client.ask("POST", "/v2/customers", data).status == status


def test_email_of_another(client: Client) -> None:
    """A change to another customer's e-mail is a conflict, to one's own in other letters it is not."""
    assert client.ask("PUT", f"/v2/customers/{RON_ID}", {"email": "Leslie@knope.example"}).status == 409
    assert client.ask("PUT", f"/v2/customers/{RON_ID}", {"email": "Ron@Swanson.example"}).status == 200


@pytest.mark.parametrize("body", [{"data": {"password": "p"}}, {"data": [{"a": {"password": None}}]}])
def test_passwords_are_noticed(client: Client, body: Any) -> None:
    """A password that reaches the API is noted without its value and never kept."""
    client.ask("PUT", f"/v2/customers/{RON_ID}", body["data"])
    assert client.shop.passwords_seen == [f"PUT /v2/customers/{RON_ID}"]
    assert client.get(f"/v2/customers/{RON_ID}")["data"]["password"] is False


def test_tokens_need_a_shop_with_passwords(client: Client) -> None:
    """A shop without passwords has no token route, and notes the password that came."""
    assert client.ask("POST", "/v2/customers/tokens", {"type": "token", "password": "p"}).status == 404
    assert client.shop.passwords_seen == ["POST /v2/customers/tokens"]


def test_tokens() -> None:
    """A shop with passwords gives a token for the right one, 404 for the wrong one and for nobody's."""
    client = Client(Shop(passwords=dict(DEMO_PASSWORDS)), "implicit")
    login = {"type": "token", "email": RON.email, "password": DEMO_PASSWORDS[RON.email]}
    answer = client.ask("POST", "/v2/customers/tokens", login)
    assert answer.status == 201
    assert answer.json()["data"]["customer_id"] == RON_ID
    for wrong in ({"password": "x"}, {"email": "x@x.example"}, {"email": ["x"]}):
        assert client.ask("POST", "/v2/customers/tokens", login | wrong).status == 404
    assert client.shop.passwords_seen == []


def test_address_life(client: Client) -> None:
    """An address is created, changed and deleted below its customer, and found below no other."""
    home = client.get(f"/v2/customers/{APRIL_ID}/addresses")["data"][0]
    fields = {key: home[key] for key in ("first_name", "last_name", "line_1", "county", "postcode", "country")}
    created = client.ask("POST", f"/v2/customers/{APRIL_ID}/addresses", fields)
    ident = created.json()["data"]["id"]
    assert created.status == 201
    assert client.ask("PUT", f"/v2/customers/{APRIL_ID}/addresses/{ident}", {"name": "New"}).status == 200
    assert client.get(f"/v2/customers/{APRIL_ID}/addresses/{ident}")["data"]["name"] == "New"
    assert client.ask("GET", f"/v2/customers/{RON_ID}/addresses/{ident}").status == 404
    assert client.ask("DELETE", f"/v2/customers/{APRIL_ID}/addresses/{ident}").status == 204
    assert client.ask("POST", f"/v2/customers/{APRIL_ID}/addresses", fields | {"county": ""}).status == 400
