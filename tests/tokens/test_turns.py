"""Whose password is computed next."""

import asyncio

import pytest

from gateway.tokens.turns import Turn, Turns


def turn(*, is_login: bool) -> Turn:
    """Make a computation that is never run."""
    return Turn(lambda: None, asyncio.get_running_loop().create_future(), is_login=is_login)


def filled(turns: Turns, *, is_login: bool) -> int:
    """Let as many in as have a place."""
    count = 0
    while turns.join(turn(is_login=is_login)):
        count += 1
    return count


@pytest.mark.parametrize(("share", "others"), [(0.5, 8), (0.75, 4), (0.25, 12), (0.99, 1), (0.0, 17)])
async def test_logins_keep_their_share_of_the_queue(share: float, others: int) -> None:
    """Whatever else there is has the rest, one place at least; logins can have all."""
    turns = Turns(1, 16, share)
    assert filled(turns, is_login=False) == others
    assert filled(turns, is_login=True) == 17 - others
    assert filled(Turns(1, 16, share), is_login=True) == 17


@pytest.mark.parametrize(("workers", "others"), [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4)])
async def test_logins_keep_their_share_of_the_threads(workers: int, others: int) -> None:
    """The other threads stay free for them, where there is more than one."""
    turns = Turns(workers, 100, 0.5)
    filled(turns, is_login=False)
    running = 0
    while turns.next() is not None:
        running += 1
    assert running == others
    for _ in range(workers - others):
        assert turns.join(turn(is_login=True))
        given = turns.next()
        assert given is not None
        assert given.is_login
    assert turns.next() is None


async def test_a_login_is_next_however_many_others_wait() -> None:
    """It waits for what runs, and for nothing else."""
    turns = Turns(1, 16, 0.5)
    filled(turns, is_login=False)
    for _ in range(3):
        running = turns.next()
        assert running is not None
        login = turn(is_login=True)
        assert turns.join(login)
        turns.done(running)
        assert turns.next() is login
        turns.done(login)


@pytest.mark.parametrize(("share", "order"), [(0.5, "LOLOLOLO"), (0.75, "LOLLLOLL"), (0.0, "OOOOLLLL")])
async def test_where_both_wait_they_take_turns(share: float, order: str) -> None:
    """By their shares; without one in the order of their coming."""
    turns = Turns(1, 40, share)
    for is_login in (False, True):
        for _ in range(4 if share == 0 else 9):
            turns.join(turn(is_login=is_login))
    taken = ""
    for _ in order:
        given = turns.next()
        assert given is not None
        taken += "L" if given.is_login else "O"
        turns.done(given)
    assert (taken, taken.count("L")) == (order, order.count("L"))


async def test_what_waits_is_dropped_once() -> None:
    """Its place is free, and whoever waits for it can be told."""
    turns = Turns(1, 4, 0.5)
    filled(turns, is_login=False)
    filled(turns, is_login=True)
    running = turns.next()
    assert running is not None
    assert (len(list(turns.drop())), len(list(turns.drop())), turns.depth) == (4, 0, 1)
    turns.done(running)
    assert turns.depth == 0
