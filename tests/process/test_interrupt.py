"""Ctrl-C and SIGTERM at any moment: one line or none, an exit code, no traceback, and nothing left behind."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import MOLTIN
from tests.process.processes import children, is_running, left_in, rows, serving
from tests.starting import PATIENCE, SCRIPT

FREE = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
# What Ctrl-C and SIGTERM leave of a server: the exit code, and what stands on standard error.
ENDS = {signal.SIGINT: (130, "stopped\n"), signal.SIGTERM: (0, "")}
# Starts a command with a SIGINT that waits until the command lets it through.
HELD = (
    "import os, signal, sys\n"
    "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\n"
    "os.kill(os.getpid(), signal.SIGINT)\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n"
)


@dataclass(slots=True)
class Demo:
    """A `gateway demo` under way."""

    process: asyncio.subprocess.Process
    temporary: Path
    output: list[str] = field(default_factory=list)
    api: list[int] = field(default_factory=list)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait for a state of the machine that nobody announces."""
        async with asyncio.timeout(PATIENCE):
            while not reached():
                assert self.process.returncode is None, self.output
                await asyncio.sleep(0.002)

    async def has_started_the_api(self) -> None:
        """Wait for the other process: the libraries are being imported now."""
        await self.until(lambda: bool(children(self.process.pid)))

    async def has_a_folder(self) -> None:
        """Wait for what has to be removed again."""
        await self.until(lambda: bool(left_in(str(self.temporary))))

    async def has_hashed_a_password(self) -> None:
        """Wait for the first of the passwords."""
        await self.until(self._has_rows)

    async def is_ready(self) -> None:
        """Wait for the last line of the welcome."""
        await self.until(lambda: any("Stop with Ctrl-C" in line for line in self.output))

    def _has_rows(self) -> bool:
        for store in self.temporary.glob("gateway-demo-*/gateway.db"):
            with suppress(sqlite3.OperationalError):
                return rows(store, "credentials") > 0
        return False

    async def read(self) -> None:
        """Take what it prints."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.output.append(line.decode())

    async def ends_with(self, number: signal.Signals) -> tuple[int, str]:
        """Send it a signal; return its exit code and what it wrote to standard error. All that it had is gone then."""
        self.api = children(self.process.pid)
        self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            assert self.process.stderr is not None
            errors = (await self.process.stderr.read()).decode()
            code = await self.process.wait()
        assert [pid for pid in self.api if is_running(pid)] == []
        assert left_in(str(self.temporary)) == []
        assert "Traceback" not in "".join(self.output)
        return code, errors


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[Demo]:
    """Start a demonstration."""
    (tmp_path / "tmp").mkdir()
    environ = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path / "tmp")}
    process = await asyncio.create_subprocess_exec(
        *(SCRIPT, "demo", *FREE), env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    started = Demo(process, tmp_path / "tmp")
    async with asyncio.TaskGroup() as group:
        group.create_task(started.read())
        try:
            yield started
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


MOMENTS: list[Callable[[Demo], Awaitable[None]]] = [
    Demo.has_started_the_api,
    Demo.has_a_folder,
    Demo.has_hashed_a_password,
    Demo.is_ready,
]


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
async def test_the_demonstration_ends_at_any_moment(
    demo: Demo, moment: Callable[[Demo], Awaitable[None]], number: signal.Signals
) -> None:
    """While it imports, makes its store, hashes or serves: the line, the code, no other process and no folder."""
    await moment(demo)
    assert await demo.ends_with(number) == ENDS[number]


@pytest.mark.parametrize("seconds", [0.3, 1.0, 1.6])
async def test_the_demonstration_ends_after_any_time(demo: Demo, seconds: float) -> None:
    """Wherever it is by then on this machine, the end is the same."""
    # The first moments are Python's own, before a line of ours; the next test is about them.
    await demo.has_started_the_api()
    await asyncio.sleep(seconds)
    assert await demo.ends_with(signal.SIGINT) == ENDS[signal.SIGINT]


COMMANDS = {
    "gateway": [],
    "version": ["--version"],
    "demo": ["demo", *FREE],
    "serve": ["serve", str(MOLTIN), *FREE],
    "workers": ["serve", str(MOLTIN), *FREE, "--workers", "2"],
    "check": ["check", str(MOLTIN)],
    "explain": ["explain", str(MOLTIN), "GET", "/"],
    "verify": ["verify", "--demo"],
}


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_command_ends_from_its_first_moment(environ: dict[str, str], command: str) -> None:
    """A Ctrl-C that came before the command could take it is taken first: nothing is printed but the line."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HELD, SCRIPT, *COMMANDS[command]),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert (process.returncode, output, errors) == (130, b"", b"stopped\n")


async def _arrived(upstream: Commerce) -> None:
    await upstream.wait(lambda: any(request.path == "/v2/products" for request in upstream.requests))


@pytest.mark.parametrize("workers", [1, 2])
async def test_ctrl_c_finishes_what_is_in_flight(environ: dict[str, str], upstream: Commerce, workers: int) -> None:
    """`serve` drains at Ctrl-C as at SIGTERM, and the request in flight gets its answer; the exit code is Ctrl-C's.

    A terminal sends the signal to every process of the group, the workers included; one line is printed all the same.
    """
    gate = asyncio.Event()
    upstream.fault(Fault.SLOW_HEAD, when=at("/v2/products"), gate=gate)
    async with serving(environ, workers=workers) as served, asyncio.TaskGroup() as group:
        await served.bearer()
        slow = group.create_task(served.as_public("GET", "/v2/products"))
        await _arrived(upstream)
        os.killpg(served.pid, signal.SIGINT)
        await served.draining()
        gate.set()
        assert (await slow).status == 200
        assert await served.ended() == 130
        assert (served.states().count("draining"), served.states().count("stopped")) == (workers, workers)
    assert served.errors == ["stopped"]
    assert left_in(environ["TMPDIR"]) == []


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("first", ENDS)
async def test_ctrl_c_again_cuts_what_is_in_flight(
    environ: dict[str, str], upstream: Commerce, first: signal.Signals, workers: int
) -> None:
    """Who presses Ctrl-C while requests finish does not wait for them: long before the drain deadline, exit 130."""
    upstream.fault(Fault.SILENT, when=at("/v2/products"))
    async with serving(environ, workers=workers) as served, asyncio.TaskGroup() as group:
        await served.bearer()
        group.create_task(_cut(served.as_public("GET", "/v2/products")))
        await _arrived(upstream)
        served.tell(first)
        await served.logged(lambda _: served.states().count("draining") == workers)
        served.tell(signal.SIGINT)
        assert await served.ended() == 130
    assert served.errors == ["stopped"]


async def _cut(call: Awaitable[object]) -> None:
    with suppress(OSError):
        await call
