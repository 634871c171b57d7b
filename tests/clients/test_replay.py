"""Requests recorded from real SDKs, sent again byte for byte: what the gateway says, and what the upstream sees of it.

`recordings/` holds what @moltin/sdk 3.15.3 (old) and 36.0.0 (new) sent to a server that accepted everything.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.data import RON_CART
from gateway.demo.shop import Shop
from gateway.vocab.messages import Json
from gateway.vocab.refusals import Refusal
from tests.fakes.commerce import Commerce
from tests.fakes.shop import add_customer, add_order
from tests.fakes.wire import Recorded
from tests.gateways import Site
from tests.gateways import site as run_site

# What the recordings name. The shop is made to fit, so that their bodies and lengths stay as they are.
CUSTOMER = "79cc0486-bbdf-491b-a0a2-722383b6288b"
ORDER = "369ad4a4-ee67-48b0-a347-050a6e61d83d"
EMAIL, PASSWORD = "ron@swanson.com", "mysecretpassword"
CLIENT, SECRET = "XXX-client-id", "XXX-secret"
TRUSTED_BEARER = "cca550d8cbd4a4627013452359ab69694cd446615a"
PUBLIC_BEARER = "impa550d8cbd4a4627013452359ab69694cd446615a"
CUSTOMER_TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."

HERE = Path(__file__).parent
RECORDED = {
    name: [json.loads(line) for line in (HERE / "recordings" / f"{name}.requests.jsonl").read_text().splitlines()]
    for name in ("old", "new")
}

# (status, refusal code) and what reaches the upstream, by the number of the request in its recording.
Outcome = tuple[int, str | None, tuple[str, ...]]
ME = f"/v2/customers/{CUSTOMER}"
OWN_ORDERS = f"/v2/orders?filter=eq(customer_id,{CUSTOMER})"
EMAIL_TAKEN = f"GET /v2/customers?filter=eq(email,{EMAIL})"
# A trusted caller's target leaves as it came: the raw "+", and what the SDK escaped without need.
SWANSONS = (
    "GET /v2/customers?sort=-created_at&page[limit]=10&page[offset]=20"
    "&filter=eq(email,ron+1@swanson.com):like(name,*swan%20son*)"
)
PLUS_ADDRESS = "GET /v2/customers?filter=eq(email,ron%2B1%40swanson.com)"
# The demo upstream knows no `customer.id`; a trusted caller's filter is passed on as it is.
NESTED = (
    "GET /v2/orders?include=items,customer&sort=-created_at&page[limit]=10&page[offset]=20"
    f"&filter=eq(status,complete):eq(customer.id,{CUSTOMER}):gt(with_tax,10000)"
)
INJECTED = "GET /v2/orders?filter=eq(email,a@b.c):eq(status,paid)"
GRANT: Outcome = (200, None, ())
NOT_ALLOWED: Outcome = (403, "ACCESS_DENIED", ())
NOT_SETTABLE: Outcome = (403, "BODY_FIELD_FORBIDDEN", ())
BAD_TOKEN: Outcome = (403, "CUSTOMER_TOKEN_INVALID", ())


def passed(status: int, *seen: str) -> Outcome:
    """Say "answered with this status after these requests"."""
    return status, None, seen


# The upstream makes up the id of a new customer.
READ_BACK = "GET /v2/customers/{new}"
ALIKE: dict[str, Outcome] = {
    # Whoever logged in with the e-mail once is asked for by the id as well: lists may lag.
    "register as server": passed(201, EMAIL_TAKEN, f"GET {ME}", "POST /v2/customers", READ_BACK),
    "register as storefront": passed(
        201, f"GET /v2/customers?filter=eq(email,i{EMAIL})", "POST /v2/customers", READ_BACK
    ),
    # Nothing is left of a change of password but a look whether the customer is there.
    "change password": passed(200, f"GET {ME}"),
    "log in": passed(201, EMAIL_TAKEN, f"GET {ME}"),
    "profile": passed(200, f"GET {ME}"),
    "all customers": passed(200, "GET /v2/customers"),
    "own in list": passed(200, f"GET /v2/customers?filter=eq(id,{CUSTOMER})"),
    "filtered customers": passed(200, SWANSONS),
    "delete": passed(204, f"DELETE {ME}"),
    "addresses": passed(200, f"GET {ME}/addresses"),
    "address": passed(200, f"GET {ME}/addresses/addr1"),
    "new address": passed(201, f"POST {ME}/addresses"),
    # Before a write by id the record is looked up.
    "change address": passed(200, f"GET {ME}/addresses/addr1", f"PUT {ME}/addresses/addr1"),
    "delete address": passed(204, f"GET {ME}/addresses/addr1", f"DELETE {ME}/addresses/addr1"),
    "all orders": passed(200, "GET /v2/orders"),
    "own orders": passed(200, f"GET {OWN_ORDERS}"),
    "own orders with items": passed(200, f"GET {OWN_ORDERS}&include=items"),
    "order": passed(200, f"GET /v2/orders/{ORDER}?include=items"),
    # Without a customer token the order might be a guest's: it is looked up, and it is not.
    "pay": (404, "RECORD_NOT_FOUND", (f"GET /v2/orders/{ORDER}",)),
    "nested filter": (400, "UPSTREAM_REFUSED", (NESTED,)),
    "guest checkout": passed(201, "POST /v2/carts/ref-1/checkout"),
    "plus address": passed(200, PLUS_ADDRESS),
    "injected": passed(200, INJECTED),
}
OUTCOMES: dict[str, dict[int, Outcome]] = {
    "old": {
        1: GRANT,
        2: GRANT,
        3: ALIKE["register as server"],
        4: ALIKE["register as storefront"],
        5: ALIKE["change password"],
        6: ALIKE["log in"],
        7: ALIKE["profile"],
        8: ALIKE["profile"],
        9: ALIKE["all customers"],
        10: ALIKE["own in list"],
        # Customers.Update of 3.15.3 drops the token.
        11: NOT_ALLOWED,
        12: ALIKE["filtered customers"],
        13: ALIKE["delete"],
        14: ALIKE["addresses"],
        15: ALIKE["address"],
        16: ALIKE["new address"],
        17: ALIKE["change address"],
        18: ALIKE["delete address"],
        19: ALIKE["all orders"],
        20: ALIKE["own orders"],
        21: ALIKE["own orders with items"],
        22: ALIKE["order"],
        # Orders.Items and Orders.Transactions send no token.
        23: NOT_ALLOWED,
        24: NOT_ALLOWED,
        25: ALIKE["pay"],
        26: ALIKE["nested filter"],
        # 3.15.3 writes arrays as id.0, id.1, which no upstream understands.
        27: (400, "UPSTREAM_REFUSED", ("GET /v2/orders?filter=in(id.0,a,id.1,b)",)),
        # Cart.Checkout sends no token, so no customer may be named.
        28: NOT_SETTABLE,
        29: ALIKE["guest checkout"],
        30: GRANT,
        31: ALIKE["own orders"],
        32: ALIKE["plus address"],
        33: ALIKE["injected"],
        34: BAD_TOKEN,
    },
    "new": {
        1: GRANT,
        2: GRANT,
        3: ALIKE["register as server"],
        4: ALIKE["register as storefront"],
        5: ALIKE["change password"],
        6: ALIKE["log in"],
        7: ALIKE["log in"],
        # Log in by OpenID Connect is not ours.
        8: (422, "BODY_FIELD_INVALID", ()),
        9: ALIKE["profile"],
        10: ALIKE["profile"],
        11: ALIKE["all customers"],
        12: ALIKE["own in list"],
        13: passed(200, f"PUT {ME}"),
        14: ALIKE["filtered customers"],
        15: ALIKE["delete"],
        16: ALIKE["addresses"],
        17: ALIKE["address"],
        18: ALIKE["new address"],
        19: ALIKE["change address"],
        20: ALIKE["delete address"],
        21: ALIKE["all orders"],
        22: ALIKE["own orders"],
        23: ALIKE["own orders with items"],
        24: ALIKE["order"],
        25: NOT_ALLOWED,
        26: NOT_ALLOWED,
        27: ALIKE["pay"],
        28: ALIKE["nested filter"],
        29: passed(200, "GET /v2/orders?filter=in(id,a,b)"),
        30: NOT_SETTABLE,
        31: ALIKE["guest checkout"],
        32: passed(200, "POST /v2/carts/ref-1/relationships/customers"),
        33: passed(201, "POST /v2/carts"),
        34: (405, "METHOD_NOT_ALLOWED", ()),
        35: GRANT,
        36: ALIKE["own orders"],
        37: (404, "ROUTE_UNKNOWN", ()),
        # A checkout for an account member names a contact.
        38: NOT_SETTABLE,
        39: GRANT,
        40: ALIKE["own orders"],
        41: ALIKE["plus address"],
        42: ALIKE["injected"],
        43: BAD_TOKEN,
    },
}


@dataclass(slots=True)
class Stage:
    """A gateway that knows the recorded client, and what stands for the recorded bearers and token."""

    site: Site
    stand_ins: dict[str, str] = field(default_factory=dict)

    async def prepare(self) -> None:
        """Bring the shop into the state that the recordings speak of."""
        site, shop = self.site, self.site.commerce.shop
        site.commerce.forget()
        shop.reset()
        add_customer(shop, "Ron Swanson", EMAIL, CUSTOMER)
        shop.place_address(CUSTOMER, {})
        (address,) = shop.addresses.pop(CUSTOMER).values()
        shop.addresses[CUSTOMER] = {"addr1": {**address, "id": "addr1"}}
        order = add_order(shop, CUSTOMER)
        records: tuple[dict[str, Any], ...] = (shop.orders, shop.order_items, shop.transactions)
        for kept in records:
            kept[ORDER] = kept.pop(order["id"])
        order["id"] = ORDER
        shop.carts["ref-1"] = {**shop.carts[RON_CART], "id": "ref-1", "relationships": {"customers": {"data": []}}}
        shop.cart_items["ref-1"] = shop.cart_items[RON_CART]

    async def login(self) -> None:
        """Get what the recorded clients had: two bearers and a customer token."""
        await self.prepare()
        site = self.site
        assert site.gateway.hasher is not None
        hashed = await site.gateway.hasher.hash(PASSWORD)
        assert not isinstance(hashed, Refusal)
        await site.gateway.store.set_password(CUSTOMER, hashed)
        trusted = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
        self.stand_ins = {
            TRUSTED_BEARER: await self._bearer(trusted),
            PUBLIC_BEARER: await self._bearer({"grant_type": "implicit", "client_id": CLIENT}),
        }
        body = {"data": {"type": "token", "email": EMAIL, "password": PASSWORD}}
        authorization = {"Authorization": f"Bearer {self.stand_ins[PUBLIC_BEARER]}"}
        answer = await site.call("POST", "/v2/customers/tokens", headers=authorization, json=body)
        self.stand_ins[CUSTOMER_TOKEN] = answer.json()["data"]["token"]

    async def _bearer(self, form: dict[str, str]) -> str:
        answer = await self.site.call("POST", "/oauth/access_token", data=form)
        return str(answer.json()["access_token"])

    def raw(self, request: Json) -> bytes:
        """Write a recorded request as it was on the wire, with the stand-ins for bearers and token."""
        lines = [f"{request['method']} {request['rawUrl']} HTTP/{request['httpVersion']}"]
        lines.extend(f"{name}: {self._value(value)}" for name, value in request["rawHeaders"])
        return "\r\n".join([*lines, "", request["body"]]).encode("latin-1")

    def _value(self, value: str) -> str:
        if value.startswith(CUSTOMER_TOKEN):
            return self.stand_ins[CUSTOMER_TOKEN]
        for recorded in (TRUSTED_BEARER, PUBLIC_BEARER):
            value = value.replace(recorded, self.stand_ins[recorded])
        return value

    async def replay(self, request: Json) -> tuple[int, Any]:
        """Send a recorded request on a connection of its own; gives status and JSON of the answer."""
        listen = self.site.gateway.listen
        reader, writer = await asyncio.open_connection(listen.host, listen.port)
        try:
            writer.write(self.raw(request))
            return await read_answer(reader)
        finally:
            writer.close()
            await writer.wait_closed()

    @property
    def seen(self) -> list[Recorded]:
        """What reached the upstream since `prepare`, without the gateway's own grants."""
        return self.site.commerce.requests


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    """Read one answer, with a length or in chunks; a 204 has neither."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(first.split()[1]), json.loads(body) if body else None


@pytest.fixture
async def stage(upstream: Commerce, tmp_path: Path) -> AsyncIterator[Stage]:
    """Give a stage; the client of the recordings asks for both kinds of bearer with one id."""
    # Each request is answered as if it were alone: nothing is remembered of the one before it.
    forgetful = "extends: moltin.yaml\nupstream: {owner_memory: 0s}\n"
    async with run_site(
        upstream,
        tmp_path,
        config=forgetful,
        passwords=False,
        STOREFRONT_CLIENT_ID=CLIENT,
        TRUSTED_CLIENT_ID=CLIENT,
        TRUSTED_CLIENT_SECRET=SECRET,
    ) as site:
        stage = Stage(site)
        await stage.login()
        yield stage


def forget_customer(shop: Shop) -> None:
    """Make the shop as it was before the recorded customer registered."""
    del shop.customers[CUSTOMER]


@pytest.mark.parametrize("recording", ["old", "new"])
async def test_recorded_requests_have_the_known_outcomes(stage: Stage, recording: str) -> None:
    """Each recorded request is answered as the table says, and the upstream sees the exact targets of the table."""
    outcomes: dict[int, Outcome] = {}
    for request in RECORDED[recording]:
        # A request before may have ended the session, with a new password or the customer.
        await stage.login()
        await stage.prepare()
        if request["n"] == 3:
            forget_customer(stage.site.commerce.shop)
        status, document = await stage.replay(request)
        code = document["errors"][0]["code"] if status >= 400 else None
        targets = tuple(f"{seen.method} {seen.target}" for seen in stage.seen)
        if status == 201 and "POST /v2/customers" in targets:
            targets = tuple(target.replace(document["data"]["id"], "{new}") for target in targets)
        outcomes[request["n"]] = (status, code, targets)
    assert outcomes == OUTCOMES[recording]


@pytest.mark.parametrize("recording", ["old", "new"])
async def test_recorded_requests_tell_the_upstream_no_secret(stage: Stage, recording: str) -> None:
    """No password, bearer of a client or customer token of a recorded request goes past the gateway."""
    for request in RECORDED[recording]:
        await stage.login()
        await stage.prepare()
        await stage.replay(request)
        for seen in stage.seen:
            assert seen.header("x-moltin-customer-token") is None
            assert PASSWORD.encode() not in seen.raw
            assert all(stand_in.encode() not in seen.raw for stand_in in stage.stand_ins.values())
        assert stage.site.commerce.shop.passwords_seen == []


@pytest.mark.parametrize(("recording", "number"), [("old", 20), ("new", 22)])
async def test_recorded_lists_hold_the_own_orders(stage: Stage, recording: str, number: int) -> None:
    """A recorded request for own orders is answered with the one order that the customer has."""
    await stage.prepare()
    _, document = await stage.replay(RECORDED[recording][number - 1])
    assert [order["id"] for order in document["data"]] == [ORDER]


@pytest.mark.parametrize(("recording", "number"), [("old", 29), ("new", 31)])
async def test_recorded_guest_checkout_keeps_its_addresses(stage: Stage, recording: str, number: int) -> None:
    """A recorded guest's checkout reaches the upstream with everything that the guest wrote."""
    await stage.prepare()
    request = RECORDED[recording][number - 1]
    await stage.replay(request)
    assert stage.seen[-1].json() == json.loads(request["body"])


