"""No id is given a password before its own record shows whose it is: in registrations, their repeats, and logins."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.demo.answers import ShopAnswer
from gateway.demo.data import APRIL as OLD
from gateway.demo.data import APRIL_ID, LESLIE_ID
from gateway.vocab.messages import Json
from tests.fakes.commerce import Commerce, Fault, Recorded, at
from tests.fakes.wire import answer_bytes
from tests.gateways import Answer, Site
from tests.gateways import site as run_site
from tests.tokens.accounts import ANN, NAME, OTHER, PASSWORD, asked, made, plant, register, store_of

CREATION = at("/v2/customers", "POST")
LOOK_UP = at("/v2/customers", "GET")
HASTY = "extends: moltin.yaml\ncustomers: {read_back: 300ms}\n"
IMPATIENT = f"{HASTY}upstream:\n  timeouts: {{connect: 500ms, first_byte: 500ms, idle: 500ms}}\n"


@pytest.fixture
async def hasty(upstream: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a gateway that soon stops asking again."""
    async with run_site(upstream, tmp_path, config=HASTY) as site:
        yield site


def is_read_back(request: Recorded) -> bool:
    """Tell whether a request asks for one customer by id."""
    return request.method == "GET" and request.path.startswith("/v2/customers/")


def written(document: object, status: int = 200) -> bytes:
    """Write an answer of the upstream."""
    return answer_bytes(ShopAnswer(status, [("content-type", "application/json")], json.dumps(document).encode()))


def ids_of(site: Site, email: str = ANN) -> list[str]:
    """Return the ids of the upstream's customers with this e-mail."""
    return [ident for ident, record in site.commerce.shop.customers.items() if record["email"] == email]


async def violations(site: Site) -> list[str]:
    """Return the routes of which a broken isolation was told, which is as often as it was counted."""
    told = [line["route"] for line in site.log_lines() if line["event"] == "guard_violated"]
    name = "gateway_isolation_violations_total{"
    counted = [line.rpartition(" ")[2] for line in (await site.metrics()).splitlines() if line.startswith(name)]
    assert sum(map(float, counted)) == len(told)
    return told


async def assert_nobody_has_a_password_of_ours(site: Site, *ids: str) -> None:
    """Check that a registration waits, and that none of these customers got what it holds."""
    assert await store_of(site).pending(ANN) is not None
    for ident in ids:
        assert await store_of(site).password_hash(ident) is None


async def assert_repeat_finishes(site: Site, *, is_made: bool = True) -> None:
    """Check that the client's repeat ends well, with its own password alone, and with one customer."""
    site.commerce.forget()
    other = await register(site, password=OTHER)
    assert (other.status, other.code) == (409, "EMAIL_TAKEN" if is_made else "REGISTRATION_PENDING")
    again = await register(site)
    assert (again.status, again.json()["data"]["password"]) == (201, True)
    assert [again.json()["data"]["id"]] == ids_of(site)
    assert await store_of(site).pending(ANN) is None
    assert (await site.login(ANN, PASSWORD)).json()["data"]["customer_id"] == again.json()["data"]["id"]
    assert (await site.login(ANN, OTHER)).code == "LOGIN_FAILED"


def is_accepted(answer: Answer) -> bool:
    """Tell whether a reply says that the customer was made and is not shown yet, without showing anybody."""
    document = answer.json()
    return (answer.status, document["data"], document["meta"]["code"]) == (202, None, "REGISTRATION_ACCEPTED")


def is_refused(answer: Answer) -> bool:
    """Tell whether a reply is the one to an upstream that lies, and shows nothing."""
    return (answer.status, answer.code) == (502, "UPSTREAM_INVALID") and OLD.canary.encode() not in answer.body


@pytest.fixture(name="old")
async def _old(site: Site) -> Json:
    """Give a customer who has been there for long and has no password."""
    await store_of(site).forget(APRIL_ID)
    return site.commerce.shop.customers[APRIL_ID]


def lying(site: Site, ident: str, *, makes: bool) -> None:
    """Let the upstream answer a creation with another id than the new customer's; it may make the customer or not."""

    def create(request: Recorded) -> bytes:
        headers = {name.lower(): value for name, value in request.headers}
        said = site.commerce.shop.answer(request.method, request.path, request.query, headers, request.body)
        new = said.json()["data"]["id"]
        if not makes:
            del site.commerce.shop.customers[new]
        return written({"data": said.json()["data"] | {"id": ident}}, 201)

    site.commerce.script(CREATION, create)


