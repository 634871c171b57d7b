"""Whose request it is: the client's address, told by proxies that are trusted, and by nobody else. Pure.

Proxies append the address that connected to them, so a list is read from its right end: what stands left of the first
hop that is not trusted was written by that hop, and is worth nothing.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import islice
from typing import Final
from urllib.parse import urlsplit

from gateway.vocab.messages import Headers

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

UNKNOWN: Final = "-"
"""The address of a client that has none."""

# A list of trusted hops can only be this long if somebody wrote it who should not be trusted; a head holds thousands.
_MOST_HOPS: Final = 32
# Addresses that are remembered, and what one may take: brackets, 45 characters, a zone and a port.
_REMEMBERED: Final = 4096
_LONGEST: Final = 100
# An address as lists write it, with the port that some proxies add. RFC 7239 section 6: a port may be obfuscated.
_NODE: Final = re.compile(r"(?:\[([^\]]+)\]|([0-9.]+))(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?")
# RFC 7239 section 4: forwarded-pairs of one element. An address that should be quoted and is not can still be read.
_PAIR: Final = re.compile(
    r"""[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^";,\\ \t]*)[ \t]*)?(?:;|\Z)"""
)
_ESCAPE: Final = re.compile(r"\\(.)")


class AddressHeader(StrEnum):
    """The one header that proxies tell a client's address in."""

    X_FORWARDED_FOR = "X-Forwarded-For"
    FORWARDED = "Forwarded"


def read_address(text: str) -> IPAddress | None:
    """Return the address that a text is: without its zone, and IPv4 where IPv6 only wraps it (RFC 4291 2.5.5.2)."""
    if len(text) > _LONGEST:
        return None
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        # Which of our interfaces it is reached by is no part of who it is.
        return found.ipv4_mapped or IPv6Address(int(found))
    return found


def read_network(text: str) -> IPNetwork:
    """Return the network that a text is, such as 10.0.0.0/8 or a single address; ValueError for any other text."""
    network = ip_network(text)
    if "%" in text:
        raise ValueError("a zone is no part of a network")
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:  # noqa: PLR2004 - ::ffff:0:0/96 wraps all of IPv4
        return IPv4Network((mapped, network.prefixlen - 96))
    return network


@lru_cache(_REMEMBERED)
def plain_address(text: str) -> str:
    """Return an address in its one spelling; UNKNOWN for what is none."""
    address = read_address(text)
    return UNKNOWN if address is None else str(address)


class Proxies:
    """The proxies that are trusted to tell who their clients are, and the header in which they do."""

    def __init__(
        self, networks: Iterable[str] = (), header: AddressHeader | str = AddressHeader.X_FORWARDED_FOR
    ) -> None:
        self._networks: Final = tuple(map(read_network, networks))
        self.header: Final = AddressHeader(header)
        is_standard = self.header is AddressHeader.FORWARDED
        self._start_of: Final = _start_of_element if is_standard else _start_of_entry
        self._node_of: Final = _node_of_element if is_standard else _node_of_entry
        self._hop: Final = lru_cache(_REMEMBERED)(self._judge)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, address: str) -> bool:
        """Tell whether an address is that of a trusted proxy."""
        hop = self._hop(address) if self._networks and len(address) <= _LONGEST else None
        return hop is not None and hop[1]

    def client(self, peer: str, lines: Sequence[str]) -> str:
        """Return the client's address, given the trusted proxy that connected and the lines of the header.

        It is the first from the right that is not trusted; where there is none, the last that is. What is no address
        (`unknown`, a name, nothing at all) ends the list: whoever wrote it did not know.
        """
        client = peer
        for entry in islice(self._entries(lines), _MOST_HOPS):
            node = self._node_of(entry)
            hop = None if node is None or len(node) > _LONGEST else self._hop(node)
            if hop is None:
                break
            client, is_trusted = hop
            if not is_trusted:
                break
        return client

    def _entries(self, lines: Sequence[str]) -> Iterator[str]:
        """Yield the entries of all lines, the last one first (RFC 9110 section 5.3: later lines continue the list)."""
        for line in reversed(lines):
            end = len(line)
            while end >= 0:
                start = self._start_of(line, end)
                yield line[start:end]
                end = start - 1

    def _judge(self, node: str) -> tuple[str, bool] | None:
        """Return the address in its one spelling and whether it is trusted."""
        found = _NODE.fullmatch(node)
        address = read_address(node if found is None else found[1] or found[2])
        if address is None or (found is not None and found[1] and ":" not in found[1]):
            return None
        return str(address), any(address in network for network in self._networks)


def _start_of_entry(line: str, end: int) -> int:
    return line.rfind(",", 0, end) + 1


def _node_of_entry(entry: str) -> str:
    return entry.strip(" \t")


def _start_of_element(line: str, end: int) -> int:
    """Return where the last element before `end` begins: behind a comma that is in no quoted string.

    Read from the right, for only there is text that a proxy wrote: a quote that a client left open on the left would
    else swallow it. The quotes within a string have a backslash before them, and the one that opens it has none.
    """
    comma, at = line.rfind(",", 0, end), end
    while (closing := line.rfind('"', 0, at)) > comma:
        at = line.rfind('"', 0, closing)
        while at > 0 and line[at - 1] == "\\":
            at = line.rfind('"', 0, at)
        if at < 0:
            return 0
        if comma > at:
            comma = line.rfind(",", 0, at)
    return comma + 1


def _node_of_element(element: str) -> str | None:
    """Return what the one `for` of an element names; None where there is none, or more, or the element is odd."""
    found, at = [], 0
    while at < len(element):
        pair = _PAIR.match(element, at)
        if pair is None:
            return None
        if (pair[1] or "").lower() == "for":
            found.append(pair[2])
        at = pair.end()
    if len(found) != 1:
        return None
    (node,) = found
    return _ESCAPE.sub(r"\1", node[1:-1]) if node.startswith('"') else node


def public_lines(url: str) -> Headers:
    """Return how the upstream is told under which URL clients reach the gateway; nothing where there is none."""
    if not url:
        return ()
    parts = urlsplit(url)
    return ("x-forwarded-proto", parts.scheme), ("x-forwarded-host", parts.netloc)


def forwarding_lines(peer: str, public: Headers) -> Headers:
    """Return what the upstream is told of a request's client: all of it is ours, nothing the client's own lines."""
    return public if peer == UNKNOWN else (("x-forwarded-for", peer), *public)
