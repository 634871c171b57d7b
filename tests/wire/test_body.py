"""Strict JSON of clients, JSON and compression of upstream answers."""

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.vocab.refusals import Code, Refusal
from gateway.wire.body import MAX_DEPTH, encode, inflate, is_too_deep, number, parse_answer, parse_request

JSON = "application/json"
LIMIT = 64 * 1024


def nested(depth: int) -> bytes:
    """Write objects inside each other; the outermost counts."""
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


def refused(answer: object) -> Code:
    """Return the code of what must be a refusal."""
    assert isinstance(answer, Refusal), answer
    return answer.code


@pytest.mark.parametrize(
    ("raw", "document"),
    [
        pytest.param(b'{"data":{"type":"token"}}', {"data": {"type": "token"}}, id="an object"),
        pytest.param(b' {\n "a" : [1, -25, true, null] }\r\n', {"a": [1, -25, True, None]}, id="white space"),
        pytest.param('{"name":"Zoë \\u0065"}'.encode(), {"name": "Zoë e"}, id="UTF-8 and escapes"),
        pytest.param(b'{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}, id="a pair of surrogates"),
        pytest.param(b'{"a":9223372036854775807}', {"a": 2**63 - 1}, id="64 bits"),
        pytest.param(
            b'{"constructor":{"x":1},"prototype":2}', {"constructor": {"x": 1}, "prototype": 2}, id="plain names"
        ),
        pytest.param(b"{}", {}, id="an empty object"),
    ],
)
def test_one_json_object_is_read(raw: bytes, document: dict[str, Any]) -> None:
    """A body with one reading is that reading."""
    assert parse_request(raw, JSON, None) == document


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="a cut-off object"),
        pytest.param(b'{"a":1}{"a":2}', id="a second document behind the first"),
        pytest.param(b'{"a":1} x', id="text behind the document"),
        pytest.param(b"{'a':1}", id="single quotes"),
        pytest.param(b'{"a":1,}', id="a trailing comma"),
        pytest.param(b'{"a":01}', id="a leading zero"),
        pytest.param(b'{"a":1}/* x */', id="a comment"),
        pytest.param(b'{"a":"\t"}', id="a control character in a string"),
        pytest.param(b'{"a":1,"a":2}', id="D6.4: a duplicate key"),
        pytest.param(b'{"__proto__":{"x":1}}', id="D6.4: what all objects of JavaScript have in common"),
        pytest.param(b'{"a":[{"__pr\\u006fto__":null}]}', id="D6.4: the same, deeper and in another spelling"),
        pytest.param(b'{"constructor":{"prototype":{"x":1}}}', id="D6.4: the same by way of the constructor"),
        pytest.param(b'{"a":1,"\\u0061":2}', id="D6.4: a duplicate key in another spelling"),
        pytest.param(b'{"data":{"id":"c1","id":"c2"}}', id="D6.4: a duplicate key further in"),
        pytest.param(b'{"a":[{"b":1,"b":1}]}', id="a duplicate key with the same value"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', id="D6.4: a byte order mark"),
        pytest.param('{"a":1}'.encode("utf-16"), id="D6.4: UTF-16 with a mark"),
        pytest.param('{"a":1}'.encode("utf-16-le"), id="D6.4: UTF-16 without a mark"),
        pytest.param('{"a":1}'.encode("utf-32"), id="UTF-32"),
        pytest.param(b'{"a":"\xff"}', id="bytes that are not UTF-8"),
        pytest.param(b'{"a":"\xc0\xaf"}', id="overlong UTF-8"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', id="a surrogate written as UTF-8"),
        pytest.param(b'{"a":"\\ud800"}', id="a lone surrogate"),
        pytest.param(b'{"\\udc00":1}', id="a lone surrogate in a key"),
        pytest.param(b'{"a":NaN}', id="NaN"),
        pytest.param(b'{"a":Infinity}', id="Infinity"),
        pytest.param(b'{"a":-Infinity}', id="-Infinity"),
        pytest.param(b'{"a":1e999}', id="a float beyond every double"),
        pytest.param(b'{"a":' + b"9" * 310 + b"}", id="an integer beyond every double"),
        pytest.param(b'{"a":-' + b"9" * 5000 + b"}", id="an integer that would cost time"),
        pytest.param(nested(MAX_DEPTH + 1), id="one level too deep"),
        pytest.param(nested(100_000), id="deep enough for a recursive reader to fall"),
        pytest.param(b"[" * 100_000, id="only opening brackets"),
        pytest.param(b'[{"a":1}]', id="D6.4: an array"),
        pytest.param(b'"text"', id="a string"),
        pytest.param(b"null", id="null"),
        pytest.param(b"grant_type=implicit", id="a form"),
    ],
)
def test_a_body_with_no_or_two_readings_is_refused(raw: bytes) -> None:
    """Whoever reads the body behind us must find what the rules saw."""
    assert refused(parse_request(raw, JSON, None)) is Code.BODY_MALFORMED


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        pytest.param("application/x-www-form-urlencoded", None, id="D6.4: a form"),
        pytest.param("text/plain", None, id="D7.10: a simple cross-origin type"),
        pytest.param("application/json; charset=utf-16", None, id="another charset"),
        pytest.param(None, None, id="no type"),
        pytest.param(JSON, "gzip", id="D6.4: compressed"),
        pytest.param(JSON, "identity, gzip", id="compressed, in a list"),
        pytest.param(JSON, "br", id="compressed with Brotli"),
    ],
)
def test_only_plain_json_is_a_body(content_type: str | None, encoding: str | None) -> None:
    """Types and encodings that are not understood are refused before anything is read."""
    refusal = parse_request(b'{"a":1}', content_type, encoding)
    assert refused(refusal) is Code.BODY_TYPE
    assert isinstance(refusal, Refusal)
    assert refusal.source == "body"


