"""Whose an SQLite file is: ours to use, ours but for a newer gateway, or another application's, which is left alone."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from gateway.stores import StoreUnavailable, open_store, upgrade
from gateway.stores.schema import APPLICATION_ID, OLDEST, migrate, revisions

NEWEST = int(max(revisions()))
NEXT = f"{NEWEST + 1:04}"
ALEMBIC = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);"
SAME_NAMES = "CREATE TABLE credentials (id INTEGER, secret TEXT); CREATE TABLE registrations (id INTEGER);"
# Killed in the middle of its work, as an application is that crashed.
DIES = """
import os, signal, sqlite3, sys
connection = sqlite3.connect("store.db", isolation_level=None)
for statement in sys.argv[1:]:
    connection.execute(statement)
os.kill(os.getpid(), signal.SIGKILL)
"""


def run(folder: Path, *scripts: str) -> None:
    """Run SQL on the file."""
    with closing(sqlite3.connect(folder / "store.db", isolation_level=None)) as connection:
        for script in scripts:
            connection.executescript(script)


def die(folder: Path, *statements: str) -> None:
    """Run SQL on the file in a process that is killed then."""
    done = subprocess.run([sys.executable, "-c", DIES, *statements], cwd=folder, check=False)  # noqa: S603 - ours
    assert done.returncode == -signal.SIGKILL


def ask(folder: Path, query: str) -> list[tuple[object, ...]]:
    """Return what the file says."""
    with closing(sqlite3.connect(folder / "store.db")) as connection:
        return connection.execute(query).fetchall()


def seen(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return what stands in a folder, and since when; shared memory is no part of the data."""
    return {
        path.name: (b"", 0) if path.name.endswith("-shm") else (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.iterdir()
        if path.is_file()
    }


def url(folder: Path) -> str:
    """Name the file."""
    return f"sqlite:///{folder}/store.db"


FOREIGN: dict[str, tuple[Callable[[Path], object], str]] = {
    "tables": (lambda at: run(at, "CREATE TABLE posts (id)", "CREATE TABLE users (id)"), "the tables 'posts', 'users'"),
    "a view": (lambda at: run(at, "CREATE VIEW numbers AS SELECT 1"), "the tables 'numbers'"),
    "a write-ahead log, closed": (
        lambda at: run(at, "PRAGMA journal_mode = WAL; CREATE TABLE posts (id)"),
        "the tables 'posts'",
    ),
    "a write-ahead log, left by a crash": (
        lambda at: die(at, "PRAGMA journal_mode = WAL", "CREATE TABLE posts (id)"),
        "the tables 'posts'",
    ),
    "a journal, left by a crash": (
        lambda at: die(
            at, "CREATE TABLE posts (x)", "PRAGMA cache_size = 1", "BEGIN", "INSERT INTO posts VALUES (zeroblob(99999))"
        ),
        "attempt to write a readonly database",
    ),
    "a mark": (lambda at: run(at, "PRAGMA application_id = 252006674"), "the application_id 0xf055112"),
    "a mark and our tables": (
        lambda at: expand(at, "0001", 10_001, mark=7),
        "the application_id 0x7",
    ),
    "a version": (lambda at: run(at, "PRAGMA user_version = 5"), "the user_version 5"),
    "migrations": (
        lambda at: run(at, ALEMBIC, "INSERT INTO alembic_version VALUES ('ae1027a6acf0'); CREATE TABLE users (id)"),
        "the tables 'alembic_version', 'users'",
    ),
    "migrations that are numbered like ours": (
        lambda at: run(at, ALEMBIC, "INSERT INTO alembic_version VALUES ('0001'); CREATE TABLE users (id)"),
        "the tables 'alembic_version', 'users'",
    ),
    "tables of our names": (
        lambda at: run(at, ALEMBIC, "INSERT INTO alembic_version VALUES ('0001')", SAME_NAMES),
        "the tables 'alembic_version', 'credentials', 'registrations'",
    ),
    "a table of Alembic's name": (
        lambda at: run(at, "CREATE TABLE alembic_version (x)", SAME_NAMES),
        "the tables 'alembic_version', 'credentials', 'registrations'",
    ),
    "notes": (lambda at: (at / "store.db").write_text("these are my notes\n" * 100), "file is not a database"),
    "a short note": (lambda at: (at / "store.db").write_text("buy milk\n"), "file is not a database"),
    "a line break": (lambda at: (at / "store.db").write_text("\n"), "file is not a database"),
    "the beginning of a database": (
        lambda at: (at / "store.db").write_bytes(b"SQLite format 3\0"),
        "file is not a database",
    ),
    "what is encrypted": (lambda at: (at / "store.db").write_bytes(os.urandom(8192)), "file is not a database"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_of_another_application_is_refused_and_left_as_it_is(tmp_path: Path, kind: str) -> None:
    """It is named, no byte and no date of it changes, and nothing appears beside it."""
    make, named = FOREIGN[kind]
    make(tmp_path)
    before = seen(tmp_path)
    with pytest.raises(StoreUnavailable, match=r"^SQLite: ") as caught:
        upgrade(url(tmp_path))
    assert named in str(caught.value)
    assert seen(tmp_path) == before


@pytest.fixture(params=["WAL", "DELETE"])
def in_use(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Return a folder in which another application has its file open."""
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as connection:
        connection.executescript(f"PRAGMA journal_mode = {request.param}; CREATE TABLE posts (id)")
        connection.execute("BEGIN")
        connection.execute("SELECT * FROM posts").fetchall()
        yield tmp_path


def test_a_file_that_another_application_uses_is_left_to_it(in_use: Path) -> None:
    """The refusal does not disturb who is at work."""
    before = seen(in_use)
    with pytest.raises(StoreUnavailable, match="the file is another application's: it has the tables 'posts'"):
        upgrade(url(in_use))
    assert {name: content for name, (content, _) in seen(in_use).items()} == {
        name: content for name, (content, _) in before.items()
    }


def test_what_is_no_file_is_refused_by_name(tmp_path: Path) -> None:
    """A folder, a pipe, and a folder that is not there."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, what in (("folder", "is a folder"), ("pipe", "a device or a pipe"), ("none/x", "does not exist")):
        with pytest.raises(StoreUnavailable, match=what):
            upgrade(f"sqlite:///{tmp_path}/{name}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
@pytest.mark.parametrize("mode", [0o400, 0o200, 0o000])
def test_a_file_that_may_not_be_used_is_refused_by_name(tmp_path: Path, mode: int) -> None:
    """Reading and writing are both needed."""
    upgrade(url(tmp_path))
    (tmp_path / "store.db").chmod(mode)
    with pytest.raises(StoreUnavailable, match="the file or its folder is not readable and writable"):
        upgrade(url(tmp_path))


def test_a_new_store_says_whose_it_is(tmp_path: Path) -> None:
    """In the header, where other programs look; `file` shows it."""
    upgrade(url(tmp_path))
    assert (tmp_path / "store.db").read_bytes()[68:72] == b"CTGW"
    assert ask(tmp_path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    ((version,),) = ask(tmp_path, "PRAGMA user_version")
    ((revision,),) = ask(tmp_path, "SELECT version_num FROM alembic_version")
    assert version == int(str(revision)) * 10_000 + OLDEST
    assert 1 <= OLDEST <= int(str(revision))


def test_a_store_that_is_ready_is_left_as_it_is(tmp_path: Path) -> None:
    """Nearly every start finds nothing to do."""
    upgrade(url(tmp_path))
    before = seen(tmp_path)
    upgrade(url(tmp_path))
    assert seen(tmp_path) == before


EMPTY: dict[str, Callable[[Path], object]] = {
    "no bytes": lambda at: (at / "store.db").touch(),
    "no tables any more": lambda at: run(at, "CREATE TABLE x (y INTEGER PRIMARY KEY AUTOINCREMENT)", "DROP TABLE x"),
}


@pytest.mark.parametrize("kind", EMPTY)
async def test_an_empty_file_becomes_a_store(tmp_path: Path, kind: str) -> None:
    """`touch` makes one, and so does whoever looks at a file that is not there with the `sqlite3` command."""
    EMPTY[kind](tmp_path)
    upgrade(url(tmp_path))
    store = open_store(url(tmp_path))
    await store.open()
    await store.set_password("ann", "hash-1")
    assert await store.password_hash("ann") == "hash-1"
    await store.close()


def test_a_store_without_a_mark_is_ours(tmp_path: Path) -> None:
    """The first releases set none; the rows stay, the mark comes, and a table of a backup tool does no harm."""
    upgrade(url(tmp_path))
    run(
        tmp_path,
        "PRAGMA application_id = 0; PRAGMA user_version = 0",
        "INSERT INTO credentials VALUES ('ann', 'hash-1', CURRENT_TIMESTAMP)",
        "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)",
    )
    upgrade(url(tmp_path))
    assert ask(tmp_path, "SELECT customer_id, password_hash FROM credentials") == [("ann", "hash-1")]
    assert ask(tmp_path, "PRAGMA application_id") == [(APPLICATION_ID,)]


def test_a_store_of_the_first_release_is_ours_and_expanded(tmp_path: Path) -> None:
    """It has no mark, and none of what came later; its rows stay, and an older gateway may still use it."""
    engine = create_engine(url(tmp_path))
    with engine.begin() as connection:
        migrate(connection, "0001")
    engine.dispose()
    row = "'a', 'ann@x.example', 'Ann', 'hash-1', 7.0"
    run(tmp_path, f"INSERT INTO registrations (id, email, name, password_hash, started_at) VALUES ({row})")  # noqa: S608 - ours
    upgrade(url(tmp_path))
    assert ask(tmp_path, "SELECT email, customer_id FROM registrations") == [("ann@x.example", None)]
    assert ask(tmp_path, "PRAGMA user_version") == [(NEWEST * 10_000 + 1,)]
    # As a gateway of revision 0001 writes.
    run(tmp_path, "UPDATE registrations SET email = 'b' WHERE id = 'a'", "INSERT INTO credentials VALUES ('c', 'h', 1)")


def expand(folder: Path, revision: str, version: int, mark: int = APPLICATION_ID) -> None:
    """Make what a later release could have made of a store: it only added something."""
    upgrade(url(folder))
    run(
        folder,
        "ALTER TABLE credentials ADD COLUMN imported_from TEXT; CREATE TABLE revoked (token_id TEXT)",
        f"PRAGMA user_version = {version}; PRAGMA application_id = {mark}",
    )
    with closing(sqlite3.connect(folder / "store.db", isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))


async def test_a_store_that_a_newer_release_expanded_is_used_and_left_there(tmp_path: Path) -> None:
    """Replicas of two releases work side by side while one takes over from the other."""
    expand(tmp_path, NEXT, (NEWEST + 1) * 10_000 + 1)
    before = seen(tmp_path)
    upgrade(url(tmp_path))
    assert seen(tmp_path) == before
    store = open_store(url(tmp_path))
    await store.open()
    await store.set_password("ann", "hash-1")
    assert await store.password_hash("ann") == "hash-1"
    await store.close()
    assert ask(tmp_path, "SELECT version_num FROM alembic_version") == [(NEXT,)]


@pytest.mark.parametrize(
    ("revision", "version"),
    [
        (NEXT, (NEWEST + 1) * 10_001),
        ("9999", 20_001),
        ("9999", 0),
        (f"{NEWEST + 2:04}", (NEWEST + 1) * 10_000 + 1),
        ("later", 20_001),
    ],
)
def test_a_store_that_needs_a_newer_release_is_refused_and_left_as_it_is(
    tmp_path: Path, revision: str, version: int
) -> None:
    """One that says so, and one that does not say that an older release may use it where it stands."""
    expand(tmp_path, revision, version)
    before = seen(tmp_path)
    with pytest.raises(StoreUnavailable, match="needs a newer gateway: it was written by a newer release") as caught:
        upgrade(url(tmp_path))
    assert f"(revision {revision}), and this one knows {NEWEST:04} at most" in str(caught.value)
    assert seen(tmp_path) == before


def test_a_store_of_a_newer_release_without_a_mark_is_no_other_applications(tmp_path: Path) -> None:
    """A dump that was read in again has lost the mark."""
    expand(tmp_path, NEXT, 0, mark=0)
    with pytest.raises(StoreUnavailable, match="needs a newer gateway"):
        upgrade(url(tmp_path))


def test_a_store_whose_tables_a_newer_release_replaced_is_refused(tmp_path: Path) -> None:
    """Nothing that this release knows is left, and the mark still says whose the file is."""
    expand(tmp_path, NEXT, (NEWEST + 1) * 10_001)
    run(tmp_path, "DROP TABLE credentials; ALTER TABLE registrations RENAME TO intents")
    with pytest.raises(StoreUnavailable, match="needs a newer gateway"):
        upgrade(url(tmp_path))
