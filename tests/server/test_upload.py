"""Bodies that are passed on as they come: both ways at once, held to limits, never taken for whole when they break."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.carrying.call import Timeouts
from gateway.decision import Decided
from gateway.demo.data import RON
from gateway.server.body import ClientTimeouts
from gateway.vocab.messages import Reply
from tests.fakes.commerce import Commerce, at
from tests.gateways import Site
from tests.gateways import site as run_site
from tests.server.raw import RawClient, connected, served, until
from tests.server.stage import DENIED, KIB, MIB, OK, Told, answering, assert_error, request_of, silent, stage

CART = "/v2/carts/upload/items"
FRAMINGS = ["length", "chunks"]


def framing(kind: str, size: int) -> str:
    """Write the line that frames a body."""
    return f"Content-Length: {size}" if kind == "length" else "Transfer-Encoding: chunked"


def piece(kind: str, data: bytes, *, is_last: bool = False) -> bytes:
    """Write a piece of a body."""
    if kind == "length":
        return data
    return (b"%x\r\n%b\r\n" % (len(data), data) if data else b"") + (b"0\r\n\r\n" if is_last else b"")


@dataclass
class Echo:
    """An upstream that sends back what comes, as it comes; `gate` holds back reading."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    heads: list[bytes] = field(default_factory=list)
    received: int = 0
    whole: int = 0
    """How many bodies came to their end."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/oauth/access_token" in head:
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                grant = json.dumps({"access_token": "inner", "token_type": "Bearer", "expires_in": 3600}).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(grant)
                )
                writer.write(grant)
                continue
            self.heads.append(head)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ntransfer-encoding: chunked\r\n\r\n")
            await self.gate.wait()
            async for data in self._body(head, reader):
                self.received += len(data)
                writer.write(piece("chunks", data))
                await writer.drain()
            self.whole += 1
            writer.write(b"0\r\n\r\n")

    async def _body(self, head: bytes, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        if b"transfer-encoding: chunked" in head.lower():
            while size := int(await reader.readuntil(b"\r\n"), 16):
                yield (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
            return
        left = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while left:
            data = await reader.read(min(left, 64 * KIB))
            if not data:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(data)
            yield data


def echoing() -> Echo:
    """Give one that reads at once."""
    echo = Echo()
    echo.gate.set()
    return echo


# --- Both ways at once ------------------------------------------------------------------------------------------------

ROUTES = """
extends: moltin.yaml
routes:
  - name: echo
    path: "/v2/echo/{rest...}"
    methods: [POST, PUT, PATCH, DELETE]
    access: {public: open}
    limits: {stream: 1MiB}
