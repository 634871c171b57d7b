"""Fuzz harness: whatever a client writes into the header that tells of addresses, its own address is what counts.

The first byte says which header; the rest is what the client sends, behind which a trusted proxy appends its entry, to
the same line or in one of its own.
"""

from ipaddress import IPv4Address, ip_address

from gateway.wire.client_address import AddressHeader, Proxies

NETWORKS = ("10.0.0.0/8", "2001:db8:1::/48")
PROXY = "10.0.0.1"
ENTRIES = {
    AddressHeader.X_FORWARDED_FOR: ("203.0.113.7", "203.0.113.7:80", "203.0.113.7, 10.0.0.2", "::ffff:203.0.113.7"),
    AddressHeader.FORWARDED: (
        "for=203.0.113.7",
        'for="203.0.113.7:80";by="10.0.0.1:\\"\\\\"',
        'proto=https;for=203.0.113.7;host="a,b"',
        'for="[::ffff:203.0.113.7]", for=10.0.0.2;by=_x',
    ),
}
READERS = {header: Proxies(NETWORKS, header) for header in AddressHeader}


def one_input(data: bytes) -> None:
    """Send the bytes as a client of a trusted proxy, and as somebody whom nobody vouches for."""
    header = tuple(AddressHeader)[data[0] % 2] if data else AddressHeader.FORWARDED
    reader = READERS[header]
    # As the parser of requests gives them.
    lines = data[1:].decode("utf-8", "surrogateescape").split("\n")
    for entry in ENTRIES[header]:
        for appended in ([*lines[:-1], f"{lines[-1]}, {entry}"], [*lines, entry]):
            assert reader.client(PROXY, appended) == "203.0.113.7", "a client is taken for somebody else"
    client = reader.client(PROXY, lines)
    address = ip_address(client)
    assert str(address) == client
    assert isinstance(address, IPv4Address) or (address.ipv4_mapped is None and address.scope_id is None)
