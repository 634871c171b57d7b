"""How a command ends that is told to stop: one line and exit code 130 after Ctrl-C, and never a traceback.

It is imported before anything else, so it imports next to nothing.
"""

import os
import signal

INTERRUPTED = 128 + signal.SIGINT
"""The exit code after Ctrl-C, as shells have it (POSIX.1-2017, Shell and Utilities 2.8.2)."""


def leave_at(number: int, code: int, child: int | None = None) -> None:
    """Let a signal end the process at once, wherever it is: for as long as there is nothing to put back.

    A KeyboardInterrupt would rise in the middle of an import, or of the interpreter's own end. A `child` goes first.
    """

    def leave(_number: int, _frame: object) -> None:
        if child is not None:
            _end(child)
        if code == INTERRUPTED:
            say_stopped()
        os._exit(code)

    signal.signal(number, leave)


def say_stopped() -> None:
    """Write the one line."""
    try:
        # A terminal shows ^C where the line shall stand.
        os.write(2, b"\rstopped\n" if os.isatty(2) else b"stopped\n")
    except OSError:
        # Nobody reads it.
        return


def exit_code(number: int | None) -> int:
    """Return how a server ends that a signal has stopped: SIGTERM is how it is meant to end."""
    return INTERRUPTED if number == signal.SIGINT else 0


def _end(child: int) -> None:
    try:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
    except (ProcessLookupError, ChildProcessError):
        # It has ended already.
        return
