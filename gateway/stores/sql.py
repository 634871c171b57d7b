"""The credential store in an SQL database, through SQLAlchemy: the queries, and the SQLite file.

What is PostgreSQL's own is in `sql_postgres`. It does not create tables: `schema.upgrade` does, before the event loop
serves.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from sqlite3 import Error
from typing import Any

from sqlalchemy import Table, delete, func, literal, or_, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.stores import sqlite
from gateway.stores.location import sqlite_path
from gateway.stores.ports import Registration, StoreUnavailable
from gateway.stores.schema import Words, credentials, emails, registrations
from gateway.stores.thread import StoreThread
from gateway.stores.watch import FileWatch, Mark

_POOL_SIZE = 5
"""Connections, each with a thread of its own: one writes, the others read."""

_PARAMETER_LIMIT = 32_766
"""How many bind parameters one statement may carry (SQLITE_MAX_VARIABLE_NUMBER, sqlite.org/limits.html 9)."""


class Queries:
    """What a `CredentialStore` asks and says, in words that every dialect has; kinds of stores lend the connections."""

    # Each dialect has its own, with the same ways to meet a row that is there.
    _insert: Callable[[Table], Any] = staticmethod(insert)

    def __init__(self) -> None:
        """Make it, not yet open."""
        self._engine: AsyncEngine | None = None

    def _read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Lend a connection for single SELECTs, which no writer holds up."""
        raise NotImplementedError

    def _write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Lend a transaction that is on the disk at the end of the block."""
        raise NotImplementedError

    async def password_hash(self, customer_id: str) -> str | None:
        """Return the customer's password hash, or None for a customer without password."""
        query = select(credentials.c.password_hash).where(credentials.c.customer_id == customer_id)
        async with self._read() as connection:
            return await connection.scalar(query)

    async def set_password(self, customer_id: str, password_hash: str) -> None:
        """Store the customer's password hash in place of any other."""
        values = {"password_hash": password_hash, "updated_at": func.current_timestamp()}
        statement = (
            self._insert(credentials)
            .values(customer_id=customer_id, **values)
            .on_conflict_do_update(index_elements=[credentials.c.customer_id], set_=values)
        )
        async with self._write() as connection:
            await connection.execute(statement)

    async def rehash(self, customer_id: str, old_hash: str, new_hash: str) -> None:
        """Put the new hash in place of the old one; change nothing when another password was set meanwhile."""
        statement = (
            update(credentials)
            .where(credentials.c.customer_id == customer_id, credentials.c.password_hash == old_hash)
            .values(password_hash=new_hash, updated_at=func.current_timestamp())
        )
        async with self._write() as connection:
            await connection.execute(statement)

    async def forget(self, customer_id: str) -> None:
        """Remove the customer's password hash, and what is remembered of the customer's e-mails."""
        async with self._write() as connection:
            await connection.execute(delete(credentials).where(credentials.c.customer_id == customer_id))
            # An e-mail that somebody has in hand stays in hand.
            mine = emails.c.customer_id == customer_id
            await connection.execute(delete(emails).where(mine, emails.c.owner.is_(None)))
            await connection.execute(update(emails).where(mine).values(customer_id=None))

    async def claim(self, email: str, owner: str, now: float, deadline: float) -> bool:
        """Take an e-mail in hand until `deadline`; False while another owner's deadline is ahead."""
        values = {"owner": owner, "deadline": deadline}
        is_free = or_(
            emails.c.deadline.is_(None), emails.c.deadline <= now, emails.c.deadline > now + 2 * (deadline - now)
        )
        statement = (
            self._insert(emails)
            .values(email=email, **values)
            .on_conflict_do_update(index_elements=[emails.c.email], set_=values, where=is_free)
        )
        async with self._write() as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def renew(self, email: str, owner: str, deadline: float) -> None:
        """Put the owner's deadline off."""
        mine = emails.c.email == email, emails.c.owner == owner
        async with self._write() as connection:
            await connection.execute(update(emails).where(*mine).values(deadline=deadline))

    async def release(self, email: str, owner: str) -> None:
        """Let go of an e-mail, if it is the owner's."""
        mine = emails.c.email == email, emails.c.owner == owner
        async with self._write() as connection:
            await connection.execute(delete(emails).where(*mine, emails.c.customer_id.is_(None)))
            await connection.execute(update(emails).where(*mine).values(owner=None, deadline=None))

    async def known(self, email: str) -> str | None:
        """Return the id of whom the upstream showed with this e-mail last."""
        async with self._read() as connection:
            return await connection.scalar(select(emails.c.customer_id).where(emails.c.email == email))

    async def remember(self, email: str, customer_id: str) -> None:
        """Keep whom the upstream showed with this e-mail."""
        async with self._write() as connection:
            await connection.execute(self._remember(email, customer_id))

    async def begin(self, registration: Registration) -> bool:
        """Keep the intent; False, and nothing changed, when one with its e-mail (or id) is there already."""
        statement = self._insert(registrations).values(_row(registration)).on_conflict_do_nothing()
        async with self._write() as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def pending(self, email: str) -> Registration | None:
        """Return the registration under way for this canonical e-mail."""
        async with self._read() as connection:
            row = (await connection.execute(select(registrations).where(registrations.c.email == email))).one_or_none()
        return None if row is None else Registration(**row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for it

    async def standing(self, email: str) -> tuple[Registration | None, str | None]:
        """Return what `pending` and `known` would, in one round trip."""
        asked = select(literal(email, Words()).label("email")).subquery()
        places = asked.outerjoin(registrations, registrations.c.email == asked.c.email)
        places = places.outerjoin(emails, emails.c.email == asked.c.email)
        query = select(emails.c.customer_id.label("known"), *registrations.c).select_from(places)
        async with self._read() as connection:
            known, *row = (await connection.execute(query)).one()
        return (None if row[0] is None else Registration(*row)), known

    async def replace(self, old_id: str, registration: Registration) -> bool:
        """Put the registration in place of the one with `old_id`; False, and nothing changed, when that is gone."""
        statement = update(registrations).where(registrations.c.id == old_id).values(_row(registration))
        async with self._write() as connection:
            try:
                return (await connection.execute(statement)).rowcount == 1
            except IntegrityError:
                # Its id or e-mail is another registration's. SQLite undid the statement.
                return False

    async def made(self, registration_id: str, customer_id: str | None) -> None:
        """Keep whom the upstream said it made for a registration, if that is there; None: it was not so."""
        mine = registrations.c.id == registration_id
        async with self._write() as connection:
            await connection.execute(update(registrations).where(mine).values(customer_id=customer_id))
            email = await connection.scalar(select(registrations.c.email).where(mine))
            if email is not None:
                await connection.execute(self._remember(email, customer_id))

    async def settle(self, registration_id: str, customer_id: str, password_hash: str) -> bool:
        """End the registration and give the customer its password, in one step, unless the customer has one already.

        Returns whether the password now stored is this one.
        """
        fresh = (
            self._insert(credentials)
            .values(customer_id=customer_id, password_hash=password_hash, updated_at=func.current_timestamp())
            .on_conflict_do_nothing()
        )
        stored = select(credentials.c.password_hash).where(credentials.c.customer_id == customer_id)
        async with self._write() as connection:
            await connection.execute(delete(registrations).where(registrations.c.id == registration_id))
            await connection.execute(fresh)
            return await connection.scalar(stored) == password_hash

    async def abandon(self, registration_id: str) -> None:
        """Remove the registration, if it is there."""
        async with self._write() as connection:
            await connection.execute(delete(registrations).where(registrations.c.id == registration_id))

    async def purge(self, before: float) -> None:
        """Remove the registrations that started, and the claims that ended, before this time."""
        async with self._write() as connection:
            await connection.execute(delete(registrations).where(registrations.c.started_at < before))
            is_left = emails.c.deadline < before, emails.c.customer_id.is_(None)
            await connection.execute(delete(emails).where(*is_left))

    def _remember(self, email: str, customer_id: str | None) -> Any:
        values = {"customer_id": customer_id}
        fresh = self._insert(emails).values(email=email, **values)
        return fresh.on_conflict_do_update(index_elements=[emails.c.email], set_=values)


class SqlCredentialStore(Queries):
    """`CredentialStore` in the SQLite file that the URL names."""

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
            pool_size=_POOL_SIZE,
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

    async def with_password(self, customer_ids: Collection[str]) -> frozenset[str]:
        """Return those of the customers that have a password."""
        wanted = list(frozenset(customer_ids))
        if not wanted:
            return frozenset()
        found: set[str] = set()
        async with self._read() as connection:
            for start in range(0, len(wanted), _PARAMETER_LIMIT):
                chunk = wanted[start : start + _PARAMETER_LIMIT]
                query = select(credentials.c.customer_id).where(credentials.c.customer_id.in_(chunk))
                found.update(await connection.scalars(query))
        return frozenset(found)

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for single SELECTs, which no writer holds up."""
        if self._engine is None:
            raise StoreUnavailable("SQLite: the store is not open")
        try:
            async with self._engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise sqlite.unavailable(error) from error

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        """Lend a transaction that holds the write lock from its begin and is on the disk at the end of the block."""
        if self._engine is None:
            raise StoreUnavailable("SQLite: the store is not open")
        try:
            # Without a limit every writer behind a stuck one would wait its own turn out on top of the others'.
            async with asyncio.timeout(sqlite.BUSY_SECONDS):
                await self._writer.acquire()
        except TimeoutError as error:
            raise StoreUnavailable("SQLite: other writes take too long") from error
        try:
            await self._thread.run(self._watch.check)
            async with self._engine.connect() as connection:
                yield await connection.execution_options(**sqlite.WRITING)
                await connection.commit()
        except (SQLAlchemyError, OSError) as error:
            raise sqlite.unavailable(error) from error
        finally:
            self._writer.release()


def _row(registration: Registration) -> dict[str, str | float | None]:
    return {
        "id": registration.id,
        "email": registration.email,
        "name": registration.name,
        "password_hash": registration.password_hash,
        "started_at": registration.started_at,
        "customer_id": registration.customer_id,
    }
