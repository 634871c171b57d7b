"""`gateway serve`: the gateway as a process or several; signals, workers, exit codes."""

import asyncio
import gc
import os
import secrets
import signal
import socket
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

from pydantic import SecretStr

from gateway.authn.key import generate
from gateway.cli import hangup
from gateway.cli.cores import WORKERS_MOST, usable
from gateway.cli.ending import INTERRUPTED, exit_code
from gateway.cli.fault import START_FAULTS, cannot_start, fail, tell
from gateway.cli.hangup import Hangups
from gateway.cli.loop import Stop, collect, run
from gateway.cli.routing_file import read
from gateway.cli.streams import unblocked
from gateway.config.model import Config
from gateway.ops.metrics import forget, share
from gateway.ops.outlet import Outlet
from gateway.server.parser import check as check_parser
from gateway.server.port import dual_stack
from gateway.stores import upgrade
from gateway.vocab.address import Address
from gateway.vocab.algorithm import Algorithm
from gateway.vocab.events import Lifecycle
from gateway.wiring import Gateway, running

# How a worker ends that cannot have its ports or its store.
START_FAULT = 3
# A worker that dies at once is not restarted faster than this; seconds.
_RESTART_PAUSE = 1.0
# In memory, on Linux, in containers too (shm_overview(7)).
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - what lies there is in a folder of its own that only its owner can open
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# What shall find each process with its own way to take it.
_BLOCKED = (*_SIGNALS, signal.SIGHUP)
# How workers end that were told to: in order, or by the signal itself if they had not come far enough to take it.
_STOPPED = frozenset({0, INTERRUPTED, -signal.SIGTERM, -signal.SIGINT})


def serve(path: Path, listen: Address, admin: Address, workers: int | None) -> int:
    """Serve until told to stop; returns the exit code. `workers` None makes one for each CPU."""
    config = read(path)
    count = workers or min(usable(), WORKERS_MOST)
    shared = settled(config)

    def work(public: Address, private: Address, lifeline: int) -> int:
        with unblocked() as log:
            try:
                return run_server(shared, public, private, log, lifeline=lifeline)
            except START_FAULTS as error:
                tell(cannot_start(error, public, private))
                return START_FAULT

    try:
        if count == 1:
            with unblocked() as log:
                return run_server(config, listen, admin, log)
        crew = Crew()
        # Each worker does it too and finds nothing to do, or to say; what cannot be had is told of once.
        check_parser()
        if config.customers.verify != "upstream":
            upgrade(config.store.url, may_migrate=config.store.migrate == "auto")
        return run_workers(crew, work, listen, admin, count)
    except START_FAULTS as error:
        fail(cannot_start(error, listen, admin))


def run_server(config: Config, listen: Address, admin: Address, log: Outlet, *, lifeline: int | None = None) -> int:
    """Serve in this process until told to stop; returns the exit code.

    `lifeline` makes it one of several workers: a pipe that is closed when the supervisor is gone, and then it stops.
    """

    async def work(stop: Stop) -> None:
        if lifeline is not None:
            asyncio.get_running_loop().add_reader(lifeline, _let_go, lifeline, stop)
        hangups = Hangups()
        try:
            async with running(config, listen, admin, log=log, shared_ports=lifeline is not None) as gateway:
                hangups.say_by(partial(_say_unheeded, asyncio.get_running_loop(), gateway))
                await finish(gateway, stop)
        finally:
            hangup.ignore()

    return exit_code(run(work))


async def finish(gateway: Gateway, stop: Stop) -> None:
    """Let a gateway that has started serve until it is told to stop, and the requests in flight finish.

    SIGINT after that cuts them.
    """
    collect()
    await stop.wait()
    stop.cuts = asyncio.ensure_future(gateway.drain())
    with suppress(asyncio.CancelledError):
        await stop.cuts


def _say_unheeded(loop: asyncio.AbstractEventLoop, gateway: Gateway) -> None:
    # A signal comes between any two instructions, the log's too.
    loop.call_soon_threadsafe(gateway.emit, Lifecycle(hangup.UNHEEDED, hangup.REASON))


