"""A registration killed with SIGKILL at each of its points, and what the next start makes of what it left behind.

How the points are timed, all from outside: the upstream keeps silent, a relay keeps bytes to itself, or the store's
write lock is taken by somebody else, so that the gateway cannot have come further than the test says.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum, auto
from pathlib import Path

import pytest

from tests.fakes.commerce import Commerce, Fault, Recorded, at
from tests.fakes.shop import add_customer
from tests.process.processes import Relay, Served, locked, rows, serving

EMAIL, PASSWORD, NAME = "april@pawnee.example", "canary-password-april", "April Ludgate"
# The demo shop compares as it is spelled: only this spelling finds a customer who is kept with it.
MIXED = "April@Pawnee.Example"
OTHER = "canary-password-other"
IS_POST = at("/v2/customers", "POST")
IS_LOOK_UP = at("/v2/customers", "GET")


def is_read_back(request: Recorded) -> bool:
    """Say "requests for one customer by the id"."""
    return request.method == "GET" and request.path.startswith("/v2/customers/")


class Point(StrEnum):
    """Where the process dies, in the order of a registration."""

    LOOK_UP = auto()
    """The e-mail is in hand; the look-up by e-mail hangs; no intent is written."""
    BEGIN = auto()
    """The look-up is answered; the intent cannot be written yet."""
    INTENT = auto()
    """The intent is written; the upstream has not seen the POST."""
    HELD = auto()
    """The upstream has the POST, and has not made the customer."""
    CREATED = auto()
    """The upstream made the customer; no byte of its answer has reached the gateway."""
    HALF = auto()
    """Half of the answer has reached the gateway."""
    ANSWERED = auto()
    """The whole answer has reached the gateway; the store cannot be written yet."""
    READ_BACK = auto()
    """The gateway asks for the customer whose id was answered, and hears nothing."""
    DONE = auto()
    """The client has its 201."""


# The upstream has no customer after a death there.
WITHOUT_CUSTOMER = [Point.LOOK_UP, Point.BEGIN, Point.INTENT, Point.HELD]
UNSETTLED = [Point.CREATED, Point.HALF, Point.ANSWERED, Point.READ_BACK]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Give the path of the store."""
    return tmp_path / "store.db"


@asynccontextmanager
async def _registering(served: Served, email: str, password: str, name: str) -> AsyncIterator[None]:
    """Register in the background; the process is killed at the end of the block, before it could answer."""
    await served.bearer()
    async with asyncio.TaskGroup() as group:
        answer = group.create_task(served.register(email, password, name))
        yield
        await served.kill()
    assert answer.result() is None


async def _die(
    point: Point,
    commerce: Commerce,
    environ: dict[str, str],
    store: Path,
    *,
    email: str = EMAIL,
    password: str = PASSWORD,
    name: str = NAME,
) -> None:
    """Start a gateway, register, and kill it at the point."""
    holds = {Point.INTENT: "request", Point.CREATED: "answer"}.get(point, "nothing")
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(Relay(commerce.port, holds).open())
        served = await stack.enter_async_context(serving(environ | {"UPSTREAM_URL": relay.url}))
        if point is Point.DONE:
            answer = await served.register(email, password, name)
            assert answer is not None
            assert answer.status == 201
            await served.kill()
            return
        gate = asyncio.Event()
        if point is Point.BEGIN:
            commerce.fault(Fault.SLOW_HEAD, when=IS_LOOK_UP, gate=gate)
        elif point is Point.LOOK_UP:
            commerce.fault(Fault.SILENT, when=IS_LOOK_UP)
        elif point is Point.HELD:
            commerce.fault(Fault.SILENT, when=IS_POST)
        elif point is Point.READ_BACK:
            commerce.fault(Fault.SILENT, when=is_read_back)
        elif point is Point.HALF:
            commerce.fault(Fault.SLOW_BODY, when=IS_POST, gate=gate)
        elif point is Point.ANSWERED:
            commerce.fault(Fault.SLOW_HEAD, when=IS_POST, gate=gate)
        async with _registering(served, email, password, name):
            await _reached(point, commerce, relay, store, gate, stack)
    commerce.forget()


