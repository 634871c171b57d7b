"""The process that keeps workers at work: it starts them, hears that they live, ends and replaces those that hang.

It has no threads, for it forks, and it writes nothing that somebody must take: it is the workers that tell of it.
"""

import json
import os
import selectors
import signal
import socket
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NoReturn

from gateway.cli import hangup
from gateway.cli.candidate import Reading
from gateway.cli.chance import Chance
from gateway.cli.desk import Desk
from gateway.cli.ending import INTERRUPTED, exit_code
from gateway.cli.fault import tell
from gateway.cli.membership import BEAT, CONNECTION, FAULT, LOST, MESSAGE_MOST, READY, Membership, beat_every
from gateway.cli.rollout import Rollout
from gateway.cli.streams import unblocked
from gateway.ops.exposition import forget, share

GRACE: Final = 1.5
"""How much longer than the drain a process may take to end, in seconds, before it is killed."""
# What is cut ends as fast as it can; only what hangs is killed.
_CUT: Final = 5.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
# What shall find each process with its own way to take it.
_BLOCKED: Final = (*_SIGNALS, signal.SIGHUP, signal.SIGCHLD)
# How workers end that were told to: in order, or by the signal itself if they had not come far enough to take it.
_STOPPED: Final = frozenset({0, INTERRUPTED, -signal.SIGTERM, -signal.SIGINT})
# Between a worker's death and its successor: twice as long after each that did not live for a minute; seconds.
_PAUSE: Final = 1.0
_PAUSE_MOST: Final = 30.0
_SETTLED: Final = 60.0
# Where the worker of each place died so many times in a row before it was ready, none will do better the next time.
_TRIES: Final = 3
# What is done before a loop turns, and in its first turns, may take longer than a heartbeat that somebody made short.
_START: Final = 20.0
_TURN: Final = 0.5
_LOOK: Final = 0.05
_NEWS_MOST: Final = 100
_CAUSE_MOST: Final = 500


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker that runs. Its times are those of the supervisor's own clock."""

    number: int
    pid: int
    link: socket.socket
    heard: float
    version: str = ""
    given: int = 0
    ready: float | None = None
    cause: str = ""
    is_killed: bool = False


@dataclass(slots=True)
class _Place:
    """A worker's place, whoever has it: when its next one is due, and how those before ended."""

    due: float | None = 0.0
    falls: int = 0
    unready: int = 0


def take(selector: selectors.BaseSelector, wait: float) -> None:
    """Call what belongs to each socket that is ready within `wait` seconds, unless another has ended it meanwhile."""
    for key, _ in selector.select(wait):
        # By its number: a closed socket cannot be looked up.
        if selector.get_map().get(key.fd) is key:
            key.data()


