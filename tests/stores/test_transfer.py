"""Copies to PostgreSQL and backups: whole, of one moment, and never over what is there."""

import asyncio
import sqlite3
import stat
from pathlib import Path
from urllib.parse import quote

import pytest

from gateway.stores import Registration, StoreUnavailable, open_store, upgrade
from gateway.stores.transfer import backup, copy, count
from tests.postgres import Server, ask, new_database

ANN = Registration("a" * 32, "ann@shop.test", "Ann \0 \\ ünïcödé", "hash-1", 1_700_000_000.25, None)
CUSTOMERS = [f"customer-{number}" for number in range(12_000)]


@pytest.fixture
def source(tmp_path: Path) -> str:
    """URL of an SQLite store with customers, a registration under way and an e-mail."""
    url = f"sqlite:///{tmp_path}/store.db"
    upgrade(url)
    with sqlite3.connect(tmp_path / "store.db") as file:
        file.executemany("INSERT INTO credentials VALUES (?, 'hash', CURRENT_TIMESTAMP)", [(one,) for one in CUSTOMERS])
    file.close()
    change(url, "kept")
    return url


@pytest.fixture
def target(server: Server) -> str:
    """URL of an empty database."""
    return asyncio.run(new_database(server))


def change(url: str, hashed: str) -> None:
    """Work with a store as a gateway does."""

    async def work() -> None:
        store = open_store(url)
        await store.open()
        await store.set_password("ann", hashed)
        await store.begin(ANN)
        await store.remember("bob@shop.test", "customer-1")
        await store.keep_reset("ann", "token", "ann@shop.test", 1e10)
        await store.close()

    asyncio.run(work())


async def test_everything_is_there(source: str, target: str) -> None:
    """Every password, registration and e-mail comes back from the copy as it was, and so does the time of a change."""
    counts = await asyncio.to_thread(copy, source, target)
    assert counts == {
        "credentials": 12_001,
        "customers": 1,
        "emails": 1,
        "log_outs": 1,
        "password_resets": 1,
        "registrations": 1,
    }
    assert await asyncio.to_thread(count, source) == await asyncio.to_thread(count, target) == counts
    store = open_store(target)
    await store.open()
    assert await store.with_password([*CUSTOMERS, "nobody"]) == {*CUSTOMERS}
    assert await store.password_hash("ann") == "kept"
    assert await store.pending(ANN.email) == ANN
    assert await store.known("bob@shop.test") == "customer-1"
    assert await store.spend_reset("token", 1.0, "hash")
    await store.close()
    assert await ask(target, "SELECT 1 FROM credentials WHERE abs(extract(epoch FROM now() - updated_at)) > 600") == []


def test_a_copy_may_be_repeated(source: str, target: str) -> None:
    """Until a gateway has worked with it, it becomes what the source is by now: what went is gone there too."""
    copy(source, target)
    with sqlite3.connect(source.removeprefix("sqlite:///")) as file:
        file.execute("DELETE FROM credentials WHERE customer_id = 'customer-7'")
        file.execute("DELETE FROM registrations")
        file.execute("UPDATE credentials SET password_hash = 'new' WHERE customer_id = 'ann'")
    file.close()
    now = {
        "credentials": 12_000,
        "customers": 1,
        "emails": 1,
        "log_outs": 1,
        "password_resets": 1,
        "registrations": 0,
    }
    assert copy(source, target) == copy(source, target) == now
    found = asyncio.run(ask(target, "SELECT password_hash FROM credentials WHERE customer_id IN ('ann', 'customer-7')"))
    assert found == [("new",)]


@pytest.mark.parametrize("is_first", [True, False], ids=["never copied to", "copied to"])
def test_what_a_gateway_kept_there_is_not_touched(source: str, target: str, *, is_first: bool) -> None:
    """A target that holds anything that no copy brought is refused, and nothing of it changes."""
    upgrade(target)
    if not is_first:
        copy(source, target)
    change(target, "of the gateway")
    before = count(target)
    with pytest.raises(StoreUnavailable, match="the target holds what no copy brought there"):
        copy(source, target)
    assert count(target) == before
    found = asyncio.run(ask(target, "SELECT password_hash FROM credentials WHERE customer_id = 'ann'"))
    assert found == [("of the gateway",)]


