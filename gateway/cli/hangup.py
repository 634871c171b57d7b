"""SIGHUP, which has the configuration read again, here as in other servers: it ends nothing, and none is lost.

It is imported before anything else, so it imports next to nothing.
"""

import signal
from collections.abc import Callable


def ignore() -> None:
    """Have it end nothing from now on."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def pass_on(tell: Callable[[], None]) -> None:
    """Have `tell` called each time that it comes: in the main thread, between any two instructions."""
    signal.signal(signal.SIGHUP, lambda _number, _frame: tell())


class Hangups:
    """Takes each from now on, and has it told of once somebody can: what came before is told of then."""

    def __init__(self) -> None:
        self._say: Callable[[], object] | None = None
        self._untold = 0
        pass_on(self._take)

    def say_by(self, say: Callable[[], object]) -> None:
        """Tell of each by calling this."""
        self._say = say
        for _ in range(self._untold):
            say()

    def _take(self) -> None:
        if self._say is None:
            self._untold += 1
        else:
            self._say()
