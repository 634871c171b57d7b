"""Attempts that replicas count together in PostgreSQL: one limit for all, by the server's clock, in a bounded table."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256

import pytest

from gateway.stores import CredentialStore, StoreUnavailable, open_store
from gateway.stores.ports import Attempt, Count, Quota
from gateway.stores.sql_postgres import PostgresCredentialStore
from tests.postgres import Server, ask
from tests.stores.relay import relayed

HOUR = 3_600_000_000
SECOND = 1_000_000
PATIENCE = 20.0
DONE = Count(0, 0, is_known=False)
ROWS = "SELECT count(*) FROM login_attempts"
# The clock of the server that was ahead, and has been set back.
AHEAD = "UPDATE login_attempts SET until = until + $1"


def key(text: str) -> bytes:
    """Return the key of a bucket; of none for none."""
    return sha256(text.encode()).digest() if text else b""


def attempt(account: str, address: str = "", at_once: int = 3, interval: int = HOUR, place: str = "") -> Attempt:
    """Make an attempt; where nothing else is said its place is nobody's."""
    quota = Quota(key(account), interval, interval * at_once)
    return Attempt(quota._replace(key=key(address)), quota, key(place or f"{account} at {address}"))


@pytest.fixture
async def stores(database: str) -> AsyncIterator[Sequence[CredentialStore]]:
    """Three stores that know nothing of each other, as replicas have them."""
    # What is to be seen here is no speed, and a busy machine may take longer than a login would wait.
    opened = [PostgresCredentialStore(database, count_seconds=PATIENCE) for _ in range(3)]
    for store in opened:
        await store.open()
        # All connections of its pool, which a busy machine may take its time to make.
        await asyncio.gather(*(store.ping() for _ in range(4)))
    yield opened
    for store in opened:
        await store.close()


async def passed(stores: Sequence[CredentialStore], attempts: list[Attempt]) -> int:
    """Count attempts in turns, a dozen at once, and return how many may be looked at."""
    turns = [*zip(itertools.cycle(stores), attempts, strict=False)]
    found: list[Count | None] = []
    # No more than there are connections, or a busy machine answers too late.
    for start in range(0, len(turns), 12):
        found += await asyncio.gather(*(store.count(one) for store, one in turns[start : start + 12]))
    return sum(one is not None and not (one.by_address or one.by_account) for one in found)


async def test_replicas_share_one_limit(stores: Sequence[CredentialStore]) -> None:
    """Of many attempts at once over all of them as many pass as one alone would let pass, for account and address."""
    accounts = [attempt("ann", f"192.0.2.{number}") for number in range(12)]
    assert await passed(stores, accounts) == 3
    assert await passed(stores, [attempt(f"account {number}", "here") for number in range(12)]) == 3
    assert await passed(stores, [attempt("bob") for _ in range(12)]) == 3


async def test_what_is_refused_says_how_long_to_wait(stores: Sequence[CredentialStore]) -> None:
    """By the address first, which then costs the account nothing; an account that is used up costs its address."""
    one, other, _ = stores
    for _ in range(3):
        assert await one.count(attempt("ann", "here")) == DONE
    count = await other.count(attempt("bob", "here"))
    assert count is not None
    assert HOUR - 60 * SECOND < count.by_address <= HOUR
    assert await passed(stores, [attempt("bob", "there") for _ in range(6)]) == 3
    for _ in range(3):
        count = await other.count(attempt("ann", "elsewhere"))
        assert count is not None
        assert (count.by_address, count.is_known) == (0, False)
        assert HOUR - 60 * SECOND < count.by_account <= HOUR
    count = await other.count(attempt("cy", "elsewhere"))
    assert count is not None
    assert count.by_address > 0


