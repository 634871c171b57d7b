"""The lane's connections are tested on both loops."""

import pytest

from tests.loops import Loops, both_for


def pytest_asyncio_loop_factories(item: pytest.Item) -> Loops:
    """Give what makes the loops."""
    return both_for(item, "test_connection.py", "test_connections.py", "test_outbox.py")
