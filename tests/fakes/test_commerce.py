"""The fake upstream itself: what it records, and how it is set up."""

import asyncio
import json

import aiohttp
import pytest

from tests.fakes.commerce import Commerce, ConnectionState, Fault, Recorded, at
from tests.fakes.peer import RON_ORDERS, Peer


async def test_records_exact_bytes(commerce: Commerce, peer: Peer) -> None:
    """Target, header spelling, order and every byte are kept as sent."""
    peer.send("/v2/../x?a=%41&a=+", "POST", "X-ODD:  v \r\nx-odd: w\r\nContent-Length: 3\r\n", b"abc")
    await peer.answer()
    (request,) = commerce.requests
    assert (request.method, request.target, request.version) == ("POST", "/v2/../x?a=%41&a=+", "HTTP/1.1")
    assert request.headers[2:4] == [("X-ODD", "v"), ("x-odd", "w")]
    assert (request.query, request.body) == ([("a", "A"), ("a", " ")], b"abc")
    assert request.raw.startswith(b"POST /v2/../x?a=%41&a=+ HTTP/1.1\r\nHost: x\r\n")
    assert request.raw.endswith(b"X-ODD:  v \r\nx-odd: w\r\nContent-Length: 3\r\n\r\nabc")


async def test_reads_chunked_bodies(commerce: Commerce, peer: Peer) -> None:
    """A chunked body, trailers included, is unframed in `body` and untouched in `raw`."""
    framed = b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"
    peer.send("/x", "POST", "Transfer-Encoding: chunked\r\n", framed)
    await peer.answer()
    assert commerce.requests[0].body == b"abc0123456789"
    assert commerce.requests[0].raw.endswith(framed)
    assert (await peer.ask("/v2/products"))[0] == 200


async def test_works_with_a_real_client(commerce: Commerce) -> None:
    """A real HTTP client gets a bearer, reads orders over one kept connection, and grants are listed apart."""
    form = {"grant_type": "client_credentials", "client_id": "demo-client", "client_secret": "demo-secret"}
    async with aiohttp.ClientSession(commerce.url) as session:
        async with session.post("/oauth/access_token", data=form) as reply:
            bearer = (await reply.json())["access_token"]
        async with session.get("/v2/orders", headers={"authorization": f"Bearer {bearer}"}) as reply:
            assert (await reply.json())["links"]["first"].startswith(commerce.url)
    assert [request.path for request in commerce.requests] == ["/v2/orders"]
    assert [request.path for request in commerce.token_requests] == ["/oauth/access_token"]
    assert len(commerce.connections) == 1
    await commerce.wait(lambda: commerce.connections[0].state is ConnectionState.CLOSED_BY_PEER)


async def test_notes_unfinished_and_malformed_requests(commerce: Commerce) -> None:
    """A body cut off and bytes that are no request are not among the requests."""
    for raw in (b"POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", b"nonsense\r\n\r\n"):
        _, writer = await asyncio.open_connection("127.0.0.1", commerce.port)
        writer.write(raw)
        writer.close()
        await writer.wait_closed()
    await commerce.wait(lambda: bool(commerce.malformed) and commerce.open_connections == [])
    assert [request.received for request in commerce.unfinished] == [3]
    assert commerce.requests == []


async def test_faults_are_counted_and_chosen(commerce: Commerce, peer: Peer) -> None:
    """A fault applies to the requests it is for, as often as told, the latest first, and then no more."""
    commerce.fault(Fault.SERVER_ERROR, when=at("/v2/orders", "GET"), times=1)
    late = commerce.fault(Fault.UNAUTHORIZED, times=1)
    assert [(await peer.ask(RON_ORDERS))[0] for _ in range(3)] == [401, 500, 200]
    assert late.hits == 1


async def test_grants_are_spared(commerce: Commerce, peer: Peer) -> None:
    """A fault without a predicate does not touch requests for bearers."""
    commerce.fault(Fault.SERVER_ERROR)
    assert (await peer.ask("/oauth/access_token", "POST"))[0] == 400


async def test_scripts(commerce: Commerce, peer: Peer) -> None:
    """Canned bytes go out as they are, from a constant or made of the request."""

    def echo(request: Recorded) -> bytes:
        return b"HTTP/1.1 299 Odd\r\ncontent-length: 2\r\n\r\n" + request.path[-2:].encode()

    commerce.script(at("/x/42"), echo)
    commerce.script(at("/raw"), b"not http at all", close=True)
    assert (await peer.ask("/x/42"))[::2] == (299, b"42")
    peer.send("/raw")
    assert await peer.reader.read() == b"not http at all"


@pytest.mark.parametrize("chunked", [True, False])
async def test_downloads_stop_where_nobody_reads(commerce: Commerce, peer: Peer, *, chunked: bool) -> None:
    """A large body is made as it is taken, so a peer that does not read holds it back."""
    download = commerce.stream_down(at("/file"), 64 * 1024 * 1024, chunked=chunked)
    peer.send("/file")
    await commerce.wait(lambda: download.sent > 0)
    await peer.head()
    assert 0 < download.sent < download.size
    peer.writer.transport.abort()
    await commerce.wait(lambda: commerce.open_connections == [])
    assert download.sent < download.size


async def test_uploads_are_counted(commerce: Commerce, peer: Peer) -> None:
    """A counted upload is not kept, and is not read before its gate opens."""
    gate = asyncio.Event()
    commerce.count_upload(at("/file"), gate=gate)
    peer.send("/file", "PUT", "Content-Length: 1000000\r\n", bytes(1_000_000))
    await commerce.wait(lambda: len(commerce.unfinished) == 1)
    assert commerce.unfinished[0].received == 0
    gate.set()
    assert json.loads((await peer.answer())[2])["data"]["bytes"] == 1_000_000
    assert (commerce.requests[0].body, commerce.requests[0].received) == (b"", 1_000_000)


async def test_restarts_on_the_same_port(commerce: Commerce) -> None:
    """A stopped upstream refuses connections, a started one is found where it was."""
    url = commerce.url
    await commerce.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", commerce.port)
    await commerce.start()
    assert commerce.url == url


async def test_its_own_failures_are_raised() -> None:
    """What breaks inside the fake fails the test that uses it."""

    def broken(_: Recorded) -> bytes:
        raise LookupError("in the script")

    async with Commerce() as commerce:
        commerce.script(at("/x"), broken)
        reader, writer = await asyncio.open_connection("127.0.0.1", commerce.port)
        writer.write(b"GET /x HTTP/1.1\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        with pytest.raises(ExceptionGroup) as caught:
            await commerce.stop()
    assert caught.group_contains(LookupError)


async def test_waiting_in_vain_is_a_failure(commerce: Commerce) -> None:
    """A condition that never comes true ends in a TimeoutError."""
    with pytest.raises(TimeoutError):
        await commerce.wait(lambda: False, 0.01)
