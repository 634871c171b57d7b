"""What fuzzing has found, each as a test of its own."""

import json

import pytest

from tests.gateways import Site
from tests.server.raw import connected


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/0.9"])
async def test_replies_speak_no_version_but_ours(bare: Site, version: str) -> None:
    """A refused version is not the one the refusal is written in (RFC 9110 section 2.5)."""
    async with connected(bare) as client:
        client.send(f"GET /v2/products {version}\r\nHost: x\r\n\r\n")
        reply = await client.reply()
    assert reply.status == 400
    assert reply.version in {"HTTP/1.0", "HTTP/1.1"}


async def test_a_body_without_length_ends_with_its_connection(bare: Site) -> None:
    """HTTP/1.0 has no chunks: the end of the connection is the end of a relayed body (RFC 9112 section 6.3)."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    async with connected(bare) as client:
        client.send(f"GET /v2/products HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n{bearer}\r\n\r\n")
        client.ask("GET", "/.well-known/jwks.json", "Connection: close")
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert b"content-length" not in head.lower()
    assert json.loads(body)["data"]
