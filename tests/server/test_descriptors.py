"""How the descriptors of a process are divided."""

import errno
import math
import resource

import pytest

from gateway.server.descriptors import Exhaustion, Share, share
from gateway.vocab.events import Event, Failed


@pytest.mark.parametrize("limit", [64, 128, 256, 1024, 4096, 65536])
def test_all_shares_fit_the_limit(limit: int) -> None:
    """Clients and upstream have what is left after everything else, and the upstream never more than half of that."""
    given = share(256, limit=limit)
    assert given.clients is not None
    assert given.clients >= given.upstream >= 1
    assert given.clients + given.upstream <= max(16, limit - 96)
    assert given.upstream <= 256


def test_a_small_limit_is_noted() -> None:
    """Who has few descriptors is told how many connections that makes; who has many is not."""
    assert "256 descriptors (ulimit -n) are enough for" in share(256, limit=256).note
    assert share(256, limit=4096).note == ""
    assert share(4096, limit=4096).note


@pytest.mark.parametrize("limit", [resource.RLIM_INFINITY, -1])
def test_without_a_limit_there_is_none(limit: int) -> None:
    """Where the system limits nothing, neither does this."""
    assert share(256, limit=limit) == Share(None, 256)
    assert not math.isinf(share(256).upstream)


def test_descriptors_that_run_out_are_told_of() -> None:
    """An error that says so is an event, once a second; others are none."""
    told: list[Event] = []
    seconds = iter((0.0, 0.0, 0.5, 1.5, 1.5))
    exhaustion = Exhaustion(told.append, lambda: next(seconds))
    for number in (errno.EMFILE, errno.ECONNREFUSED, errno.ENFILE, errno.ENFILE):
        exhaustion(OSError(number, "text"))
    exhaustion(ValueError("no name"))
    assert told == [
        Failed("", "descriptors", f"none is left to the {whose}: no connection to the upstream")
        for whose in ("process (EMFILE)", "machine (ENFILE)")
    ]