@pytest.mark.parametrize("encoding", [None, "", "identity"])
def test_identity_is_no_encoding(encoding: str | None) -> None:
    """RFC 9110 section 8.4.1: the name for nothing done."""
    assert parse_request(b"{}", JSON, encoding) == {}


def test_the_deepest_document_is_still_read() -> None:
    """The limit is inclusive, and brackets count like braces."""
    assert isinstance(parse_request(nested(MAX_DEPTH), JSON, None), dict)
    assert not is_too_deep(json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH))
    assert is_too_deep(json.loads("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)))
    assert not is_too_deep("text")


def test_a_refusal_never_quotes_the_body() -> None:
    """A broken body may hold a password."""
    assert "hunter2" not in repr(parse_request(b'{"password":"hunter2"', JSON, None))
    assert "hunter2" not in repr(parse_answer(b'{"password":"hunter2"'))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"data":[', id="a truncated document"),
        pytest.param(b'{"data":[]}{"data":[]}', id="a second document"),
        pytest.param(b"<html></html>", id="a page"),
        pytest.param(b"\xef\xbb\xbf\xef\xbb\xbf{}", id="two byte order marks"),
        pytest.param(b"\xef\xbb\xbf", id="nothing behind a byte order mark"),
        pytest.param('{"a":1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"a":"\xff"}', id="not UTF-8"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', id="a surrogate written as UTF-8"),
        pytest.param(b'{"a":"\\ud80"}', id="a broken escape"),
        pytest.param(b'{"a":-00}', id="two zeros"),
        pytest.param(b'{"a":NaN}', id="NaN"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="too deep for any reader"),
        pytest.param(b"[-0 ,[" * 50_000 + b"]]" * 50_000, id="too deep for the patient reader"),
    ],
)
def test_an_answer_that_is_not_one_json_text_is_refused(raw: bytes) -> None:
    """What cannot be read whole cannot be judged."""
    assert refused(parse_answer(raw)) is Code.UPSTREAM_INVALID


@pytest.mark.parametrize("oddity", ["", ',"b":-0', ',"b":"\\ud800"'])
def test_an_answer_leaves_with_one_reading(oddity: str) -> None:
    """Duplicate keys of an upstream are read once and written once, whichever reader takes the answer."""
    raw = f'{{"a":1,"a":2{oddity}}}'.encode()
    assert encode(parse_answer(raw)) == raw.replace(b'"a":1,', b"")


NUMBERS = [
    "0", "-1", "1.0", "1.50", "-0", "-0.0", "0e0", "1e2", "1E+2", "1e-7", "10000000000000000.01",
    "0.12345678901234567890", "9007199254740993", "12345678901234567890", "-9223372036854775809", "9" * 300,
]  # fmt: skip


@pytest.mark.parametrize("digits", NUMBERS)
def test_a_number_leaves_as_it_came(digits: str) -> None:
    """No number is rounded or respelled, wherever it stands, in either direction."""
    raw = f'{{"a":{digits},"b":[{digits},{{"c":{digits}}}],"d":"-0"}}'.encode()
    assert encode(parse_answer(raw)) == raw
    assert encode(parse_request(raw, JSON, None)) == raw


@pytest.mark.parametrize("digits", ["1e400", "9" * 5000])
def test_a_number_that_few_readers_take_leaves_an_answer_as_it_came(digits: str) -> None:
    """It is the upstream's own word, and nothing is reckoned with it."""
    assert encode(parse_answer(f'{{"a":{digits}}}'.encode())) == f'{{"a":{digits}}}'.encode()


@pytest.mark.parametrize("space", ["", " ", "\n", "\t", "\r"])
@pytest.mark.parametrize("shape", ["[{}-0{}]", '{{"a":{}-0{}}}', "[1,{}-0{},1]", '{{"a":{}-0{},"b":1}}'])
def test_a_negative_zero_is_found_wherever_one_can_stand(shape: str, space: str) -> None:
    """It is the one integer with two spellings."""
    assert b"-0" in encode(parse_answer(shape.format(space, space).encode()))


def test_what_only_looks_like_a_negative_zero_changes_nothing() -> None:
    """Texts may hold it."""
    document: Any = parse_answer(b'{"a":"x,-0,y","b":"2018-04-06","c":[-0.5]}')
    assert document["a"] == "x,-0,y"


@pytest.mark.parametrize("text", [r"\ud800", r"a\udc00b", r"\ud83d\ud83d\ude00", r"\\\udfff", r"\ud800\u0000\u2028"])
def test_an_odd_text_withholds_nothing_and_leaves_as_it_came(text: str) -> None:
    """RFC 8259 section 8.2: a lone surrogate is JSON. Only the one text is odd; what stands beside it stays a text."""
    document: Any = parse_answer(f'{{"id":"c1","names":["{text}","Zo\u00eb"],"x":{{"y":"{text}"}}}}'.encode())
    assert document["id"] == "c1"
    assert document["names"][1] == "Zo\u00eb"
    assert not isinstance(document["names"][0], str)
    assert json.loads(encode(document)) == json.loads(
        f'{{"id":"c1","names":["{text}","Zo\u00eb"],"x":{{"y":"{text}"}}}}'
    )


def test_an_odd_name_leaves_with_the_mark_of_what_cannot_be_read() -> None:
    """Names are what members are found by, so they are always texts."""
    assert encode(parse_answer(rb'{"a\ud800":1}')) == '{"a\ufffd":1}'.encode()


def test_a_byte_order_mark_is_passed_over() -> None:
    """RFC 8259 section 8.1 allows readers to ignore it."""
    assert parse_answer(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("1", 1),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("-0", 0.0),
        ("true", None),
        ('"1"', None),
        (r'"\ud800"', None),
        ("null", None),
    ],
)
def test_only_numbers_are_reckoned_with(raw: str, value: float | None) -> None:
    """A boolean is no number, nor is a text that holds one."""
    document: Any = parse_answer(f"[{raw}]".encode())
    assert number(document[0]) == value


@pytest.mark.parametrize("encoding", [None, "identity", " Identity "])
def test_a_plain_answer_stays_as_it_is(encoding: str | None) -> None:
    """Without an encoding nothing is undone."""
    assert inflate(b"x", encoding, 0) == b"x"


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("X-GZIP", gzip.compress), (" deflate ", zlib.compress)],
)
def test_a_compressed_answer_is_undone(encoding: str, pack: Any) -> None:
    """Both ways to compress, in any case, up to exactly the limit."""
    assert inflate(pack(b"x" * LIMIT), encoding, LIMIT) == b"x" * LIMIT
    assert inflate(pack(b""), encoding, LIMIT) == b""


