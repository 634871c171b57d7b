"""What a store holds, counted; its backup; and the copy of an SQLite store to PostgreSQL, where replicas share one.

It is for commands: nothing here serves a customer.
"""

import asyncio
import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, RowMapping, Table, delete, func, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.stores import schema, sqlite
from gateway.stores.location import scheme_of, sqlite_path
from gateway.stores.ports import StoreUnavailable

# A million customers take minutes, and nobody waits for them but who gave the command.
_PATIENCE: Final = 3600.0
_ROWS = 5_000
_PASSING: Final = {schema.login_attempts, schema.login_places}
_TABLES: Final = tuple(table for table in schema.metadata.sorted_tables if table not in _PASSING)
# What a store holds; the counter of numbers moves with each start of a gateway.
_HELD: Final = tuple(table for table in _TABLES if table is not schema.numbers)
_LOCK = f"LOCK TABLE {', '.join(table.name for table in _TABLES)} IN EXCLUSIVE MODE"


def count(url: str) -> Mapping[str, int]:
    """Return the number of rows of each table, by the table's name.

    Raises:
        StoreUnavailable: the store cannot be read.

    """
    if scheme_of(url) == "sqlite":
        with _source(url) as connection:
            return _counted(connection)
    return asyncio.run(_count(url))


async def _count(url: str) -> Mapping[str, int]:
    from gateway.stores.schema_postgres import connected  # noqa: PLC0415 - who has a file waits for no other driver

    async with connected(url, _PATIENCE) as connection:
        return await connection.run_sync(_counted)


def copy(source: str, target: str) -> Mapping[str, int]:
    """Bring what an SQLite store holds into a PostgreSQL one; returns the number of rows of each table.

    It may be repeated, and then the target becomes what the source is by now. While it runs nobody writes to either.
    A target that holds anything that no copy brought there is refused: a gateway that has worked with it owns it.

    Raises:
        StoreUnavailable: one of the stores cannot be used, or the target is refused; nothing was changed.
        ValueError: the URLs are not of these kinds.

    """
    if (scheme_of(source), scheme_of(target)) != ("sqlite", "postgresql"):
        raise ValueError("a copy goes from sqlite:///... to postgresql://...")
    schema.upgrade(source, may_migrate=False)
    return asyncio.run(_copy(source, target))


async def _copy(source: str, target: str) -> Mapping[str, int]:
    from gateway.stores import schema_postgres  # noqa: PLC0415 - as above

    await asyncio.to_thread(schema_postgres.upgrade, target)
    with _source(source) as rows:
        async with schema_postgres.connected(target, _PATIENCE) as connection:
            await connection.execute(text(_LOCK))
            counts = await connection.run_sync(_counted)
            copied = await connection.scalar(select(schema_postgres.mark.c.copied))
            if any(counts.values()) and copied != await _digest(connection):
                held = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
                raise StoreUnavailable(
                    f"PostgreSQL: the target holds what no copy brought there ({held}); empty it first"
                )
            for table in _TABLES:
                await connection.execute(delete(table))
                for chunk in _chunks(rows, table):
                    await connection.execute(insert(table), [_aware(row) for row in chunk])
            done = await _digest(connection)
            await connection.execute(update(schema_postgres.mark).values(copied=done))
            await connection.commit()
            return await connection.run_sync(_counted)


def backup(url: str, file: Path) -> Mapping[str, int]:
    """Write what a store holds at one moment to a new SQLite store; returns the number of rows of each table.

    Gateways go on meanwhile. `copy` brings such a file to PostgreSQL.

    Raises:
        StoreUnavailable: the store cannot be read, the file is there already or cannot be written; none is left then.

    """
    try:
        # It appears complete, or not at all, and nobody else may read it.
        with tempfile.TemporaryDirectory(prefix=f"{file.name}.new-", dir=file.parent) as folder:
            made = Path(folder) / "store.db"
            if scheme_of(url) == "sqlite":
                _vacuum(sqlite_path(url), made)
            else:
                schema.upgrade(f"sqlite:///{quote(str(made))}")
                asyncio.run(_dump(url, made))
            with _source(f"sqlite:///{quote(str(made))}") as connection:
                counts = _counted(connection)
            with made.open("rb") as written:
                os.fsync(written.fileno())
            file.hardlink_to(made)
    except OSError as error:
        raise StoreUnavailable(f"{file}: {error.strerror or type(error).__name__}") from error
    return counts


def _vacuum(path: Path, made: Path) -> None:
    """Write an SQLite file anew at another place: what one reader sees, while others write (sqlite.org/lang_vacuum)."""
    made.touch(0o600)
    engine = sqlite.sync_engine(path)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("VACUUM INTO ?", (str(made),))
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise sqlite.unavailable(error) from error


async def _dump(url: str, made: Path) -> None:
    from gateway.stores.schema_postgres import connected  # noqa: PLC0415 - as above

    engine = sqlite.sync_engine(made)
    async with connected(url, _PATIENCE, "REPEATABLE READ") as source:
        with engine.execution_options(**sqlite.WRITING).begin() as target:
            for table in _TABLES:
                rows = await source.stream(select(table))
                async for chunk in rows.mappings().partitions(_ROWS):
                    target.execute(insert(table), [dict(row) for row in chunk])


def _chunks(rows: Connection, table: Table) -> Iterator[Sequence[RowMapping]]:
    try:
        yield from rows.execute(select(table)).mappings().partitions(_ROWS)
    except (SQLAlchemyError, sqlite3.Error) as error:
        # Said here, for around it stands what speaks for PostgreSQL.
        raise sqlite.unavailable(error) from error


def _aware(row: RowMapping) -> dict[str, Any]:
    # SQLite's CURRENT_TIMESTAMP is UTC, and does not say so.
    return {
        str(name): value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for name, value in row.items()
    }


async def _digest(connection: AsyncConnection) -> str:
    """Return what tells this content from any other, in whatever order the rows come."""
    total = 0
    for table in _HELD:
        rows = await connection.stream(select(table))
        async for row in rows:
            seen = hashlib.blake2b(repr((table.name, *row)).encode(), digest_size=16).digest()
            total = (total + int.from_bytes(seen)) % (1 << 128)
    return f"{total:032x}"


def _counted(connection: Connection) -> dict[str, int]:
    def number(table: Table) -> int:
        found = connection.scalar(select(func.count()).select_from(table))
        return int(found or 0)

    return {table.name: number(table) for table in _HELD}


@contextmanager
def _source(url: str) -> Iterator[Connection]:
    """Lend a transaction of an SQLite file in which nobody else writes."""
    engine = sqlite.sync_engine(sqlite_path(url))
    try:
        with engine.execution_options(**sqlite.WRITING).begin() as connection:
            yield connection
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise sqlite.unavailable(error) from error
