"""Passwords in a store, and what argon2 alone allows: `python -m bench.passwords SECONDS` counts verifications."""

import asyncio
import sys
import time
from collections.abc import Iterable
from typing import Any

import argon2
from sqlalchemy import ColumnElement, String, Table, cast, false, func, insert, literal, select
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.config.customers import Hashing
from gateway.stores import open_store, upgrade
from gateway.stores.schema import credentials, customers, emails

PASSWORD = "the-right-password"  # noqa: S105 - of customers who live for a minute


def hasher() -> argon2.PasswordHasher:
    """Return what hashes as the configuration's defaults say."""
    options = Hashing()
    return argon2.PasswordHasher(options.passes, options.memory // 1024, options.lanes, type=argon2.Type.ID)


async def keep_passwords(store_url: str, ids: Iterable[str]) -> None:
    """Give customers one and the same password, in a store that is made where there is none."""
    await asyncio.to_thread(upgrade, store_url)
    hashed = hasher().hash(PASSWORD)
    store = open_store(store_url)
    await store.open()
    for customer_id in ids:
        await store.set_password(customer_id, hashed)
    await store.close()


async def fill(store_url: str, count: int) -> None:
    """Add so many customers who have a password and never come, with what a store keeps of each."""
    first = select(literal(1).label("number")).cte("counted", recursive=True)
    counted = first.union_all(select(first.c.number + 1).where(first.c.number < count))
    customer_id = literal("absent-").concat(cast(counted.c.number, String))
    nothing = literal(0)
    rows: dict[Table, dict[str, ColumnElement[Any]]] = {
        credentials: {
            "customer_id": customer_id,
            "password_hash": literal(hasher().hash(PASSWORD)),
            "updated_at": func.current_timestamp(),
        },
        customers: {
            "customer_id": customer_id,
            "number": counted.c.number,
            "version": nothing,
            "is_blocked": false(),
        },
        emails: {"email": customer_id.concat("@bench.example"), "customer_id": customer_id},
    }
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    scheme, _, place = store_url.partition(":")
    engine = create_async_engine(f"{drivers[scheme]}:{place}")
    async with engine.begin() as connection:
        for table, values in rows.items():
            await connection.execute(insert(table).from_select([*values], select(*values.values())))
    await engine.dispose()


def verifications(seconds: float) -> float:
    """Verify a right password again and again in this thread; return how many times a second."""
    made = hasher()
    hashed = made.hash(PASSWORD)
    count, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds:
        made.verify(hashed, PASSWORD)
        count += 1
    return count / elapsed


if __name__ == "__main__":
    print(verifications(float(sys.argv[1])))
