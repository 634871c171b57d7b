"""How much password work a process lets pass, per account and per client address: logins, and all other.

It keeps no clock and no lock: callers pass the time and use it from one thread.
"""

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, NamedTuple

from cachetools import Cache, LRUCache

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Wait:
    """An attempt that is not allowed: how many seconds until one is, and whether only the account is used up."""

    seconds: int
    by_account: bool


class Limit(NamedTuple):
    """A bucket: `burst` at once, then `per_minute`."""

    burst: int
    per_minute: float


# For each key the time at which its bucket is full again, and the limit by which it was counted.
_FullAt = LRUCache[Hashable, tuple[int, Limit]]


class Counted:
    """What was counted, and goes on to be under other limits.

    At most `max_keys` accounts and as many addresses are remembered. Beyond that the key not seen for the longest time
    is forgotten, which means that it has its full burst again. Only an allowed attempt makes a key, so forgetting costs
    an attacker `max_keys` allowed attempts, each counted against an address; and accounts and addresses are kept
    apart, so that a flood of addresses makes no account forgotten. An attacked key is seen and stays.
    """

    def __init__(self, max_keys: int) -> None:
        self.accounts: Final[_FullAt] = LRUCache(max_keys)
        self.addresses: Final[_FullAt] = LRUCache(max_keys)
        self.known: Final[LRUCache[tuple[str, str], None]] = LRUCache(max_keys)


class Throttle:
    """Token buckets for accounts and addresses (GCRA: one number per key, the time at which its bucket is full again).

    An address from which an account has logged in has a bucket of its own for it: guesses from elsewhere cannot lock
    the customer out there. What a trusted client sends is not counted `by_address`: it comes from one for many.

    An address stands for all that share it (`wire/counting.py`), as whoever asks has found out. `now` may be any clock
    in seconds that does not jump; a monotonic one is best.
    """

    def __init__(self, account: Limit, address: Limit, counted: Counted) -> None:
        self._accounts = _Buckets(account, counted.accounts)
        self._addresses = _Buckets(address, counted.addresses)
        self._known = counted.known

    def enter(self, address: str, now: float) -> Wait | None:
        """Count one attempt against the address, or say how long to wait.

        An account that is used up costs the address its attempt all the same: the answer is work too.
        """
        seconds = self._addresses.take(address, now)
        return Wait(seconds, by_account=False) if seconds else None

    def guess(self, account: str, address: str, now: float) -> Wait | None:
        """Count one attempt against the account, or say how long to wait."""
        seconds = self._accounts.take(self._key(account, address), now)
        return Wait(seconds, by_account=True) if seconds else None

    def give_back(self, account: str, address: str, *, by_address: bool = True) -> None:
        """Give one attempt back on both, where nothing was learned about the password, or it was right."""
        self._accounts.give_back(self._key(account, address))
        if by_address:
            self._addresses.give_back(address)

    def know(self, account: str, address: str) -> None:
        """Know an address from which a login succeeded. Earlier failures stay counted."""
        self._known[account, address] = None

    def _key(self, account: str, address: str) -> tuple[str, ...]:
        place = (account, address)
        return place if place in self._known else (account,)


class _Buckets:
    """Buckets of one kind. Times are whole nanoseconds: sums of floats drift, and then refuse the last of a burst."""

    def __init__(self, limit: Limit, full_at: _FullAt) -> None:
        if limit.burst < 1 or not 0 < limit.per_minute < math.inf:
            raise ValueError("a throttle needs a burst and a rate above zero")
        self._limit = limit
        self._interval = _interval(limit)
        self._capacity = self._interval * limit.burst
        self._full_at = full_at

    def take(self, key: Hashable, now: float) -> int:
        """Count one attempt and return 0, or return the seconds until there is one."""
        time = round(now * _NANOSECONDS)
        full_at = max(self._found(key, time), time) + self._interval
        if full_at - self._capacity > time:
            return math.ceil((full_at - self._capacity - time) / _NANOSECONDS)
        self._full_at[key] = full_at, self._limit
        return 0

    def give_back(self, key: Hashable) -> None:
        """Undo one attempt, if the key is still remembered."""
        if key in self._full_at:
            # By the methods of the base class, which know no order: a key is seen when somebody tries, not now.
            full_at, limit = Cache.__getitem__(self._full_at, key)
            Cache.__setitem__(self._full_at, key, (full_at - _interval(limit), limit))

    def _found(self, key: Hashable, time: int) -> int:
        """Return when a bucket is full; one that another limit has counted has as many attempts taken by this one."""
        full_at, limit = self._full_at.get(key, (time, self._limit))
        if limit != self._limit:
            taken = min(-((time - full_at) // _interval(limit)), self._limit.burst)
            full_at = time + max(taken, 0) * self._interval
            # From now on they come back by this limit, also where none is left now.
            self._full_at[key] = full_at, self._limit
        return full_at


def _interval(limit: Limit) -> int:
    return max(1, round(60 * _NANOSECONDS / limit.per_minute))
