"""The demo shop, asked without any I/O: bearers, paths, seed data and the catalogue."""

import json
from typing import Any

import pytest

from gateway.demo.answers import ShopAnswer
from gateway.demo.data import (
    CANARIES,
    GUEST_ORDER_ID,
    PEOPLE,
)
from gateway.demo.shop import Shop
from tests.demo.asking import BASE, Client
from tests.fakes.shop import issue_bearer, revoke_bearers

FORM = {"content-type": "application/x-www-form-urlencoded"}


def grant(shop: Shop, form: str) -> ShopAnswer:
    """Ask for a bearer."""
    return shop.answer("POST", "/oauth/access_token", [], FORM, form.encode())


@pytest.mark.parametrize(
    "form",
    ["grant_type=implicit&client_id=id", "grant_type=client_credentials&client_id=id&client_secret=secret"],
)
def test_grants(shop: Shop, form: str) -> None:
    """Both grants give a bearer at the top level of the document, with integer times."""
    document = grant(shop, form).json()
    assert document["token_type"] == "Bearer"
    assert document["expires_in"] == 3600
    assert isinstance(document["expires"], int)
    assert document["identifier"] == form.partition("&")[0].partition("=")[2]


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ("grant_type=implicit&client_id=other", 401),
        ("grant_type=client_credentials&client_id=id&client_secret=wrong", 401),
        ("grant_type=client_credentials&client_id=id", 401),
        ("grant_type=password&client_id=id", 400),
        ("", 400),
    ],
)
def test_refused_grants(shop: Shop, form: str, status: int) -> None:
    """Without the client's id, its secret or a known grant there is no bearer."""
    assert grant(shop, form).status == status


@pytest.mark.parametrize("scheme", ["Bearer {}", "Bearer: {}", "{}"])
def test_authorization_spellings(shop: Shop, scheme: str) -> None:
    """Every spelling of the header that real clients send is understood."""
    header = {"authorization": scheme.format(issue_bearer(shop))}
    assert shop.answer("GET", "/v2/orders", [], header, b"").status == 200


def test_bearers_expire() -> None:
    """A bearer is good until its last second is over, then it is 401."""
    times = [1000.0]
    client = Client(Shop(bearer_seconds=60, clock=lambda: times[0]))
    times[0] = 1059.0
    assert client.ask("GET", "/v2/products").status == 200
    times[0] = 1060.0
    answer = client.ask("GET", "/v2/products")
    assert answer.status == 401
    assert answer.json()["errors"][0]["title"] == "Unable to validate access token"
    assert answer.json()["errors"][0]["status"] == 401


def test_revoked_bearers(client: Client) -> None:
    """A revoked bearer is 401 on every path."""
    revoke_bearers(client.shop)
    assert client.ask("GET", "/nowhere").status == 401


@pytest.mark.parametrize(
    ("method", "target"), [("GET", "/v2/customers"), ("GET", f"/v2/orders/{GUEST_ORDER_ID}"), ("GET", "/v2/carts")]
)
def test_implicit_bearers_are_shut_out(shop: Shop, method: str, target: str) -> None:
    """An implicit bearer may not read what belongs to customers."""
    assert Client(shop, "implicit").ask(method, target).status == 403


def test_implicit_bearers_may_shop(shop: Shop) -> None:
    """An implicit bearer reads the catalogue and fills carts."""
    client = Client(shop, "implicit")
    product = client.get("/v2/products")["data"][0]
    item = {"type": "cart_item", "id": product["id"], "quantity": 2}
    assert client.ask("POST", "/v2/carts/mine/items", item).status == 201
    assert client.get("/v2/carts/mine")["data"]["meta"]["display_price"]["with_tax"]["amount"] == 9800


def test_seed_is_the_same_on_each_start() -> None:
    """Two shops begin with equal records, that are not shared."""
    one, two = Shop(), Shop()
    assert one.orders == two.orders
    assert one.customers == two.customers
    one.orders.clear()
    assert two.orders
    one.reset()
    assert one.orders == two.orders


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.name)
def test_canaries(client: Client, person: Any) -> None:
    """Everything a customer owns carries that customer's canary and no other."""
    orders = client.get(f"/v2/orders?filter=eq(customer_id,{person.id})&include=items&page[limit]=100")
    pages = [
        *orders["data"],
        *orders["included"]["items"],
        *client.get(f"/v2/customers/{person.id}/addresses")["data"],
        client.get(f"/v2/customers/{person.id}")["data"],
        *client.get(f"/v2/orders/{orders['data'][-1]['id']}/transactions")["data"],
    ]
    assert len(orders["data"]) == person.orders
    for page in pages:
        assert [text for text in CANARIES.values() if text in json.dumps(page)] == [person.canary]


@pytest.mark.parametrize("path", ["/v2/products", "/v2/currencies", "/catalog/nodes", "/catalog/hierarchies"])
def test_catalogue_caching(client: Client, path: str) -> None:
    """Catalogue answers carry an ETag, answer 304 to it, and can be had in parts."""
    whole = client.ask("GET", path)
    tag = dict(whole.headers)["etag"]
    assert client.ask("GET", path, if_none_match=f'"x", W/{tag}').status == 304
    part = client.ask("GET", path, range="bytes=2-5")
    assert (part.status, part.body) == (206, whole.body[2:6])
    assert dict(part.headers)["content-range"] == f"bytes 2-5/{len(whole.body)}"
    assert client.ask("GET", path, range="bytes=-4").body == whole.body[-4:]
    assert client.ask("GET", path, range="bytes=999999-").status == 416
    head = client.ask("HEAD", path)
    assert (head.status, head.body, dict(head.headers)["content-length"]) == (200, b"", str(len(whole.body)))
    one = f"{path}/{whole.json()['data'][0]['id']}"
    assert client.get(one)["data"]["links"]["self"] == BASE + one


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v2/orders/", 404),
        ("GET", "//v2/orders", 404),
        ("GET", "/v2/carts/../orders", 404),
        ("GET", f"/v2%2Forders/{GUEST_ORDER_ID}", 404),
        ("PATCH", "/v2/orders", 405),
        ("GET", "/oauth/access_token", 405),
    ],
)
def test_paths_are_taken_literally(client: Client, method: str, target: str, status: int) -> None:
    """No path is normalised, and a known path with another method is 405."""
    assert client.ask(method, target).status == status


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"data":1}', b"\xff", b"[" * 100_000])
def test_bad_bodies(client: Client, body: bytes) -> None:
    """A body that is no document is 400."""
    headers = {"authorization": client.bearer}
    assert client.shop.answer("POST", "/v2/customers", [], headers, body).status == 400
