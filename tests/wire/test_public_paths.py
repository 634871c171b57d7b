"""The way back from an upstream's paths to those that clients know."""

import pytest

from gateway.wire.links import LinkRewriter, Rewriting
from gateway.wire.location import Places, Side
from gateway.wire.public_paths import PublicPaths

PATHS = PublicPaths(
    [
        ("/api/orders/{oid}/", "/v2/orders/{oid}"),
        ("/api/orders/", "/v2/orders"),
        ("/api/orders/latest/", "/v2/latest"),
        ("/rows?id=eq.{id}", "/v2/rows/{id}"),
        ("/files/{rest...}", "/v2/files/{rest...}"),
    ]
)
KNOWN = [
    ("/api/orders/7/", "/v2/orders/7"),
    ("/api/orders/7", "/v2/orders/7"),
    ("/api/orders/latest/", "/v2/latest"),
    ("/api/orders/?page=2&page_size=5", "/v2/orders?page=2&page_size=5"),
    ("/api/orders/a%20b/#top", "/v2/orders/a%20b#top"),
    ("/rows?id=eq.7", "/v2/rows/7"),
    ("/rows?select=x&id=eq.a/b", "/v2/rows/a%2Fb?select=x"),
    ("/files/a/b", "/v2/files/a/b"),
    ("/rows", None),
    ("/rows?id=gt.7", None),
    ("/api/orders/7/items", None),
    ("//api/orders/7", None),
    ("api/orders/7", None),
]


@pytest.mark.parametrize(("there", "public"), KNOWN)
def test_a_path_of_a_route_is_its_public_path(there: str, public: str | None) -> None:
    """With what else stands in its query; a path of no route is none."""
    assert PATHS.public(there) == public


ORIGIN = "http://up.example/base"


def rewriter(base: str = "http://up.example") -> LinkRewriter:
    """Return what rewrites the links of an upstream."""
    return LinkRewriter((base,), "https://gw.example", PATHS)


BODIES = [
    (b'{"a":"http://up.example/api/orders/7/"}', b'{"a":"https://gw.example/v2/orders/7"}'),
    (rb'{"a":"http:\/\/up.example\/api\/orders\/7\/"}', b'{"a":"https://gw.example/v2/orders/7"}'),
    (b'{"a":"http://up.example/other/7"}', b'{"a":"https://gw.example/other/7"}'),
    (b'{"a":"/api/orders/7/"}', b'{"a":"/v2/orders/7"}'),
    (b'{"a":"/api/none/7/","b":"http://other.example/api/orders/7/"}',) * 2,
    (b'{"a":"say /api/orders/7/"}',) * 2,
]


@pytest.mark.parametrize(("body", "expected"), BODIES)
def test_links_in_bodies_are_those_of_clients(body: bytes, expected: bytes) -> None:
    """However they are cut into pieces on their way."""
    assert rewriter().rewrite(body) == expected
    for at in range(len(body)):
        pieces = Rewriting(rewriter())
        assert pieces.feed(body[:at]) + pieces.feed(body[at:]) + pieces.end() == expected
    single = Rewriting(rewriter())
    assert b"".join(single.feed(body[at : at + 1]) for at in range(len(body))) + single.end() == expected


def test_of_an_endless_link_the_address_does_not_leave() -> None:
    """What is held back has a bound; beyond it the path stays what it is."""
    pieces = Rewriting(rewriter())
    body = b'{"a":"http://up.example/' + b"x" * 20_000 + b'"}'
    sent = b"".join(pieces.feed(body[at : at + 1000]) for at in range(0, len(body), 1000)) + pieces.end()
    assert sent == b'{"a":"https://gw.example/' + b"x" * 20_000 + b'"}'


def test_a_base_path_is_taken_off_first() -> None:
    """What does not begin with it is no path of the upstream's."""
    links = rewriter(ORIGIN)
    assert (
        links.rewrite(b'["/base/api/orders/7/","/api/orders/7/","/base/x"]')
        == b'["/v2/orders/7","/api/orders/7/","/x"]'
    )


HEADERS = [
    ("http://up.example/api/orders/7/", "https://gw.example/v2/orders/7"),
    ("//UP.example:80/api/orders/?page=2", "https://gw.example/v2/orders?page=2"),
    ("/api/orders/7/", "/v2/orders/7"),
    ("/other", "/other"),
    ("http://other.example/api/orders/7/", "http://other.example/api/orders/7/"),
]


@pytest.mark.parametrize(("value", "expected"), HEADERS)
def test_references_in_headers_are_those_of_clients(value: str, expected: str) -> None:
    """In any spelling of the address."""
    assert rewriter().reference(value) == expected


def test_a_location_is_read_as_a_public_path() -> None:
    """Relative to where the upstream was asked; what names the gateway itself is public already."""
    places = Places("http://up.example", (), "https://gw.example", (), PATHS)
    for value in ("http://up.example/api/orders/7/", "/api/orders/7/", "7/"):
        place = places.read(value, "/api/orders/")
        assert (place.side, place.link, place.path) == (Side.OURS, "https://gw.example/v2/orders/7", "/v2/orders/7")
    assert places.read("https://gw.example/api/orders/7/", "/x").path == "/api/orders/7/"


def test_other_paths_make_other_tags() -> None:
    """A body in which other links stand is another body."""
    plain = LinkRewriter(("http://up.example",), "https://gw.example")
    assert rewriter().tags.marked('"a"') != plain.tags.marked('"a"')
    assert plain.tags.marked('"a"') == LinkRewriter(
        ("http://up.example",), "https://gw.example", PublicPaths()
    ).tags.marked('"a"')
