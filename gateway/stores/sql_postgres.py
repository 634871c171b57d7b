"""The credential store in PostgreSQL, which many replicas share.

The queries are those of `queries`; here is what is PostgreSQL's own. `schema_postgres.upgrade` creates the tables.
"""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import BigInteger, Select, any_, bindparam, cast, extract, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.stores import attempts, channel, postgres
from gateway.stores.ports import Attempt, Count, StoreUnavailable
from gateway.stores.postgres_url import read_place
from gateway.stores.queries import Queries
from gateway.stores.schema import Words, credentials, login_attempts, login_places, metadata

COUNT_SECONDS: Final = 0.5
"""Logins do without its count when it takes longer: the store may take as long as ever after that."""


class PostgresCredentialStore(Queries):
    """`CredentialStore` in the PostgreSQL database that the URL names."""

    _insert = staticmethod(insert)
    _time = cast(extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)

    def __init__(self, url: str, notify_url: str | None = None, count_seconds: float = COUNT_SECONDS) -> None:
        """Make it, not yet open. `notify_url` leads to the same server without a pooler between."""
        super().__init__()
        self._place, self._count_seconds = read_place(url), count_seconds
        self._notify_place = read_place(notify_url or url)

    async def open(self) -> None:
        """Connect, and prove that the database can be read and written."""
        self._engine = postgres.make_engine(self._place)
        try:
            await self.ping()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let go of all connections; a second call does nothing."""
        engine, self._engine = self._engine, None
        if engine is not None:
            try:
                await engine.dispose()
            except postgres.FAILURES as error:
                raise postgres.unavailable(error) from None

    async def ping(self) -> None:
        """Prove that the database can be read and that the role may write; one round trip."""
        ((read_only, *granted),) = await self._ask(_MAY)
        if read_only != "off" or not all(granted):
            raise StoreUnavailable("PostgreSQL: the role or the server may not write")

    async def listen(self, heard: Callable[[], None]) -> None:
        """Call `heard` for all news of log-outs, until the channel is dead. Raises StoreUnavailable."""
        await channel.listen(self._notify_place, heard)

    async def _announce(self, connection: AsyncConnection) -> None:
        # The server sends it with the commit, and of several in a transaction one.
        await connection.execute(select(func.pg_notify(channel.NAME, "")))

    async def with_password(self, customer_ids: Collection[str]) -> frozenset[str]:
        """Return those of the customers that have a password."""
        wanted = list(frozenset(customer_ids))
        return frozenset(customer_id for (customer_id,) in await self._ask(_WITH_PASSWORD, wanted=wanted))

    async def _ask(
        self, question: Select[Any], within: float = postgres.ANSWER_SECONDS, **given: Any
    ) -> list[list[Any]]:
        """Ask outside of any transaction, which would be two more round trips."""
        asked = self._asked(question, self._opened().dialect)
        return asked.rows(await postgres.fetch(self._opened(), asked.sql, asked.values(given), within))

    async def count(self, attempt: Attempt) -> Count | None:
        """Count an attempt unless it is one too many; one round trip.

        It is the first that is asked for it: if the server stands still, what is asked next waits for the rest.
        """
        postgres.wait_once()
        (row,) = await self._ask(attempts.COUNTED, self._count_seconds, **attempts.values(attempt))
        return Count(*row[:3])

    async def give_back(self, attempt: Attempt, *, is_right: bool) -> None:
        """Take an attempt back that was counted, and know its place where the password `is_right`; one round trip."""
        statement = attempts.KNOWN if is_right else attempts.GIVEN_BACK
        await self._ask(statement, self._count_seconds, **attempts.values(attempt))

    async def sweep(self, most: int = 0) -> None:
        """Remove what is counted no more, and what is left above so many."""
        for table in (login_attempts, login_places):
            swept = attempts.AT_ONCE
            while swept == attempts.AT_ONCE:
                async with self._write() as connection:
                    swept = (await connection.execute(attempts.swept(table, most or attempts.MOST))).rowcount

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        async with postgres.lent(self._opened(), "READ COMMITTED") as connection:
            yield connection
            await connection.commit()

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            raise StoreUnavailable("PostgreSQL: the store is not open")
        return self._engine


_RIGHTS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")
_MAY: Final = select(
    func.current_setting("transaction_read_only"),
    *(func.has_table_privilege(table, right) for table in metadata.tables for right in _RIGHTS),
)
# One parameter, however many they are: each number of them would be a statement of its own to prepare.
_WANTED: Final = bindparam("wanted", type_=ARRAY(Words()))
_WITH_PASSWORD: Final = select(credentials.c.customer_id).where(credentials.c.customer_id == any_(_WANTED))
