"""Which requests we speak: read from bytes by the parser, as they come."""

import asyncio

import pytest

from gateway.server.parser import RawRequestMessage, make_parser
from gateway.server.spoken import asks_for_websocket, is_spoken
from gateway.vocab.policy import HeadLimits

UPGRADE = ("Connection: keep-alive, Upgrade", "Upgrade: WebSocket")


class Owner:
    """Whose parser it is: nothing is paused here."""

    connected = True

    def pause_reading(self) -> None:
        """Take no more of a body."""

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's own signature
        """Take more of it."""


async def message(line: str, *lines: str) -> RawRequestMessage:
    """Return a request as the parser gives it."""
    raw = "\r\n".join((line, "Host: x", *lines, "", ""))
    messages, _, _ = make_parser(Owner(), asyncio.get_running_loop(), HeadLimits()).feed_data(raw.encode())
    return messages[0][0]


@pytest.mark.parametrize(
    ("line", "lines", "is_it"),
    [
        pytest.param("GET / HTTP/1.1", (), True, id="1.1"),
        pytest.param("GET / HTTP/1.0", (), True, id="1.0"),
        pytest.param("GET / HTTP/2.0", (), False, id="2.0"),
        pytest.param("CONNECT evil:443 HTTP/1.1", (), False, id="a tunnel"),
        pytest.param("POST / HTTP/1.1", ("Transfer-Encoding: Chunked",), True, id="chunks"),
        pytest.param("POST / HTTP/1.1", ("Transfer-Encoding: gzip, chunked",), False, id="another coding"),
        pytest.param("POST / HTTP/1.0", ("Transfer-Encoding: chunked",), False, id="chunks in 1.0"),
    ],
)
async def test_what_is_spoken(line: str, lines: tuple[str, ...], *, is_it: bool) -> None:
    """Two versions, no tunnel, and chunks alone of all codings, where the version has them."""
    assert is_spoken(await message(line, *lines)) is is_it


@pytest.mark.parametrize(
    ("line", "lines", "is_it"),
    [
        pytest.param("GET / HTTP/1.1", UPGRADE, True, id="a handshake"),
        pytest.param("GET / HTTP/1.1", UPGRADE[:1], False, id="without its name"),
        pytest.param("GET / HTTP/1.1", UPGRADE[1:], False, id="without its connection"),
        pytest.param("GET / HTTP/1.1", (UPGRADE[0], "Upgrade: h2c"), False, id="another protocol"),
        pytest.param("POST / HTTP/1.1", UPGRADE, False, id="POST"),
        pytest.param("GET / HTTP/1.0", UPGRADE, False, id="1.0"),
    ],
)
async def test_what_asks_for_a_websocket(line: str, lines: tuple[str, ...], *, is_it: bool) -> None:
    """A GET of HTTP/1.1 with both words, in whatever case; all else is an offer that may be passed over."""
    assert asks_for_websocket(await message(line, *lines)) is is_it
