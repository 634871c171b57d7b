"""How large heads may be in all: measured exactly, however they come, and never what is no head."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.server.heads import HeadLimit
from gateway.server.parser import make_parser
from gateway.vocab.policy import HeadLimits

# Bodies want one; nothing is run on it.
LOOP = asyncio.new_event_loop()
MOST = 300
LIMITS = HeadLimits(line=200, total=MOST, lines=50)


class Owner:
    """Has a parser and what is behind it, without a connection."""

    connected = True

    def __init__(self) -> None:
        self.parser = make_parser(self, LOOP, LIMITS)
        self.limit = HeadLimit(MOST)
        self.good = 0
        self.is_refused = False

    def pause_reading(self) -> None:
        """Be told that a body is full."""

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's own signature
        """Be told that it is not any more."""

    def feed(self, data: bytes) -> None:
        """Read some bytes, as a connection does."""
        messages, _, _ = self.parser.feed_data(data)
        good = self.limit.excess(len(data), messages, is_whole=True)
        self.good += len(messages) if good is None else good
        self.is_refused = good is not None
        for _ in messages:
            self.parser.message_consumed()


def get(size: int) -> bytes:
    """Write a request whose head has so many bytes."""
    start, end = b"GET / HTTP/1.1\r\nHost: x\r\n", b"\r\n"
    room = size - len(start) - len(end)
    # Lines of at most 100 bytes, the last one of at least 8.
    sizes = [100] * ((room - 8) // 100)
    sizes.append(room - sum(sizes))
    return start + b"".join(b"X: " + b"a" * (one - 5) + b"\r\n" for one in sizes) + end


def post(size: int, body: int) -> bytes:
    """Write a request with a body."""
    length = b"Content-Length: %d\r\n" % body
    head = get(size - len(length))
    return head[:-2].replace(b"GET", b"PUT") + length + b"\r\n" + b"b" * body


@pytest.fixture(scope="module", autouse=True)
def _loop() -> Iterator[None]:
    """End the loop when all is done."""
    yield
    LOOP.close()


@pytest.mark.parametrize("step", [1, 7, 100, 10_000])
@pytest.mark.parametrize("size", [60, MOST - 1, MOST, MOST + 1, MOST + 100])
def test_a_head_is_measured_exactly(step: int, size: int) -> None:
    """The limit is the last that passes, in one read or in many."""
    owner = Owner()
    raw = get(size)
    for at in range(0, len(raw), step):
        owner.feed(raw[at : at + step])
        if owner.is_refused:
            break
    assert owner.is_refused is (size > MOST)
    assert owner.good == (size <= MOST)


def test_a_head_without_end_is_not_waited_for() -> None:
    """As soon as it is too large it is refused."""
    owner, raw, sent = Owner(), get(2000), 0
    while not owner.is_refused:
        owner.feed(raw[sent : sent + 50])
        sent += 50
    assert sent == MOST + 50


def test_those_before_it_are_answered() -> None:
    """Good requests in the same read count, those behind it do not."""
    owner = Owner()
    owner.feed(get(100) * 3 + get(MOST + 1) + get(100))
    assert (owner.is_refused, owner.good) == (True, 3)


@given(
    parts=st.lists(st.tuples(st.integers(60, MOST), st.integers(0, 2000)), min_size=1, max_size=8),
    cuts=st.lists(st.integers(1, 3000), min_size=1, max_size=20),
)
def test_good_heads_and_bodies_are_never_too_much(parts: list[tuple[int, int]], cuts: list[int]) -> None:
    """However large the bodies are, and wherever reads end."""
    owner = Owner()
    raw = b"".join(post(max(size, 90), body) if body else get(size) for size, body in parts)
    at = 0
    while at < len(raw):
        for cut in cuts:
            owner.feed(raw[at : at + cut])
            assert not owner.is_refused
            at += cut
    assert owner.good == len(parts)