"""


@asynccontextmanager
async def echo_site(upstream: Commerce, folder: Path) -> AsyncIterator[tuple[Site, Echo]]:
    """Run a whole gateway before an upstream that echoes."""
    echo = echoing()
    async with (
        served(echo.serve) as url,
        run_site(upstream, folder, config=ROUTES, passwords=False, UPSTREAM_URL=url) as site,
    ):
        yield site, echo


@pytest.mark.parametrize("kind", FRAMINGS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_body_goes_up_while_the_answer_comes_down(
    upstream: Commerce, tmp_path: Path, method: str, kind: str
) -> None:
    """Through the whole gateway each piece is back before the next one is sent; neither way waits for the other."""
    async with echo_site(upstream, tmp_path) as (site, echo), connected(site) as client:
        pieces = [bytes([65 + number]) * 30_000 for number in range(10)]
        bearer = f"Authorization: Bearer {await site.bearer()}"
        client.ask(method, "/v2/echo/a", bearer, framing(kind, sum(map(len, pieces))))
        for number, data in enumerate(pieces):
            client.send(piece(kind, data, is_last=number == 9))
            if number == 0:
                assert (await client.head())[0] == 200
            back = b""
            while len(back) < len(data):
                size = int(await asyncio.wait_for(client.reader.readuntil(b"\r\n"), 5), 16)
                back += (await client.reader.readexactly(size + 2))[:-2]
            assert back == data
        assert await client.reader.readuntil(b"\r\n\r\n") == b"0\r\n\r\n"
        (head,) = echo.heads
        assert head.startswith(method.encode())
        assert (b"content-length: 300000" in head.lower(), b"transfer-encoding: chunked" in head.lower()) == (
            (True, False) if kind == "length" else (False, True)
        )
        # The reply had begun before the body was whole, and so it had to end the connection.
        assert await client.rest() == b""


@pytest.mark.parametrize("kind", FRAMINGS)
@pytest.mark.parametrize("size", [70 * KIB, 9 * MIB])
async def test_a_body_comes_back_whole(kind: str, size: int) -> None:
    """Whatever its size and framing, no byte is lost, added or changed."""
    echo = echoing()
    body = bytes(range(256)) * (size // 256)
    async with stage(Told(is_open=True), echo.serve) as run, run.connected() as client:

        async def send() -> None:
            client.ask("PUT", "/a", framing(kind, size))
            for start in range(0, size, 100_000):
                client.send(piece(kind, body[start : start + 100_000], is_last=start + 100_000 >= size))
                await client.writer.drain()

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            assert (await client.reply()).body == body
        assert (echo.received, echo.whole) == (size, 1)
        await run.emptied()


async def test_neither_side_is_read_faster_than_the_other_takes() -> None:
    """A client that takes nothing of an echo stops its own upload, in bounded memory; when it takes again all comes."""
    echo = echoing()
    size = 96 * MIB
    timeouts = ClientTimeouts()
    async with stage(Told(is_open=True), echo.serve, timeouts, limits=Timeouts()) as run, run.connected() as client:
        sent = 0

        async def send() -> None:
            nonlocal sent
            client.ask("PUT", "/a", framing("length", size))
            for _ in range(size // MIB):
                client.send(bytes(MIB))
                await client.writer.drain()
                sent += MIB

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            seen = -1
            while seen != sent or not seen:
                seen = sent
                await asyncio.sleep(0.2)
            # Four socket buffers, of which the kernel decides most, and our own.
            assert sent < size // 2
            echoed = 0
            assert (await client.head())[0] == 200
            while echoed < size:
                length = int(await client.reader.readuntil(b"\r\n"), 16)
                await client.reader.readexactly(length + 2)
                echoed += length
        assert echo.whole == 1
        await run.emptied()


async def test_the_connections_go_on_after_an_upload() -> None:
    """An upload that was answered behind its end leaves both connections to the next request."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            _, body = await request_of(reader)
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: %d\r\n\r\n" % len(str(len(body)))
            )
            writer.write(str(len(body)).encode())

    async with stage(Told(is_open=True), serve) as run, run.connected() as client:
        for number in range(6):
            kind = FRAMINGS[number % 2]
            client.ask("POST", "/a", framing(kind, 1000))
            client.send(piece(kind, bytes(500)))
            await until(lambda: len(run.flow.asked) == number + 1)  # noqa: B023 - awaited here
            client.send(piece(kind, bytes(500), is_last=True))
            reply = await client.reply()
            assert (reply.body, reply.ends) == (b"1000", False)
        assert connections == 1


