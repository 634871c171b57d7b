"""What a store holds, counted; and the copy of an SQLite store to PostgreSQL, which is how replicas begin to share one.

It is for commands: nothing here serves a customer.
"""

import asyncio
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, Table, delete, func, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.stores import schema, sqlite
from gateway.stores.location import scheme_of, sqlite_path
from gateway.stores.ports import StoreUnavailable

# A million customers take minutes, and nobody waits for them but who gave the command.
_PATIENCE: Final = 3600.0
_ROWS = 5_000
_TABLES: Final = tuple(schema.metadata.sorted_tables)
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
