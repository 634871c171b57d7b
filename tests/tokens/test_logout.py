"""Log-outs and blocks through the door: whose tokens are worth nothing any more, and whose go on."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.authn.key import load_key
from gateway.demo.data import APRIL, DEMO_PASSWORDS, LESLIE, LESLIE_ID, RON, RON_ID
from tests.authn.forge import forge, header, now
from tests.canary_sweep import SWEEP
from tests.fakes.commerce import Commerce
from tests.gateways import Answer, Site
from tests.gateways import site as run_site
from tests.tokens.accounts import OTHER, asked, change, store_of, token_of

TOKENS = "/v2/customers/tokens"


async def orders(site: Site, token: str) -> str:
    """Ask for the own orders with a token; returns `good` or the refusal's code."""
    answer = await site.public("GET", "/v2/orders", {"X-Moltin-Customer-Token": token})
    return "good" if answer.status == 200 else f"{answer.status} {answer.code}"


DEAD = "403 CUSTOMER_TOKEN_INVALID"


async def log_in(site: Site, person: Any = RON) -> str:
    """Log a demo customer in once more."""
    return await token_of(site, person.email, DEMO_PASSWORDS[person.email])


async def log_out(site: Site, token: str) -> Answer:
    """Log out with a token."""
    return await site.public("DELETE", TOKENS, {"X-Moltin-Customer-Token": token})


def earlier(site: Site, customer_id: str) -> str:
    """Make a token as a release minted it that gave no numbers."""
    key = load_key(site.config.tokens.keys[0].get_secret_value())
    moment = int(now())
    said = {
        "iss": site.config.tokens.issuer,
        "aud": site.config.tokens.audience,
        "sub": customer_id,
        "iat": moment,
        "exp": moment + 600,
        "jti": "0" * 32,
    }
    token = forge(key, header(key, typ="customer+jwt"), said)
    SWEEP.name("a token of an earlier release", token)
    return token


async def test_log_out_ends_the_presented_token_alone(site: Site) -> None:
    """The customer's other token goes on, as do all others; nothing is asked of the upstream."""
    first, second, leslie = await log_in(site), await log_in(site), await log_in(site, LESLIE)
    site.commerce.forget()
    answer = await log_out(site, first)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["cache-control"] == "no-store"
    assert asked(site) == []
    assert await orders(site, first) == DEAD
    assert [await orders(site, token) for token in (second, leslie)] == ["good", "good"]
    again = await log_out(site, first)
    assert (again.status, again.code) == (403, "CUSTOMER_TOKEN_INVALID")
    assert await orders(site, await log_in(site)) == "good"


async def test_log_out_needs_a_token(site: Site) -> None:
    """Without one, with one that says nobody, with two, or without a bearer there is nothing to end."""
    token = await log_in(site)
    for headers, code in (
        ({}, "ACCESS_DENIED"),
        ({"X-Moltin-Customer-Token": ""}, "ACCESS_DENIED"),
        ({"X-Moltin-Customer-Token": "none"}, "CUSTOMER_TOKEN_INVALID"),
    ):
        answer = await site.public("DELETE", TOKENS, headers)
        assert (answer.status, answer.code) == (403, code)
    answer = await site.trusted("DELETE", TOKENS)
    assert (answer.status, answer.code) == (403, "ACCESS_DENIED")
    answer = await site.call("DELETE", TOKENS, headers={"X-Moltin-Customer-Token": token})
    assert (answer.status, answer.code) == (401, "BEARER_MISSING")
    assert await orders(site, token) == "good"


async def test_a_server_logs_out_on_behalf(site: Site) -> None:
    """Beside a trusted bearer the presented token ends as well, and only that."""
    first, second = await log_in(site), await log_in(site)
    answer = await site.trusted("DELETE", TOKENS, {"X-Moltin-Customer-Token": first})
    assert answer.status == 204
    assert (await orders(site, first), await orders(site, second)) == (DEAD, "good")


async def test_everywhere(site: Site) -> None:
    """A trusted client ends all tokens of a customer, those of nobody else, and the customer logs in again."""
    tokens = [await log_in(site) for _ in range(3)]
    leslie = await log_in(site, LESLIE)
    answer = await site.trusted("DELETE", f"/v2/customers/{RON_ID}/tokens")
    assert (answer.status, answer.body) == (204, b"")
    assert [await orders(site, token) for token in (*tokens, leslie)] == [DEAD] * 3 + ["good"]
    assert await orders(site, await log_in(site)) == "good"
    # Who never logged in is logged out as well; nobody can have an id that does not look like one.
    assert (await site.trusted("DELETE", "/v2/customers/nobody/tokens")).status == 204
    answer = await site.trusted("DELETE", "/v2/customers/no%20body/tokens")
    assert (answer.status, answer.code) == (404, "RECORD_NOT_FOUND")


