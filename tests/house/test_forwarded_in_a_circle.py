"""An API's address that leads back to the gateway by some detour: one request stays one."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from tests.gateways import site as run_site
from tests.server.raw import served

if TYPE_CHECKING:
    from tests.fakes.commerce import Commerce

GRANT = b'{"access_token":"canary-t","expires_in":3600}'


class Detour:
    """Grants bearers, and sends everything else to whatever it is told: a load balancer with a slip in its settings."""

    def __init__(self) -> None:
        self.url = ""
        self.leads_to = ""
        self.passed = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/oauth/" in head.partition(b"\r\n")[0]:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n")
            writer.write(b"content-length: %d\r\n\r\n" % len(GRANT) + GRANT)
            await writer.drain()
            return
        self.passed += 1
        place = urlsplit(self.leads_to)
        far_reader, far_writer = await asyncio.open_connection(place.hostname, place.port)
        try:
            far_writer.write(head[:-2] + b"Connection: close\r\n\r\n")
            with suppress(ConnectionError):
                while piece := await far_reader.read(65536):
                    writer.write(piece)
                    await writer.drain()
        finally:
            far_writer.transport.abort()


async def test_one_request_goes_round_once(tmp_path: Path) -> None:
    """It is known by its own Via when it comes back, and everybody is told 508: reads and writes alike."""
    detour = Detour()
    async with served(detour) as url:
        detour.url = url
        async with run_site(cast("Commerce", detour), tmp_path, passwords=False) as site:
            detour.leads_to = site.url
            for number, (method, path) in enumerate((("GET", "/v2/products"), ("GET", "/v2/carts/c")), 1):
                answer = await site.public(method, path)
                assert (answer.status, answer.code, detour.passed) == (508, "FORWARDING_LOOP", number)
