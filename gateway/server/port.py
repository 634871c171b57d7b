"""Sockets that listen: one for both families, and the end of one without a client that is reset.

The kernel makes connections before anybody accepts them. To close a port means to reset those that wait, so nobody new
is let in first, by a filter of the kernel's (socket(7)), and what waits is accepted.
"""

import ctypes
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Final

# asm-generic/socket.h; Python has no name for it.
_SO_ATTACH_FILTER: Final = 26
# What begins a connection, and nothing else, is dropped: of the byte of flags in a TCP header (RFC 9293 section 3.1)
# SYN is set, and ACK is not. As linux/filter.h has it: code, two jumps, a constant.
_NO_BEGINNINGS: Final = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # load the byte
        (0x54, 0, 0, 0x12),  # keep ACK and SYN
        (0x15, 0, 1, 0x02),  # is it SYN alone?
        (0x06, 0, 0, 0),  # then take nothing of it
        (0x06, 0, 0, 0xFFFFFFFF),  # else all
    )
)
_BOTH_FAMILIES: Final = "::"


def dual_stack(host: str, port: int, *, shared: bool) -> socket.socket | None:
    """Return a bound socket for the wildcard of IPv6 that takes IPv4, too, where the system has such.

    None for other hosts, and elsewhere. `shared` lets several processes bind it. Raises OSError when it cannot be had.
    """
    if host != _BOTH_FAMILIES or not socket.has_dualstack_ipv6():
        return None
    bound = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Whatever net.ipv6.bindv6only says.
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def takes_one_family(host: str) -> bool:
    """Tell whether the wildcard of IPv6 is asked for, and IPv4 clients will not be served on it."""
    return host == _BOTH_FAMILIES and not socket.has_dualstack_ipv6()


def close_to_new(listening: socket.socket) -> None:
    """Let no new connection begin: a client that tries is not heard, and hears once the port is closed.

    Those that have begun come to be, and can be accepted. Where there is no such filter nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    program = ctypes.create_string_buffer(_NO_BEGINNINGS, len(_NO_BEGINNINGS))
    count = len(_NO_BEGINNINGS) // struct.calcsize("HBBI")
    try:
        # struct sock_fprog; the kernel copies what it points to.
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", count, ctypes.addressof(program)))
    except OSError:
        # A sandbox may know no filters. What waits is accepted all the same.
        return


def waiting(listening: socket.socket) -> Iterator[socket.socket]:
    """Accept the connections that wait, until there is none."""
    listening.setblocking(False)  # noqa: FBT003 - the name of the parameter is the method's
    while True:
        try:
            accepted, _ = listening.accept()
        except ConnectionAbortedError:
            # Its client has left meanwhile.
            continue
        except OSError:
            # None waits, or no more can be had.
            return
        accepted.setblocking(False)  # noqa: FBT003 - as above
        yield accepted
