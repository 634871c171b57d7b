"""Whose request it is: one header, read from the right, up to the first hop that is not trusted."""

import pytest

from gateway.wire.client_address import (
    AddressHeader,
    Proxies,
    forwarding_lines,
    plain_address,
    public_lines,
    read_network,
)

# Two proxies of ours, one of them known by IPv6, and who connects to them.
TRUSTED = ("10.0.0.0/8", "2001:db8:1::/48")
PROXY = "10.0.0.1"
XFF = Proxies(TRUSTED)
STANDARD = Proxies(TRUSTED, AddressHeader.FORWARDED)
FORGED = "6.6.6.6"


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["203.0.113.7"], "203.0.113.7"),
        ([f"{FORGED}, 203.0.113.7"], "203.0.113.7"),
        ([f"{FORGED},203.0.113.7 , 10.2.3.4\t"], "203.0.113.7"),
        ([FORGED, "203.0.113.7"], "203.0.113.7"),
        ([f"{FORGED}, 203.0.113.7", "10.2.3.4", "10.2.3.5"], "203.0.113.7"),
        (["203.0.113.7, 10.2.3.4", f"{FORGED}, 203.0.113.9"], "203.0.113.9"),
        (["203.0.113.7:4711"], "203.0.113.7"),
        (["2001:db8::7"], "2001:db8::7"),
        (["2001:DB8:0:0::7"], "2001:db8::7"),
        (["[2001:db8::7]"], "2001:db8::7"),
        (["[2001:db8::7]:4711"], "2001:db8::7"),
        (["2001:db8::7, 2001:db8:1::9"], "2001:db8::7"),
        (["fe80::1%eth0"], "fe80::1"),
        (["fe80::1%25eth0, 10.2.3.4"], "fe80::1"),
        (["::ffff:203.0.113.7, ::ffff:10.2.3.4"], "203.0.113.7"),
        (["[::ffff:cb00:7107]:1"], "203.0.113.7"),
        # Nobody but proxies: the first of them asks.
        (["10.2.3.4, 10.2.3.5"], "10.2.3.4"),
        # What is no address ends the walk at the last trusted hop.
        ([f"{FORGED}, unknown"], PROXY),
        ([f"{FORGED}, unknown, 10.2.3.4"], "10.2.3.4"),
        ([f"{FORGED}, "], PROXY),
        ([""], PROXY),
        ([FORGED, ""], PROXY),
        ([f"{FORGED}, _hidden, 10.2.3.4"], "10.2.3.4"),
        ([f"{FORGED}, localhost"], PROXY),
        ([f"{FORGED}, 203.0.113.07"], PROXY),
        ([f"{FORGED}, 203.0.113"], PROXY),
        ([f"{FORGED}, 3405803783"], PROXY),
        ([f"{FORGED}, 0xcb.0.113.7"], PROXY),
        ([f"{FORGED}, 203.0.113.7 203.0.113.8"], PROXY),
        ([f"{FORGED}, 203.0.113.7;10.0.0.1"], PROXY),
        ([f"{FORGED}, [203.0.113.7]"], PROXY),
        ([f"{FORGED}, 203.0.113.7%eth0"], PROXY),
        ([f"{FORGED}, [2001:db8::7"], PROXY),
        ([f"{FORGED}, [2001:db8::7]:http"], PROXY),
        ([f"{FORGED}, 203.0.113.7:"], PROXY),
        ([f'{FORGED}, "203.0.113.7"'], PROXY),
        ([f"{FORGED}, for=203.0.113.7"], PROXY),
        ([f"{FORGED}, ٢٠٣.0.113.7"], PROXY),
        ([f"{FORGED}, 203.0.113.7\udcff"], PROXY),
        ([f"{FORGED}, 203.0.113.7\x00"], PROXY),
        ([f"{FORGED}, 10.0.0.0/8"], PROXY),
        ([f"{FORGED}, {'1' * 8000}"], PROXY),
        ([f"{FORGED}, ::1%{'a' * 8000}"], PROXY),
    ],
    ids=lambda value: str(value)[:60].encode("ascii", "backslashreplace").decode(),
)
def test_x_forwarded_for(lines: list[str], client: str) -> None:
    """The right-most address that is not trusted is the client's; what is no address ends the list."""
    assert XFF.client(PROXY, lines) == client


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["for=203.0.113.7"], "203.0.113.7"),
        (["For=203.0.113.7;proto=https;by=10.0.0.1;host=shop.example"], "203.0.113.7"),
        ([f"for={FORGED}, for=203.0.113.7"], "203.0.113.7"),
        ([f"for={FORGED}", "proto=https; FOR=203.0.113.7 ;"], "203.0.113.7"),
        (['for="203.0.113.7:4711"'], "203.0.113.7"),
        (['for="203.0.113.7:_port"'], "203.0.113.7"),
        (['for="[2001:db8::7]:4711"'], "2001:db8::7"),
        (['for="[2001:db8::7]";proto=https, for="[2001:db8:1::9]"'], "2001:db8::7"),
        (["for=[2001:db8::7]"], "2001:db8::7"),
        (['for="203.0.113\\.7"'], "203.0.113.7"),
        (["for=203.0.113.7, for=10.2.3.4;;proto=http"], "203.0.113.7"),
        (['for=203.0.113.7;host="a,b", for=10.2.3.4;ext="x\\",\\"y, for=6.6.6.6"'], "203.0.113.7"),
        # A client's quotes and commas cannot swallow what a proxy wrote behind them.
        ([f'for={FORGED};x=", for=203.0.113.7'], "203.0.113.7"),
        ([f'for={FORGED};x=", for="[2001:db8::7]"'], "2001:db8::7"),
        ([f'for={FORGED};x="\\, for="203.0.113.7:1";by="10.0.0.1:2"'], "203.0.113.7"),
        ([f'for="{FORGED}\\", for="203.0.113.7"'], "203.0.113.7"),
        (['"""""",\\\\\\",,,for=203.0.113.7'], "203.0.113.7"),
        # What names nobody ends the walk.
        ([f"for={FORGED}, for=unknown"], PROXY),
        ([f"for={FORGED}, for=_secret"], PROXY),
        ([f"for={FORGED}, for=_secret, for=10.2.3.4"], "10.2.3.4"),
        ([f"for={FORGED}, by=203.0.113.7"], PROXY),
        ([f"for={FORGED}, for=203.0.113.7;for=203.0.113.8"], PROXY),
        ([f"for={FORGED}, for=203.0.113.7;FOR=203.0.113.8"], PROXY),
        ([f"for={FORGED}, for = 203.0.113.7"], PROXY),
        ([f'for={FORGED}, for="203.0.113.7'], PROXY),
        ([f'for={FORGED}, for="203.0.113.7"x'], PROXY),
        ([f"for={FORGED}, for=203.0.113.7 x"], PROXY),
        ([f"for={FORGED}, for="], PROXY),
        ([f'for={FORGED}, for=""'], PROXY),
        ([f"for={FORGED}, 203.0.113.7"], PROXY),
        ([f"for={FORGED}, "], PROXY),
        ([""], PROXY),
        (['"' * 8000], PROXY),
        (['\\"' * 4000], PROXY),
    ],
    ids=lambda value: str(value)[:60],
)
def test_forwarded(lines: list[str], client: str) -> None:
    """RFC 7239: the one `for` of an element, quoted or not; elements are told apart from the right."""
    assert STANDARD.client(PROXY, lines) == client


