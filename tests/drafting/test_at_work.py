"""A drafted file at work: a real gateway on it, in front of an API of that form, keeps two customers apart."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.authn.customer import CustomerVerifier
from gateway.authn.key import load_key
from gateway.authn.keyring import KeyRing
from gateway.demo.answers import ShopAnswer, json_answer
from gateway.drafting.operation import read
from gateway.drafting.plan import plan
from gateway.drafting.sample import sample
from gateway.drafting.trial import tried
from gateway.vocab.messages import Session
from tests.fakes.commerce import Commerce
from tests.gateways import UPSTREAM_SECRET, Answer, CanaryShop, Site
from tests.gateways import site as run_site

ANN, BOB = "1", "2"


class BareShop(CanaryShop):
    """An API of bare records: customers, orders with `customer_id`, products. `is_deaf`: it filters nothing."""

    def __init__(self) -> None:
        super().__init__("canary-upstream-id", UPSTREAM_SECRET)
        self.is_deaf = False
        self.records: dict[str, dict[str, dict[str, Any]]] = {
            "customers": {ANN: {"id": ANN, "name": "Ann"}, BOB: {"id": BOB, "name": "Bob"}},
            "orders": {
                "10": {"id": "10", "customer_id": ANN, "note": "of ann"},
                "20": {"id": "20", "customer_id": BOB, "note": "of bob"},
            },
            "products": {"5": {"id": "5", "name": "lamp"}},
        }

    def answer(
        self, method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: bytes
    ) -> ShopAnswer:
        """Answer as such an API does."""
        if path == "/oauth/access_token":
            return super().answer(method, path, query, headers, body)
        collection, _, key = path[1:].partition("/")
        records = self.records[collection]
        if key and key not in records:
            return json_answer({"message": "no such record"}, 404)
        if method == "GET" and not key:
            asked = {} if self.is_deaf else {name: value for name, value in query if name in {"id", "customer_id"}}
            return json_answer([one for one in records.values() if asked.items() <= one.items()])
        if method == "POST":
            key = f"{len(records) + 100}"
            records[key] = {"id": key}
        if method in {"POST", "PATCH"}:
            records[key] |= json.loads(body)
        return json_answer(records.pop(key) if method == "DELETE" else records[key])


@pytest.fixture(name="shop")
def _shop() -> BareShop:
    return BareShop()


@pytest.fixture(name="site")
async def _site(shop: BareShop, tmp_path: Path) -> AsyncIterator[Site]:
    text, _, _ = tried(plan(read(sample("rest")), "rest"), "--preset rest", tmp_path)
    async with Commerce(shop) as commerce, run_site(commerce, tmp_path, config=text, passwords=False) as running:
        yield running


def token(site: Site, customer: str) -> str:
    """Mint the token of a customer, as a login would."""
    (key,) = site.config.tokens.keys
    ring, pattern = KeyRing([load_key(key.get_secret_value())]), re.compile(site.config.customers.id_pattern)
    tokens = site.config.tokens
    verifier = CustomerVerifier(ring, tokens.issuer, tokens.audience, tokens.customer_life, pattern)
    return verifier.mint(Session(customer, 1, 0, 2), datetime.now(UTC).timestamp(), 600)[0]


async def ann(site: Site, method: str, target: str, **options: Any) -> Answer:
    """Send a request as customer Ann."""
    return await site.public(method, target, headers={"X-Moltin-Customer-Token": token(site, ANN)}, **options)


async def test_lists_are_the_customers_own(site: Site, shop: BareShop) -> None:
    """Ann sees her orders and her record; where the API ignores the filter, nothing."""
    assert (await ann(site, "GET", "/orders?page=1")).json() == [shop.records["orders"]["10"]]
    assert [one["id"] for one in (await ann(site, "GET", "/customers")).json()] == [ANN]
    shop.is_deaf = True
    for target in ("/orders", "/customers"):
        answer = await ann(site, "GET", target)
        assert (answer.status, answer.code) == (502, "GUARD_VIOLATION")
    assert (await ann(site, "GET", "/orders?expand=customer")).status == 400
    assert (await ann(site, "GET", f"/orders?customer_id={BOB}")).status == 400


async def test_single_records_are_the_customers_own(site: Site) -> None:
    """Ann reads her order; Bob's is not there, nor is Bob."""
    assert (await ann(site, "GET", "/orders/10")).json()["note"] == "of ann"
    for target in ("/orders/20", "/orders/30", f"/customers/{BOB}"):
        assert (await ann(site, "GET", target)).status == 404


