"""Connections beyond the limit."""

import asyncio

from gateway.server.crowd import Crowd
from gateway.vocab.events import ConnectionsRefused, Event


def test_what_is_full() -> None:
    """A crowd is full at its limit, and never without one."""
    assert [Crowd(print, 2).is_full(count) for count in (0, 1, 2, 3)] == [False, False, True, True]
    assert not Crowd(print, None).is_full(1_000_000)


async def test_a_flood_is_told_of_in_numbers() -> None:
    """The first is told of at once, all that come within the next second in one event."""
    told: list[Event] = []
    crowd = Crowd(told.append, 7)
    for _ in range(100):
        crowd.refused()
    assert told == [ConnectionsRefused(1, 7)]
    async with asyncio.timeout(20):
        while len(told) < 2:  # noqa: ASYNC110 - the event is told by a timer of the loop
            await asyncio.sleep(0.01)
    assert told == [ConnectionsRefused(1, 7), ConnectionsRefused(99, 7)]
