"""An upstream that is eventually consistent: what the shop has written is shown by id, or in lists, a while later."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.demo.answers import ShopAnswer
from gateway.demo.data import DEMO_PASSWORDS, RON
from tests.fakes.commerce import Commerce, Recorded, at
from tests.fakes.wire import answer_bytes
from tests.gateways import Site
from tests.gateways import site as run_site
from tests.tokens.accounts import ANN, OTHER, PASSWORD, asked, register, same_headers, statements, store_of

CREATION = at("/v2/customers", "POST")
LOOK_UP = at("/v2/customers", "GET")
CLOSING = """
extends: moltin.yaml
customers: {read_back: 300ms}
routes:
  - name: customers-register
    path: /v2/customers
    methods: [POST]
    passwords: register
    on_violation: close_route
    access:
      public: {scope: [body_fields: {allow: [type, name, email, password]}]}
"""
ONE_CONNECTION = "extends: moltin.yaml\nupstream: {connections: 1}\n"
UNKNOWN = "nobody@nowhere.example"


def is_by_id(request: Recorded) -> bool:
    """Tell whether a request asks for one customer by id."""
    return request.method == "GET" and request.path.startswith("/v2/customers/")


def written(document: object, status: int = 200) -> bytes:
    """Write an answer of the upstream."""
    return answer_bytes(ShopAnswer(status, [("content-type", "application/json")], json.dumps(document).encode()))


EMPTY = written({"data": []})
NOT_THERE = written({"errors": [{"status": 404, "title": "Not Found"}]}, 404)


def lists_lag(commerce: Commerce) -> None:
    """Let no list show anybody."""
    commerce.script(LOOK_UP, written({"data": []}))


def takes_duplicates(commerce: Commerce) -> None:
    """Let the upstream create customers without asking whether the e-mail is free, each with a new id."""

    def create(request: Recorded) -> bytes:
        ident = f"made-{len(commerce.shop.customers)}"
        record = {"type": "customer", "id": ident, **request.json()["data"]}
        commerce.shop.customers[ident] = record
        return written({"data": record}, 201)

    commerce.script(CREATION, create)


def made_with(commerce: Commerce, email: str = ANN) -> list[str]:
    """Return the ids of the customers with this e-mail."""
    return [ident for ident, record in commerce.shop.customers.items() if record["email"] == email]


async def violations(site: Site) -> int:
    """Return how many broken isolations were told."""
    return sum(line["event"] == "guard_violated" for line in site.log_lines())


@pytest.fixture
async def hasty(upstream: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a gateway that soon stops asking again."""
    async with run_site(upstream, tmp_path, config="extends: moltin.yaml\ncustomers: {read_back: 300ms}\n") as site:
        yield site


async def test_customer_who_is_shown_a_while_later(site: Site) -> None:
    """A registration waits for its customer: 201 with the record, no broken isolation, and the password works."""
    lag = site.commerce.script(is_by_id, NOT_THERE, times=3)
    answer = await register(site)
    assert (answer.status, answer.json()["data"]["password"]) == (201, True)
    assert lag.hits == 3
    assert await violations(site) == 0
    assert await store_of(site).pending(ANN) is None
    assert (await site.login(ANN, PASSWORD)).status == 201


async def test_waiting_holds_no_connection(upstream: Commerce, tmp_path: Path) -> None:
    """While a registration waits the only connection to the upstream is everybody else's."""
    async with run_site(upstream, tmp_path, config=ONE_CONNECTION) as site:
        await site.bearer()
        lag = upstream.script(is_by_id, NOT_THERE)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(register(site))
            await upstream.wait(lambda: lag.hits > 0)
            for _ in range(3):
                assert (await site.public("GET", "/v2/products")).status == 200
            assert not waiting.done()
            lag.times = 0
        assert waiting.result().status == 201


async def test_customer_who_is_not_shown_in_time(hasty: Site) -> None:
    """202 says that there is one; the login works as soon as the upstream shows the customer by id, lists or not."""
    site = hasty
    lag = site.commerce.script(is_by_id, NOT_THERE)
    lists_lag(site.commerce)
    answer = await register(site)
    assert (answer.status, answer.json()["data"]) == (202, None)
    assert answer.json()["meta"]["code"] == "REGISTRATION_ACCEPTED"
    assert "log in" in answer.json()["meta"]["detail"]
    (ident,) = made_with(site.commerce)
    assert await store_of(site).password_hash(ident) is None
    # The right password is told to wait; any other is wrong, as everybody's is.
    right, wrong = await site.login(ANN, PASSWORD), await site.login(ANN, OTHER)
    assert (right.status, right.code, right.headers["retry-after"]) == (409, "REGISTRATION_PENDING", "1")
    assert wrong.body == (await site.login(UNKNOWN, OTHER)).body
    # Whoever repeats it makes nobody else, and nobody takes it over.
    assert (await register(site)).status == 202
    assert (await register(site, password=OTHER)).code == "REGISTRATION_PENDING"
    assert len(made_with(site.commerce)) == 1
    lag.times = 0
    assert (await site.login(ANN, OTHER)).code == "LOGIN_FAILED"
    login = await site.login(ANN, PASSWORD)
    assert (login.status, login.json()["data"]["customer_id"]) == (201, ident)
    assert await store_of(site).pending(ANN) is None
    assert (await register(site)).code == "EMAIL_TAKEN"
    assert await violations(site) == 0


async def test_repeat_finishes_as_soon_as_the_customer_is_shown(hasty: Site) -> None:
    """201 with the record, although no list shows it; and there is one customer where the upstream takes two."""
    takes_duplicates(hasty.commerce)
    lag = hasty.commerce.script(is_by_id, NOT_THERE)
    lists_lag(hasty.commerce)
    assert (await register(hasty)).status == 202
    lag.times = 0
    again = await register(hasty)
    assert (again.status, [again.json()["data"]["id"]]) == (201, made_with(hasty.commerce))
    assert (await hasty.login(ANN, PASSWORD)).status == 201


