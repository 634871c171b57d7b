"""The store's own thread."""

import asyncio
import threading
from functools import partial

import pytest

from gateway.stores.ports import StoreUnavailable
from gateway.stores.thread import StoreThread


async def test_it_is_a_thread_of_its_own() -> None:
    """What is done is done in one thread, which is none of the event loop's own, and its errors come back."""
    thread = StoreThread()
    names = {await thread.run(lambda: threading.current_thread().name) for _ in range(3)}
    assert len(names) == 1
    assert names.pop().startswith("store")
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)
    thread.close()


async def test_what_hangs_holds_up_the_store_alone() -> None:
    """A disk that does not answer makes the store unavailable in time, and other threads go on."""
    thread, hangs = StoreThread(), threading.Event()
    with pytest.raises(StoreUnavailable, match="takes too long"):
        await thread.run(hangs.wait, within=0.05)
    assert await asyncio.to_thread(lambda: 7) == 7
    hangs.set()
    assert await thread.run(lambda: 8) == 8
    thread.close()


async def test_it_can_begin_again() -> None:
    """After its end it begins anew with the next thing to do; a second end does nothing."""
    thread = StoreThread()
    for number in range(2):
        assert await thread.run(partial(int, number)) == number
        thread.close()
        thread.close()
