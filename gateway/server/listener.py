"""The public port: listens, makes connections, and ends them."""

import asyncio
import os
import socket
from collections.abc import Sequence
from typing import Any

from gateway.server.client import Kept
from gateway.server.connection import ClientConnection
from gateway.server.crowd import Crowd
from gateway.server.edge import Edge
from gateway.server.port import close_to_new, dual_stack, waiting
from gateway.server.proxy_protocol import ProxiedConnection

# Connections that the kernel holds until they are accepted.
_BACKLOG = 1024
# How long the end waits for clients that have not taken all of their last reply; seconds.
_LAST_MOMENT = 1.0
# Clients that were told that they are connected say the last word of the handshake within this; seconds.
_HANDSHAKE = 0.1
# Who connects asks at once: a connection on which nothing came for so long is kept for later; seconds.
_ASKS_WITHIN = 1.0
_LOOK_EVERY = 0.01


class Listener:
    """The port that clients connect to; `most` may be connected at once."""

    def __init__(self, edge: Edge, most: int | None = None) -> None:
        self._edge = edge
        self._crowd = Crowd(edge.emit, most)
        self._connections: set[Kept] = set()
        self._server: asyncio.Server | None = None
        self._is_empty: asyncio.Event | None = None

    @property
    def addresses(self) -> Sequence[Any]:
        """The addresses that it is bound to, as the socket module gives them."""
        return [] if self._server is None else [one.getsockname() for one in self._server.sockets]

    async def open(self, host: str, port: int, *, shared: bool) -> None:
        """Listen. `shared` lets several processes do so on one port. Raises OSError when it cannot be had."""
        loop = asyncio.get_running_loop()
        both = dual_stack(host, port, shared=shared)
        if both is None:
            self._server = await loop.create_server(self._make, host, port, reuse_port=shared or None, backlog=_BACKLOG)
        else:
            self._server = await loop.create_server(self._make, sock=both, backlog=_BACKLOG)

    async def stop(self) -> None:
        """Take no more connections; those that there are stay, and those that the kernel has made already are taken.

        Ends when each of them has asked something, or seems not to want to.
        """
        server, self._server = self._server, None
        if server is None:
            return
        # The port stays open behind the server's back until nobody waits there.
        listening = [socket.socket(fileno=os.dup(one.fileno())) for one in server.sockets]
        try:
            for one in listening:
                close_to_new(one)
            await asyncio.sleep(_HANDSHAKE)
            server.close()
            accepted = [connection for one in listening for connection in waiting(one)]
        finally:
            server.close()
            for one in listening:
                one.close()
        for connection in accepted:
            await asyncio.get_running_loop().connect_accepted_socket(self._make, connection)
        is_waited_for = True
        while is_waited_for:
            # The loop takes some turns from an accepted socket to a connection that is known here.
            await asyncio.sleep(_LOOK_EVERY)
            is_waited_for = any(connection.is_about_to_ask(_ASKS_WITHIN) for connection in self._connections)

    async def close(self) -> None:
        """End everything within a moment. What is under way is cut off, what was written before still leaves."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
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

    def _make(self) -> asyncio.BaseProtocol:
        if self._crowd.is_full(len(self._connections)):
            return self._crowd.make()
        return (ProxiedConnection if self._edge.serving.peers.speaks_proxy else ClientConnection)(self._edge, self)

    # Connections call these.

    def came(self, connection: Kept) -> None:
        """Keep a new connection."""
        self._connections.add(connection)

    def went(self, connection: Kept) -> None:
        """Forget one that has ended."""
        self._connections.discard(connection)
        if not self._connections and self._is_empty is not None:
            self._is_empty.set()
