"""Which of the gateway's credentials a request goes upstream with: nobody gets more than the API would give them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.data import DRAFT, GUEST_ORDER_ID, RON, RON_CART, RON_ID, identity
from tests.fakes.commerce import Commerce, Fault, Recorded, at
from tests.fakes.shop import add_order
from tests.gateways import Answer, Site
from tests.gateways import site as run_site

SERVER, PUBLIC = "client_credentials", "implicit"
OWN_ORDER = f"/v2/orders/{identity('order', f'{RON.email}:0')}"
HIDDEN = f"/v2/products/{identity('product', DRAFT[0])}"
ADDRESS = f"/v2/customers/{RON_ID}/addresses"
ITEM = {"data": {"type": "custom_item", "name": "TV", "quantity": 1, "price": {"amount": 900}}}
PERSON = {"name": "May", "email": "may@example.com"}
BILLING = {"first_name": "Ron", "last_name": "Swanson", "line_1": "1 Main Street", "country": "US", "postcode": "1"}


def carried(site: Site) -> list[str]:
    """Return by which grant each bearer was got that came upstream since the last call, in order."""
    grants = [grant_of(site.commerce, request) for request in site.commerce.requests]
    site.commerce.all_requests.clear()
    return grants


def grant_of(commerce: Commerce, request: Recorded) -> str:
    """Return the grant of the bearer that a request came with."""
    (authorization,) = [value for name, value in request.headers if name.lower() == "authorization"]
    return commerce.shop.bearers.issued[authorization.removeprefix("Bearer ")].grant


async def ask(site: Site, caller: str, method: str, target: str, body: Any = None) -> Answer:
    """Send a request as the storefront, as Ron, or as a server."""
    options = {} if body is None else {"json": body}
    if caller == "customer":
        await site.token(RON.email)
    site.commerce.all_requests.clear()
    if caller == "customer":
        return await site.customer(RON.email, method, target, **options)
    return await (site.trusted if caller == "trusted" else site.public)(method, target, **options)


@pytest.mark.parametrize("caller", ["public", "customer"])
async def test_nobody_is_shown_what_the_api_would_not_show_them(site: Site, caller: str) -> None:
    """A draft is in no list, behind no id, and in no cart of those who are not trusted."""
    products = await ask(site, caller, "GET", "/v2/products")
    assert {record["status"] for record in products.json()["data"]} == {"live"}
    assert (await ask(site, caller, "GET", HIDDEN)).status == 404
    bought = {"data": {"type": "cart_item", "id": HIDDEN.rpartition("/")[2], "quantity": 1}}
    assert (await ask(site, caller, "POST", "/v2/carts/mine/items", bought)).status == 404
    assert (await ask(site, "trusted", "GET", HIDDEN)).status == 200


@pytest.mark.parametrize("caller", ["public", "customer"])
async def test_nobody_does_what_the_api_would_not_let_them(site: Site, caller: str) -> None:
    """What is owed in taxes is said by a server alone: the gateway lends nobody the right to."""
    taxed = {"data": {**ITEM["data"], "tax": [{"rate": 0}]}}
    assert (await ask(site, caller, "POST", "/v2/carts/mine/items", taxed)).status == 403
    assert (await ask(site, caller, "POST", "/v2/carts/mine/items", ITEM)).status == 201
    assert (await ask(site, "trusted", "POST", "/v2/carts/mine/items", taxed)).status == 201


CARRIED = [
    pytest.param("public", "GET", "/v2/brands", None, [PUBLIC], id="what is open"),
    pytest.param("customer", "GET", "/v2/brands", None, [PUBLIC], id="what is open, to a customer"),
    pytest.param("trusted", "GET", "/v2/brands", None, [SERVER], id="what is open, to a server"),
    pytest.param("public", "POST", "/v2/carts", {"data": {"name": "x"}}, [PUBLIC], id="a body looked over"),
    pytest.param("customer", "GET", f"/v2/customers/{RON_ID}", None, [SERVER], id="bound by the path"),
    pytest.param("customer", "GET", "/v2/orders", None, [SERVER], id="bound by a filter"),
    pytest.param("customer", "GET", OWN_ORDER, None, [SERVER], id="bound by the owner of the answer"),
    pytest.param("customer", "GET", f"{OWN_ORDER}/items", None, [SERVER, SERVER], id="bound by a parent"),
    pytest.param(
        "customer",
        "POST",
        f"/v2/carts/{RON_CART}/checkout",
        {"data": {"billing_address": BILLING}},
        [SERVER],
        id="bound by a stamp",
    ),
    pytest.param(
        "public",
        "POST",
        f"/v2/carts/{RON_CART}/checkout",
        {"data": {"customer": PERSON, "billing_address": BILLING}},
        [PUBLIC],
        id="a guest's",
    ),
]


@pytest.mark.parametrize(("caller", "method", "target", "body", "expected"), CARRIED)
async def test_the_servers_credential_carries_what_is_bound_to_the_customer(
    site: Site, caller: str, method: str, target: str, body: Any, expected: list[str]
) -> None:
    """Everything else of those who are not trusted goes with the weaker one."""
    assert (await ask(site, caller, method, target, body)).status < 300
    assert carried(site) == expected


async def test_passwords_are_kept_with_the_servers_credential(site: Site) -> None:
    """A registration, and the look-ups of a login, are the gateway's own exchanges."""
    person = {"type": "customer", "name": "Ann", "email": "ann@example.com", "password": "a good long one"}
    assert (await ask(site, "public", "POST", "/v2/customers", {"data": person})).status == 201
    assert set(carried(site)) == {SERVER}
    assert (await site.login("ann@example.com", "a good long one")).status == 201
    assert set(carried(site)) == {SERVER}


