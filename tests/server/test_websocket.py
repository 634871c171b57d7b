"""WebSockets: the gateway opens none, and says so; what only looks like one is answered as a plain request."""

import pytest

from tests.gateways import Site
from tests.server.raw import connected
from tests.server.stage import assert_error

KEY = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
BRANDS = "/v2/brands"


@pytest.mark.parametrize("target", [BRANDS, "/nowhere", "/v2/orders"])
@pytest.mark.parametrize(
    "lines",
    [
        ("Connection: Upgrade", "Upgrade: websocket", *KEY),
        ("connection: keep-alive, upgrade", "UPGRADE: WebSocket", *KEY),
        ("Connection: keep-alive", "Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket"),
    ],
)
async def test_a_handshake_is_refused(bare: Site, lines: tuple[str, ...], target: str) -> None:
    """Wherever it goes and whoever asks: 501, and the end, for what comes behind it may be frames."""
    async with connected(bare) as client:
        client.ask("GET", target, *lines)
        client.send(b"\x81\x85\0\0\0\0hello")
        reply = await client.reply()
        assert_error(reply, 501, "WEBSOCKET_UNSUPPORTED")
        assert reply.ends
        assert await client.rest() == b""
    assert not bare.commerce.requests


@pytest.mark.parametrize(
    "lines",
    [
        ("Upgrade: websocket", *KEY),
        ("Connection: Upgrade", "Upgrade: websockets", *KEY),
        ("Connection: Upgrade", "Upgrade: h2c"),
        KEY,
    ],
)
async def test_other_requests_are_plain_ones(bare: Site, lines: tuple[str, ...]) -> None:
    """An upgrade that is no handshake may be passed over (RFC 9110 section 7.8), and is."""
    async with connected(bare) as client:
        client.ask("GET", BRANDS, f"Authorization: Bearer {await bare.bearer()}", *lines)
        assert (await client.reply()).status == 200


async def test_the_old_version_knows_no_upgrade(bare: Site) -> None:
    """In HTTP/1.0 the line means nothing."""
    lines = ["GET /v2/brands HTTP/1.0", f"Authorization: Bearer {await bare.bearer()}", "Connection: Upgrade"]
    async with connected(bare) as client:
        client.send("\r\n".join([*lines, "Upgrade: websocket", "", ""]))
        assert (await client.reply()).status == 200
