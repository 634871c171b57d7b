"""Watches the event loop: how late it comes to what is due, and what kept it.

While one step of it takes its time nothing else is answered, and nothing else could tell of it.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from threading import Event as Flag
from threading import Thread, get_ident
from types import FrameType
from typing import Final

from gateway.vocab.events import Emit, LoopBlocked

_EVERY: Final = 0.1
BLOCKED: Final = 0.25
"""From this on a delay is told of, in seconds: a person notices it."""


class LoopWatch:
    """Measures the loop's delay ten times a second and hands it to `observe`, in seconds; a long one is an event."""

    def __init__(self, emit: Emit, observe: Callable[[float], None]) -> None:
        self._emit: Final = emit
        self._observe: Final = observe
        self._beat = 0.0
        self._where = ""

    async def run(self) -> None:
        """Watch the running loop until cancelled."""
        self._beat = time.monotonic()
        ended = Flag()
        watcher = Thread(target=self._look, args=(get_ident(), ended), name="loop watch", daemon=True)
        watcher.start()
        try:
            while True:
                await asyncio.sleep(_EVERY)
                late = max(0.0, time.monotonic() - self._beat - _EVERY)
                where, self._where, self._beat = self._where, "", time.monotonic()
                self._observe(late)
                if late > BLOCKED:
                    self._emit(LoopBlocked(late, where or "unknown: it kept all threads of the process"))
        finally:
            ended.set()

    def _look(self, loop_thread: int, ended: Flag) -> None:
        while not ended.wait(_EVERY):
            if not self._where and time.monotonic() - self._beat > _EVERY + BLOCKED / 2:
                frame = sys._current_frames().get(loop_thread)  # noqa: SLF001 - the documented way to see a thread's
                self._where = "" if frame is None else _name(frame)


def _name(frame: FrameType) -> str:
    """Say where a thread is, and which part of the gateway had it go there; no values."""
    names = [_place(frame)]
    outer: FrameType | None = frame
    while outer is not None and not outer.f_globals.get("__name__", "").startswith("gateway."):
        outer = outer.f_back
    if outer is not None and outer is not frame:
        names.append(f"called from {_place(outer)}")
    return ", ".join(names)


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_qualname} at {frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}"
