"""A call whose answer is awaited: time-outs, faults, limits, and connections that are never used wrongly."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from gateway.carrying.call import Call, Timeouts
from gateway.carrying.fetch import fetch, is_announced_above
from gateway.carrying.pool import ConnectionPool
from gateway.vocab.messages import Answer
from gateway.vocab.refusals import Code, Refusal
from tests.carrying.connected import GET, OK, PATIENT, POST, RELAY, Upstream, pool_of, pooled, sent
from tests.fakes.commerce import Commerce, ConnectionState, Fault, at
from tests.server.raw import served, until

QUICK = Timeouts(connect=0.5, first_byte=0.5, idle=0.5, total=5.0)
MIB = 1024 * 1024
PRODUCTS = Call("GET", "/v2/products", ())
X = Call("GET", "/x", (("authorization", "Bearer x"),))


@asynccontextmanager
async def opened(url: str, timeouts: Timeouts = QUICK, connections: int = 8) -> AsyncIterator[ConnectionPool]:
    """Give a pool, and close it."""
    pool = pool_of(url, most=connections, times=timeouts)
    try:
        yield pool
    finally:
        await pool.close()


@pytest.fixture
async def pool(upstream: Commerce) -> AsyncIterator[ConnectionPool]:
    """Give connections to the fake upstream that lose patience quickly."""
    async with opened(upstream.url) as made:
        yield made


async def body_of(pool: ConnectionPool, call: Call, limit: int = MIB) -> bytes:
    """Return the body of what must be an answer."""
    answer = await fetch(pool, call, limit)
    assert isinstance(answer, Answer), answer
    return answer.body


async def code_of(pool: ConnectionPool, call: Call, limit: int = MIB) -> Code:
    """Return the code of what must be a refusal."""
    refusal = await fetch(pool, call, limit)
    assert isinstance(refusal, Refusal), refusal
    return refusal.code


# --- What is sent -----------------------------------------------------------------------------------------------------


async def test_nothing_is_added(upstream: Commerce, pool: ConnectionPool) -> None:
    """The upstream receives the lines of the call and Host; target and spelling stay as they are."""
    target = "/v2/products/a%20b?filter=eq(name,%22x%22)&page[limit]=1"
    await body_of(pool, Call("GET", target, (("x-a", "1"), ("x-a", "2"))))
    (request,) = upstream.requests
    assert request.target == target
    assert request.headers == [("Host", f"127.0.0.1:{upstream.port}"), ("x-a", "1"), ("x-a", "2")]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("body", [b"abcd", b"", bytes(3 * MIB)], ids=["small", "empty", "large"])
async def test_bodies_are_framed(upstream: Commerce, pool: ConnectionPool, method: str, body: bytes) -> None:
    """A body has its length in the head; where one could be expected and there is none, that is said."""
    await body_of(pool, Call(method, "/x", (), body))
    (request,) = upstream.requests
    assert request.body == body
    assert request.values("content-length") == [str(len(body))]
    assert request.values("transfer-encoding") == []


@pytest.mark.parametrize("path", ["", "/", "/api", "/api/v1/"])
async def test_targets_stand_below_the_path_of_the_upstream(upstream: Commerce, path: str) -> None:
    """With and without a slash at its end."""
    async with opened(upstream.url + path) as pool:
        await fetch(pool, PRODUCTS, MIB)
    assert [request.target for request in upstream.requests] == [path.rstrip("/") + "/v2/products"]


async def test_a_line_break_in_a_header_is_a_bug() -> None:
    """It is raised where it was made; nothing of the call leaves, and the pool goes on."""
    upstream = Upstream()
    async with pooled(upstream, most=1) as pool:
        for value in ("a\r\nb: c", "a\nb", "a\r"):
            with pytest.raises(ValueError, match="line break"):
                await fetch(pool, replace(GET, headers=(("x-a", value),)), MIB)
        assert await body_of(pool, GET) == b"{}"
    assert len(upstream.heads) == 1


# --- Timeouts ---------------------------------------------------------------------------------------------------------


async def test_nobody_listens() -> None:
    """A refused connection is named apart from a silent upstream."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with opened(f"http://127.0.0.1:{unused.getsockname()[1]}") as pool:
            assert await code_of(pool, PRODUCTS) is Code.UPSTREAM_UNREACHABLE


