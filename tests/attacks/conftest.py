"""The fixtures of the attacks: one gateway for all vectors of a module, attacked from the front or from behind."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.attacks.field import Field, fielded
from tests.attacks.upstream import Siege, besieged


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def field(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Field]:
    """Give a gateway on config/moltin.yaml with its recording upstream, an attacker and a victim."""
    async with fielded(tmp_path_factory.mktemp("field")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def siege(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Siege]:
    """Give a gateway on config/moltin.yaml with an upstream that says what it is told to."""
    async with besieged(tmp_path_factory.mktemp("siege")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def families(siege: Siege, request: pytest.FixtureRequest) -> None:
    """Look once for each test function at what the vectors of the one before have left of the gateway."""
    await siege.begin(request.node.originalname)
