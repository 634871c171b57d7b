"""The express lane's connections to one upstream, all together. It never makes a request wait."""

import asyncio
import ssl

import yarl

from gateway.upstream.client import Timeouts
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.outbox import Outbox

# Connections made at once, and the pause after one could not be made.
_OPENING_MOST = 8
_PAUSE = 1.0


class ConnectionPool:
    """Open connections to one upstream, at most `most`. It never makes a caller wait: it gives one or none.

    Where it has none it makes one for the requests to come, while this one goes through the standard lane.
    """

    def __init__(self, url: str, limits: Timeouts, most: int) -> None:
        base = yarl.URL(url)
        self._address = (base.host or "", base.port or 0)
        self._ssl = ssl.create_default_context() if base.scheme == "https" else None
        self.base_path = base.raw_path.rstrip("/")
        self.host = ("Host", base.host_port_subcomponent or "")
        self._limits = limits
        self._most = most
        # Clients of the lane are written to through it as well.
        self.outbox = Outbox(asyncio.get_running_loop())
        self._idle: list[UpstreamConnection] = []
        self._all: set[UpstreamConnection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._not_before = 0.0
        self._is_closed = False

    def take(self) -> UpstreamConnection | None:
        """Return a connection that is open, as far as is known, or None."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
            connection.close()
        self.open()
        return None

    def put(self, connection: UpstreamConnection) -> None:
        """Take back a connection whose answer is complete."""
        self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """Count a connection no more."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def open(self) -> None:
        """Begin to make one more connection, if there may be one."""
        loop = asyncio.get_running_loop()
        is_full = len(self._all) + len(self._opening) >= self._most or len(self._opening) >= _OPENING_MOST
        if is_full or self._is_closed or loop.time() < self._not_before:
            return
        task = loop.create_task(self._connect(loop), name="upstream connection")
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        host, port = self._address
        try:
            async with asyncio.timeout(self._limits.connect):
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(self, self._limits), host, port, ssl=self._ssl
                )
        except (OSError, TimeoutError):
            # The standard lane meets the same fault and says so to its client.
            self._not_before = loop.time() + _PAUSE
            return
        self._all.add(connection)
        connection.rest()

    async def close(self) -> None:
        """Close all connections; exchanges under way end without a word."""
        self._is_closed = True
        opening = list(self._opening)
        for task in opening:
            task.cancel()
        if opening:
            await asyncio.wait(opening)
        for connection in list(self._all):
            connection.close()
