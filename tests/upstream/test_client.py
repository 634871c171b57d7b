"""One exchange with the upstream: timeouts, faults, back-pressure, and connections that are never used wrongly."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.upstream.client import Answer, Call, ClientBodyError, Timeouts, UpstreamBrokenError, UpstreamClient
from gateway.vocab.refusals import Code, Refusal
from tests.fakes.commerce import Commerce, ConnectionState, Fault, at
from tests.server.raw import served

QUICK = Timeouts(connect=0.3, first_byte=0.3, idle=0.3, total=5.0)
MIB = 1024 * 1024
PRODUCTS = Call("GET", "/v2/products", ())


@asynccontextmanager
async def client_of(url: str, timeouts: Timeouts = QUICK, connections: int = 8) -> AsyncIterator[UpstreamClient]:
    """Give an open client."""
    async with UpstreamClient(url, timeouts, connections) as client:
        yield client


@pytest.fixture
async def client(upstream: Commerce) -> AsyncIterator[UpstreamClient]:
    """Give a client of the fake upstream that loses patience quickly."""
    async with client_of(upstream.url) as opened:
        yield opened


async def taken(outcome: Answer | Refusal) -> bytes | Refusal:
    """Read an answer whole."""
    return outcome if isinstance(outcome, Refusal) else await outcome.read(MIB)


def get(path: str) -> Call:
    """Make the simplest call."""
    return Call("GET", path, (("authorization", "Bearer x"),))


def code_of(outcome: object) -> Code | None:
    """Return the code of a refusal."""
    return outcome.code if isinstance(outcome, Refusal) else None


# --- What is sent -----------------------------------------------------------------------------------------------------


async def test_nothing_is_added(upstream: Commerce, client: UpstreamClient) -> None:
    """The upstream receives the lines of the call and Host; target and spelling stay as they are."""
    target = "/v2/products/a%20b?filter=eq(name,%22x%22)&page[limit]=1"
    await taken(await client.send(Call("GET", target, (("x-a", "1"), ("x-a", "2")))))
    (request,) = upstream.requests
    assert request.target == target
    assert request.headers == [("Host", f"127.0.0.1:{upstream.port}"), ("x-a", "1"), ("x-a", "2")]


async def test_bodies_are_framed(upstream: Commerce, client: UpstreamClient) -> None:
    """Bytes and streams of known size carry a Content-Length, streams of unknown size are chunked."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"cd"

    for body, length in ((b"abcd", None), (pieces, 4), (pieces, None)):
        await taken(await client.send(Call("PUT", "/x", (), body, length)))
    assert [request.body for request in upstream.requests] == [b"abcd"] * 3
    assert [request.values("content-length") for request in upstream.requests] == [["4"], ["4"], []]
    assert [request.values("transfer-encoding") for request in upstream.requests] == [[], [], ["chunked"]]


async def test_used_before_it_is_open() -> None:
    """A client that was never opened is a bug, not a refusal."""
    with pytest.raises(RuntimeError):
        await UpstreamClient("http://127.0.0.1:1", QUICK, 1).send(PRODUCTS)


# --- Timeouts ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def full_backlog() -> AsyncIterator[str]:
    """Give the URL of a port that takes no connection any more."""
    loop = asyncio.get_running_loop()
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        try:
            for one in waiting:
                one.setblocking(False)  # noqa: FBT003 - the name of the parameter is the method's
                try:
                    async with asyncio.timeout(0.05):
                        await loop.sock_connect(one, server.getsockname())
                except TimeoutError:
                    break
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            for one in waiting:
                one.close()


async def test_connecting_is_limited() -> None:
    """An upstream that takes no connection is given up after the connect limit."""
    loop = asyncio.get_running_loop()
    async with full_backlog() as url, client_of(url, Timeouts(0.2, 30, 30, 30)) as client:
        started = loop.time()
        assert code_of(await client.send(PRODUCTS)) is Code.UPSTREAM_TIMEOUT
        assert 0.15 < loop.time() - started < 2


