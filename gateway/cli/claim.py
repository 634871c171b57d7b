"""Ports that several processes of one gateway share, and no other gateway takes part in.

Whoever sets SO_REUSEPORT may join a port that others of the same user listen on with it (socket(7)): so would a second
gateway, in silence, and each would refuse half of the other's bearers.
"""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from gateway.server.port import dual_stack
from gateway.vocab.address import Address

_BACKLOG = 128


@contextmanager
def claimed(address: Address) -> Iterator[tuple[Address, list[socket.socket]]]:
    """Keep an address for workers, which listen on it with SO_REUSEPORT, without listening on it.

    Gives where it is (0 becomes a port), and the sockets that hold it until the end of the block. Raises OSError when
    it cannot be had, which it cannot where anybody else listens or holds it in this way.
    """
    with ExitStack() as stack:
        port, held = address.port, []
        for family, place in _places(address):
            one = stack.enter_context(_claim(family, (place[0], port, *place[2:]), both=address.host == "::"))
            port = one.getsockname()[1]
            held.append(one)
        yield Address(address.host, port), held


@contextmanager
def listening(address: Address) -> Iterator[tuple[Address, list[socket.socket]]]:
    """Listen on an address alone; gives where it is (0 becomes a port), and the sockets. Raises OSError."""
    with ExitStack() as stack:
        both = dual_stack(address.host, address.port, shared=False)
        if both is not None:
            bound = [stack.enter_context(both)]
        else:
            port, bound = address.port, []
            for family, place in _places(address):
                bound.append(stack.enter_context(_bound(family, (place[0], port, *place[2:]))))
                port = bound[0].getsockname()[1]
        for one in bound:
            one.listen(_BACKLOG)
            one.setblocking(False)  # noqa: FBT003 - the name of the parameter is the method's
        yield Address(address.host, bound[0].getsockname()[1]), bound


def _places(address: Address) -> Iterator[tuple[int, tuple[object, ...]]]:
    found = socket.getaddrinfo(address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, _, _, _, place in found:
        yield family, place


def _bound(family: int, place: tuple[object, ...], *, both: bool = False) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Connections of a gateway that was here before may still rest in TIME_WAIT.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            only = 0 if both and socket.has_dualstack_ipv6() else 1
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        one.bind(place)
    except BaseException:
        one.close()
        raise
    return one


def _claim(family: int, place: tuple[object, ...], *, both: bool) -> socket.socket:
    """Return a socket that is bound, lets workers join it, and lets nobody take the port who does not share it.

    Of two that claim at once both may bind, but only one may listen: that decides, for a moment. Meanwhile the socket
    that stays takes the place, and once it does not allow SO_REUSEADDR any more nobody binds beside it who does not set
    SO_REUSEPORT; and a gateway that claims does not set it at first.
    """
    with _bound(family, place, both=both) as gate:
        if sys.platform.startswith("linux"):
            gate.listen(0)
        gate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held = socket.socket(family, socket.SOCK_STREAM)
        try:
            for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
                held.setsockopt(socket.SOL_SOCKET, option, 1)
            if family == socket.AF_INET6:
                only = gate.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
                held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
            held.bind(gate.getsockname())
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        except BaseException:
            held.close()
            raise
        return held
