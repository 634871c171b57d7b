"""An upstream that reads each body to its end before it answers how long it was: `python -m bench.sink PORT`.

The nginx of bench/upstream.py would answer at once, and leave it to the proxies whether they pass on what nobody reads.
"""

import asyncio
import json
import re
import sys
from typing import cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)


class Sink(asyncio.Protocol):
    """One connection: requests whose heads announce the length of their body."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._head = b""
        self._length = 0
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Count, and answer at the end of a request."""
        if self._missing:
            self._missing -= len(data)
        else:
            self._head += data
            head, mark, body = self._head.partition(b"\r\n\r\n")
            if not mark:
                return
            self._head = b""
            found = _LENGTH.search(head)
            self._length = int(found[1]) if found else 0
            self._missing = self._length - len(body)
        if not self._missing:
            self._answer()

    def _answer(self) -> None:
        grant = {"access_token": "upstream-bearer", "token_type": "Bearer", "expires_in": 86400}
        body = json.dumps({**grant, "received": self._length}).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


async def main(port: int) -> None:
    """Serve until stopped."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
