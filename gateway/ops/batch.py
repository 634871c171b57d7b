"""Requests are told of in batches, off their path: the log and the metrics of many cost little more than of one."""

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.ops.log import Log
from gateway.ops.metrics import Metrics
from gateway.vocab.events import Event, RequestDone

# No line and no number comes later than this, in seconds; nor is more lost when the process is killed.
_LATEST: Final = 0.05
# A batch of so many holds up the loop for a fifth of a millisecond, and larger ones are hardly cheaper.
_MOST: Final = 100


class Batch:
    """Passes events on to the log and the metrics. Call it with an event.

    A request waits for others, at most for the given time; any other event is passed on at once, and those that wait
    before it. Without an event loop that runs nothing waits. Whoever ends the process calls `flush` last.
    """

    def __init__(self, log: Log, metrics: Metrics, now: Callable[[], float]) -> None:
        self._log: Final = log
        self._metrics: Final = metrics
        self._now: Final = now
        self._waiting: list[tuple[float, RequestDone]] = []
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, RequestDone):
            self._waiting.append((self._now(), event))
            if self._timer is None:
                self._set_timer()
            elif len(self._waiting) >= _MOST:
                self.flush()
        else:
            # Lines stay in their order.
            self.flush()
            self._log(event)
            self._metrics(event)

    def flush(self) -> None:
        """Pass on what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            batch, self._waiting = self._waiting, []
            self._log.write_requests(batch)
            self._metrics.count_requests([done for _, done in batch])

    async def render(self) -> tuple[bytes, str]:
        """Return the metrics, with all that was told so far; see `Metrics.render`."""
        self.flush()
        # The files of many workers take tens of milliseconds to read.
        return await asyncio.to_thread(self._metrics.render)

    def _set_timer(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
        else:
            self._timer = loop.call_later(_LATEST, self.flush)