async def _reached(
    point: Point, commerce: Commerce, relay: Relay, store: Path, gate: asyncio.Event, stack: AsyncExitStack
) -> None:
    if point in {Point.LOOK_UP, Point.BEGIN}:
        await commerce.wait(lambda: any(map(IS_LOOK_UP, commerce.requests)))
        if point is Point.BEGIN:
            stack.enter_context(locked(store))
            gate.set()
        return
    async with asyncio.timeout(20):
        if point in {Point.INTENT, Point.CREATED}:
            await relay.held.wait()
        else:
            awaited = is_read_back if point is Point.READ_BACK else IS_POST
            await commerce.wait(lambda: any(map(awaited, commerce.requests)))
        assert rows(store, "registrations") == 1
        if point is Point.ANSWERED:
            stack.enter_context(locked(store))
            gate.set()
        if point in {Point.HALF, Point.ANSWERED}:
            await relay.answered.wait()


def _customers(commerce: Commerce, email: str = EMAIL) -> list[str]:
    return [ident for ident, record in commerce.shop.customers.items() if record["email"].lower() == email]


@pytest.mark.parametrize("point", WITHOUT_CUSTOMER)
async def test_a_death_before_the_customer_exists(
    point: Point, upstream: Commerce, environ: dict[str, str], store: Path
) -> None:
    """Killed before the upstream made the customer: nobody logs in, and the repeat registers as if anew."""
    await _die(point, upstream, environ, store)
    assert _customers(upstream) == []
    assert rows(store, "registrations") == (point in {Point.INTENT, Point.HELD})
    assert rows(store, "credentials") == 0
    async with serving(environ) as served:
        assert (await served.login(EMAIL, PASSWORD)).status == 404
        repeated = await served.register(EMAIL, PASSWORD, NAME)
        assert repeated is not None
        assert (repeated.status, repeated.json()["data"]["password"]) == (201, True)
        login = await served.login(EMAIL, PASSWORD)
        assert (login.status, [login.json()["data"]["customer_id"]]) == (201, _customers(upstream))
    assert rows(store, "registrations") == 0
    assert upstream.shop.passwords_seen == []


@pytest.mark.parametrize("point", UNSETTLED)
async def test_a_repeat_finishes_what_a_death_left(
    point: Point, upstream: Commerce, environ: dict[str, str], store: Path
) -> None:
    """Killed after the upstream made the customer: the same registration again answers 201 and makes no second one."""
    await _die(point, upstream, environ, store)
    assert len(_customers(upstream)) == 1
    assert (rows(store, "registrations"), rows(store, "credentials")) == (1, 0)
    async with serving(environ) as served:
        repeated = await served.register(MIXED, PASSWORD, NAME)
        assert repeated is not None
        assert (repeated.status, repeated.json()["data"]["password"]) == (201, True)
        assert [repeated.json()["data"]["id"]] == _customers(upstream)
        assert (await served.login(EMAIL, PASSWORD)).status == 201
        again = await served.register(EMAIL, PASSWORD, NAME)
        assert again is not None
        assert (again.status, again.code) == (409, "EMAIL_TAKEN")
    assert (rows(store, "registrations"), rows(store, "credentials")) == (0, 1)
    assert upstream.shop.passwords_seen == []


