"""Hashing and verifying passwords with argon2id, in a bounded pool of threads beside the event loop.

It does not know whose password it is, and stores nothing.
"""

import asyncio
import os
import sys
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Event, get_native_id
from typing import Any, TypeVar

import argon2
from argon2.exceptions import HashingError, InvalidHashError, VerificationError, VerifyMismatchError

from gateway.tokens.turns import Turn, Turns
from gateway.vocab.events import Emit, PasswordQueue
from gateway.vocab.refusals import Code, Refusal

PASSWORD_BYTES = 1024
"""Longest password in UTF-8: room for any pass phrase; argon2 reads the whole of it, so it must have an end."""

# What a stored hash may ask for. Imported hashes name their own cost, and one login must not take the machine down:
# memory and passes are some twenty times what OWASP's password storage sheet asks for; lengths as argon2's own floor.
_MEMORY_KIB = range(8, 1024 * 1024 + 1)
_TIME_COST = range(1, 17)
_PARALLELISM = range(1, 17)
_HASH_BYTES = range(16, 65)
_SALT_BYTES = range(8, 65)

_DUMMY_PASSWORD = "no customer has this password"  # noqa: S105  # nothing accepts it: verify() answers False all the same

# The lowest: where both want the same core, a password takes what requests leave (sched(7)).
_NICENESS = 19

T = TypeVar("T")


def check_length(password: object) -> bool:
    """Say whether this is text that can be a password: 1 to 1024 bytes of UTF-8."""
    if not isinstance(password, str):
        return False
    try:
        return 0 < len(password.encode()) <= PASSWORD_BYTES
    except UnicodeEncodeError:
        # A lone surrogate, from a JSON escape, has no UTF-8.
        return False


def prepare(password: str) -> str:
    """Return what of a password is hashed: one spelling, on whatever keyboard it was typed (RFC 8265 4.2.2).

    Spaces of other kinds become plain ones, and what composes is composed (NFC). Spaces, case and width stay.
    """
    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in password)
    return unicodedata.normalize("NFC", spaced)


def _step_back() -> None:
    """Let this thread have what the event loop leaves: a request takes microseconds, a password tens of milliseconds.

    On Linux a thread has a priority of its own (setpriority(2)), and lowering it needs no privilege.
    """
    if sys.platform == "linux":
        # A container may forbid even that; then requests wait longer while passwords are computed.
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, get_native_id(), _NICENESS)


