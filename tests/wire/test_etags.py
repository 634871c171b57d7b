"""Entity tags of rewritten bodies: told apart from the upstream's, and turned back into them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.vocab.messages import Headers
from gateway.wire.etags import EntityTags, holds, made_of, tags

TAGS = EntityTags(("https://shop.example", "/api"))
OTHER = EntityTags(("https://other.example", "/api"))

# RFC 9110 section 8.8.3: etagc; and a bare word, as some upstreams write it.
opaque = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters='"\x7f'), max_size=40)
spelled = st.one_of(
    opaque.map(lambda text: f'"{text}"'),
    opaque.map(lambda text: f'W/"{text}"'),
    st.text("abcXYZ019-_.:", min_size=1, max_size=20),
)


@given(spelled)
def test_a_mark_can_be_taken_off_again(tag: str) -> None:
    """What comes back is the upstream's own tag, byte by byte; the marked one is another, and as weak or strong."""
    marked = TAGS.marked(tag)
    assert marked != tag
    assert marked.startswith("W/") is tag.startswith("W/")
    for name in ("if-match", "if-none-match", "if-range"):
        assert TAGS.unmarked(((name, marked),)) == ((name, tag),)


@given(spelled)
def test_a_tag_that_is_relayed_comes_back_as_it_was(tag: str) -> None:
    """Also where the upstream's own looks like one of ours, for instance because it is a gateway as well."""
    for one in (tag, TAGS.marked(tag)):
        assert TAGS.unmarked((("if-match", TAGS.relayed(one)),)) == (("if-match", one),)


@given(st.lists(spelled, min_size=1, max_size=4), st.sampled_from([",", ", ", " , "]))
def test_every_tag_of_a_list_is_turned_back(named: list[str], between: str) -> None:
    """RFC 9110 section 13.1.1: a condition may name several."""
    marked = between.join(map(TAGS.marked, named))
    assert TAGS.unmarked((("if-none-match", marked),)) == (("if-none-match", between.join(named)),)


@pytest.mark.parametrize(
    "line",
    [
        ("if-match", "*"),
        ("if-match", '"a", W/"b"'),
        ("if-none-match", ""),
        ("if-none-match", '"'),
        ("if-range", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ("if-modified-since", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ("range", "bytes=0-1"),
    ],
)
def test_what_bears_no_mark_stays(line: tuple[str, str]) -> None:
    """A client may have a tag of a body that was not rewritten."""
    assert TAGS.unmarked((line,)) == (line,)


def test_another_rewriting_makes_another_tag() -> None:
    """A strong tag names bytes: with another public URL they are others, and the old tag fits nothing any more."""
    assert TAGS.marked('"a"') != OTHER.marked('"a"')
    assert OTHER.unmarked((("if-match", TAGS.marked('"a"')),)) == (("if-match", TAGS.marked('"a"')),)


@pytest.mark.parametrize(
    ("conditions", "is_marked"),
    [
        ((("if-none-match", TAGS.marked('"a"')),), True),
        ((("if-none-match", f'"x", {TAGS.marked(chr(34) + "a" + chr(34))}'),), True),
        ((("if-none-match", f"W/{TAGS.marked(chr(34) + 'a' + chr(34))}"),), True),
        ((("if-none-match", '"a"'),), False),
        ((("if-none-match", 'W/"a"'),), False),
        ((("if-none-match", "*"),), True),
        ((("if-modified-since", "x"),), True),
        ((), False),
    ],
)
def test_not_modified_says_the_tag_that_the_client_has(conditions: Headers, *, is_marked: bool) -> None:
    """A 304 shows no body, and need not say of which type it would be."""
    assert TAGS.unchanged('"a"', conditions) == (TAGS.marked('"a"') if is_marked else '"a"')


def test_no_tag_is_no_tag() -> None:
    """An empty field stays empty."""
    assert TAGS.marked("") == ""
    assert tags("") == []


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ((), None),
        ((("if-none-match", '"a"'),), 304),
        ((("if-none-match", 'W/"a"'),), 304),
        ((("if-none-match", '"b", "a"'),), 304),
        ((("if-none-match", '"b"'), ("if-none-match", '"a"')), 304),
        ((("if-none-match", "*"),), 304),
        ((("if-none-match", '"b"'),), None),
        ((("if-match", '"a"'),), None),
        ((("if-match", "*"),), None),
        ((("if-match", 'W/"a"'),), 412),
        ((("if-match", '"b"'),), 412),
        ((("if-match", '"b"'), ("if-none-match", '"a"')), 412),
        ((("if-modified-since", "Wed, 21 Oct 2015 07:28:00 GMT"),), None),
        ((("if-unmodified-since", "Wed, 21 Oct 2015 07:28:00 GMT"),), None),
    ],
)
def test_conditions_are_judged_as_the_standard_says(conditions: Headers, status: int | None) -> None:
    """RFC 9110 sections 13.1 and 13.2.2: If-Match strongly and first, If-None-Match weakly, dates not at all."""
    assert holds('"a"', conditions) == status


def test_a_tag_of_ours_is_that_of_the_bytes() -> None:
    """Equal bytes, equal tags."""
    assert made_of(b"a") == made_of(b"a") != made_of(b"b")
    assert tags(made_of(b"a")) == [made_of(b"a")]