async def test_what_stands_behind_the_last_chunk_is_not_passed_on() -> None:
    """Trailers are for those who were asked; none of them reaches the upstream."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        heads.append(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(OK)
        await reader.read()

    async with stage(Told(is_open=True), serve) as run, run.connected() as client:
        client.ask("POST", "/a", "Transfer-Encoding: chunked", "Trailer: X-After")
        client.send("3\r\nabc\r\n0\r\nX-After: 1\r\nAuthorization: Bearer theirs\r\n\r\n")
        assert (await client.reply()).status == 200
        assert heads[1] == b"3\r\nabc\r\n0\r\n\r\n"


# --- Limits -----------------------------------------------------------------------------------------------------------


async def test_an_upload_that_is_announced_too_large(upstream: Commerce, tmp_path: Path) -> None:
    """It is refused before a connection is asked for, and its client need not send it."""
    async with echo_site(upstream, tmp_path) as (site, echo), connected(site) as client:
        bearer = f"Authorization: Bearer {await site.bearer()}"
        client.ask("POST", "/v2/echo/a", bearer, f"Content-Length: {MIB + 1}", "Expect: 100-continue")
        reply = await client.reply()
        assert_error(reply, 413, "BODY_TOO_LARGE")
        assert reply.ends
        assert not echo.heads


@pytest.mark.parametrize("late", [False, True], ids=["before the answer", "within the reply"])
async def test_an_upload_that_becomes_too_large(*, late: bool) -> None:
    """A body of unknown length is passed on up to the limit; then it is a 413, or a reset where the reply has begun."""
    echo = echoing()
    flow = Told(is_open=True, limit=200_000)
    upstream = echo.serve if late else silent
    async with stage(flow, upstream, limits=Timeouts()) as run, run.connected() as client:
        client.ask("POST", "/a", framing("chunks", 0))
        if late:
            client.send(piece("chunks", bytes(1000)))
            assert (await client.head())[0] == 200
        for _ in range(3):
            client.send(piece("chunks", bytes(100_000)))
        if late:
            with pytest.raises(ConnectionResetError):
                await client.reader.readexactly(10 * MIB)
        else:
            reply = await client.reply()
            assert_error(reply, 413, "BODY_TOO_LARGE")
            assert reply.ends
            assert await client.rest() == b""
        (event,) = await run.finished()
        assert (event.status, event.aborted) == ((200, True) if late else (413, False))
        assert echo.whole == 0
        await run.emptied()


@pytest.mark.parametrize("late", [False, True], ids=["before the answer", "within the reply"])
@pytest.mark.parametrize(
    ("kind", "how"),
    # A body with a length cannot be malformed.
    [*((kind, how) for kind in FRAMINGS for how in ("stalls", "trickles")), ("chunks", "is broken")],
)
async def test_an_upload_that_does_not_come_to_its_end(kind: str, how: str, *, late: bool) -> None:
    """It is answered by 408 or 400 and the end, or by a reset where the reply has begun; the upstream has no whole."""
    ended = asyncio.Event()
    echo = echoing()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await (echo.serve if late else silent)(reader, writer)
        finally:
            ended.set()

    timeouts = ClientTimeouts(idle=0.4, body_rate=100_000)
    async with stage(Told(is_open=True), serve, timeouts, limits=Timeouts()) as run, run.connected() as client:
        client.ask("POST", "/a", framing(kind, 10**6))
        client.send(piece(kind, bytes(1000)))
        if late:
            assert (await client.head())[0] == 200
        else:
            await until(lambda: bool(run.flow.asked))
        if how == "is broken":
            client.send("zz\r\n")
        while how == "trickles" and not run.done:
            client.send(piece(kind, b"."))
            await asyncio.sleep(0.05)
        if late:
            with pytest.raises(ConnectionResetError):
                await client.reader.readexactly(10 * MIB)
        else:
            reply = await client.reply()
            assert_error(reply, *((400, "REQUEST_MALFORMED") if how == "is broken" else (408, "BODY_TIMEOUT")))
            assert reply.ends
        await asyncio.wait_for(ended.wait(), 5)
        (event,) = await run.finished()
        assert event.aborted == late
        assert echo.whole == 0
        await run.emptied()


async def test_the_client_may_not_be_slower_than_the_upstream_allows() -> None:
    """An upstream that ends idle uploads soon is not kept waiting longer by a client that could be waited for."""
    limits = Timeouts(idle=0.3)
    async with stage(Told(is_open=True), silent, ClientTimeouts(), limits=limits) as run, run.connected() as client:
        client.ask("POST", "/a", framing("length", 10**6))
        client.send(bytes(1000))
        assert_error(await client.reply(), 408, "BODY_TIMEOUT")
        await run.emptied()


async def test_an_upstream_that_takes_nothing() -> None:
    """An upstream that does not take the body in time is a 504, whatever the client has sent; it is not asked again."""
    asked = 0
    gate = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        del writer
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        await gate.wait()

    limits = Timeouts(idle=0.3, first_byte=0.3)
    async with stage(Told(is_open=True), serve, ClientTimeouts(), limits=limits) as run, run.connected() as client:

        async def send() -> None:
            client.ask("POST", "/a", framing("length", 64 * MIB))
            for _ in range(64):
                client.send(bytes(MIB))
                await client.writer.drain()

        async with asyncio.TaskGroup() as group:
            sending = group.create_task(send())
            reply = await client.reply()
            assert_error(reply, 504, "UPSTREAM_TIMEOUT")
            assert reply.ends
            sending.cancel()
        assert asked == 1
        await run.emptied()


async def test_a_slow_small_upload_holds_no_connection() -> None:
    """What is small is taken whole before a connection is; others are served meanwhile."""
    async with (
        stage(Told(is_open=True, reads=True), answering(OK), connections=1) as run,
        run.connected() as slow,
        run.connected() as other,
    ):
        slow.ask("POST", "/a", framing("length", 1000))
        slow.send(bytes(500))
        await until(lambda: bool(run.flow.asked))
        for _ in range(3):
            other.ask("GET", "/a")
            assert (await other.reply()).status == 200
        slow.send(bytes(500))
        assert (await slow.reply()).status == 200


async def test_small_uploads_of_the_whole_gateway_wait_on_their_own(upstream: Commerce, tmp_path: Path) -> None:
    """So it is with those that no rule reads: up to 64 KiB they hold no connection before they are whole."""
    config = "extends: moltin.yaml\nupstream: {connections: 2, timeouts: {connect: 300ms}}\n"
    async with run_site(upstream, tmp_path, config=config, passwords=False) as site, AsyncExitStack() as stack:
        bearer = f"Authorization: Bearer {await site.bearer()}"
        for _ in range(3):
            client = await stack.enter_async_context(connected(site))
            client.ask("POST", CART, bearer, "Content-Type: application/json", "Content-Length: 1000")
            client.send(b'{"data":')
        assert (await site.public("GET", "/v2/products")).status == 200
        assert not upstream.unfinished


# --- Answers before the end -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FRAMINGS)
@pytest.mark.parametrize("status", [200, 413])
async def test_an_answer_before_the_upload_ends(kind: str, status: int) -> None:
    """The client hears it at once, and the end of the connection; the upstream's connection is not used again."""
    connections = 0
    body = b'{"errors":[{"status":413,"title":"Too large"}]}'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
        )
        writer.write(body)
        await reader.read()

    async with stage(Told(is_open=True), serve) as run:
        for number in (1, 2):
            async with run.connected() as client:
                client.ask("PUT", "/a", framing(kind, 512 * MIB))
                client.send(piece(kind, bytes(65536)))
                reply = await client.reply()
                assert (reply.status, reply.ends) == (status, True)
                # It may still send for a while, and nobody minds.
                client.send(piece(kind, bytes(65536)))
                assert await client.rest() == b""
            assert connections == number
        await run.emptied()
        assert [event.aborted for event in run.done] == [False, False]


