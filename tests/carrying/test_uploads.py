"""Bodies that are uploaded piece by piece: framing, back-pressure, limits, and answers that come before their end."""

import asyncio
import socket
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from gateway.carrying.call import Call, Timeouts, Upload
from tests.carrying.connected import HASTY, OK, WHOLE, Taken, Upstream, asked, pool_of, pooled, sent
from tests.server.raw import until

pytestmark = pytest.mark.usefixtures("wire")
MIB = 1024 * 1024
CHUNKED = Call("POST", "/up", (), upload=Upload.CHUNKED, relayed=True)


def sized(length: int) -> Call:
    """Make a call with a body of some length."""
    return replace(CHUNKED, headers=(("content-length", str(length)),), upload=Upload.SIZED)


async def wanted(receiver: Taken) -> Taken:
    """Return the receiver when the body is wanted."""
    async with asyncio.timeout(10):
        await receiver.is_wanted.wait()
    assert receiver.uploads is not None
    return receiver


async def pieced(receiver: Taken, *pieces: bytes) -> list[bool]:
    """Upload pieces, and return whether more was wanted behind each."""
    assert receiver.uploads is not None
    return [await receiver.uploads.upload(piece) for piece in pieces]


async def stalled(count: Callable[[], int]) -> None:
    """Wait until something that was counted is counted no more."""
    before = 0
    while before != count() or not before:
        before = count()
        await asyncio.sleep(0.1)


def end(receiver: Taken) -> None:
    """Say that the body is complete."""
    assert receiver.uploads is not None
    receiver.uploads.uploaded()


class Taking:
    """An upstream that takes a body, as much of it as it is told, and answers."""

    def __init__(self, size: int, answer: bytes = OK) -> None:
        self.size = size
        self.answer = answer
        self.head = b""
        self.body = b""
        self.connections = 0
        self.ended = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        self.connections += 1
        try:
            self.head = await reader.readuntil(b"\r\n\r\n")
            self.body = await reader.readexactly(self.size)
            writer.write(self.answer)
            while piece := await reader.read(65536):
                self.body += piece
        finally:
            self.ended.set()


async def test_a_body_of_known_length() -> None:
    """It leaves as it is, behind its length; nothing more than the head leaves before it is there."""
    upstream = Taking(6)
    async with pooled(upstream) as pool:
        receiver = await wanted(sent(pool, sized(6)))
        await until(lambda: bool(upstream.head))
        assert receiver.told == ["wanted"]
        assert await pieced(receiver, b"abc", b"def") == [True, True]
        end(receiver)
        assert (await receiver.done()).told == ["wanted", "whole 200"]
        assert upstream.body == b"abcdef"
        assert upstream.head.endswith(b"\r\ncontent-length: 6\r\n\r\n")
        assert b"ransfer" not in upstream.head


