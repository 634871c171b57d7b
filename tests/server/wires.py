"""Both connections of a request without sockets: what is written and when, to the turn of the loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from gateway.carrying.call import Timeouts
from gateway.carrying.connection import UpstreamConnection
from gateway.carrying.outbox import Outbox
from gateway.carrying.pool import ConnectionPool
from gateway.server.body import ClientTimeouts
from gateway.server.connection import ClientConnection
from gateway.server.edge import Edge, Serving
from gateway.server.listener import Listener
from gateway.server.peer import Peers
from gateway.vocab.events import Event, RequestDone
from gateway.wire.client_address import Proxies
from gateway.wiring import clock, now
from tests.server.stage import SHORT, Told, moltin

ASKING = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport that keeps what is written, holds as much of it back as a test says, and can be closing."""

    def __init__(self) -> None:
        self.near, self._far = socket.socketpair()
        super().__init__({"socket": self.near})
        self.written = bytearray()
        self.writes = 0
        self.pauses: list[str] = []
        self.waiting = 0
        self.is_ending = False
        self.is_aborted = False
        self.has_ended_writing = False
        self.gone = False

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Keep it."""
        self.writes += 1
        for data in list_of_data:
            self.written += data

    def write(self, data: Any) -> None:
        """Keep it."""
        self.writelines([data])

    def write_eof(self) -> None:
        """Keep that no more is written."""
        if self.gone:
            raise OSError("not connected")
        self.has_ended_writing = True

    def get_write_buffer_size(self) -> int:
        """Tell what a test says."""
        return self.waiting

    def is_closing(self) -> bool:
        """Tell what a test says."""
        return self.is_ending

    def pause_reading(self) -> None:
        """Keep that no more is taken."""
        self.pauses.append("pause")

    def resume_reading(self) -> None:
        """Keep that it is taken again."""
        self.pauses.append("resume")

    def abort(self) -> None:
        """End."""
        self.is_ending = self.is_aborted = True

    def close(self) -> None:
        """End, behind what waits."""
        self.is_ending = True

    def let_go(self) -> None:
        """Close the sockets."""
        self.near.close()
        self._far.close()


@dataclass(eq=False)
class Wired:
    """A client's connection and one to the upstream, on transports of a test."""

    protocol: ClientConnection
    connection: UpstreamConnection
    client: Wire
    upstream: Wire
    events: list[Event]
    edge: Edge

    @property
    def done(self) -> list[RequestDone]:
        """The requests that are done."""
        return [event for event in self.events if isinstance(event, RequestDone)]


@asynccontextmanager
async def wired(
    flow: Told, asking: bytes = ASKING, timeouts: ClientTimeouts = SHORT, keepalive: float = 5.0
) -> AsyncIterator[Wired]:
    """Have a client ask, and its request sent if it is to be."""
    config = moltin()
    loop = asyncio.get_running_loop()
    events: list[Event] = []
    outbox = Outbox(loop)
    pool = ConnectionPool("http://upstream.example", Timeouts(), 4, outbox)
    serving = Serving(config, flow, {"default": pool}, Peers(Proxies(), events.append), keepalive)
    edge = Edge(serving, outbox, events.append, now, clock, timeouts)
    client, upstream = Wire(), Wire()
    connection = UpstreamConnection(pool, outbox, Timeouts(), ("Host", "upstream.example"), "")
    connection.connection_made(upstream)
    pool.rested(connection)
    protocol = ClientConnection(edge, Listener(edge))
    protocol.connection_made(client)
    protocol.data_received(asking)
    await asyncio.sleep(0)
    try:
        yield Wired(protocol, connection, client, upstream, events, edge)
    finally:
        protocol.connection_lost(None)
        connection.connection_lost(None)
        for wire in (client, upstream):
            wire.let_go()
        await pool.close()