def settled(config: Config) -> Config:
    """Make up, once for all workers, the keys that the configuration leaves to chance."""
    tokens, log = config.tokens, config.log
    if not tokens.keys:
        tokens = tokens.model_copy(update={"keys": (SecretStr(generate(Algorithm.EDDSA)),)})
    if log.customer_key is None:
        log = log.model_copy(update={"customer_key": SecretStr(secrets.token_hex(32))})
    return config.model_copy(update={"tokens": tokens, "log": log})


def run_workers(
    crew: "Crew", work: Callable[[Address, Address, int], int], listen: Address, admin: Address, count: int
) -> int:
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
        # Whatever start-up made is shared by all; a collector that looked through it would copy it.
        gc.collect()
        gc.freeze()
        return crew.run(lambda lifeline: work(public, private, lifeline), shared, count)


class Crew:
    """The workers, each with its number. From the start it is this that takes the signals."""

    def __init__(self) -> None:
        self._workers: dict[int, int] = {}
        self._told: int | None = None
        # Held open as long as this process lives, and by no other.
        self._lifeline, self._held = os.pipe()
        for number in _SIGNALS:
            signal.signal(number, lambda number, _frame: self.stop(number))
        # A supervisor has no log: it is the workers that say what becomes of it.
        hangup.pass_on(self._pass_on)

    def stop(self, number: int) -> None:
        """Tell every worker to finish; SIGINT after that cuts what they still have to do."""
        again = self._told is not None and number == signal.SIGINT
        if self._told is None or again:
            self._told = number
        for pid in tuple(self._workers):
            _tell(pid, signal.SIGINT if again else signal.SIGTERM)

    def _pass_on(self) -> None:
        for pid in tuple(self._workers):
            _tell(pid, signal.SIGHUP)

    def run(self, work: Callable[[int], int], shared: str, count: int) -> int:
        """Keep `count` workers at work until all have finished; returns the exit code.

        `shared` is the folder of their metrics.
        """
        first = set() if self._told is not None else {self._start(number, work, shared) for number in range(count)}
        code = 0
        while self._workers:
            pid, number, ended = self._next_dead()
            forget(shared, number)
            if ended == START_FAULT and pid in first:
                # What keeps one of the first from starting keeps all of them; a later one may find a passing fault.
                code = 1
                self.stop(signal.SIGTERM)
            if self._told is None:
                time.sleep(_RESTART_PAUSE)
            if self._told is None:
                self._start(number, work, shared)
            elif ended not in _STOPPED:
                code = 1
        return code or exit_code(self._told)

    def _start(self, number: int, work: Callable[[int], int], shared: str) -> int:
        # A worker shall not take a signal as if it were this process.
        signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
        pid = os.fork()
        if pid == 0:
            self._live(number, work, shared)
        self._workers[pid] = number
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _BLOCKED)
        # A signal that came before did not find it.
        if self._told is not None:
            _tell(pid, signal.SIGTERM)
        return pid

    def _live(self, number: int, work: Callable[[int], int], shared: str) -> NoReturn:
        """Be a worker, from its first moment to its end; nothing that this process has to clean up is the worker's."""
        code = 1
        try:
            for one in _SIGNALS:
                signal.signal(one, signal.SIG_DFL)
            hangup.ignore()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _BLOCKED)
            os.close(self._held)
            share(shared, number)
            code = work(self._lifeline)
        except BaseException:  # noqa: BLE001 - nothing may unwind into the supervisor's own code
            with unblocked():
                traceback.print_exc()
        finally:
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
    both = dual_stack(address.host, address.port, shared=True)
    if both is not None:
        with both:
            yield Address(address.host, both.getsockname()[1])
        return
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


def _tell(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _let_go(lifeline: int, stop: Stop) -> None:
    # A closed pipe can be read for ever.
    asyncio.get_running_loop().remove_reader(lifeline)
    stop.tell(signal.SIGTERM)
