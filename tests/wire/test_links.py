"""Absolute URLs of the upstream become the gateway's own, in whole bodies and in streams."""

import itertools
import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.vocab.messages import Query
from gateway.vocab.refusals import Refusal
from gateway.wire.links import LinkRewriter, Rewriting, restored
from gateway.wire.public_paths import PublicPaths
from gateway.wire.target import parse_query, serialise

UP = "http://up.example/api"
GW = "https://shop.example"


def streamed(links: LinkRewriter, chunks: list[bytes]) -> list[bytes]:
    """Rewrite a body piece by piece."""
    rewriting = Rewriting(links)
    return [piece for piece in (*map(rewriting.feed, chunks), rewriting.end()) if piece]


@pytest.mark.parametrize(
    ("public_url", "body", "expected"),
    [
        pytest.param(GW, f'{{"a":"{UP}/v2/x"}}', f'{{"a":"{GW}/v2/x"}}', id="a link"),
        pytest.param(GW, f'["{UP}/a","{UP}/b"]', f'["{GW}/a","{GW}/b"]', id="all links"),
        pytest.param("", f'["{UP}/v2/x"]', '["/v2/x"]', id="path-only without a URL of ours"),
        pytest.param(GW, r'["http:\/\/up.example\/api\/x"]', r'["https:\/\/shop.example\/x"]', id="escaped slashes"),
        pytest.param("", r'["http:\/\/up.example\/api\/x\/y"]', r'["\/x\/y"]', id="escaped slashes, path-only"),
        pytest.param(GW, '["/api/v2/x","/apix","/v2/api/x"]', '["/v2/x","/apix","/v2/api/x"]', id="a path in the API"),
        pytest.param(GW, r'["\/api\/v2"]', r'["\/v2"]', id="a path with escaped slashes"),
        pytest.param(GW, f'["see {UP}/x"]', f'["see {UP}/x"]', id="text that mentions a link"),
        pytest.param(GW, f'["{UP}x/y"]', f'["{UP}x/y"]', id="another path that begins alike"),
        pytest.param(GW, '["http://up.example.evil/api/x"]', '["http://up.example.evil/api/x"]', id="another host"),
        pytest.param(GW, f'["{UP}"]', f'["{UP}"]', id="the URL alone, which is no link into the API"),
        pytest.param(GW, f'["{GW}/x"]', f'["{GW}/x"]', id="a link that is ours already"),
        pytest.param(GW, "", "", id="an empty body"),
    ],
)
async def test_links_into_the_upstream_become_ours(public_url: str, body: str, expected: str) -> None:
    """A JSON string that begins with the upstream's URL begins with ours, and nothing else changes."""
    links = LinkRewriter((UP,), public_url)
    assert links.rewrite(body.encode()).decode() == expected
    assert b"".join(streamed(links, [body.encode()])).decode() == expected


def test_several_origins_are_rewritten_in_one_pass() -> None:
    """What one origin became is not taken for another, and the longer of two matching origins wins."""
    links = LinkRewriter(("http://a", "http://a/b", f"{GW}/x"), GW)
    assert links.rewrite(b'["http://a/1","http://a/b/2","http://a/x/3"]') == (
        f'["{GW}/1","{GW}/2","{GW}/x/3"]'.encode()
    )


def test_a_port_that_goes_without_saying_may_be_said() -> None:
    """Who writes it in the file has it in no Host line, so that most links come without it."""
    for origin, other in (("http://up.example:80/api", UP), ("https://up.example:443", "https://up.example")):
        links = LinkRewriter((origin,), GW)
        body = f'["{origin}/a","{other}/b","{other}:8080/c"]'
        assert links.rewrite(body.encode()).decode() == f'["{GW}/a","{GW}/b","{other}:8080/c"]'
        assert [links.reference(f"{one}/a") for one in (origin, other)] == [f"{GW}/a"] * 2
        assert b"".join(streamed(links, [piece.encode() for piece in body])) == links.rewrite(body.encode())


