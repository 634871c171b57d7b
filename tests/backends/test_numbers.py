"""Ids of a real API that counts its records, and that takes other texts for the same numbers: Django's `int()` does."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest

from gateway.authn.customer import CustomerVerifier
from gateway.config.compile import key_ring
from gateway.config.customers import Customers
from gateway.config.model import Config
from gateway.wiring import Address, now, running
from tests.backends.apis import APIS, TOKEN, serving
from tests.backends.test_examples import PASSWORD, Client, configured
from tests.canary_sweep import SWEEP
from tests.sessions import session as lasting

(DJANGO,) = (api for api in APIS if api.example == "django-rest")
# The last two are digits of other scripts, which Unicode knows as digits.
SPELLINGS = ["0{}", "00{}", "+{}", " {}", "{} ", "{}\t", "{}.0", "{}e0", "0x{}", "{}_", "-{}"]


def spelled(number: str) -> list[str]:
    """Return a number as others may write it, for a path."""
    scripts = ["".join(chr(zero + int(digit)) for digit in number) for zero in (0x660, 0xFF10)]
    return [quote(one, safe="") for one in (*(text.format(number) for text in SPELLINGS), *scripts)]


class Shop:
    """A customer of the API behind a gateway that says nothing of what ids look like but that they are numbers."""

    def __init__(self, client: Client, config: Config, api_url: str, http: aiohttp.ClientSession) -> None:
        self.client = client
        self._config = config
        self._api_url = api_url
        self._http = http

    async def kept(self, path: str) -> object:
        """Return what the API itself has."""
        async with self._http.get(self._api_url + path, headers={"Authorization": f"Token {TOKEN}"}) as reply:
            assert reply.status == 200
            return await reply.json()

    def token(self, subject: str) -> str:
        """Mint a token as a gateway would whose ids are any texts."""
        tokens = self._config.tokens
        anything = re.compile(".*", re.DOTALL)
        verifier = CustomerVerifier(key_ring(self._config), tokens.issuer, tokens.audience, 3600.0, anything)
        token, _, _ = verifier.mint(lasting(subject), now(), 3600.0)
        SWEEP.name("a customer token", token)
        return token


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """Run the API and the gateway."""
    async with serving(DJANGO, tmp_path) as api_url, aiohttp.ClientSession() as http:
        config = configured(DJANGO, tmp_path, api_url)
        lax = config.customers.model_copy(update={"id_pattern": Customers().id_pattern})
        config = config.model_copy(update={"customers": lax})
        with (tmp_path / "log").open("w") as log:
            async with running(config, Address("127.0.0.1", 0), Address("127.0.0.1", 0), log=log) as one:
                yield Shop(Client(DJANGO, f"http://{one.listen}", http), config, api_url, http)
        SWEEP.search("numbers", {"log": (tmp_path / "log").read_text()})


async def test_the_api_itself_takes_other_spellings(shop: Shop) -> None:
    """Else the tests below would prove nothing."""
    for one in ("01", "+1", "%201", "%D9%A1"):
        assert await shop.kept(f"/api/orders/{one}/") == await shop.kept("/api/orders/1/")


async def test_no_other_spelling_of_an_order_is_one(shop: Shop) -> None:
    """It is changed and deleted by its id alone, the own one too; nobody else's is seen under any."""
    client = shop.client
    await client.register("Ann", "ann@perkins.example", PASSWORD)
    assert await client.login("ann@perkins.example", PASSWORD) == 201
    _, made, _ = await client.send("POST", "/api/orders/", DJANGO.order)
    own = str(made["id"])
    before = [await shop.kept(f"/api/orders/{one}/") for one in (own, DJANGO.leslies[1])]
    for number in (own, DJANGO.leslies[1]):
        for one in spelled(number):
            for method, body in (("PATCH", {"note": "stolen"}), ("PUT", DJANGO.order), ("DELETE", None)):
                status, _, _ = await client.send(method, f"/api/orders/{one}/", body)
                assert status in {400, 404}, (method, one)
            status, shown, _ = await client.send("GET", f"/api/orders/{one}/")
            assert status in {400, 404} or (number == own and shown == made), one
    assert before == [await shop.kept(f"/api/orders/{one}/") for one in (own, DJANGO.leslies[1])]


async def test_no_other_spelling_of_a_customer_is_one(shop: Shop) -> None:
    """In a path as in a body: the own one is refused, and nothing becomes of it."""
    client = shop.client
    ann = await client.register("Ann", "ann@perkins.example", PASSWORD)
    assert await client.login("ann@perkins.example", PASSWORD) == 201
    before = await shop.kept(f"/api/customers/{ann}/")
    for one in spelled(ann):
        for method, body in (("GET", None), ("PATCH", {"name": "Other"}), ("DELETE", None)):
            status, _, _ = await client.send(method, f"/api/customers/{one}/", body)
            assert status in {400, 404}, (method, one)
    for text in (f"0{ann}", f"+{ann}", f" {ann}", f"{ann}.0", float(ann), chr(0x660 + int(ann[0])) + ann[1:]):
        status, refused, _ = await client.send("POST", "/api/orders/", {**DJANGO.order, "customer": text})
        assert (status, refused["errors"][0]["code"]) == (403, "BODY_FIELD_FORBIDDEN"), text
        status, refused, _ = await client.send("PATCH", f"/api/customers/{ann}/", {"id": text, "name": "Other"})
        assert (status, refused["errors"][0]["code"]) == (403, "BODY_FIELD_FORBIDDEN"), text
    assert await shop.kept(f"/api/customers/{ann}/") == before
    assert (await client.send("GET", f"/api/customers/{ann}/"))[0] == 200


async def test_no_other_spelling_is_in_a_token(shop: Shop) -> None:
    """A token of whoever it may be is not good for the customer that the API would take it for."""
    client = shop.client
    ann = await client.register("Ann", "ann@perkins.example", PASSWORD)
    for text in (f"0{ann}", f"+{ann}", f" {ann}", f"{ann}.0", f"{ann}_", chr(0x660 + int(ann[0])) + ann[1:]):
        client.token = shop.token(text)
        for method, path in (("GET", "/api/orders/"), ("DELETE", f"/api/customers/{quote(text, safe='')}/")):
            status, refused, _ = await client.send(method, path)
            assert (status, refused["errors"][0]["code"]) == (403, "CUSTOMER_TOKEN_INVALID"), (method, text)
    client.token = shop.token(ann)
    assert (await client.send("GET", "/api/orders/"))[0] == 200
    assert (await client.send("GET", f"/api/customers/{ann}/"))[0] == 200
