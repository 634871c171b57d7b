"""Nobody is taken for somebody else, by what a client writes in front of its address or by pieces of a PROXY header."""

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.client_address import AddressHeader, Proxies, plain_address
from gateway.wire.proxy_header import HeaderFault, ProxyHeader, read_proxy_header
from tests.fuzz import clients, proxies

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
ADDRESSES = st.ip_addresses(v=4) | st.ip_addresses(v=6)
PORTS = st.integers(0, 65535)
TLVS = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=4)
PIECES = (
    '"', "\\", ",", ";", "=", "for", "for=", "for=6.6.6.6", "6.6.6.6", "10.0.0.2", "unknown", " ", "\t", "\n", "[", "]",
    "::1", ":80", "%", "_x", "\u00e9", "\udcff", "FOR=10.0.0.3", 'for="', "by=10.0.0.1",
)  # fmt: skip
TRICKS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
TRUSTED = ("10.0.0.0/8",)


@given(st.sampled_from(AddressHeader), TRICKS | st.text(max_size=60))
@settings(max_examples=600, derandomize=True, deadline=None)
def test_what_a_client_writes_moves_nothing(header: AddressHeader, text: str) -> None:
    """Behind it the proxy appends who it was, in the same line or in one of its own, and that is the client."""
    first = bytes([tuple(AddressHeader).index(header)])
    clients.one_input(first + text.encode("utf-8", "surrogatepass"))


@given(ADDRESSES, st.lists(ADDRESSES, max_size=4), st.booleans())
@settings(max_examples=200, derandomize=True, deadline=None)
def test_both_headers_say_the_same(client: object, forged: list[object], brackets: bool) -> None:  # noqa: FBT001 - given by name
    """An address is read alike from either, with or without a port."""
    plain = plain_address(str(client))
    told = f"[{client}]:4711" if ":" in str(client) and brackets else str(client)
    entries = [*map(str, forged), told]
    x_forwarded_for = Proxies(TRUSTED).client("10.0.0.1", [", ".join(entries)])
    elements = [f'for="{one}"' for one in entries]
    assert Proxies(TRUSTED, AddressHeader.FORWARDED).client("10.0.0.1", [", ".join(elements)]) == x_forwarded_for
    if not Proxies(TRUSTED).trusts(plain):
        assert x_forwarded_for == plain


@given(ADDRESSES, PORTS, PORTS, TLVS, st.binary(max_size=40))
@settings(max_examples=200, derandomize=True, deadline=None)
def test_a_proxy_header_is_read_as_it_was_written(
    address: object, source: int, destination: int, extensions: list[tuple[int, bytes]], rest: bytes
) -> None:
    """In both versions, and not a byte of what follows belongs to it."""
    packed = getattr(address, "packed", b"")
    block = packed * 2 + struct.pack(">HH", source, destination)
    block += b"".join(struct.pack(">BH", kind, len(value)) + value for kind, value in extensions)
    second = SIGNATURE + struct.pack(">BBH", 0x21, 0x11 if len(packed) == 4 else 0x21, len(block)) + block
    family = 4 if len(packed) == 4 else 6
    first = f"PROXY TCP{family} {address} {address} {source} {destination}\r\n".encode()
    for header in (first, second):
        assert read_proxy_header(header + rest) == ProxyHeader(plain_address(str(address)), len(header))
        assert read_proxy_header(header[:-1]) is None


@given(
    st.binary(max_size=300)
    | st.binary(max_size=300).map(SIGNATURE.__add__)
    | st.binary(max_size=90).map(b"PROXY ".__add__)
)
@settings(max_examples=600, derandomize=True, deadline=None)
def test_any_bytes_have_one_reading(data: bytes) -> None:
    """Whole or in pieces; what neither version begins with is told at once."""
    proxies.one_input(data)
    if data and not SIGNATURE.startswith(data[:12]) and not b"PROXY ".startswith(data[:6]):
        assert read_proxy_header(data) is HeaderFault.MALFORMED
