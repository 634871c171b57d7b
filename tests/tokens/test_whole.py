"""Work that is done to its end, whoever waits for it."""

import asyncio

import pytest

from gateway.tokens.whole import Whole
from gateway.vocab.events import Event, Failed
from gateway.vocab.messages import Checked
from gateway.vocab.refusals import Refusal


async def test_what_comes_of_it_is_returned() -> None:
    """Also what it raises, to whoever waits."""
    whole = Whole("work", lambda _: None)

    async def good() -> Checked | Refusal:
        return Checked(204)

    async def bad() -> Checked | Refusal:
        raise ValueError("no such thing")

    assert await whole.run(good(), "r-1") == Checked(204)
    with pytest.raises(ValueError, match="no such thing"):
        await whole.run(bad(), "r-1")


async def test_it_goes_on_without_its_client() -> None:
    """Whoever hangs up stops nothing, and an error of it is told to the log."""
    events: list[Event] = []
    whole = Whole("work", events.append)
    gate, ended = asyncio.Event(), asyncio.Event()

    async def work() -> Checked | Refusal:
        await gate.wait()
        ended.set()
        raise KeyError

    waiting = asyncio.ensure_future(whole.run(work(), "r-1"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.set()
    await ended.wait()
    while not events:  # noqa: ASYNC110 - the task ends by itself
        await asyncio.sleep(0)
    (told,) = events
    assert isinstance(told, Failed)
    assert (told.request_id, told.what) == ("r-1", "work")
    assert told.error.startswith("KeyError at ")