async def test_nobody_listens() -> None:
    """A refused connection is named apart from a silent upstream."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with client_of(f"http://127.0.0.1:{unused.getsockname()[1]}") as client:
            assert code_of(await client.send(PRODUCTS)) is Code.UPSTREAM_UNREACHABLE


async def test_the_first_byte_is_limited(upstream: Commerce, client: UpstreamClient) -> None:
    """A silent upstream is given up and its connection closed."""
    upstream.fault(Fault.SILENT)
    assert code_of(await client.send(PRODUCTS)) is Code.UPSTREAM_TIMEOUT
    await upstream.wait(lambda: not upstream.open_connections)


async def test_idle_answers_are_limited(upstream: Commerce, client: UpstreamClient) -> None:
    """An answer that stalls in the middle is broken off."""
    upstream.fault(Fault.SLOW_BODY, gate=asyncio.Event())
    assert code_of(await taken(await client.send(PRODUCTS))) is Code.UPSTREAM_TIMEOUT
    await upstream.wait(lambda: not upstream.open_connections)


async def test_the_whole_exchange_is_limited() -> None:
    """An answer that trickles without a stop ends at the total limit."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while True:
            writer.write(b".")
            await asyncio.sleep(0.05)

    async with served(trickle) as url, client_of(url, Timeouts(1, 1, 1, 0.5)) as client:
        outcome = await taken(await client.send(PRODUCTS))
        assert code_of(outcome) is Code.UPSTREAM_TIMEOUT


async def test_a_client_that_stalls_is_its_own_fault(upstream: Commerce, client: UpstreamClient) -> None:
    """A streamed body that stops coming is the client's timeout, and the upstream's connection is closed."""
    gate = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"ab"
        await gate.wait()

    assert code_of(await client.send(Call("POST", "/x", (), pieces, 10))) is Code.BODY_TIMEOUT
    await upstream.wait(lambda: not upstream.open_connections)
    assert [request.received for request in upstream.unfinished] == [2]


async def test_an_upstream_that_takes_nothing_is_given_up(upstream: Commerce, client: UpstreamClient) -> None:
    """An upload that the upstream does not read for the idle limit ends, long before the total limit."""
    upstream.count_upload(at("/x"), gate=asyncio.Event())
    given = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += MIB
            yield bytes(MIB)

    assert code_of(await client.send(Call("POST", "/x", (), pieces))) is Code.UPSTREAM_TIMEOUT
    # Back-pressure: what was taken from the client fits into socket buffers.
    assert given < 32 * MIB


async def test_waiting_for_a_connection_is_limited(upstream: Commerce) -> None:
    """With every connection in use, a call waits no longer than the connect limit."""
    async with client_of(upstream.url, Timeouts(0.2, 30, 30, 30), connections=1) as client:
        held = await client.send(PRODUCTS)
        assert isinstance(held, Answer)
        upstream.fault(Fault.SLOW_BODY, gate=asyncio.Event())
        assert await taken(held)
        held = await client.send(PRODUCTS)
        assert isinstance(held, Answer)
        assert code_of(await client.send(PRODUCTS)) is Code.UPSTREAM_TIMEOUT
        held.abort()


# --- Broken answers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"hello\r\n\r\n", id="not HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-le", id="half a head"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n12345", id="two lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", id="a negative length"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345", id="too little body"),
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n", id="no last chunk"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n12345\r\n0\r\n\r\n", id="no chunk size"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 100_000 + b"\r\ncontent-length: 0\r\n\r\n", id="huge header"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 1000 + b"content-length: 0\r\n\r\n", id="many headers"),
        pytest.param(b"HTTP/1.1 abc OK\r\ncontent-length: 0\r\n\r\n", id="no status"),
    ],
)
async def test_what_is_no_answer(upstream: Commerce, client: UpstreamClient, raw: bytes) -> None:
    """An answer that is not whole and well-formed HTTP is UPSTREAM_INVALID."""
    upstream.script(at("/x"), raw, close=True)
    assert code_of(await taken(await client.send(get("/x")))) is Code.UPSTREAM_INVALID


