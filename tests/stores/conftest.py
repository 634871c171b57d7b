"""Fixtures of the store tests, and the collection of the conformance suite."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.stores import STORES, CredentialStore, open_store, upgrade
from tests.postgres import Server, new_database

pytest.register_assert_rewrite("conformance", "tests.stores.conformance")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Collect conformance.py, whose name says what it is instead of beginning with test_."""
    if file_path.name != "conformance.py" or parent.session.isinitpath(file_path):
        return None
    module: pytest.Module = pytest.Module.from_parent(parent, path=file_path)
    return module


@pytest.fixture(params=sorted(STORES))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, for every store in the list."""
    empty = f"sqlite:///{tmp_path}/store.db"
    if request.param == "postgresql":
        empty = asyncio.run(new_database(request.getfixturevalue("server")))
    upgrade(empty)
    return empty


@pytest.fixture
async def database(server: Server) -> str:
    """URL of a database of PostgreSQL with the tables."""
    made = await new_database(server)
    await asyncio.to_thread(upgrade, made)
    return made


@pytest.fixture
async def store(url: str) -> AsyncIterator[CredentialStore]:
    """Open store on an empty database."""
    opened = open_store(url)
    await opened.open()
    yield opened
    await opened.close()
