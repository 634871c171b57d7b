"""What is special to the SQLite file behind the store: durability, locks, modes and faults."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from gateway.stores import CredentialStore, StoreUnavailable, check_url, open_store, upgrade
from gateway.stores.sqlite import BUSY_SECONDS, create_file

WRITER = """
import asyncio, sys
from gateway.stores import open_store

async def main():
    store = open_store(sys.argv[1])
    await store.open()
    for number in range(int(sys.argv[3])):
        await store.set_password(f"{sys.argv[2]}-{number}", "hash")
        print(number, flush=True)
    if sys.argv[4] == "hang":
        await asyncio.Event().wait()
    await store.close()

asyncio.run(main())
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    """URL of an empty file."""
    empty = f"sqlite:///{tmp_path}/store.db"
    upgrade(empty)
    return empty


async def start_writer(url: str, name: str, rows: int, end: str) -> asyncio.subprocess.Process:
    """Start another process that writes rows, and prints the number of each once it is acknowledged."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, url, name, str(rows), end, stdout=asyncio.subprocess.PIPE
    )


def list_modes(folder: Path) -> dict[str, int]:
    """Return the files in a folder with their permissions."""
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


@contextmanager
def umask(value: int) -> Iterator[None]:
    """Run under another umask."""
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def test_a_file_needs_nothing_of_postgresql(tmp_path: Path) -> None:
    """Who keeps the store in a file does not wait at each start for a driver that is not used."""
    script = WRITER.replace("asyncio.run(main())", "").replace(
        "import asyncio, sys", "import asyncio, sys, gateway.wiring"
    )
    script += "from gateway.stores import upgrade\nupgrade(sys.argv[1])\nasyncio.run(main())\n"
    script += "assert not {'asyncpg', 'sqlalchemy.dialects.postgresql'} & {*sys.modules}\n"
    subprocess.run([sys.executable, "-c", script, f"sqlite:///{tmp_path}/store.db", "row", "1", "close"], check=True)  # noqa: S603 - ours


async def test_acknowledged_write_survives_kill(url: str, store: CredentialStore) -> None:
    """A process killed right after its write was acknowledged has lost nothing."""
    writer = await start_writer(url, "row", 3, "hang")
    assert writer.stdout is not None
    for number in range(3):
        assert await writer.stdout.readline() == f"{number}\n".encode()
    writer.send_signal(signal.SIGKILL)
    assert await writer.wait() == -signal.SIGKILL
    assert await store.with_password(["row-0", "row-1", "row-2"]) == {"row-0", "row-1", "row-2"}


async def test_two_processes_write_at_once(url: str, store: CredentialStore) -> None:
    """Processes that write at once wait for each other: none fails and no row is lost."""
    writers = [await start_writer(url, name, 60, "close") for name in ("left", "right")]
    mine = [f"mine-{number}" for number in range(60)]
    await asyncio.gather(*(store.set_password(name, "hash") for name in mine))
    await asyncio.gather(*(writer.communicate() for writer in writers))
    assert [writer.returncode for writer in writers] == [0, 0]
    everyone = [*mine, *(f"{name}-{number}" for name in ("left", "right") for number in range(60))]
    assert await store.with_password(everyone) == frozenset(everyone)


async def test_readers_do_not_wait_for_a_writer(url: str, store: CredentialStore) -> None:
    """While another process holds the write lock reads go on and see what was committed."""
    await store.set_password("ann", "hash-1")
    with sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE credentials SET password_hash = 'not committed'")
        assert await store.password_hash("ann") == "hash-1"
        other.execute("ROLLBACK")
    other.close()


async def test_stuck_writer_fails_all_within_the_limit(url: str, store: CredentialStore) -> None:
    """When another process keeps the write lock, writes fail together after the wait for one, and reads go on."""
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with asyncio.timeout(2 * BUSY_SECONDS):
        writes = (store.set_password(f"customer-{number}", "hash") for number in range(4))
        ends = await asyncio.gather(*writes, store.ping(), return_exceptions=True)
    assert {type(end) for end in ends} == {StoreUnavailable}
    assert await store.password_hash("customer-0") is None
    other.execute("ROLLBACK")
    other.close()
    await store.set_password("customer-0", "hash")


async def test_file_is_in_write_ahead_mode(url: str, store: CredentialStore) -> None:
    """The mode in which readers and the writer do not wait for each other is kept in the file."""
    await store.ping()
    other = sqlite3.connect(url.removeprefix("sqlite:///"))
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()


def test_a_new_file_is_complete_at_once(tmp_path: Path) -> None:
    """It is in write-ahead mode when it appears: several processes that turn one file to it at once fail."""
    path = tmp_path / "store.db"
    create_file(path)
    # sqlite.org/fileformat2.html section 1.3.3: the versions for writing and for reading.
    assert path.read_bytes()[18:20] == bytes((2, 2))
    inode = path.stat().st_ino
    create_file(path)
    assert (path.stat().st_ino, [*tmp_path.iterdir()]) == (inode, [path])


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
async def test_files_are_the_owners_alone(tmp_path: Path, mask: int) -> None:
    """Under any umask only the owner may read the database and what SQLite puts beside it."""
    url = f"sqlite:///{tmp_path}/store.db"
    with umask(mask):
        upgrade(url)
        store = open_store(url)
        await store.open()
        await store.set_password("ann", "hash-1")
        modes = list_modes(tmp_path)
        await store.close()
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}


def test_file_behind_a_link_is_the_owners_alone(tmp_path: Path) -> None:
    """A link to a file that does not exist yet makes that file, with the same mode."""
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    with umask(0):
        upgrade(f"sqlite:///{tmp_path}/link.db")
    assert (tmp_path / "real.db").stat().st_mode & 0o777 == 0o600


async def test_odd_paths_are_only_paths(tmp_path: Path) -> None:
    """Characters that are special in URLs and configuration files have no meaning in the path."""
    name = "a b%41%(here)s#c&mode=ro?x.db"
    url = f"sqlite:///{tmp_path}/{quote(name)}"
    assert check_url(url) is None
    upgrade(url)
    store = open_store(url)
    await store.open()
    await store.set_password("ann", "hash-1")
    await store.close()
    assert list(list_modes(tmp_path)) == [name]


async def test_missing_file_is_not_made_by_opening(tmp_path: Path) -> None:
    """A file that is not there is a failure: an empty one would forget every password in silence."""
    with pytest.raises(StoreUnavailable, match="SQLite: unable to open database file"):
        await open_store(f"sqlite:///{tmp_path}/store.db").open()
    assert list_modes(tmp_path) == {}


async def test_removed_file_fails_the_ping(tmp_path: Path, url: str, store: CredentialStore) -> None:
    """A file taken away from under an open store is noticed by the next ping."""
    assert url.startswith("sqlite:")
    (tmp_path / "store.db").unlink()
    with pytest.raises(StoreUnavailable):
        await store.ping()


async def test_no_connection_reads_what_took_the_files_place(tmp_path: Path, store: CredentialStore) -> None:
    """All that will ever read are open before the first request, however many ask at once."""
    other = tmp_path / "other.db"
    create_file(other)
    upgrade(f"sqlite:///{other}")
    impostor = open_store(f"sqlite:///{other}")
    await impostor.open()
    await impostor.set_password("ann", "an impostor's")
    await impostor.close()
    other.replace(tmp_path / "store.db")
    found = await asyncio.gather(*(store.password_hash("ann") for _ in range(100)), return_exceptions=True)
    assert {hashed for hashed in found if not isinstance(hashed, StoreUnavailable)} <= {None}


async def test_database_without_tables_is_unavailable(tmp_path: Path) -> None:
    """A database that was never upgraded does not open."""
    (tmp_path / "store.db").touch()
    with pytest.raises(StoreUnavailable, match="no such table"):
        await open_store(f"sqlite:///{tmp_path}/store.db").open()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write read-only files")
async def test_read_only_file_fails_the_ping(tmp_path: Path) -> None:
    """A store that can be read but not written counts as unusable."""
    url = f"sqlite:///{tmp_path}/store.db"
    upgrade(url)
    (tmp_path / "store.db").chmod(0o400)
    with pytest.raises(StoreUnavailable):
        await open_store(url).open()


async def test_failure_names_no_values(tmp_path: Path) -> None:
    """Neither the reason of a failure nor its traceback carries an id, a hash or the SQL statement's values."""
    url = f"sqlite:///{tmp_path}/store.db"
    upgrade(url)
    store = open_store(url)
    await store.open()
    other = sqlite3.connect(tmp_path / "store.db")
    other.execute("DROP TABLE credentials")
    other.close()
    with pytest.raises(StoreUnavailable) as caught:
        # Spelled backwards, because a traceback quotes the lines of this test as well.
        await store.set_password("yranac"[::-1], "yranac"[::-1])
    with pytest.raises(StoreUnavailable) as failed:
        await store.password_hash("ann")
    await store.close()
    assert str(caught.value) == "SQLite: no such table: credentials"
    assert str(failed.value) == str(caught.value)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "not a URL"),
        ("store.db", "not a URL"),
        ("sqlite://u:canary@h:port/x", "names a file only"),
        ("mysql://u:canary@h/x", "no store has the scheme 'mysql'"),
        ("sqlite+aiosqlite:///canary.db", "the driver is the gateway's choice: write sqlite:"),
        ("sqlite://u:canary@h/x.db", "names a file only"),
        ("sqlite://canary/x.db", "names a file only"),
        ("sqlite:///x.db?mode=canary", "takes no options"),
        ("sqlite://", "path of the SQLite file is missing"),
        ("sqlite:///:memory:", "path of the SQLite file is missing"),
        ("sqlite:///file:canary.db", "path of the SQLite file is missing"),
        ("sqlite:////no/canary/x.db", "folder of the SQLite file does not exist"),
        ("sqlite:////tmp", "is a folder"),
        ("sqlite:///canary\0.db", "cannot be read"),
    ],
)
def test_faults_of_a_url_are_named(url: str, fault: str) -> None:
    """Each fault of a URL has its own text, which repeats nothing but the scheme."""
    text = check_url(url)
    assert text is not None
    assert fault in text
    assert "canary" not in text


@pytest.mark.parametrize("url", ["sqlite:///relative.db", "sqlite:////tmp/absolute.db"])
def test_sound_url_has_no_fault(url: str) -> None:
    """Relative and absolute paths in folders that exist are fine."""
    assert check_url(url) is None


def test_unlisted_store_is_not_opened() -> None:
    """Only schemes in the list make a store."""
    with pytest.raises(ValueError, match="no store has the scheme"):
        open_store("mysql://h/x")


async def test_writes_under_way_end_before_it_closes(url: str) -> None:
    """Each is done or refused, whatever step it had come to, and none leaves a connection behind."""
    for turns in range(0, 60, 3):
        store = open_store(url)
        await store.open()
        writing = [asyncio.ensure_future(store.set_password(f"customer-{number}", "hash")) for number in range(3)]
        for _ in range(turns):
            await asyncio.sleep(0)
        await store.close()
        ends = await asyncio.gather(*writing, return_exceptions=True)
        assert all(end is None or isinstance(end, StoreUnavailable) for end in ends)