async def test_a_body_of_unknown_length() -> None:
    """It leaves in chunks, behind a head that says so (RFC 9112 section 7.1)."""
    whole = b"3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
    upstream = Taking(len(whole))
    async with pooled(upstream) as pool:
        receiver = await wanted(sent(pool, CHUNKED))
        assert await pieced(receiver, b"abc", b"0123456789abcdef") == [True, True]
        end(receiver)
        assert (await receiver.done()).told == ["wanted", "whole 200"]
    assert upstream.body == whole
    assert upstream.head.endswith(b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert b"ength" not in upstream.head


async def test_the_connection_of_an_upload_is_used_again() -> None:
    """Where all of the body went out before the answer came."""
    upstream = Upstream()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(OK)
        await upstream(reader, writer)

    async with pooled(serve, most=1) as pool:
        receiver = await wanted(sent(pool, CHUNKED))
        await pieced(receiver, b"abc")
        end(receiver)
        await receiver.done()
        assert (await asked(pool)).told == WHOLE
    assert upstream.connections == 1


async def test_an_upstream_that_stops_reading_stops_the_upload() -> None:
    """What is taken from the client fits into socket buffers; it goes on when the upstream does."""
    gate = asyncio.Event()
    got = given = 0
    size = 64 * MIB

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        await reader.readuntil(b"\r\n\r\n")
        await gate.wait()
        while got < size:
            got += len(await reader.read(MIB))
        writer.write(OK)
        await reader.read()

    async def upload(receiver: Taken) -> None:
        nonlocal given
        while given < size:
            assert await pieced(receiver, bytes(MIB)) == [True]
            given += MIB
        end(receiver)

    async with pooled(serve) as pool, asyncio.TaskGroup() as group:
        receiver = await wanted(sent(pool, sized(size)))
        group.create_task(upload(receiver))
        await stalled(lambda: given)
        assert given < size // 2
        gate.set()
        assert (await receiver.done()).told == ["wanted", "whole 200"]
    assert got == given == size


async def test_an_upstream_that_takes_nothing_is_given_up() -> None:
    """It is held to the idle limit, however long the whole may take; whoever uploads learns that no more is wanted."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader, writer
        await ended.wait()

    given = 0
    async with pooled(serve, times=Timeouts(connect=5, first_byte=60, idle=0.3, total=60)) as pool:
        receiver = await wanted(sent(pool, CHUNKED))
        while await pieced(receiver, bytes(MIB)) == [True]:
            given += MIB
        assert receiver.told == ["wanted", "broken UPSTREAM_TIMEOUT"]
        assert given < 32 * MIB
        ended.set()


async def test_a_client_may_take_its_time() -> None:
    """While the client brings nothing, neither the first byte nor the idle limit counts against the upstream."""
    upstream = Taking(6)
    async with pooled(upstream, times=Timeouts(connect=5, first_byte=1, idle=1, total=20)) as pool:
        receiver = await wanted(sent(pool, sized(6)))
        await asyncio.sleep(1.5)
        assert await pieced(receiver, b"abc") == [True]
        await asyncio.sleep(1.5)
        assert await pieced(receiver, b"def") == [True]
        end(receiver)
        assert (await receiver.done()).told == ["wanted", "whole 200"]


async def test_a_client_may_take_its_time_behind_a_stalled_upstream() -> None:
    """Once the upstream takes again what comes, its time for that counts no more: the client may be slower than it."""
    gate = asyncio.Event()
    size = 64 * MIB

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await gate.wait()
        await reader.readexactly(size)
        writer.write(OK)
        await reader.read()

    async with pooled(serve, times=Timeouts(connect=5, first_byte=1, idle=1, total=60)) as pool:
        receiver = await wanted(sent(pool, sized(size)))
        pieces = asyncio.ensure_future(pieced(receiver, *[bytes(MIB)] * 63, bytes(MIB - 1)))
        await asyncio.sleep(0.3)
        assert not pieces.done()
        gate.set()
        assert set(await pieces) == {True}
        await asyncio.sleep(1.5)
        assert await pieced(receiver, b"x") == [True]
        end(receiver)
        assert (await receiver.done()).told == ["wanted", "whole 200"]


async def test_the_answer_is_due_when_the_body_is_complete() -> None:
    """From then on the upstream has the time for a first byte."""
    upstream = Taking(100)
    async with pooled(upstream, times=Timeouts(connect=5, first_byte=0.3, idle=20, total=20)) as pool:
        receiver = await wanted(sent(pool, sized(6)))
        await pieced(receiver, b"abcdef")
        end(receiver)
        assert (await receiver.done()).told == ["wanted", "broken UPSTREAM_TIMEOUT"]
        assert await pieced(receiver, b"more") == [False]


async def test_an_upload_has_an_end_too() -> None:
    """The limit of the whole holds for it, however steadily the client trickles."""
    async with pooled(Taking(100), times=Timeouts(connect=5, first_byte=5, idle=5, total=0.5)) as pool:
        receiver = await wanted(sent(pool, CHUNKED))
        while await pieced(receiver, b"x") == [True]:  # noqa: ASYNC110 - the client's pace, not a wait
            await asyncio.sleep(0.05)
        assert receiver.told == ["wanted", "broken UPSTREAM_TIMEOUT"]


@pytest.mark.parametrize("call", [CHUNKED, sized(100)], ids=["chunked", "sized"])
async def test_an_answer_may_come_before_the_body_is_through(call: Call) -> None:
    """It is heard; the rest of the body is not wanted any more, and never sent on a connection that is used again."""
    upstream = Taking(4, b"HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\nearly")
    async with pooled(upstream, most=1) as pool:
        for count in (1, 2):
            upstream.ended.clear()
            receiver = await wanted(sent(pool, call))
            await pieced(receiver, b"abcd")
            assert (await receiver.done()).told == ["wanted", "whole 413"]
            assert receiver.body == b"early"
            assert await pieced(receiver, b"efgh") == [False]
            end(receiver)
            async with asyncio.timeout(5):
                await upstream.ended.wait()
            assert b"efgh" not in upstream.body
            assert upstream.connections == count


async def test_an_answer_that_begins_before_the_body_is_through() -> None:
    """Both go on at once; the connection is not used again where the body was not complete at the answer's end."""
    more = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab")
        await more.wait()
        writer.write(await reader.readexactly(2))
        await upstream(reader, writer)

    upstream = Upstream()
    async with pooled(serve, most=1) as pool:
        receiver = await wanted(sent(pool, sized(100)))
        await until(lambda: receiver.told == ["wanted", "answered 200"])
        assert await pieced(receiver, b"cd") == [True]
        more.set()
        await receiver.done()
        assert (receiver.told[-1], receiver.body) == ("ended", b"abcd")
        await until(lambda: upstream.connections == 1 and not upstream.open)
        assert not upstream.heads


async def test_an_upload_that_is_given_up_closes_the_connection() -> None:
    """The upstream must not take what it has for the whole: not even where it has all of it but the end."""
    upstream = Taking(100)
    async with pooled(upstream) as pool:
        receiver = await wanted(sent(pool, CHUNKED))
        await pieced(receiver, b"abc")
        receiver.give_up()
        assert await pieced(receiver, b"def") == [False]
        end(receiver)
        async with asyncio.timeout(5):
            await upstream.ended.wait()
    assert receiver.told == ["wanted"]


async def test_whoever_waits_for_the_upstream_learns_of_its_end() -> None:
    """An upload that is held up does not wait for a connection that has gone."""
    held = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader, writer
        await held.wait()

    given = 0

    async def upload(receiver: Taken) -> None:
        nonlocal given
        while await pieced(receiver, bytes(MIB)) == [True]:
            given += 1

    async with pooled(serve) as pool, asyncio.timeout(20), asyncio.TaskGroup() as group:
        receiver = await wanted(sent(pool, CHUNKED))
        group.create_task(upload(receiver))
        await stalled(lambda: given)
        held.set()
        assert (await receiver.done()).told == ["wanted", "broken UPSTREAM_INVALID"]


@pytest.mark.parametrize("call", [CHUNKED, sized(4)], ids=["chunked", "sized"])
async def test_an_upload_is_never_sent_twice(call: Call) -> None:
    """Its connection ended before an answer: whether it was carried out, nobody knows."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        del writer
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(4)

    async with pooled(serve, times=HASTY) as pool:
        receiver = await wanted(sent(pool, call))
        await pieced(receiver, b"abcd")
        end(receiver)
        assert (await receiver.done()).told == ["wanted", "broken UPSTREAM_INVALID"]
    assert connections == 1


async def test_an_upload_that_met_a_dead_connection_goes_on_another() -> None:
    """Nothing of it had left, and its body was not asked for yet."""
    upstream = Upstream()
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await upstream(reader, writer)

    async with pooled(serve) as pool:
        await asked(pool)
        writers[0].transport.abort()
        await asyncio.sleep(0)
        receiver = await wanted(sent(pool, sized(4)))
        await pieced(receiver, b"abcd")
        end(receiver)
        assert (await receiver.done()).told == ["wanted", "whole 200"]
    assert upstream.connections == 2


@pytest.mark.parametrize("call", [CHUNKED, sized(4 * MIB)], ids=["chunks", "length"])
async def test_an_answer_that_came_counts_though_the_upload_fails(call: Call) -> None:
    """An upstream says 413 and closes at once: the next write fails before the loop has read what was said."""
    answer = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pool = pool_of(f"http://127.0.0.1:{listener.getsockname()[1]}")

        def refuse() -> None:
            """Read the head, leave the body, answer, and end: the kernel sends a reset behind the answer."""
            connection, _ = listener.accept()
            with connection:
                connection.recv(20)
                connection.sendall(answer)

        try:
            receiver = await wanted(sent(pool, call))
            # All in one turn of our loop, which reads nothing meanwhile.
            refuse()
            assert receiver.uploads is not None
            while await receiver.uploads.upload(b"x" * 65536):
                pass
            assert (await receiver.done()).told == ["wanted", "whole 413"]
            assert receiver.body == b"no"
        finally:
            await pool.close()
