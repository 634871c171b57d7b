"""The prover's hands: sends requests exactly as spelled, and reads replies with a limit. It judges nothing.

What the HTTP library would refuse to send, or would tidy up, goes out on a connection of its own.
"""

import asyncio
import ssl
import zlib
from dataclasses import replace
from types import TracebackType
from typing import Self

import aiohttp
import yarl
from multidict import CIMultiDict

from gateway.verify.model import Message, Reply

# More than any honest answer of the attacked records; what is longer is judged as far as it was read.
LIMIT = 8 * 1024 * 1024
_PIECE = 64 * 1024
# A gateway that asks for patience is given some, but not for ever.
_PATIENCE = 5
_TRIES = 3
_BUSY = frozenset({429, 503})
_SKIPPED = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


class Client:
    """Talks to one gateway; use with `async with`. `timeout` is in seconds and for one request."""

    def __init__(self, url: str, timeout: float, concurrency: int) -> None:
        self.url = yarl.URL(url.rstrip("/"))
        self.sent = 0
        self._timeout = timeout
        self._slots = asyncio.Semaphore(concurrency)
        self._connections = concurrency
        self._session: aiohttp.ClientSession | None = None

    @property
    def origin(self) -> str:
        """The URL as an absolute-form target begins with it."""
        return str(self.url).rstrip("/")

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_SKIPPED,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, message: Message) -> Reply:
        """Send one request and return the reply; status 0 where there is none. Busy gateways are asked again."""
        async with self._slots:
            reply = Reply(0)
            for attempt in range(_TRIES):
                self.sent += 1
                reply = await (self._send_raw(message) if message.raw else self._send(message))
                if reply.status not in _BUSY or attempt == _TRIES - 1:
                    break
                await asyncio.sleep(_wait(reply))
            return replace(reply, body=_plain(reply))

    async def _send(self, message: Message) -> Reply:
        assert self._session is not None  # noqa: S101 - a client is entered before it is used
        url = yarl.URL(self.origin + message.target, encoded=True)
        try:
            async with self._session.request(
                message.method, url, headers=CIMultiDict(message.headers), data=message.body, allow_redirects=False
            ) as response:
                lines = [f"HTTP/1.1 {response.status} {response.reason}"]
                lines += [f"{_text(name)}: {_text(value)}" for name, value in response.raw_headers]
                body = bytearray()
                async for piece in response.content.iter_chunked(_PIECE):
                    body += piece
                    if len(body) > LIMIT:
                        response.close()
                        break
                return Reply(response.status, "\n".join(lines), bytes(body))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Reply(0, fault=type(error).__name__)

    async def _send_raw(self, message: Message) -> Reply:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._converse(message)
        except (OSError, TimeoutError, EOFError, ValueError) as error:
            return Reply(0, fault=type(error).__name__)

    async def _converse(self, message: Message) -> Reply:
        """Send one request on its own connection, and read until the gateway ends it or the limit is reached."""
        secured = ssl.create_default_context() if self.url.scheme == "https" else None
        reader, writer = await asyncio.open_connection(
            self.url.host, self.url.port, ssl=secured, server_hostname=self.url.host if secured else None
        )
        try:
            writer.write(self._spell(message))
            await writer.drain()
            raw = bytearray()
            while len(raw) <= LIMIT:
                piece = await reader.read(_PIECE)
                if not piece:
                    break
                raw += piece
                if raw.startswith(b"HTTP/1.1 101"):
                    # A tunnel: nobody will end it.
                    break
            return parse(bytes(raw))
        finally:
            writer.transport.abort()

    def _spell(self, message: Message) -> bytes:
        names = {name.lower() for name, _ in message.headers}
        target = message.target if "://" in message.target else self.url.path.rstrip("/") + message.target
        lines = [f"{message.method} {target} HTTP/1.1"]
        if "host" not in names:
            lines.append(f"Host: {self.url.host}:{self.url.port}")
        lines += [f"{name}: {value}" for name, value in message.headers]
        if "connection" not in names:
            lines.append("Connection: close")
        body = message.body or b""
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


def parse(raw: bytes) -> Reply:
    """Read a reply from its bytes; whatever cannot be read stays in the body, where it is judged all the same."""
    head, found, body = raw.partition(b"\r\n\r\n")
    first, *lines = _text(head).split("\r\n")
    words = first.split(" ", 2)
    if not found or not first.startswith("HTTP/") or len(words) < 2 or not words[1].isdecimal():  # noqa: PLR2004
        return Reply(0, body=raw, fault="no reply")
    if any(line.lower().replace(" ", "") == "transfer-encoding:chunked" for line in lines):
        body = unchunked(body)
    return Reply(int(words[1]), "\n".join([first, *lines]), body)


def unchunked(body: bytes) -> bytes:
    """Join the chunks of a body, as far as they can be read."""
    joined = b""
    rest = body
    while rest:
        size, found, rest = rest.partition(b"\r\n")
        try:
            length = int(size.partition(b";")[0], 16)
        except ValueError:
            return joined + size + rest
        if not found or not length:
            break
        joined, rest = joined + rest[:length], rest[length + 2 :]
    return joined


def _plain(reply: Reply) -> bytes:
    """Return the body of a reply without its compression; as it came where that cannot be undone."""
    coding = header(reply, "content-encoding").lower()
    if coding not in {"gzip", "x-gzip", "deflate"}:
        return reply.body
    try:
        # 32 more bits: read a gzip or a zlib head, whichever is there.
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(reply.body, LIMIT)
    except zlib.error:
        return reply.body


def header(reply: Reply, name: str) -> str:
    """Return the value of the first line of a header, empty where there is none."""
    for line in reply.head.split("\n")[1:]:
        key, _, value = line.partition(":")
        if key.strip().lower() == name:
            return value.strip()
    return ""


def _wait(reply: Reply) -> float:
    asked = header(reply, "retry-after")
    return min(int(asked), _PATIENCE) if asked.isdecimal() and len(asked) < _PATIENCE else 0.5


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")
