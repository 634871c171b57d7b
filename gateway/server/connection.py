"""One connection of a client: aiohttp's parser with our own words for what it refuses, and our patience.

It sees no request; the edge answers those.
"""

import logging
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from gateway.server.edge import Edge, break_off, last_response
from gateway.server.replies import render
from gateway.vocab.refusals import Code, Refusal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class GatewayProtocol(RequestHandler):
    """aiohttp's connection, with our own words for what its parser refuses."""

    __slots__ = ("_edge", "_head_timer")

    def __init__(self, server: "GatewayServer", edge: Edge, **options: Any) -> None:
        super().__init__(server, **options)
        self._edge = edge
        self._head_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Parse what came; a head that has begun must come to its end."""
        super().data_received(data)
        self.watch_head(data, is_whole=not self._is_waiting)

    def watch_head(self, data: bytes, *, is_whole: bool) -> None:
        """Begin the time for a head of which `data` is a part, end it when all of it has come."""
        if is_whole:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None
        elif self._head_timer is None and data:
            self._head_timer = self._loop.call_later(self._edge.patience.head, self._give_up)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let go of everything."""
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)

    def _process_keepalive(self) -> None:
        transport = self.transport
        super()._process_keepalive()
        if self.transport is None and transport is not None and transport.get_write_buffer_size():
            # All this time was not enough for the client to take the last reply; to close would mean to wait for ever.
            break_off(transport)

    @property
    def _is_waiting(self) -> bool:
        """Whether no request is there to be answered: what has come is less than a head."""
        return self._waiter is not None and not self._waiter.done()

    def _give_up(self) -> None:
        self._head_timer = None
        if self._is_waiting:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not HTTP. The parser's text quotes the request, tokens too: it is neither sent nor kept."""
        del message
        if request.writer.output_size > 0:
            raise ConnectionError("the head of a reply has left already")
        if status >= 500:  # noqa: PLR2004 - HTTP's own number
            # Counted where it was raised.
            return last_response(render(Refusal(Code.INTERNAL)), ())
        code = Code.HEADERS_TOO_LARGE if isinstance(exc, LineTooLong) else Code.REQUEST_MALFORMED
        return self._edge.refuse_unreadable(code, request.remote or "-")


class GatewayServer(web.Server):
    """aiohttp's low-level server over our protocol: no router, no middleware, no access log of its own.

    `make_protocol` makes what serves one connection.
    """

    def __init__(
        self,
        edge: Edge,
        *,
        keepalive_timeout: float,
        make_protocol: "Callable[..., GatewayProtocol]" = GatewayProtocol,
    ) -> None:
        silent = logging.getLogger("gateway.aiohttp")
        # Everything it would print quotes requests; what matters becomes an event.
        silent.disabled = True
        super().__init__(
            edge.handle,
            handler_cancellation=True,
            access_log=None,
            logger=silent,
            keepalive_timeout=keepalive_timeout,
            auto_decompress=False,
        )
        self._edge = edge
        self._make_protocol = make_protocol

    def __call__(self) -> RequestHandler:
        """Make the protocol of one connection."""
        return self._make_protocol(self, self._edge, loop=self._loop, **self._kwargs)
