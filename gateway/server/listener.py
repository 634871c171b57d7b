"""The public port: listens, makes connections, and ends them."""

import asyncio
from collections.abc import Sequence
from typing import Any

from gateway.server.connection import ClientConnection, Kept
from gateway.server.edge import Edge
from gateway.server.proxy_protocol import ProxiedConnection

# Connections that the kernel holds until they are accepted.
_BACKLOG = 1024
# How long the end waits for clients that have not taken all of their last reply; seconds.
_LAST_MOMENT = 1.0


class Listener:
    """The port that clients connect to."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._connections: set[Kept] = set()
        self._server: asyncio.Server | None = None
        self._is_empty: asyncio.Event | None = None

    @property
    def addresses(self) -> Sequence[Any]:
        """The addresses that it is bound to, as the socket module gives them."""
        return [] if self._server is None else [one.getsockname() for one in self._server.sockets]

    async def open(self, host: str, port: int, *, shared: bool) -> None:
        """Listen. `shared` lets several processes do so on one port. Raises OSError when it cannot be had."""
        self._server = await asyncio.get_running_loop().create_server(
            self._make,
            host,
            port,
            reuse_port=shared or None,
            backlog=_BACKLOG,
        )

    def stop(self) -> None:
        """Take no more connections; those that there are stay."""
        if self._server is not None:
            self._server.close()

    async def close(self) -> None:
        """End everything within a moment. What is under way is cut off, what was written before still leaves."""
        self.stop()
        self._is_empty = asyncio.Event()
        for connection in tuple(self._connections):
            connection.close()
        if not self._connections:
            return
        try:
            async with asyncio.timeout(_LAST_MOMENT):
                await self._is_empty.wait()
        except TimeoutError:
            for connection in tuple(self._connections):
                connection.cut_off()

    def _make(self) -> ClientConnection | ProxiedConnection:
        return (ProxiedConnection if self._edge.peers.speaks_proxy else ClientConnection)(self._edge, self)

    # Connections call these.

    def came(self, connection: Kept) -> None:
        """Keep a new connection."""
        self._connections.add(connection)

    def went(self, connection: Kept) -> None:
        """Forget one that has ended."""
        self._connections.discard(connection)
        if not self._connections and self._is_empty is not None:
            self._is_empty.set()
