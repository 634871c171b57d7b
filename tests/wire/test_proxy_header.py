"""The header of the PROXY protocol: what is read of it, what must still come, and what is refused."""

import struct
from ipaddress import ip_address

import pytest

from gateway.wire.proxy_header import LONGEST_V1, LONGEST_V2, HeaderFault, ProxyHeader, read_proxy_header

MALFORMED, TOO_LARGE = HeaderFault.MALFORMED, HeaderFault.TOO_LARGE
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
REST = b"GET / HTTP/1.1\r\n\r\n"


def v2(command: int, family: int, block: bytes, length: int | None = None) -> bytes:
    """Write a header of version 2; `length` is told in place of the block's own."""
    return SIGNATURE + struct.pack(">BBH", command, family, len(block) if length is None else length) + block


def addresses(source: str, destination: str) -> bytes:
    """Write the block of two addresses and their ports."""
    return ip_address(source).packed + ip_address(destination).packed + struct.pack(">HH", 4711, 443)


def tlv(kind: int, value: bytes) -> bytes:
    """Write an extension."""
    return struct.pack(">BH", kind, len(value)) + value


FOUR = addresses("203.0.113.7", "10.0.0.1")
SIX = addresses("2001:db8::7", "2001:db8::1")
MAPPED = addresses("::ffff:203.0.113.7", "::ffff:10.0.0.1")
UNIX = bytes(216)

WHOLE = [
    (b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n", "203.0.113.7"),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n", "255.255.255.255"),
    (b"PROXY TCP6 2001:db8::7 2001:DB8::1 4711 443\r\n", "2001:db8::7"),
    (b"PROXY TCP6 ::ffff:203.0.113.7 ::ffff:10.0.0.1 1 2\r\n", "203.0.113.7"),
    (b"PROXY TCP6 " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n", "ffff:" * 7 + "ffff"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n", None),
    (v2(0x21, 0x11, FOUR), "203.0.113.7"),
    (v2(0x21, 0x12, FOUR), "203.0.113.7"),
    (v2(0x21, 0x21, SIX), "2001:db8::7"),
    (v2(0x21, 0x22, SIX), "2001:db8::7"),
    (v2(0x21, 0x21, MAPPED), "203.0.113.7"),
    (v2(0x21, 0x31, UNIX), None),
    (v2(0x21, 0x00, b""), None),
    (v2(0x21, 0x00, tlv(4, b"padding")), None),
    (v2(0x21, 0x11, FOUR + tlv(3, bytes(4)) + tlv(0xEA, b"\x01vpce-1") + tlv(4, b"")), "203.0.113.7"),
    (v2(0x20, 0x00, b""), None),
    (v2(0x20, 0x11, FOUR), None),
    (v2(0x20, 0xFF, b"whatever"), None),
    (v2(0x21, 0x11, FOUR + tlv(4, bytes(LONGEST_V2 - 16 - 12 - 3))), "203.0.113.7"),
]


@pytest.mark.parametrize(("header", "address"), WHOLE, ids=lambda value: repr(value)[:50])
def test_a_header(header: bytes, address: str | None) -> None:
    """It names an address, or nobody; the bytes behind it are the client's."""
    assert read_proxy_header(header + REST) == ProxyHeader(address, len(header))


@pytest.mark.parametrize(("header", "address"), WHOLE, ids=lambda value: repr(value)[:50])
def test_a_header_byte_by_byte(header: bytes, address: str | None) -> None:
    """Until its last byte has come nothing is said."""
    assert [read_proxy_header(header[:size]) for size in range(len(header))] == [None] * len(header)
    assert read_proxy_header(header) == ProxyHeader(address, len(header))


@pytest.mark.parametrize(
    "data",
    [
        REST,
        b"proxy TCP4 203.0.113.7 10.0.0.1 4711 443\r\n",
        b"PROXY\tTCP4 203.0.113.7 10.0.0.1 4711 443\r\n",
        b" PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n",
        b"PROXY  TCP4 203.0.113.7 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 203.0.113.7  10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443 \r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 4711\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443 9\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 04711 443\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 65536 443\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 -1 443\r\n",
        b"PROXY TCP4 203.0.113.07 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 203.0.113.256 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0 4711 443\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 443\r\n",
        b"PROXY TCP6 203.0.113.7 10.0.0.1 4711 443\r\n",
        b"PROXY TCP6 fe80::1%eth0 2001:db8::1 4711 443\r\n",
        b"PROXY TCP6 :: : 4711 443\r\n",
        b"PROXY UDP4 203.0.113.7 10.0.0.1 4711 443\r\n",
        b"PROXY UNKNOWNX\r\n",
        b"PROXY UNKNOWN a\nb\r\n",
        b"PROXY UNKNOWN a\rb\r\n",
        b"PROXY \r\n",
        b"PROXY \xd9\xa1\r\n",
        SIGNATURE + b"\x11\x11\x00\x0c" + FOUR,
        SIGNATURE + b"\x31\x11\x00\x0c" + FOUR,
        v2(0x22, 0x11, FOUR),
        v2(0x2F, 0x11, FOUR),
        v2(0x21, 0x10, FOUR),
        v2(0x21, 0x13, FOUR),
        v2(0x21, 0x01, FOUR),
        v2(0x21, 0x41, FOUR),
        v2(0x21, 0xFF, FOUR),
        v2(0x21, 0x11, FOUR[:-1]),
        v2(0x21, 0x21, FOUR),
        v2(0x21, 0x31, UNIX[:-1]),
        v2(0x21, 0x11, b"", 0),
        v2(0x21, 0x11, FOUR + b"\x04"),
        v2(0x21, 0x11, FOUR + b"\x04\x00"),
        v2(0x21, 0x11, FOUR + b"\x04\x00\x02x"),
        v2(0x21, 0x11, FOUR + tlv(4, b"x") + b"\x04\xff\xff"),
        SIGNATURE[:-1] + b"X",
        b"\r\n\r\nGET / HTTP/1.1",
    ],
    ids=lambda value: repr(value)[:70],
)
def test_what_is_malformed(data: bytes) -> None:
    """It is told at once: more bytes would not mend it."""
    assert read_proxy_header(data) is MALFORMED


@pytest.mark.parametrize(
    "data",
    [
        b"PROXY " + b"x" * (LONGEST_V1 - 6),
        b"PROXY UNKNOWN " + b"x" * (LONGEST_V1 - 14 - 1) + b"\r\n",
        v2(0x21, 0x11, b"", LONGEST_V2 - 15),
        v2(0x20, 0x00, b"", 0xFFFF),
    ],
    ids=lambda value: repr(value)[:70],
)
def test_what_is_too_large(data: bytes) -> None:
    """It is told before it has come: nobody's memory is filled by waiting."""
    assert read_proxy_header(data) is TOO_LARGE


def test_nothing_yet() -> None:
    """A connection that says nothing may still say it."""
    assert read_proxy_header(b"") is None
    assert read_proxy_header(SIGNATURE[:3]) is None
