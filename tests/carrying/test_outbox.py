"""What is written in one turn of the loop."""

import asyncio
from functools import partial

import pytest

from gateway.carrying.outbox import Outbox


async def test_it_leaves_at_the_end_of_the_turn() -> None:
    """In the order in which it was put there, and before anything that was scheduled later."""
    written: list[str] = []
    loop = asyncio.get_running_loop()
    outbox = Outbox(loop)
    for _ in range(2):
        outbox.put(partial(written.append, "a"))
        loop.call_soon(written.append, "later")
        outbox.put(partial(written.append, "b"))
        assert not written
        await asyncio.sleep(0)
        assert written == ["a", "b", "later"]
        written.clear()


async def test_many_do_not_wait_for_each_other() -> None:
    """After some the turn need not end."""
    written: list[int] = []
    outbox = Outbox(asyncio.get_running_loop())
    for number in range(40):
        outbox.put(partial(written.append, number))
    assert len(written) >= 20
    await asyncio.sleep(0)
    assert written == list(range(40))


async def test_what_a_write_puts_there_waits_for_its_own_turn() -> None:
    """However many follow from each other, none is within another."""
    depths: list[int] = []
    depth = 0
    outbox = Outbox(asyncio.get_running_loop())

    def write(left: int) -> None:
        nonlocal depth
        depth += 1
        depths.append(depth)
        if left:
            for _ in range(2):
                outbox.put(partial(write, left - 1))
        depth -= 1

    for _ in range(10):
        outbox.put(partial(write, 5))
    for _ in range(100):
        await asyncio.sleep(0)
    assert (len(depths), set(depths)) == (10 * 63, {1})


@pytest.mark.parametrize("count", [3, 16])
async def test_a_fault_stays_with_whoever_has_it(count: int) -> None:
    """What waits behind it leaves."""
    written: list[int] = []
    faults: list[BaseException] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
    outbox = Outbox(loop)

    def fail() -> None:
        raise ValueError("fault")

    outbox.put(fail)
    for number in range(count - 1):
        outbox.put(partial(written.append, number))
    await asyncio.sleep(0)
    assert written == list(range(count - 1))
    assert [str(fault) for fault in faults] == ["fault"]