async def test_the_first_byte_is_limited(upstream: Commerce, pool: ConnectionPool) -> None:
    """A silent upstream is given up and its connection closed."""
    upstream.fault(Fault.SILENT)
    assert await code_of(pool, PRODUCTS) is Code.UPSTREAM_TIMEOUT
    await upstream.wait(lambda: not upstream.open_connections)


async def test_idle_answers_are_limited(upstream: Commerce, pool: ConnectionPool) -> None:
    """An answer that stalls in the middle is broken off."""
    upstream.fault(Fault.SLOW_BODY, gate=asyncio.Event())
    assert await code_of(pool, PRODUCTS) is Code.UPSTREAM_TIMEOUT
    await upstream.wait(lambda: not upstream.open_connections)


async def test_the_whole_exchange_is_limited() -> None:
    """An answer that trickles without a stop ends at the total limit."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while True:
            writer.write(b".")
            await asyncio.sleep(0.05)

    async with served(trickle) as url, opened(url, Timeouts(connect=5, first_byte=5, idle=5, total=0.5)) as pool:
        assert await code_of(pool, PRODUCTS) is Code.UPSTREAM_TIMEOUT


async def test_waiting_for_a_connection_is_limited() -> None:
    """With every connection in use, a call waits no longer than the connect limit."""
    upstream = Upstream()
    upstream.gate.clear()
    async with pooled(upstream, most=1, times=Timeouts(connect=0.3, first_byte=30, idle=30, total=30)) as pool:
        held = sent(pool)
        await until(lambda: len(upstream.heads) == 1)
        assert await fetch(pool, GET, MIB) == Refusal(Code.OVERLOADED, "no connection free in time")
        upstream.gate.set()
        await held.done()
        assert await body_of(pool, GET) == b"{}"


async def test_look_ups_have_a_share_that_relays_cannot_take() -> None:
    """However many clients read slowly, who logs in is looked up at once."""
    upstream = Upstream()
    upstream.gate.clear()
    async with pooled(upstream, most=4) as pool:
        relays = [sent(pool, RELAY) for _ in range(50)]
        await until(lambda: len(upstream.heads) == 3)
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(body_of(pool, POST))
            await until(lambda: len(upstream.heads) == 4)
            upstream.gate.set()
        assert asked.result() == b"{}"
        for relay in relays:
            await relay.done()


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
        pytest.param(b"HTTP/1.1 101 X\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", id="another protocol"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_is_no_answer(upstream: Commerce, pool: ConnectionPool, raw: bytes, method: str) -> None:
    """An answer that is not whole and well-formed HTTP is UPSTREAM_INVALID."""
    upstream.script(at("/x"), raw, close=True)
    assert await code_of(pool, replace(X, method=method)) is Code.UPSTREAM_INVALID
    await upstream.wait(lambda: not upstream.open_connections)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(OK.replace(b"\r\n", b"\n"), id="bare line feeds"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2 \r\n{}\r\n0  \r\n\r\n", id="blanks behind sizes"
        ),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_what_is_odd_and_can_be_read(upstream: Commerce, pool: ConnectionPool, raw: bytes, method: str) -> None:
    """It is the answer, and its call is sent once, whatever its method."""
    upstream.script(at("/x"), raw)
    for _ in range(2):
        assert await body_of(pool, replace(X, method=method)) == b"{}"
    assert len(upstream.requests) == 2
    assert len(upstream.connections) == 1


async def test_interim_answers_are_passed_over(upstream: Commerce, pool: ConnectionPool) -> None:
    """100 and 103 are not the answer; what follows them is (RFC 9110 section 15.2)."""
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    upstream.script(at("/x"), interim + b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    assert await fetch(pool, X, MIB) == Answer(200, (("content-length", "2"),), b"ok")


@pytest.mark.parametrize("count", [10_000, 60_000])
async def test_a_flood_of_interim_answers_ends(upstream: Commerce, pool: ConnectionPool, count: int) -> None:
    """An upstream that never comes to its answer is given up in time, or when it has said too much."""
    upstream.script(at("/x"), b"HTTP/1.1 100 Continue\r\n\r\n" * count)
    assert await code_of(pool, X) in {Code.UPSTREAM_TIMEOUT, Code.UPSTREAM_INVALID}
    await upstream.wait(lambda: not upstream.open_connections)


@pytest.mark.parametrize("announced", [True, False])
async def test_answers_above_the_limit(upstream: Commerce, pool: ConnectionPool, *, announced: bool) -> None:
    """A body above the limit is not read on, whether its size was announced or not."""
    download = upstream.stream_down(at("/x"), 512 * MIB, chunked=not announced)
    assert await fetch(pool, X, MIB) == Refusal(Code.UPSTREAM_INVALID, "answer above the limit")
    await upstream.wait(lambda: not upstream.open_connections)
    assert download.sent < 64 * MIB


@pytest.mark.parametrize("is_chunked", [True, False])
async def test_small_answers_above_the_limit(*, is_chunked: bool) -> None:
    """The limit holds as well for an answer that came at once; its last byte that passes is the limit's."""
    said = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" if is_chunked else OK
    async with pooled(Upstream((said,))) as pool:
        assert await code_of(pool, GET, 1) is Code.UPSTREAM_INVALID
        assert await body_of(pool, GET, 2) == b"{}"


