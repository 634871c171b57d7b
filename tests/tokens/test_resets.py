"""Forgotten passwords from door to door, on both kinds of store: who gets a token, for which address, what it opens."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.data import DEMO_PASSWORDS, PEOPLE
from gateway.tokens.resets import Asked
from gateway.wiring import now
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import Answer, Site
from tests.gateways import site as run_site
from tests.postgres import new_database
from tests.tokens.accounts import (
    ANN,
    PASSWORD,
    asked,
    change,
    made,
    plant,
    same_headers,
    statements,
    store_of,
    token_of,
)

RON = PEOPLE[0]
NEW = "canary-new-password"
NOBODY = "nobody@swanson.example"
ASK, SPEND = "/v2/customers/password-resets", "/v2/customers/passwords"


@pytest.fixture(params=["sqlite", "postgresql"])
async def shop(request: pytest.FixtureRequest, upstream: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a gateway on each kind of store."""
    url = f"sqlite:///{tmp_path}/store.db"
    if request.param == "postgresql":
        url = await new_database(request.getfixturevalue("server"))
    async with run_site(upstream, tmp_path, GATEWAY_STORE_URL=url) as running:
        yield running


async def ask(site: Site, email: object, **fields: object) -> Answer:
    """Ask for a token as the shop's server."""
    return await site.trusted("POST", ASK, json={"data": {"type": "password-reset", "email": email, **fields}})


async def token_for(site: Site, email: str) -> str:
    """Return a token."""
    answer = await ask(site, email)
    assert answer.status == 201, answer.body
    return str(answer.json()["data"]["token"])


async def spend(site: Site, token: object, password: object = NEW, **headers: str) -> Answer:
    """Spend a token as the storefront."""
    body = {"data": {"type": "password", "token": token, "password": password}}
    return await site.public("POST", SPEND, json=body, headers=headers)


def is_worthless(answer: Answer) -> bool:
    """Tell whether a token opened nothing."""
    return (answer.status, answer.code) == (404, "RESET_INVALID")