async def test_writes_are_of_the_customers_own(site: Site, shop: BareShop) -> None:
    """Ann orders for herself and changes what is hers; Bob's order is not asked for the change, nor deleted."""
    made = await ann(site, "POST", "/orders", json={"note": "new"})
    assert (made.json()["customer_id"], made.json()["note"]) == (ANN, "new")
    assert (await ann(site, "POST", "/orders", json={"customer_id": BOB})).status == 403
    assert (await ann(site, "POST", "/orders", json={"note": "x", "paid": True})).status == 422
    assert (await ann(site, "PATCH", "/orders/10", json={"note": "changed"})).json()["note"] == "changed"
    assert (await ann(site, "PATCH", "/orders/20", json={"note": "stolen"})).status == 404
    assert (await ann(site, "DELETE", "/orders/20")).status == 404
    assert (await ann(site, "PATCH", f"/customers/{ANN}", json={"email": "x@y.example"})).status == 422
    assert (await ann(site, "PATCH", f"/customers/{BOB}", json={"name": "stolen"})).status == 404
    assert shop.records["orders"]["20"]["note"] == "of bob"
    assert shop.records["customers"][BOB]["name"] == "Bob"
    assert (await ann(site, "DELETE", "/orders/10")).status == 200


async def test_nothing_is_open(site: Site) -> None:
    """Without a customer nothing is answered; what names no owner is for a trusted server alone."""
    for method, target in (("GET", "/orders"), ("GET", "/products"), ("POST", "/customers"), ("DELETE", "/orders/10")):
        assert (await site.public(method, target)).status == 403
    for method, target in (("GET", "/products"), ("POST", "/customers"), ("DELETE", f"/customers/{ANN}")):
        assert (await ann(site, method, target)).status == 403
    assert (await site.public("GET", "/carts")).status == 404
    assert (await site.trusted("GET", "/products")).json() == [{"id": "5", "name": "lamp"}]


class WrappedShop(CanaryShop):
    """An API with every record in two envelopes, and customers behind a key in a header."""

    def __init__(self) -> None:
        super().__init__("canary-upstream-id", UPSTREAM_SECRET)
        self.people: dict[int, dict[str, Any]] = {}
        self.keys: set[str | None] = set()

    def answer(
        self, method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: bytes
    ) -> ShopAnswer:
        """Answer as such an API does."""
        self.keys.add(headers.get("x-shop-key"))
        if method == "POST":
            ident = len(self.people) + 1
            self.people[ident] = {"id": ident, **json.loads(body)}
            return json_answer({"status": "success", "data": {"customer": self.people[ident]}}, 201)
        if path == "/customers":
            found = [one for one in self.people.values() if one["email"] == dict(query)["email"]]
            return json_answer({"status": "success", "data": {"total": len(found), "customers": found}})
        one = self.people.get(int(path.rpartition("/")[2]))
        return json_answer({"status": "fail"}, 404) if one is None else json_answer({"data": {"customer": one}})


def wrapped_document() -> dict[str, Any]:
    """Describe it."""
    text, person = {"type": "string"}, {"id": {"type": "number"}, "email": {"type": "string"}}
    record = {"type": "object", "properties": person}
    many = {"total": {"type": "integer"}, "customers": {"type": "array", "items": record}}
    schemes = {"key": {"type": "apiKey", "in": "header", "name": "X-Shop-Key"}}

    def answered(members: dict[str, Any]) -> dict[str, Any]:
        data = {"type": "object", "properties": members}
        schema = {"type": "object", "properties": {"status": text, "data": data}}
        return {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}

    sent = {"type": "object", "properties": {"email": text, "password": text, "name": text}}
    body = {"requestBody": {"content": {"application/json": {"schema": sent}}}}
    return {
        "openapi": "3.0.0",
        "paths": {
            "/customers": {"get": answered(many), "post": answered({"customer": record}) | body},
            "/customers/:id": {"get": answered({"customer": record})},
        },
        "components": {"securitySchemes": schemes},
    }


async def test_customers_in_envelopes_are_registered_and_log_in(tmp_path: Path) -> None:
    """What the draft says of their records is what look-ups by e-mail and id need, and its credential what is sent."""
    shop = WrappedShop()
    text, _, _ = tried(plan(read(wrapped_document())), "x", tmp_path)
    person = {"name": "Ann", "email": "ann@perkins.example", "password": "canary-word-of-ann"}
    async with Commerce(shop) as commerce:
        key = "canary-shop-key"
        async with run_site(commerce, tmp_path, config=text, passwords=False, UPSTREAM_API_KEY=key) as site:
            made = await site.trusted("POST", "/customers", json=person)
            assert (made.status, made.json()["data"]["customer"]["password"]) == (201, True)
            token = (await site.login(person["email"], person["password"])).json()["data"]["token"]
            own = await site.public("GET", "/customers/1", {"X-Moltin-Customer-Token": token})
            other = await site.public("GET", "/customers/2", {"X-Moltin-Customer-Token": token})
    assert (own.status, own.json()["data"]["customer"]["email"], other.status) == (200, person["email"], 404)
    assert shop.keys == {"canary-shop-key"}
    assert "password" not in shop.people[1]
