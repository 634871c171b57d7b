"""What is special to PostgreSQL behind the store: servers that stop, die, stand still, move; TLS, passwords."""

import asyncio
import itertools
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gateway.stores import CredentialStore, Registration, StoreUnavailable, open_store, upgrade
from gateway.stores.ports import Attempt, Count, Quota
from tests.carrying.certificates import Authority
from tests.postgres import Makes, Server, ask, new_database
from tests.stores.relay import relayed

OURS = (
    "SELECT pid FROM pg_stat_activity"
    " WHERE application_name = 'customer-token-gateway' AND datname = current_database()"
)
# What a caller may wait while a server stands still, and what it may take until it is used again; seconds.
NOTICED = 2.0
BACK = 5.0
ANN = Registration(id="a" * 32, email="ann@shop.test", name="Ann", password_hash="hash-1", started_at=1_700_000_000.25)


@pytest.fixture(scope="module")
def frail(makes: Makes) -> Server:
    """Give a server that tests do harm to; each leaves it running."""
    return makes.server()


@pytest.fixture
def running(frail: Server) -> Iterator[Server]:
    """Give the same, and have it running afterwards."""
    yield frail
    if not frail.is_running:
        frail.start()
    frail.thaw()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[CredentialStore]:
    """Open a store with its tables."""
    await asyncio.to_thread(upgrade, url)
    store = open_store(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def until_refused(store: CredentialStore) -> None:
    """Write until a server says that it takes no writes any more; it may still be reading its settings."""
    while True:
        await store.set_password("ann", "of the first")


async def back(store: CredentialStore) -> float:
    """Use the store until it can be used, and return the seconds it took."""
    begun = time.monotonic()
    while True:
        try:
            await store.ping()
        except StoreUnavailable:
            assert time.monotonic() - begun < BACK
            await asyncio.sleep(0.05)
        else:
            return time.monotonic() - begun


async def test_a_server_that_stands_still_is_noticed(running: Server) -> None:
    """Every caller has its answer within two seconds, of reads and writes alike, and the store is back at once."""
    async with opened(await new_database(running)) as store:
        await store.set_password("ann", "hash-1")
        running.freeze()
        begun = time.monotonic()
        calls = (store.password_hash("ann"), store.set_password("ann", "hash-2"), store.ping(), store.standing("x"))
        many = (store.password_hash(f"customer-{number}") for number in range(20))
        ends = await asyncio.gather(*calls, *many, return_exceptions=True)
        # Also of those that have to connect first, the pool having been emptied.
        again = await asyncio.gather(store.password_hash("ann"), return_exceptions=True)
        took = time.monotonic() - begun
        running.thaw()
        assert {str(end) for end in (*ends, *again)} == {"PostgreSQL: no answer within 1.8 s"}
        assert took < 2 * NOTICED
        await back(store)
        assert await store.password_hash("ann") == "hash-1"


async def test_a_task_that_counts_waits_once_for_all_that_it_asks(running: Server) -> None:
    """A login or registration has its answer as soon as any other call, though the count has waited already."""
    tried = Attempt(Quota(b"", 1, 1), Quota(b"account", 1, 1), b"place")

    async def log_in(store: CredentialStore) -> list[str]:
        calls = (
            partial(store.count, tried),
            partial(store.standing, "x"),
            partial(store.set_password, "ann", "hash-2"),
            partial(store.give_back, tried, is_right=True),
        )
        said = []
        for call in calls:
            with pytest.raises(StoreUnavailable) as error:
                await call()
            said.append(str(error.value).removeprefix("PostgreSQL: no answer within "))
        return said

    async with opened(await new_database(running)) as store:
        await store.set_password("ann", "hash-1")
        running.freeze()
        ends = await asyncio.gather(log_in(store), store.password_hash("ann"), return_exceptions=True)
        running.thaw()
        assert ends[0] == ["0.5 s", "1.3 s", "0.1 s", "0.1 s"]
        assert str(ends[1]) == "PostgreSQL: no answer within 1.8 s"
        await back(store)
        # Who heard of the server again waits for it as ever.
        assert await store.count(tried) == Count(0, 0, is_known=False)
        running.freeze()
        with pytest.raises(StoreUnavailable, match=r"within 1\.8 s"):
            await store.standing("x")
        running.thaw()


async def test_who_is_cancelled_leaves_nobody_the_answer(running: Server) -> None:
    """The connection on which it is still to come is not used again, and no other is given up for it."""
    import asyncpg  # noqa: PLC0415 - as in tests/postgres.py

    url = await new_database(running)
    holder = await asyncpg.connect(url)
    names = ["ann", "bob", "cy", "dee"]
    async with opened(url) as store:
        await asyncio.gather(*(store.set_password(name, f"hash of {name}") for name in names))
        before = {*await ask(url, OURS)}
        async with holder.transaction():
            await holder.execute("LOCK TABLE credentials")
            asking = asyncio.ensure_future(store.password_hash("ann"))
            while not await ask(url, f"{OURS} AND wait_event_type = 'Lock'"):  # noqa: ASYNC110 - it is the server that is waited for
                await asyncio.sleep(0.01)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        assert await asyncio.gather(*map(store.password_hash, names * 4)) == [f"hash of {name}" for name in names * 4]
        assert len(before & {*await ask(url, OURS)}) >= len(before) - 1 > 1
    await holder.close()


@pytest.mark.parametrize("harm", [Server.stop, Server.kill], ids=["stopped", "killed"])
async def test_nothing_acknowledged_is_lost_with_the_server(running: Server, harm: Callable[[Server], None]) -> None:
    """Under load: what was answered before is there afterwards; what failed said so; the store is back by itself."""
    async with opened(await new_database(running)) as store:
        told: list[str] = []
        harmed = asyncio.Event()

        async def work(name: str) -> None:
            for number in itertools.count():
                try:
                    await store.set_password(f"{name}-{number}", "hash")
                except StoreUnavailable:
                    # A machine that is busy may fail a call before, too.
                    if harmed.is_set():
                        return
                else:
                    told.append(f"{name}-{number}")

        working = asyncio.gather(*(work(f"worker-{number}") for number in range(8)))
        while len(told) < 100:  # noqa: ASYNC110 - what is waited for is the work of the others
            await asyncio.sleep(0.01)
        harmed.set()
        await asyncio.to_thread(harm, running)
        await working
        with pytest.raises(StoreUnavailable, match=r"^PostgreSQL: "):
            await store.ping()
        await asyncio.to_thread(running.start)
        await back(store)
        assert await store.with_password(told) == {*told}


async def test_a_server_that_was_restarted_is_used_again_without_a_failure(running: Server) -> None:
    """The connections that it closed are known to be closed: no customer is refused to find that out."""
    async with opened(await new_database(running)) as store:
        await asyncio.gather(*(store.set_password(f"customer-{number}", "hash") for number in range(10)))
        await asyncio.to_thread(running.stop)
        await asyncio.to_thread(running.start)
        assert (
            await asyncio.gather(*(store.password_hash(f"customer-{number}") for number in range(10))) == ["hash"] * 10
        )


async def test_the_next_host_is_used_where_one_stands_still_or_takes_no_writes(server: Server, running: Server) -> None:
    """At the start as well as after a fail-over, which makes a standby of the server that the connections lead to."""
    name = (await new_database(server)).rpartition("/")[2]
    await ask(running.url(), f"CREATE DATABASE {name}")
    url = f"postgresql://postgres@127.0.0.1:{running.port},127.0.0.1:{server.port}/{name}"
    await asyncio.to_thread(upgrade, server.url(name))
    async with opened(url) as store:
        await store.set_password("ann", "of the first")
        # As `pg_ctl promote` elsewhere leaves it: it answers, and refuses to write, at once for those connected.
        await ask(running.url(), "ALTER SYSTEM SET default_transaction_read_only = on")
        await ask(running.url(), "SELECT pg_reload_conf()")
        with pytest.raises(StoreUnavailable, match="cannot execute INSERT in a read-only transaction"):
            await until_refused(store)
        assert await back(store) < BACK
        await store.set_password("ann", "of the second")
        assert await store.password_hash("ann") == "of the second"
    running.freeze()
    begun = time.monotonic()
    store = open_store(url)
    await store.open()
    assert time.monotonic() - begun < NOTICED
    assert await store.password_hash("ann") == "of the second"
    await store.close()
    running.thaw()
    await ask(running.url(), "ALTER SYSTEM RESET default_transaction_read_only")
    await ask(running.url(), "SELECT pg_reload_conf()")


async def test_a_statement_behind_a_lock_ends_here_and_there(server: Server) -> None:
    """Who waits for a row is told in time, and nothing of it is done when the lock comes free."""
    url = await new_database(server)
    async with opened(url) as store:
        await store.set_password("ann", "hash-1")
        locker = asyncio.ensure_future(
            ask(url, "WITH held AS (SELECT * FROM credentials FOR UPDATE) SELECT pg_sleep(4) FROM held")
        )
        while not await ask(  # noqa: ASYNC110 - what is waited for is another process
            url, "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'WITH held%' AND wait_event = 'PgSleep'"
        ):
            await asyncio.sleep(0.01)
        with pytest.raises(StoreUnavailable):
            await store.set_password("ann", "hash-2")
        await locker
        assert await store.password_hash("ann") == "hash-1"


async def test_one_of_two_replicas_gets_an_email(server: Server) -> None:
    """Registrations begun at once with one e-mail, by stores that know nothing of each other: one is kept."""
    url = await new_database(server)
    async with opened(url) as one, opened(url) as other:
        for turn in range(10):
            mail = f"ann-{turn}@shop.test"
            rivals = [replace(ANN, id=f"{turn}{number:031x}", email=mail) for number in range(8)]
            stores = (one, other) * 4
            won = await asyncio.gather(*(store.begin(rival) for store, rival in zip(stores, rivals, strict=True)))
            assert won.count(True) == 1
            assert await one.pending(mail) == await other.pending(mail) == rivals[won.index(True)]


async def test_what_a_login_looks_up_is_two_round_trips(server: Server) -> None:
    """Once a connection is warm: for what is known of the e-mail, and for the account; its attempt counts besides."""
    url = await new_database(server)
    await asyncio.to_thread(upgrade, url)
    async with relayed(server.port) as relay, opened(url.replace(str(server.port), str(relay.port))) as store:
        await store.set_password("customer-1", "hash-1")
        for _ in range(2):
            await store.standing(ANN.email)
            await store.credential("customer-1")
        before = relay.trips
        await store.standing(ANN.email)
        await store.credential("customer-1")
        assert relay.trips - before == 2


async def test_only_a_server_that_proves_who_it_is_is_spoken_to(server: Server, tmp_path: Path) -> None:
    """By a certificate for the host of the URL, by an authority that is trusted; without TLS nothing is sent to it."""
    authority = Authority.new(tmp_path)
    (tmp_path / "other").mkdir()
    name = (await new_database(server)).rpartition("/")[2]
    await asyncio.to_thread(upgrade, server.url(name))

    async def attempt(port: int, root: Path | None = authority.file) -> str:
        options = f"sslmode=verify-full{f'&sslrootcert={root}' if root else ''}"
        store = open_store(f"postgresql://postgres@localhost:{port}/{name}?{options}")
        try:
            await store.open()
            await store.close()
        except StoreUnavailable as error:
            return str(error)
        return "good"

    async with relayed(server.port, authority.context("localhost")) as relay:
        assert await attempt(relay.port) == "good"
        assert "the server's certificate is not good: unable to get" in await attempt(relay.port, None)
        assert "not good: " in await attempt(relay.port, Authority.new(tmp_path / "other").file)
    async with relayed(server.port, authority.context("another.test")) as relay:
        assert "not good: Hostname mismatch" in await attempt(relay.port)
    assert "the server has no TLS; sslmode=disable does without" in await attempt(server.port)


async def test_a_password_that_was_changed_is_read_again(makes: Makes, tmp_path: Path) -> None:
    """A file with the password alone is read for each connection: a new password needs no restart."""
    guarded = makes.server()
    await ask(guarded.url(), "CREATE ROLE shop LOGIN SUPERUSER PASSWORD 'first'")
    guarded.ask_for_passwords()
    file = tmp_path / "password"
    file.write_text("first\n")
    async with opened(guarded.url(user="shop", options=f"?password_file={file}")) as store:
        await store.set_password("ann", "hash-1")
        admin = guarded.url(user="shop:first")
        await ask(admin, "ALTER ROLE shop PASSWORD 'second'")
        file.write_text("second\n")
        await asyncio.to_thread(guarded.stop)
        await asyncio.to_thread(guarded.start)
        assert await store.password_hash("ann") == "hash-1"
        # What editors put around a text is no part of it.
        file.write_bytes(b"\xef\xbb\xbfsecond\r\n")
        async with opened(guarded.url(user="shop", options=f"?password_file={file}")) as another:
            assert await another.password_hash("ann") == "hash-1"
        file.write_bytes(b"\xff\xfecanary")
        binary = open_store(guarded.url(user="shop", options=f"?password_file={file}"))
        with pytest.raises(StoreUnavailable, match="the password file is no text in UTF-8"):
            await binary.open()
        file.write_text("wrong\n")
        wrong = open_store(guarded.url(user="shop", options=f"?password_file={file}"))
        with pytest.raises(StoreUnavailable, match='password authentication failed for user "shop"'):
            await wrong.open()
        missing = open_store(guarded.url(user="shop", options=f"?password_file={tmp_path}/canary"))
        with pytest.raises(StoreUnavailable) as caught:
            await missing.open()
        assert "canary" not in str(caught.value)
    guarded.close()


async def test_a_failure_names_no_values(server: Server) -> None:
    """Neither the reason of a failure nor its traceback carries an id, a hash or a detail that PostgreSQL quotes."""
    url = await new_database(server)
    async with opened(url) as store:
        await ask(url, "ALTER TABLE credentials ADD CONSTRAINT short CHECK (length(password_hash) < 5)")
        with pytest.raises(StoreUnavailable) as caught:
            # Spelled backwards, because a traceback quotes the lines of this test as well.
            await store.set_password("yranac"[::-1], "yranac"[::-1])
        with pytest.raises(StoreUnavailable) as refused:
            await store.set_password("ann", "\ud800" + "yranac"[::-1])
    assert str(refused.value) == "PostgreSQL: a value cannot be kept"
    assert "canary" not in "".join(traceback.format_exception(refused.value))
    assert str(caught.value).startswith('PostgreSQL: new row for relation "credentials" violates check constraint')
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_nobody_listens() -> None:
    """A server that is not there is one line, without the URL."""
    with pytest.raises(StoreUnavailable, match=r"^PostgreSQL: (Connect call failed|Connection refused|the connection)"):
        upgrade("postgresql://canary:canary@127.0.0.1:1/canary")
