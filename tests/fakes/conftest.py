"""Fixtures of the fake upstream's own tests."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.demo.shop import Shop
from tests.fakes.commerce import Commerce
from tests.fakes.peer import Peer


@pytest.fixture
async def commerce() -> AsyncIterator[Commerce]:
    """Give a listening upstream."""
    async with Commerce(Shop()) as commerce:
        yield commerce


@pytest.fixture
async def peer(commerce: Commerce) -> AsyncIterator[Peer]:
    """Give a connected client."""
    reader, writer = await asyncio.open_connection("127.0.0.1", commerce.port, limit=1_000_000)
    yield Peer(commerce, reader, writer)
    writer.close()
    await writer.wait_closed()
