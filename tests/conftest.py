"""Fixtures for tests that go through the door: a real gateway and a real, recording upstream, on free ports."""

import gc
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.canary_sweep import (
    pytest_runtest_makereport,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)
from tests.fakes.commerce import Commerce
from tests.gateways import UPSTREAM_SECRET, CanaryShop, Site, environment
from tests.gateways import site as run_site
from tests.postgres import Makes, Server, servers

# The sweep of the whole suite: its hooks of pytest work where pytest finds them.
__all__ = ["pytest_runtest_makereport", "pytest_sessionfinish", "pytest_terminal_summary", "pytest_testnodedown"]


# How long an example takes says something of the machine, and nothing of the property.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave what is collected to itself: thousands of tests stay until the end, and looking through them takes long.

    Garbage is looked for among what the tests make.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def makes() -> Iterator[Makes]:
    """Give what makes PostgreSQL servers."""
    with servers() as made:
        yield made


@pytest.fixture(scope="session")
def server(makes: Makes) -> Server:
    """Give the PostgreSQL server that tests share which leave it running."""
    return makes.server()


@pytest.fixture
async def upstream() -> AsyncIterator[Commerce]:
    """Give a recording upstream with the demo data."""
    async with Commerce(CanaryShop("canary-upstream-id", UPSTREAM_SECRET)) as commerce:
        yield commerce


@pytest.fixture
async def site(upstream: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a gateway on config/moltin.yaml in front of the upstream."""
    async with run_site(upstream, tmp_path) as running:
        yield running


@pytest.fixture
async def bare(upstream: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    """Give the same without passwords, where nobody logs in: hashing them is most of what starting a gateway takes."""
    async with run_site(upstream, tmp_path, passwords=False) as running:
        yield running


@pytest.fixture
def environ(upstream: Commerce, tmp_path: Path) -> dict[str, str]:
    """Give a process the environment of config/moltin.yaml, with a folder for temporary files."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    return environment(tmp_path, upstream.url, TMPDIR=str(temporary))
