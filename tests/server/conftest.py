"""A gateway for tests in which nobody logs in: hashing the demo passwords is most of what starting one takes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.commerce import Commerce
from tests.gateways import Site
from tests.gateways import site as run_site
from tests.loops import Loops, both_for

# What depends on who reads and writes the sockets.
_ON_BOTH_LOOPS = (
    "test_body.py",
    "test_connection.py",
    "test_drain.py",
    "test_events.py",
    "test_exchange.py",
    "test_half_closed.py",
    "test_leaving.py",
    "test_listener.py",
    "test_order.py",
    "test_peer.py",
    "test_proxy_protocol.py",
    "test_state.py",
    "test_time.py",
    "test_upload.py",
    "test_waiting.py",
)


def pytest_asyncio_loop_factories(item: pytest.Item) -> Loops:
    """Give what makes the loops."""
    return both_for(item, *_ON_BOTH_LOOPS)


@pytest.fixture
async def bare(upstream: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a gateway on config/moltin.yaml without passwords."""
    async with run_site(upstream, tmp_path, passwords=False) as running:
        yield running
