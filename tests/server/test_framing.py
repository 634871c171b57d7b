"""How much may be neither head nor body: what is well framed passes, however it is cut; endless framing does not."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import pytest
from aiohttp.http import HttpRequestParser, RawRequestMessage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.server.body import Payload, PayloadFault
from gateway.server.framing import FramingLimit

if TYPE_CHECKING:
    from aiohttp.base_protocol import BaseProtocol

KIB = 1024
ALLOWED = 32 * KIB
SHARE = 8
POST = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Reader:
    """A parser with its limit, whose bodies are taken at once or not at all."""

    def __init__(self, loop: asyncio.AbstractEventLoop, buffer: int = 2**20) -> None:
        self.parser = HttpRequestParser(
            cast("BaseProtocol", self), loop, buffer, payload_exception=PayloadFault, max_msg_queue_size=32
        )
        self.limit = FramingLimit()
        self.payloads: list[Payload] = []
        self.messages: list[RawRequestMessage] = []
        self.is_excessive = False
        self.is_paused = False
        self.in_flight = 0

    def pause_reading(self) -> None:
        """Stand for the connection, whose body is full."""
        self.is_paused = True
        self.parser.pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's own signature
        """Stand for the connection, whose body was taken."""
        self.is_paused = False
        if resume_parser:
            self.feed(b"")

    def feed(self, data: bytes) -> None:
        """Read what came."""
        messages: Sequence[tuple[RawRequestMessage, Payload]]
        messages, _, _ = self.parser.feed_data(data)
        self.messages += [message for message, _ in messages]
        self.payloads += [payload for _, payload in messages]
        self.in_flight += len(messages)
        is_whole = not self.is_paused and self.in_flight < 32
        self.is_excessive = self.limit.is_excessive(len(data), messages, is_whole=is_whole) or self.is_excessive

    def answer(self) -> None:
        """Have all requests be answered that have come."""
        while self.in_flight:
            self.parser.message_consumed()
            self.in_flight -= 1
            if not self.in_flight:
                self.feed(b"")


async def reader(buffer: int = 2**20) -> Reader:
    """Make one."""
    return Reader(asyncio.get_running_loop(), buffer)


def chunked(body: bytes, step: int, extension: bytes = b"") -> bytes:
    """Frame a body in chunks."""
    pieces = [body[start : start + step] for start in range(0, len(body), step)]
    return b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces) + b"0\r\n\r\n"


# --- What passes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 3, 1000])
async def test_chunks_of_any_size_pass(step: int) -> None:
    """Chunks of one byte are the smallest that there are: five bytes of framing for each."""
    one = await reader()
    one.feed(POST + chunked(bytes(20_000), step))
    assert not one.is_excessive
    assert one.payloads[0].is_eof()


@pytest.mark.parametrize("pad", [0, 100, 8000])
async def test_many_requests_in_one_read_pass(pad: int) -> None:
    """What the parser holds back, for so many are sent ahead, is no framing; nor is the beginning of a head."""
    one = await reader()
    requests = (GET[:-2] + b"X-Pad: " + b"x" * pad + b"\r\n\r\n") * 300
    for start in range(0, len(requests), 256 * KIB):
        one.feed(requests[start : start + 256 * KIB])
        one.answer()
    assert not one.is_excessive
    assert len(one.messages) == 300


async def test_a_large_body_that_is_held_back_passes() -> None:
    """Nor is what stays in the parser because the body is full."""
    one = await reader(buffer=16 * KIB)
    one.feed(POST + b"40000\r\n" + bytes(256 * KIB) + b"\r\n0\r\n\r\n" + GET)
    assert one.is_paused
    body = b""
    while not one.payloads[0].at_eof():
        body += one.payloads[0].read_nowait()
    assert len(body) == 256 * KIB
    assert len(one.messages) == 2
    assert not one.is_excessive


async def test_a_long_head_behind_a_body_passes() -> None:
    """A head whose beginning came with the end of a body with a length is a head, however long."""
    one = await reader()
    head = GET[:-2] + b"".join(b"X-%d: %b\r\n" % (number, b"x" * 8000) for number in range(10)) + b"\r\n"
    one.feed(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + head[:70_000])
    one.feed(head[70_000:])
    assert len(one.messages) == 2
    assert not one.is_excessive


REQUESTS = st.lists(
    st.one_of(
        st.just(GET),
        st.binary(max_size=3000).map(
            lambda body: b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        ),
        st.tuples(st.binary(max_size=3000), st.integers(1, 50)).map(lambda one: POST + chunked(*one)),
        st.integers(0, 8000).map(lambda pad: GET[:-2] + b"X-Pad: " + b"x" * pad + b"\r\n\r\n"),
    ),
    max_size=60,
)


@given(requests=REQUESTS, cuts=st.lists(st.integers(1, 20_000), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_whatever_is_well_framed_passes(requests: list[bytes], cuts: list[int]) -> None:
    """However requests follow each other and however their bytes are cut, none is found excessive and none is lost."""

    async def run() -> None:
        one = await reader()
        rest, turn = b"".join(requests), 0
        while rest:
            cut = cuts[turn % len(cuts)]
            one.feed(rest[:cut])
            one.answer()
            rest, turn = rest[cut:], turn + 1
        assert len(one.messages) == len(requests)
        assert not one.is_excessive
        assert all(payload.exception() is None for payload in one.payloads)

    asyncio.run(run())


# --- What does not ----------------------------------------------------------------------------------------------------

Cut = Callable[[bytes], list[bytes]]
CUTS: dict[str, Cut] = {
    "one read": lambda data: [data],
    "many": lambda data: [data[start : start + 1000] for start in range(0, len(data), 1000)],
    "byte by byte at the end": lambda data: [data[:-20], *(bytes([letter]) for letter in data[-20:])],
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize(("held", "more"), [(1, -1000), (1, 1000), (1000, -1000), (1000, 1000)])
async def test_endless_extensions_do_not(cut: Cut, held: int, more: int) -> None:
    """Sizes of chunks with long extensions pass up to 32 KiB and eight bytes for each of the body, and no further."""
    one = await reader()
    each = (ALLOWED + SHARE * held + more) // held
    for data in cut(POST + chunked(b"x" * held, 1, b";" + b"e" * (each - 6))):
        one.feed(data)
        if one.is_excessive:
            break
    assert one.is_excessive == (more > 0)
    assert (one.payloads[0].exception() is None) == (more < 0)


async def test_each_request_has_its_own() -> None:
    """What one request saved, or used, is not set off against the next."""
    one = await reader()
    for _ in range(10):
        one.feed(POST + chunked(b"x", 1, b";" + b"e" * 30_000))
        one.answer()
        assert not one.is_excessive
    one.feed(POST + chunked(bytes(100_000), 100_000))
    one.answer()
    one.feed(POST + chunked(b"x", 1, b";" + b"e" * 34_000))
    assert one.is_excessive


async def test_what_is_held_back_is_judged_when_it_is_let_go() -> None:
    """Framing behind many requests in one read is found when they are answered."""
    one = await reader()
    one.feed(GET * 40 + POST + chunked(b"x", 1, b";" + b"e" * 40_000))
    assert not one.is_excessive
    assert len(one.messages) == 32
    one.answer()
    assert len(one.messages) == 41
    assert one.is_excessive


async def test_a_body_that_was_spoiled() -> None:
    """Only one that has not come to its end can be had no more."""
    one = await reader()
    one.limit.spoil()
    one.feed(POST + b"3\r\nabc\r\n")
    one.limit.spoil()
    assert isinstance(one.payloads[0].exception(), PayloadFault)
    one = await reader()
    one.feed(POST + b"3\r\nabc\r\n")
    one.feed(b"0\r\n\r\n")
    one.limit.spoil()
    assert one.payloads[0].exception() is None
    assert one.payloads[0].read_nowait() == b"abc"
