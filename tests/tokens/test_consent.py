"""A customer's change of the own password or e-mail asks for the old one, unless the routing file says otherwise."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.config.customers import Customers
from gateway.demo.data import DEMO_PASSWORDS, PEOPLE
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import Answer, Site
from tests.gateways import site as run_site
from tests.postgres import new_database
from tests.tokens.accounts import asked, change, store_of
from tests.tokens.test_resets import spend, token_for

RON = PEOPLE[0]
OLD, NEW, OTHER = DEMO_PASSWORDS[RON.email], "canary-new-password", "canary-wrong-password"
STRICT = "extends: moltin.yaml\ncustomers: {change_requires: password}\n"


@pytest.fixture
async def strict(upstream: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a gateway that asks."""
    async with run_site(upstream, tmp_path, config=STRICT) as running:
        yield running


async def by_ron(site: Site, **fields: object) -> Answer:
    """Change Ron with Ron's token."""
    answer = await change(site, await site.token(RON.email), RON.id, **fields)
    sent = b"".join(request.raw for request in site.commerce.all_requests)
    assert [word for word in (OLD, NEW, OTHER, "current_password") if word.encode() in sent] == []
    return answer


def is_asked(answer: Answer) -> bool:
    """Tell whether the reply asks for the current password."""
    source = answer.json()["errors"][0].get("source")
    return (answer.status, answer.code, source) == (403, "PASSWORD_REQUIRED", "data.current_password")


def test_it_asks_unless_told_otherwise() -> None:
    """Closed unless opened: the production file of old SDKs says `token`, nobody else gets it unasked."""
    assert Customers().change_requires == "password"


@pytest.mark.parametrize("fields", [{"password": NEW}, {"email": "ron@tammy.example"}], ids=["password", "e-mail"])
async def test_a_change_asks(strict: Site, fields: dict[str, object]) -> None:
    """Without the current password, or with another, nothing is changed or asked upstream; with it all is."""
    await strict.token(RON.email)
    strict.commerce.forget()
    for current in ({}, {"current_password": OTHER}, {"current_password": None}, {"current_password": NEW}):
        assert is_asked(await by_ron(strict, **fields, **current))
    assert {method for method, _ in asked(strict)} <= {"GET"}
    assert (await by_ron(strict, **fields, current_password=OLD)).status == 200
    email = str(fields.get("email", RON.email))
    assert (await strict.login(email, str(fields.get("password", OLD)))).status == 201


async def test_both_at_once(strict: Site) -> None:
    """The current password is the one from before the change."""
    assert is_asked(await by_ron(strict, email="ron@tammy.example", password=NEW))
    assert (await by_ron(strict, email="ron@tammy.example", password=NEW, current_password=OLD)).status == 200
    assert (await strict.login("ron@tammy.example", NEW)).status == 201


async def test_what_changes_nothing_of_it_does_not_ask(strict: Site) -> None:
    """A name, and a profile that is sent back as it was shown, also in another spelling of the e-mail."""
    shown = (await strict.customer(RON.email, "GET", f"/v2/customers/{RON.id}")).json()["data"]
    assert (await by_ron(strict, name="Ronald")).status == 200
    assert (await by_ron(strict, **{**shown, "name": "Ron Ulysses"})).status == 200
    assert (await by_ron(strict, name="Ron", email=RON.email.upper())).status == 200
    assert strict.commerce.shop.customers[RON.id]["email"] == RON.email


async def test_a_list_that_is_behind_is_not_believed(strict: Site) -> None:
    """What counts is the customer's own record: an e-mail that was the customer's until lately is another one."""
    record = strict.commerce.shop.customers[RON.id]
    body = f'{{"data":[{{"type":"customer","id":"{RON.id}","email":"{RON.email}"}}]}}'.encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    await strict.token(RON.email)
    strict.commerce.script(at("/v2/customers", "GET"), head + body)
    strict.commerce.shop.customers[RON.id] = {**record, "email": "ron@tammy.example"}
    assert is_asked(await by_ron(strict, email=RON.email))


async def test_a_record_that_cannot_be_read_is_no_yes(strict: Site) -> None:
    """Where the upstream fails nobody can tell whether it is a change."""
    await strict.token(RON.email)
    strict.commerce.fault(Fault.SERVER_ERROR, when=at(f"/v2/customers/{RON.id}", "GET"))
    assert (await by_ron(strict, email=RON.email)).status == 502
    assert "PUT" not in {method for method, _ in asked(strict)}