@pytest.mark.parametrize("point", [*UNSETTLED, Point.DONE])
async def test_a_login_finishes_what_a_death_left(
    point: Point, upstream: Commerce, environ: dict[str, str], store: Path
) -> None:
    """Killed after the upstream made the customer: the customer logs in with the password, and only with that one."""
    await _die(point, upstream, environ, store)
    async with serving(environ) as served:
        assert (await served.login(EMAIL, OTHER)).status == 404
        login = await served.login(MIXED, PASSWORD)
        assert (login.status, [login.json()["data"]["customer_id"]]) == (201, _customers(upstream))
        assert (await served.login(EMAIL, OTHER)).status == 404
    assert (rows(store, "registrations"), rows(store, "credentials")) == (0, 1)
    assert upstream.shop.passwords_seen == []


@pytest.mark.parametrize(("point", "code"), [(Point.INTENT, "REGISTRATION_PENDING"), (Point.CREATED, "EMAIL_TAKEN")])
async def test_another_password_replaces_nothing(
    point: Point, code: str, upstream: Commerce, environ: dict[str, str], store: Path
) -> None:
    """A repeat with another password, or with the e-mail in capitals, is 409 and leaves the first password in force."""
    await _die(point, upstream, environ, store)
    async with serving(environ) as served:
        for email in (EMAIL, EMAIL.upper()):
            other = await served.register(email, OTHER, NAME)
            assert other is not None
            assert (other.status, other.code) == (409, code)
        assert (await served.login(EMAIL, OTHER)).status == 404
        repeated = await served.register(EMAIL, PASSWORD, NAME)
        assert repeated is not None
        assert repeated.status == 201
        assert (await served.login(EMAIL, OTHER)).status == 404
        assert (await served.login(EMAIL, PASSWORD)).status == 201
    assert len(_customers(upstream)) == 1


def _search_lags(commerce: Commerce) -> None:
    """Let the upstream find nobody by e-mail, as while its search index is behind."""
    body = b'{"data":[]}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    commerce.script(IS_LOOK_UP, head + body)


async def _assert_is_nobodys(served: Served, password: str) -> None:
    """Assert that the attacker's password opens nothing, in whatever spelling, and that the e-mail is taken."""
    for email in (EMAIL, EMAIL.upper(), MIXED):
        assert (await served.login(email, password)).status == 404
    repeated = await served.register(EMAIL, password, "Attacker")
    assert repeated is not None
    assert (repeated.status, repeated.code) == (409, "EMAIL_TAKEN")
    assert (await served.login(MIXED, password)).status == 404


@pytest.mark.parametrize("point", [Point.LOOK_UP, Point.BEGIN, Point.INTENT, Point.HELD, Point.ANSWERED])
async def test_a_customer_who_was_there_gets_no_password(
    point: Point, upstream: Commerce, environ: dict[str, str], store: Path
) -> None:
    """A stranger's registration with a customer's e-mail, killed anywhere, gives the stranger's password to nobody.

    Even where the upstream's search did not find the customer, so that the intent was written.
    """
    victim = add_customer(upstream.shop, NAME, MIXED)["id"]
    if point is not Point.LOOK_UP:
        _search_lags(upstream)
    await _die(point, upstream, environ, store, password=OTHER, name="Attacker")
    assert _customers(upstream) == [victim]
    async with serving(environ) as served:
        await _assert_is_nobodys(served, OTHER)
    assert rows(store, "credentials") == 0


@pytest.mark.parametrize("point", [Point.HELD, Point.ANSWERED])
async def test_a_customer_who_was_there_and_whose_name_is_known(
    point: Point, upstream: Commerce, environ: dict[str, str], store: Path
) -> None:
    """Even with the customer's own name: the upstream says that it made this customer before the registration."""
    victim = add_customer(upstream.shop, NAME, EMAIL)
    victim["meta"]["timestamps"]["created_at"] = "2020-01-01T00:00:00Z"
    _search_lags(upstream)
    await _die(point, upstream, environ, store, password=OTHER)
    async with serving(environ) as served:
        await _assert_is_nobodys(served, OTHER)
    assert rows(store, "credentials") == 0


