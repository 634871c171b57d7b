"""A client of the gateway that sends and reads exact bytes, so that no library tidies up on either way."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from gateway.server.edge import break_off
from tests.gateways import Site

PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class RawReply:
    """One reply as it came; header names in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    version: str

    def values(self, name: str) -> list[str]:
        """Return the values of all lines of a header."""
        return [value for key, value in self.headers if key == name]

    def json(self) -> Any:
        """Return the JSON of the body."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Return the refusal code of an error reply."""
        return str(self.json()["errors"][0]["code"])

    @property
    def ends(self) -> bool:
        """Whether the connection ends with this reply."""
        return "close" in [value.lower() for value in self.values("connection")]


class RawClient:
    """One connection to the public port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes | str) -> None:
        """Send bytes."""
        self.writer.write(data.encode("latin-1") if isinstance(data, str) else data)

    def ask(self, method: str, target: str, *lines: str, body: bytes = b"") -> None:
        """Send a request; Content-Length is added for a body."""
        length = [f"Content-Length: {len(body)}"] if body else []
        self.send("\r\n".join([f"{method} {target} HTTP/1.1", "Host: shop.example", *lines, *length, "", ""]))
        self.send(body)

    async def head(self) -> tuple[int, list[tuple[str, str]], str]:
        """Read one head, interim ones included."""
        async with asyncio.timeout(PATIENCE):
            raw = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = raw[:-4].decode("latin-1").split("\r\n")
        version, status = first.split(" ")[:2]
        pairs = [line.split(":", 1) for line in lines]
        return int(status), [(name.lower(), value.strip()) for name, value in pairs], version

    async def reply(self, *, to_head: bool = False) -> RawReply:
        """Read one whole reply."""
        status, headers, version = await self.head()
        fields = dict(headers)
        async with asyncio.timeout(PATIENCE):
            if to_head or status in {204, 304}:
                body = b""
            elif "content-length" in fields:
                body = await self.reader.readexactly(int(fields["content-length"]))
            elif "transfer-encoding" in fields:
                body = await self._chunks()
            else:
                body = await self.reader.read()
        return RawReply(status, headers, body, version)

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)
        return body

    async def rest(self) -> bytes:
        """Read until the gateway ends the connection; a connection that is broken off counts as ended."""
        data = b""
        try:
            async with asyncio.timeout(PATIENCE):
                while piece := await self.reader.read(65536):
                    data += piece
        except ConnectionResetError:
            pass
        return data

    def leave(self) -> None:
        """Break the connection off, by a reset: an end alone is one of sending."""
        break_off(cast("asyncio.Transport", self.writer.transport))


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(serve: Serve, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Run a server whose connections a test serves itself, and give its URL; nothing of it outlives the context."""
    tasks: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The peer has left, or the test is over.
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(converse, "127.0.0.1", port, ssl=tls)
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
        await server.wait_closed()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds that nobody tells of, such as a line in the log."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - a stream of text has no event to wait for
            await asyncio.sleep(0.005)


@asynccontextmanager
async def connected(site: Site, *, buffer: int | None = None) -> AsyncIterator[RawClient]:
    """Connect to the public port; `buffer` keeps what is taken unread small."""
    reader, writer = await asyncio.open_connection(
        site.gateway.listen.host, site.gateway.listen.port, limit=buffer or 2**20
    )
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()
