"""Connections of the express lane: one request, one answer; silent between them; at most so many."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gateway.upstream.client import Timeouts
from gateway.upstream.connection import Break, ConnectionPool, UpstreamConnection
from gateway.vocab.messages import Headers
from gateway.vocab.refusals import Code
from tests.server.raw import Serve, served, until

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
TIMES = Timeouts(connect=0.2, first_byte=0.2, idle=0.2, total=0.7)
MIB = 1024 * 1024


@dataclass(eq=False)
class Taken:
    """Takes an answer and keeps what it was told."""

    told: list[str] = field(default_factory=list)
    headers: Headers = ()
    body: bytes = b""
    reason: Break | None = None
    is_done: asyncio.Event = field(default_factory=asyncio.Event)

    def answered(self, status: int, headers: Headers) -> None:
        """Keep the head."""
        self.told.append(f"answered {status}")
        self.headers = headers

    def received(self, piece: bytes) -> None:
        """Keep a piece."""
        self.body += piece

    def ended(self) -> None:
        """Keep that it ended."""
        self.told.append("ended")
        self.is_done.set()

    def broken(self, reason: Break) -> None:
        """Keep that it broke."""
        self.told.append(f"broken {reason.name}")
        self.reason = reason
        self.is_done.set()


@asynccontextmanager
async def pooled(
    serve: Serve, *, most: int = 4, path: str = "", times: Timeouts = TIMES
) -> AsyncIterator[ConnectionPool]:
    """Run a server, and a pool of connections to it."""
    async with served(serve) as url:
        pool = ConnectionPool(url + path, times, most)
        try:
            yield pool
        finally:
            await pool.close()


async def taken(pool: ConnectionPool) -> UpstreamConnection:
    """Take a connection, when there is one."""
    async with asyncio.timeout(5):
        while (connection := pool.take()) is None:  # noqa: ASYNC110 - a pool makes nobody wait
            await asyncio.sleep(0.002)
    return connection


async def asked(pool: ConnectionPool, method: str = "GET", headers: Headers = ()) -> Taken:
    """Ask for something, and return what came when all has come."""
    receiver = Taken()
    (await taken(pool)).send(method, "/a?b=c", headers, receiver)
    async with asyncio.timeout(5):
        await receiver.is_done.wait()
    return receiver


def saying(*answers: bytes, is_kept: bool = True, heads: list[bytes] | None = None) -> Serve:
    """Answer each request of a connection with the next of these, in pieces that come one after the other."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            head = await reader.readuntil(b"\r\n\r\n")
            if heads is not None:
                heads.append(head)
            writer.write(answer)
            await writer.drain()
        if is_kept:
            await reader.read()

    return serve


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
    """It answers nobody, neither when it was noticed nor when it was not yet."""
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await saying(OK, OK)(reader, writer)

    async with pooled(serve) as pool:
        await asked(pool)
        resting = pool.take()
        assert resting is not None
        resting.rest()
        writers[0].write(OK)
        # The bytes are in the socket at once on this machine; the loop has not looked yet.
        assert not resting.is_quiet
        assert pool.take() is None
        receiver = await asked(pool)
        assert receiver.told == ["answered 200", "ended"]
        assert writers[0].is_closing() or len(writers) > 1


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


async def test_the_pool_has_a_limit() -> None:
    """It gives what it has and no more; what was closed makes room."""
    async with pooled(saying(OK), most=2) as pool:
        first, second = await taken(pool), await taken(pool)
        for _ in range(20):
            assert pool.take() is None
            await asyncio.sleep(0)
        first.close()
        assert await taken(pool) not in {first, second}


async def test_the_pool_of_an_upstream_that_is_gone() -> None:
    """It gives none, does not try again and again, and leaves no task."""
    async with served(saying(OK)) as url:
        pass
    pool = ConnectionPool(url, TIMES, 4)
    tasks = asyncio.all_tasks()
    for _ in range(20):
        assert pool.take() is None
        await asyncio.sleep(0.005)
    assert asyncio.all_tasks() == tasks
    await pool.close()


async def test_a_closed_pool_opens_nothing() -> None:
    """Neither what was being opened nor what is asked for afterwards."""
    async with served(saying(OK)) as url:
        pool = ConnectionPool(url, TIMES, 4)
        tasks = asyncio.all_tasks()
        assert pool.take() is None
        await pool.close()
        assert pool.take() is None
        await asyncio.sleep(0)
        assert asyncio.all_tasks() <= tasks | {asyncio.current_task()}


def test_what_an_end_means_for_the_client() -> None:
    """Silence is a 504, whatever else broke a 502."""
    assert Break.SILENT.refusal(begun=False).code is Code.UPSTREAM_TIMEOUT
    assert Break.SILENT.refusal(begun=True).detail == "stalled within the answer"
    assert {reason.refusal(begun=True).code for reason in Break} == {Code.UPSTREAM_TIMEOUT, Code.UPSTREAM_INVALID}
