"""An API in PHP or Go spells nothing in its own way: that is nobody's, breaks no isolation, and opens nothing."""

import json

import pytest

from gateway.demo.data import GUEST_ORDER_ID, LESLIE, RON, RON_ID
from tests.fakes.commerce import at
from tests.gateways import Site
from tests.tokens.accounts import ANN, PASSWORD, register

NOBODY = [[], {"customer": []}, {"customer": {"data": []}}, {"customer": {"data": {}}}]
ADDRESSES = f"/v2/customers/{RON_ID}/addresses"


def written(document: object, status: int = 200) -> bytes:
    """Write an answer of the upstream."""
    body = json.dumps(document).encode()
    return b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body


async def assert_unbroken(site: Site) -> None:
    """Check that no broken isolation was told."""
    assert [line for line in site.log_lines() if line["event"] == "guard_violated"] == []


@pytest.mark.parametrize("relationships", NOBODY)
async def test_an_address_below_its_customer_may_name_nobody(site: Site, relationships: object) -> None:
    """The path says whose it is."""
    site.commerce.script(
        at(ADDRESSES, "GET"), written({"data": [{"type": "address", "id": "a", "relationships": relationships}]})
    )
    answer = await site.customer(RON.email, "GET", ADDRESSES)
    assert (answer.status, answer.json()["data"][0]["relationships"]) == (200, relationships)
    await assert_unbroken(site)


@pytest.mark.parametrize("path", [ADDRESSES, "/v2/orders"])
async def test_null_for_a_list_is_an_empty_list(site: Site, path: str) -> None:
    """A shopper without orders sees no failure; one whose list failed upstream is not told that there are none."""
    site.commerce.script(at(path, "GET"), written({"data": None}))
    answer = await site.customer(RON.email, "GET", path)
    assert (answer.status, answer.json()["data"]) == (200, [])
    site.commerce.script(at(path, "GET"), written({"data": None, "errors": [{"status": 500}]}))
    assert (await site.customer(RON.email, "GET", path)).code == "UPSTREAM_INVALID"
    await assert_unbroken(site)


@pytest.mark.parametrize("nothing", [None, []])
async def test_no_record_is_no_guests(site: Site, nothing: object) -> None:
    """Nobody pays for what is not there, and nobody sees it."""
    site.commerce.script(at("/v2/orders/o9", "GET"), written({"data": nothing}))
    paid = await site.public("POST", "/v2/orders/o9/payments", json={"data": {"gateway": "stripe", "method": "x"}})
    shown = await site.customer(LESLIE.email, "GET", "/v2/orders/o9")
    assert (paid.status, paid.code, shown.status, shown.code) == (404, "RECORD_NOT_FOUND", 404, "RECORD_NOT_FOUND")
    assert not [request for request in site.commerce.requests if request.path.endswith("/payments")]
    await assert_unbroken(site)


@pytest.mark.parametrize("relationships", NOBODY)
async def test_an_order_that_names_nobody_is_a_guests(site: Site, relationships: object) -> None:
    """A guest pays for it, and no customer sees it as the own one."""
    path = f"/v2/orders/{GUEST_ORDER_ID}"
    order = {"type": "order", "id": GUEST_ORDER_ID, "relationships": relationships}
    site.commerce.script(at(path, "GET"), written({"data": order}))
    paid = await site.public("POST", f"{path}/payments", json={"data": {"gateway": "stripe", "method": "purchase"}})
    assert paid.status < 300, paid.body
    assert (await site.customer(RON.email, "GET", path)).code == "RECORD_NOT_FOUND"


async def test_a_registration_and_a_login_read_null_as_nobody(bare: Site) -> None:
    """Whoever has no customer yet registers, and whoever is nobody fails to log in."""
    bare.commerce.script(at("/v2/customers", "GET"), written({"data": None}), times=1)
    assert (await bare.login(ANN, PASSWORD)).code == "LOGIN_FAILED"
    bare.commerce.script(at("/v2/customers", "GET"), written({"data": None}), times=1)
    assert (await register(bare)).status == 201
    assert (await bare.login(ANN, PASSWORD)).status == 201
    await assert_unbroken(bare)


async def test_a_registration_that_answers_nothing_in_php_is_read_back(bare: Site) -> None:
    """As one is that answers null: the customer who was made gets the password, and nothing is broken."""

    def create(request: object) -> bytes:
        said = bare.commerce.shop.answer("POST", "/v2/customers", [], dict(request.headers), request.body)  # type: ignore[attr-defined]
        assert said.status == 201
        return written({"data": []}, 201)

    bare.commerce.script(at("/v2/customers", "POST"), create)
    assert (await register(bare)).status == 201
    assert (await bare.login(ANN, PASSWORD)).status == 201
    await assert_unbroken(bare)
