"""SIGHUP in one process; tests/process has it come to whole gateways."""

import signal
from collections.abc import Iterator

import pytest

from gateway.cli.hangup import Hangups, ignore, pass_on


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    """Put back what this process does at a hang-up."""
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def test_it_is_ignored() -> None:
    """Nothing ends."""
    ignore()
    signal.raise_signal(signal.SIGHUP)


def test_it_is_passed_on() -> None:
    """Each time."""
    came: list[int] = []
    pass_on(lambda: came.append(1))
    for _ in range(3):
        signal.raise_signal(signal.SIGHUP)
    assert len(came) == 3


def test_what_comes_before_somebody_can_tell_is_told_of_then() -> None:
    """None is forgotten."""
    hangups, told = Hangups(), list[int]()
    for _ in range(2):
        signal.raise_signal(signal.SIGHUP)
    hangups.say_by(lambda: told.append(1))
    assert len(told) == 2
    signal.raise_signal(signal.SIGHUP)
    assert len(told) == 3
