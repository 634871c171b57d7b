"""Fuzz harness: the header of the PROXY protocol has one reading, however it comes, and never more than its own bytes.

What is read is written anew in both versions and must be read as the same.
"""

import struct
from ipaddress import IPv4Address, ip_address

from gateway.wire.proxy_header import LONGEST_V1, LONGEST_V2, HeaderFault, ProxyHeader, read_proxy_header

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def one_input(data: bytes) -> None:
    """Read the bytes as the beginning of a connection, whole and in pieces."""
    found = read_proxy_header(data)
    if found is None:
        # It waits for no more than it would take.
        assert len(data) < max(LONGEST_V1, LONGEST_V2)
        return
    # Each byte that came before said the same, or nothing; what comes behind changes nothing.
    said = [read_proxy_header(data[:size]) for size in {*range(min(len(data), 40)), len(data) // 2, len(data) - 1}]
    assert set(map(repr, said)) <= {"None", repr(found)}
    assert read_proxy_header(data + b"\x00GET") == found
    if isinstance(found, HeaderFault):
        return
    assert len(b"PROXY UNKNOWN\r\n") <= found.size <= len(data)
    assert read_proxy_header(data[: found.size]) == found
    assert read_proxy_header(data[: found.size - 1]) is None
    if found.address is not None:
        address = ip_address(found.address)
        assert str(address) == found.address
        assert isinstance(address, IPv4Address) or address.ipv4_mapped is None
        for written in (_first(found.address), _second(found.address)):
            assert read_proxy_header(written) == ProxyHeader(found.address, len(written))


def _first(address: str) -> bytes:
    family = 6 if ":" in address else 4
    return f"PROXY TCP{family} {address} {address} 1 2\r\n".encode()


def _second(address: str) -> bytes:
    block = ip_address(address).packed * 2 + bytes(4)
    return SIGNATURE + struct.pack(">BBH", 0x21, 0x21 if ":" in address else 0x11, len(block)) + block
