"""Replicas that share a PostgreSQL database: what one keeps the others know; what customers see while it is away."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from tests.fakes.commerce import Commerce
from tests.postgres import Makes, Server, ask, new_database
from tests.process.processes import Served, serving

EMAIL, PASSWORD, NAME = "april@pawnee.example", "canary-password-april", "April Ludgate"
# What a login may take until it succeeds again after the server is back; seconds.
BACK = 5.0
# What an account has at once in config/moltin.yaml, at a worker or at all of them.
GUESSES = 10
THROTTLED = b'gateway_logins_total{outcome="throttled"}'


@pytest.fixture(scope="module")
def frail(makes: Makes) -> Server:
    """Give a server that tests do harm to; each leaves it running."""
    return makes.server()


@pytest.fixture
async def replicas(frail: Server, environ: dict[str, str], upstream: Commerce) -> AsyncIterator[tuple[Served, Served]]:
    """Give two replicas, one of two workers, that started at once on a database without tables."""
    assert upstream.url == environ["UPSTREAM_URL"]
    shared = {**environ, "GATEWAY_STORE_URL": await new_database(frail)}
    async with serving(shared, workers=2, wait=False) as one, serving(shared) as other:
        await one.started(2)
        yield one, other


async def shown(served: Served, *samples: str) -> None:
    """Wait until the metrics show them."""
    async with asyncio.timeout(2 * BACK):
        while not {*samples} <= {*(await served.ask("/metrics")).body.decode().splitlines()}:  # noqa: ASYNC110 - each look is a request
            await asyncio.sleep(0.1)


async def test_of_registrations_at_once_one_is_made(replicas: tuple[Served, Served], upstream: Commerce) -> None:
    """Over all workers of all replicas; and then the customer logs in at any of them, and the token counts at each."""
    one, other = replicas
    await asyncio.gather(one.bearer(), other.bearer())
    answers = await asyncio.gather(*(served.register(EMAIL, PASSWORD, NAME) for served in (one, other) * 4))
    assert sorted(answer.status for answer in answers if answer is not None) == [201] + [409] * 7
    assert [record["email"] for record in upstream.shop.customers.values()].count(EMAIL) == 1
    logins = [await served.login(EMAIL, PASSWORD) for served in (one, other, one)]
    assert [login.status for login in logins] == [201] * 3
    token = logins[0].json()["data"]["token"]
    headers = {"Authorization": f"Bearer {await other.bearer()}", "X-Moltin-Customer-Token": token}
    assert (await other.call("GET", "/v2/orders", headers=headers)).status == 200


@pytest.mark.parametrize(
    ("harm", "heal"),
    [(Server.stop, Server.start), (Server.kill, Server.start), (Server.freeze, Server.thaw)],
    ids=["stopped", "killed", "standing still"],
)
async def test_logins_come_back_by_themselves(
    replicas: tuple[Served, Served], frail: Server, harm: Callable[[Server], None], heal: Callable[[Server], None]
) -> None:
    """503 while it is away, at once or after two seconds; tokens that are out go on; nothing is restarted.

    Every replica stays ready meanwhile, for all have the same store: /ready names it, and answers before a probe gives
    up. What was logged out before stays so, and a log-out meanwhile is no success.
    """
    one, other = replicas
    registered = await one.register(EMAIL, PASSWORD, NAME)
    assert registered is not None
    assert registered.status == 201
    token = (await other.login(EMAIL, PASSWORD)).json()["data"]["token"]
    headers = {"Authorization": f"Bearer {await other.bearer()}", "X-Moltin-Customer-Token": token}
    ended = (await other.login(EMAIL, PASSWORD)).json()["data"]["token"]
    assert (await one.log_out(ended)).status == 204
    async with asyncio.timeout(2):
        # A server that ends at once may not come to tell of it.
        while (await other.orders(ended)).status == 200:
            pass
    await asyncio.to_thread(harm, frail)
    for served in (one, other):
        async with asyncio.timeout(1):
            ready = await served.ask("/ready")
        assert (ready.status, ready.json()["conditions"]["store"]) == (200, False)
    async with asyncio.timeout(5):
        refused = [await served.login(EMAIL, PASSWORD) for served in (one, other)]
    assert [(answer.status, answer.code) for answer in refused] == [(503, "STORE_UNAVAILABLE")] * 2
    assert (await other.call("GET", "/v2/orders", headers=headers)).status == 200
    assert (await other.orders(ended)).code == "CUSTOMER_TOKEN_INVALID"
    assert (await other.log_out(token)).code == "STORE_UNAVAILABLE"
    assert (await other.orders(token)).status == 200
    for served in (one, other):
        await shown(served, "gateway_revocations_channel_up 0.0", "gateway_store_up 0.0")
    await asyncio.to_thread(heal, frail)
    for served in (one, other):
        async with asyncio.timeout(BACK):
            while (answer := await served.login(EMAIL, PASSWORD)).status == 503:
                pass
        assert answer.status == 201
        assert (await served.ask("/ready")).json()["conditions"]["store"] is True
        await shown(served, "gateway_revocations_channel_up 1.0", "gateway_store_up 1.0")
    assert (await other.orders(ended)).code == "CUSTOMER_TOKEN_INVALID"
    assert (await other.log_out(token)).status == 204
    async with asyncio.timeout(2):
        while (await one.orders(token)).status == 200:
            pass
    await one_limit(replicas)


async def one_limit(replicas: tuple[Served, Served]) -> None:
    """Guess at an account until that is throttled, which the third of as many guesses as here would not be."""
    guesses = 0
    while not any([THROTTLED in (await served.ask("/metrics")).body for served in replicas]):
        assert guesses < 2 * GUESSES
        answer = await replicas[guesses % 2].login("guessed@pawnee.example", "canary-wrong")
        assert answer.code == "LOGIN_FAILED"
        guesses += 1


async def test_a_log_out_counts_on_all_replicas(replicas: tuple[Served, Served]) -> None:
    """On every worker, whichever heard of it, at once as a rule; nobody waits for a restart or a second log-out."""
    one, other = replicas
    registered = await one.register(EMAIL, PASSWORD, NAME)
    assert registered is not None
    for _ in range(10):
        token = (await one.login(EMAIL, PASSWORD)).json()["data"]["token"]
        assert [(await served.orders(token)).status for served in (one, other)] == [200, 200]
        assert (await other.log_out(token)).status == 204
        assert (await other.orders(token)).code == "CUSTOMER_TOKEN_INVALID"
        async with asyncio.timeout(2):
            refused = 0
            # Each request is another connection, and so mostly another worker.
            while refused < 6:
                refused = refused + 1 if (await one.orders(token)).status == 403 else 0


async def test_a_second_start_finds_its_store(
    replicas: tuple[Served, Served], frail: Server, environ: dict[str, str]
) -> None:
    """A replica that starts again after one was killed serves who registered before."""
    one, other = replicas
    registered = await one.register(EMAIL, PASSWORD, NAME)
    assert registered is not None
    await other.kill()
    found = await ask(frail.url(), "SELECT max(datname) FROM pg_database WHERE datname LIKE 'store_%'")
    async with serving({**environ, "GATEWAY_STORE_URL": frail.url(found[0][0])}) as again:
        assert (await again.login(EMAIL, PASSWORD)).status == 201