async def test_attempts_come_back_with_the_servers_time(stores: Sequence[CredentialStore]) -> None:
    """One by one, whoever asks; the clocks of replicas are not asked."""
    one, other, _ = stores
    quick = attempt("ann", at_once=1, interval=SECOND // 2)
    assert await one.count(quick) == DONE
    refused = await other.count(quick)
    assert refused is not None
    assert 0 < refused.by_account <= SECOND // 2
    async with asyncio.timeout(5):
        while await other.count(quick) != DONE:
            pass
    assert await one.count(quick) != DONE


async def test_what_is_given_back_is_there_again(stores: Sequence[CredentialStore]) -> None:
    """On both, for everybody; what nobody has counted gives nobody more."""
    one, other, third = stores
    tried, unknown = attempt("ann", "here"), attempt("nobody", "nowhere")
    for _ in range(5):
        assert await other.count(tried) == DONE
        await one.give_back(tried, is_right=False)
    assert await passed(stores, [tried] * 6) == 3
    await third.give_back(tried, is_right=False)
    assert await passed(stores, [tried] * 4) == 1
    await third.give_back(unknown, is_right=False)
    assert await passed(stores, [unknown] * 6) == 3


async def test_a_place_where_a_password_was_right_is_counted_apart(stores: Sequence[CredentialStore]) -> None:
    """For all of them: guesses from elsewhere, through any, lock nobody out there; guesses from there do."""
    one, other, third = stores
    home = attempt("ann", "home", at_once=4)
    assert await one.count(home) == DONE
    await one.give_back(home, is_right=True)
    assert await passed(stores, [attempt("ann", f"192.0.2.{number}", at_once=4) for number in range(9)]) == 4
    for store in (other, third, one):
        assert await store.count(home) == Count(0, 0, is_known=True)
        # What was counted for the place is the place's.
        await store.give_back(home._replace(account=home.account._replace(key=home.place)), is_right=True)
    assert await passed(stores, [home] * 9) == 4


async def test_a_clock_that_was_ahead_locks_nobody_out(stores: Sequence[CredentialStore], database: str) -> None:
    """A time that no attempt can have come to is none; a second or two, as a fail-over may bring, are waited for."""
    tried = attempt("ann", interval=SECOND * 60)
    assert await passed(stores, [tried] * 3) == 3
    await ask(database, AHEAD, 2 * SECOND)
    assert await passed(stores, [tried]) == 0
    await ask(database, AHEAD, HOUR)
    assert await passed(stores, [tried] * 4) == 3


async def test_what_is_full_again_is_swept(stores: Sequence[CredentialStore], database: str) -> None:
    """Nothing else is: what is still counted stays, and so do places."""
    await stores[0].give_back(attempt("ann", "home"), is_right=True)
    await passed(stores, [attempt(f"{number}", f"from {number}", interval=1) for number in range(100)])
    assert await passed(stores, [attempt("ann", "here")] * 3) == 3
    assert await ask(database, ROWS) == [(202,)]
    await asyncio.gather(*(store.sweep() for store in stores))
    assert await ask(database, ROWS) == [(2,)]
    assert await passed(stores, [attempt("ann", "here")]) == 0
    count = await stores[1].count(attempt("ann", "home"))
    assert count is not None
    assert count.is_known


async def test_a_flood_of_names_does_not_grow_the_table(stores: Sequence[CredentialStore], database: str) -> None:
    """It is swept down to its bound, and the account that is guessed at stays counted, for its is full last."""
    assert await passed(stores, [attempt("ann")] * 3) == 3
    made = "SELECT sha256(number::text::bytea), 9e15::bigint - number FROM generate_series(1, 12000) AS number"
    await ask(database, f"INSERT INTO login_places {made}")
    now = "extract(epoch FROM now()) * 1000000"
    flood = f"SELECT key, (2 * {HOUR}::bigint + {now})::bigint FROM login_places"  # noqa: S608 - as above
    await ask(database, f"INSERT INTO login_attempts {flood}")
    await asyncio.gather(*(store.sweep(100) for store in stores))
    assert await ask(database, "SELECT count(*) FROM login_attempts") == [(1,)]
    assert await ask(database, "SELECT count(*) FROM login_places") == [(100,)]
    assert await passed(stores, [attempt("ann")]) == 0


async def test_a_sweep_leaves_what_somebody_has_in_hand(stores: Sequence[CredentialStore]) -> None:
    """Attempts and sweeps at once wait for nobody, and no attempt is counted less for it."""

    async def sweep() -> None:
        for _ in range(20):
            await stores[2].sweep(2)

    quick = [attempt(f"{number % 5}", f"from {number % 3}", 1, 1) for number in range(300)]
    async with asyncio.TaskGroup() as group:
        group.create_task(sweep())
        await passed(stores[:2], quick)


async def test_it_is_one_round_trip(server: Server, database: str) -> None:
    """Once a connection is warm: to count an attempt against both, and to give it back."""
    async with relayed(server.port) as relay:
        store = open_store(database.replace(str(server.port), str(relay.port)))
        await store.open()
        tried = attempt("ann", "here")
        for _ in range(2):
            await store.count(tried)
            await store.give_back(tried, is_right=True)
        before = relay.trips
        await store.count(tried)
        assert relay.trips - before == 1
        await store.give_back(tried, is_right=True)
        assert relay.trips - before == 2
        await store.close()


async def test_a_row_that_is_held_is_waited_for_half_a_second(stores: Sequence[CredentialStore], database: str) -> None:
    """Whoever cannot be told in time is told that the store cannot, and nothing of the rest waits for it."""
    import asyncpg  # noqa: PLC0415 - as in tests/postgres.py

    await stores[0].count(attempt("ann"))
    impatient = open_store(database)
    await impatient.open()
    holder = await asyncpg.connect(database)
    try:
        async with holder.transaction():
            await holder.execute("UPDATE login_attempts SET until = until")
            async with asyncio.timeout(1.5):
                with pytest.raises(StoreUnavailable, match=r"no answer within 0\.5 s"):
                    await impatient.count(attempt("ann"))
            assert await stores[0].count(attempt("bob")) == DONE
    finally:
        await holder.close()
        await impatient.close()
    assert await stores[0].count(attempt("ann")) == DONE
