"""The event loops that tests of connections run on: what happens in one turn depends on the loop."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gateway.cli.loop import new_event_loop

if TYPE_CHECKING:
    import pytest

Loops = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]
STANDARD: Loops = {"asyncio": asyncio.new_event_loop}
SERVING: Loops = {"serving": new_event_loop}


def both_for(item: "pytest.Item", *modules: str) -> Loops:
    """Return both loops for the tests of some modules, the standard one for others."""
    return {**STANDARD, **SERVING} if item.path.name in modules else STANDARD
