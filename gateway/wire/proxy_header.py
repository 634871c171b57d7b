"""The header of the PROXY protocol, versions 1 and 2: whose connection a proxy passes on. Pure.

Source: HAProxy's proxy-protocol.txt, sections 2.1 and 2.2. Of extensions (TLVs) only their framing is read.
"""

import re
from enum import StrEnum
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from msgspec import Struct

LONGEST_V1: Final = 107
"""A line of version 1 with its end, at the longest (section 2.1)."""
LONGEST_V2: Final = 16 + 4096
"""Of version 2 a header could have 64 KiB; what clouds and proxies add to the 232 bytes of addresses is far less."""

_V1: Final = b"PROXY "
_V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED: Final = 16
_VERSION: Final = 2
_LOCAL, _PROXY = 0, 1
# Family and transport to the size of the addresses and where in them the source ends. Unix sockets have paths, which
# are no addresses; those of datagrams are as those of streams (HTTP/3 at the proxy).
_ADDRESSES: Final[dict[int, tuple[int, int]]] = {
    0x00: (0, 0),
    0x11: (12, 4),
    0x12: (12, 4),
    0x21: (36, 16),
    0x22: (36, 16),
    0x31: (216, 0),
    0x32: (216, 0),
}
_TLV_HEAD: Final = 3

_PORT: Final = rb"(?:0|[1-9][0-9]{0,4})"
_LINE: Final = re.compile(rb"PROXY (TCP[46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (%b) (%b)" % (_PORT, _PORT))
_KINDS: Final[dict[bytes, type[IPv4Address | IPv6Address]]] = {b"TCP4": IPv4Address, b"TCP6": IPv6Address}
_NOBODY: Final = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?")
_HIGHEST_PORT: Final = 65535


class HeaderFault(StrEnum):
    """Why a header cannot be read."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"


class ProxyHeader(Struct, frozen=True):
    """What a header says. `address` is the client's; None where the proxy speaks for itself or knows of none.

    `size` is that of the header in bytes: behind it the client's own begin.
    """

    address: str | None
    size: int


def read_proxy_header(data: bytes) -> ProxyHeader | HeaderFault | None:
    """Read the header that a connection must begin with, given what has come of it; None where more must come."""
    if data.startswith(_V1):
        return _read_v1(data)
    if data.startswith(_V2):
        return _read_v2(data)
    return None if _V1.startswith(data) or _V2.startswith(data) else HeaderFault.MALFORMED


def _read_v1(data: bytes) -> ProxyHeader | HeaderFault | None:
    end = data.find(b"\r\n", 0, LONGEST_V1)
    if end < 0:
        return None if len(data) < LONGEST_V1 else HeaderFault.TOO_LARGE
    line, size = data[:end], end + 2
    if _NOBODY.fullmatch(line):
        return ProxyHeader(None, size)
    found = _LINE.fullmatch(line)
    if found is None or max(int(found[4]), int(found[5])) > _HIGHEST_PORT:
        return HeaderFault.MALFORMED
    kind = _KINDS[found[1]]
    try:
        source, _ = kind(found[2].decode()), kind(found[3].decode())
    except AddressValueError:
        return HeaderFault.MALFORMED
    return ProxyHeader(_spelled(source), size)


def _read_v2(data: bytes) -> ProxyHeader | HeaderFault | None:
    if len(data) < _FIXED:
        return None
    version, command = divmod(data[12], 16)
    size = _FIXED + int.from_bytes(data[14:_FIXED])
    if version != _VERSION or command not in {_LOCAL, _PROXY}:
        return HeaderFault.MALFORMED
    addresses = _ADDRESSES.get(data[13])
    # Section 2.2: whatever else a connection of the proxy's own says is skipped.
    if command == _PROXY and (addresses is None or size < _FIXED + addresses[0]):
        return HeaderFault.MALFORMED
    if size > LONGEST_V2:
        return HeaderFault.TOO_LARGE
    if len(data) < size:
        return None
    if command == _LOCAL or addresses is None:
        return ProxyHeader(None, size)
    if not _is_framed(data[_FIXED + addresses[0] : size]):
        return HeaderFault.MALFORMED
    source = data[_FIXED : _FIXED + addresses[1]]
    if not source:
        return ProxyHeader(None, size)
    return ProxyHeader(_spelled(IPv4Address(source) if len(source) == 4 else IPv6Address(source)), size)  # noqa: PLR2004 - bytes of IPv4


def _is_framed(extensions: bytes) -> bool:
    """Tell whether they are whole ones: a type, a length in two bytes, and so many bytes (section 2.2)."""
    at = 0
    while at + _TLV_HEAD <= len(extensions):
        at += _TLV_HEAD + int.from_bytes(extensions[at + 1 : at + _TLV_HEAD])
    return at == len(extensions)


def _spelled(address: IPv4Address | IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
