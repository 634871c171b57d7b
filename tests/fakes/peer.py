"""A client that sends and reads exact bytes, for tests of servers."""

import asyncio

from gateway.demo.data import RON_ID
from tests.fakes.commerce import Commerce
from tests.fakes.shop import issue_bearer

RON_ORDERS = f"/v2/orders?filter=eq(customer_id,{RON_ID})"


class Peer:
    """A client on a raw socket, so that nothing is tidied up on the way."""

    def __init__(self, commerce: Commerce, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.bearer = issue_bearer(commerce.shop)
        self.reader = reader
        self.writer = writer

    def send(self, target: str, method: str = "GET", extra: str = "", body: bytes = b"") -> None:
        """Send a request."""
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.bearer}\r\n{extra}\r\n"
        self.writer.write(head.encode() + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read the head of an answer."""
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        return int(first.split()[1]), dict(line.split(": ", 1) for line in lines)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read an answer with a content-length."""
        status, headers = await self.head()
        return status, headers, await self.reader.readexactly(int(headers.get("content-length", "0")))

    async def ask(self, target: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """Send a request and read its answer."""
        self.send(target, method)
        return await self.answer()
