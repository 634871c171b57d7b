"""Opens sessions: gives each login its number, and each customer one at the first."""

import asyncio

from gateway.stores.ports import Account, SessionStore
from gateway.vocab.messages import Session

# A process that ends leaves the rest of its numbers unused: 2**63 microseconds are 292,000 years.
_AT_ONCE = 65_536


class Sessions:
    """Opens sessions with numbers that the store gives to this process, many at once."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._next = 0
        self._left = 0
        self._taking = asyncio.Lock()

    async def prepare(self) -> None:
        """Take numbers where there are none left; at the start too, so that no login waits. Raises StoreUnavailable."""
        async with self._taking:
            if not self._left:
                self._next, self._left = await self._store.take_numbers(_AT_ONCE), _AT_ONCE

    async def open(self, account: Account) -> Session:
        """Return a new session of a customer whose login was right. Raises StoreUnavailable.

        Its version is the one that the account had when the login was looked at: a log-out since then ends it.
        """
        number = account.number
        if number is None:
            number = await self._store.enrol(account.customer_id, await self._number())
        return Session(account.customer_id, number, account.version, await self._number())

    async def _number(self) -> int:
        while not self._left:
            await self.prepare()
        number = self._next
        self._next, self._left = number + 1, self._left - 1
        return number
