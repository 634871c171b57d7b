"""Connections of clients: what is no request, bodies that nobody reads, who ends a connection, and how."""

import asyncio
import json

import pytest

from gateway.server.body import ClientTimeouts
from gateway.vocab.events import Failed
from gateway.vocab.messages import Reply
from gateway.vocab.refusals import Code, Refusal
from tests.gateways import Site
from tests.server.raw import RawClient, connected, until
from tests.server.stage import CANARY, DENIED, KIB, MIB, Told, answering, assert_error, done, stage
from tests.server.wires import wired

NOTHING = Reply(204)

# --- What is no request ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param("GET /v2/products\r\n\r\n", "REQUEST_MALFORMED", id="HTTP/0.9"),
        pytest.param("GET /v2/products HTTP/0.9\r\nHost: x\r\n\r\n", "REQUEST_MALFORMED", id="HTTP/0.9 by name"),
        pytest.param("GET /v2/products HTTP/2.0\r\nHost: x\r\n\r\n", "REQUEST_MALFORMED", id="HTTP/2.0"),
        pytest.param("GET /v2/products HTTP/3.7\r\nHost: x\r\n\r\n", "REQUEST_MALFORMED", id="HTTP/3.7"),
        pytest.param("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "REQUEST_MALFORMED", id="the preface of HTTP/2"),
        pytest.param("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "REQUEST_MALFORMED", id="TLS"),
        pytest.param("get /v2/products HTTP/1.1\r\nHost: x\r\n\r\n", "REQUEST_MALFORMED", id="method in lower case"),
        pytest.param("CONNECT evil:443 HTTP/1.1\r\nHost: x\r\n\r\n", "REQUEST_MALFORMED", id="CONNECT"),
        pytest.param(f"GET / HTTP/1.1\r\nHost: x\r\nX-A: {CANARY}\x01\r\n\r\n", "REQUEST_MALFORMED", id="control"),
        pytest.param(f"GET / HTTP/1.1\r\nHost: x\r\nX-A: {CANARY}\x00\r\n\r\n", "REQUEST_MALFORMED", id="NUL"),
        pytest.param(f"GET / HTTP/1.1\r\nHost: x\r\nX A: {CANARY}\r\n\r\n", "REQUEST_MALFORMED", id="space in a name"),
        pytest.param(f"GET / HTTP/1.1\r\nHost: x\r\nX-A : {CANARY}\r\n\r\n", "REQUEST_MALFORMED", id="space, colon"),
        pytest.param(f"GET / HTTP/1.1\r\nHost: x\r\n{CANARY}\r\n\r\n", "REQUEST_MALFORMED", id="no colon"),
        pytest.param(f"GET / HTTP/1.1\r\nHost: x\r\nX-A: a\r\n {CANARY}\r\n\r\n", "REQUEST_MALFORMED", id="obs-fold"),
        pytest.param(f"GET /{CANARY} x HTTP/1.1\r\nHost: x\r\n\r\n", "REQUEST_MALFORMED", id="space in the target"),
        pytest.param(
            f"POST / HTTP/1.1\r\nHost: x\r\nX-A: {CANARY}\r\nContent-Length: 5\r\n"
            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "REQUEST_MALFORMED",
            id="length and chunks",
        ),
        pytest.param(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            "REQUEST_MALFORMED",
            id="two lengths",
        ),
        pytest.param(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            "REQUEST_MALFORMED",
            id="the same length twice",
        ),
        pytest.param(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello", "REQUEST_MALFORMED", id="signed length"
        ),
        pytest.param(
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "REQUEST_MALFORMED",
            id="two codings",
        ),
        *[
            pytest.param(
                f"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\n",
                "REQUEST_MALFORMED",
                id=f"coding {coding}",
            )
            for coding in ("gzip, chunked", "identity, chunked", "chunked, chunked", "identity", "xchunked")
        ],
        pytest.param(
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "REQUEST_MALFORMED", id="chunks in 1.0"
        ),
        pytest.param("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "REQUEST_MALFORMED", id="two hosts"),
        pytest.param("GET / HTTP/1.1\nHost: x\n\n", "REQUEST_MALFORMED", id="bare line feeds"),
        pytest.param(
            f"GET /{CANARY}{'a' * 40_000} HTTP/1.1\r\nHost: x\r\n\r\n", "HEADERS_TOO_LARGE", id="a long target"
        ),
        pytest.param(
            f"GET / HTTP/1.1\r\nHost: x\r\nX-A: {CANARY}{'a' * 40_000}\r\n\r\n", "HEADERS_TOO_LARGE", id="a long line"
        ),
        pytest.param(
            "GET / HTTP/1.1\r\nHost: x\r\n" + f"X-A: {CANARY}\r\n" * 200 + "\r\n", "HEADERS_TOO_LARGE", id="many lines"
        ),
        pytest.param(
            "GET / HTTP/1.1\r\nHost: x\r\n" + f"X-A: {CANARY}{'a' * 20_000}\r\n" * 4 + "\r\n",
            "HEADERS_TOO_LARGE",
            id="much in all",
        ),
        pytest.param(
            "GET / HTTP/1.1\r\nHost: x\r\n" + f"X-A: {CANARY}{'a' * 20_000}\r\n" * 4,
            "HEADERS_TOO_LARGE",
            id="much in all, and no end",
        ),
    ],
)
async def test_what_is_no_request(raw: str, code: str) -> None:
    """Bytes that are no request get a JSON error and the end of the connection; nothing of them is shown or kept."""
    async with stage(Told(decided=NOTHING)) as run, run.connected() as client:
        client.send(raw)
        reply = await client.reply()
        assert_error(reply, 431 if code == "HEADERS_TOO_LARGE" else 400, code)
        assert reply.ends
        assert await client.rest() == b""
        assert not run.flow.asked
        assert CANARY not in str(reply) + str(run.events)
        (event,) = run.done
        assert (event.status, event.trace.code, event.id) == (reply.status, code, reply.values("x-request-id")[0])
        await run.emptied()


async def test_what_is_no_request_is_a_line_in_the_log(bare: Site) -> None:
    """The access log counts what was refused before it could be read, and quotes none of it."""
    async with connected(bare) as client:
        client.send(f"GET / HTTP/1.1\r\nHost: x\r\nX-Moltin-Customer-Token: {CANARY}\x01\r\n\r\n")
        assert_error(await client.reply(), 400, "REQUEST_MALFORMED")
    (line,) = await done(bare)
    assert (line["status"], line["code"], line["route"], line["peer"]) == (400, "REQUEST_MALFORMED", "-", "127.0.0.1")
    assert CANARY not in bare.log.getvalue()
    assert 'gateway_requests_total{caller="-",route="-",status="400"} 1.0' in await bare.metrics()


async def test_many_header_lines(bare: Site) -> None:
    """The number of header lines is limited."""
    async with connected(bare) as client:
        client.ask("GET", "/v2/products", *[f"X-{number}: a" for number in range(5000)])
        reply = await client.reply()
        assert_error(reply, reply.status, reply.code)
        assert reply.status in {400, 431}
        assert reply.ends


@pytest.mark.parametrize(
    "framing",
    [
        pytest.param("Content-Length: 2\r\n\r\n{}", id="length"),
        pytest.param("Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", id="chunks"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_get_has_no_body(bare: Site, method: str, framing: str) -> None:
    """GET and HEAD with a body are refused: upstreams disagree about what it means."""
    bearer = await bare.bearer()
    async with connected(bare) as client:
        client.send(f"{method} /v2/products HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n{framing}")
        reply = await client.reply(to_head=method == "HEAD")
        assert reply.status == 400
        if method == "GET":
            assert_error(reply, 400, "BODY_UNEXPECTED")
    assert not bare.commerce.requests


# --- Bodies that nobody reads ---------------------------------------------------------------------------------------

# These read the body before they refuse it.
READING = {"/v2/customers", "/v2/customers/tokens"}
SMUGGLED = b"GET /v2/currencies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "target", "kind", "status"),
    [
        pytest.param("POST", "/nowhere", "application/json", 404, id="no route"),
        pytest.param("PATCH", "/v2/products", "application/json", 405, id="no method"),
        pytest.param("POST", "/v2/customers", "text/plain", 415, id="wrong type"),
        pytest.param("POST", "/oauth/access_token", "application/json", 415, id="no form"),
        pytest.param("POST", "/v2/customers/tokens", "application/json", 400, id="no JSON"),
        pytest.param("POST", "/v2/carts/../x", "application/json", 400, id="bad target"),
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["with the head", "after the reply"])
async def test_an_unread_body_is_never_a_request(
    bare: Site, method: str, target: str, kind: str, status: int, *, late: bool
) -> None:
    """What follows a refused request's head is its body, never the next request."""
    bearer = await bare.bearer()
    body = SMUGGLED % bearer.encode()
    async with connected(bare) as client:
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        late = late and target not in READING
        client.send(head.encode() + (b"" if late else body))
        reply = await client.reply()
        assert_error(reply, status, reply.code)
        if late:
            assert reply.ends
            client.send(body)
            assert await client.rest() == b""
        elif reply.ends:
            assert await client.rest() == b""
        else:
            # The connection goes on, after the body.
            client.ask("GET", "/v2/products", f"Authorization: Bearer {bearer}")
            assert b'"product"' in (await client.reply()).body
    assert "/v2/currencies" not in [request.path for request in bare.commerce.requests]


async def test_a_body_that_is_announced_too_large_is_not_waited_for(bare: Site) -> None:
    """A length above the limit is refused before a byte of the body has come."""
    bearer = await bare.bearer()
    async with connected(bare) as client:
        client.send(
            f"POST /v2/customers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
            "Content-Type: application/json\r\nContent-Length: 300000\r\n\r\n"
        )
        reply = await client.reply()
        assert_error(reply, 413, "BODY_TOO_LARGE")
        assert reply.ends


async def test_a_chunked_body_stops_at_the_limit(bare: Site) -> None:
    """A body of unknown length is read up to the route's limit and no further."""
    bearer = await bare.bearer()
    async with connected(bare) as client:
        client.send(
            f"POST /v2/customers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(5):
            client.send(b"10000\r\n" + b" " * 65536 + b"\r\n")
        reply = await client.reply()
        assert_error(reply, 413, "BODY_TOO_LARGE")
        assert reply.ends


BROKEN_CHUNKS = [b"zz\r\n{}\r\n", b"2\r\n{}X\r\n", b"2;a=\nb\r\n{}\r\n"]


@pytest.mark.parametrize("chunk", BROKEN_CHUNKS)
async def test_broken_chunks(bare: Site, chunk: bytes) -> None:
    """Chunks that are not well-formed are a 400, and nothing is forwarded."""
    bearer = await bare.bearer()
    async with connected(bare) as client:
        client.send(
            f"POST /v2/customers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        client.send(chunk)
        client.send(b"0\r\n\r\n")
        reply = await client.reply()
        assert_error(reply, 400, "REQUEST_MALFORMED")
        assert reply.ends
        assert await client.rest() == b""
    assert not bare.commerce.requests


@pytest.mark.parametrize("chunk", [b"2\r\n{}\r\n" + broken for broken in BROKEN_CHUNKS])
async def test_chunks_that_break_while_they_are_read(chunk: bytes) -> None:
    """Whoever waits for the rest of a body is told at once that it does not come, and the client once."""
    async with stage(Told(reads=True)) as run, run.connected() as client:
        client.send("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await until(lambda: bool(run.flow.asked))
        client.send(chunk)
        reply = await client.reply()
        assert_error(reply, 400, "REQUEST_MALFORMED")
        assert reply.ends
        assert await client.rest() == b""
        assert not run.flow.bodies
        assert [event.status for event in run.done] == [400]
        await run.emptied()


@pytest.mark.parametrize("digits", [4000, 8000])
async def test_a_length_of_thousands_of_digits(digits: int) -> None:
    """Zeros before a length change nothing, however many: it is a number (RFC 9110 section 8.6)."""
    async with stage(Told(reads=True)) as run, run.connected() as client:
        client.send(f"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: {'5'.rjust(digits, '0')}\r\n\r\nhello")
        assert (await client.reply()).status == 200
        assert run.flow.bodies == [b"hello"]
        client.ask("GET", "/a")
        assert (await client.reply()).status == 200


# --- Connections ----------------------------------------------------------------------------------------------------


async def test_keep_alive_after_errors(bare: Site) -> None:
    """Errors without an unread body leave the connection usable."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    async with connected(bare) as client:
        for method, target, status in (("GET", "/nowhere", 404), ("DELETE", "/v2/products", 405), ("GET", "/%", 400)):
            client.ask(method, target, bearer)
            reply = await client.reply()
            assert_error(reply, status, reply.code)
            assert not reply.ends
        client.ask("GET", "/v2/products", bearer)
        assert (await client.reply()).status == 200


async def test_the_old_version(bare: Site) -> None:
    """HTTP/1.0 gets its answer and the end of the connection, with no chunks it cannot read."""
    bearer = await bare.bearer()
    async with connected(bare) as client:
        client.send(f"GET /v2/products HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n\r\n")
        raw = await client.rest()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200")
    assert b"transfer-encoding" not in head.lower()
    assert json.loads(body)["data"]


async def test_the_old_version_without_host(bare: Site) -> None:
    """HTTP/1.0 needs no Host, and keep-alive has to be asked for."""
    bearer = await bare.bearer()
    async with connected(bare) as client:
        for _ in range(2):
            client.send(
                f"GET /v2/customers/x HTTP/1.0\r\nConnection: keep-alive\r\nAuthorization: Bearer {bearer}\r\n\r\n"
            )
            assert_error(await client.reply(), 403, "ACCESS_DENIED")


async def test_keep_alive_of_the_old_version() -> None:
    """HTTP/1.0 keeps a connection where it asks for it and is told so; else, and without a length, it ends."""
    async with stage(Told(decided=NOTHING)) as run:
        async with run.connected() as client:
            client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2)
            for _ in range(2):
                reply = await client.reply()
                assert (reply.version, reply.status) == ("HTTP/1.0", 204)
                assert reply.values("connection") == ["keep-alive"]
            client.send("GET /a HTTP/1.0\r\n\r\n")
            assert not (await client.reply()).values("connection")
            assert await client.rest() == b""
        await run.emptied()


@pytest.mark.parametrize("lines", ["", "Connection: keep-alive\r\n"])
async def test_the_old_version_and_a_body_without_a_length(lines: str) -> None:
    """Without chunks and length the end of the connection is the end of the body, whatever was asked for."""
    said = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    async with stage(Told(is_open=True), answering(said)) as run, run.connected() as client:
        client.send(f"GET /a HTTP/1.0\r\n{lines}\r\n")
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
        assert body == b"abc"
        assert b"keep-alive" not in head.lower()
        (event,) = await run.finished()
        assert not event.aborted


@pytest.mark.parametrize("line", ["Connection: close", "Connection: keep-alive, Close"])
async def test_a_client_that_asks_for_the_end(line: str) -> None:
    """It gets its reply, which says so, and the end of the connection at once."""
    async with stage(Told(decided=NOTHING)) as run, run.connected() as client:
        client.ask("GET", "/a", line)
        assert (await client.reply()).ends
        assert await client.rest() == b""
        await run.emptied()


# --- The last reply and what the client still sends -------------------------------------------------------------------

LINGER = ClientTimeouts(linger=0.6)


async def send_on(client: RawClient, pieces: int, pause: float = 0.01) -> None:
    """Go on sending a body for some time."""
    for _ in range(pieces):
        client.send(bytes(64 * KIB))
        await client.writer.drain()
        await asyncio.sleep(pause)


async def test_a_client_that_goes_on_sending_can_read_its_reply() -> None:
    """A body that nobody takes is read and dropped for a while: to close at once would destroy the reply."""
    async with stage(Told(decided=DENIED), timeouts=LINGER) as run, run.connected() as client:
        client.ask("POST", "/a", f"Content-Length: {64 * MIB}")
        await send_on(client, 20)
        reply = await client.reply()
        assert_error(reply, 403, "ACCESS_DENIED")
        assert reply.ends
        # It is told at once that no more comes, and counted no more.
        assert await client.rest() == b""
        (event,) = run.done
        assert (event.status, event.aborted) == (403, False)
        await run.emptied()


async def test_not_for_ever() -> None:
    """When its time is over, the connection of a client that goes on sending is ended."""
    async with stage(Told(decided=DENIED), timeouts=LINGER) as run, run.connected() as client:
        client.ask("POST", "/a", f"Content-Length: {1024 * MIB}")
        started = asyncio.get_running_loop().time()
        assert_error(await client.reply(), 403, "ACCESS_DENIED")
        with pytest.raises(ConnectionError):
            await send_on(client, 2000)
        assert 0.5 < asyncio.get_running_loop().time() - started < 5
        await run.emptied()


async def test_a_lingering_connection_reads_nothing_as_a_request() -> None:
    """What is sent behind the last reply is dropped, a whole request as well."""
    async with stage(Told(decided=DENIED), timeouts=LINGER) as run, run.connected() as client:
        client.ask("POST", "/a", "Content-Length: 3")
        assert (await client.reply()).ends
        client.send("abc")
        client.ask("GET", "/b")
        assert await client.rest() == b""
        assert [request.target for request in run.flow.asked] == ["/a"]


async def test_a_lingering_connection_whose_body_was_held() -> None:
    """Reading that was paused for a full body goes on, else nobody would see the client's end."""
    gate = asyncio.Event()

    async def later() -> Refusal:
        await gate.wait()
        return DENIED

    async with stage(Told(decided=later), timeouts=ClientTimeouts(linger=60)) as run:
        async with run.connected() as client:
            client.ask("POST", "/a", f"Content-Length: {64 * MIB}")
            sending = asyncio.ensure_future(send_on(client, 1024, pause=0))
            seen = -1
            while seen != client.writer.transport.get_write_buffer_size() or not seen:
                seen = client.writer.transport.get_write_buffer_size()
                await asyncio.sleep(0.1)
            gate.set()
            assert_error(await client.reply(), 403, "ACCESS_DENIED")
            await sending
        await run.emptied()


async def test_the_client_of_a_last_reply_may_be_gone() -> None:
    """A connection that ended while its last reply was written is ended, and no bug."""
    async with wired(Told(decided=DENIED), b"") as run:
        run.client.gone = True
        run.protocol.data_received(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        await until(lambda: bool(run.done))
        await asyncio.sleep(0)
        assert run.client.is_aborted
        assert not [event for event in run.events if isinstance(event, Failed)]


@pytest.mark.parametrize("waiting", [0, 30_000])
async def test_a_client_that_says_no_more(waiting: int) -> None:
    """While a reply before waits in a closing connection this one is written behind it; else nobody is there."""
    async with wired(Told()) as run:
        run.client.is_ending, run.client.waiting = True, waiting
        run.connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        await asyncio.sleep(0)
        done = [event.aborted for event in run.done]
        assert (bool(run.client.written), done) == ((True, [False]) if waiting else (False, []))
        run.protocol.connection_lost(None)
        await asyncio.wait_for(run.edge.drained(), 1)
        assert len(run.done) == 1


async def test_bytes_that_are_no_request_are_answered_and_lingered_for() -> None:
    """A client that sends much that cannot be read hears why, although it goes on sending."""
    async with stage(Told(decided=NOTHING), timeouts=LINGER) as run, run.connected() as client:
        client.send("nonsense\r\n\r\n")
        await send_on(client, 20)
        assert_error(await client.reply(), 400, "REQUEST_MALFORMED")
        assert await client.rest() == b""
        assert [event.trace.code for event in run.done] == [Code.REQUEST_MALFORMED.name]
