"""Stands between a store and PostgreSQL: counts round trips, and speaks TLS, which the server of the wheel does not."""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

# The first message of a client that wants TLS (postgresql.org/docs/current/protocol-message-formats.html, SSLRequest).
_SSL_REQUEST = struct.pack("!II", 8, 80877103)


class Relay:
    """Passes bytes on, both ways. `trips` is how often the client spoke after the server had.

    `swallows` is a type of the server's messages that never comes through.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self._port = port
        self._tls = tls
        self.port = 0
        self.trips = 0
        self.connections = 0
        self.swallows = b""
        self.ends: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it."""
        self.connections += 1
        if self._tls is not None:
            if await reader.readexactly(8) != _SSL_REQUEST:
                writer.close()
                return
            writer.write(b"S")
            with suppress(ssl.SSLError, ConnectionError):
                await writer.start_tls(self._tls)
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self.ends += writer, server_writer
        spoke = [""]
        async with asyncio.TaskGroup() as both:
            both.create_task(self._pass(reader, server_writer, spoke, "client"))
            both.create_task(self._pass(server_reader, writer, spoke, "server"))

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, spoke: list[str], who: str
    ) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            while piece := await reader.read(65536):
                self.trips += who == "client" != spoke[0]
                spoke[0] = who
                writer.write(self._left_of(piece) if who == "server" and self.swallows else piece)
                await writer.drain()
        writer.close()

    def _left_of(self, piece: bytes) -> bytes:
        """Leave messages out; those of a server that has little to say come whole."""
        left, at = b"", 0
        while at < len(piece):
            end = at + 1 + int.from_bytes(piece[at + 1 : at + 5])
            left += b"" if piece[at : at + 1] == self.swallows else piece[at:end]
            at = end
        return left


@asynccontextmanager
async def relayed(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Relay]:
    """Run a relay to a port of this machine."""
    relay = Relay(port, tls)
    async with await asyncio.start_server(relay.serve, "127.0.0.1", 0) as listening:
        relay.port = listening.sockets[0].getsockname()[1]
        yield relay
        for end in relay.ends:
            end.close()
            with suppress(ConnectionError, ssl.SSLError):
                await end.wait_closed()