async def test_a_rejected_bearer_ends_an_upload() -> None:
    """A 401 before the end of an upload is said as ours, and the body is not sent a second time."""
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        writer.write(b"HTTP/1.1 401 X\r\ncontent-length: 0\r\n\r\n")
        await reader.read()

    async with stage(Told(is_open=True), serve) as run, run.connected() as client:
        client.ask("PUT", "/a", framing("length", MIB))
        client.send(bytes(1000))
        reply = await client.reply()
        assert_error(reply, 503, "CREDENTIAL_UNAVAILABLE")
        assert reply.ends
        assert (asked, run.flow.rejected_answers) == (1, 1)
        await run.emptied()


@pytest.mark.parametrize("when", ["at the head", "within the body"])
async def test_an_upstream_that_ends_within_an_upload(when: str) -> None:
    """It is a 502, and nothing of it is sent again: nobody knows what was carried out."""
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        del writer
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        if when == "within the body":
            await reader.readexactly(1000)

    async with stage(Told(is_open=True), serve) as run, run.connected() as client:
        client.ask("PUT", "/a", framing("length", MIB))
        client.send(bytes(1000))
        reply = await client.reply()
        assert_error(reply, 502, "UPSTREAM_INVALID")
        assert reply.ends
        assert asked == 1
        await run.emptied()


