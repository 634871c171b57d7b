"""Runs the gateway as a process or several: signals, workers, exit codes."""

import asyncio
import gc
import os
import secrets
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from pydantic import SecretStr

from gateway.authn.key import Algorithm, generate
from gateway.cli.loop import new_event_loop
from gateway.config.model import Config
from gateway.ops.metrics import forget, share
from gateway.wiring import Address, Gateway, running

# How a worker ends that cannot have its ports or its store.
START_FAULT = 3
# A worker that dies at once is not restarted faster than this; seconds.
_RESTART_PAUSE = 1.0
# In memory, on Linux, in containers too (shm_overview(7)).
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - what lies there is in a folder of its own that only its owner can open
# New objects before the collector looks at the youngest; a few MiB of them.
_COLLECT_AFTER = 50_000
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# How workers end that were told to: in order, or by the signal itself if they had not come far enough to take it.
_STOPPED = frozenset({0, -signal.SIGTERM, -signal.SIGINT})


def run_server(
    config: Config,
    listen: Address,
    admin: Address,
    *,
    lifeline: int | None = None,
    started: Callable[[Gateway], Awaitable[None]] | None = None,
) -> int:
    """Serve until told to stop; returns the exit code. `started` is called once the ports are open.

    `lifeline` makes it one of several workers: a pipe that is closed when the supervisor is gone, and then it stops.
    """

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        # Further signals set what is set already: a second SIGTERM does not cut requests in flight.
        for number in _SIGNALS:
            loop.add_signal_handler(number, stop.set)
        if lifeline is not None:
            loop.add_reader(lifeline, _let_go, loop, lifeline, stop)
        async with running(config, listen, admin, shared_ports=lifeline is not None) as gateway:
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


def settled(config: Config) -> Config:
    """Make up, once for all workers, the keys that the configuration leaves to chance."""
    tokens, log = config.tokens, config.log
    if not tokens.keys:
        tokens = tokens.model_copy(update={"keys": (SecretStr(generate(Algorithm.EDDSA)),)})
    if log.customer_key is None:
        log = log.model_copy(update={"customer_key": SecretStr(secrets.token_hex(32))})
    return config.model_copy(update={"tokens": tokens, "log": log})


def run_workers(work: Callable[[Address, Address, int], int], listen: Address, admin: Address, count: int) -> int:
    """Serve with several processes on the same ports: restart those that die, stop all when told to.

    `work` serves in a process of its own, given the addresses and its lifeline, and returns the exit code; what is in
    memory now is in each of them. Metrics are added up through files that the workers share; everything else a worker
    remembers (verified tokens, the throttle, the password pool) is its own. Raises OSError when a port cannot be had.
    """
    with (
        _held(listen) as public,
        _held(admin) as private,
        tempfile.TemporaryDirectory(prefix="gateway-metrics-", dir=_in_memory(), ignore_cleanup_errors=True) as shared,
    ):
        crew = _Crew(lambda lifeline: work(public, private, lifeline), shared)
        for number in _SIGNALS:
            signal.signal(number, lambda _number, _frame: crew.stop())
        # Whatever start-up made is shared by all; a collector that looked through it would copy it.
        gc.collect()
        gc.freeze()
        return crew.run(count)


class _Crew:
    """The workers, each with its number. `shared` is the folder of their metrics."""

    def __init__(self, work: Callable[[int], int], shared: str) -> None:
        self._work = work
        self._shared = shared
        self._workers: dict[int, int] = {}
        self._is_stopping = False
        # Held open as long as this process lives, and by no other.
        self._lifeline, self._held = os.pipe()

    def stop(self) -> None:
        """Tell every worker to finish."""
        self._is_stopping = True
        for pid in tuple(self._workers):
            _tell(pid)

    def run(self, count: int) -> int:
        """Keep `count` workers at work until all have finished; returns the exit code."""
        first = {self._start(number) for number in range(count)}
        code = 0
        while self._workers:
            pid, number, ended = self._next_dead()
            forget(self._shared, number)
            if ended == START_FAULT and pid in first:
                # What keeps one of the first from starting keeps all of them; a later one may find a passing fault.
                code = 1
                self.stop()
            if not self._is_stopping:
                time.sleep(_RESTART_PAUSE)
            if not self._is_stopping:
                self._start(number)
            elif ended not in _STOPPED:
                code = 1
        return code

    def _start(self, number: int) -> int:
        # A worker shall not take a signal as if it were this process.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid == 0:
            self._live(number)
        self._workers[pid] = number
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        # A signal that came before did not find it.
        if self._is_stopping:
            _tell(pid)
        return pid

    def _live(self, number: int) -> NoReturn:
        """Be a worker, from its first moment to its end; nothing that this process has to clean up is the worker's."""
        code = 1
        try:
            for one in _SIGNALS:
                signal.signal(one, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            os.close(self._held)
            share(self._shared, number)
            code = self._work(self._lifeline)
        except BaseException:  # noqa: BLE001 - nothing may unwind into the supervisor's own code
            traceback.print_exc()
        finally:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
            os._exit(code)

    def _next_dead(self) -> tuple[int, int, int]:
        """Wait until a worker is dead and take it from the list; returns its pid, its number and its exit code."""
        while True:
            pid, status = os.wait()
            # As the first process of a container this one inherits children of others.
            if pid in self._workers:
                return pid, self._workers.pop(pid), os.waitstatus_to_exitcode(status)


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


def _in_memory() -> str | None:
    # The numbers need no disk, and a container with a read-only root has no folder for temporary files but this one.
    return _SHARED_MEMORY if "TMPDIR" not in os.environ and os.access(_SHARED_MEMORY, os.W_OK) else None


def _tell(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def _let_go(loop: asyncio.AbstractEventLoop, lifeline: int, stop: asyncio.Event) -> None:
    # A closed pipe can be read for ever.
    loop.remove_reader(lifeline)
    stop.set()
