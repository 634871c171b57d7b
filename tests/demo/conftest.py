"""Fixtures of the demo shop's tests."""

import pytest

from gateway.demo.shop import Shop
from tests.demo.asking import BASE, Client


@pytest.fixture
def shop() -> Shop:
    """Give a fresh shop."""
    return Shop("id", "secret", base_url=BASE)


@pytest.fixture
def client(shop: Shop) -> Client:
    """Give a client with client credentials."""
    return Client(shop)
