"""Runs the gateway as a process: signals, workers, exit codes."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.config.model import Config
from gateway.wiring import Address, Gateway, running

# A worker that dies at once is not restarted faster than this; seconds.
_RESTART_PAUSE = 1.0


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
            await stop.wait()
            await gateway.drain()

    asyncio.run(main())
    return 0


def run_workers(path: Path, listen: Address, admin: Address, count: int) -> int:
    """Serve with several processes on the same ports: restart those that die, stop all when told to.

    Metrics are added up through files that the workers share; everything else a worker remembers (verified tokens,
    the throttle, the password pool) is its own.
    """
    shared = tempfile.mkdtemp(prefix="gateway-metrics-")
    command = [
        sys.executable, "-m", "gateway", "serve", "--config", str(path),
        "--listen", str(listen), "--admin", str(admin), "--as-worker",
    ]  # fmt: skip
    environ = os.environ | {"PROMETHEUS_MULTIPROC_DIR": shared}
    stopping = False
    workers: list[subprocess.Popen[bytes]] = []

    def stop(number: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True
        for worker in workers:
            worker.send_signal(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    workers.extend(subprocess.Popen(command, env=environ) for _ in range(count))  # noqa: S603 - our own command
    code = 0
    try:
        while workers:
            worker = _next_dead(workers)
            workers.remove(worker)
            _forget_metrics(shared, worker.pid)
            if not stopping:
                time.sleep(_RESTART_PAUSE)
            if not stopping:
                workers.append(subprocess.Popen(command, env=environ))  # noqa: S603
            elif worker.returncode:
                code = 1
    finally:
        shutil.rmtree(shared, ignore_errors=True)
    return code


def _next_dead(workers: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """Wait until a worker is dead and return it."""
    while True:
        pid, status = os.wait()
        for worker in workers:
            if worker.pid == pid:
                worker.returncode = os.waitstatus_to_exitcode(status)
                return worker


def _forget_metrics(shared: str, pid: int) -> None:
    for file in Path(shared).glob(f"gauge_live*_{pid}.db"):
        file.unlink()