@pytest.mark.parametrize(
    "lines", [[", ".join([FORGED, *["10.2.3.4"] * 600])], ["10.2.3.4"] * 120], ids=["line", "lines"]
)
def test_a_huge_list_of_trusted_hops(lines: list[str]) -> None:
    """No chain of proxies is that long: what stands far to the left is not looked for."""
    assert XFF.client(PROXY, lines) == "10.2.3.4"


def test_who_is_trusted() -> None:
    """An address of one of the networks, however it is spelled; nobody without any."""
    assert all(XFF.trusts(one) for one in ("10.9.9.9", "::ffff:10.9.9.9", "2001:db8:1:0::1", "2001:db8:1::1%eth0"))
    assert not any(XFF.trusts(one) for one in ("11.0.0.1", "2001:db8:2::1", "-", "", "10.0.0.1" * 50))
    assert not Proxies().trusts("10.9.9.9")
    assert (bool(XFF), bool(Proxies())) == (True, False)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.1.2.3", "10.1.2.3/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/32", "::/32"),
    ],
)
def test_networks(text: str, network: str) -> None:
    """A wrapped IPv4 network is the IPv4 network, for so addresses are compared."""
    assert str(read_network(text)) == network


@pytest.mark.parametrize(
    "text", ["", "10.0.0.1/8", "10.0.0.0/33", "ten", "10.0.0.0/255.0.0.0/1", "fe80::%eth0/64", "fe80::1%eth0"]
)
def test_what_is_no_network(text: str) -> None:
    """It raises."""
    with pytest.raises(ValueError, match=r"."):
        read_network(text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8::7", "2001:db8::7"),
        ("/run/socket", "-"),
        ("", "-"),
    ],
)
def test_one_spelling(text: str, plain: str) -> None:
    """An address has one spelling; what is none is said so."""
    assert plain_address(text) == plain


def test_what_the_upstream_is_told() -> None:
    """The client's address, and scheme and host of our own URL; what is not known is left out."""
    public = (("x-forwarded-proto", "https"), ("x-forwarded-host", "api.shop.example:8443"))
    assert public_lines("https://api.shop.example:8443/base") == public
    assert public_lines("") == ()
    assert forwarding_lines("203.0.113.7", public) == (("x-forwarded-for", "203.0.113.7"), *public)
    assert forwarding_lines("-", public) == public
    assert forwarding_lines("-", ()) == ()
