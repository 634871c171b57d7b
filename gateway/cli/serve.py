"""Runs the gateway as a process: signals, workers, exit codes."""

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.cli.loop import new_event_loop
from gateway.config.model import Config
from gateway.wiring import Address, Gateway, running

# How a worker ends that cannot have its ports or its store.
START_FAULT = 3
# A worker that dies at once is not restarted faster than this; seconds.
_RESTART_PAUSE = 1.0
# New objects before the collector looks at the youngest; a few MiB of them.
_COLLECT_AFTER = 50_000
# How workers end that were told to: in order, or by the signal itself if they had not come far enough to take it.
_STOPPED = frozenset({0, -signal.SIGTERM, -signal.SIGINT})


def run_server(
    config: Config,
    listen: Address,
    admin: Address,
    *,
    shared_ports: bool = False,
    started: Callable[[Gateway], Awaitable[None]] | None = None,
) -> int:
    """Serve until told to stop; returns the exit code. `started` is called once the ports are open."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        # Further signals set what is set already: a second SIGTERM does not cut requests in flight.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with running(config, listen, admin, shared_ports=shared_ports) as gateway:
            if started is not None:
                await started(gateway)
            # What start-up made stays: the collector need not look through it again and again.
            gc.collect()
            gc.freeze()
            # A request makes some hundred objects and nearly no cycles: looking for cycles every 700 objects is waste.
            gc.set_threshold(_COLLECT_AFTER, 20, 50)
            await stop.wait()
            await gateway.drain()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())
    return 0


def run_workers(path: Path, listen: Address, admin: Address, count: int) -> int:
    """Serve with several processes on the same ports: restart those that die, stop all when told to.

    Metrics are added up through files that the workers share; everything else a worker remembers (verified tokens,
    the throttle, the password pool) is its own. Raises OSError when a port cannot be had.
    """
    with (
        _held(listen) as public,
        _held(admin) as private,
        tempfile.TemporaryDirectory(prefix="gateway-metrics-", ignore_cleanup_errors=True) as shared,
    ):
        command = [
            sys.executable, "-m", "gateway", "serve", "--config", str(path),
            "--listen", str(public), "--admin", str(private), "--as-worker",
        ]  # fmt: skip
        crew = _Crew(command, shared)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: crew.stop())
        return crew.run(count)


class _Crew:
    """The workers. `shared` is the folder of their metrics."""

    def __init__(self, command: list[str], shared: str) -> None:
        self._command = command
        self._shared = shared
        self._workers: list[subprocess.Popen[bytes]] = []
        self._is_stopping = False

    def stop(self) -> None:
        """Tell every worker to finish."""
        self._is_stopping = True
        for worker in self._workers:
            _tell(worker)

    def run(self, count: int) -> int:
        """Keep `count` workers at work until all have finished; returns the exit code."""
        for _ in range(count):
            self._start()
        first = {worker.pid for worker in self._workers}
        code = 0
        while self._workers:
            worker = self._next_dead()
            _forget_metrics(self._shared, worker.pid)
            if worker.returncode == START_FAULT and worker.pid in first:
                # What keeps one of the first from starting keeps all of them; a later one may find a passing fault.
                code = 1
                self.stop()
            if not self._is_stopping:
                time.sleep(_RESTART_PAUSE)
            if not self._is_stopping:
                self._start()
            elif worker.returncode not in _STOPPED:
                code = 1
        return code

    def _start(self) -> None:
        environ = os.environ | {"PROMETHEUS_MULTIPROC_DIR": self._shared}
        self._workers.append(subprocess.Popen(self._command, env=environ))  # noqa: S603 - our own command
        # A signal that came in between did not find it.
        if self._is_stopping:
            _tell(self._workers[-1])

    def _next_dead(self) -> subprocess.Popen[bytes]:
        """Wait until a worker is dead and take it from the list."""
        while True:
            pid, status = os.wait()
            for worker in self._workers:
                if worker.pid == pid:
                    self._workers.remove(worker)
                    worker.returncode = os.waitstatus_to_exitcode(status)
                    return worker


@contextmanager
def _held(address: Address) -> Iterator[Address]:
    """Keep an address for the workers without listening on it: a port that is taken is a fault now, and 0 is one port.

    Raises OSError when it cannot be had.
    """
    found = socket.getaddrinfo(address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, place = found[0]
    with socket.socket(family, kind, protocol) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        held.bind(place)
        yield Address(address.host, held.getsockname()[1])


def _tell(worker: subprocess.Popen[bytes]) -> None:
    # Not `send_signal`: it would reap a worker that is dead already, and `_next_dead` would wait for it in vain.
    with suppress(ProcessLookupError):
        os.kill(worker.pid, signal.SIGTERM)


def _forget_metrics(shared: str, pid: int) -> None:
    for file in Path(shared).glob(f"gauge_live*_{pid}.db"):
        file.unlink()