def test_attempts_are_nothing_that_a_store_holds(source: str, target: str, tmp_path: Path) -> None:
    """What was counted of logins stands in no copy's way, and goes into no backup."""
    upgrade(target)
    attempts = "INSERT INTO login_attempts VALUES ('\\x00', 9e15)", "INSERT INTO login_places VALUES ('\\x00', 9e15)"
    for statement in attempts:
        asyncio.run(ask(target, statement))
    counts = copy(source, target)
    assert counts == count(target) == backup(target, tmp_path / "copy.db")
    assert asyncio.run(ask(target, "SELECT until FROM login_attempts NATURAL JOIN login_places")) == [(9 * 10**15,)]
    with sqlite3.connect(tmp_path / "copy.db") as file:
        assert file.execute("SELECT * FROM login_attempts NATURAL JOIN login_places").fetchall() == []
    file.close()


def test_a_copy_that_fails_changes_nothing(source: str, target: str) -> None:
    """It is one transaction: where a row cannot be kept the target is as it was, and so is the source."""
    upgrade(target)
    asyncio.run(ask(target, "ALTER TABLE registrations ADD CONSTRAINT none CHECK (email = '')"))
    before = count(source)
    with pytest.raises(StoreUnavailable):
        copy(source, target)
    assert {*count(target).values()} == {0}
    assert count(source) == before


def test_a_source_that_cannot_be_read_is_named(source: str, target: str, tmp_path: Path) -> None:
    """What fails is said of the store that fails, and the target is as it was."""
    upgrade(target)
    with sqlite3.connect(tmp_path / "store.db") as file:
        file.execute("ALTER TABLE emails RENAME COLUMN customer_id TO another")
    file.close()
    with pytest.raises(StoreUnavailable, match=r"^SQLite: "):
        copy(source, target)
    assert set(count(target).values()) == {0}


def test_only_sqlite_is_copied_and_only_to_postgresql(source: str, target: str) -> None:
    """The other ways round are no copies of this kind; a file that is not there is not made."""
    for one, other in ((target, source), (source, source), (target, target)):
        with pytest.raises(ValueError, match="a copy goes from"):
            copy(one, other)
    with pytest.raises(StoreUnavailable, match="there is no file yet"):
        copy(source.replace("store.db", "none.db"), target)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_backup_is_a_store(server: Server, tmp_path: Path, kind: str) -> None:
    """Whatever it was made of: with every row, for its owner only, and good to be opened and to be copied from."""
    url = f"sqlite:///{tmp_path}/store.db" if kind == "sqlite" else asyncio.run(new_database(server))
    upgrade(url)
    change(url, "kept")
    file = tmp_path / "ba%20ck?up.db"
    held = dict.fromkeys(("credentials", "customers", "emails", "log_outs", "password_resets", "registrations"), 1)
    assert backup(url, file) == count(url) == held
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir() if "new-" in path.name) == []
    made = f"sqlite:///{quote(str(file))}"
    upgrade(made, may_migrate=False)

    async def look() -> None:
        first, second = open_store(url), open_store(made)
        await first.open()
        await second.open()
        assert await second.credential("ann") == await first.credential("ann")
        assert await second.pending(ANN.email) == ANN
        assert (await second.news(0, 10)).log_outs == (await first.news(0, 10)).log_outs
        await first.close()
        await second.close()

    asyncio.run(look())
    target = asyncio.run(new_database(server))
    assert copy(made, target) == held


def test_a_backup_is_of_one_moment(tmp_path: Path) -> None:
    """A gateway that writes meanwhile is not held up, and what it writes is in it whole or not at all."""
    url = f"sqlite:///{tmp_path}/store.db"
    upgrade(url)

    async def work() -> None:
        store = open_store(url)
        await store.open()
        going = asyncio.ensure_future(asyncio.to_thread(lambda: [backup(url, tmp_path / f"{n}.db") for n in range(5)]))
        number = 0
        while not going.done():
            number += 1
            await store.set_password(f"customer-{number}", "hash")
        await store.close()
        for counts in await going:
            assert counts["credentials"] == counts["customers"] == counts["log_outs"] <= number

    asyncio.run(work())


def test_a_backup_takes_no_files_place(tmp_path: Path) -> None:
    """Nor is anything left of one that fails."""
    url = f"sqlite:///{tmp_path}/store.db"
    upgrade(url)
    change(url, "kept")
    for file in (tmp_path / "store.db", tmp_path / "none" / "backup.db"):
        with pytest.raises(StoreUnavailable):
            backup(url, file)
    (tmp_path / "store.db").chmod(0o600)
    assert count(url)["credentials"] == 1
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("store.db")] == []
