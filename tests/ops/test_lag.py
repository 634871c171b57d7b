"""How late the event loop is, and what kept it."""

import asyncio
import time

from gateway.ops.lag import LoopWatch
from gateway.vocab.events import Event, LoopBlocked


async def test_what_blocks_the_loop_is_named() -> None:
    """A step that takes long is an event with its place, and a measured delay."""
    events: list[Event] = []
    lags: list[float] = []
    came = asyncio.Event()

    def emit(event: Event) -> None:
        events.append(event)
        came.set()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        watching = group.create_task(LoopWatch(emit, lags.append).run())
        await asyncio.sleep(0)
        _stand_still()
        await came.wait()
        watching.cancel()
    (event,) = events
    assert isinstance(event, LoopBlocked)
    assert event.seconds > 0.25
    assert "_stand_still at test_lag.py:" in event.where
    assert max(lags) == event.seconds


def _stand_still() -> None:
    time.sleep(0.7)


async def test_a_loop_that_is_on_time_is_no_event() -> None:
    """Small delays are a number and nothing more."""
    events: list[Event] = []
    measured = asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        watching = group.create_task(LoopWatch(events.append, lambda _: measured.set()).run())
        await measured.wait()
        watching.cancel()
    assert [event for event in events if isinstance(event, LoopBlocked) and event.seconds < 0.25] == []
