"""The login of an API of another kind: its body from a template, whose it was from its answer."""

from typing import Any

import jwt
import pytest

from gateway.config.customers import Customers, customer_form, login_form
from gateway.config.records import Records
from gateway.tokens.login_form import LoginForm


def form(preset: str = "moltin", **login: Any) -> LoginForm:
    """Read a login as a routing file has it."""
    customers = Customers.model_validate({"verify": "upstream", "login": login})
    return login_form(customers, customer_form(customers, Records.model_validate({"preset": preset})))


def test_without_a_word_it_is_moltins() -> None:
    """As the documentation of that API has it."""
    login = form()
    assert login.filled("a@x.example", "pw") == {"data": {"type": "token", "email": "a@x.example", "password": "pw"}}
    assert (login.path, login.customer_id({"data": {"customer_id": "c1"}})) == ("/v2/customers/tokens", "c1")


def test_a_template_is_filled_member_by_member() -> None:
    """What was typed is a text of its own, and can be no part of anything."""
    login = form(
        path="/auth/", body={"user": {"login": "{email}"}, "secret": "{password}", "n": 1, "l": ["{email}", "x{email}"]}
    )
    typed = '","admin":true,"x":"{password}'
    assert login.filled(typed, "pw") == {"user": {"login": typed}, "secret": "pw", "n": 1, "l": [typed, "x{email}"]}


@pytest.mark.parametrize(
    ("preset", "answer", "expected"),
    [
        ("rest", {"user": {"id": "7"}}, "7"),
        ("drf", {"user": {"id": 7}}, "7"),
        ("drf", {"user": {"id": "7"}}, None),
        ("drf", {"user": {"id": True}}, None),
        ("jsonapi", {"user": {"id": 7}}, None),
        ("rest", {"user": {}}, None),
        ("rest", [], None),
    ],
)
def test_the_answer_says_who_it_is(preset: str, answer: Any, expected: str | None) -> None:
    """In the kind of id that the API has."""
    assert form(preset, customer_id="/user/id").customer_id(answer) == expected


@pytest.mark.parametrize(
    ("claims", "expected"), [({"sub": "7"}, "7"), ({"sub": 7}, "7"), ({"user": "7"}, None), ({"sub": None}, None)]
)
def test_a_claim_says_who_it_is(claims: dict[str, Any], expected: str | None) -> None:
    """Of the token that the API's login answers."""
    login = form("drf", token="/access", customer_id="/sub")
    token = jwt.encode(claims, "a key that only the API knows, of 32 bytes", "HS256")
    assert login.customer_id({"access": token}) == expected


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "a.!!.c", None, 7, "a..b"])
def test_what_is_no_token_says_nobody(token: object) -> None:
    """Nothing is read into it."""
    assert form(token="/access", customer_id="/sub").customer_id({"access": token}) is None