@pytest.mark.parametrize(("method", "path"), [("DELETE", "tokens"), ("PUT", "block"), ("DELETE", "block")])
async def test_nobody_else_may(site: Site, method: str, path: str) -> None:
    """Neither the public nor a customer, not even the own tokens; nor a server on behalf of one."""
    target = f"/v2/customers/{RON_ID}/{path}"
    ron = {"X-Moltin-Customer-Token": await log_in(site)}
    for answer in (
        await site.public(method, target),
        await site.public(method, target, ron),
        await site.trusted(method, target, ron),
    ):
        assert (answer.status, answer.code) == (403, "ACCESS_DENIED")
    assert await orders(site, ron["X-Moltin-Customer-Token"]) == "good"


async def test_a_block_ends_all_and_lets_none_begin(site: Site) -> None:
    """Its login fails as that with a wrong password does; afterwards old tokens stay dead, and new ones are good."""
    token = await log_in(site)
    target = f"/v2/customers/{RON_ID}/block"
    assert (await site.trusted("PUT", target)).status == 204
    assert (await site.trusted("PUT", target, json={})).status == 204
    assert await orders(site, token) == DEAD
    blocked = await site.login(RON.email, DEMO_PASSWORDS[RON.email])
    wrong = await site.login(RON.email, "wrong")
    assert (blocked.status, blocked.body) == (wrong.status, wrong.body)
    assert blocked.code == "LOGIN_FAILED"
    # A new password is no way around it.
    body = {"data": {"type": "customer", "password": OTHER}}
    assert (await site.trusted("PUT", f"/v2/customers/{RON_ID}", json=body)).status == 200
    assert (await site.login(RON.email, OTHER)).code == "LOGIN_FAILED"
    assert (await site.login(LESLIE.email, DEMO_PASSWORDS[LESLIE.email])).status == 201
    assert (await site.trusted("DELETE", target)).status == 204
    assert await orders(site, token) == DEAD
    assert await orders(site, await token_of(site, RON.email, OTHER)) == "good"


async def test_a_new_password_logs_out_everywhere(site: Site) -> None:
    """Also the token with which it was changed; a change of anything else logs nobody out."""
    first, second = await log_in(site), await log_in(site)
    assert (await change(site, first, RON_ID, name="Ron")).status == 200
    assert [await orders(site, token) for token in (first, second)] == ["good", "good"]
    assert (await change(site, first, RON_ID, password=OTHER)).status == 200
    assert [await orders(site, token) for token in (first, second)] == [DEAD, DEAD]
    assert await orders(site, await token_of(site, RON.email, OTHER)) == "good"


async def test_a_deletion_logs_out_everywhere(site: Site) -> None:
    """Whoever is gone upstream has no token that opens anything."""
    token = await log_in(site)
    assert (await site.trusted("DELETE", f"/v2/customers/{RON_ID}")).status == 204
    assert await orders(site, token) == DEAD


async def test_a_token_of_an_earlier_release_goes_on_until_a_log_out(site: Site) -> None:
    """It is of version 0: good while its customer has not been logged out since, and ended by its own log-out."""
    ron, leslie, april = (earlier(site, one.id) for one in (RON, LESLIE, APRIL))
    # The demo passwords were set a moment ago, which is a log-out.
    await site.gateway.live.catch_up()
    assert await orders(site, ron) == DEAD
    nobody = earlier(site, "a-new-customer")
    assert await orders(site, nobody) == "good"
    assert (await log_out(site, nobody)).status == 204
    assert await orders(site, nobody) == DEAD
    assert {await orders(site, token) for token in (leslie, april)} == {DEAD}


async def test_everybody(site: Site) -> None:
    """After a leak nobody's token is good, of whatever release, and everybody logs in again."""
    tokens = [await log_in(site), await log_in(site, LESLIE), earlier(site, "a-new-customer")]
    await store_of(site).log_out_everybody()
    await site.gateway.live.catch_up()
    assert [await orders(site, token) for token in tokens] == [DEAD] * 3
    assert await orders(site, await log_in(site)) == "good"


