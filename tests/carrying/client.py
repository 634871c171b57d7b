"""A client that keeps every byte of its connection, and knows whether it was closed or reset."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from gateway.server.edge import break_off
from tests.gateways import Site

PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply as it came: `head` is its lines, from which `body` was read, without chunks.

    A reply that is not `is_whole` ended before its framing says so; how much of its body came is chance, and dropped.
    """

    head: tuple[str, ...]
    body: bytes = b""
    is_whole: bool = True

    @property
    def is_interim(self) -> bool:
        """Whether another one follows."""
        return self.head[0].startswith("HTTP/1.1 1")


class Client(asyncio.Protocol):
    """One connection to the public port. `end` is None while it is open, then "closed" or "reset"."""

    def __init__(self) -> None:
        self.data = b""
        self.end: str | None = None
        self._transport: asyncio.Transport | None = None
        self._changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Keep what came."""
        self.data += data
        self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Keep how it ended."""
        self.end = "reset" if isinstance(exc, ConnectionResetError) else "closed"
        self._changed.set()

    def send(self, data: bytes) -> None:
        """Send bytes, if anybody is there to take them."""
        if self.end is None and self._transport is not None:
            self._transport.write(data)

    def leave(self) -> None:
        """Break the connection off, by a reset: an end alone is one of sending."""
        if self.end is None:
            break_off(self._transport)

    async def reply(self, *, to_head: bool) -> Reply | None:
        """Take the next reply; None where the connection ends without one."""
        while (read := read_reply(self.data, to_head=to_head, ended=self.end)) is None:
            if self.end is not None:
                return None
            await self._wait()
        reply, size = read
        self.data = self.data[size:]
        return reply

    async def over(self) -> str:
        """Wait for the end of the connection, and say which it is."""
        while self.end is None:
            await self._wait()
        return self.end

    async def _wait(self) -> None:
        self._changed.clear()
        async with asyncio.timeout(PATIENCE):
            await self._changed.wait()


def read_reply(data: bytes, *, to_head: bool, ended: str | None) -> tuple[Reply, int] | None:
    """Read the first reply of `data`, and say how many bytes it has; None where more has to come.

    `ended` says how the connection ended, if it did. What is no reply, such as a body behind the reply to a HEAD, is
    one without a head.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0 or not data.startswith(b"HTTP/"):
        return (Reply((), data, is_whole=False), len(data)) if data and ended else None
    lines = tuple(data[:end].decode("latin-1").split("\r\n"))
    start = end + 4
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    status = lines[0].split(" ")[1]
    if to_head or status in {"204", "304"} or status.startswith("1"):
        return Reply(lines), start
    if "transfer-encoding" in fields:
        whole = _dechunked(data, start)
    elif "content-length" in fields:
        stop = start + int(fields["content-length"])
        whole = (data[start:stop], stop) if len(data) >= stop else None
    else:
        whole = (data[start:], len(data)) if ended == "closed" else None
    if whole is not None:
        return Reply(lines, whole[0]), whole[1]
    return (Reply(lines, is_whole=False), len(data)) if ended else None


def _dechunked(data: bytes, at: int) -> tuple[bytes, int] | None:
    """Read a body in chunks from `at`, to the letter: a gateway has no reason to write them in another way."""
    body = b""
    while (end := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:end], 16)
        assert data[at:end] == b"%x" % size, data[at:end]
        stop = end + 2 + size + 2
        if len(data) < stop:
            return None
        assert data[stop - 2 : stop] == b"\r\n"
        if not size:
            return body, stop
        body += data[end + 2 : stop - 2]
        at = stop
    return None


@asynccontextmanager
async def connected(site: Site) -> AsyncIterator[Client]:
    """Connect to the public port."""
    address = site.gateway.listen
    _, client = await asyncio.get_running_loop().create_connection(Client, address.host, address.port)
    try:
        yield client
    finally:
        client.leave()
