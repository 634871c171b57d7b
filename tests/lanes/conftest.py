"""The loop of these tests is the one that serves; the others run on asyncio's."""

import asyncio
from collections.abc import Callable, Mapping

from gateway.cli.loop import new_event_loop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give what makes the loops: uvloop's where it is installed."""
    return {"serving": new_event_loop}
