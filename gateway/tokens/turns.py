"""Whose password is computed next: logins keep a share of the threads, of the queue and of the turns.

Turns are taken by stride scheduling (Waldspurger and Weihl, MIT/LCS/TM-528, 1995): each kind has a clock that goes the
slower the larger its share, and the one whose clock is behind is next.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """A computation that waits or runs, and where its outcome goes."""

    job: Callable[[], Any]
    outcome: asyncio.Future[Any]
    is_login: bool


class _Kind:
    """Logins, or all other work: what waits, how many run at most and are here at most, and its clock."""

    def __init__(self, share: float, running_most: int, most: int) -> None:
        self.waiting: Final[deque[Turn]] = deque()
        self.running = 0
        self.clock = 0.0
        self.step: Final = 1 / share if share else math.inf
        self.running_most: Final = running_most
        self.most: Final = most

    @property
    def depth(self) -> int:
        """How many are here."""
        return self.running + len(self.waiting)


class Turns:
    """`workers` run at once and `queue_limit` wait. Other work can have all but `login_share` of them, one at least.

    Logins can have all. With a share of 0 the others can too, and there is one queue.
    """

    def __init__(self, workers: int, queue_limit: int, login_share: float) -> None:
        self._workers: Final = workers
        self._most: Final = workers + queue_limit
        rest = 1 - login_share
        self._logins: Final = _Kind(login_share or 1, workers, self._most)
        self._others: Final = (
            _Kind(rest, max(1, math.floor(workers * rest)), max(1, math.floor(self._most * rest)))
            if login_share
            else self._logins
        )
        # With a share of nothing both are the same.
        self._kinds: Final = (self._logins, self._others) if login_share else (self._logins,)

    @property
    def depth(self) -> int:
        """How many wait or run."""
        return sum(kind.depth for kind in self._kinds)

    def join(self, turn: Turn) -> bool:
        """Take a place for a computation; False where there is none for it."""
        kind = self._kind(turn)
        if not self._has_place(kind):
            return False
        if not kind.waiting:
            # Whoever was away has saved nothing up.
            kind.clock = max(kind.clock, min((other.clock for other in self._kinds if other.waiting), default=0.0))
        kind.waiting.append(turn)
        return True

    @property
    def is_open_to_others(self) -> bool:
        """Whether there is a place for what is no login's."""
        return self._has_place(self._others)

    def next(self) -> Turn | None:
        """Give whose turn it is, if a thread is free; it runs until `done`."""
        if sum(kind.running for kind in self._kinds) >= self._workers:
            return None
        ready = [kind for kind in self._kinds if kind.waiting and kind.running < kind.running_most]
        if not ready:
            return None
        # Of two at the same time the first: logins.
        kind = min(ready, key=lambda one: one.clock)
        kind.clock += kind.step
        kind.running += 1
        return kind.waiting.popleft()

    def done(self, turn: Turn) -> None:
        """Free the place of a computation that ran."""
        self._kind(turn).running -= 1

    def drop(self) -> Iterator[asyncio.Future[Any]]:
        """Forget all that waits, and give where the outcomes were to go."""
        for kind in self._kinds:
            while kind.waiting:
                yield kind.waiting.popleft().outcome

    def _has_place(self, kind: _Kind) -> bool:
        return self.depth < self._most and kind.depth < kind.most

    def _kind(self, turn: Turn) -> _Kind:
        return self._logins if turn.is_login else self._others
