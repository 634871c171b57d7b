"""Under what a client's address is counted: one place for all shares and throttles."""

import ipaddress
from collections.abc import Callable
from functools import lru_cache, partial

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Where a proxy stands that nobody named: RFC 1918, RFC 6598, loopback (RFC 1122, RFC 4291), RFC 4193.
_INSIDE = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "::1/128", "fc00::/7"),
    )
)
# A client comes again with each request, and reading its address takes some microseconds.
_REMEMBERED = 4096


def network(address: str) -> str:
    """Return who shares an address: an IPv6 client is given a whole /64 (RFC 6177), and could use each address once."""
    parsed = _parsed(address)
    if parsed is None:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))


def counting(*, knows_proxies: bool) -> Callable[[str], str]:
    """Return what tells under what an address is counted, or that it is not: an empty text.

    Unless the gateway `knows_proxies`, whose word it takes for who their clients are, an address in private or loopback
    space is that of a proxy, or may be, and all its clients must not be one.
    """
    return lru_cache(_REMEMBERED)(partial(_counted, knows_proxies=knows_proxies))


def _counted(address: str, *, knows_proxies: bool) -> str:
    parsed = _parsed(address)
    if parsed is None or (not knows_proxies and any(parsed in inside for inside in _INSIDE)):
        return ""
    return network(address)


def _parsed(address: str) -> _Address | None:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
