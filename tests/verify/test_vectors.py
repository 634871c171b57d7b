"""Vectors are data: each has its name, its sentence and its requests, and the requests are what they say."""

import base64
import json

import pytest

from gateway.verify.judge import readings, spoken
from gateway.verify.model import Group, Shot
from gateway.verify.vectors import ROUTE_VECTORS, VECTORS, Setting, Vector
from gateway.verify.vectors.credentials import forged
from tests.verify.settings import A_ID, B_ID, ORDER_B, TOKEN, routes, setting

BY_NAME = {vector.id: vector for vector in VECTORS}


@pytest.fixture
def order() -> Setting:
    """Give the route of a single order."""
    return setting(routes()["order"])


@pytest.fixture
def orders() -> Setting:
    """Give the list of orders."""
    return setting(routes()["orders-list"])


@pytest.fixture
def change() -> Setting:
    """Give the change of an address."""
    return setting(routes()["address-change"], "PUT")


@pytest.fixture
def checkout() -> Setting:
    """Give the checkout."""
    return setting(routes()["cart-checkout"], "POST")


def shots(name: str, where: Setting) -> list[Shot]:
    """Return the requests of a vector."""
    return list(BY_NAME[name].shots(where))


def says(shot: Shot) -> str:
    """Return everything that a request says, decoded."""
    body = (shot.body or b"").decode("utf-8", "replace")
    lines = (f"{name}: {value}" for name, value in (*shot.headers, *(("t", one) for one in shot.tokens or ())))
    bearers = shot.bearers or ()
    return "\n".join(readings(spoken(shot.target, *lines, *bearers, body, shot.says)))


def test_there_are_many() -> None:
    """More than forty kinds, with names of their own, sentences, and every class."""
    assert len(VECTORS) == len(BY_NAME) > 40
    assert {vector.group for vector in VECTORS} == set(Group)
    assert all(vector.sentence.endswith(".") and vector.sentence[0].isupper() for vector in VECTORS)
    assert len({vector.sentence for vector in VECTORS}) == len(VECTORS)


@pytest.mark.parametrize("vector", ROUTE_VECTORS, ids=lambda vector: vector.id)
def test_every_vector_is_tried_somewhere(
    vector: Vector, order: Setting, orders: Setting, change: Setting, checkout: Setting
) -> None:
    """No vector is empty on all of a list, a record, a change, a checkout and a registration."""
    register = setting(routes()["customers-register"], "POST")
    found = [shot for where in (order, orders, change, checkout, register) for shot in vector.shots(where)]
    assert found
    for shot in found:
        assert shot.target.startswith(("/", "http://"))
        assert shot.raw or shot.target.isascii()


@pytest.mark.parametrize(
    "name",
    ["foreign-id", "percent-letters", "encoded-slash", "dot-segments", "encoded-dots", "double-encoding",
     "path-parameters", "path-endings", "letter-case", "backslash", "absolute-form", "unicode"],
)  # fmt: skip
def test_spellings_lead_to_b(name: str, order: Setting) -> None:
    """Decoded, each spelling names B's record."""
    for shot in shots(name, order):
        assert ORDER_B.lower() in says(shot).lower(), shot


def test_where_b_has_nothing_the_tricks_lead_to_its_records_elsewhere(orders: Setting) -> None:
    """On a list the way leads from the list to B's own record."""
    assert shots("dot-segments", orders)[0].target == f"/v2/orders/../../v2/customers/{B_ID}"


def test_filters_are_written_in_the_dialect_of_the_route(orders: Setting, order: Setting) -> None:
    """They name the owner field of the rule; a route without a filter has none."""
    assert shots("filter-foreign", orders)[0].target == f"/v2/orders?filter=eq(customer_id,{B_ID})"
    assert f"filter=eq(customer_id,{A_ID})|eq(customer_id,{B_ID})" in shots("filter-or", orders)[0].target
    assert shots("filter-foreign", order) == []
    assert any("fil" in shot.target and "filter=" not in shot.target for shot in shots("filter-hidden", orders))


def test_forged_tokens_say_b(order: Setting) -> None:
    """The payload names B and the signature is not the gateway's."""
    token = forged(order)
    header, payload, signature = token.split(".")
    assert json.loads(base64.urlsafe_b64decode(payload + "=="))["sub"] == B_ID
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "EdDSA"
    assert signature == TOKEN.split(".")[2]
    for name in ("token-subject", "token-none", "token-unsigned", "token-key-id", "token-own-key", "token-public-key"):
        assert all(B_ID in says(shot) for shot in shots(name, order)), name
    assert all(shot.tokens and shot.tokens[0].endswith(".") for shot in shots("token-none", order))


def test_an_opaque_token_is_forged_like_a_usual_one(order: Setting) -> None:
    """A gateway whose tokens cannot be read gets tokens that look like everybody's."""
    order.attacker.token = "opaque"
    assert len(forged(order).split(".")) == 3


@pytest.mark.parametrize(
    "name", ["body-stamp", "body-owner", "body-relationship", "body-record-id", "body-beside", "body-repeated-keys"]
)
def test_bodies_name_b(name: str, checkout: Setting) -> None:
    """Each body names B or a record of B's, on A's own path."""
    found = shots(name, checkout)
    assert found
    for shot in found:
        assert B_ID in says(shot) or ORDER_B in says(shot)
        assert B_ID not in shot.target


def test_hidden_bodies_say_what_they_say(checkout: Setting) -> None:
    """What stands in UTF-16 or gzip is told to the judge in plain letters."""
    assert all(B_ID in says(shot) for shot in shots("body-encoding", checkout))


def test_own_records_are_not_destroyed() -> None:
    """Where A's own path would be deleted nothing is sent to it."""
    route = routes()["customer-delete"]
    where = setting(route, "DELETE", own=None, documents=lambda: None)
    for vector in ROUTE_VECTORS:
        for shot in vector.shots(where):
            assert shot.target.partition("?")[0] != where.start, vector.id


def test_what_may_change_something_is_marked(order: Setting) -> None:
    """Reading is safe; methods that change, and headers that ask for another method, are not."""
    assert all(shot.is_safe for shot in shots("foreign-id", order))
    assert not any(shot.is_safe for shot in shots("method-override", order))
    assert not any(shot.is_safe for shot in shots("unlisted-method", order) if shot.method != "TRACE")
