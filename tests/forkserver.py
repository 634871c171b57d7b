"""A process that has imported the gateway once, and forks what runs its command: the start costs no import.

It is a program of its own: it opens no file, starts no thread and no loop before it forks. What it forks is given the
descriptors, the environment and the arguments, and a session of its own, and from there on runs the installed command.
It does not import what the tests import. Whoever asks for processes is `tests.starting`.
"""

import gc
import importlib
import json
import os
import select
import socket
import sys
import threading
from typing import Any, Final, TextIO

# The message of most bytes; the kernel takes no larger ones.
MESSAGE_MOST: Final = 200_000
# All that a gateway, a demonstration and `gateway verify` import by the time they work.
_IMPORTED: Final = (
    "gateway.__main__",
    "gateway.cli.app",
    "gateway.cli.serve",
    "gateway.cli.showcase",
    "gateway.cli.proving",
    "gateway.ops.outlet",
    "gateway.stores.schema_postgres",
    "gateway.stores.sql",
    "gateway.stores.sql_postgres",
    "aiosqlite",
    "alembic.command",
    "anyio._backends._asyncio",
    "encodings.idna",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "uvloop",
)


def wait_for_work(control: socket.socket) -> list[str]:
    """Fork a child for each message, and tell its pid and exit code; returns in the children, with the arguments."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    running: dict[int, tuple[int, int]] = {}
    while True:
        for descriptor, _ in poll.poll():
            if descriptor in running:
                pid, told = running.pop(descriptor)
                poll.unregister(descriptor)
                os.close(descriptor)
                _, status = os.waitpid(pid, 0)
                _tell(told, os.waitstatus_to_exitcode(status))
                os.close(told)
                continue
            message, descriptors, _, _ = socket.recv_fds(control, MESSAGE_MOST, 3)
            if not message:
                sys.exit()
            pid = os.fork()
            if pid == 0:
                control.detach()
                return _become(json.loads(message), *descriptors[:2])
            for ours in descriptors[:2]:
                os.close(ours)
            _tell(descriptors[2], pid)
            watched = os.pidfd_open(pid)
            running[watched] = pid, descriptors[2]
            poll.register(watched, select.POLLIN)


def _tell(descriptor: int, number: int) -> None:
    try:
        os.write(descriptor, f"{number}\n".encode())
    except BrokenPipeError:
        # Whoever asked has gone.
        return


def _become(asked: dict[str, Any], output: int, errors: int) -> list[str]:
    """Take the place of a process that was started afresh; returns its arguments."""
    os.setsid()
    for number, descriptor in ((1, output), (2, errors)):
        os.dup2(descriptor, number)
    # What they were before is known to the objects: whether one can seek in it.
    sys.stdout = _writes(1, sys.stdout, -1)
    sys.stderr = _writes(2, sys.stderr, 1)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(asked["environ"])
    os.chdir(asked["folder"])
    arguments: list[str] = asked["arguments"]
    return arguments


def _writes(number: int, before: TextIO, buffering: int) -> TextIO:
    return open(number, "w", buffering, before.encoding, before.errors, closefd=False)


def main() -> None:
    """Serve until the socket is closed whose number is the argument; in a child, run the command."""
    control = socket.socket(fileno=int(sys.argv[1]))
    # As it is for the installed command, which lies there.
    sys.path[0] = os.path.dirname(sys.executable)  # noqa: PTH120 - beside the interpreter, not where its link leads
    gc.disable()
    for module in _IMPORTED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    gc.enable()
    held = {int(one) for one in os.listdir("/proc/self/fd")}  # noqa: PTH208 - a Path would import more
    assert threading.active_count() == 1
    assert len(held) == 5, held
    sys.argv = wait_for_work(control)
    from gateway.__main__ import main as run  # noqa: PLC0415 - not for whoever imports this file

    run()


if __name__ == "__main__":
    main()
