"""Writes lines without ever waiting for whoever reads them: a thread waits, and what has no room is given up.

Standard output may be a pipe that nobody reads, a disk that is full or slow. Its flags are shared with other processes
and not ours to change, so that a write to it may block for ever: no write is made by the event loop's own thread.
"""

import io
import os
import select
from collections import deque
from threading import Condition, Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

# Some ten thousand lines wait for a reader that is slow; what is told of isolation has room of its own behind them.
_ROOM: Final = 4 * 1024 * 1024
_SPARE: Final = 1024 * 1024
# How long the last lines may take to leave, in seconds.
_PATIENCE: Final = 1.0


class Outlet(io.TextIOBase):
    """A text stream to a file descriptor. Each text is written in one piece, if the system takes it so.

    `write` raises BlockingIOError where there is no room: that text is lost, and so are those that the descriptor
    refuses, of which `on_lost` is told in numbers of lines, from the thread. The descriptor stays open.
    """

    def __init__(self, descriptor: int, *, room: int = _ROOM, spare: int = _SPARE) -> None:
        self.on_lost: Callable[[int], None] = lambda _: None
        self._descriptor: Final = descriptor
        self._room: Final = room
        self._spare: Final = spare
        self._texts: Final[deque[bytes]] = deque()
        self._size = 0
        self._changed: Final = Condition()
        self._is_ending = False
        self._thread: Final = Thread(target=self._carry, name=f"outlet {descriptor}", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Take a text."""
        return self._put(text, self._room)

    def insist(self, text: str) -> int:
        """Take a text that may have the room that is kept back."""
        return self._put(text, self._room + self._spare)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def close(self) -> None:
        """Wait a moment for what is still to leave; a second call does nothing."""
        with self._changed:
            self._is_ending = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def _put(self, text: str, room: int) -> int:
        data = text.encode("utf-8", "backslashreplace")
        with self._changed:
            if self._is_ending or self._size + len(data) > room:
                raise BlockingIOError
            self._texts.append(data)
            self._size += len(data)
            self._changed.notify()
        return len(text)

    def _carry(self) -> None:
        while (data := self._next()) is not None:
            try:
                self._write(data)
            except OSError:
                # A closed pipe or a full disk.
                self.on_lost(max(1, data.count(b"\n")))
            with self._changed:
                self._size -= len(data)

    def _next(self) -> bytes | None:
        with self._changed:
            while not self._texts:
                if self._is_ending:
                    return None
                self._changed.wait()
            return self._texts.popleft()

    def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                # Somebody else has set its flags.
                select.select((), (self._descriptor,), (), _PATIENCE)