async def test_a_forgotten_password(shop: Site) -> None:
    """The token opens the customer once: the new password logs in, the old one does not, the upstream sees neither."""
    answer = await ask(shop, RON.email)
    data = answer.json()["data"]
    assert answer.status == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert {**data, "token": "", "expires": 0} == {
        "type": "password-reset", "email": RON.email, "token": "", "expires": 0
    }  # fmt: skip
    assert len(data["token"]) == 43
    assert abs(data["expires"] - now() - 1800) < 30
    spent = await spend(shop, data["token"])
    assert (spent.status, spent.json()) == (200, {"data": {"type": "password"}})
    assert is_worthless(await spend(shop, data["token"], "another"))
    assert (await shop.login(RON.email, NEW)).status == 201
    assert (await shop.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 404
    assert NEW.encode() not in b"".join(request.raw for request in shop.commerce.all_requests)


async def test_it_logs_out_everywhere(shop: Site) -> None:
    """Whoever had the account until then has a token that is worth nothing."""
    thief = {"X-Moltin-Customer-Token": await shop.token(RON.email)}
    assert (await shop.public("GET", "/v2/orders", headers=thief)).status == 200
    assert (await spend(shop, await token_for(shop, RON.email))).status == 200
    assert (await shop.public("GET", "/v2/orders", headers=thief)).code == "CUSTOMER_TOKEN_INVALID"
    fresh = {"X-Moltin-Customer-Token": await token_of(shop, RON.email, NEW)}
    assert (await shop.public("GET", "/v2/orders", headers=fresh)).status == 200


async def test_a_log_out_everywhere_makes_a_token_worthless(shop: Site) -> None:
    """So do a block, which a new password does not end, and another log-out."""
    for method, path in (("DELETE", "tokens"), ("PUT", "block")):
        token = await token_for(shop, RON.email)
        assert (await shop.trusted(method, f"/v2/customers/{RON.id}/{path}")).status == 204
        assert is_worthless(await spend(shop, token))
    assert (await spend(shop, await token_for(shop, RON.email))).status == 200
    assert (await shop.login(RON.email, NEW)).status == 404


async def test_a_customer_who_never_had_a_password(shop: Site) -> None:
    """Whoever was made at the upstream can get one, and is shown to have it."""
    record = made(shop)
    assert (await shop.login(ANN, NEW)).status == 404
    assert (await spend(shop, await token_for(shop, ANN))).status == 200
    token = await token_of(shop, ANN, NEW)
    headers = {"X-Moltin-Customer-Token": token}
    shown = await shop.public("GET", f"/v2/customers/{record['id']}", headers=headers)
    assert shown.json()["data"]["password"] is True


async def test_the_mail_goes_to_the_record(site: Site) -> None:
    """However the address was typed, the answer names the one in the record; for nobody's, the canonical one."""
    site.commerce.shop.customers[RON.id]["email"] = "Ron@Swanson.Example"
    assert (await ask(site, "  Ron@Swanson.Example")).json()["data"]["email"] == "Ron@Swanson.Example"
    await store_of(site).remember(RON.email, RON.id)
    assert (await ask(site, "RON@swanson.EXAMPLE")).json()["data"]["email"] == "Ron@Swanson.Example"
    assert (await ask(site, " Nobody@SWANSON.example ")).json()["data"]["email"] == NOBODY


@pytest.mark.parametrize(
    "typed", ["rön@swanson.example", "ron@swanson.example.attacker.example", "ron+x@swanson.example"]
)
async def test_a_record_that_is_like_the_address_is_none(site: Site, typed: str) -> None:
    """An upstream that takes two addresses for one (CVE-2019-19844) gives nobody else's token to whoever typed it."""
    record = site.commerce.shop.customers[RON.id]
    body = f'{{"data":[{{"type":"customer","id":"{RON.id}","email":"{record["email"]}"}}]}}'.encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    site.commerce.script(at("/v2/customers", "GET"), head + body)
    answer = await ask(site, typed)
    assert answer.status == 201
    assert answer.json()["data"]["email"] != record["email"]
    assert is_worthless(await spend(site, answer.json()["data"]["token"]))
    assert is_worthless(await spend(site, await token_for(site, typed)))


@pytest.mark.parametrize(
    "typed", ["ron@\u017fwanson.example", "ron\u200b@swanson.example", "ron", "", 7, None, ["a@b.c"]]
)
async def test_what_is_no_address(site: Site, typed: object) -> None:
    """What could be taken for another address, or is none, is told so and asked of nobody."""
    site.commerce.forget()
    answer = await ask(site, typed)
    assert (answer.status, answer.code, answer.json()["errors"][0]["source"]) == (
        422, "BODY_FIELD_INVALID", "data.email"
    )  # fmt: skip
    assert asked(site) == []


async def test_lists_that_are_behind(site: Site) -> None:
    """A customer whom lists still show with an e-mail that somebody else has by now is not given to them."""
    record = dict(site.commerce.shop.customers[RON.id])
    body = f'{{"data":[{{"type":"customer","id":"{RON.id}","email":"{RON.email}"}}]}}'.encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    site.commerce.script(at("/v2/customers", "GET"), head + body)
    site.commerce.shop.customers[RON.id] = {**record, "email": "elsewhere@swanson.example"}
    assert is_worthless(await spend(site, await token_for(site, RON.email)))
    site.commerce.shop.customers[RON.id] = record
    assert (await spend(site, await token_for(site, RON.email))).status == 200


async def test_nobodys_e_mail_is_the_same_work(site: Site) -> None:
    """Same calls upstream, same statements, same answer but for the address in it; the token opens nothing."""
    seen, answer = [], await ask(site, NOBODY)
    for email in (RON.email, RON.email, NOBODY):
        await site.trusted("GET", "/v2/customers")
        site.commerce.forget()
        with statements() as sql:
            answer = await ask(site, email)
        paths = [(method, path.replace(RON.id, "0")) for method, path in asked(site)]
        shape = {name: len(str(value)) for name, value in answer.json()["data"].items() if name != "email"}
        seen.append((answer.status, same_headers(answer).keys(), shape, sorted(paths), len(sql)))
    # A login has told the store who has the e-mail: the first time as later.
    assert seen[0] == seen[1] == seen[2]
    assert is_worthless(await spend(site, answer.json()["data"]["token"]))
    assert await store_of(site).with_password([""]) == frozenset()


async def test_the_last_token_counts(shop: Site) -> None:
    """One for each customer: another one makes the one before worthless, and nobody else's."""
    april = PEOPLE[1]
    first, other, second = [await token_for(shop, email) for email in (RON.email, april.email, RON.email)]
    assert is_worthless(await spend(shop, first))
    assert (await spend(shop, second)).status == 200
    assert (await spend(shop, other)).status == 200


async def test_what_makes_a_token_worthless(shop: Site) -> None:
    """Another password, another e-mail, and the end of the customer."""
    token = await token_for(shop, RON.email)
    session = await shop.token(RON.email)
    assert (await change(shop, session, RON.id, password="canary-changed")).status == 200
    assert is_worthless(await spend(shop, token))
    assert (await shop.login(RON.email, "canary-changed")).status == 201

    token = await token_for(shop, RON.email)
    shop.commerce.shop.customers[RON.id]["email"] = "ron@elsewhere.example"
    assert is_worthless(await spend(shop, token))

    token = await token_for(shop, "ron@elsewhere.example")
    assert (await shop.trusted("DELETE", f"/v2/customers/{RON.id}")).status == 204
    assert is_worthless(await spend(shop, token))
    assert await store_of(shop).password_hash(RON.id) is None


async def test_half_an_hour(site: Site) -> None:
    """A token whose time is over opens nothing, one whose time is not does."""
    hashed = hashlib.sha256(b"canary-token-of-the-test").hexdigest()
    for offset, status in ((-1, 404), (60, 200)):
        await store_of(site).keep_reset(RON.id, hashed, RON.email, now() + offset)
        assert (await spend(site, "canary-token-of-the-test")).status == status


async def test_only_a_hash_is_kept(site: Site, tmp_path: Path) -> None:
    """Whoever reads the store, or a backup of it, has no token."""
    token = await token_for(site, RON.email)
    stored = await asyncio.to_thread(lambda: b"".join(file.read_bytes() for file in tmp_path.glob("store.db*")))
    assert hashlib.sha256(token.encode()).hexdigest().encode() in stored
    assert token.encode() not in stored


async def test_replicas_spend_it_once(upstream: Commerce, tmp_path: Path, server: Any) -> None:
    """Of many at once over two replicas one is taken, and the password that logs in is its."""
    url = await new_database(server)
    async with AsyncExitStack() as stack:
        sites = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            key = tmp_path / "one" / "signing.jwk"
            if name == "two":
                (tmp_path / name / "signing.jwk").write_text(key.read_text())
            site = run_site(upstream, tmp_path / name, GATEWAY_STORE_URL=url, passwords=name == "one")
            sites.append(await stack.enter_async_context(site))
        token = await token_for(sites[0], RON.email)
        words = [f"{NEW}-{number}" for number in range(8)]
        answers = await asyncio.gather(*(spend(sites[number % 2], token, word) for number, word in enumerate(words)))
        assert sorted(answer.status for answer in answers) == [200] + [404] * 7
        right = words[[answer.status for answer in answers].index(200)]
        logins = await asyncio.gather(*(sites[1].login(RON.email, word) for word in words))
        assert [login.status == 201 for login in logins] == [word == right for word in words]


async def test_who_may_ask(site: Site) -> None:
    """A server of the shop alone; a customer token beside its bearer makes it that customer."""
    body = {"data": {"type": "password-reset", "email": RON.email}}
    token = {"X-Moltin-Customer-Token": await site.token(RON.email)}
    answers = [
        await site.call("POST", ASK, json=body),
        await site.public("POST", ASK, json=body),
        await site.public("POST", ASK, json=body, headers=token),
        await site.trusted("POST", ASK, json=body, headers=token),
        await site.trusted("POST", ASK, json=body, headers={"X-Moltin-Customer-Token": "dead"}),
    ]
    assert [answer.code for answer in answers] == ["BEARER_MISSING"] + ["ACCESS_DENIED"] * 3 + [
        "CUSTOMER_TOKEN_INVALID"
    ]
    assert (await site.call("POST", SPEND, json=body)).code == "BEARER_MISSING"
    for method in ("GET", "PUT", "DELETE"):
        for path in (ASK, SPEND):
            assert (await site.trusted(method, path)).code == "METHOD_NOT_ALLOWED"


async def test_a_dead_customer_token_does_no_harm(site: Site) -> None:
    """Whoever forgot the password may still have an old token in the page."""
    token = await token_for(site, RON.email)
    assert (await spend(site, token, NEW, **{"X-Moltin-Customer-Token": "dead"})).status == 200


@pytest.mark.parametrize(
    ("path", "body", "source"),
    [
        (ASK, {}, "data"),
        (ASK, {"data": [1]}, "data"),
        (ASK, {"data": {"type": "token", "email": RON.email}}, "data.type"),
        (SPEND, {"data": {"type": "customer", "token": "t", "password": "p"}}, "data.type"),
        (SPEND, {"data": {"token": "", "password": "p"}}, "data.token"),
        (SPEND, {"data": {"token": "t" * 129, "password": "p"}}, "data.token"),
        (SPEND, {"data": {"token": 7, "password": "p"}}, "data.token"),
        (SPEND, {"data": {"token": "t"}}, "data.password"),
        (SPEND, {"data": {"token": "t", "password": ""}}, "data.password"),
        (SPEND, {"data": {"token": "t", "password": "p" * 1025}}, "data.password"),
    ],
)
async def test_fields_that_cannot_be(site: Site, path: str, body: object, source: str) -> None:
    """They are named; nothing is asked of the upstream."""
    await site.trusted("GET", "/v2/customers")
    site.commerce.forget()
    answer = await site.trusted("POST", path, json=body)
    assert (answer.status, answer.code) == (422, "BODY_FIELD_INVALID")
    assert answer.json()["errors"][0]["source"] == source
    assert asked(site) == []


async def test_a_half_surrogate_is_no_token(site: Site) -> None:
    """A text that no UTF-8 has is compared like any other."""
    raw = b'{"data":{"type":"password","token":"\\ud800","password":"p"}}'
    answer = await site.public("POST", SPEND, data=raw, headers={"Content-Type": "application/json"})
    assert answer.status in {400, 404}


async def test_requests_end(upstream: Commerce, tmp_path: Path) -> None:
    """So many for one e-mail, known or not; others go on, and so do logins."""
    text = "extends: moltin.yaml\ncustomers: {throttle: {resets: {email: {burst: 2, per_minute: 0.001}}}}\n"
    async with run_site(upstream, tmp_path, config=text) as site:
        for email in (RON.email, NOBODY):
            answers = [await ask(site, typed) for typed in (email, email.upper(), f" {email}")]
            assert [answer.status for answer in answers] == [201, 201, 429]
            assert answers[2].code == "THROTTLED"
            assert int(answers[2].headers["Retry-After"]) > 60
        assert (await ask(site, PEOPLE[1].email)).status == 201
        assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201
        assert 'gateway_throttled_total{by="email",work="reset"} 2' in await site.metrics()


async def test_spending_ends(upstream: Commerce, tmp_path: Path) -> None:
    """So many of one address: who guesses is sent away, good tokens of others are taken."""
    text = (
        "extends: moltin.yaml\nserver: {trusted_proxies: 127.0.0.0/8}\n"
        "customers: {throttle: {resets: {address: {burst: 2, per_minute: 0.001}}}}\n"
    )
    async with run_site(upstream, tmp_path, config=text) as site:
        token = await token_for(site, RON.email)
        guesses = [await spend(site, "guess", **{"X-Forwarded-For": "203.0.113.9"}) for _ in range(3)]
        assert [guess.status for guess in guesses] == [404, 404, 429]
        assert (await spend(site, token, **{"X-Forwarded-For": "203.0.113.9"})).status == 429
        assert (await spend(site, token, **{"X-Forwarded-For": "203.0.113.10"})).status == 200


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.CLOSE])
async def test_an_upstream_that_fails_spends_nothing(site: Site, fault: Fault) -> None:
    """Whoever has the address by now cannot be told: the token stays good."""
    token = await token_for(site, RON.email)
    site.commerce.fault(fault)
    assert (await spend(site, token)).status in {502, 503}
    assert (await ask(site, RON.email)).status in {502, 503}
    site.commerce.forget()
    assert (await spend(site, token)).status == 200