# --- 100-continue -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/v2/customers/tokens", "/v2/carts/edge/items"])
async def test_expect_continue(site: Site, target: str) -> None:
    """A client that asks before it sends its body is told to go on, once, when the request is wanted."""
    bearer = await site.bearer()
    data = {"type": "token", "email": RON.email, "password": "ron-demo-password"}
    body = json.dumps({"data": data}).encode()
    async with connected(site) as client:
        client.send(
            f"POST {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\nExpect: 100-continue\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        assert await client.head() == (100, [], "HTTP/1.1")
        client.send(body)
        assert (await client.reply()).status in {201, 400, 404, 422}
    assert all(request.header("expect") is None for request in site.commerce.requests)


async def test_expect_continue_of_what_is_refused(bare: Site) -> None:
    """A client that asks before it sends its body is spared sending what is refused anyway."""
    async with connected(bare) as client:
        client.ask("POST", "/v2/carts", "Expect: 100-continue", "Content-Length: 5")
        reply = await client.reply()
        assert_error(reply, 401, "BEARER_MISSING")
        assert reply.ends


WAITING = {"read": Told(reads=True), "streamed": Told(is_open=True)}


async def asked_for(client: RawClient, *lines: str, version: str = "HTTP/1.1") -> None:
    """Send the head of a POST."""
    client.send("\r\n".join([f"POST /a {version}", "Host: x", *lines, "", ""]))


@pytest.mark.parametrize("how", WAITING)
@pytest.mark.parametrize("lines", [("100-continue",), ("100-Continue",), ("x", "100-continue")])
async def test_it_is_said_once(how: str, lines: tuple[str, ...]) -> None:
    """However often more of the body is waited for."""
    async with stage(WAITING[how]) as run, run.connected() as client:
        for number in (1, 2):
            await asked_for(client, *[f"Expect: {line}" for line in lines], "Content-Length: 6")
            assert (await client.head())[0] == 100
            for data in ("ab", "cd", "ef"):
                client.send(data)
                await asyncio.sleep(0.02)
            assert (await client.reply()).status == 200
            assert len(run.done) == number


@pytest.mark.parametrize("how", WAITING)
async def test_it_is_never_said_to_the_old_version(how: str) -> None:
    """RFC 9110 section 10.1.1: an expectation in HTTP/1.0 is ignored."""
    async with stage(WAITING[how]) as run, run.connected() as client:
        await asked_for(client, "Expect: 100-continue", "Content-Length: 3", version="HTTP/1.0")
        await until(lambda: bool(run.flow.asked))
        await asyncio.sleep(0.05)
        client.send("abc")
        raw = await client.rest()
        assert raw.startswith(b"HTTP/1.0 200")
        assert b"100 Continue" not in raw


async def test_it_is_said_in_its_turn() -> None:
    """An expectation that was sent ahead is answered behind the replies before it."""
    gate = asyncio.Event()
    flow = Told(reads=True)

    async def later() -> Decided:
        await gate.wait()
        return Reply(204)

    flow.deciding = lambda request, _: later if request.target == "/first" else None
    async with stage(flow) as run, run.connected() as client:
        client.ask("GET", "/first")
        await asked_for(client, "Expect: 100-continue", "Content-Length: 3")
        await until(lambda: bool(run.flow.asked))
        gate.set()
        assert (await client.reply()).status == 204
        assert (await client.head())[0] == 100
        client.send("abc")
        assert (await client.reply()).status == 200


async def test_it_is_said_once_to_a_client_that_did_not_wait() -> None:
    """A client whose body came along hears that it was wanted, and then the reply."""
    async with stage(Told(reads=True)) as run, run.connected() as client:
        client.send("POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
        assert (await client.head())[0] == 100
        assert (await client.reply()).status == 200
        assert run.flow.bodies == [b"abc"]


async def test_it_is_not_said_for_what_is_not_wanted() -> None:
    """A request that is refused, or answered without its body, gets its reply and no invitation."""
    async with stage(Told(decided=DENIED)) as run, run.connected() as client:
        await asked_for(client, "Expect: 100-continue", "Content-Length: 3")
        reply = await client.reply()
        assert_error(reply, 403, "ACCESS_DENIED")
        assert reply.ends


async def test_an_upload_is_counted_by_the_upstream(bare: Site) -> None:
    """Through the whole gateway a client that expects an invitation uploads a large body whole."""
    bare.commerce.count_upload(at(CART, "PUT"))
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    async with connected(bare) as client:
        client.ask("PUT", CART, bearer, "Expect: 100-continue", f"Content-Length: {4 * MIB}")
        assert (await client.head())[0] == 100
        client.send(bytes(4 * MIB))
        assert (await client.reply()).json()["data"]["bytes"] == 4 * MIB
