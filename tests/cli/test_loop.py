"""The event loop of the process."""

import sys

import pytest

from gateway.cli.loop import new_event_loop


@pytest.mark.skipif(sys.platform != "linux", reason="uvloop is a dependency on Linux alone")
def test_the_loop_is_the_fast_one() -> None:
    """On Linux the process runs on uvloop."""
    loop = new_event_loop()
    try:
        assert type(loop).__module__.startswith("uvloop")
    finally:
        loop.close()