async def test_a_store_that_is_down(site: Site) -> None:
    """503, for known and unknown e-mails and for tokens; nothing of it is made up."""
    await store_of(site).close()
    answers = [await ask(site, RON.email), await ask(site, NOBODY), await spend(site, "token")]
    assert [(answer.status, answer.code) for answer in answers] == [(503, "STORE_UNAVAILABLE")] * 3


async def test_where_the_upstream_keeps_passwords(upstream: Commerce, tmp_path: Path) -> None:
    """There is nothing to forget here: the paths are not the gateway's."""
    text = "extends: moltin.yaml\ncustomers: {verify: upstream}\n"
    async with run_site(upstream, tmp_path, config=text) as site:
        for path in (ASK, SPEND):
            answer = await site.trusted("POST", path, json={"data": {"email": RON.email, "token": "t"}})
            assert answer.status == 405


async def test_a_registration_that_broke_off(site: Site) -> None:
    """Its password opens the customer no more once a reset has set another."""
    await plant(site)
    made(site)
    assert (await spend(site, await token_for(site, ANN))).status == 200
    assert (await site.login(ANN, PASSWORD)).status == 404
    assert (await site.login(ANN, NEW)).status == 201


def test_a_token_is_in_no_text_of_ours() -> None:
    """What is handed to the shop is not shown by a traceback."""
    assert "canary" not in repr(Asked("a@b.example", "canary", 1))