async def test_guesses_end(strict: Site) -> None:
    """A stolen token guesses no faster than a login: then even the right one has to wait."""
    guesses = [await by_ron(strict, password=NEW, current_password=f"{OTHER}-{number}") for number in range(10)]
    assert all(map(is_asked, guesses))
    right = await by_ron(strict, password=NEW, current_password=OLD)
    assert (right.status, right.code) == (429, "THROTTLED")
    assert is_asked(await by_ron(strict, email="ron@tammy.example")) is False
    assert (await strict.login(RON.email, OLD)).status == 201


async def test_who_is_trusted_is_not_asked(strict: Site) -> None:
    """A server of the shop sets any password; beside a customer token it is that customer."""
    body = {"data": {"type": "customer", "password": NEW}}
    path = f"/v2/customers/{RON.id}"
    token = {"X-Moltin-Customer-Token": await strict.token(RON.email)}
    assert is_asked(await strict.trusted("PUT", path, json=body, headers=token))
    assert (await strict.trusted("PUT", path, json=body)).status == 200
    assert (await strict.login(RON.email, NEW)).status == 201


async def test_the_token_is_enough_where_the_file_says_so(site: Site) -> None:
    """Old SDKs send no more. Whoever sends the current password all the same is held to it."""
    assert is_asked(await by_ron(site, name="Ronald", current_password=OTHER))
    assert is_asked(await by_ron(site, password=NEW, current_password=OTHER))
    assert (await by_ron(site, name="Ronald", current_password=OLD)).status == 200
    assert (await by_ron(site, email="ron@tammy.example")).status == 200
    body = {"data": {"type": "customer", "name": "Ron", "current_password": OTHER}}
    assert is_asked(await site.trusted("PUT", f"/v2/customers/{RON.id}", json=body))
    assert (await by_ron(site, password=NEW)).status == 200
    assert (await site.login("ron@tammy.example", NEW)).status == 201


@pytest.mark.parametrize("current", ["", 7, True, ["x"], "x" * 1025])
async def test_what_is_no_password(strict: Site, current: object) -> None:
    """It is told so, and compared with nothing."""
    answer = await by_ron(strict, password=NEW, current_password=current)
    assert (answer.status, answer.json()["errors"][0]["source"]) == (422, "data.current_password")


async def test_a_store_that_is_down_lets_nothing_through(strict: Site) -> None:
    """Nobody can say whether the password is right: 503, and nothing is changed upstream."""
    await strict.token(RON.email)
    await store_of(strict).close()
    strict.commerce.forget()
    answer = await by_ron(strict, email="ron@tammy.example", current_password=OLD)
    assert (answer.status, answer.code) == (503, "STORE_UNAVAILABLE")
    assert asked(strict) == []


async def test_no_other_route_takes_it(strict: Site) -> None:
    """Where no password is changed it is a field like any other."""
    body = {"data": {"type": "customer", "name": "N", "email": "n@example.com", "current_password": OLD}}
    answer = await strict.public("POST", "/v2/customers", json=body)
    assert (answer.status, answer.code) == (422, "BODY_FIELD_UNKNOWN")


# --- Beside a reset on another replica --------------------------------------------------------------------------------

RECORD = f"/v2/customers/{RON.id}"
# Which current password comes along, where it is asked for and where not, and what the one hears who comes too late.
WAYS = [
    pytest.param(STRICT, {"current_password": OLD}, "PASSWORD_REQUIRED", id="password"),
    pytest.param("extends: moltin.yaml\n", {}, "CUSTOMER_TOKEN_INVALID", id="token"),
    pytest.param("extends: moltin.yaml\n", {"current_password": OLD}, "PASSWORD_REQUIRED", id="unasked"),
]


@pytest.fixture(params=["sqlite", "postgresql"])
async def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of each kind of store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return await new_database(request.getfixturevalue("server"))


async def replicas(on: AsyncExitStack, upstream: Commerce, folder: Path, config: str, url: str) -> tuple[Site, Site]:
    """Run two gateways on one store."""
    here = await on.enter_async_context(run_site(upstream, folder, config=config, GATEWAY_STORE_URL=url))
    return here, await on.enter_async_context(run_site(upstream, folder, config=here.config, passwords=False))


