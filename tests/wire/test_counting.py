"""Under what a client's address is counted."""

import pytest

from gateway.wire.counting import counting, network

OUTSIDE = {
    "198.51.100.7": "198.51.100.7",
    "::ffff:198.51.100.7": "198.51.100.7",
    "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
    "fe80::1%eth0": "fe80::/64",
    "172.32.0.1": "172.32.0.1",
    "100.128.0.1": "100.128.0.1",
    "11.0.0.1": "11.0.0.1",
}
INSIDE = (
    *("10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.7.7", "100.64.0.1", "100.127.255.255", "127.0.0.1"),
    *("127.9.9.9", "::1", "fd00::1", "fc12:3::4", "::ffff:10.0.0.1", "::ffff:127.0.0.1"),
)


@pytest.mark.parametrize("knows_proxies", [True, False])
@pytest.mark.parametrize("address", OUTSIDE)
def test_clients_outside_are_counted(address: str, *, knows_proxies: bool) -> None:
    """Each under its address, a mapped one as IPv4; IPv6 under the network that one client is given."""
    assert counting(knows_proxies=knows_proxies)(address) == OUTSIDE[address]


@pytest.mark.parametrize("address", INSIDE)
def test_where_a_proxy_may_stand_nobody_is_counted(address: str) -> None:
    """Until it is known who the proxies are: all shoppers behind one are not one client."""
    assert counting(knows_proxies=False)(address) == ""
    assert counting(knows_proxies=True)(address) == network(address) != ""


@pytest.mark.parametrize("knows_proxies", [True, False])
@pytest.mark.parametrize("address", ["", "-", "unix", "1.2.3", "unknown"])
def test_what_is_no_address_counts_for_nobody(address: str, *, knows_proxies: bool) -> None:
    """It says nothing about who it is."""
    assert counting(knows_proxies=knows_proxies)(address) == ""