@pytest.mark.parametrize("lines", [b"content-length: 9", b"transfer-encoding: chunked"])
async def test_an_error_above_the_limit_still_has_its_status(lines: bytes) -> None:
    """Its body is not read on, and says less than the status does."""
    body = b"9\r\ntoo large\r\n0\r\n\r\n" if b"chunked" in lines else b"too large"
    said = b"HTTP/1.1 410 Gone\r\n" + lines + b"\r\n\r\n" + body
    async with pooled(Upstream((said,))) as pool:
        answer = await fetch(pool, GET, 2)
        assert isinstance(answer, Answer)
        assert (answer.status, answer.body) == (410, b"")


async def test_what_is_announced_is_not_always_there() -> None:
    """A 304 and an answer to HEAD say how long a body would be."""
    lines = (("content-length", "3000"),)
    assert is_announced_above(2999, 200, lines)
    assert not is_announced_above(3000, 200, lines)
    assert not is_announced_above(10, 304, lines)
    assert not is_announced_above(10, 200, ())
    async with pooled(Upstream((b"HTTP/1.1 304 X\r\ncontent-length: 3000\r\n\r\n",))) as pool:
        assert await body_of(pool, GET, 10) == b""


async def test_header_bytes_without_a_meaning(upstream: Commerce, pool: ConnectionPool) -> None:
    """Octets beyond ASCII in a header are letters that leave as the octets they were (RFC 9110 section 5.5)."""
    upstream.script(at("/x"), b"HTTP/1.1 200 OK\r\nx-a: caf\xe9\xc3\xa9\r\ncontent-length: 0\r\n\r\n")
    answer = await fetch(pool, X, MIB)
    assert isinstance(answer, Answer)
    assert dict(answer.headers)["x-a"].encode("latin-1") == b"caf\xe9\xc3\xa9"


# --- Connections ------------------------------------------------------------------------------------------------------


async def test_connections_are_used_again(upstream: Commerce, pool: ConnectionPool) -> None:
    """An answer that was read whole leaves its connection to the next call."""
    for _ in range(5):
        assert await body_of(pool, PRODUCTS)
    assert len(upstream.connections) == 1


@pytest.mark.parametrize("where", ["in the queue", "before the answer", "in the middle"])
async def test_giving_up_closes_the_connection(where: str) -> None:
    """A call that is cancelled closes its connection, wherever it stands; one that has none leaves the queue."""
    upstream = Upstream((OK[:-1] if where == "in the middle" else OK,))
    if where != "in the middle":
        upstream.gate.clear()
    async with pooled(upstream, most=1) as pool:
        held = sent(pool) if where == "in the queue" else None
        task = asyncio.ensure_future(fetch(pool, POST, MIB))
        await until(lambda: len(upstream.heads) == 1)
        task.cancel()
        assert (await asyncio.gather(task, return_exceptions=True))[0].__class__ is asyncio.CancelledError
        upstream.gate.set()
        if held is not None:
            await held.done()
            assert (upstream.connections, upstream.open) == (1, 1)
        else:
            await until(lambda: not upstream.open)
        upstream.answers = (OK,)
        assert await body_of(pool, GET) == b"{}"
        assert len(upstream.heads) == 2