@pytest.mark.parametrize("caller", ["public", "customer"])
async def test_a_guests_order_is_paid_with_the_weaker_one(site: Site, caller: str) -> None:
    """The look-up is the gateway's own; what follows is nobody's, whoever asks for it."""
    body = {"data": {"gateway": "manual", "method": "purchase"}}
    assert (await ask(site, caller, "POST", f"/v2/orders/{GUEST_ORDER_ID}/payments", body)).status == 200
    assert carried(site) == [SERVER, PUBLIC]


async def test_an_own_order_is_paid_with_the_servers(site: Site) -> None:
    """The same route, once the look-up has shown that the order is the customer's."""
    order = add_order(site.commerce.shop, RON_ID)
    body = {"data": {"gateway": "manual", "method": "purchase"}}
    assert (await ask(site, "customer", "POST", f"/v2/orders/{order['id']}/payments", body)).status == 200
    assert carried(site) == [SERVER, SERVER]


NOT_TO_BE_HAD = "extends: moltin.yaml\nupstream: {public_credential: {path: /oauth/broken}}\n"


def is_implicit(request: Recorded) -> bool:
    """Tell whether a request asks for the weaker credential."""
    return b"grant_type=implicit" in request.body


async def test_the_stronger_never_stands_in_for_the_weaker(upstream: Commerce, tmp_path: Path) -> None:
    """While the weaker one cannot be had its routes are 503, the others go on, and the gateway is ready."""
    upstream.fault(Fault.SERVER_ERROR, when=at("/oauth/broken"))
    async with run_site(upstream, tmp_path, config=NOT_TO_BE_HAD) as site:
        for caller in ("public", "customer"):
            refused = await ask(site, caller, "GET", "/v2/products")
            assert (refused.status, refused.code) == (503, "CREDENTIAL_UNAVAILABLE")
            assert "retry-after" in refused.headers
            assert not [one for one in upstream.requests if one.path != "/oauth/broken"]
        assert (await ask(site, "customer", "GET", "/v2/orders")).status == 200
        assert (await ask(site, "trusted", "GET", "/v2/products")).status == 200
        async with site.session.get(f"{site.admin_url}/ready") as ready:
            assert ready.status == 200


async def test_a_weaker_one_that_is_rejected_is_not_replaced_by_the_stronger(site: Site) -> None:
    """A 401 renews the credential that was sent, and only that one is sent again."""
    await ask(site, "public", "GET", "/v2/brands")
    for bearer in [token for token, held in site.commerce.shop.bearers.issued.items() if held.grant == PUBLIC]:
        del site.commerce.shop.bearers.issued[bearer]
    site.commerce.all_requests.clear()
    assert (await site.public("GET", "/v2/brands")).status == 200
    assert len(site.commerce.requests) == 2
    assert grant_of(site.commerce, site.commerce.requests[-1]) == PUBLIC
    assert [b"grant_type=implicit" in request.body for request in site.commerce.token_requests] == [True]


async def test_a_route_may_say_otherwise(upstream: Commerce, tmp_path: Path) -> None:
    """`credential: server` gives everybody there what the server's may read, `public` what anybody's may."""
    config = """\
extends: moltin.yaml
routes:
  - {name: products, path: /v2/products, methods: [GET], credential: server, access: {public: open, customer: open}}
  - name: orders
    path: /v2/orders
    methods: [GET]
    credential: public
    access:
      customer:
        scope: [{filter: {field: customer_id}}]
        guard: [{owner: {pointer: /relationships/customer/data/id}}]
"""
    async with run_site(upstream, tmp_path, config=config) as site:
        products = await ask(site, "public", "GET", "/v2/products")
        assert "draft" in {record["status"] for record in products.json()["data"]}
        await ask(site, "customer", "GET", "/v2/orders")
        assert carried(site) == [PUBLIC]


async def test_both_are_renewed_apart(site: Site) -> None:
    """Each has one flight of its own, however many ask at once."""
    await asyncio.gather(*(site.public("GET", "/v2/brands") for _ in range(20)))
    await asyncio.gather(*(site.trusted("GET", "/v2/brands") for _ in range(20)))
    asked = [is_implicit(request) for request in site.commerce.token_requests]
    assert sorted(asked) == [False, True]
