"""Lines of a head: written as they are, and never two where one was meant."""

import pytest

from gateway.wire.head import END, render_lines


def test_lines_stand_in_their_order() -> None:
    """Names and values are written as they come, each line with its end."""
    assert render_lines([("a", "b"), ("C", ""), ("a", "c: d")]) == b"a: b\r\nC: \r\na: c: d\r\n"
    assert render_lines([("Host", "x")], "GET / HTTP/1.1") + END == b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_a_start_line_alone() -> None:
    """A head may have no fields."""
    assert render_lines([], "HTTP/1.1 204 No Content") == b"HTTP/1.1 204 No Content\r\n"


def test_octets_beyond_ascii_stay() -> None:
    """As lines are read, so they are written: each octet is one letter, whatever it means to whom."""
    assert render_lines([("a", "\xe9 \xc3\xa9")]) == b"a: \xe9 \xc3\xa9\r\n"
    with pytest.raises(UnicodeEncodeError):
        render_lines([("a", "\u20ac")])


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\r\n\r\n", "\n\n"])
@pytest.mark.parametrize("place", ["name", "value", "start", "the end of a value"])
def test_no_line_ends_within_another(end: str, place: str) -> None:
    """Whoever could put a line break into a field could write a reply of their own."""
    evil = f"a{end}set-cookie: b=c"
    fields = {"name": (evil, "v"), "value": ("n", evil), "start": ("n", "v"), "the end of a value": ("n", f"v{end}")}
    with pytest.raises(ValueError, match="a line break"):
        render_lines([("x", "y"), fields[place]], evil if place == "start" else None)