# --- The calls --------------------------------------------------------------------------------------------------------


async def test_calls_of_a_registration(site: Site) -> None:
    """Look-up, creation, and one look at the new customer; its call carries nothing of the client's."""
    answer = await register(site)
    ident = answer.json()["data"]["id"]
    assert asked(site) == [("GET", "/v2/customers"), ("POST", "/v2/customers"), ("GET", f"/v2/customers/{ident}")]
    last = site.commerce.requests[-1]
    assert (last.query, last.body) == ([], b"")
    assert await violations(site) == []


async def test_without_a_password_nothing_is_read_back(site: Site) -> None:
    """Where no password is given to anybody, no call is made for it."""
    assert (await register(site, password=None)).status == 201
    assert asked(site) == [("GET", "/v2/customers"), ("POST", "/v2/customers")]


async def test_calls_of_a_repeat(site: Site) -> None:
    """The repeat of a registration shows the customer as it is read: that is the look at it as well."""
    await plant(site)
    mine = made(site)
    assert (await register(site)).status == 201
    assert asked(site) == [("GET", "/v2/customers"), ("GET", f"/v2/customers/{mine['id']}")]


async def test_calls_of_a_login_that_finishes_a_registration(site: Site) -> None:
    """Beside the list and the one call by id that every login makes it looks once, at its first success."""
    await plant(site)
    mine = made(site)
    own, nobodys = f"/v2/customers/{mine['id']}", "/v2/customers/0"
    for password, status, paths in (
        (OTHER, 404, ["/v2/customers", nobodys]),
        (PASSWORD, 201, ["/v2/customers", nobodys, own]),
        (PASSWORD, 201, ["/v2/customers", own]),
        (OTHER, 404, ["/v2/customers", own]),
    ):
        site.commerce.forget()
        assert (await site.login(ANN, password)).status == status
        assert sorted(asked(site)) == [("GET", path) for path in sorted(paths)]


# --- Lies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("makes", [True, False])
async def test_creation_that_answers_the_id_of_an_old_customer(site: Site, old: Json, *, makes: bool) -> None:
    """The old customer gets no password; the client's repeat finishes, whether or not the new one was made."""
    lying(site, old["id"], makes=makes)
    assert is_refused(await register(site))
    assert await violations(site) == ["customers-register"]
    await assert_nobody_has_a_password_of_ours(site, old["id"], *ids_of(site))
    await assert_repeat_finishes(site, is_made=makes)
    assert (await site.login(OLD.email, PASSWORD)).code == "LOGIN_FAILED"


async def test_creation_that_answers_the_id_of_nobody(hasty: Site) -> None:
    """A customer who is not there by the id that was answered has no password; nothing foreign was seen either."""
    site = hasty
    lying(site, "nobody-has-this-id", makes=True)
    assert is_accepted(await register(site))
    assert await violations(site) == []
    await assert_nobody_has_a_password_of_ours(site, "nobody-has-this-id", *ids_of(site))
    await assert_repeat_finishes(site)


async def test_customer_of_another_spelling_under_the_id(site: Site) -> None:
    """We made the canonical spelling: a customer of another one, whom no look-up found, was there before."""
    was_there = made(site, ANN.title())
    site.commerce.script(CREATION, written({"data": was_there | {"email": ANN}}, 201))
    assert is_refused(await register(site))
    await assert_nobody_has_a_password_of_ours(site, was_there["id"])


@pytest.mark.parametrize("record", [LESLIE_ID, APRIL_ID])
async def test_read_back_that_shows_somebody_else(site: Site, record: str) -> None:
    """An answer to the look that is another customer's is no proof of the one that was asked for."""
    site.commerce.fault(Fault.OTHER_RECORD, when=is_read_back, record=record)
    assert is_refused(await register(site))
    assert await violations(site) == ["customers-register"]
    await assert_nobody_has_a_password_of_ours(site, *ids_of(site))
    await assert_repeat_finishes(site)


def listing(site: Site, old: Json) -> None:
    """Let the upstream say of an old customer that he has the e-mail and the name of the new one."""
    new = made(site)
    del site.commerce.shop.customers[new["id"]]
    site.commerce.script(LOOK_UP, written({"data": [new | {"id": old["id"]}]}))


