"""Starts the installed `gateway` as a process: forked by a process that has imported it, or afresh.

Forked, it costs a fifth of the processor's time. What is told apart by the interpreter's own start (arguments of
Python, standard streams that are closed, signals that come early) is started afresh; and so it is where there is no
Linux.
"""

import asyncio
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests import forkserver

# Generous for a cold start on a busy machine; each wait ends as soon as its state is reached.
PATIENCE = 40.0
SCRIPT = str(Path(sys.executable).with_name("gateway"))


class Forked:
    """A process that was forked; to be dealt with as one of `asyncio.create_subprocess_exec`."""

    def __init__(
        self, pid: int, stdout: asyncio.StreamReader, stderr: asyncio.StreamReader, told: asyncio.StreamReader
    ) -> None:
        self.pid = pid
        self.stdout: asyncio.StreamReader | None = stdout
        self.stderr: asyncio.StreamReader | None = stderr
        self._ended = asyncio.ensure_future(told.read())

    @property
    def returncode(self) -> int | None:
        """Return how it ended, or None."""
        return int(self._ended.result()) if self._ended.done() else None

    async def wait(self) -> int:
        """Wait for its end, and return the exit code."""
        return int(await asyncio.shield(self._ended))

    async def communicate(self) -> tuple[bytes, bytes]:
        """Read what it writes, and wait for its end."""
        assert self.stdout is not None
        assert self.stderr is not None
        out, err = await asyncio.gather(self.stdout.read(), self.stderr.read())
        await self.wait()
        return out, err

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self.send_signal(signal.SIGKILL)


Process = asyncio.subprocess.Process | Forked


async def start(
    *arguments: str, environ: Mapping[str, str], folder: Path | None = None, afresh: bool = False
) -> Process:
    """Start `gateway` in a folder with exactly this environment, in a session of its own, and no standard input."""
    if afresh or sys.platform != "linux" or any(name.startswith("PYTHON") for name in environ):
        return await asyncio.create_subprocess_exec(
            *(SCRIPT, *arguments),
            cwd=folder,
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    pipes = [os.pipe() for _ in range(3)]
    asked = {"arguments": [SCRIPT, *arguments], "environ": dict(environ), "folder": str(folder or Path.cwd())}
    socket.send_fds(_server(), [json.dumps(asked).encode()], [ours for _, ours in pipes])
    for _, written in pipes:
        os.close(written)
    stdout, stderr, told = [await _reader(read) for read, _ in pipes]
    return Forked(int(await told.readline()), stdout, stderr, told)


def run(
    *arguments: str, environ: Mapping[str, str], folder: Path | None = None, afresh: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run `gateway` to its end in the same way, where no loop turns."""

    async def ended() -> subprocess.CompletedProcess[str]:
        process = await start(*arguments, environ=environ, folder=folder, afresh=afresh)
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
        assert process.returncode is not None
        return subprocess.CompletedProcess(arguments, process.returncode, out.decode(), err.decode())

    return asyncio.run(ended())


@cache
def _server() -> socket.socket:
    """Start the process that forks; it ends with this one, for this has the only other end of its socket."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        process = subprocess.Popen(  # noqa: S603 - a program of ours
            [sys.executable, forkserver.__file__, str(its.fileno())],
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[its.fileno()],
            start_new_session=True,
        )
    atexit.register(_end, process, ours)
    return ours


def _end(process: subprocess.Popen[bytes], ours: socket.socket) -> None:
    ours.close()
    process.wait(PATIENCE)


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    pipe = open(descriptor, "rb", buffering=0)  # noqa: SIM115, ASYNC230 - the loop closes it
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader
