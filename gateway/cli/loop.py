"""The event loop: uvloop where it runs (Linux), the standard one elsewhere; and how it is told to stop."""

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable
from typing import Final, cast

# New objects before the collector looks at the youngest; a few MiB of them.
_COLLECT_AFTER: Final = 50_000


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new loop."""
    try:
        import uvloop  # noqa: PLC0415 - the dependency is for Linux alone
    except ImportError:  # pragma: no cover
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def collect() -> None:
    """Look for garbage from now on, and not in what start-up has made, which stays."""
    gc.collect()
    gc.freeze()
    # A request makes some hundred objects and nearly no cycles: looking for cycles every 700 objects is waste.
    gc.set_threshold(_COLLECT_AFTER, 20, 50)
    gc.enable()


class Stop:
    """Whether the work was told to stop, and by which signal.

    The first time ends its `wait`, or cancels it where it has not come so far. SIGINT after that cancels `cuts`, which
    need not be finished; SIGTERM after that changes nothing.
    """

    def __init__(self, work: asyncio.Task[None]) -> None:
        self.number: int | None = None
        self.cuts: asyncio.Future[None] | None = None
        self._work = work
        self._told = asyncio.Event()
        self._is_awaited = False

    async def wait(self) -> None:
        """Wait to be told."""
        self._is_awaited = True
        await self._told.wait()

    def tell(self, number: int) -> None:
        """Take a signal."""
        is_first = self.number is None
        if is_first or number == signal.SIGINT:
            self.number = number
        if is_first and self._is_awaited:
            self._told.set()
        elif is_first:
            self._work.cancel()
        elif number == signal.SIGINT and self.cuts is not None:
            self.cuts.cancel()


def run(work: Callable[[Stop], Awaitable[None]], *, ends_within: float | None = None) -> int | None:
    """Run until the work is done, or has stopped because a signal said so; returns that signal.

    SIGTERM and SIGINT raise nothing from here on, in no part of the process, and are of no use once this returns. A
    process that has not ended `ends_within` so many seconds of the first of them is ended by the kernel, with SIGALRM:
    a loop that hangs takes no signal.
    """

    async def main() -> int | None:
        stop = Stop(cast("asyncio.Task[None]", asyncio.current_task()))

        # Not the loop's own way: when it ends it would have SIGINT raise again.
        def take(number: int, _frame: object) -> None:
            if ends_within is not None and signal.getitimer(signal.ITIMER_REAL)[0] == 0:
                signal.setitimer(signal.ITIMER_REAL, ends_within)
            if not loop.is_closed():
                loop.call_soon_threadsafe(stop.tell, number)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, take)
        try:
            await work(stop)
        except asyncio.CancelledError:
            if stop.number is None:
                raise
        return stop.number

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        loop = runner.get_loop()
        return runner.run(main())