async def assert_only(site: Site, password: str) -> None:
    """See to it that Ron has this password, and none of the others."""
    for one in (OLD, NEW, OTHER):
        assert (await site.login(RON.email, one)).status == (201 if one == password else 404)


@pytest.mark.parametrize(("config", "current", "code"), WAYS)
@pytest.mark.parametrize("fields", [{}, {"name": "Ronald"}], ids=["alone", "with a name"])
async def test_a_change_never_undoes_a_reset(
    upstream: Commerce,
    tmp_path: Path,
    store_url: str,
    *,
    config: str,
    current: dict[str, str],
    fields: dict[str, str],
    code: str,
) -> None:
    """One that comes between the look at the old password and the new one stays: whoever knew the old one is out."""
    async with AsyncExitStack() as on:
        here, there = await replicas(on, upstream, tmp_path, config, store_url)
        token, reset = await here.token(RON.email), await token_for(there, RON.email)
        upstream.forget()
        gate, method = asyncio.Event(), "PUT" if fields else "GET"
        upstream.fault(Fault.SLOW_HEAD, when=at(RECORD, method), gate=gate, times=1)
        changing = asyncio.ensure_future(change(here, token, RON.id, password=NEW, **current, **fields))
        await upstream.wait(lambda: (method, RECORD) in asked(here))
        assert (await spend(there, reset, OTHER)).status == 200
        gate.set()
        answer = await changing
        assert (answer.status, answer.code) == (403, code)
        await assert_only(here, OTHER)


@pytest.mark.parametrize(("config", "current", "code"), WAYS)
async def test_nor_gives_the_account_away(
    upstream: Commerce, tmp_path: Path, store_url: str, *, config: str, current: dict[str, str], code: str
) -> None:
    """An e-mail, by which the password could be made another, is not changed behind a reset either."""
    async with AsyncExitStack() as on:
        here, there = await replicas(on, upstream, tmp_path, config, store_url)
        token, reset = await here.token(RON.email), await token_for(there, RON.email)
        upstream.forget()
        gate = asyncio.Event()
        upstream.fault(Fault.SLOW_HEAD, when=at("/v2/customers", "GET"), gate=gate, times=1)
        changing = asyncio.ensure_future(change(here, token, RON.id, email="ron@tammy.example", **current))
        await upstream.wait(lambda: ("GET", "/v2/customers") in asked(here))
        assert (await spend(there, reset, OTHER)).status == 200
        gate.set()
        answer = await changing
        assert (answer.status, answer.code) == (403, code)
        assert ("PUT", RECORD) not in asked(here)
        await assert_only(here, OTHER)


@pytest.mark.parametrize("fields", [{"password": NEW}, {"email": "ron@tammy.example"}], ids=["password", "e-mail"])
async def test_a_log_out_that_is_not_known_here_yet_counts(
    upstream: Commerce, tmp_path: Path, store_url: str, fields: dict[str, str]
) -> None:
    """Where the token is enough the store is asked whether it still is: what it sets would outlive it."""
    async with AsyncExitStack() as on:
        here, there = await replicas(on, upstream, tmp_path, "extends: moltin.yaml\n", store_url)
        token, reset = await here.token(RON.email), await token_for(there, RON.email)
        assert (await spend(there, reset, OTHER)).status == 200
        upstream.forget()
        answer = await change(here, token, RON.id, **fields)
        assert (answer.status, answer.code) == (403, "CUSTOMER_TOKEN_INVALID")
        answer = await here.public("DELETE", RECORD, {"X-Moltin-Customer-Token": token})
        assert (answer.status, answer.code) == (403, "CUSTOMER_TOKEN_INVALID")
        assert asked(here) == []
        await assert_only(here, OTHER)


async def test_one_of_two_changes_wins(strict: Site) -> None:
    """Of all who know the old password, at once; the others are told that it is not right any more."""
    token = await strict.token(RON.email)
    fields = {"current_password": OLD}
    answers = await asyncio.gather(*(change(strict, token, RON.id, password=one, **fields) for one in (NEW, OTHER)))
    assert sorted(answer.status for answer in answers) == [200, 403]
    await assert_only(strict, NEW if answers[0].status == 200 else OTHER)
