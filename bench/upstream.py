"""An upstream that costs next to nothing: fixed answers, no framework. `python -m bench.upstream PORT CUSTOMER_ID`."""

import asyncio
import json
import sys
from typing import cast

import uvloop


def order(number: int, customer_id: str) -> dict[str, object]:
    """Return one order of about 650 bytes."""
    return {
        "type": "order",
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "status": "complete",
        "payment": "paid",
        "shipping": "fulfilled",
        "customer": {"name": "Ron Swanson", "email": "ron@swanson.example"},
        "shipping_address": {"line_1": "1 Main Street", "city": "Pawnee", "postcode": "46001", "country": "US"},
        "meta": {
            "display_price": {"with_tax": {"amount": 4900, "currency": "USD", "formatted": "$49.00"}},
            "timestamps": {"created_at": "2026-04-02T09:30:00Z", "updated_at": "2026-04-02T09:30:00Z"},
        },
        "relationships": {
            "items": {"data": [{"type": "item", "id": f"00000000-0000-4000-9000-{number:012d}"}]},
            "customer": {"data": {"type": "customer", "id": customer_id}},
        },
    }


def reply(document: object) -> bytes:
    """Return a whole HTTP answer."""
    body = json.dumps(document, separators=(",", ":")).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def answers(customer_id: str) -> tuple[bytes, bytes]:
    """Return the answer to a request for a bearer, and the list of orders: about 2 KB."""
    orders = [order(number, customer_id) for number in range(3)]
    listed = {"data": orders, "meta": {"results": {"total": 3}}, "links": {}}
    return reply({"access_token": "upstream-bearer", "token_type": "Bearer", "expires_in": 3600}), reply(listed)


class Fixed(asyncio.Protocol):
    """Answers each request that ends in this piece of bytes; its clients send no body but the form for a bearer."""

    def __init__(self, grant: bytes, listed: bytes) -> None:
        self._grant = grant
        self._listed = listed
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer."""
        if self._transport is None:
            return
        if data.startswith(b"GET "):
            self._transport.write(self._listed * data.count(b"\r\n\r\n"))
        elif b"grant_type" in data:
            self._transport.write(self._grant)


async def main(port: int, customer_id: str) -> None:
    """Serve until stopped."""
    grant, listed = answers(customer_id)
    server = await asyncio.get_running_loop().create_server(lambda: Fixed(grant, listed), "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
