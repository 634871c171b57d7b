"""Passwords in a store, and what argon2 alone allows: `python -m bench.passwords SECONDS` counts verifications."""

import asyncio
import sys
import time
from collections.abc import Iterable

import argon2

from gateway.config.customers import Hashing
from gateway.stores import open_store, upgrade

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
