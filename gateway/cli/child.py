"""Another command of ours as a process in the background, until whoever started it is done."""

import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Thread

from gateway.cli.ending import leave_at


class Child:
    """A process that says in a line where it is to be found."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._lines = process.stdout or iter(())

    def said(self, pattern: str) -> str | None:
        """Wait for the line and return the first group of the pattern; None where the process ends before it."""
        for line in self._lines:
            if found := re.search(pattern, line):
                # Somebody must take what it writes from now on, or it would have to wait.
                Thread(target=deque, args=(self._lines, 0), daemon=True).start()
                return found[1]
        return None


@contextmanager
def running(*arguments: str, codes: Mapping[signal.Signals, int], environ: Mapping[str, str]) -> Iterator[Child]:
    """Start `python` with these arguments; it is gone when the block is left, or a signal in `codes` has come.

    `codes` says with which exit code each signal ends this process, until another handler is set. The child is in a
    session of its own: Ctrl-C is for this process, which may still need it. Its standard input ends with this process.
    """
    came: list[int] = []
    for number in codes:
        # Not before it is known who has to go first.
        signal.signal(number, lambda number, _frame: came.append(number))
    with subprocess.Popen(  # noqa: S603 - our own commands
        [sys.executable, *arguments],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        for number, code in codes.items():
            leave_at(number, code, process.pid)
        for earlier in came:
            signal.raise_signal(earlier)
        try:
            yield Child(process)
        finally:
            process.terminate()