class PasswordHasher:
    """Argon2id with a bound on how much of it happens at once.

    `workers` computations run and `queue_limit` wait; one more is refused at once. A computation keeps its place
    until its thread is done, even when nobody waits for it any more.

    Logins keep `login_share` of both, and of the turns (`tokens/turns.py`): a flood of registrations takes only the
    rest. Whatever is not a login's is called other work here.
    """

    def __init__(  # noqa: PLR0913 - argon2's sizes and the pool's
        self,
        *,
        workers: int,
        queue_limit: int,
        memory_kib: int,
        time_cost: int,
        parallelism: int,
        emit: Emit,
        login_share: float = 0.5,
    ) -> None:
        if workers < 1 or queue_limit < 0:
            raise ValueError("a password hasher needs a worker, and a queue of zero or more places")
        # Before the first hash is made of them, and so that its own hashes are never among those it does not verify.
        if memory_kib not in _MEMORY_KIB or time_cost not in _TIME_COST or parallelism not in _PARALLELISM:
            raise ValueError("these argon2 parameters are not among those accepted in a stored hash")
        if memory_kib < 8 * parallelism:
            raise ValueError("argon2 needs 8 KiB for each lane (RFC 9106 3.1)")
        self._argon2 = argon2.PasswordHasher(time_cost, memory_kib, parallelism, type=argon2.Type.ID)
        self._dummy = self._argon2.hash(_DUMMY_PASSWORD)
        self._turns = Turns(workers, queue_limit, login_share)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="password", initializer=_step_back)
        self._emit = emit
        self._closed = False

    async def hash(self, password: str, *, is_login: bool = False) -> str | Refusal:
        """Return the argon2id hash of a password that passed `check_length`.

        Refusals: OVERLOADED, DRAINING.

        Raises:
            ValueError: the password did not pass `check_length`.

        """
        if not check_length(password):
            raise ValueError("check_length decides before a password comes here")
        return await self._run(lambda: self._hash(password), is_login=is_login)

    async def verify(self, password: str, stored: str | None, *, is_login: bool = True) -> bool | Refusal:
        """Say whether the password made the stored hash; the same work is done when there is none.

        A password of another spelling than `prepare` gives it is tried as it is too: it may have been hashed so once.

        Refusals: OVERLOADED, DRAINING.
        """
        return await self._run(lambda: self._verify(password, stored), is_login=is_login)

    def crowded(self) -> Refusal | None:
        """Return what work that is no login's would be refused with now: before anybody is asked anything for it."""
        if self._closed:
            return Refusal(Code.DRAINING)
        return None if self._turns.is_open_to_others else _full()

    def needs_rehash(self, stored: str) -> bool:
        """Say whether the stored hash has other parameters than new ones get."""
        try:
            return self._argon2.check_needs_rehash(stored)
        except InvalidHashError:
            return True

    def close(self) -> None:
        """Take no more work, and drop what waits. It does not wait for computations that run."""
        self._closed = True
        for computation in self._turns.drop():
            computation.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T | Refusal], *, is_login: bool) -> T | Refusal:
        if self._closed:
            return Refusal(Code.DRAINING)
        computation: asyncio.Future[T | Refusal] = asyncio.get_running_loop().create_future()
        abandoned = Event()

        def job() -> T | Refusal:
            # Nobody would see the result: give the thread to somebody who waits.
            return Refusal(Code.OVERLOADED) if abandoned.is_set() else work()

        if not self._turns.join(Turn(job, computation, is_login=is_login)):
            return _full()
        self._emit(PasswordQueue(self._turns.depth))
        self._begin()
        try:
            # Without the shield a cancelled request would take its place out of the count while its thread, or its
            # password in the queue, is still there.
            return await asyncio.shield(computation)
        except asyncio.CancelledError:
            abandoned.set()
            task = asyncio.current_task()
            if computation.cancelled() and not (task and task.cancelling()):
                # It was not this request that was cancelled but, by close(), the work it waited for.
                return Refusal(Code.DRAINING)
            raise

    def _begin(self) -> None:
        """Give the threads that are free to those whose turn it is."""
        loop = asyncio.get_running_loop()
        while not self._closed and (turn := self._turns.next()) is not None:
            running = loop.run_in_executor(self._pool, turn.job)
            running.add_done_callback(partial(self._done, turn))

    def _done(self, turn: Turn, running: asyncio.Future[Any]) -> None:
        self._turns.done(turn)
        self._emit(PasswordQueue(self._turns.depth))
        if not turn.outcome.done():
            if running.cancelled():
                turn.outcome.cancel()
            elif (error := running.exception()) is not None:
                turn.outcome.set_exception(error)
            else:
                turn.outcome.set_result(running.result())
        self._begin()

    def _hash(self, password: str) -> str | Refusal:
        try:
            return self._argon2.hash(prepare(password))
        except HashingError:
            # The library's only cause with parameters that worked at construction: memory.
            return Refusal(Code.OVERLOADED, detail="argon2 could not hash", retry_after=1)

    def _verify(self, password: str, stored: str | None) -> bool | Refusal:
        # A success ends the work, a failure never does: how much there is of it depends on the password alone.
        if not check_length(password):
            return self._compare("", None)
        prepared = prepare(password)
        outcome = self._compare(prepared, stored)
        return self._compare(password, stored) if outcome is False and prepared != password else outcome

    def _compare(self, password: str, stored: str | None) -> bool | Refusal:
        if stored is not None and _is_affordable(stored):
            try:
                return self._argon2.verify(stored, password)
            except VerifyMismatchError:
                return False
            except (VerificationError, ValueError):
                # Damaged (not base64, not ASCII), or no memory for it: the dummy below tells which.
                pass
        try:
            self._argon2.verify(self._dummy, password)
        except VerifyMismatchError:
            pass
        except VerificationError:
            return Refusal(Code.OVERLOADED, detail="argon2 could not verify", retry_after=1)
        return False


def _full() -> Refusal:
    return Refusal(Code.OVERLOADED, detail="the password queue is full", retry_after=1)


def _is_affordable(stored: str) -> bool:
    try:
        cost = argon2.extract_parameters(stored)
    except InvalidHashError:
        return False
    return (
        cost.memory_cost in _MEMORY_KIB
        and cost.time_cost in _TIME_COST
        and cost.parallelism in _PARALLELISM
        and cost.hash_len in _HASH_BYTES
        and cost.salt_len in _SALT_BYTES
    )
