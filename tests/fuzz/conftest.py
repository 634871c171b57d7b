"""A gateway for tests in which nobody logs in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.commerce import Commerce
from tests.gateways import Site
from tests.gateways import site as run_site


@pytest.fixture
async def bare(upstream: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a gateway on config/moltin.yaml without passwords."""
    async with run_site(upstream, tmp_path, passwords=False) as running:
        yield running
