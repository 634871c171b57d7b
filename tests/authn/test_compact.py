"""Strict reading of base64url and JSON."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authn.compact import decode_segment, encode_segment, read_object


@given(st.binary())
def test_what_is_written_is_read_back(data: bytes) -> None:
    """Reading undoes writing, and nothing written holds padding."""
    segment = encode_segment(data)
    assert decode_segment(segment) == data
    assert "=" not in segment


@pytest.mark.parametrize(
    "segment", ["QQ==", "QR", "Q", "QUI=", "QUJ=", "Q Q", "Q\nQ", "+_", "a/b_", "\xe9" * 4, "QUJD\n", "=", "===="]
)
def test_a_second_spelling_is_refused(segment: str) -> None:
    """Padding, spare bits, other alphabets, white space and impossible lengths are not base64url to us."""
    assert decode_segment(segment) is None


@given(st.text())
def test_every_text_has_at_most_one_meaning(text: str) -> None:
    """A segment that is read is exactly what would be written, and no text raises."""
    data = decode_segment(text)
    assert data is None or encode_segment(data) == text


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b"[]",
        b'"a"',
        b"",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-32"),
        b'{"a":"\xff"}',
        b"[" * 8000,
        b'{"a":' * 8000,
        b'{"a":' + b"9" * 8000 + b"}",
    ],
)
def test_json_with_more_than_one_reading_is_refused(text: bytes) -> None:
    """Repeated members, constants of Python, other encodings, other types and absurd sizes are no JSON object."""
    assert read_object(text) is None


def test_a_plain_object_is_read() -> None:
    """One JSON object comes out as it went in."""
    assert read_object(b'{"a":[1,{"b":null}]}') == {"a": [1, {"b": None}]}
