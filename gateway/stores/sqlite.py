"""How SQLite files are created and opened: what the store and the migrations have in common.

It holds no queries and no tables.
"""

import contextlib
import fcntl
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import NullPool

from gateway.stores.ports import StoreUnavailable

BUSY_SECONDS = 5.0
"""How long a writer waits for the writer of another process. Ours take milliseconds; a backup tool may take longer."""

WRITING = {"gateway_writing": True}
"""Execution options of a connection that writes."""

NOT_WRITABLE = "SQLite: the file or its folder is not readable and writable"

# One page (sqlite.org/fileformat2.html 1.3.2). SQLite takes a file of one byte for an empty one.
_SMALLEST = 512
_WRITE_AHEAD = "PRAGMA journal_mode = WAL"


def create_file(path: Path) -> None:
    """Make an empty database, for its owner only and with a write-ahead log; one that is there is left as it is.

    SQLite would make it under the process's umask, and gives `-wal` and `-shm` the mode of this file. It is made beside
    its place and appears there complete: of several processes that turn one new file to a write-ahead log at once,
    SQLite tells some at once, without any wait, that it is locked. The file is never opened when it exists: closing a
    second descriptor drops the locks that SQLite holds in this process (sqlite.org/howtocorrupt.html 2.2). One of no
    bytes, as `touch` makes it, becomes a database in its place, by one process at a time.
    """
    if path.exists():
        if path.stat().st_size == 0:
            with _turn(path.parent), contextlib.closing(sqlite3.connect(path)) as connection:
                connection.execute(_WRITE_AHEAD)
        return
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.new-", dir=path.parent)
    made = Path(name)
    try:
        with os.fdopen(descriptor, "wb"):
            # A umask may have taken bits from the owner as well.
            os.fchmod(descriptor, 0o600)
        with contextlib.closing(sqlite3.connect(made)) as connection:
            connection.execute(_WRITE_AHEAD)
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(made)
    finally:
        made.unlink()


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_writable(path: Path) -> bool:
    """Tell whether the file is there and may be read and written, and files beside it."""
    # access(2) names a read-only file system even to root. The folder holds the write-ahead log.
    return path.is_file() and os.access(path, os.R_OK | os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)


@contextlib.contextmanager
def looking(path: Path) -> Iterator[sqlite3.Connection]:
    """Lend a connection for a look at a file that may be anybody's: it is left as it is, and nothing stays beside it.

    Whoever may write makes a write-ahead log and removes it again; whoever may not leaves it there. But what stands in
    one, or in a journal, is moved into the file by whoever may write and is the last to close it.
    """
    if 0 < path.stat().st_size < _SMALLEST:
        raise sqlite3.DatabaseError("file is not a database")
    logs = (Path(f"{path}{end}") for end in ("-wal", "-journal"))
    mode = "ro" if any(log.exists() and log.stat().st_size for log in logs) else "rw"
    url = f"file:{quote(str(path))}?mode={mode}"
    with contextlib.closing(sqlite3.connect(url, uri=True, **connect_arguments())) as connection:
        yield connection


def sync_engine(path: Path) -> Engine:
    """Return an engine whose connections wait for the disk, for the command line and the start."""
    engine = create_engine(
        engine_url("sqlite+pysqlite", path),
        connect_args=connect_arguments(),
        poolclass=NullPool,
        # An exception would carry hashes and e-mails into a traceback.
        hide_parameters=True,
    )
    prepare(engine)
    return engine


def engine_url(driver: str, path: Path) -> URL:
    """Return the URL SQLAlchemy connects to.

    `mode=rw` keeps SQLite from making a new and empty file when somebody removes this one from under us.
    """
    return URL.create(driver, database=f"file:{quote(str(path))}", query={"mode": "rw", "uri": "true"})


def connect_arguments() -> dict[str, Any]:
    """Return what the driver is given: no transactions of its own, and a wait for other writers."""
    return {"isolation_level": None, "timeout": BUSY_SECONDS}


def prepare(engine: Engine) -> None:
    """Make every connection of the engine durable, and its transactions ours.

    The driver's own transaction control begins late and only before some statements; so it is off, and BEGIN is
    sent here (the recipe of SQLAlchemy's "Transactions with SQLite").
    """
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)


def reason(error: Exception) -> str:
    """Describe a failure of SQLite or the file system in one line, without statement, parameters or path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    original = error if isinstance(error, sqlite3.Error) else getattr(error, "orig", None)
    # SQLite's own messages name tables and columns, never values.
    text = str(original) if original is not None else type(error).__name__
    return text.splitlines()[0] if text else type(error).__name__


def unavailable(error: Exception) -> StoreUnavailable:
    """Return the failure in the words of the port."""
    return StoreUnavailable(f"SQLite: {reason(error)}")


def _set_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    try:
        # FULL syncs the log on each commit: what was acknowledged survives a power cut (sqlite.org/pragma.html).
        for pragma in (_WRITE_AHEAD, "PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON"):
            cursor.execute(pragma)
            cursor.fetchall()
    finally:
        cursor.close()


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once when another writer was faster, and no timeout
    # helps; one that takes the write lock at its begin waits for its turn. A SELECT alone needs no BEGIN.
    if connection.get_execution_options().get("gateway_writing", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
