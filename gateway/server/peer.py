"""Who connects, and who is behind it: the address that a request's client is known by.

It reads no header itself: that is wire/client_address.py.
"""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from gateway.vocab.events import Emit, NoProxyTrusted
from gateway.wire.client_address import UNKNOWN, Proxies, plain_address


class Peer(Struct, frozen=True):
    """Whose connection it is; `is_heard` says that a header may tell of somebody behind it.

    `is_nameless`: a proxy vouches for nobody on it, so that no header on it is ever heard.
    """

    address: str
    is_heard: bool
    is_nameless: bool = False


class Peers:
    """Says who connects and who asks. `speaks_proxy`: connections begin with a header of the PROXY protocol."""

    def __init__(self, proxies: Proxies, emit: Emit, *, speaks_proxy: bool = False) -> None:
        self._proxies: Final = proxies
        self._emit: Final = emit
        self._has_told = False
        self.header: Final = str(proxies.header)
        self.speaks_proxy: Final = speaks_proxy

    def connected(self, peername: Any) -> Peer:
        """Return who connected; `peername` is the transport's."""
        # Unix sockets have paths.
        is_network = isinstance(peername, tuple) and bool(peername)
        return self.named(plain_address(str(peername[0])) if is_network else UNKNOWN)

    def named(self, address: str) -> Peer:
        """Return who has this address, in its one spelling."""
        return Peer(address, self._proxies.trusts(address))

    def anew(self, peer: Peer, peername: Any) -> Peer | None:
        """Return who connected while others were trusted; None where it is no longer trusted to say who that is."""
        if self.speaks_proxy and not self.connected(peername).is_heard:
            return None
        return peer if peer.is_nameless else self.named(peer.address)

    def client(self, peer: Peer, lines: Sequence[str]) -> str:
        """Return the address of a request's client, given the lines of the header that is to tell it."""
        if peer.is_heard:
            return self._proxies.client(peer.address, lines)
        if not self._proxies and not self._has_told:
            self._has_told = True
            self._emit(NoProxyTrusted(self.header))
        return peer.address
