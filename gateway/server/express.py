"""The express lane: requests that can be decided without a wait, carried without a task. docs/express.md explains it.

aiohttp parses every request and keeps their order; what this lane does not take, its handler gets as it was parsed. All
decisions are flow's: this module says which requests the lane takes, server/exchange.py carries one of them.
"""

import asyncio
from typing import Any

from aiohttp import HttpVersion11, web
from aiohttp.http import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import RequestHandler

from gateway.flow import Flow, Ready
from gateway.server.connection import GatewayProtocol, GatewayServer
from gateway.server.edge import Edge
from gateway.server.exchange import Exchange
from gateway.upstream.connections import ConnectionPool
from gateway.vocab.events import Failed, describe
from gateway.vocab.messages import Trace
from gateway.vocab.refusals import Code, Refusal


class ExpressProtocol(GatewayProtocol):
    """One connection of a client, on which requests take the express lane wherever they can.

    One request at a time is looked at, the first in aiohttp's queue, and it stays there until it is answered: so the
    standard lane finds it there if it has to take over, and replies leave in the order of the requests.
    """

    __slots__ = ("_exchange", "_flow", "_held", "_is_handed_over", "_peer", "_pool", "outbox")

    def __init__(self, server: GatewayServer, edge: Edge, *, flow: Flow, pool: ConnectionPool, **options: Any) -> None:
        super().__init__(server, edge, **options)
        self._flow = flow
        self._pool = pool
        self.outbox = pool.outbox
        self._exchange: Exchange | None = None
        self._held = b""
        self._is_handed_over = False
        self._peer = "-"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep who it is."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else "-"

    def data_received(self, data: bytes) -> None:
        """Parse what came, and take of it what the express lane can."""
        is_between = self._waiter is None and not self._request_in_progress and not self._messages
        if self._held or (is_between and data):
            # The standard lane has answered and will be asleep in a moment. A request that came before that would go
            # through it as well, and under load so would the next one, for ever.
            if not self._held:
                self._loop.call_soon(self._receive_held)
            self._held += data
        else:
            self._receive(data)

    def _receive_held(self) -> None:
        held, self._held = self._held, b""
        if self._parser is not None:
            self._receive(held)

    def _receive(self, data: bytes) -> None:
        # The standard lane sleeps on this; it is woken only for what the express lane leaves to it.
        waiter, self._waiter = self._waiter, None
        count = self._request_count
        RequestHandler.data_received(self, data)
        self._waiter = waiter
        if self._head_timer is not None or self._request_count == count:
            self.watch_head(data, is_whole=self._request_count > count or not self._is_waiting)
        if self._messages:
            self._serve()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give up what is under way."""
        if self._exchange is not None:
            self._exchange.abandon()
            self._exchange = None
        self._taken_over()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Know that the client takes less than comes."""
        super().pause_writing()
        if self._exchange is not None:
            self._exchange.pause()

    def resume_writing(self) -> None:
        """Know that the client has caught up."""
        super().resume_writing()
        if self._exchange is not None:
            self._exchange.resume()

    def settled(self, *, is_last: bool) -> None:
        """Go on with the next request, or end: this one is answered."""
        self._exchange = None
        if is_last:
            # What was written still leaves.
            self.force_close()
        if self._parser is None or not self._messages or is_last:
            return
        self._messages.popleft()
        self._parser.message_consumed()
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        if self._messages:
            self._serve()

    def handed_over(self) -> None:
        """Let the standard lane have the request, which was not answered; until it has it, it counts as in flight."""
        self._exchange = None
        self._edge.enter()
        self._is_handed_over = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _handle_request(self, *given: Any, **named: Any) -> tuple[web.StreamResponse, bool]:
        try:
            return await super()._handle_request(*given, **named)
        finally:
            self._taken_over()

    def _taken_over(self) -> None:
        if self._is_handed_over:
            self._is_handed_over = False
            self._edge.leave()

    def _serve(self) -> None:
        """Begin with the first request in the queue, in this lane or in the other."""
        waiter = self._waiter
        if self._exchange is not None or not self._messages or waiter is None or waiter.done():
            return
        message, payload = self._messages[0]
        # What is no request (aiohttp's word for bytes it could not read) or has a body is not for this lane.
        if not isinstance(message, RawRequestMessage) or payload is not EMPTY_PAYLOAD or not self._take(message):
            waiter.set_result(None)

    def _take(self, message: RawRequestMessage) -> bool:
        """Carry a request, and say so; False for one that the standard lane has to carry."""
        edge = self._edge
        is_usual = message.version == HttpVersion11 and not (
            message.should_close or message.upgrade or message.chunked or "upgrade" in message.headers
        )
        if not is_usual or edge.is_draining or self._paused:
            return False
        started = edge.clock()
        snapshot = edge.snapshot()
        request = edge.request(message.method, message.path, message.raw_headers, self._peer)
        trace = Trace(request_id=request.id, lane="express")
        try:
            outcome = self._flow.decide(snapshot, request, trace)
        except Exception as error:  # noqa: BLE001 - the last resort: a bug is answered, counted and named, never shown
            edge.emit(Failed(request.id, "request", describe(error)))
            outcome = Refusal(Code.INTERNAL)
        if outcome is None:
            return False
        connection = None
        if isinstance(outcome, Ready) and (connection := self._pool.take()) is None:
            return False
        self._exchange = exchange = Exchange(self, edge, self._flow, snapshot, request, trace, started)
        try:
            if isinstance(outcome, Ready) and connection is not None:
                exchange.send(outcome, connection)
            elif not isinstance(outcome, Ready):
                exchange.reply(outcome)
        except Exception as error:  # noqa: BLE001 - the last resort
            exchange.failed(error)
        return True

    def _process_keepalive(self) -> None:
        if self._exchange is not None:
            # aiohttp takes a connection for idle while its own lane is.
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    @property
    def _is_waiting(self) -> bool:
        return self._exchange is None and super()._is_waiting