def answers_nothing(commerce: Commerce) -> None:
    """Let the upstream create customers and answer without a body."""

    def create(request: Recorded) -> bytes:
        headers = {name.lower(): value for name, value in request.headers}
        commerce.shop.answer(request.method, request.path, request.query, headers, request.body)
        return b"HTTP/1.1 204 No Content\r\n\r\n"

    commerce.script(CREATION, create)


async def test_creation_that_answers_nothing(site: Site) -> None:
    """Whoever has the e-mail behind it was made by it: 201 with the record, and the password works."""
    answers_nothing(site.commerce)
    lag = site.commerce.script(lambda request: LOOK_UP(request) and bool(made_with(site.commerce)), EMPTY, times=2)
    answer = await register(site)
    assert (answer.status, [answer.json()["data"]["id"]]) == (201, made_with(site.commerce))
    assert lag.hits == 2
    assert (await site.login(ANN, PASSWORD)).status == 201


async def test_creation_that_answers_nothing_and_is_not_listed(hasty: Site) -> None:
    """202, and the login finds the customer as soon as a list shows somebody."""
    answers_nothing(hasty.commerce)
    lag = hasty.commerce.script(LOOK_UP, EMPTY)
    assert (await register(hasty)).status == 202
    assert (await hasty.login(ANN, PASSWORD)).code == "LOGIN_FAILED"
    lag.times = 0
    assert (await hasty.login(ANN, PASSWORD)).status == 201
    assert await violations(hasty) == 0


async def test_no_route_is_closed_by_what_is_not_shown_yet(upstream: Commerce, tmp_path: Path) -> None:
    """Nothing foreign was in a 404: the next shopper registers."""
    async with run_site(upstream, tmp_path, config=CLOSING) as site:
        upstream.script(is_by_id, NOT_THERE, times=50)
        assert (await register(site)).status == 202
        upstream.forget()
        assert (await register(site, "ben@wyatt.example")).status == 201
        assert await violations(site) == 0


async def test_login_at_once_while_lists_lag(site: Site) -> None:
    """A customer logs in right after the registration; others do not, and the e-mail is taken."""
    lists_lag(site.commerce)
    assert (await register(site)).status == 201
    for _ in range(2):
        assert [(await site.login(ANN, PASSWORD)).json()["data"]["customer_id"]] == made_with(site.commerce)
    assert (await site.login(ANN, OTHER)).code == "LOGIN_FAILED"
    for password in (OTHER, None):
        assert (await register(site, password=password)).code == "EMAIL_TAKEN"


async def test_registrations_without_password_while_lists_lag(site: Site) -> None:
    """Whom the gateway has made is known to it also without a password: no second one is made."""
    takes_duplicates(site.commerce)
    lists_lag(site.commerce)
    assert (await register(site, password=None)).status == 201
    for password in (None, PASSWORD):
        assert (await register(site, password=password)).code == "EMAIL_TAKEN"
    assert len(made_with(site.commerce)) == 1


async def test_new_email_while_lists_lag(site: Site) -> None:
    """After a change of the e-mail the new one logs in at once, and nobody registers it."""
    lists_lag(site.commerce)
    await store_of(site).remember(RON.email, RON.id)
    own = f"/v2/customers/{RON.id}"
    change = {"data": {"type": "customer", "email": "duke@silver.example"}}
    assert (await site.customer(RON.email, "PUT", own, json=change)).status == 200
    assert (await site.login("duke@silver.example", DEMO_PASSWORDS[RON.email])).status == 201
    assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).code == "LOGIN_FAILED"
    assert (await register(site, "duke@silver.example")).code == "EMAIL_TAKEN"
    assert (await register(site, RON.email)).status == 201


async def test_who_is_known_is_nobody_when_deleted(site: Site) -> None:
    """A customer who is gone upstream does not log in by what is remembered, and the e-mail is free again."""
    assert (await register(site)).status == 201
    site.commerce.shop.customers.clear()
    unknown = await site.login(UNKNOWN, PASSWORD)
    assert (await site.login(ANN, PASSWORD)).body == unknown.body
    again = await register(site)
    assert (again.status, [again.json()["data"]["id"]]) == (201, made_with(site.commerce))
    assert (await site.login(ANN, PASSWORD)).status == 201


async def test_all_wrong_logins_cost_the_same(hasty: Site) -> None:
    """Unknown, known, just registered, not shown yet, and gone: the same answer, calls and queries."""
    site = hasty
    assert (await register(site, "gone@x.example")).status == 201
    del site.commerce.shop.customers[made_with(site.commerce, "gone@x.example")[0]]
    assert (await register(site, "new@x.example")).status == 201
    lag = site.commerce.script(is_by_id, NOT_THERE)
    assert (await register(site)).status == 202
    lag.times = 0
    hide: Callable[[Recorded], bool] = lambda request: request.path.endswith(made_with(site.commerce)[0])  # noqa: E731
    site.commerce.script(hide, NOT_THERE)
    lists_lag(site.commerce)
    seen = []
    for email in (UNKNOWN, RON.email, "new@x.example", ANN, "gone@x.example"):
        before = len(site.commerce.requests)
        with statements() as queries:
            answer = await site.login(email, "wrong")
        calls = sorted(path.rpartition("/")[0] for _, path in asked(site)[before:])
        seen.append((answer.status, answer.body, same_headers(answer), calls, queries))
    assert seen == [seen[0]] * 5
    assert len(seen[0][3]) == 2
