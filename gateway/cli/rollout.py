"""A configuration on its way to all workers, as their supervisor sees it.

    asked ──▶ reading ──▶ preparing ──▶ in force
                  └───────────┴──▶ refused: the one before stays in force, everywhere

It is read by a process of its own, for that takes long; all workers prepare it, and only then does any of them swap. A
worker that misses a message says with its next sign of life by which one it serves, and is told again; one that begins
meanwhile begins with the one in force.
"""

import os
import pickle
import selectors
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from gateway.cli import sheet
from gateway.cli.candidate import Candidate, Reading, Report, read_again
from gateway.cli.chance import Chance
from gateway.cli.membership import ASK, DROP, PREPARE, PREPARED, REPORT, STIR, SWAP, UNUSABLE, WATCH
from gateway.cli.reload import TRY_AGAIN
from gateway.config.files import Files
from gateway.config.load import Loaded

# A routing file of a thousand routes is read and compared in some seconds; a worker waits five for a bearer.
_READ_WITHIN: Final = 60.0
_PREPARED_WITHIN: Final = 15.0
_PIECE: Final = 64 * 1024
# What a child says begins with how long it is: it may be killed half-way.
_LENGTH: Final = 8


class Follower(Protocol):
    """A worker that serves. `version` is that of the configuration it serves by, `given` the trial it was sent last."""

    number: int
    pid: int
    link: socket.socket
    version: str
    given: int


@dataclass(slots=True)
class _Child:
    """The process that reads, and what it has said so far."""

    pid: int
    pipe: int
    until: float
    said: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class _Trial:
    """A candidate that workers prepare: those who have not said that they have."""

    number: int
    loaded: Loaded
    settled: Loaded
    content: int
    until: float
    waiting: set[int]


class Workers(Protocol):
    """The supervisor, as far as a rollout needs it."""

    selector: selectors.BaseSelector

    def serving(self) -> Sequence[Follower]:
        """Return the workers that serve and were heard of late."""

    def tell(self, message: bytes, content: int) -> None:
        """Have this told of by any worker, and close the descriptor then."""

    def fork(self) -> int:
        """Fork; the child takes no part in the supervisor."""


