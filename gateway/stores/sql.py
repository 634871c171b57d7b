"""The credential store in an SQLite file; the queries are those of `queries`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from sqlite3 import Error
from typing import Any

from sqlalchemy import BigInteger, Select, bindparam, cast, func, literal_column, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.stores import sqlite
from gateway.stores.location import sqlite_path
from gateway.stores.ports import StoreUnavailable
from gateway.stores.queries import Queries
from gateway.stores.schema import Words, credentials
from gateway.stores.thread import StoreThread
from gateway.stores.watch import FileWatch, Mark

_DIALECT = SQLiteDialect(paramstyle="qmark")
# Customers of whom one statement asks, where there are more than one: there is one such statement.
_AT_ONCE = 100
# How long a write that is under way may take when the store is closed, in seconds.
_ENDS_WITHIN = 1.0


class SqlCredentialStore(Queries):
    """`CredentialStore` in the SQLite file that the URL names."""

    _insert = staticmethod(insert)
    # Days since noon of a day long ago, to the millisecond (sqlite.org/lang_datefunc.html).
    _time = cast((func.julianday("now") - literal_column("2440587.5")) * literal_column("86400000000.0"), BigInteger)

    def __init__(self, url: str, opened: Mark | None = None, tell: Callable[[str], None] = lambda _: None) -> None:
        """Make it, not yet open. `opened` is the file that other processes have open; `tell` hears once of its loss."""
        super().__init__()
        self._path = sqlite_path(url)
        self._watch = FileWatch(self._path, opened, tell)
        self._thread = StoreThread()
        # SQLite lets one writer in and makes the others poll; in this process they queue here instead, in order.
        self._writer = asyncio.Lock()

    async def open(self) -> None:
        """Connect, and prove that the file can be read and written."""
        try:
            # Opened before a driver with a thread of its own tries: that would outlive the event loop.
            await self._thread.run(self._watch.open, within=None)
        except (Error, OSError) as error:
            await self.close()
            raise sqlite.unavailable(error) from error
        self._engine = create_async_engine(
            sqlite.engine_url("sqlite+aiosqlite", self._path),
            connect_args=sqlite.connect_arguments(),
            # It writes, and one does at a time; the store's own thread reads.
            pool_size=1,
            max_overflow=0,
            pool_timeout=sqlite.BUSY_SECONDS,
            # An exception would carry hashes and e-mails into a traceback.
            hide_parameters=True,
        )
        sqlite.prepare(self._engine.sync_engine)
        try:
            await self.ping()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let go of all connections; a second call does nothing."""
        engine, self._engine = self._engine, None
        try:
            if engine is not None:
                # A write under way has the connection, and `dispose` would leave it alone, as it does one that hangs.
                with suppress(TimeoutError):
                    async with asyncio.timeout(_ENDS_WITHIN), self._writer:
                        pass
                await engine.dispose()
            await self._thread.run(self._watch.close)
        except (SQLAlchemyError, OSError, Error) as error:
            raise sqlite.unavailable(error) from error
        finally:
            self._thread.close()

    async def ping(self) -> None:
        """Prove that the file can be read and written."""
        async with self._write() as connection:
            await connection.execute(select(credentials.c.customer_id).limit(1))
            await connection.rollback()
        # The lock lives in shared memory, which may be granted after the disk went read-only or the file was moved.
        if not await self._thread.run(partial(sqlite.is_writable, self._path)):
            raise StoreUnavailable(sqlite.NOT_WRITABLE)

    async def listen(self, heard: Callable[[], None]) -> None:
        """Return: a file tells nobody of what is written to it."""

    async def with_password(self, customer_ids: Collection[str]) -> frozenset[str]:
        """Return those of the customers that have a password."""
        wanted = list(frozenset(customer_ids))
        size = 1 if len(wanted) == 1 else _AT_ONCE
        found: set[str] = set()
        for start in range(0, len(wanted), size):
            chunk = wanted[start : start + size]
            given = {f"wanted_{at}": chunk[at % len(chunk)] for at in range(size)}
            found.update(customer_id for (customer_id,) in await self._ask(_with_password(size), **given))
        return frozenset(found)

    async def _ask(self, question: Select[Any], **given: Any) -> list[list[Any]]:
        """Ask in one step of the store's thread; no writer holds it up."""
        asked = self._asked(question, _DIALECT)
        try:
            return asked.rows(await self._thread.run(partial(self._watch.select, asked.sql, asked.values(given))))
        except Error as error:
            raise sqlite.unavailable(error) from error

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        """Lend a transaction that holds the write lock from its begin and is on the disk at the end of the block."""
        self._opened()
        try:
            # Without a limit every writer behind a stuck one would wait its own turn out on top of the others'.
            async with asyncio.timeout(sqlite.BUSY_SECONDS):
                await self._writer.acquire()
        except TimeoutError as error:
            raise StoreUnavailable("SQLite: other writes take too long") from error
        try:
            await self._thread.run(self._watch.check)
            async with self._opened().connect() as connection:
                yield await connection.execution_options(**sqlite.WRITING)
                await connection.commit()
        except (SQLAlchemyError, OSError) as error:
            raise sqlite.unavailable(error) from error
        finally:
            self._writer.release()

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            raise StoreUnavailable("SQLite: the store is not open")
        return self._engine


@cache
def _with_password(count: int) -> Select[Any]:
    wanted = [bindparam(f"wanted_{at}", type_=Words()) for at in range(count)]
    return select(credentials.c.customer_id).where(credentials.c.customer_id.in_(wanted))
