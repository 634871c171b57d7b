"""The upgrade that brings a PostgreSQL database to the tables of `schema`, and who may use it.

Everything happens in the role's current schema, the first of its search_path that exists.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.stores import postgres
from gateway.stores.ports import StoreUnavailable
from gateway.stores.postgres_url import read_place
from gateway.stores.schema import APPLICATION_ID, MIGRATE, OLDEST, create, migrate, revisions, standing

# A migration waits for the other replicas' and may rewrite tables; no customer waits for it.
_PATIENCE: Final = 120.0
mark = Table(
    "gateway_store",
    MetaData(),
    Column("revision", Integer, nullable=False),
    Column("oldest", Integer, nullable=False),
    # Of the rows that `gateway store copy` brought, when it had.
    Column("copied", Text),
)
"""What SQLite has in its pragmas: whose tables these are, where they stand, the oldest revision that may use them."""
# What belongs to an extension is nobody's.
_NAMES = """
SELECT relname::text FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
ORDER BY relname
"""
_LOCK = "SELECT pg_advisory_xact_lock(:key)"


class Stand(NamedTuple):
    """Where a database stands: its revision, and the oldest one whose gateways may use it; nothing of an empty one."""

    revision: str | None
    oldest: int


def upgrade(url: str, *, may_migrate: bool = True) -> None:
    """Create the tables or bring them to the newest revision; for the start, before anything is served.

    Replicas that start at once take turns. Either every step is done or none. A schema with tables of others is left as
    it is, and so is a store that a newer release brought further and that this one may use. Without `may_migrate`
    nothing is changed, and what would have to be is a failure.

    Raises:
        StoreUnavailable: no server can be reached, the schema is another application's, behind or too far ahead.

    """
    asyncio.run(_upgrade(url, may_migrate=may_migrate))


async def _upgrade(url: str, *, may_migrate: bool) -> None:
    # Most starts find all in place, which takes no lock and may be done without any right to change it.
    async with connected(url, postgres.ANSWER_SECONDS) as connection:
        stand = await connection.run_sync(look)
    if is_ready(stand):
        return
    if not may_migrate:
        raise StoreUnavailable(f"PostgreSQL: {_behind(stand)}: {MIGRATE}")
    async with connected(url, _PATIENCE) as connection:
        await connection.execute(text(_LOCK), {"key": APPLICATION_ID})
        await connection.run_sync(_bring)
        await connection.commit()


def _behind(stand: Stand) -> str:
    newest = max(revisions())
    if stand.revision is None:
        return f"the database is empty, and this gateway needs revision {newest}"
    return f"the database stands at revision {stand.revision}, and this gateway needs {newest}"


@asynccontextmanager
async def connected(
    url: str, answer_seconds: float, isolation: str = "READ COMMITTED"
) -> AsyncIterator[AsyncConnection]:
    """Lend a transaction of a connection that is made for it, with a limit of its own."""
    engine = postgres.make_engine(read_place(url), answer_seconds)
    try:
        async with postgres.lent(engine, isolation, answer_seconds) as connection:
            yield connection
    finally:
        await engine.dispose()


def look(connection: Connection) -> Stand:
    """Say where a database stands.

    Raises:
        StoreUnavailable: the schema is another application's.

    """
    if connection.scalar(text("SELECT current_schema()")) is None:
        raise StoreUnavailable("PostgreSQL: no schema of the role's search_path exists, or it may use none of them")
    names = [*connection.scalars(text(_NAMES))]
    if not names:
        return Stand(None, OLDEST)
    stands = connection.scalars(select(standing)).all() if {mark.name, standing.name} <= {*names} else []
    marks = connection.execute(select(mark)).all() if stands else []
    if len(marks) != 1 or stands != [f"{marks[0].revision:04}"]:
        what = ", ".join(map(repr, names[:3]))
        raise StoreUnavailable(
            f"PostgreSQL: the schema is another application's: it has the tables {what}; give the gateway its own"
        )
    return Stand(stands[0], marks[0].oldest)


def is_ready(stand: Stand) -> bool:
    """Tell whether a database can be used as it is; False for one that is empty or that an older release made.

    Raises:
        StoreUnavailable: a newer release made it and shuts this one out.

    """
    newest = max(revisions())
    if stand.revision in revisions():
        return stand == (newest, OLDEST)
    if stand.revision is not None and stand.oldest > int(newest):
        raise StoreUnavailable(
            "PostgreSQL: the store needs a newer gateway: it was written by a newer release (revision"
            f" {stand.revision}), and this one knows {newest} at most"
        )
    return stand.revision is not None


def _bring(connection: Connection) -> None:
    stand = look(connection)
    if is_ready(stand):
        return
    if stand.revision is None:
        create(connection)
        mark.create(connection)
        connection.execute(insert(mark).values(revision=int(max(revisions())), oldest=OLDEST))
    else:
        migrate(connection)
        connection.execute(update(mark).values(revision=int(max(revisions())), oldest=OLDEST))