NESTED = LinkRewriter(
    ("http://h/a", "http://alias"),
    GW,
    PublicPaths([("/o/{id}/", "/own/{id}")]),
    [
        ("http://h/a/b", PublicPaths([("/o/{id}/", "/deep/{id}")])),
        ("http://h:80", PublicPaths([("/o", "/root")])),
        ("https://z", PublicPaths([("/o/{id}", "/far/{id}")])),
    ],
)
LEADING = [
    pytest.param("http://h/a/o/7/", f"{GW}/own/7", id="its own"),
    pytest.param("http://h/a/x", f"{GW}/x", id="its own without a route"),
    pytest.param("http://h/a/b/o/7/", f"{GW}/deep/7", id="one below it"),
    pytest.param("http://h/a/b/x", f"{GW}/b/x", id="below it without a route"),
    pytest.param("http://h/ab/o/7", "http://h/ab/o/7", id="beside it"),
    pytest.param("http://alias/o/7", f"{GW}/own/7", id="by another name"),
    pytest.param("http://h/o", f"{GW}/root", id="above it"),
    pytest.param("http://h/x", "http://h/x", id="above it without a route"),
    pytest.param("https://z/o/7?x=1", f"{GW}/far/7?x=1", id="on another host"),
    pytest.param("https://z/x", "https://z/x", id="on another host without a route"),
    pytest.param("/a/o/7", "/own/7", id="a path of its own"),
    pytest.param("/a/b/o/7", "/deep/7", id="a path of one below it"),
    pytest.param("/o", "/root", id="a path of one above it"),
    pytest.param("/o/7", "/o/7", id="a path of no one's"),
]


@pytest.mark.parametrize(("link", "expected"), LEADING)
def test_a_link_leads_to_whichever_upstream_it_is_into(link: str, expected: str) -> None:
    """The closest that knows it; of other upstreams what clients know, and nothing else of theirs."""
    assert NESTED.reference(link) == expected
    for escaped in (link, link.replace("/", "\\/")):
        body = f'["{escaped}"]'.encode()
        assert json.loads(NESTED.rewrite(body)) == [expected]
        assert b"".join(streamed(NESTED, [bytes([byte]) for byte in body])) == NESTED.rewrite(body)


@pytest.mark.parametrize("link", ["//h/o", "//z/o/7", "///o", "//o"])
def test_a_path_with_a_host_in_it_is_no_path(link: str) -> None:
    """In a body, where it is one only by chance; never `//host`, which would be somebody else's."""
    assert NESTED.rewrite(f'["{link}"]'.encode()) == f'["{link}"]'.encode()


SPELLINGS = [
    "http://up.example/api", "HTTP://up.example/api", "Http://UP.Example/api", "//up.example/api",
    "http://up.example:80/api", "//up.example:80/api", "http://user:word@up.example/api", "http://up.example./api",
    "http:\\\\up.example/api", "http:/up.example/api", "http:///up.example/api", "\\\\up.example\\api",
    "/\\up.example/api", " http://up.example/api", "ht\ttp://up.example/api", "/api",
]  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("rest", ["", "/", "/v2/x?y=1", "?y=1", "#part", "//evil.example/x"])
def test_a_reference_becomes_ours_in_every_spelling(spelling: str, rest: str) -> None:
    """Scheme and host in any case or left out, a port that goes without saying, what browsers forgive: one address.

    RFC 3986 sections 4.2 and 6.2.2, and the URL standard; never `//host`, which would be somebody else's.
    """
    below = "/" + rest.lstrip("/")
    assert LinkRewriter((UP,), "").reference(spelling + rest) == below
    ours = below if spelling == "/api" else GW + below
    assert LinkRewriter((UP,), GW).reference(spelling + rest) == ours


@pytest.mark.parametrize(
    "value",
    [
        f"{UP}x", "/v2/x", "/apix", "http://elsewhere/x", "//elsewhere/api/x", "http://up.example:81/api/x", "x",
        "../x", "?page=2", "#part", "", "mailto:a@up.example", "http://up.example.evil/api/x", "http://up.example@evil/api/x",
        "http://evil/http://up.example/api/x", "http://[::1]/api/x", "http://up.example/other", "javascript:x",
    ],
)  # fmt: skip
def test_a_reference_that_leads_elsewhere_stays(value: str) -> None:
    """Only what lies below the upstream's base URL is ours."""
    assert LinkRewriter((UP,), GW).reference(value) == value


