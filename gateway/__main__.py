"""The `gateway` command, also as `python -m gateway`."""

import gc
import signal

from gateway.cli.ending import INTERRUPTED, leave_at
from gateway.cli.streams import open_missing


def main() -> None:
    """Run the command."""
    leave_at(signal.SIGINT, INTERRUPTED)
    open_missing()
    # Whoever starts us may have it wait until here, as the Makefile does: Python's own start would print a traceback.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # What start-up makes stays: looking for garbage in it again and again is an eighth of the time to start. What runs
    # for long turns it on again (`gateway.cli.loop.collect`).
    gc.disable()
    from gateway.cli.app import main as run  # noqa: PLC0415 - imported while the collector is off

    run()


__all__ = ["main"]

if __name__ == "__main__":
    main()
