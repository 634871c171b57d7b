"""What a store keeps of sessions: each customer's number and version, who is blocked, and the log-outs, in order.

All numbers come from one counter: those of customers, of sessions and of log-outs. It is the store's time in
microseconds, or more where that stood still or went back, so that no number is given twice even after a backup was put
in the store's place. Who takes a number for a log-out holds the counter until that is on the disk: whoever has seen a
log-out has seen all that are less.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Select, Table, bindparam, case, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.stores.asked import Asked
from gateway.stores.ports import Account, Attempt, Count, LogOut, News
from gateway.stores.schema import Words, credentials, customers, log_outs, numbers

_EVERYBODY: Final = 0
_SECOND: Final = 1_000_000
# So many rows are deleted at once: a second's work would hold up who writes.
_AT_ONCE: Final = 5_000


class SessionQueries:
    """What a `SessionStore` asks and says, in words that every dialect has; kinds of stores lend the connections."""

    # Each dialect has its own, with the same ways to meet a row that is there.
    _insert: Callable[[Table], Any]
    # The store's time in microseconds.
    _time: ColumnElement[int]

    def __init__(self) -> None:
        """Make it, not yet open."""
        self._engine: AsyncEngine | None = None
        self._asked: Final = cache(Asked)
        self._now: Final = select(self._time)

    def _write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Lend a transaction that is on the disk at the end of the block."""
        raise NotImplementedError

    async def _ask(self, question: Select[Any], **given: Any) -> list[list[Any]]:
        """Ask what was put together once, and return the rows; no writer holds it up."""
        raise NotImplementedError

    async def _announce(self, connection: AsyncConnection) -> None:
        """Have those told of a log-out who listen, once it is on the disk."""

    async def take_numbers(self, count: int) -> int:
        """Return the first of so many numbers that nobody else gets."""
        async with self._write() as connection:
            return await self._take(connection, count) - count + 1

    async def account(self, customer_id: str) -> Account:
        """Return what a login must know of a customer."""
        _, account = await self.credential(customer_id)
        return account

    async def credential(self, customer_id: str) -> tuple[str | None, Account]:
        """Return the customer's password hash, if any, and what `account` would, in one round trip."""
        (row,) = await self._ask(_CREDENTIAL, asked=customer_id)
        return _account(customer_id, *row)

    async def _looked_up(self, connection: AsyncConnection, customer_id: str) -> tuple[str | None, Account]:
        return _account(customer_id, *(await connection.execute(_CREDENTIAL, {"asked": customer_id})).one())

    async def enrol(self, customer_id: str, number: int) -> int:
        """Give a customer a number, unless there is one already; returns the customer's."""
        async with self._write() as connection:
            await connection.execute(self._enrol(customer_id, number))
            found = await connection.scalar(select(customers.c.number).where(customers.c.customer_id == customer_id))
            return int(found or number)

    async def latest(self) -> int:
        """Return a number that no log-out exceeds which is on the disk by now, and every later one does."""
        return next((int(last) for (last,) in await self._ask(_LATEST)), 0)

    async def log_out(self, customer_id: str) -> None:
        """End all sessions of a customer."""
        async with self._write() as connection:
            await self._log_out(connection, customer_id)

    async def log_out_session(self, session: int) -> None:
        """End the session of this number."""
        async with self._write() as connection:
            await self._record(connection, session, await self._take(connection, 1), None)

    async def log_out_everybody(self) -> None:
        """End all sessions of all customers."""
        async with self._write() as connection:
            await self._record(connection, _EVERYBODY, await self._take(connection, 1), None)

    async def block(self, customer_id: str) -> None:
        """End all sessions of a customer, and let none begin."""
        async with self._write() as connection:
            await self._log_out(connection, customer_id)
            mine = customers.c.customer_id == customer_id
            await connection.execute(update(customers).where(mine).values(is_blocked=True))

    async def unblock(self, customer_id: str) -> None:
        """Let sessions of a customer begin again; those that were ended stay so."""
        async with self._write() as connection:
            mine = customers.c.customer_id == customer_id
            await connection.execute(update(customers).where(mine).values(is_blocked=False))

    async def news(self, after: int, most: int) -> News:
        """Return the log-outs after the version `after`, at most so many, the least version first."""
        rows = await self._ask(_NEWS, after=after, most=most)
        found = [LogOut(number, version, name) for _, number, version, name in rows if number is not None]
        return News(rows[0][0] if rows else 0, found)

    async def log_outs(self, since: int, after: int, most: int) -> Sequence[tuple[int, int]]:
        """Return number and version of log-outs with a version of `since` or more, in the order of their numbers.

        Only numbers above `after`, and at most so many.
        """
        found = await self._ask(_LOG_OUTS, since=since, after=max(after, _EVERYBODY), most=most)
        return [(number, version) for number, version in found]

    async def names(self, since: int, most: int) -> Sequence[str]:
        """Return the customers who were logged out everywhere in a version of `since` or more, at most so many."""
        return [name for (name,) in await self._ask(_NAMES, since=since, most=most)]

    async def everybody(self) -> int:
        """Return the version of the last log-out of all customers; 0 where there was none."""
        return next((int(version) for (version,) in await self._ask(_EVERYBODYS)), 0)

    async def version_before(self, seconds: float) -> int:
        """Return the version that a log-out would have had so many seconds ago."""
        ((now,),) = await self._ask(self._now)
        return max(0, int(now) - int(seconds * _SECOND))

    async def drop_log_outs(self, before: int) -> None:
        """Remove the log-outs with a version less than this, but for that of all customers, which is one."""
        old = select(log_outs.c.number).where(log_outs.c.version < before, log_outs.c.number != _EVERYBODY)
        statement = delete(log_outs).where(log_outs.c.number.in_(old.limit(_AT_ONCE)))
        dropped = _AT_ONCE
        while dropped == _AT_ONCE:
            async with self._write() as connection:
                dropped = (await connection.execute(statement)).rowcount

    async def count(self, attempt: Attempt) -> Count | None:
        """Count nothing; the kind of store that counts says how."""

    async def give_back(self, attempt: Attempt, *, is_right: bool) -> None:
        """Nothing was counted."""

    async def sweep(self, most: int = 0) -> None:
        """Nothing was counted."""

    async def _take(self, connection: AsyncConnection, count: int) -> int:
        """Return the last of so many numbers. The counter is held until the transaction ends."""
        next_one = numbers.c.last + count
        statement = (
            self._insert(numbers)
            .values(id=1, last=self._time + count)
            .on_conflict_do_update(
                index_elements=[numbers.c.id],
                set_={"last": case((next_one > self._time, next_one), else_=self._time)},
            )
            .returning(numbers.c.last)
        )
        return int((await connection.execute(statement)).scalar_one())

    async def _log_out(self, connection: AsyncConnection, customer_id: str) -> None:
        version = await self._take(connection, 1)
        # For a customer without a number it is one, too: nobody else has it.
        statement = (
            self._insert(customers)
            .values(customer_id=customer_id, number=version, version=version, is_blocked=False)
            .on_conflict_do_update(index_elements=[customers.c.customer_id], set_={"version": version})
            .returning(customers.c.number)
        )
        number = (await connection.execute(statement)).scalar_one()
        await self._record(connection, number, version, customer_id)

    async def _record(self, connection: AsyncConnection, number: int, version: int, customer_id: str | None) -> None:
        statement = (
            self._insert(log_outs)
            .values(number=number, version=version, customer_id=customer_id)
            .on_conflict_do_update(index_elements=[log_outs.c.number], set_={"version": version})
        )
        await connection.execute(statement)
        await self._announce(connection)

    def _enrol(self, customer_id: str, number: int) -> Any:
        fresh = self._insert(customers).values(customer_id=customer_id, number=number, version=0, is_blocked=False)
        return fresh.on_conflict_do_nothing()