@pytest.mark.parametrize("text", ["a" + " " * 8000 + "b", "/" * 8000, "http:" + "/" * 8000 + ":x", "//" + "@" * 8000])
def test_a_long_reference_is_read_in_one_go(text: str) -> None:
    """An upstream may write what it likes; it leads nowhere that is ours."""
    assert LinkRewriter(("http://up.example",), "").reference(text) == text


def test_a_reference_of_another_port_scheme_or_base() -> None:
    """`link_origins` are known in the same way; of two bases on one host the longer wins; ports have their scheme's."""
    links = LinkRewriter(("http://a:8080", "https://b", "https://b/deep", "http://[::1]:9"), GW)
    assert links.reference("https://b:443/x") == links.reference("//b/x") == f"{GW}/x"
    assert links.reference("http://b/x") == "http://b/x"
    assert links.reference("https://b/deep/x") == f"{GW}/x"
    assert links.reference("//a:8080/x") == links.reference("https://a:8080/x") == f"{GW}/x"
    assert links.reference("//a/x") == "//a/x"
    assert links.reference("HTTP://[::1]:9/x") == f"{GW}/x"


def test_the_path_of_a_public_url_comes_first() -> None:
    """A gateway below a path of its own is linked below it."""
    links = LinkRewriter((UP,), f"{GW}/shop")
    assert links.reference(f"{UP}/x") == f"{GW}/shop/x"
    assert links.reference("/api/x") == "/shop/x"
    assert links.rewrite(b'["/api/x","http://up.example/api/y"]') == f'["/shop/x","{GW}/shop/y"]'.encode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f'<{UP}/a?page=2>; rel="next"', f'<{GW}/a?page=2>; rel="next"'),
        (f'<{UP}/a>; rel=next, <//up.example/api/b>; rel="last"', f'<{GW}/a>; rel=next, <{GW}/b>; rel="last"'),
        (f'<{UP}/a>; anchor="{UP}/b"', f'<{GW}/a>; anchor="{GW}/b"'),
        (f'<{UP}/a>; title="<{UP}/b>"', f'<{GW}/a>; title="<{UP}/b>"'),
        (r'<x>; title="a \" <http://up.example/api/b>"', r'<x>; title="a \" <http://up.example/api/b>"'),
        ("</api/a>; rel=next", "</a>; rel=next"),
        ("<http://elsewhere/a>; rel=next", "<http://elsewhere/a>; rel=next"),
        ("<", "<"),
        *[(text, text) for text in ("<" * 8000, '"' * 7999, '"' + '\\"' * 4000, "<" + " " * 8000 + "x", '"\\')],
        ("", ""),
    ],
)
def test_links_of_a_field_become_ours(value: str, expected: str) -> None:
    """RFC 8288 section 3: targets stand in angle brackets, everything else stays but URLs in quotation marks."""
    assert LinkRewriter((UP,), GW).links(value) == expected


async def test_less_than_one_url_is_held_back() -> None:
    """A stream flows: only what may be the beginning of a link waits for its end."""
    links = LinkRewriter((UP,), GW)
    assert streamed(links, [b'{"a":1,', b'"b":"http://u', b'p.example/api/x"}']) == [
        b'{"a":1,', b'"b":', f'"{GW}/x"}}'.encode(),
    ]  # fmt: skip
    assert streamed(links, [b'"http://up']) == [b'"http://up']


bodies = st.lists(
    st.sampled_from(
        [f'"{UP}/', UP, '"', "http://up", GW, "/api", "/", "\\/", "x", r'"http:\/\/up.example\/api\/', '\\"']
    )
).map("".join)
rewriters = st.sampled_from(
    [
        LinkRewriter((UP,), GW),
        LinkRewriter((UP,), ""),
        # Our URL is the beginning of the upstream's: what was rewritten looks like a link again.
        LinkRewriter(("http://up/api",), "http://up"),
        LinkRewriter((UP, "http://up", "http://up/api"), "http://up"),
        LinkRewriter(
            ("http://up/api",), GW, PublicPaths([("/x", "/y")]), [("http://up", PublicPaths([("/api/api", "/z")]))]
        ),
    ]
)


