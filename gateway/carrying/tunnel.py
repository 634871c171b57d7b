"""A way through a proxy to the upstream: HTTP CONNECT (RFC 9110 section 9.3.6).

It knows one request and its answer; what goes through the tunnel, TLS or not, is none of its business.
"""

import asyncio
import base64
import re
import socket
from typing import Final

import yarl
from msgspec import Struct

# An answer to CONNECT is a few lines; what is longer is none.
_HEAD_MOST: Final = 16 * 1024
_END: Final = b"\r\n\r\n"
_OPENED: Final = re.compile(rb"HTTP/1\.[01] 2[0-9][0-9](?: [^\r\n]*)?\r\n")
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")


class UntunnelledError(OSError):
    """The proxy does not open the way; the text holds its status at most."""


class Tunnel(Struct, frozen=True):
    """Where the proxy is, and the line by which we are known there, empty without one."""

    host: str
    port: int
    authorization: str = ""

    async def open(self, loop: asyncio.AbstractEventLoop, way: socket.socket, host: str, port: int) -> None:
        """Have the proxy join `way`, which is connected to it, with the port of a host that it looks up itself.

        Raises UntunnelledError where it does not, and OSError for what goes wrong on the way. How long it may take is
        the caller's to say.
        """
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        await loop.sock_sendall(way, f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{self.authorization}\r\n".encode())
        head = b""
        while not head.endswith(_END):
            # Byte by byte at the end: what is behind the head is the upstream's, and must stay in the socket.
            piece = await loop.sock_recv(way, max(1, len(_END) - _begun(head)))
            if not piece:
                raise UntunnelledError("the proxy closed the connection")
            head += piece
            if len(head) > _HEAD_MOST:
                raise UntunnelledError("the proxy answered no head")
        if not _OPENED.match(head):
            status = _STATUS.match(head)
            raise UntunnelledError(
                f"the proxy answered {status[1].decode()}" if status else "the proxy answered no HTTP"
            )


def _begun(head: bytes) -> int:
    """Return how much of the end of a head stands at the end of `head`: no more than the rest of it is read at once."""
    return next(length for length in (3, 2, 1, 0) if head.endswith(_END[:length]))


def tunnel(url: str, username: str | None, password: str | None) -> Tunnel:
    """Return the way through the proxy at `url`."""
    place = yarl.URL(url)
    line = ""
    if username is not None:
        pair = base64.b64encode(f"{username}:{password or ''}".encode()).decode()
        line = f"Proxy-Authorization: Basic {pair}\r\n"
    return Tunnel(place.host or "", place.port or 80, line)
