"""Header lines of open answers: links that are ours, and nothing said of bytes that are not the client's."""

import pytest

from gateway.vocab.messages import Headers
from gateway.wire.links import LinkRewriter
from gateway.wire.relaying import true_lines

LINKS = LinkRewriter(("http://up.example/api", "https://links.example"), "https://gw.example")
MARKED = LINKS.tags.marked('"a"')
OF_BYTES: Headers = (
    ("accept-ranges", "bytes"),
    ("content-md5", "x"),
    ("content-digest", "x"),
    ("repr-digest", "x"),
    ("digest", "x"),
)


def lines(*given: tuple[str, str], status: int = 200, conditions: Headers = (), rewrites: bool = True) -> Headers:
    """Return what becomes of an answer's lines."""
    return true_lines(given, LINKS, status, conditions, rewrites=rewrites)


def test_a_rewritten_body_has_a_tag_of_its_own_and_no_digests() -> None:
    """RFC 9110 section 8.8.1 and RFC 9530: both name bytes."""
    coded = ("content-encoding", "gzip")
    assert lines(("etag", '"a"'), coded, ("x-a", "1"), *OF_BYTES) == (("etag", MARKED), ("x-a", "1"))
    as_it_is: Headers = (("etag", '"a"'), coded, ("x-a", "1"), *OF_BYTES)
    assert lines(*as_it_is, rewrites=False) == as_it_is


@pytest.mark.parametrize("name", ["location", "content-location", "link"])
@pytest.mark.parametrize("rewrites", [True, False])
def test_links_in_every_field_are_ours(name: str, *, rewrites: bool) -> None:
    """Whatever the body is."""
    form = '<{}>; rel="next"' if name == "link" else "{}"
    value = form.format("HTTP://UP.example:80/api/v2/x?page=2")
    assert lines((name, value), rewrites=rewrites) == ((name, form.format("https://gw.example/v2/x?page=2")),)


def test_not_modified_says_what_the_client_has() -> None:
    """A 304 of no type is about the body whose tag the client named; one with a type says it itself."""
    asked: Headers = (("if-none-match", '"a"'),)
    marked: Headers = (("if-none-match", MARKED),)
    tag = ("etag", '"a"')
    assert lines(tag, status=304, conditions=asked, rewrites=False) == (tag,)
    assert lines(tag, status=304, conditions=marked, rewrites=False) == (("etag", MARKED),)
    picture = ("content-type", "image/png")
    assert lines(tag, picture, status=304, conditions=marked, rewrites=False) == (tag, picture)