@given(rewriters, bodies, st.lists(st.integers(0, 200), max_size=6))
@example(LinkRewriter(("http://up/api",), "http://up"), '"http://up/api/api/x"', [15])
def test_any_chunking_gives_what_the_whole_gives(links: LinkRewriter, body: str, cuts: list[int]) -> None:
    """Where the upstream's packets end says nothing about the reply."""
    raw = body.encode()
    edges = sorted({0, len(raw), *(cut for cut in cuts if cut <= len(raw))})
    chunks = [raw[start:end] for start, end in itertools.pairwise(edges)]
    assert b"".join(streamed(links, chunks)) == links.rewrite(raw)


@given(st.lists(st.sampled_from([f"{UP}/x", UP, "y", f"see {UP}/"]) | st.text(max_size=20)), st.sampled_from([GW, ""]))
def test_json_stays_json(texts: list[str], public_url: str) -> None:
    """Rewriting changes the beginnings of strings and never the structure of a document."""
    rewritten = json.loads(LinkRewriter((UP,), public_url).rewrite(json.dumps(texts).encode()))
    assert [text.removeprefix(public_url) for text in rewritten] == [
        text.removeprefix(UP if text.startswith(f"{UP}/") else public_url) for text in texts
    ]


# Links of a list that was narrowed

OURS: Query = (("filter", "eq(customer_id,c1):eq(status,paid)"), ("sort", "name"))
THEIRS: Query = (("sort", "name"), ("filter", "eq(status,paid)"))


@pytest.mark.parametrize(
    ("sent", "asked", "link", "expected"),
    [
        pytest.param(
            OURS,
            THEIRS,
            "/v2/orders?filter=eq(customer_id,c1):eq(status,paid)&sort=name&page[offset]=5",
            "/v2/orders?filter=eq(status,paid)&sort=name&page[offset]=5",
            id="the client's filter in place of ours",
        ),
        pytest.param(
            OURS[:1],
            (),
            "/v2/orders?filter=eq(customer_id,c1):eq(status,paid)&page[offset]=5",
            "/v2/orders?page[offset]=5",
            id="no filter where the client had none",
        ),
        pytest.param(
            OURS[:1], (), "/v2/orders?filter=eq(customer_id,c1):eq(status,paid)", "/v2/orders", id="nothing left"
        ),
        pytest.param(
            OURS, THEIRS, "/v2/orders?page[offset]=5", "/v2/orders?page[offset]=5", id="a link without our clause"
        ),
        pytest.param(OURS, THEIRS, "/v2/orders", "/v2/orders", id="a link without a query"),
        pytest.param(OURS, OURS, "/v2/orders?sort=name", "/v2/orders?sort=name", id="nothing was changed"),
    ],
)
def test_a_link_asks_what_the_client_asked(sent: Query, asked: Query, link: str, expected: str) -> None:
    """The clause that narrowed the list is ours: a client that follows a link with it would be refused."""
    place, _, text = link.partition("?")
    query = parse_query(text)
    assert not isinstance(query, Refusal)
    assert serialise(place, restored(query, sent=sent, asked=asked)) == expected


ORIGINS = ("http://a", "http://a/b", "https://up.example")
PIECES = (
    '"http://a/',
    '"http:\\/\\/a\\/',
    '"http://a/b/',
    '"https://up.example/',
    '"https:',
    "/",
    "\\",
    '"',
    "x",
    "http://a/",
)


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.sampled_from([ORIGINS, ORIGINS[:1], ORIGINS[2:]]))
def test_every_body_is_rewritten_as_by_one_pattern(body: str, origins: tuple[str, ...]) -> None:
    """However the beginnings of URLs are looked for: each is replaced once, from left to right, the longest first."""
    links = {f'"{origin}/': f'"{GW}/' for origin in origins}
    links |= {url.replace("/", "\\/"): ours.replace("/", "\\/") for url, ours in links.items()}
    pattern = "|".join(map(re.escape, sorted(links, key=len, reverse=True)))
    expected = re.sub(pattern, lambda found: links[found[0]], body)
    assert LinkRewriter(origins, GW).rewrite(body.encode()).decode() == expected
