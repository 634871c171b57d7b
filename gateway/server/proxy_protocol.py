"""The beginning of a connection under the PROXY protocol: the proxy says whose it is, then the client's bytes follow.

What is malformed, late, or comes from somebody who is not trusted is closed without an answer: whoever sent it does
not speak HTTP with us yet.
"""

import asyncio
from typing import Final, cast

from gateway.server.client import Keeper
from gateway.server.connection import ClientConnection
from gateway.server.edge import Edge, break_off
from gateway.server.peer import Peer
from gateway.vocab.events import ProxyHeaderRefused
from gateway.wire.client_address import UNKNOWN
from gateway.wire.proxy_header import HeaderFault, read_proxy_header


class ProxiedConnection(asyncio.Protocol):
    """A connection of which nobody has said yet whose it is; then it is a `ClientConnection`."""

    def __init__(self, edge: Edge, keeper: Keeper) -> None:
        self._edge: Final = edge
        self._keeper: Final = keeper
        self._transport: asyncio.Transport | None = None
        self._peer = Peer(UNKNOWN, is_heard=False)
        self._held = b""
        self._made_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the header, for a while; or end, where nobody trusts it."""
        self._transport = cast("asyncio.Transport", transport)
        self._made_at = asyncio.get_running_loop().time()
        self._keeper.came(self)
        self._peer = self._edge.serving.peers.connected(transport.get_extra_info("peername"))
        if not self._peer.is_heard:
            # Who has left already, as load balancers do that only look whether the port is there, has no address more.
            if self._peer.address != UNKNOWN:
                self._tell("untrusted")
            self.cut_off()
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._edge.timeouts.head, self._refuse, "late")

    def data_received(self, data: bytes) -> None:
        """Read the header, and hand the connection over with what came behind it."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._held += data
        found = read_proxy_header(self._held)
        if found is None:
            return
        if isinstance(found, HeaderFault):
            self._refuse(found.value)
            return
        rest, self._held = self._held[found.size :], b""
        self._stop_timer()
        # Whom it does not name it does not vouch for: a header in what it passes on may be anybody's.
        peer = Peer(self._peer.address, is_heard=False, is_nameless=True)
        if found.address is not None:
            peer = self._edge.serving.peers.named(found.address)
        connection = ClientConnection(self._edge, self._keeper)
        transport.set_protocol(connection)
        connection.connection_made(transport, peer)
        self._keeper.went(self)
        if rest:
            connection.data_received(rest)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget it. One that ends before it has begun, as a look whether the port is there, is no fault."""
        del exc
        self._transport = None
        self._stop_timer()
        self._keeper.went(self)
        if self._held:
            self._tell(HeaderFault.MALFORMED.value)

    # The listener calls these.

    def is_about_to_ask(self, within: float) -> bool:
        """Tell whether it has been there for less than so many seconds: a request may be right behind the header."""
        return asyncio.get_running_loop().time() < self._made_at + within

    def close(self) -> None:
        """End: nothing is under way."""
        self.cut_off()

    def cut_off(self) -> None:
        """End at once."""
        self._held = b""
        break_off(self._transport)

    def _refuse(self, reason: str) -> None:
        self._tell(reason)
        self.cut_off()

    def _tell(self, reason: str) -> None:
        self._edge.emit(ProxyHeaderRefused(self._peer.address, reason))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