async def test_interim_answers_are_passed_over(upstream: Commerce, client: UpstreamClient) -> None:
    """100 and 103 are not the answer; what follows them is (RFC 9110 section 15.2)."""
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    upstream.script(at("/x"), interim + b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    assert await taken(await client.send(get("/x"))) == b"ok"


async def test_a_flood_of_interim_answers_ends(upstream: Commerce, client: UpstreamClient) -> None:
    """An upstream that never comes to its answer is given up in time."""
    upstream.script(at("/x"), b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000)
    assert code_of(await client.send(get("/x"))) in {Code.UPSTREAM_TIMEOUT, Code.UPSTREAM_INVALID}
    await upstream.wait(lambda: not upstream.open_connections)


@pytest.mark.parametrize("announced", [True, False])
async def test_answers_above_the_limit(upstream: Commerce, client: UpstreamClient, *, announced: bool) -> None:
    """A body above the limit is not read on, whether its size was announced or not."""
    download = upstream.stream_down(at("/x"), 512 * MIB, chunked=not announced)
    answer = await client.send(get("/x"))
    assert isinstance(answer, Answer)
    assert code_of(await answer.read(MIB)) is Code.UPSTREAM_INVALID
    await upstream.wait(lambda: not upstream.open_connections)
    assert download.sent < 64 * MIB


async def test_a_cut_stream_raises(upstream: Commerce, client: UpstreamClient) -> None:
    """Whoever streams an answer learns that it was cut, never that it ended."""
    upstream.fault(Fault.CUT_BODY)
    answer = await client.send(PRODUCTS)
    assert isinstance(answer, Answer)
    with pytest.raises(UpstreamBrokenError) as caught:
        async for _ in answer.chunks():
            pass
    assert caught.value.refusal.code is Code.UPSTREAM_INVALID


async def test_header_bytes_without_a_meaning(upstream: Commerce, client: UpstreamClient) -> None:
    """Bytes beyond ASCII in a header become text that cannot break a reply."""
    upstream.script(at("/x"), b"HTTP/1.1 200 OK\r\nx-a: caf\xe9\xc3\xa9\r\ncontent-length: 0\r\n\r\n")
    answer = await client.send(get("/x"))
    assert isinstance(answer, Answer)
    assert dict(answer.headers)["x-a"] == "caf\ufffd\u00e9"
    answer.abort()


# --- Connections ------------------------------------------------------------------------------------------------------


async def test_connections_are_used_again(upstream: Commerce, client: UpstreamClient) -> None:
    """An answer that was read whole leaves its connection to the next call."""
    for _ in range(5):
        assert await taken(await client.send(PRODUCTS))
    assert len(upstream.connections) == 1


@pytest.mark.parametrize("how", ["cancelled", "aborted", "closed"])
async def test_giving_up_closes_the_connection(upstream: Commerce, client: UpstreamClient, how: str) -> None:
    """An exchange that is cancelled, aborted or left in the middle closes its connection."""
    if how == "cancelled":
        upstream.fault(Fault.SILENT)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(client.send(PRODUCTS))
            await upstream.wait(lambda: len(upstream.requests) == 1)
            task.cancel()
    else:
        upstream.stream_down(at("/v2/products"), 64 * MIB)
        answer = await client.send(PRODUCTS)
        assert isinstance(answer, Answer)
        if how == "aborted":
            answer.abort()
        else:
            chunks = answer.chunks()
            assert await anext(chunks)
            await chunks.aclose()
    await upstream.wait(lambda: not upstream.open_connections)
    assert [one.state for one in upstream.connections] == [ConnectionState.CLOSED_BY_PEER]


async def test_unasked_bytes_never_answer_the_next_call(upstream: Commerce, client: UpstreamClient) -> None:
    """A second answer sent at once with the first costs the connection, and reaches nobody."""
    upstream.fault(Fault.EXTRA_BYTES, times=1)
    assert await taken(await client.send(PRODUCTS))
    body = await taken(await client.send(get("/v2/currencies")))
    assert isinstance(body, bytes)
    # The fake's own word to a call without a good bearer; the unasked answer would be everybody's orders.
    assert b"Unable to validate access token" in body
    assert len(upstream.connections) == 2


@pytest.mark.parametrize("looked_at", [True, False], ids=["read by the loop", "still in the socket"])
async def test_late_unasked_bytes_never_answer_the_next_call(*, looked_at: bool) -> None:
    """A second answer that comes while the connection is idle costs the connection, and reaches nobody."""
    said = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst"
    late = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother"
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(said)

    async with served(serve) as url, client_of(url) as client:
        assert await taken(await client.send(get("/a"))) == b"first"
        # Written without a turn of the loop in between, it is in the client's socket but not in its parser.
        writers[0].write(late)
        if looked_at:
            await asyncio.sleep(0.05)
        assert await taken(await client.send(get("/b"))) == b"first"
        assert len(writers) == 2


async def test_a_connection_closed_meanwhile_is_not_used(upstream: Commerce, client: UpstreamClient) -> None:
    """A POST is not lost on a connection that the upstream has closed since the last answer."""
    upstream.fault(Fault.CLOSE_AFTER, times=1)
    assert await taken(await client.send(PRODUCTS))
    await upstream.wait(lambda: not upstream.open_connections)
    answer = await client.send(Call("POST", "/x", (), b"{}"))
    assert isinstance(answer, Answer)
    answer.abort()
    assert len(upstream.requests) == 2


async def test_idempotent_calls_are_tried_once_more(upstream: Commerce, client: UpstreamClient) -> None:
    """A GET whose connection breaks before an answer is sent a second time; a third time it is not."""
    upstream.fault(Fault.CLOSE, times=1)
    assert await taken(await client.send(PRODUCTS))
    upstream.forget()
    upstream.fault(Fault.CLOSE)
    assert code_of(await client.send(PRODUCTS)) is Code.UPSTREAM_INVALID
    assert len(upstream.requests) == 2


async def _abcd() -> AsyncIterator[bytes]:
    yield b"abcd"


@pytest.mark.parametrize("body", [b"{}", _abcd, None], ids=["bytes", "stream", "none"])
async def test_a_post_is_never_repeated(
    upstream: Commerce, client: UpstreamClient, body: bytes | Callable[[], AsyncIterator[bytes]] | None
) -> None:
    """A POST whose connection breaks may have been carried out: it is sent once."""
    upstream.fault(Fault.CLOSE)
    assert code_of(await client.send(Call("POST", "/x", (), body))) is Code.UPSTREAM_INVALID
    assert len(upstream.requests) == 1


async def test_a_half_sent_stream_is_never_repeated(upstream: Commerce, client: UpstreamClient) -> None:
    """A PUT of which a streamed body is used up is not repeated with what is left of it: nothing."""
    upstream.fault(Fault.CLOSE)
    assert code_of(await client.send(Call("PUT", "/x", (), _abcd))) is Code.UPSTREAM_INVALID
    assert [request.body for request in upstream.requests] == [b"abcd"]


async def test_an_answer_may_come_before_the_body_is_through() -> None:
    """An upstream that answers early is heard, and the rest of the body is not sent on a connection used again."""
    connections = 0
    more = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\n")
        await reader.read(4)
        more.set()
        writer.write(b"early")
        await reader.read()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"abcd"
        await more.wait()
        for _ in range(3):
            yield b"efgh"
            await asyncio.sleep(0.01)

    async with served(serve) as url, client_of(url) as client:
        for _ in range(2):
            answer = await client.send(Call("PUT", "/x", (), pieces, 1000))
            assert isinstance(answer, Answer)
            assert (answer.status, await answer.read(MIB)) == (413, b"early")
        assert connections == 2


async def test_what_stops_a_clients_body_is_told(upstream: Commerce, client: UpstreamClient) -> None:
    """A refusal raised by whoever reads the client's body comes out as it is."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"ab"
        raise ClientBodyError(Refusal(Code.BODY_TOO_LARGE))

    assert code_of(await client.send(Call("POST", "/x", (), pieces))) is Code.BODY_TOO_LARGE
    await upstream.wait(lambda: not upstream.open_connections)
    assert not upstream.requests


async def test_redirects_are_answers(upstream: Commerce, client: UpstreamClient) -> None:
    """A redirect is not followed: nobody else is sent what was meant for the upstream."""
    upstream.fault(Fault.REDIRECT, location=f"{upstream.url}/elsewhere")
    answer = await client.send(PRODUCTS)
    assert isinstance(answer, Answer)
    assert answer.status == 302
    assert await answer.read(MIB) == b""
    assert [request.path for request in upstream.requests] == ["/v2/products"]


async def test_cookies_are_not_kept(upstream: Commerce, client: UpstreamClient) -> None:
    """A cookie of one answer is not sent with the next call, which may be somebody else's."""
    upstream.fault(Fault.SET_COOKIE)
    for _ in range(2):
        await taken(await client.send(PRODUCTS))
    assert [request.header("cookie") for request in upstream.requests] == [None, None]
