"""A gateway for tests in which nobody logs in: hashing the demo passwords is most of what starting one takes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.commerce import Commerce
from tests.gateways import Site
from tests.gateways import site as run_site
from tests.loops import Loops, both_for


def pytest_asyncio_loop_factories(item: pytest.Item) -> Loops:
    """Give what makes the loops: for the express lane, both."""
    return both_for(item, "test_express.py", "test_exchange.py")


@pytest.fixture
async def bare(upstream: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a gateway on config/moltin.yaml without passwords."""
    async with run_site(upstream, tmp_path, passwords=False) as running:
        yield running
