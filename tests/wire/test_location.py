"""Where a Location leads, read as a browser reads it or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.location import Place, Places, Side
from gateway.wire.public_paths import PublicPaths

BELOW = Places(
    "http://up.example:8080/base", ("https://links.example",), "https://gw.example", ("https://sso.example",)
)
BARE = Places("http://up.example", (), "", ())


@pytest.mark.parametrize(
    ("value", "link"),
    [
        ("/base/v2/x", "https://gw.example/v2/x"),
        ("/base/v2/x?a=1#f", "https://gw.example/v2/x?a=1#f"),
        ("/base", "https://gw.example/"),
        ("http://up.example:8080/base/x", "https://gw.example/x"),
        ("HTTP://UP.example:8080/base/x", "https://gw.example/x"),
        ("//up.example:8080/base/x", "https://gw.example/x"),
        ("https://links.example/v2", "https://gw.example/v2"),
        ("https://links.example:443/v2", "https://gw.example/v2"),
        ("https://gw.example/v2", "https://gw.example/v2"),
        ("7", "https://gw.example/v2/7"),
        ("../z", "https://gw.example/z"),
        ("?p=2", "https://gw.example/v2/orders?p=2"),
        ("/base/\u00e9", "https://gw.example/\u00e9"),
    ],
)
def test_what_is_the_upstreams_is_ours(value: str, link: str) -> None:
    """In every spelling of RFC 3986 section 4.2, with the base path of the upstream and its other origins."""
    place = BELOW.read(value, "/v2/orders")
    assert (place.side, place.link) == (Side.OURS, link)


def test_without_a_public_url_a_link_is_a_path() -> None:
    """It never becomes that of somebody else (RFC 3986 section 4.2)."""
    assert BARE.read("http://up.example/v2/x?a=1", "/v2/orders") == Place(Side.OURS, "/v2/x?a=1", "/v2/x")
    assert BARE.read("http://up.example//evil.example", "/v2/orders").side is Side.UNREADABLE
    below = Places("http://up.example/base", (), "", ())
    assert below.read("/base//evil.example", "/v2/orders").side is Side.UNREADABLE


@pytest.mark.parametrize(
    ("value", "side"),
    [
        ("https://sso.example/a", Side.LISTED),
        ("https://sso.example:443/a", Side.LISTED),
        ("http://sso.example/a", Side.ELSEWHERE),
        ("https://sso.example.evil.example/a", Side.ELSEWHERE),
        ("https://evil.example/a", Side.ELSEWHERE),
        ("//evil.example/a", Side.ELSEWHERE),
        ("http://up.example/base", Side.ELSEWHERE),
        ("http://[::1]/x", Side.ELSEWHERE),
    ],
)
def test_what_is_somebody_elses_is_told(value: str, side: Side) -> None:
    """Scheme, host and port are one origin (RFC 6454), and nothing less than all of it is listed."""
    assert BELOW.read(value, "/v2/orders").side is side


@pytest.mark.parametrize(
    "value",
    [
        "",
        " /base/x",
        "\t//evil.example",
        "/base/\nx",
        "/\\evil.example",
        "\\\\evil.example",
        "http:evil.example",
        "http:/evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://up.example:8080@evil.example/",
        "http://up%2eexample/",
        "http://up.example:99999/base",
        "http://\uff55\uff50.example/base",
        "http:///base/x",
        "/login",
        "/basement",
        "http://up.example:8080/other",
    ],
)
def test_what_two_readers_could_read_in_two_ways_is_not_read(value: str) -> None:
    """Nor is what lies on the upstream's own host beside what it serves to us: no client can go there."""
    assert BELOW.read(value, "/v2/orders").side is Side.UNREADABLE


@given(st.text(alphabet="/\\:@.?#%evilup htps\t8", max_size=20))
def test_no_spelling_makes_somebody_elses_ours(value: str) -> None:
    """Whatever is ours is on the gateway, as a link and as a path."""
    place = BELOW.read(value, "/v2/orders")
    if place.side is Side.OURS:
        assert place.link.startswith("https://gw.example/")
        assert place.path.startswith("/")
    bare = BARE.read(value, "/v2/orders")
    if bare.side is Side.OURS:
        assert bare.link.startswith("/")
        assert not bare.link.startswith(("//", "/\\"))


def test_a_place_at_another_upstream_is_ours_where_clients_know_it() -> None:
    """The closest that knows it, below, above or elsewhere; what none knows is as it would be without the others."""
    others = [
        ("http://up.example/a/b", PublicPaths([("/o/{id}", "/deep/{id}")])),
        ("https://far.example:443", PublicPaths([("/o/{id}", "/far/{id}")])),
    ]
    places = Places(
        "http://up.example/a", (), "https://gw.example", (), PublicPaths([("/o/{id}", "/own/{id}")]), others
    )
    for value, side, link in (
        ("/a/o/7", Side.OURS, "https://gw.example/own/7"),
        ("http://UP.example:80/a/b/o/7?x#y", Side.OURS, "https://gw.example/deep/7?x#y"),
        ("http://up.example/a/b/p", Side.OURS, "https://gw.example/b/p"),
        ("//up.example/ab/o/7", Side.UNREADABLE, ""),
        ("https://far.example/o/7", Side.OURS, "https://gw.example/far/7"),
        ("https://far.example/p", Side.ELSEWHERE, "https://far.example/p"),
        ("http://far.example/o/7", Side.ELSEWHERE, "http://far.example/o/7"),
    ):
        place = places.read(value, "/")
        assert (place.side, place.link) == (side, link), value