class Rollout:
    """Has the configuration read again when asked, and brings it to the workers."""

    def __init__(self, reading: Reading, chance: Chance, workers: Workers) -> None:
        self.settled = chance.settle(reading.in_force)
        self._reading, self._chance, self._workers = reading, chance, workers
        # By SIGHUP, and because a file may have changed.
        self._is_told = self._is_stirred = False
        self._again_at: float | None = None
        self._child: _Child | None = None
        self._trial: _Trial | None = None
        # Of the one in force: none while it is that of the start, which all workers have from their birth.
        self._content: int | None = None
        # Which trial it came from, and how many there were.
        self._number = 0
        self._trials = 0

    @property
    def files(self) -> Files:
        """The files to be watched."""
        return self._reading.files

    def ask(self) -> None:
        """Have it read again, whether or not anything has changed."""
        self._is_told = True

    def step(self) -> None:
        """Go on with what is due."""
        now = time.monotonic()
        if self._child is not None:
            if now >= self._child.until:
                _kill(self._child.pid, signal.SIGKILL)
        elif self._trial is not None:
            # Nobody waits for one that is gone, or hangs; but where none is left nobody has prepared it.
            serving = {worker.pid for worker in self._workers.serving()}
            late = self._trial.waiting & serving
            if serving and not late:
                self._swap(self._trial)
            elif now >= self._trial.until:
                self._give_up(f"not every worker has prepared it within {_PREPARED_WITHIN:.0f} s")
        elif self._is_due(now) and self._workers.serving():
            self._again_at, self._is_told, self._is_stirred = None, False, False
            self._read()

    def serves(self, worker: Follower, version: str) -> None:
        """Know by which configuration a worker serves: one that missed something is told again."""
        worker.version = version
        trial = self._trial
        if trial is not None:
            if worker.given != trial.number:
                _give(worker, trial.number, trial.content)
                trial.waiting.add(worker.pid)
        elif worker.version != self.settled.version and self._content is not None:
            if worker.given != self._number:
                _give(worker, self._number, self._content)
            else:
                _send(worker, SWAP + self.settled.version.encode())

    def hear(self, worker: Follower, message: bytes) -> None:
        """Take what a worker says of configurations."""
        version, _, why = message[1:].decode(errors="replace").partition(" ")
        kind = message[:1]
        if kind == ASK:
            self.ask()
        elif kind == STIR:
            self._is_stirred = True
        elif kind == PREPARED:
            self._prepared(worker, version)
        elif kind == UNUSABLE:
            self._unusable(worker, version, why)

    def _prepared(self, worker: Follower, version: str) -> None:
        trial = self._trial
        if trial is not None and trial.settled.version == version:
            trial.waiting.discard(worker.pid)
        elif version == self.settled.version:
            _send(worker, SWAP + version.encode())

    def _unusable(self, worker: Follower, version: str, why: str) -> None:
        if self._trial is not None and self._trial.settled.version == version:
            self._give_up(why)
        elif version == self.settled.version:
            # All others serve by it, and so will its successor.
            _kill(worker.pid, signal.SIGTERM)

    def close(self) -> None:
        """Close everything, in a process that shall have none of it or at the end."""
        pipe = [] if self._child is None else [self._child.pipe]
        trial = [] if self._trial is None else [self._trial.content]
        content = [] if self._content is None else [self._content]
        for descriptor in (*pipe, *trial, *content):
            os.close(descriptor)

    def _is_due(self, now: float) -> bool:
        if self._is_told or (self._again_at is not None and now >= self._again_at):
            return True
        # Each worker tells of a change, and all but the first of one that has been read already.
        return self._is_stirred and self.files.now() != self.files.then()

    def _read(self) -> None:
        ours, its = os.pipe()
        try:
            pid = self._workers.fork()
        except OSError as error:
            os.close(ours)
            os.close(its)
            self._refuse((f"the system gives no process to read the configuration: {error.strerror}",))
            return
        if pid == 0:
            _say(its, self._reading)
        os.close(its)
        os.set_blocking(ours, False)
        self._child = _Child(pid, ours, time.monotonic() + _READ_WITHIN)
        self._workers.selector.register(ours, selectors.EVENT_READ, self._hear_child)

    def _hear_child(self) -> None:
        child = self._child
        if child is None:
            return
        with suppress(BlockingIOError):
            while piece := os.read(child.pipe, _PIECE):
                child.said += piece
            self._workers.selector.unregister(child.pipe)
            os.close(child.pipe)
            self._child = None
            self._judge(bytes(child.said))

    def _judge(self, said: bytes) -> None:
        length, whole = int.from_bytes(said[:_LENGTH]), said[_LENGTH:]
        if not whole or len(whole) < length:
            self._refuse(("the process that read the configuration ended before it was done",))
            return
        candidate: Candidate = pickle.loads(whole)  # noqa: S301 - of our own child, over a pipe
        self._reading = replace(self._reading, files=candidate.files)
        loaded, version = candidate.loaded, self.settled.version
        if loaded is None:
            self._watch()
            self._refuse(candidate.faults)
        elif loaded.version == version:
            self._watch()
            self._report(Report(version, "unchanged"))
        else:
            # A worker takes it before it prepares anything, and so before anybody swaps.
            self._report(Report(version, changes=candidate.changes))
            settled = self._chance.settle(loaded)
            content = sheet.written(pickle.dumps((settled, candidate.files)))
            workers = self._workers.serving()
            until = time.monotonic() + _PREPARED_WITHIN
            self._trials += 1
            self._trial = _Trial(self._trials, loaded, settled, content, until, {worker.pid for worker in workers})
            for worker in workers:
                _give(worker, self._trials, content)

    def _swap(self, trial: _Trial) -> None:
        """Have all swap: whoever begins from now on begins with it, whoever misses this is told again."""
        self._trial = None
        if self._content is not None:
            os.close(self._content)
        self._content, self._number, self.settled = trial.content, trial.number, trial.settled
        self._reading = replace(self._reading, in_force=trial.loaded)
        for worker in self._workers.serving():
            _send(worker, SWAP + trial.settled.version.encode())
        self._report(Report(trial.settled.version, "swapped"))

    def _give_up(self, why: str) -> None:
        trial, self._trial = self._trial, None
        if trial is not None:
            os.close(trial.content)
            for worker in self._workers.serving():
                _send(worker, DROP + trial.settled.version.encode())
        self._again_at = time.monotonic() + TRY_AGAIN
        self._refuse((why,))

    def _refuse(self, faults: tuple[str, ...]) -> None:
        self._report(Report(self.settled.version, "refused", faults))

    def _report(self, report: Report) -> None:
        self._workers.tell(REPORT, sheet.written(pickle.dumps(report)))

    def _watch(self) -> None:
        content = sheet.written(pickle.dumps(self.files))
        for worker in self._workers.serving():
            _send(worker, WATCH, content)
        os.close(content)


def _say(pipe: int, reading: Reading) -> None:
    """Read, as a process that exists for this alone, and say what came of it."""
    code = 1
    try:
        with os.fdopen(pipe, "wb") as said:
            content = pickle.dumps(read_again(reading))
            said.write(len(content).to_bytes(_LENGTH) + content)
        code = 0
    finally:
        # Nothing may unwind into the supervisor's own code.
        os._exit(code)


def _send(worker: Follower, message: bytes, content: int | None = None) -> bool:
    with suppress(OSError):
        socket.send_fds(worker.link, [message], [] if content is None else [content])
        return True
    return False


def _give(worker: Follower, number: int, content: int) -> None:
    if _send(worker, PREPARE, content):
        worker.given = number


def _kill(pid: int, number: int) -> None:
    # What it said last may be heard when it is gone.
    with suppress(ProcessLookupError):
        os.kill(pid, number)