async def test_a_customer_who_was_there_is_refused_at_once(
    upstream: Commerce, environ: dict[str, str], store: Path
) -> None:
    """A registration for a customer who exists is 409 in any case of letters, writes nothing, and creates nothing."""
    add_customer(upstream.shop, NAME, EMAIL)
    async with serving(environ) as served:
        for email in (EMAIL, EMAIL.upper()):
            answer = await served.register(email, OTHER, NAME)
            assert answer is not None
            assert (answer.status, answer.code) == (409, "EMAIL_TAKEN")
        await served.kill()
    assert not any(map(IS_POST, upstream.requests))
    assert (rows(store, "registrations"), rows(store, "credentials")) == (0, 0)
    async with serving(environ) as served:
        assert (await served.login(EMAIL, OTHER)).status == 404


@pytest.mark.parametrize("name", ["Attacker", NAME])
async def test_a_conflict_that_was_answered_leaves_nothing(
    name: str, upstream: Commerce, environ: dict[str, str], store: Path
) -> None:
    """A customer made elsewhere while the POST is under way: after the 409 a death gives the password to nobody.

    The intent is gone before the client knows, so even the same name opens nothing.
    """
    gate = asyncio.Event()
    upstream.fault(Fault.SLOW_HEAD, when=IS_POST, gate=gate)
    async with serving(environ) as served:
        await served.bearer()
        async with asyncio.TaskGroup() as group:
            conflict = group.create_task(served.register(EMAIL, OTHER, name))
            await upstream.wait(lambda: any(map(IS_POST, upstream.requests)))
            add_customer(upstream.shop, NAME, EMAIL)
            gate.set()
        answer = conflict.result()
        assert answer is not None
        assert (answer.status, answer.code) == (409, "EMAIL_TAKEN")
        await served.kill()
    assert (rows(store, "registrations"), rows(store, "credentials")) == (0, 0)
    async with serving(environ) as served:
        await _assert_is_nobodys(served, OTHER)


async def _die_in_a_race(upstream: Commerce, environ: dict[str, str], name: str) -> None:
    """Let somebody else make the customer while the upstream holds the POST, and kill the gateway before the 409."""
    upstream.fault(Fault.SILENT, when=IS_POST)
    async with serving(environ) as served, _registering(served, EMAIL, OTHER, name):
        await upstream.wait(lambda: any(map(IS_POST, upstream.requests)))
        add_customer(upstream.shop, NAME, EMAIL)
    upstream.forget()


async def test_a_conflict_that_was_never_answered_gives_no_password(
    upstream: Commerce, environ: dict[str, str], store: Path
) -> None:
    """A customer made elsewhere while the POST is under way, and a death before the 409: another name is nobody's."""
    await _die_in_a_race(upstream, environ, "Attacker")
    assert rows(store, "registrations") == 1
    async with serving(environ) as served:
        await _assert_is_nobodys(served, OTHER)
    assert rows(store, "credentials") == 0


@pytest.mark.xfail(
    strict=True,
    reason="known gap: made elsewhere with the same e-mail and name in the same minutes, a customer looks like ours",
)
async def test_a_conflict_that_was_never_answered_with_the_same_name(
    upstream: Commerce, environ: dict[str, str]
) -> None:
    """As above with the customer's own name: nothing in the upstream's record tells whose registration made it."""
    await _die_in_a_race(upstream, environ, NAME)
    async with serving(environ) as served:
        assert (await served.login(EMAIL, OTHER)).status == 404


async def test_the_intent_holds_no_password(upstream: Commerce, environ: dict[str, str], store: Path) -> None:
    """What a death leaves on the disk holds an argon2id hash, and the password nowhere."""
    await _die(Point.INTENT, upstream, environ, store)
    kept = b"".join(path.read_bytes() for path in store.parent.glob("store.db*"))
    assert b"$argon2id$" in kept
    assert PASSWORD.encode() not in kept
    posts = [request for request in upstream.requests if IS_POST(request)]
    assert not [post for post in posts if PASSWORD in json.dumps(post.json())]
