"""The loop of these tests is the one that serves."""

from tests.loops import SERVING, Loops


def pytest_asyncio_loop_factories() -> Loops:
    """Give what makes the loops: uvloop's where it is installed."""
    return SERVING