async def test_a_log_out_that_the_store_did_not_take_is_none(site: Site) -> None:
    """It is 503, never 204, and the token goes on."""
    token = await log_in(site)
    await store_of(site).close()
    for answer in (
        await log_out(site, token),
        await site.trusted("DELETE", f"/v2/customers/{RON_ID}/tokens"),
        await site.trusted("PUT", f"/v2/customers/{RON_ID}/block"),
        await site.trusted("DELETE", f"/v2/customers/{RON_ID}/block"),
    ):
        assert (answer.status, answer.code) == (503, "STORE_UNAVAILABLE")
        assert int(answer.headers["retry-after"]) > 0
    assert await orders(site, token) == "good"
    await store_of(site).open()
    assert (await log_out(site, token)).status == 204
    assert await orders(site, token) == DEAD


async def test_a_password_that_changes_during_a_login_ends_it(site: Site) -> None:
    """The session is of the version that was read with the old password, whatever is decided when."""
    account = await store_of(site).account(RON_ID)
    token = await log_in(site)
    await store_of(site).log_out(RON_ID)
    await site.gateway.live.catch_up()
    assert (await store_of(site).account(RON_ID)).version > account.version
    assert await orders(site, token) == DEAD


@pytest.fixture
async def others(site: Site, upstream: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a second replica on the same store."""
    async with run_site(upstream, tmp_path, config=site.config) as running:
        yield running


async def test_another_replica_knows_within_two_seconds(site: Site, others: Site) -> None:
    """It asks by itself, whatever was done: with a token, a password, or by an operator."""
    for end in ("token", "everywhere", "everybody"):
        token = await log_in(site)
        assert await orders(others, token) == "good"
        start = time.monotonic()
        if end == "token":
            assert (await log_out(site, token)).status == 204
        elif end == "everywhere":
            assert (await site.trusted("DELETE", f"/v2/customers/{RON_ID}/tokens")).status == 204
        else:
            await store_of(site).log_out_everybody()
        while await orders(others, token) == "good":  # noqa: ASYNC110 - each look is a request
            await asyncio.sleep(0.01)
        assert time.monotonic() - start < 2
        assert await orders(others, token) == DEAD
        assert await orders(others, await log_in(site)) == "good"


async def test_a_replica_that_starts_knows_what_was_before(site: Site, upstream: Commerce, tmp_path: Path) -> None:
    """It has read all log-outs when it takes its first request."""
    dead, good = await log_in(site), await log_in(site)
    leslie = await log_in(site, LESLIE)
    assert (await log_out(site, dead)).status == 204
    assert (await site.trusted("DELETE", f"/v2/customers/{LESLIE_ID}/tokens")).status == 204
    async with run_site(upstream, tmp_path, config=site.config) as late:
        assert [await orders(late, token) for token in (dead, good, leslie)] == [DEAD, "good", DEAD]
        assert await orders(late, earlier(late, LESLIE_ID)) == DEAD


async def test_where_nobody_can_tell_customers_are_refused(upstream: Commerce, tmp_path: Path) -> None:
    """Beyond max_staleness customers' requests are 503 and /ready turns; the public's go on, and it heals by itself."""
    config = "extends: moltin.yaml\nrevocation: {max_staleness: 5s}\n"
    async with run_site(upstream, tmp_path, config=config) as site:
        token = await log_in(site)
        await store_of(site).close()
        start = time.monotonic()
        while (found := await orders(site, token)) == "good":  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)
        assert found == "503 REVOCATION_STALE"
        assert 3.5 < time.monotonic() - start < 7
        line = {"X-Moltin-Customer-Token": token}
        assert (await site.public("GET", "/v2/products", line)).status == 200
        assert (await site.public("GET", "/v2/products")).status == 200
        assert (await site.trusted("GET", "/v2/orders")).status == 200
        answer = await site.trusted("GET", "/v2/orders", line)
        assert (answer.status, answer.code) == (503, "REVOCATION_STALE")
        async with site.session.get(f"{site.admin_url}/ready") as response:
            document = await response.json()
            assert (response.status, document["conditions"]["revocations"]) == (503, False)
        assert "gateway_store_up 0.0" in await site.metrics()
        await store_of(site).open()
        while (found := await orders(site, token)) != "good":
            assert found == "503 REVOCATION_STALE"
            await asyncio.sleep(0.05)
        async with site.session.get(f"{site.admin_url}/ready") as response:
            assert response.status == 200
        assert "gateway_store_up 1.0" in await site.metrics()
        told = [line["state"] for line in site.log_lines() if line["event"] == "lifecycle"]
        assert told[-3:] == ["store is down", "log-outs unknown", "store is back"]
