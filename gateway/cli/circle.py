"""Finds at start an upstream that is the gateway itself. Longer circles end at the first request (Via, 508)."""

import socket
from contextlib import suppress

import yarl

from gateway.config.model import Config
from gateway.vocab.address import Address

_EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not listened on


def leads_back(config: Config, listen: Address, admin: Address) -> str | None:
    """Say that an upstream's `url` is an address that the gateway is about to listen on; None where none is.

    A name is looked up only where the ports agree, and one that cannot be looked up is no such address.
    """
    for name, upstream in config.apis.items():
        url = yarl.URL(upstream.url)
        # Behind a proxy, what the name means is the proxy's to say.
        for address in (listen, admin) if upstream.proxy is None else ():
            if url.port == address.port and _hosts(url.host or "") & _own(address):
                where = "upstream" if name not in config.upstreams else f"upstreams.{name}"
                return f"{where}.url leads to the gateway itself ({address}): write the address of the API"
    return None


def _own(address: Address) -> frozenset[str]:
    return _EVERYWHERE if address.host in _EVERYWHERE else _hosts(address.host) - _EVERYWHERE


def _hosts(name: str) -> frozenset[str]:
    """Return the addresses of a name, and those that mean every one where any is this machine's own."""
    found: set[str] = set()
    with suppress(OSError, UnicodeError):
        for family, _, _, _, place in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM):
            found.add(str(place[0]))
            with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
                # Only an address of this machine can be bound, and nothing is sent.
                probe.bind((place[0], 0))
                found |= _EVERYWHERE
    return frozenset(found)
