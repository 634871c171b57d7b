"""How long the gateway asks again for what the upstream has made and does not show yet.

It does not judge answers. What is asked for holds a connection only while it is asked for, never between.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from gateway.vocab.refusals import Code, Refusal

SECONDS = 5.0
"""An upstream that is eventually consistent shows a record within these, or somebody waits for nothing."""

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0
# Each holds a client's connection and a few KiB; beyond them nobody waits.
_MOST = 100

T = TypeVar("T")


class Patience:
    """Asks again, `seconds` at most, and for `most` at once."""

    def __init__(self, seconds: float = SECONDS, most: int = _MOST) -> None:
        self._seconds = seconds
        self._most = most
        self._waiting = 0

    async def until(
        self, ask: Callable[[], Awaitable[T | Refusal]], is_worth_it: Callable[[Refusal], bool]
    ) -> T | Refusal:
        """Return the first answer of `ask` that it is not worth to ask again for; else the last; or UPSTREAM_TIMEOUT.

        It is asked once in any case, within the same time.
        """
        outcome: T | Refusal = Refusal(Code.UPSTREAM_TIMEOUT, "not shown in time")
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                outcome = await ask()
                if not isinstance(outcome, Refusal) or not is_worth_it(outcome) or self._waiting >= self._most:
                    return outcome
                self._waiting += 1
                try:
                    pause = _FIRST_PAUSE
                    while isinstance(outcome, Refusal) and is_worth_it(outcome):
                        await asyncio.sleep(pause)
                        pause = min(2 * pause, _LONGEST_PAUSE)
                        outcome = await ask()
                finally:
                    self._waiting -= 1
        return outcome
