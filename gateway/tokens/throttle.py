"""How many logins may be tried per account and per client address, and how much other password work asked for.

It keeps no clock and no lock: callers pass the time and use it from one thread.
"""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from cachetools import Cache, LRUCache

from gateway.wire.counting import network

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


class Throttle:
    """Token buckets for accounts and addresses (GCRA: one number per key, the time at which its bucket is full again).

    At most `max_keys` accounts and as many addresses are remembered. Beyond that the key not seen for the longest time
    is forgotten, which means that it has its full burst again. Only an allowed attempt makes a key, so forgetting costs
    an attacker `max_keys` allowed attempts, each counted against an address; and accounts and addresses are kept
    apart, so that a flood of addresses makes no account forgotten. An attacked key is seen and stays.

    An address from which an account has logged in has a bucket of its own for it: guesses from elsewhere cannot lock
    the customer out there. What a trusted client sends is not counted `by_address`: it comes from one for many.

    `now` may be any clock in seconds that does not jump; a monotonic one is best.
    """

    def __init__(self, account: Limit, address: Limit, max_keys: int) -> None:
        self._accounts = _Buckets(account, max_keys)
        self._addresses = _Buckets(address, max_keys)
        self._known: LRUCache[tuple[str, str], None] = LRUCache(max_keys)

    def enter(self, address: str, now: float) -> Wait | None:
        """Count one attempt against the address, or say how long to wait.

        An account that is used up costs the address its attempt all the same: the answer is work too.
        """
        seconds = self._addresses.take(network(address), now)
        return Wait(seconds, by_account=False) if seconds else None

    def guess(self, account: str, address: str, now: float) -> Wait | None:
        """Count one attempt against the account, or say how long to wait."""
        seconds = self._accounts.take(self._key(account, address), now)
        return Wait(seconds, by_account=True) if seconds else None

    def give_back(self, account: str, address: str, *, by_address: bool = True) -> None:
        """Give one attempt back on both, where nothing was learned about the password, or it was right."""
        self._accounts.give_back(self._key(account, address))
        if by_address:
            self._addresses.give_back(network(address))

    def know(self, account: str, address: str) -> None:
        """Know an address from which a login succeeded. Earlier failures stay counted."""
        self._known[account, network(address)] = None

    def _key(self, account: str, address: str) -> tuple[str, ...]:
        place = (account, network(address))
        return place if place in self._known else (account,)


class Work(StrEnum):
    """Password work that is no login."""

    REGISTRATION = "registration"
    PASSWORD_CHANGE = "password_change"  # noqa: S105 - a word
    RESET = "reset"
    NEW_PASSWORD = "new_password"  # noqa: S105 - a word


class Denied(NamedTuple):
    """Work that may not be done now: how many seconds until it may, and `by` which of its keys."""

    seconds: int
    by: str


class WorkThrottle:
    """Token buckets for password work that is no login: for each kind one set of buckets for each of its keys.

    No two kinds share any, and none are a login's: whoever floods registrations for somebody's e-mail must not lock
    that customer out. At most `max_keys` of each are remembered, as in `Throttle`.

    `limits` names the keys of each kind in the order in which they are asked: who is over the first costs the second
    nothing, so that one address cannot use up an e-mail that others need; who is over the second has paid the first.
    """

    def __init__(self, limits: Mapping[Work, Mapping[str, Limit]], max_keys: int) -> None:
        self._buckets: Final = {
            work: {by: _Buckets(limit, max_keys) for by, limit in keys.items()} for work, keys in limits.items()
        }

    def reserve(self, work: Work, keys: Mapping[str, str], now: float) -> Denied | None:
        """Count one piece of work under each of its keys, or say how long to wait; an empty key is not counted."""
        for by, buckets in self._buckets[work].items():
            seconds = buckets.take(keys[by], now) if keys[by] else 0
            if seconds:
                return Denied(seconds, by)
        return None


class _Buckets:
    """Buckets of one kind. Times are whole nanoseconds: sums of floats drift, and then refuse the last of a burst."""

    def __init__(self, limit: Limit, max_keys: int) -> None:
        burst, per_minute = limit
        if burst < 1 or max_keys < 1 or not 0 < per_minute < math.inf:
            raise ValueError("a throttle needs a burst, a rate and a number of keys above zero")
        self._interval = max(1, round(60 * _NANOSECONDS / per_minute))
        self._capacity = self._interval * burst
        self._full_at: LRUCache[Hashable, int] = LRUCache(max_keys)

    def take(self, key: Hashable, now: float) -> int:
        """Count one attempt and return 0, or return the seconds until there is one."""
        time = round(now * _NANOSECONDS)
        full_at = max(self._full_at.get(key, time), time) + self._interval
        if full_at - self._capacity > time:
            return math.ceil((full_at - self._capacity - time) / _NANOSECONDS)
        self._full_at[key] = full_at
        return 0

    def give_back(self, key: Hashable) -> None:
        """Undo one attempt, if the key is still remembered."""
        if key in self._full_at:
            # By the methods of the base class, which know no order: a key is seen when somebody tries, not now.
            Cache.__setitem__(self._full_at, key, Cache.__getitem__(self._full_at, key) - self._interval)
