"""Password work, counted in this process and, where the store can, by all who share it together.

Both must let one pass. This process counts all the same what the store counts, so that it can go on alone: while the
store fails, or is slow, its own limits hold, and nothing is open.
"""

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import Final, NamedTuple

from gateway.stores.ports import Attempt, Count, Quota, SessionStore, StoreUnavailable
from gateway.tokens.throttle import Counted, Limit, Throttle, Wait
from gateway.vocab.events import CountedAlone, Emit, Lifecycle
from gateway.wire.counting import network

# A store that could not count is not asked for so long: a login waits once for one that stands still; seconds.
_PAUSE: Final = 1.0
# Many thousand attempts come in that time, and the table is bounded at its end; seconds.
_SWEPT_EVERY: Final = 30.0
_MICROSECONDS: Final = 1_000_000
# A hundred years: beyond it no number of the store's would hold the time.
_LONGEST: Final = 36_525 * 86_400 * _MICROSECONDS


class Together:
    """The count of all who share the store, as long as that can be asked. `clock` is monotonic, in seconds."""

    def __init__(self, store: SessionStore, clock: Callable[[], float], emit: Emit) -> None:
        self._store = store
        self._clock = clock
        self._emit = emit
        self._alone_until = -math.inf
        self._is_alone = False

    async def count(self, attempt: Attempt) -> Count | None:
        """Count an attempt; None where nobody else does, or the store cannot now."""
        if self._clock() >= self._alone_until:
            try:
                count = await self._store.count(attempt)
            except StoreUnavailable as error:
                self._alone_until = self._clock() + _PAUSE
                self._tell(str(error), is_alone=True)
            else:
                self._tell("", is_alone=False)
                return count
        self._emit(CountedAlone())
        return None

    async def give_back(self, attempt: Attempt, *, is_right: bool) -> None:
        """Take an attempt back that was counted; one that cannot be is forgotten with time."""
        with suppress(StoreUnavailable):
            await self._store.give_back(attempt, is_right=is_right)

    async def run(self, every: float = _SWEPT_EVERY) -> None:
        """Have removed what is counted no more, again and again, until cancelled."""
        while True:
            await asyncio.sleep(every)
            with suppress(StoreUnavailable):
                await self._store.sweep()

    def _tell(self, why: str, *, is_alone: bool) -> None:
        if is_alone is not self._is_alone:
            self._is_alone = is_alone
            who = "each process for itself" if is_alone else "together again"
            self._emit(Lifecycle(f"attempts at passwords are counted {who}", why))


class Reserved(NamedTuple):
    """An attempt that may be looked at, and what the store counted of it."""

    account: str
    address: str
    by_address: bool
    counted: Attempt | None


class Attempts:
    """Lets so many attempts pass. What is counted as one `kind` has no bucket with what is counted as another.

    `counted` is what this process has counted of the kind before. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        kind: str,
        account: Limit,
        address: Limit,
        counted: Counted,
        together: Together,
        clock: Callable[[], float],
    ) -> None:
        self._kind = kind
        self._account = account
        self._address = address
        self._own = Throttle(account, address, counted)
        self._together = together
        self._clock = clock

    async def reserve(self, account: str, address: str, *, by_address: bool = True) -> Reserved | Wait:
        """Count one attempt against both, or say how long to wait; an account without a name is not counted.

        An address that has used up its own here is told so at once. For an account the store is asked all the same:
        whether it has attempts left shows in no time that an answer takes.
        """
        address = network(address)
        if by_address and (wait := self._own.enter(address, self._clock())) is not None:
            return wait
        attempt = self._attempt(account, address, by_address=by_address)
        count = await self._together.count(attempt)
        if count is not None:
            if count.by_address:
                return Wait(_seconds(count.by_address), by_account=False)
            if count.is_known:
                self._own.know(account, address)
                attempt = attempt._replace(account=attempt.account._replace(key=attempt.place))
            if count.by_account:
                return Wait(_seconds(count.by_account), by_account=True)
        if account and (wait := self._own.guess(account, address, self._clock())) is not None:
            return wait
        return Reserved(account, address, by_address, None if count is None else attempt)

    async def give_back(self, reserved: Reserved, *, is_right: bool = False) -> None:
        """Give an attempt back of which nothing was learned, or that `is_right`: then its address is known.

        Earlier failures stay counted.
        """
        self._own.give_back(reserved.account, reserved.address, by_address=reserved.by_address)
        if is_right:
            self._own.know(reserved.account, reserved.address)
        if reserved.counted is not None:
            await self._together.give_back(reserved.counted, is_right=is_right)

    def _attempt(self, account: str, address: str, *, by_address: bool) -> Attempt:
        of_address = self._key("address", address) if by_address else b""
        of_account = self._key("account", account) if account else b""
        place = self._key("place", account, address)
        return Attempt(_quota(of_address, self._address), _quota(of_account, self._account), place)

    def _key(self, *words: str) -> bytes:
        """Return a digest of fixed length; no word can hold what stands between two."""
        return sha256("\0".join((self._kind, *words)).encode("utf-8", "surrogatepass")).digest()


def _quota(key: bytes, limit: Limit) -> Quota:
    interval = max(1, min(round(60 * _MICROSECONDS / limit.per_minute), _LONGEST // limit.burst))
    return Quota(key, interval, interval * limit.burst)


def _seconds(microseconds: int) -> int:
    return math.ceil(microseconds / _MICROSECONDS)
