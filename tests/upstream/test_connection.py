"""Connections of the express lane: one request, one answer; silent between them."""

import asyncio
from dataclasses import dataclass

import pytest

from gateway.upstream.client import Timeouts
from gateway.upstream.connection import Break
from gateway.vocab.messages import Headers
from gateway.vocab.refusals import Code
from tests.server.raw import until
from tests.upstream.connected import OK, Taken, asked, pooled, saying, taken

MIB = 1024 * 1024


async def test_what_is_sent() -> None:
    """The request is what it is told to be, with our Host first, below the path of the base URL."""
    heads: list[bytes] = []
    async with pooled(saying(OK, OK, heads=heads), path="/base/") as pool:
        assert (await asked(pool, headers=(("x-a", "b"),))).told == ["answered 200", "ended"]
        assert (await asked(pool, "DELETE")).told == ["answered 200", "ended"]
    host = heads[0].split(b"\r\n")[1]
    assert host.startswith(b"Host: 127.0.0.1:")
    assert heads == [
        b"GET /base/a?b=c HTTP/1.1\r\n%b\r\nx-a: b\r\n\r\n" % host,
        b"DELETE /base/a?b=c HTTP/1.1\r\n%b\r\nContent-Length: 0\r\n\r\n" % host,
    ]


async def test_a_connection_is_used_again() -> None:
    """One connection serves one request after the other."""
    accepted = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        await saying(*[OK] * 5)(reader, writer)

    async with pooled(serve) as pool:
        for _ in range(5):
            receiver = await asked(pool)
            assert (receiver.body, receiver.headers) == (b"{}", (("content-length", "2"),))
        # The first was asked for while none was there, the others came back.
        assert len(accepted) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK.replace(b"OK", b"OK\r\nconnection: close"), id="that says so"),
        pytest.param(OK + OK, id="that says more"),
        pytest.param(OK + b"HTT", id="that begins to say more"),
        pytest.param(OK.replace(b"1.1", b"1.0"), id="of old"),
    ],
)
async def test_a_connection_is_not_used_again(answer: bytes) -> None:
    """After such an answer a connection is closed by us."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(answer)(reader, writer)
        gone.set()

    async with pooled(serve, most=1) as pool:
        first = await taken(pool)
        receiver = Taken()
        first.send("GET", "/", (), receiver)
        await receiver.is_done.wait()
        assert (receiver.told, receiver.body) == (["answered 200", "ended"], b"{}")
        await asyncio.wait_for(gone.wait(), 5)
        assert await taken(pool) is not first


async def test_what_comes_at_rest_closes_the_connection() -> None:
    """It answers nobody, least of all the one who is about to ask."""
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await saying(OK, OK)(reader, writer)

    async with pooled(serve) as pool:
        await asked(pool)
        resting = pool.take()
        assert resting is not None
        receiver = Taken()
        # The bytes are in the socket at once on this machine; the loop has not looked yet.
        writers[0].write(OK)
        resting.send("GET", "/", (), receiver)
        await asyncio.wait_for(receiver.is_done.wait(), 5)
        assert receiver.told == ["broken STALE"]
        assert not resting.is_open
        assert (await asked(pool)).told == ["answered 200", "ended"]
        assert len(writers) > 1


async def test_an_answer_before_its_question() -> None:
    """What comes before the request has left is no answer to it."""
    heads: list[bytes] = []
    async with pooled(saying(OK, heads=heads)) as pool:
        receiver = Taken()
        connection = await taken(pool)
        connection.send("GET", "/", (), receiver)
        connection.data_received(OK)
        assert receiver.told == ["broken STALE"]
        await asyncio.sleep(0)
        assert (await asked(pool)).told == ["answered 200", "ended"]
    assert len(heads) == 1


@pytest.mark.parametrize("word", ["answered", "received", "ended", "broken"])
async def test_a_receiver_with_a_bug(word: str) -> None:
    """It is told of its own bug, and the pool goes on."""

    class Faulty(Taken):
        def failed(self, error: Exception) -> None:
            self.told.append(f"failed {error}")
            self.is_done.set()

    def raise_fault(*given: object) -> None:
        del given
        raise ValueError(word)

    answers = [OK[:20]] if word == "broken" else [OK, OK]
    async with pooled(saying(*answers, is_kept=word != "broken")) as pool:
        receiver = Faulty()
        setattr(receiver, word, raise_fault)
        (await taken(pool)).send("GET", "/", (), receiver)
        await asyncio.wait_for(receiver.is_done.wait(), 5)
        assert receiver.told[-1] == f"failed {word}"


async def test_an_end_at_rest() -> None:
    """A connection that the upstream has closed is not given out."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(OK, is_kept=False)(reader, writer)
        writer.close()

    async with pooled(serve) as pool:
        for _ in range(3):
            assert (await asked(pool)).told[-1] in {"ended", "broken STALE"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param(b"", ["broken STALE"], id="before a byte"),
        pytest.param(OK[:10], ["broken BROKEN"], id="within the head"),
        pytest.param(OK[:-1], ["answered 200", "broken BROKEN"], id="within the body"),
        pytest.param(b"garbage\r\n", ["broken ODD"], id="of something else"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n{}", ["answered 200", "ended"], id="that is the end of a body"),
    ],
)
async def test_an_end(said: bytes, told: list[str]) -> None:
    """What an end of the connection says depends on what came before it."""
    async with pooled(saying(said, is_kept=False)) as pool:
        assert (await asked(pool)).told == told


