"""Connections of clients beyond what the process can hold: closed as soon as they are made, and told of."""

import asyncio
from typing import Final

from gateway.vocab.events import ConnectionsRefused, Emit

# A flood is told of once in so many seconds.
_TOLD_EVERY: Final = 1.0


class Crowd:
    """Closes connections. `limit` is how many there may be, None without a limit."""

    def __init__(self, emit: Emit, limit: int | None) -> None:
        self.limit: Final = limit
        self._emit = emit
        self._untold = 0
        self._is_telling = False

    def is_full(self, count: int) -> bool:
        """Tell whether there are so many already."""
        return self.limit is not None and count >= self.limit

    def make(self) -> asyncio.BaseProtocol:
        """Make the protocol of a connection that is one too many."""
        return _Excess(self)

    def refused(self) -> None:
        """Count one that was closed."""
        self._untold += 1
        if not self._is_telling:
            self._is_telling = True
            self._tell()

    def _tell(self) -> None:
        count, self._untold = self._untold, 0
        self._is_telling = bool(count)
        if count:
            self._emit(ConnectionsRefused(count, self.limit or 0))
            asyncio.get_running_loop().call_later(_TOLD_EVERY, self._tell)


class _Excess(asyncio.Protocol):
    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        transport.abort()  # type: ignore[attr-defined]  # every transport of a socket has it
        self._crowd.refused()