async def test_recorded_headers_of_the_shop_are_passed_on(stage: Stage) -> None:
    """Currency, language, channel and tag of recorded requests reach the upstream."""
    await stage.prepare()
    await stage.replay(RECORDED["new"][36 - 1])
    await stage.replay(RECORDED["new"][40 - 1])
    first, second = stage.seen
    assert (first.header("x-moltin-currency"), first.header("x-moltin-language")) == ("GBP", "en")
    assert (second.header("ep-channel"), second.header("ep-context-tag")) == ("web store", "tag1")


async def test_a_replay_is_the_recording(stage: Stage) -> None:
    """What is sent differs from the recording in bearers and token only; lengths and bodies stay."""
    for request in (*RECORDED["old"], *RECORDED["new"]):
        raw = stage.raw(request)
        for recorded, stand_in in stage.stand_ins.items():
            raw = raw.replace(stand_in.encode(), recorded.encode())
        head, _, body = raw.partition(b"\r\n\r\n")
        assert body.decode() == request["body"]
        first, *lines = head.decode().split("\r\n")
        assert first == f"{request['method']} {request['rawUrl']} HTTP/1.1"
        for line, (name, value) in zip(lines, request["rawHeaders"], strict=True):
            assert line == f"{name}: {CUSTOMER_TOKEN if value.startswith(CUSTOMER_TOKEN) else value}"
            assert name != "content-length" or int(value) == len(body)
