"""The fixture of the attacks: one gateway for all vectors of a module."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.attacks.field import Field, fielded


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def field(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Field]:
    """Give a gateway on config/moltin.yaml with its recording upstream, an attacker and a victim."""
    async with fielded(tmp_path_factory.mktemp("field")) as running:
        yield running