async def test_lists_that_give_an_old_customer_a_new_e_mail(site: Site, old: Json) -> None:
    """A repeat and a login believe a list no more than the answer to a creation."""
    await plant(site)
    listing(site, old)
    assert is_refused(await register(site))
    assert is_refused(await site.login(ANN, PASSWORD))
    assert (await site.login(ANN, OTHER)).code == "LOGIN_FAILED"
    assert await violations(site) == ["customers-register", "login"]
    await assert_nobody_has_a_password_of_ours(site, old["id"])
    await assert_repeat_finishes(site, is_made=False)
    assert (await site.login(OLD.email, PASSWORD)).code == "LOGIN_FAILED"


async def test_lists_that_hold_who_is_not_there(hasty: Site) -> None:
    """Nor does either believe in a customer whom nobody finds by the id: that one may be there later."""
    site = hasty
    await plant(site)
    listing(site, {"id": "nobody-has-this-id"})
    assert is_accepted(await register(site))
    assert (await site.login(ANN, PASSWORD)).code == "REGISTRATION_PENDING"
    assert (await site.login(ANN, OTHER)).code == "LOGIN_FAILED"
    assert await violations(site) == []
    await assert_nobody_has_a_password_of_ours(site, "nobody-has-this-id")


# --- Failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Fault.SERVER_ERROR, {"status": 500}),
        (Fault.SERVER_ERROR, {"status": 503}),
        (Fault.SERVER_ERROR, {"status": 429}),
        (Fault.SERVER_ERROR, {"status": 403}),
        (Fault.HTML_ERROR, {}),
        (Fault.HTML_OK, {}),
        (Fault.EMPTY_BODY, {}),
        (Fault.TRUNCATED_JSON, {}),
        (Fault.CUT_BODY, {}),
        (Fault.CLOSE, {}),
        (Fault.WRONG_TYPE, {}),
        (Fault.REDIRECT, {"location": "/v2/customers"}),
    ],
)
async def test_read_back_that_fails(hasty: Site, kind: Fault, options: Json) -> None:
    """An upstream that does not say who it made has told no lie, and made somebody; the password waits."""
    site = hasty
    site.commerce.fault(kind, when=is_read_back, **options)
    assert is_accepted(await register(site))
    assert await violations(site) == []
    await assert_nobody_has_a_password_of_ours(site, *ids_of(site))
    await assert_repeat_finishes(site)


@pytest.mark.parametrize("finished_by", ["repeat", "login"])
async def test_read_back_that_never_comes(upstream: Commerce, tmp_path: Path, finished_by: str) -> None:
    """A look that is given up leaves somebody to be shown; a repeat finishes the registration, and so does a login."""
    async with run_site(upstream, tmp_path, config=IMPATIENT) as site:
        upstream.fault(Fault.SILENT, when=is_read_back)
        assert is_accepted(await register(site))
        assert await violations(site) == []
        await assert_nobody_has_a_password_of_ours(site, *ids_of(site))
        assert (await site.login(ANN, PASSWORD)).status == 504
        if finished_by == "repeat":
            await assert_repeat_finishes(site)
        upstream.forget()
        assert [(await site.login(ANN, PASSWORD)).json()["data"]["customer_id"]] == ids_of(site)
        assert await store_of(site).pending(ANN) is None


async def test_read_back_that_is_slow(site: Site) -> None:
    """While it lasts, others are told that the e-mail is in hand and nobody logs in without a look; then it is done."""
    gate = asyncio.Event()
    await site.bearer()
    site.commerce.fault(Fault.SLOW_HEAD, when=is_read_back, gate=gate, times=1)
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(register(site))
        await site.commerce.wait(lambda: any(map(is_read_back, site.commerce.requests)))
        meanwhile = await register(site, password=OTHER)
        assert (meanwhile.code, meanwhile.headers["retry-after"]) == ("REGISTRATION_PENDING", "1")
        assert (await site.login(ANN, OTHER)).code == "LOGIN_FAILED"
        gate.set()
    assert (slow.result().status, slow.result().json()["data"]["name"]) == (201, NAME)
    assert (await site.login(ANN, PASSWORD)).status == 201


async def test_login_before_the_read_back_comes(site: Site) -> None:
    """A customer who logs in meanwhile finishes the registration; the registration ends as if it had."""
    gate = asyncio.Event()
    await site.bearer()
    site.commerce.fault(Fault.SLOW_HEAD, when=is_read_back, gate=gate, times=1)
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(register(site))
        await site.commerce.wait(lambda: any(map(is_read_back, site.commerce.requests)))
        assert (await site.login(ANN, PASSWORD)).status == 201
        gate.set()
    assert slow.result().status == 201
    assert (await site.login(ANN, PASSWORD)).status == 201