async def test_a_connection_that_is_given_up_is_reset(upstream: Commerce, pool: ConnectionPool) -> None:
    """It is closed by us, at once."""
    upstream.fault(Fault.SILENT)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(fetch(pool, PRODUCTS, MIB))
        await upstream.wait(lambda: len(upstream.requests) == 1)
        task.cancel()
    await upstream.wait(lambda: not upstream.open_connections)
    assert [one.state for one in upstream.connections] == [ConnectionState.CLOSED_BY_PEER]


async def test_unasked_bytes_never_answer_the_next_call(upstream: Commerce, pool: ConnectionPool) -> None:
    """A second answer sent at once with the first costs the connection, and reaches nobody."""
    upstream.fault(Fault.EXTRA_BYTES, times=1)
    assert await body_of(pool, PRODUCTS)
    body = await body_of(pool, replace(X, target="/v2/currencies"))
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

    async with served(serve) as url, opened(url) as pool:
        assert await body_of(pool, GET) == b"first"
        # Written without a turn of the loop in between, it is in the client's socket but not in its parser.
        writers[0].write(late)
        if looked_at:
            await until(writers[0].transport.is_closing)
        assert await body_of(pool, replace(GET, target="/b")) == b"first"
        assert len(writers) == 2


async def test_a_connection_closed_meanwhile_is_not_used(upstream: Commerce, pool: ConnectionPool) -> None:
    """A POST is not lost on a connection that the upstream has closed since the last answer."""
    upstream.fault(Fault.CLOSE_AFTER, times=1)
    assert await body_of(pool, PRODUCTS)
    await upstream.wait(lambda: not upstream.open_connections)
    assert isinstance(await fetch(pool, Call("POST", "/x", (), b"{}"), MIB), Answer)
    assert len(upstream.requests) == 2


async def test_safe_calls_are_tried_once_more(upstream: Commerce, pool: ConnectionPool) -> None:
    """A GET whose connection breaks before an answer is sent a second time; a third time it is not."""
    upstream.fault(Fault.CLOSE, times=1)
    assert await body_of(pool, PRODUCTS)
    upstream.forget()
    upstream.fault(Fault.CLOSE)
    assert await code_of(pool, PRODUCTS) is Code.UPSTREAM_INVALID
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("body", [b"{}", b""], ids=["with a body", "without"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_what_changes_something_is_never_repeated(
    upstream: Commerce, pool: ConnectionPool, method: str, body: bytes
) -> None:
    """A call that is not safe and whose connection breaks may have been carried out: it is sent once."""
    upstream.fault(Fault.CLOSE)
    assert await code_of(pool, Call(method, "/x", (), body)) is Code.UPSTREAM_INVALID
    assert len(upstream.requests) == 1


async def test_redirects_are_answers(upstream: Commerce, pool: ConnectionPool) -> None:
    """A redirect is not followed: nobody else is sent what was meant for the upstream."""
    upstream.fault(Fault.REDIRECT, location=f"{upstream.url}/elsewhere")
    answer = await fetch(pool, PRODUCTS, MIB)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (302, b"")
    assert [request.path for request in upstream.requests] == ["/v2/products"]


async def test_cookies_are_not_kept(upstream: Commerce, pool: ConnectionPool) -> None:
    """A cookie of one answer is not sent with the next call, which may be somebody else's."""
    upstream.fault(Fault.SET_COOKIE)
    for _ in range(2):
        await body_of(pool, PRODUCTS)
    assert [request.header("cookie") for request in upstream.requests] == [None, None]


async def test_bodies_are_not_decompressed(upstream: Commerce, pool: ConnectionPool) -> None:
    """They come as they are: whoever reads them knows what they may grow to."""
    upstream.fault(Fault.GZIP)
    assert (await body_of(pool, PRODUCTS)).startswith(b"\x1f\x8b")


async def test_no_proxy_of_the_environment_is_used(
    upstream: Commerce, pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upstream is the one of the routing file, whatever the process was started with."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert await body_of(pool, PRODUCTS)
    assert len(upstream.requests) == 1


async def test_a_login_in_the_url_is_not_sent(upstream: Commerce) -> None:
    """Nothing but the call's own lines goes to the upstream."""
    async with opened(upstream.url.replace("127.", "user:word@127."), PATIENT) as pool:
        await fetch(pool, PRODUCTS, MIB)
    assert [request.header("authorization") for request in upstream.requests] == [None]
    assert [request.header("host") for request in upstream.requests] == [f"127.0.0.1:{upstream.port}"]
