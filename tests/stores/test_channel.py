"""The channel of log-outs with a real server: heard at once, and known to be dead when it is."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from gateway.stores import CredentialStore, StoreUnavailable, open_store, upgrade
from gateway.stores.location import sqlite_path
from tests.postgres import Makes, Server, new_database
from tests.stores.relay import relayed

# Two beats of the channel, and some time for a busy machine.
SOON = 6.0


@pytest.fixture
def url(database: str) -> str:
    """URL of a store in PostgreSQL, for all that takes one of any kind."""
    return database


class Ear:
    """Listens to a store, and counts what it hears."""

    def __init__(self, store: CredentialStore) -> None:
        self.count = 0
        self._stirred = asyncio.Event()
        self.task = asyncio.ensure_future(store.listen(self._hear))

    def _hear(self) -> None:
        self.count += 1
        self._stirred.set()

    async def heard(self, count: int) -> None:
        """Wait until so much was heard."""
        async with asyncio.timeout(SOON):
            while self.count < count:
                await self._stirred.wait()
                self._stirred.clear()

    async def ends(self) -> str:
        """Wait until it hears no more, and return why."""
        async with asyncio.timeout(SOON):
            with pytest.raises(StoreUnavailable) as caught:
                await self.task
        return str(caught.value)


@asynccontextmanager
async def listening(store: CredentialStore) -> AsyncIterator[Ear]:
    """Listen to a store, once there is a channel."""
    ear = Ear(store)
    try:
        await ear.heard(1)
        yield ear
    finally:
        ear.task.cancel()
        with suppress(asyncio.CancelledError, StoreUnavailable):
            await ear.task


async def test_every_log_out_is_told(store: CredentialStore, url: str) -> None:
    """Of whatever kind, by whichever store on the database, as soon as it is on the disk; nothing else is."""
    other = open_store(url)
    await other.open()
    async with listening(store) as ear:
        for number, write in enumerate(
            (
                other.log_out("ann"),
                other.log_out_session(77),
                other.log_out_everybody(),
                other.block("ann"),
                other.set_password("ann", "hash-1"),
                other.forget("ann"),
                store.log_out("bob"),
            )
        ):
            await write
            await ear.heard(2 + number)
        await other.rehash("ann", "hash-1", "hash-2")
        await other.unblock("ann")
        await other.take_numbers(10)
        # Longer than a beat, which is no news.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await asyncio.shield(ear.task)
        assert ear.count == 8
    await other.close()


async def test_a_log_out_is_told_within_milliseconds(store: CredentialStore, url: str) -> None:
    """Of a hundred none waits for a beat."""
    other = open_store(url)
    await other.open()
    async with listening(store) as ear:
        times = []
        for number in range(100):
            await other.log_out_session(number + 1)
            start = time.monotonic()
            await ear.heard(2 + number)
            times.append(time.monotonic() - start)
    assert sorted(times)[98] < 0.05
    await other.close()


async def test_a_server_that_is_killed_ends_it(makes: Makes) -> None:
    """At once, and what listens again when it is back hears."""
    server = makes.server()
    made = await new_database(server)
    await asyncio.to_thread(upgrade, made)
    store = open_store(made)
    await store.open()
    async with listening(store) as ear:
        start = time.monotonic()
        await asyncio.to_thread(server.kill)
        assert "PostgreSQL: " in await ear.ends()
        assert time.monotonic() - start < 2
    with pytest.raises(StoreUnavailable):
        await store.listen(lambda: None)
    await asyncio.to_thread(server.start)
    async with listening(store) as ear:
        await store.log_out("ann")
        await ear.heard(2)
    await store.close()
    server.close()


async def test_a_server_that_stands_still_ends_it(makes: Makes) -> None:
    """Though the connection looks well: nothing comes back of what the channel is told of its own."""
    server = makes.server()
    made = await new_database(server)
    await asyncio.to_thread(upgrade, made)
    store = open_store(made)
    await store.open()
    async with listening(store) as ear:
        server.freeze()
        assert await ear.ends() == "PostgreSQL: the channel of log-outs is dead"
        # Nor does it wait for a new one.
        with pytest.raises(StoreUnavailable):
            async with asyncio.timeout(SOON):
                await store.listen(lambda: None)
        server.thaw()
    async with listening(store) as ear:
        await store.log_out("ann")
        await ear.heard(2)
    await store.close()
    server.close()


async def test_a_pooler_that_swallows_news_ends_it(url: str, server: Server) -> None:
    """Statements are answered, and nothing that was listened for ever comes."""
    async with relayed(server.port) as relay:
        relay.swallows = b"A"
        deaf = open_store(url.replace(str(server.port), str(relay.port)))
        ear = Ear(deaf)
        await ear.heard(1)
        assert await ear.ends() == "PostgreSQL: the channel of log-outs is dead"


async def test_while_nothing_happens_it_beats_every_two_seconds(url: str, server: Server) -> None:
    """However the server orders its words: nobody pays for a channel that has nothing to say."""
    async with relayed(server.port) as relay:
        store = open_store(url.replace(str(server.port), str(relay.port)))
        async with listening(store):
            before = relay.trips
            # This is the time in question: a beat and a half.
            await asyncio.sleep(3)
            # A beat is a word of the client's and the server's answer.
            assert 1 <= relay.trips - before <= 8


async def test_it_has_a_url_of_its_own(url: str, server: Server) -> None:
    """Behind a pooler the store's statements go through it, and the channel to the server."""
    async with relayed(server.port) as relay:
        relay.swallows = b"A"
        store = open_store(url.replace(str(server.port), str(relay.port)), notify_url=url)
        await store.open()
        async with listening(store) as ear:
            await store.log_out("ann")
            await ear.heard(2)
            assert ear.count == 2
        assert relay.connections
        await store.close()


async def test_a_file_tells_nobody(tmp_path: object) -> None:
    """Listening to one ends at once, and is no failure."""
    made = f"sqlite:///{tmp_path}/store.db"
    await asyncio.to_thread(upgrade, made)
    assert sqlite_path(made).exists()
    store = open_store(made)
    await store.listen(lambda: None)