BOMB = gzip.compress(b" " * (64 * 1024 * 1024), 1)


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        pytest.param(gzip.compress(b"x" * (LIMIT + 1)), "gzip", id="one byte above the limit"),
        pytest.param(BOMB, "gzip", id="D5.7: a bomb"),
        pytest.param(gzip.compress(b"x" * 100)[:-9], "gzip", id="cut off"),
        pytest.param(gzip.compress(b"x") + b"more", "gzip", id="bytes behind the end"),
        pytest.param(gzip.compress(b"x") + gzip.compress(b"y"), "gzip", id="a second member"),
        pytest.param(gzip.compress(b"x")[:-5] + b"xxxxx", "gzip", id="a wrong checksum"),
        pytest.param(b"plain", "gzip", id="not compressed at all"),
        pytest.param(b"", "gzip", id="nothing"),
        pytest.param(b"\x00\x01", "deflate", id="damaged deflate"),
        pytest.param(b"x", "br", id="an encoding nobody asked for"),
        pytest.param(gzip.compress(gzip.compress(b"x")), "gzip, gzip", id="two encodings"),
    ],
)
def test_what_cannot_be_undone_within_the_limit_is_refused(raw: bytes, encoding: str) -> None:
    """Unknown, damaged, overlong and too large answers are refused."""
    assert refused(inflate(raw, encoding, LIMIT)) is Code.UPSTREAM_INVALID


# Properties

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
documents = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        scalars | st.text(max_size=12),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    ),
    max_size=5,
)


@given(documents)
def test_what_is_encoded_is_read_back_equal(document: dict[str, Any]) -> None:
    """Our own spelling of a document is read as that document by both readers, and by a foreign one."""
    raw = encode(document)
    assert json.loads(raw) == document
    for read in (parse_request(raw, JSON, None), parse_answer(raw)):
        assert encode(read) == raw


@given(
    st.binary(max_size=60)
    | st.text('{}[]":,0189eE+-.\\utrfalsn /\ud83d', max_size=60).map(lambda t: t.encode("utf-8", "surrogatepass"))
)
def test_any_bytes_are_a_document_or_a_refusal(raw: bytes) -> None:
    """No body makes a reader raise, and what the strict one reads a usual one reads alike."""
    document = parse_request(raw, JSON, None)
    parse_answer(raw)
    if not isinstance(document, Refusal):
        assert json.loads(encode(document)) == json.loads(raw)


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "br", "identity"]))
def test_any_answer_is_undone_or_refused(raw: bytes, encoding: str) -> None:
    """No answer makes the undoing raise, and nothing above the limit comes out."""
    for packed in (raw, gzip.compress(raw), zlib.compress(raw)):
        plain = inflate(packed, encoding, 100)
        assert isinstance(plain, Refusal) or encoding == "identity" or len(plain) <= 100
