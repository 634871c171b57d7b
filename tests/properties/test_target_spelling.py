"""A request target has one spelling: what is read, written and read again is the same, and holds no way out of it.

The values are arbitrary text and text of the characters that readers of URLs disagree about.
"""

import unicodedata
from urllib.parse import unquote_to_bytes

from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.vocab.messages import Target
from gateway.vocab.refusals import Refusal
from gateway.wire.target import encode_path, encode_query, parse, parse_query, serialise

TRICKS = (
    "/", "//", ".", "..", "...", "%2e", "%2E%2e", "%2f", "%5c", "\\", ";", "%3b", "#", "%23", "?", "%3f", "%00",
    "%0d%0a",
    "%25", "%252e", "%c0%ae", "%ef%bc%8e", "%ef%bc%8f", "%20", "+", "&", "=", "[", "]", "%5b", "%", "%zz", "@", ":",
    "*",
    "~", "v2", "orders", "filter", "%66ilter", "a", "A", "-", "_", "'", "(", ")", ",", "!", "$", "|", "\u00fc",
    "%c3%bc",
)  # fmt: skip
TRICKY = st.lists(st.sampled_from(TRICKS), max_size=12).map("".join)
TARGETS = st.one_of(
    TRICKY, TRICKY.map("/{}".format), st.text(max_size=40), st.text("/.%2eEfF5cC?#;&=+~aZ0", max_size=40)
)
WORDS = st.one_of(st.text(max_size=12), TRICKY, st.text("./\\%;?# ~a\u00fc\uff0e\u2025", max_size=6))
QUERIES = st.lists(st.tuples(WORDS, WORDS), max_size=4)


def _path(target: Target) -> str:
    return f"{target.path}/" if target.has_slash else target.path


@given(TARGETS)
@settings(max_examples=1500, derandomize=True, deadline=None)
@example("/%7e/a%2Db")
@example("/a?%5B%5d=+%2B")
@example("/a?&&b&c=")
@example("/a?")
def test_reading_is_idempotent(text: str) -> None:
    """What was read and written is read as the same, and written as the same again (D1.14, Pomerium CVE-2023-33189)."""
    read = parse(text)
    event("read" if isinstance(read, Target) else "refused")
    if not isinstance(read, Target):
        return
    written = serialise(_path(read), read.query)
    again = parse(written)
    assert isinstance(again, Target)
    assert again == replace(read, is_illegible=False)
    assert serialise(_path(again), again.query) == written


@given(TARGETS)
@settings(max_examples=1500, derandomize=True, deadline=None)
@example("/a/%2e%2e")
@example("/a%2f..")
def test_a_path_that_was_read_has_one_reading(text: str) -> None:
    """No empty segment, no dot segment, no structure inside of a segment, and decoding it gives the segments."""
    read = parse(text)
    if not isinstance(read, Target):
        return
    assert read.path.startswith("/")
    assert all("!" <= letter <= "~" for letter in read.path)
    assert not set("?#;\\") & set(read.path)
    raw = read.path[1:].split("/") if read.segments else []
    assert tuple(unquote_to_bytes(segment).decode() for segment in raw) == read.segments
    folded = tuple(unicodedata.normalize("NFKC", segment) for segment in read.segments)
    assert read.folded == (None if folded == read.segments else folded)
    for segment in (*read.segments, *folded):
        assert segment.strip(" .")
        assert not set("/\\%;?#") & set(segment)
        assert all(unicodedata.category(letter) != "Cc" for letter in segment)


@given(st.lists(WORDS, min_size=1, max_size=5), QUERIES)
@settings(max_examples=1500, derandomize=True, deadline=None)
@example(["a"], [("page[limit]", "1&2=3;4")])
@example(["a b", "ü"], [("a", "+ %2b")])
def test_whatever_is_written_is_read_back_or_refused(segments: list[str], query: list[tuple[str, str]]) -> None:
    """A path and a query that we write are read back as exactly the same values, or are no target at all."""
    try:
        written = serialise(encode_path(tuple(segments)), tuple(query))
    except UnicodeEncodeError:
        # A lone surrogate cannot be written.
        return
    read = parse(written)
    event("read" if isinstance(read, Target) else "refused")
    # One empty segment is written like none at all: the root.
    if isinstance(read, Target) and segments != [""]:
        # An empty one at the end is the slash that a path may end in.
        assert (read.segments + ("",) * read.has_slash, read.query) == (tuple(segments), tuple(query))


@given(TRICKY)
@settings(max_examples=500, derandomize=True, deadline=None)
def test_a_query_is_read_alike_alone_and_in_a_target(text: str) -> None:
    """There is one reader of queries."""
    if "#" in text or not text or not text.isascii():
        return
    whole = parse(f"/a?{text}")
    alone = parse_query(text)
    if isinstance(whole, Target):
        assert whole.query == alone


@given(st.sampled_from("av2Z~-"), st.one_of(TRICKY, st.text("aZ0.~-_/?&=[],()", max_size=60)))
@settings(max_examples=1500, derandomize=True, deadline=None)
@example("v", "2/orders?filter=eq(status,paid)&page[limit]=25&sort=-created_at")
@example("a", "?=b&c")
@example("a", "?a=b=c")
@example("a", "?" + "&".join(["a=b"] * 101))
def test_plain_targets_have_no_reading_of_their_own(letter: str, rest: str) -> None:
    """What is read at a glance because all of it is plain is read as the same when one escape forbids that."""
    at_a_glance, at_length = parse(f"/{letter}{rest}"), parse(f"/%{ord(letter):02X}{rest}")
    if isinstance(at_a_glance, Refusal) or isinstance(at_length, Refusal):
        assert isinstance(at_a_glance, Refusal)
        assert isinstance(at_length, Refusal)
        assert at_a_glance.code == at_length.code
    else:
        event("plain" if "%" not in rest else "escaped")
        assert at_a_glance == at_length


@given(QUERIES)
@settings(max_examples=500, derandomize=True, deadline=None)
@example([("page[limit]", "5"), ("filter", "eq(a,b)")])
@example([("a", "b&c"), ("d", "e")])
def test_parameters_are_spelled_alike_alone_and_together(query: list[tuple[str, str]]) -> None:
    """Whether the others are plain changes nothing in how one is spelled."""
    try:
        alone = [encode_query((pair,)) for pair in query]
    except UnicodeEncodeError:
        return
    assert encode_query(tuple(query)) == "&".join(alone)