def _credential() -> Select[Any]:
    asked = select(bindparam("asked", type_=Words()).label("customer_id")).subquery()
    places = asked.outerjoin(credentials, credentials.c.customer_id == asked.c.customer_id)
    places = places.outerjoin(customers, customers.c.customer_id == asked.c.customer_id)
    account = customers.c.number, customers.c.version, customers.c.is_blocked
    return select(credentials.c.password_hash, *account, _EVERYBODYS.scalar_subquery()).select_from(places)


def _account(customer_id: str, stored: str | None, *account: Any) -> tuple[str | None, Account]:
    number, version, is_blocked, everybody = account
    return stored, Account(customer_id, number, max(version or 0, everybody or 0), bool(is_blocked))


def _news() -> Select[Any]:
    later = numbers.outerjoin(log_outs, log_outs.c.version > _AFTER)
    columns = numbers.c.last, log_outs.c.number, log_outs.c.version, log_outs.c.customer_id
    return select(*columns).select_from(later).order_by(log_outs.c.version).limit(_MOST)


_AFTER, _SINCE, _MOST = (bindparam(name, type_=BigInteger()) for name in ("after", "since", "most"))
_EVERYBODYS: Final = select(log_outs.c.version).where(log_outs.c.number == _EVERYBODY)
_CREDENTIAL: Final = _credential()
_LATEST: Final = select(numbers.c.last)
_NEWS: Final = _news()
_SINCE_THEN: Final = log_outs.c.version >= _SINCE
_LOG_OUTS: Final = (
    select(log_outs.c.number, log_outs.c.version)
    .where(_SINCE_THEN, log_outs.c.number > _AFTER)
    .order_by(log_outs.c.number)
    .limit(_MOST)
)
_NAMES: Final = select(log_outs.c.customer_id).where(_SINCE_THEN, log_outs.c.customer_id.is_not(None)).limit(_MOST)