class Crew:
    """The workers, each in its place. From the start it is this that takes the signals.

    What `reading` has in force says when a worker that is not heard is killed, and how long it has after SIGTERM.
    """

    def __init__(self, reading: Reading, chance: Chance) -> None:
        server = reading.in_force.config.server
        self._heartbeat = heartbeat = server.heartbeat
        self._drain = server.drain
        self._turn = min(_TURN, heartbeat / 8)
        self._workers: dict[int, _Worker] = {}
        self._places: dict[int, _Place] = {}
        self._told: int | None = None
        self._ends_at: float | None = None
        # How long it has watched: a time in which it was itself kept from it counts for nobody's silence.
        self._clock = 0.0
        self._looked = time.monotonic()
        # Which place is given to another after a kill, until that one serves.
        self._replacing: int | None = None
        self._cause: str | None = None
        self._code = 0
        # With the descriptors that belong to them.
        self._news: deque[tuple[bytes, int | None]] = deque()
        # It has no state in the kernel that a child would share.
        self.selector: selectors.BaseSelector = selectors.PollSelector()
        self.rollout = Rollout(reading, chance, self)
        self._desk: Desk | None = None
        self._owned: list[socket.socket] = []
        # Held open as long as this process lives, and by no other.
        self._lifeline, self._held = os.pipe()
        for number in _SIGNALS:
            signal.signal(number, lambda number, _frame: self.stop(number))
        # Between any two instructions; the wait that follows ends at once.
        hangup.pass_on(self.rollout.ask)

    def stop(self, number: int) -> None:
        """Tell every worker to finish; SIGINT after that cuts what they still have to do."""
        again = self._told is not None and number == signal.SIGINT
        if self._told is None or again:
            self._told = number
            self._ends_at = time.monotonic() + (_CUT if again else self._drain + GRACE)
        for pid in tuple(self._workers):
            _signal(pid, signal.SIGINT if again else signal.SIGTERM)

    def run(
        self,
        work: Callable[[Membership], int],
        shared: str,
        count: int,
        admin: list[socket.socket],
        held: list[socket.socket],
    ) -> int:
        """Keep `count` workers at work until all have finished; returns the exit code.

        `shared` is the folder of their metrics; `admin` listens, and `held` are sockets that no worker shall have.
        """
        woken, wakes = socket.socketpair()
        for end in (woken, wakes):
            end.setblocking(False)  # noqa: FBT003 - the name of the parameter is the method's
        # A signal that comes just before the wait ends it; a child's end is a signal only for whoever takes it.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        before = signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        self.selector.register(woken, selectors.EVENT_READ, lambda: _empty(woken))
        self._desk = Desk(admin, self.selector, self._hand)
        self._owned = [woken, wakes, *held]
        self._places = {number: _Place() for number in range(count)}
        try:
            while self._workers or self._told is None:
                self._start_due(work, shared)
                self._watch()
                self._bury(shared)
                self._judge()
                if self._told is None:
                    self.rollout.step()
                self._tell_news()
        finally:
            signal.set_wakeup_fd(before)
            self._desk.close()
            self.rollout.close()
            for end in (woken, wakes):
                end.close()
        if self._cause is not None and self._code:
            with unblocked():
                tell(self._cause)
        return self._code or exit_code(self._told)

    def _start_due(self, work: Callable[[Membership], int], shared: str) -> None:
        for number, place in self._places.items():
            if self._told is None and place.due is not None and place.due <= self._clock:
                place.due = None
                try:
                    self._start(number, work, shared)
                except OSError as error:
                    # No room for another process, or no descriptor: that may pass.
                    self._succeed(number, None, f"the system gives no process: {error.strerror}")

    def _start(self, number: int, work: Callable[[Membership], int], shared: str) -> None:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ours.setblocking(False)  # noqa: FBT003 - the name of the parameter is the method's
        try:
            pid = self.fork()
            if pid == 0:
                ours.close()
                self._live(number, work, shared, its)
            worker = self._workers[pid] = _Worker(number, pid, ours, self._clock)
            self.selector.register(ours, selectors.EVENT_READ, lambda: self._hear(worker))
        except OSError:
            ours.close()
            raise
        finally:
            its.close()
        # A signal that came before did not find it.
        if self._told is not None:
            _signal(pid, signal.SIGTERM)

    def fork(self) -> int:
        """Fork; the child has nothing that this process has to clean up, and takes signals as any process does."""
        # A child shall not take a signal as if it were this process.
        signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
        try:
            pid = os.fork()
            if pid == 0:
                self._let_go()
            return pid
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _BLOCKED)

    def _let_go(self) -> None:
        try:
            signal.set_wakeup_fd(-1)
            for one in (*_SIGNALS, signal.SIGCHLD):
                signal.signal(one, signal.SIG_DFL)
            hangup.ignore()
            os.close(self._held)
            for end in (*self._owned, *(worker.link for worker in self._workers.values())):
                end.close()
            if self._desk is not None:
                self._desk.close()
            self.rollout.close()
        except BaseException:  # noqa: BLE001 - nothing may unwind into the supervisor's own code
            with unblocked():
                traceback.print_exc()
            os._exit(1)

    def _live(self, number: int, work: Callable[[Membership], int], shared: str, link: socket.socket) -> NoReturn:
        """Be a worker, from its first moment to its end; nothing that this process has to clean up is the worker's."""
        code = 1
        try:
            share(shared, number)
            code = work(Membership(link, self._lifeline, self._heartbeat))
        except BaseException:  # noqa: BLE001 - nothing may unwind into the supervisor's own code
            with unblocked():
                traceback.print_exc()
        finally:
            os._exit(code)

    def _watch(self) -> None:
        """Wait for whatever comes next, for a turn at the most, and take it."""
        wait = _LOOK if self._desk is not None and self._desk.is_waiting else self._turn
        if self._ends_at is not None:
            wait = min(wait, max(0.0, self._ends_at - time.monotonic()))
        take(self.selector, wait)
        if self._desk is not None:
            self._desk.look()
        now = time.monotonic()
        self._clock += min(now - self._looked, 2 * self._turn)
        self._looked = now

    def _hear(self, worker: _Worker) -> None:
        while True:
            try:
                message = worker.link.recv(MESSAGE_MOST)
            except OSError:
                return
            if message[:1] in {BEAT, READY}:
                worker.heard = self._clock
            if message[:1] == READY:
                if self._desk is not None:
                    self._desk.is_started = True
                worker.ready = self._clock if worker.ready is None else worker.ready
                self._places[worker.number].unready = 0
                self._cause = None
                if self._replacing == worker.number:
                    self._replacing = None
                self.rollout.serves(worker, message[1:].decode(errors="replace"))
            elif message[:1] == FAULT:
                worker.cause = message[1:].decode(errors="replace")[:_CAUSE_MOST]
            else:
                self.rollout.hear(worker, message)

    def _bury(self, shared: str) -> None:
        """Take those that are dead from the list, and say when their successors are due."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            # As the first process of a container this one inherits children of others.
            worker = self._workers.pop(pid, None)
            if worker is None:
                continue
            # What it said last may be why it ended.
            self._hear(worker)
            self.selector.unregister(worker.link)
            worker.link.close()
            forget(shared, worker.number)
            ended = os.waitstatus_to_exitcode(status)
            if self._told is None:
                how = f"signal {-ended}" if ended < 0 else f"exit code {ended}"
                self._succeed(worker.number, worker, worker.cause or how)
            elif ended not in _STOPPED:
                self._code = 1

    def _succeed(self, number: int, worker: _Worker | None, how: str) -> None:
        """Say when the successor of a worker is due that ended, or never was, and have it told of."""
        place = self._places[number]
        ready = None if worker is None else worker.ready
        if ready is not None and self._clock - ready >= _SETTLED:
            place.falls = 0
        place.due = self._clock + min(_PAUSE_MOST, _PAUSE * 2**place.falls)
        place.falls = min(place.falls + 1, 10)
        why = "unready" if ready is None else "died"
        if worker is not None and worker.is_killed:
            why, how = "silent", "its event loop stood still for longer than server.heartbeat"
        self.tell(LOST + json.dumps({"worker": number, "why": why, "detail": how}).encode())
        if ready is not None:
            return
        place.unready += 1
        if self._replacing == number and why != "silent":
            # It is no want of time that keeps this one from serving: whoever else hangs needs not wait for it.
            self._replacing = None
        if self._cause is None:
            is_told = worker is not None and worker.cause
            self._cause = how if is_told else f"worker {number} ended before it was ready: {how}"
        if all(one.unready >= _TRIES for one in self._places.values()) and not self.serving():
            self._code = 1
            self.stop(signal.SIGTERM)

    def _judge(self) -> None:
        """Kill what hangs: one at a time, so that a machine that is too slow for all keeps some."""
        if self._ends_at is not None:
            if time.monotonic() >= self._ends_at:
                for pid in self._workers:
                    _signal(pid, signal.SIGKILL)
            return
        for worker in self._workers.values():
            is_next = self._replacing in {None, worker.number}
            patience = max(self._heartbeat, _START if worker.ready is None else 0.0)
            if is_next and not worker.is_killed and self._clock - worker.heard > patience:
                worker.is_killed = True
                self._replacing = worker.number
                _signal(worker.pid, signal.SIGKILL)

    def tell(self, message: bytes, content: int | None = None) -> None:
        """Have this told of by any worker, and close the descriptor then. What nobody takes for long is forgotten."""
        self._news.append((message, content))
        while len(self._news) > _NEWS_MOST:
            self._forget_news()
        self._tell_news()

    def _forget_news(self) -> None:
        _, content = self._news.popleft()
        if content is not None:
            os.close(content)

    def serving(self) -> list[_Worker]:
        """Return the workers that serve and were heard of late, those heard last first."""
        since = self._clock - 3 * beat_every(self._heartbeat) - 2 * self._turn
        ready = [worker for worker in self._workers.values() if worker.ready is not None and worker.heard >= since]
        return sorted(ready, key=lambda worker: worker.heard, reverse=True)

    def _hand(self, connection: socket.socket) -> bool:
        for worker in self.serving():
            with suppress(OSError):
                socket.send_fds(worker.link, [CONNECTION], [connection.fileno()])
                return True
        return False

    def _tell_news(self) -> None:
        for worker in self.serving():
            while self._news:
                message, content = self._news[0]
                try:
                    socket.send_fds(worker.link, [message], [] if content is None else [content])
                except OSError:
                    break
                self._forget_news()


def _empty(woken: socket.socket) -> None:
    with suppress(BlockingIOError):
        while woken.recv(MESSAGE_MOST):
            pass


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
