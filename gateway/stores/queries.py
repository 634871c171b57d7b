"""What a store in an SQL database asks and says, through SQLAlchemy; who lends the connections is each kind's own.

It does not create tables: `schema.upgrade` does, before the event loop serves.
"""

from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import ColumnElement, Double, Select, Update, bindparam, cast, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.stores.ports import Registration, Reset
from gateway.stores.schema import Words, credentials, emails, password_resets, registrations
from gateway.stores.sessions import SessionQueries


class Queries(SessionQueries):
    """What a `CredentialStore` asks and says, in words that every dialect has; kinds of stores lend the connections."""

    async def password_hash(self, customer_id: str) -> str | None:
        """Return the customer's password hash, or None for a customer without password."""
        return next((stored for (stored,) in await self._ask(_PASSWORD_HASH, asked=customer_id)), None)

    async def set_password(self, customer_id: str, password_hash: str) -> None:
        """Store the customer's password hash in place of any other, and end all sessions."""
        values = {"password_hash": password_hash, "updated_at": func.current_timestamp()}
        statement = (
            self._insert(credentials)
            .values(customer_id=customer_id, **values)
            .on_conflict_do_update(index_elements=[credentials.c.customer_id], set_=values)
        )
        async with self._write() as connection:
            await connection.execute(statement)
            await self._log_out(connection, customer_id)

    async def replace_password(self, customer_id: str, old_hash: str | None, new_hash: str) -> bool:
        """Put the new hash in place of the old one, or of none, and end all sessions; False where it is not there."""
        async with self._write() as connection:
            return await self._replace(connection, customer_id, old_hash, new_hash)

    async def rehash(self, customer_id: str, old_hash: str, new_hash: str) -> None:
        """Put the new hash in place of the old one; change nothing when another password was set meanwhile."""
        async with self._write() as connection:
            await connection.execute(_in_place(customer_id, old_hash, new_hash))

    async def forget(self, customer_id: str) -> None:
        """Remove the customer's password hash and what is remembered of the e-mails, and end all sessions."""
        async with self._write() as connection:
            await connection.execute(delete(credentials).where(credentials.c.customer_id == customer_id))
            # An e-mail that somebody has in hand stays in hand.
            mine = emails.c.customer_id == customer_id
            await connection.execute(delete(emails).where(mine, emails.c.owner.is_(None)))
            await connection.execute(update(emails).where(mine).values(customer_id=None))
            # Last in every transaction, or two of them could wait for each other: the counter is held by it.
            await self._log_out(connection, customer_id)

    async def claim(self, email: str, owner: str, lease: float) -> bool:
        """Take an e-mail in hand for so many seconds; False while another owner has it."""
        values = {"owner": owner, "deadline": self._seconds + lease}
        until = emails.c.deadline
        is_free = or_(until.is_(None), until <= self._seconds, until > self._seconds + 2 * lease)
        statement = (
            self._insert(emails)
            .values(email=email, **values)
            .on_conflict_do_update(index_elements=[emails.c.email], set_=values, where=is_free)
        )
        async with self._write() as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def renew(self, email: str, owner: str, lease: float) -> None:
        """Have a claim last for so many seconds from now."""
        mine = emails.c.email == email, emails.c.owner == owner
        async with self._write() as connection:
            await connection.execute(update(emails).where(*mine).values(deadline=self._seconds + lease))

    async def release(self, email: str, owner: str) -> None:
        """Let go of an e-mail, if it is the owner's."""
        mine = emails.c.email == email, emails.c.owner == owner
        async with self._write() as connection:
            await connection.execute(delete(emails).where(*mine, emails.c.customer_id.is_(None)))
            await connection.execute(update(emails).where(*mine).values(owner=None, deadline=None))

    async def known(self, email: str) -> str | None:
        """Return the id of whom the upstream showed with this e-mail last."""
        return next((customer_id for (customer_id,) in await self._ask(_KNOWN, asked=email)), None)

    async def remember(self, email: str, customer_id: str) -> None:
        """Keep whom the upstream showed with this e-mail."""
        async with self._write() as connection:
            await connection.execute(self._remember(email, customer_id))

    async def begin(self, registration: Registration) -> bool:
        """Keep the intent; False, and nothing changed, when one with its e-mail (or id) is there already."""
        statement = self._insert(registrations).values(asdict(registration)).on_conflict_do_nothing()
        async with self._write() as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def pending(self, email: str) -> Registration | None:
        """Return the registration under way for this canonical e-mail."""
        return next((Registration(*row) for row in await self._ask(_PENDING, asked=email)), None)

    async def standing(self, email: str) -> tuple[Registration | None, str | None]:
        """Return what `pending` and `known` would, in one round trip."""
        ((known, *row),) = await self._ask(_STANDING, asked=email)
        return (None if row[0] is None else Registration(*row)), known

    async def replace(self, old_id: str, registration: Registration) -> bool:
        """Put the registration in place of the one with `old_id`; False, and nothing changed, when that is gone."""
        statement = update(registrations).where(registrations.c.id == old_id).values(asdict(registration))
        async with self._write() as connection:
            try:
                return (await connection.execute(statement)).rowcount == 1
            except IntegrityError:
                # Its id or e-mail is another registration's, and nothing is done.
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
        stored = select(credentials.c.password_hash).where(credentials.c.customer_id == customer_id)
        async with self._write() as connection:
            await connection.execute(delete(registrations).where(registrations.c.id == registration_id))
            await connection.execute(self._fresh(customer_id, password_hash))
            # Nearly every registration is followed by a login, which then need not.
            await connection.execute(self._enrol(customer_id, await self._take(connection, 1)))
            return await connection.scalar(stored) == password_hash

    async def abandon(self, registration_id: str) -> None:
        """Remove the registration, if it is there."""
        async with self._write() as connection:
            await connection.execute(delete(registrations).where(registrations.c.id == registration_id))

    async def keep_reset(self, customer_id: str, token_hash: str, email: str, expires_at: float) -> None:
        """Keep the customer's password reset in place of any other."""
        async with self._write() as connection:
            _, account = await self._looked_up(connection, customer_id)
            values = {"token_hash": token_hash, "email": email, "version": account.version, "expires_at": expires_at}
            fresh = self._insert(password_resets).values(customer_id=customer_id, **values)
            await connection.execute(
                fresh.on_conflict_do_update(index_elements=[password_resets.c.customer_id], set_=values)
            )

    async def reset(self, token_hash: str, now: float) -> Reset | None:
        """Return the password reset of this token that has not expired."""
        return next((Reset(*row) for row in await self._ask(_RESET, hashed=token_hash, now=now)), None)

    async def spend_reset(self, token_hash: str, now: float, password_hash: str) -> bool:
        """Spend a password reset, set the customer's password and end all sessions, in one step; False otherwise."""
        mine = password_resets.c.customer_id, password_resets.c.version
        spent = delete(password_resets).where(*_IS_GOOD).returning(*mine)
        async with self._write() as connection:
            row = (await connection.execute(spent, {"hashed": token_hash, "now": now})).one_or_none()
            if row is None:
                return False
            customer_id, version = row
            before, account = await self._looked_up(connection, customer_id)
            # A log-out everywhere, which every new password is, has made it worthless.
            if account.version != version:
                return False
            # In place of that one only: somebody may be setting another at this moment.
            return await self._replace(connection, customer_id, before, password_hash)

    async def purge(self, before: float) -> None:
        """Remove the registrations that started, and the claims and resets that ended, before this time."""
        async with self._write() as connection:
            await connection.execute(delete(registrations).where(registrations.c.started_at < before))
            is_left = emails.c.deadline < before, emails.c.customer_id.is_(None)
            await connection.execute(delete(emails).where(*is_left))
            await connection.execute(delete(password_resets).where(password_resets.c.expires_at < before))

    @property
    def _seconds(self) -> ColumnElement[float]:
        # The store's time, as epoch seconds.
        return cast(self._time * 1e-6, Double)

    async def _replace(self, connection: AsyncConnection, customer_id: str, old: str | None, new: str) -> bool:
        statement = self._fresh(customer_id, new) if old is None else _in_place(customer_id, old, new)
        is_set = (await connection.execute(statement)).rowcount == 1
        if is_set:
            await self._log_out(connection, customer_id)
        return is_set

    def _fresh(self, customer_id: str, password_hash: str) -> Any:
        values = {"password_hash": password_hash, "updated_at": func.current_timestamp()}
        return self._insert(credentials).values(customer_id=customer_id, **values).on_conflict_do_nothing()

    def _remember(self, email: str, customer_id: str | None) -> Any:
        values = {"customer_id": customer_id}
        fresh = self._insert(emails).values(email=email, **values)
        return fresh.on_conflict_do_update(index_elements=[emails.c.email], set_=values)


def _in_place(customer_id: str, old: str, new: str) -> Update:
    mine = credentials.c.customer_id == customer_id, credentials.c.password_hash == old
    return update(credentials).where(*mine).values(password_hash=new, updated_at=func.current_timestamp())


def _standing() -> Select[Any]:
    asked = select(_ASKED.label("email")).subquery()
    places = asked.outerjoin(registrations, registrations.c.email == asked.c.email)
    places = places.outerjoin(emails, emails.c.email == asked.c.email)
    return select(emails.c.customer_id.label("known"), *registrations.c).select_from(places)


_ASKED: Final = bindparam("asked", type_=Words())
_PASSWORD_HASH: Final = select(credentials.c.password_hash).where(credentials.c.customer_id == _ASKED)
_KNOWN: Final = select(emails.c.customer_id).where(emails.c.email == _ASKED)
_PENDING: Final = select(registrations).where(registrations.c.email == _ASKED)
_STANDING: Final = _standing()
_IS_GOOD: Final = (
    password_resets.c.token_hash == bindparam("hashed", type_=Words()),
    password_resets.c.expires_at > bindparam("now", type_=Double()),
)
_RESET: Final = select(password_resets.c.customer_id, password_resets.c.email).where(*_IS_GOOD)
