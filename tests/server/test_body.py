"""The body of a request as flows see it: at once or in pieces, within its limits, and no byte of it twice."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.decision import Decided
from gateway.server.body import ClientTimeouts
from gateway.vocab.messages import Body, Reply
from gateway.vocab.refusals import Code, Refusal
from tests.server.raw import until
from tests.server.stage import KIB, MIB, Told, stage

Reading = Callable[[Body], Awaitable[object]]
CHUNKED = "Transfer-Encoding: chunked"


async def read(
    reading: Reading, lines: tuple[str, ...], *pieces: bytes, timeouts: ClientTimeouts | None = None
) -> object:
    """Send a POST whose body comes in these pieces, one after the other, and return what was made of it."""
    found: list[object] = []

    def deciding(_: object, body: Body) -> Decided:
        async def later() -> Decided:
            found.append(await reading(body))
            return Reply(204)

        return later

    flow = Told(deciding=deciding)
    async with stage(flow, timeouts=timeouts or ClientTimeouts()) as run, run.connected() as client:
        client.ask("POST", "/a", *lines)
        await until(lambda: bool(flow.asked))
        for piece in pieces:
            client.send(piece)
            await asyncio.sleep(0.02)
        assert (await client.reply()).status == 204
    (one,) = found
    return one


def sized(length: int) -> tuple[str, ...]:
    """Write the line of a body with a length."""
    return (f"Content-Length: {length}",)


# --- What the head says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "behind", "expected", "length"),
    [
        pytest.param((), b"", False, None, id="none"),
        pytest.param(sized(0), b"", False, None, id="of no length"),
        pytest.param(sized(3), b"abc", True, 3, id="with a length"),
        pytest.param((CHUNKED,), b"3\r\nabc\r\n0\r\n\r\n", True, None, id="in chunks"),
        pytest.param((CHUNKED,), b"0\r\n\r\n", False, None, id="in no chunks"),
    ],
)
async def test_what_the_head_announces(
    lines: tuple[str, ...], behind: bytes, length: int | None, *, expected: bool
) -> None:
    """A body is expected where there is one; its length is known where it is said."""
    found: list[tuple[bool, int | None]] = []

    def deciding(_: object, body: Body) -> Decided:
        found.append((body.expected, body.length))
        return Reply(204)

    async with stage(Told(deciding=deciding)) as run, run.connected() as client:
        client.send("\r\n".join(["POST /a HTTP/1.1", "Host: x", *lines, "", ""]).encode() + behind)
        reply = await client.reply()
        assert not reply.ends
        ((is_expected, announced),) = found
        assert is_expected == expected
        if expected:
            assert announced == length


# --- At once ----------------------------------------------------------------------------------------------------------


async def test_a_body_that_has_come_is_taken_at_once() -> None:
    """All of it, once: afterwards there is no more, and the connection goes on behind it."""
    found: list[object] = []

    def deciding(_: object, body: Body) -> Decided:
        found.extend([body.taken(3), body.consumed, body.taken(3), body.expected])
        return Reply(204)

    async with stage(Told(deciding=deciding)) as run, run.connected() as client:
        client.ask("POST", "/a", body=b"abc")
        assert not (await client.reply()).ends
        assert found == [b"abc", True, b"", False]


async def test_a_body_above_its_limit() -> None:
    """It is a refusal that names the body, whether it has come or not."""
    found: list[object] = []

    def deciding(_: object, body: Body) -> Decided:
        found.append(body.taken(2))
        return Reply(204)

    too_large = Refusal(Code.BODY_TOO_LARGE, source="body")
    async with stage(Told(deciding=deciding)) as run, run.connected() as client:
        client.ask("POST", "/a", body=b"abc")
        assert (await client.reply()).status == 204
        assert found == [too_large]
    assert await read(lambda body: body.read(2), sized(3), b"abc") == too_large
    assert await read(lambda body: body.read(2), (CHUNKED,), b"1\r\na\r\n", b"2\r\nbc\r\n0\r\n\r\n") == too_large


async def test_a_body_that_has_not_come_is_not_taken() -> None:
    """None says that it must be waited for; nothing is lost by asking."""

    async def reading(body: Body) -> object:
        return body.taken(10), body.consumed, await body.read(10), body.consumed, body.taken(10)

    assert await read(reading, sized(6), b"abc", b"def") == (None, False, b"abcdef", True, b"")


# --- Waited for -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "pieces"),
    [
        pytest.param(sized(6), (b"abc", b"def"), id="length"),
        pytest.param((CHUNKED,), (b"3\r\nabc\r\n", b"3\r\ndef\r\n", b"0\r\n\r\n"), id="chunks"),
        pytest.param((CHUNKED,), (b"6\r\nab", b"cdef", b"\r\n0\r\n", b"\r\n"), id="chunks that are cut"),
    ],
)
async def test_a_body_is_read_whole_or_in_pieces(lines: tuple[str, ...], pieces: tuple[bytes, ...]) -> None:
    """However it comes."""
    assert await read(lambda body: body.read(6), lines, *pieces) == b"abcdef"

    async def reading(body: Body) -> object:
        taken = b""
        while piece := await body.piece():
            assert isinstance(piece, bytes)
            taken += piece
        return taken, await body.piece(), await body.read(6)

    assert await read(reading, lines, *pieces) == (b"abcdef", b"", b"")


async def test_a_piece_may_be_waited_for_less_long() -> None:
    """Who cannot wait as long as clients may take says so."""
    timeouts = ClientTimeouts(idle=60)
    assert await read(lambda body: body.piece(0.05), sized(6), timeouts=timeouts) == Refusal(Code.BODY_TIMEOUT)
    timeouts = ClientTimeouts(idle=0.05)
    assert await read(lambda body: body.piece(60), sized(6), timeouts=timeouts) == Refusal(Code.BODY_TIMEOUT)


async def test_what_is_read_slowly_is_not_the_clients_fault() -> None:
    """The time that passes between two pieces because nobody asks for one does not count against the client."""

    async def reading(body: Body) -> object:
        taken = b""
        for _ in range(5):
            piece = await body.piece()
            assert isinstance(piece, bytes)
            taken += piece
            await asyncio.sleep(0.2)
        return len(taken)

    timeouts = ClientTimeouts(idle=0.3, body_rate=10**9)
    pieces = [bytes(KIB)] * 5
    assert await read(reading, sized(5 * KIB), *pieces, timeouts=timeouts) == 5 * KIB


async def test_a_body_that_is_not_read_is_not_kept() -> None:
    """So much is taken from a client before it is asked for, and no more, however much it sends."""
    gate = asyncio.Event()
    taken = 0

    async def reading(body: Body) -> None:
        nonlocal taken
        await gate.wait()
        while piece := await body.piece():
            assert isinstance(piece, bytes)
            # One read of the event loop's, at most, on top of twice 64 KiB.
            assert len(piece) <= 512 * KIB
            taken += len(piece)

    def deciding(_: object, body: Body) -> Decided:
        async def later() -> Decided:
            await reading(body)
            return Reply(204)

        return later

    size = 64 * MIB
    async with stage(Told(deciding=deciding), timeouts=ClientTimeouts()) as run, run.connected() as client:
        client.ask("POST", "/a", *sized(size))
        client.send(bytes(size))
        seen = -1
        while seen != client.writer.transport.get_write_buffer_size():
            seen = client.writer.transport.get_write_buffer_size()
            await asyncio.sleep(0.1)
        # What the sockets hold is the kernel's to say.
        assert seen > size // 2
        gate.set()
        assert (await client.reply()).status == 204
        assert taken == size
        await run.emptied()
