"""The event loop of the process: uvloop where it runs (Linux), the standard one elsewhere."""

import asyncio


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new loop."""
    try:
        import uvloop  # noqa: PLC0415 - the dependency is for Linux alone
    except ImportError:  # pragma: no cover
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
