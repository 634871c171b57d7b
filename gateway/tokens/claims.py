"""Keeps an e-mail to one request at a time, over all processes that share the store.

Not every upstream refuses a second customer with the same e-mail, and with two nobody could log in. A claim lives as
long as the process that has it: it is put off while the request lasts, and ends by itself soon after a crash, so that
whoever repeats the request waits a moment and goes on.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from gateway.stores.ports import CredentialStore, StoreUnavailable
from gateway.vocab.refusals import Code, Refusal

LEASE = 3.0
"""Seconds for which a claim is good after a sign of life; another process waits as long for it."""

_SIGN_OF_LIFE = LEASE / 6
_POLL = 0.1
# Each holds a client's connection, and asks the store ten times a second.
_MOST_WAITING = 50


class Claims:
    """Claims of this process."""

    def __init__(self, store: CredentialStore) -> None:
        self._store = store
        # E-mails that a request of this process has in hand, or waits for.
        self._busy: set[str] = set()
        self._waiting = 0

    @asynccontextmanager
    async def alone(self, email: str) -> AsyncIterator[Refusal | None]:
        """Have an e-mail in hand; or REGISTRATION_PENDING where another request has.

        One of another process is waited for, at most as long as it could be dead without anybody knowing.
        """
        if email in self._busy:
            yield _pending()
            return
        self._busy.add(email)
        owner = uuid.uuid4().hex
        try:
            if not await self._claim(email, owner):
                yield _pending()
                return
            living = asyncio.get_running_loop().create_task(self._live(email, owner), name="claim of an e-mail")
            try:
                yield None
            finally:
                living.cancel()
                await asyncio.wait([living])
                # Where the store is down the claim ends by itself, and the request has its outcome all the same.
                with suppress(StoreUnavailable):
                    await self._store.release(email, owner)
        finally:
            self._busy.discard(email)

    async def _claim(self, email: str, owner: str) -> bool:
        if await self._try(email, owner):
            return True
        if self._waiting >= _MOST_WAITING:
            return False
        self._waiting += 1
        try:
            for _ in range(round(LEASE / _POLL) + 1):
                await asyncio.sleep(_POLL)
                if await self._try(email, owner):
                    return True
        finally:
            self._waiting -= 1
        return False

    async def _try(self, email: str, owner: str) -> bool:
        return await self._store.claim(email, owner, LEASE)

    async def _live(self, email: str, owner: str) -> None:
        while True:
            await asyncio.sleep(_SIGN_OF_LIFE)
            # A store that is down for a moment is no reason to stop: the request itself hears of it where it matters.
            with suppress(StoreUnavailable):
                await self._store.renew(email, owner, LEASE)


def _pending() -> Refusal:
    return Refusal(Code.REGISTRATION_PENDING, "another request has this e-mail in hand", retry_after=1)
