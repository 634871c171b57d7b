"""Asking again for what is not shown yet."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from gateway.tokens.patience import Patience
from gateway.vocab.refusals import Code, Refusal

NOT_YET = Refusal(Code.REGISTRATION_PENDING)
FOREIGN = Refusal(Code.UPSTREAM_INVALID, violation=True)


def saying(*outcomes: str | Refusal) -> tuple[Callable[[], Awaitable[str | Refusal]], list[float]]:
    """Make something to ask, which says these and then goes on with the last, and a list of when it was asked."""
    asked: list[float] = []

    async def ask() -> str | Refusal:
        asked.append(asyncio.get_running_loop().time())
        return outcomes[min(len(asked), len(outcomes)) - 1]

    return ask, asked


def is_worth_it(refusal: Refusal) -> bool:
    """Say that only what is not there yet may come."""
    return refusal.code is Code.REGISTRATION_PENDING


@pytest.mark.parametrize("outcome", ["shown", FOREIGN])
async def test_what_is_sure_is_asked_for_once(outcome: str | Refusal) -> None:
    """An answer, and a refusal that no time heals, come at once."""
    ask, asked = saying(outcome)
    assert await Patience(60).until(ask, is_worth_it) == outcome
    assert len(asked) == 1


async def test_what_is_not_shown_is_asked_for_again_with_longer_pauses() -> None:
    """Each pause is longer than the one before, and the first answer ends it."""
    ask, asked = saying(NOT_YET, NOT_YET, NOT_YET, "shown")
    assert await Patience(60).until(ask, is_worth_it) == "shown"
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert pauses == sorted(pauses)
    assert pauses[0] >= 0.09


async def test_what_never_comes_is_given_up() -> None:
    """After its time the last answer stands; one that hangs is not waited for beyond it."""
    loop = asyncio.get_running_loop()
    ask, asked = saying(NOT_YET)
    start = loop.time()
    assert await Patience(0.4).until(ask, is_worth_it) == NOT_YET
    assert 0.3 <= loop.time() - start < 5
    assert len(asked) > 1

    async def hang() -> str | Refusal:
        await asyncio.Event().wait()
        return "never"

    given_up = await Patience(0.1).until(hang, is_worth_it)
    assert isinstance(given_up, Refusal)
    assert given_up.code is Code.UPSTREAM_TIMEOUT


async def test_waits_are_bounded() -> None:
    """Beyond the bound nobody waits: the first answer stands at once; a wait that ends makes room."""
    patience = Patience(60, most=1)
    shown = asyncio.Event()

    async def ask() -> str | Refusal:
        return "shown" if shown.is_set() else NOT_YET

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(patience.until(ask, is_worth_it))
        await asyncio.sleep(0)
        beyond, asked = saying(NOT_YET)
        assert await patience.until(beyond, is_worth_it) == NOT_YET
        assert len(asked) == 1
        shown.set()
    assert waiting.result() == "shown"
    again, asked = saying(NOT_YET, "shown")
    assert await patience.until(again, is_worth_it) == "shown"
    assert len(asked) == 2
