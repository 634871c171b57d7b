"""Answers as they are read: whole, in pieces of any size, one after another, and those that are none."""

import pytest

from gateway.carrying.reader import AnswerReader
from gateway.vocab.policy import HeadLimits

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-ok: 1\r\n\r\n{}"
OK_HEADERS = (("content-length", "2"), ("x-ok", "1"))


def head(*lines: str, status: object = 200, version: str = "HTTP/1.1") -> bytes:
    """Write the head of an answer."""
    return "\r\n".join([f"{version} {status} Said", *lines, "", ""]).encode("latin-1")


def read(*reads: bytes) -> AnswerReader:
    """Return what a reader makes of some reads."""
    reader = AnswerReader()
    for data in reads:
        reader.feed(data)
    return reader


def bytewise(data: bytes) -> list[bytes]:
    """Cut bytes into single ones."""
    return [data[at : at + 1] for at in range(len(data))]


CHUNKED = head("transfer-encoding: chunked")
WHOLE: dict[str, tuple[bytes, int, bytes]] = {
    "a length": (OK, 200, b"{}"),
    "nothing": (head("content-length: 0"), 200, b""),
    "chunks": (CHUNKED + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", 200, b"abc"),
    "chunks with extensions": (CHUNKED + b"2;a=b\r\nab\r\n0;c\r\n\r\n", 200, b"ab"),
    "trailers": (CHUNKED + b"2\r\nab\r\n0\r\nx-a: b\r\netag: c\r\n\r\n", 200, b"ab"),
    "204": (head(status=204), 204, b""),
    "304 with a length": (head("content-length: 2000", status=304), 304, b""),
    "interim answers": (head(status=100) + head("link: a", status=103) + OK, 200, b"{}"),
    "an interim answer with a body": (head("content-length: 5", status=104) + b"hello" + OK, 200, b"{}"),
    "an interim answer in chunks": (
        head("transfer-encoding: chunked", status=199) + b"2\r\nab\r\n0\r\nx-a: b\r\n\r\n" + OK, 200, b"{}"
    ),
    "empty lines before it": (b"\r\n\r\n" + OK, 200, b"{}"),
    "a status beyond HTTP": (head("content-length: 0", status=999), 999, b""),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_whole_answers(name: str) -> None:
    """However it is cut, an answer is the same, and the one behind it has nothing of it."""
    data, status, body = WHOLE[name]
    for reads in ([data], bytewise(data)):
        reader = read(*reads)
        assert (reader.status, b"".join(reader.pieces)) == (status, body)
        assert (reader.is_complete, reader.is_reusable) == (True, True)
        assert (reader.is_odd, reader.has_surplus) == (False, False)
        assert reader.headers is not None
        assert not {"x-a", "etag"} & set(dict(reader.headers))
        reader.begin()
        assert reader.is_silent
        reader.feed(OK)
        assert (reader.status, reader.headers, reader.pieces) == (200, OK_HEADERS, [b"{}"])


@pytest.mark.parametrize(
    ("data", "body"),
    [
        pytest.param(head() + b"ab", b"ab", id="no length"),
        pytest.param(head(version="HTTP/1.0") + b"ab", b"ab", id="HTTP/1.0"),
        pytest.param(head(), b"", id="nothing"),
    ],
)
def test_answers_that_end_with_the_connection(data: bytes, body: bytes) -> None:
    """They are whole when the upstream says no more, and not before."""
    for reads in ([data], bytewise(data)):
        reader = read(*reads)
        assert (reader.is_complete, reader.ends_with_connection) == (False, True)
        reader.end()
        assert (reader.is_complete, reader.is_reusable, reader.is_odd) == (True, False, False)
        assert b"".join(reader.pieces) == body


@pytest.mark.parametrize("cut", range(1, len(OK)))
def test_an_end_in_the_middle(cut: int) -> None:
    """What breaks off is not whole."""
    reader = read(OK[:cut])
    reader.end()
    assert not reader.is_complete


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(("connection: close", "content-length: 0"), id="close"),
        pytest.param(("connection: keep-alive, Close", "content-length: 0"), id="close in a list"),
        pytest.param(("content-length: 0", "version 1.0"), id="HTTP/1.0"),
    ],
)
def test_connections_that_may_not_be_used_again(lines: tuple[str, ...]) -> None:
    """The upstream says so, or its version does."""
    version = "HTTP/1.0" if lines[-1].startswith("version") else "HTTP/1.1"
    reader = read(head(*[line for line in lines if ":" in line], version=version))
    assert (reader.is_complete, reader.is_reusable) == (True, False)