async def test_an_answer_that_turns_odd() -> None:
    """It is odd also where its head was handed on."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        await until(lambda: receiver.told == ["answered 200"])
        writer.write(b"zz\r\n")
        await reader.read()

    receiver = Taken()
    async with pooled(serve) as pool:
        (await taken(pool)).send("GET", "/", (), receiver)
        await asyncio.wait_for(receiver.is_done.wait(), 5)
    assert receiver.told == ["answered 200", "broken ODD"]


@pytest.mark.parametrize(
    ("said", "seconds", "told"),
    [
        pytest.param(b"", 0.4, ["broken SILENT"], id="first byte"),
        pytest.param(OK[:10], 0.4, ["broken SILENT"], id="head"),
        pytest.param(OK[:-1], 0.2, ["answered 200", "broken SILENT"], id="body"),
    ],
)
async def test_silence(said: bytes, seconds: float, told: list[str]) -> None:
    """An upstream that says nothing more is waited for as long as the limits say."""
    async with pooled(saying(said)) as pool:
        began = asyncio.get_running_loop().time()
        receiver = await asked(pool)
        assert receiver.told == told
        assert asyncio.get_running_loop().time() - began >= seconds - 0.01


async def test_an_answer_that_trickles_has_an_end_too() -> None:
    """Each byte comes in time, and all of it does not."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with pooled(serve) as pool:
        assert (await asked(pool)).told == ["answered 200", "broken SILENT"]


async def test_a_pause_holds_the_upstream_up() -> None:
    """What is not wanted yet is not read, however long that takes; then all of it comes."""
    size = 32 * MIB
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while sent < size:
            writer.write(bytes(65536))
            await writer.drain()
            sent += 65536
        await reader.read()

    @dataclass(eq=False)
    class Counting(Taken):
        size: int = 0

        def received(self, piece: bytes) -> None:
            self.size += len(piece)
            if self.size == len(piece):
                connection.pause()

    receiver = Counting()
    async with pooled(serve, times=Timeouts(idle=0.3)) as pool:
        connection = await taken(pool)
        connection.send("GET", "/", (), receiver)
        await until(lambda: receiver.size > 0)
        # Longer than the upstream may be silent: it is not its silence.
        await asyncio.sleep(0.5)
        assert not receiver.is_done.is_set()
        assert receiver.size <= MIB
        assert sent < size
        connection.resume()
        await asyncio.wait_for(receiver.is_done.wait(), 10)
    assert (receiver.size, receiver.told) == (size, ["answered 200", "ended"])


async def test_a_receiver_may_give_up_at_any_moment() -> None:
    """A connection that is closed tells nobody anything any more."""

    @dataclass(eq=False)
    class Leaving(Taken):
        def answered(self, status: int, headers: Headers) -> None:
            super().answered(status, headers)
            connection.close()

    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(OK)(reader, writer)
        gone.set()

    async with pooled(serve, most=1) as pool:
        receiver = Leaving()
        connection = await taken(pool)
        connection.send("GET", "/", (), receiver)
        await asyncio.wait_for(gone.wait(), 5)
        assert (receiver.told, receiver.body) == (["answered 200"], b"")
        # It counts no more.
        assert await taken(pool) is not connection


async def test_the_receiver_of_one_answer_may_ask_the_next() -> None:
    """The connection is there again when the end is told."""
    second = Taken()

    @dataclass(eq=False)
    class Asking(Taken):
        def ended(self) -> None:
            again = pool.take()
            assert again is not None
            again.send("GET", "/", (), second)
            super().ended()

    async with pooled(saying(OK, OK), most=1) as pool:
        first = Asking()
        (await taken(pool)).send("GET", "/", (), first)
        await asyncio.wait_for(second.is_done.wait(), 5)
    assert first.told == second.told == ["answered 200", "ended"]


def test_what_an_end_means_for_the_client() -> None:
    """Silence is a 504, whatever else broke a 502."""
    assert Break.SILENT.refusal(begun=False).code is Code.UPSTREAM_TIMEOUT
    assert Break.SILENT.refusal(begun=True).detail == "stalled within the answer"
    assert {reason.refusal(begun=True).code for reason in Break} == {Code.UPSTREAM_TIMEOUT, Code.UPSTREAM_INVALID}
