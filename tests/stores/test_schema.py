"""The tables, and the upgrade that makes them."""

import asyncio
import logging
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from gateway.stores import StoreUnavailable, upgrade
from gateway.stores.schema import APPLICATION_ID, metadata, migrate, revisions

UPGRADER = """
import sys
from gateway.stores import upgrade

print(flush=True)
sys.stdin.readline()
upgrade(sys.argv[1])
"""


def test_migrations_and_metadata_agree(tmp_path: Path) -> None:
    """The revisions, applied in order, make exactly the tables the queries are written for."""
    engine = create_engine(f"sqlite:///{tmp_path}/store.db")
    with engine.begin() as connection:
        migrate(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_new_database_is_as_if_migrated(tmp_path: Path) -> None:
    """An empty database gets in one step what the revisions would make of it, their number included."""
    engine = create_engine(f"sqlite:///{tmp_path}/migrated.db")
    with engine.begin() as connection:
        migrate(connection)
    engine.dispose()
    upgrade(f"sqlite:///{tmp_path}/made.db")
    assert len(contents(tmp_path / "made.db")[0]) == 1 + len(metadata.tables)
    assert contents(tmp_path / "made.db") == contents(tmp_path / "migrated.db")


def contents(path: Path) -> list[list[Any]]:
    """Return every table with its columns and indexes, and where the database stands."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        columns = [connection.execute("SELECT * FROM pragma_table_info(?)", table).fetchall() for table in tables]
        indexes = [connection.execute("SELECT * FROM pragma_index_list(?)", table).fetchall() for table in tables]
        standing = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    return [tables, columns, indexes, standing]


def test_upgrade_twice_changes_nothing(tmp_path: Path) -> None:
    """An upgrade of an up-to-date database keeps its rows."""
    url = f"sqlite:///{tmp_path}/store.db"
    upgrade(url)
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.execute("INSERT INTO credentials VALUES ('ann', 'hash-1', CURRENT_TIMESTAMP)")
    connection.commit()
    upgrade(url)
    assert connection.execute("SELECT customer_id, password_hash FROM credentials").fetchall() == [("ann", "hash-1")]
    connection.close()


@pytest.mark.parametrize("is_touched", [False, True], ids=["new", "of no bytes"])
async def test_processes_that_start_at_once_take_turns(tmp_path: Path, is_touched: bool) -> None:  # noqa: FBT001 - a case
    """Processes that upgrade one new database at the same time all succeed."""
    if is_touched:
        (tmp_path / "store.db").touch()
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", UPGRADER, f"sqlite:///{tmp_path}/store.db"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for process in processes:
        # All have imported what they need and wait: from here on they race.
        assert process.stdout is not None
        await process.stdout.readline()
    ends = await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    assert [process.returncode for process in processes] == [0, 0, 0, 0], ends
    connection = sqlite3.connect(tmp_path / "store.db")
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(max(revisions()),)]
    connection.close()


def test_upgrade_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An upgrade writes to neither stream and leaves the configuration of logging alone."""
    before = (logging.root.level, list(logging.root.handlers), logging.getLogger("alembic").handlers[:])
    kept = logging.getLogger("gateway.kept")
    upgrade(f"sqlite:///{tmp_path}/store.db")
    assert capfd.readouterr() == ("", "")
    assert (logging.root.level, list(logging.root.handlers), logging.getLogger("alembic").handlers[:]) == before
    assert not kept.disabled


def test_failed_upgrade_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    """All steps of an upgrade are one transaction: a failure in the middle leaves no table behind."""
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.executescript(f"CREATE TABLE registrations (mine TEXT); PRAGMA application_id = {APPLICATION_ID}")
    with pytest.raises(StoreUnavailable, match="table registrations already exists"):
        upgrade(f"sqlite:///{tmp_path}/store.db")
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("registrations",)]
    connection.close()


@pytest.mark.parametrize("name", ["missing/store.db", "file/store.db", "folder"])
def test_unwritable_path_gives_one_line(tmp_path: Path, name: str) -> None:
    """A path that cannot be written is a failure with a reason of one line, without the path."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreUnavailable) as caught:
        upgrade(f"sqlite:///{tmp_path}/{name}")
    assert str(caught.value).startswith("SQLite: ")
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
