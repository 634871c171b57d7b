"""The pool of connections to the upstream: one goes into use only if nothing has been said on it out of turn."""

import select
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest, ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


class QuietConnector(aiohttp.TCPConnector):
    """aiohttp's pool, with a last look at a connection before it is used again.

    aiohttp asks only whether it is connected. An upstream that sent more than one answer would have the surplus taken
    for the answer to the next request, which may be somebody else's; and one that closed the connection a moment ago
    would fail a request that cannot be repeated.
    """

    async def _create_connection(
        self,
        req: "ClientRequest",
        traces: "list[Trace]",
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the signature is aiohttp's
    ) -> "ResponseHandler":
        protocol = await super()._create_connection(req, traces, timeout)
        if not _is_quiet(protocol):
            # An answer that was there before the request answers nobody's.
            protocol.close()
            raise aiohttp.ServerDisconnectedError("the upstream spoke first")
        return protocol

    async def _get(self, key: "ConnectionKey", traces: "list[Trace]") -> "Connection | None":
        while (connection := await super()._get(key, traces)) is not None:
            if connection.protocol is not None and _is_quiet(connection.protocol):
                return connection
            connection.close()
        return None


def _is_quiet(protocol: "ResponseHandler") -> bool:
    """Tell whether nothing has come since the last answer: no bytes in the parser, none in the socket, no end."""
    socket = protocol.transport.get_extra_info("socket") if protocol.transport is not None else None
    if socket is None or protocol.should_close:
        return False
    poll = select.poll()
    poll.register(socket.fileno(), select.POLLIN)
    return not poll.poll(0)