LENIENT: dict[str, tuple[bytes, str, str]] = {
    "bare line feeds": (OK.replace(b"\r\n", b"\n"), "x-ok", "1"),
    "a bare line feed behind the data of a chunk": (CHUNKED + b"2\r\n{}\n0\r\n\r\n", "transfer-encoding", "chunked"),
    "bare line feeds behind trailers": (CHUNKED + b"2\r\n{}\r\n0\r\nx: y\n\n", "transfer-encoding", "chunked"),
    "a space behind a chunk size": (CHUNKED + b"2 \r\n{}\r\n0 \r\n\r\n", "transfer-encoding", "chunked"),
    "tabs behind a chunk size": (CHUNKED + b"2\t\t\r\n{}\r\n0\r\n\r\n", "transfer-encoding", "chunked"),
    "chunked in capitals": (CHUNKED.replace(b"ch", b"CH") + b"2\r\n{}\r\n0\r\n\r\n", "transfer-encoding", "CHunked"),
    "folded": (head("x-a: a\r\n b", "content-length: 2") + b"{}", "x-a", "a b"),
    "a control": (head("x-a: a\x01b", "content-length: 2") + b"{}", "x-a", "a\x01b"),
    "a DEL": (head("x-a: a\x7fb", "content-length: 2") + b"{}", "x-a", "a\x7fb"),
    "no reason": (b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\n{}", "content-length", "2"),
    "another protocol offered": (OK.replace(b"x-ok", b"connection: upgrade\r\nupgrade: h2c\r\nx-ok"), "upgrade", "h2c"),
}  # fmt: skip


@pytest.mark.parametrize("name", LENIENT)
def test_what_is_not_to_the_letter_and_can_be_read(name: str) -> None:
    """Such upstreams exist: what they say can be read in one way only, and is, in one read and in many."""
    data, field, value = LENIENT[name]
    for reads in ([data], bytewise(data)):
        reader = read(*reads)
        assert (reader.is_odd, reader.is_complete, reader.has_surplus) == (False, True, False)
        assert (reader.status, b"".join(reader.pieces)) == (200, b"{}")
        assert dict(reader.headers or ())[field] == value


ODD: dict[str, bytes] = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a request": b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    "NUL": head("x-a: a\x00b", "content-length: 2") + b"{}",
    "a bare carriage return": head("x-a: a\rb: c", "content-length: 2") + b"{}",
    "a space in a name": head("x a: b", "content-length: 2") + b"{}",
    "both lengths": head("content-length: 2", "transfer-encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
    "two lengths": head("content-length: 2", "content-length: 2") + b"{}",
    "a list of lengths": head("content-length: 2, 2") + b"{}",
    "a negative length": head("content-length: -2") + b"{}",
    "an empty length": head("content-length:") + b"{}",
    "a huge length": head("content-length: 99999999999999999999999") + b"{}",
    "gzip, chunked": head("transfer-encoding: gzip, chunked") + b"2\r\n{}\r\n0\r\n\r\n",
    "identity": head("transfer-encoding: identity") + b"{}",
    "chunked, gzip": head("transfer-encoding: chunked, gzip") + b"2\r\n{}\r\n0\r\n\r\n",
    "bare line feeds behind chunk sizes": CHUNKED + b"2\n{}\r\n0\r\n\r\n",
    "a space before a chunk size": CHUNKED + b" 2\r\n{}\r\n0\r\n\r\n",
    "a sign before a chunk size": CHUNKED + b"+2\r\n{}\r\n0\r\n\r\n",
    "a sign before a length": head("content-length: +2") + b"{}",
    "lengths that differ": head("content-length: 2", "content-length: 3") + b"{}",
    "a space behind a name": head("x-a : b", "content-length: 2") + b"{}",
    "a name beyond ASCII": head("x-\xe9: b", "content-length: 2") + b"{}",
    "bare carriage returns": b"HTTP/1.1 200 OK\rcontent-length: 2\r\r{}",
    "a version to come": head("content-length: 2", version="HTTP/1.2") + b"{}",
    "no chunk size": CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
    "a chunk of 2**64": CHUNKED + b"10000000000000000\r\n{}",
    "201 fields": head(*[f"x-{number}: a" for number in range(200)], "content-length: 2") + b"{}",
    "a long field": head(f"x-a: {'a' * 32768}", "content-length: 2") + b"{}",
    "a long head": head(*[f"x-{number}: {'a' * 9000}" for number in range(8)], "content-length: 2") + b"{}",
    "101": head("upgrade: x", "connection: upgrade", status=101) + OK,
    "99": head("content-length: 0", status="099"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_cannot_be_read(name: str) -> None:
    """It is odd in one read and in many, and never whole in the sense of a good one."""
    assert read(ODD[name]).is_odd
    assert read(*bytewise(ODD[name])).is_odd


def test_a_long_reason_is_odd() -> None:
    """It is a line like any other."""
    assert read(b"HTTP/1.1 200 " + b"a" * 33_000 + b"\r\ncontent-length: 0\r\n\r\n").is_odd


def test_a_head_without_end_is_odd() -> None:
    """Interim answers without end are no answer, and are not kept."""
    reader = AnswerReader()
    for _ in range(600):
        reader.feed(head(f"link: {'a' * 2000}", status=103))
    assert reader.is_odd


def test_200_fields_are_read() -> None:
    """The limit is the last that passes."""
    reader = read(head(*[f"x-{number}: a" for number in range(199)], "content-length: 2") + b"{}")
    assert not reader.is_odd
    assert len(reader.headers or ()) == 200


def test_the_limits_of_heads_can_be_set() -> None:
    """Lines, what is in them, and all of it together; a body behind a head, or its fields, are no part of it."""
    limits = HeadLimits(line=100, total=300, lines=5)
    for lines, is_odd in (
        ([f"a: {'x' * 99}"], False),
        ([f"a: {'x' * 100}"], True),
        ([f"a{number}: x" for number in range(4)], False),
        ([f"a{number}: x" for number in range(5)], True),
        ([f"a{number}: {'x' * 80}" for number in range(3)], False),
        ([f"a{number}: {'x' * 95}" for number in range(3)], True),
    ):
        reader = AnswerReader(limits)
        reader.feed(head(*lines, "content-length: 900") + b"x" * 900)
        assert reader.is_odd is is_odd
    reader = AnswerReader(limits)
    reader.feed(head(f"a: {'x' * 90}", "transfer-encoding: chunked") + b"0\r\n" + f"b: {'x' * 90}\r\n".encode() * 3)
    assert not reader.is_odd


@pytest.mark.parametrize("surplus", [b"H", b"HTTP/1.1 200 OK\r\n", OK, OK + OK])
def test_surplus(surplus: bytes) -> None:
    """What comes behind an answer touches none of it, and the connection is not used again."""
    reader = read(OK + surplus)
    assert (reader.is_complete, reader.has_surplus) == (True, True)
    assert (reader.status, reader.headers, reader.pieces) == (200, OK_HEADERS, [b"{}"])


def test_garbage_behind_an_answer() -> None:
    """With its head it makes the answer odd; later it is surplus."""
    assert read(OK + b"\x00garbage").is_odd
    reader = read(OK[:-1], OK[-1:] + b"\x00garbage")
    assert (reader.is_complete, reader.has_surplus, reader.is_odd) == (True, True, False)


@pytest.mark.parametrize("lines", [("content-length: 2000",), ("transfer-encoding: chunked",), ("x-a: b",)])
def test_an_answer_to_head_ends_with_its_head(lines: tuple[str, ...]) -> None:
    """Nothing follows, whatever it says: with the head it makes the answer odd, later it is surplus.

    The next answer has nothing of it.
    """
    for surplus in (b"", b"{", OK, b"0\r\n\r\n", b"\r\n"):
        for reads in ([head(*lines) + surplus], [*bytewise(head(*lines)), *([surplus] if surplus else [])]):
            reader = AnswerReader()
            reader.expect_no_body()
            for data in reads:
                reader.feed(data)
            assert (reader.status, reader.pieces, reader.is_complete) == (200, [], True)
            assert reader.is_odd is (bool(surplus) and len(reads) == 1)
            assert reader.has_surplus is bool(surplus)
            reader.begin()
            reader.feed(OK)
            assert (reader.is_complete, reader.headers, reader.pieces) == (True, OK_HEADERS, [b"{}"])


def test_an_answer_to_head_comes_behind_interim_ones() -> None:
    """The bodies that those have are no surplus."""
    reader = AnswerReader()
    reader.expect_no_body()
    for data in bytewise(head("content-length: 5", status=104) + b"hello" + head("content-length: 9")):
        reader.feed(data)
    assert (reader.status, reader.is_complete, reader.has_surplus, reader.is_reusable) == (200, True, False, True)


def test_fields_are_read() -> None:
    """Names in lower case, blanks at the ends gone, bytes beyond ASCII one letter each, empty ones kept."""
    reader = read(head("X-A: \t b \t", "x-B:", "X-c: \xe9\xff", "x-B: again", "Content-Length: 0"))
    assert reader.headers == (
        ("x-a", "b"),
        ("x-b", ""),
        ("x-c", "\xe9\xff"),
        ("x-b", "again"),
        ("content-length", "0"),
    )
