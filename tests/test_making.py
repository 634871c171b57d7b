"""What a configuration says is made without I/O, and takes over what stays the same; tests/test_reload.py swaps it."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from gateway.carrying.outbox import Outbox
from gateway.config.load import Loaded
from gateway.config.model import Config
from gateway.making import Kept, make
from gateway.ops.metrics import Metrics
from gateway.reload import Made
from gateway.stores import open_store
from gateway.tokens.attempts import Together
from gateway.tokens.live import LiveView
from gateway.tokens.passwords import PasswordHasher
from gateway.tokens.sessions import Sessions
from gateway.vocab.events import Event
from gateway.wiring import clock, now
from tests.config.writing import minimal


def ignore(event: Event) -> None:
    """Take an event nobody asks for."""
    del event


@pytest.fixture
async def kept(tmp_path: Path) -> Kept:
    """Give what a process has: nothing of it is open, and nobody listens at the upstream."""
    store = open_store(f"sqlite:///{tmp_path}/none.db")
    live = LiveView(store, 1.0, 1.0, clock, ignore, Metrics(CollectorRegistry(), now))
    hasher = PasswordHasher(workers=1, queue_limit=1, memory_kib=64, time_cost=1, parallelism=1, emit=ignore)
    outbox, together = Outbox(asyncio.get_running_loop()), Together(store, clock, ignore)
    return Kept(now, clock, ignore, outbox, 10, store, live, Sessions(store), hasher, together)


def made(kept: Kept, before: Made | None, **sections: object) -> Made:
    """Make a configuration with these sections."""
    return make(kept, Loaded(Config.model_validate(minimal(**sections)), "1"), before)


async def test_what_stays_the_same_is_taken_over(kept: Kept) -> None:
    """What knows proxies and holds connections goes on; what is decided by is always new."""
    first = made(kept, None)
    second = made(kept, first, cors={"max_age": "5m"})
    assert second.serving.peers is first.serving.peers
    assert second.pools == first.pools
    assert second.serving.flow is not first.serving.flow
    assert second.serving.snapshot is not first.serving.snapshot


async def test_what_is_said_otherwise_is_made_anew(kept: Kept) -> None:
    """And nothing else."""
    first = made(kept, None)
    others = made(kept, first, customers={"throttle": {"account": {"burst": 3, "per_minute": 3}}})
    assert others.serving.peers is first.serving.peers
    proxies = made(kept, others, server={"trusted_proxies": ["10.0.0.0/8"]})
    assert proxies.serving.peers is not others.serving.peers
    assert proxies.pools == first.pools
