"""Bodies on their way: memory, back-pressure, broken upstreams, and which headers pass in which direction."""

import asyncio
import os
import re
import sys
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.demo.data import DEMO_PASSWORDS, RON, RON_ID
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import MOLTIN, STOREFRONT, Site, environment
from tests.gateways import site as run_site
from tests.server.raw import RawReply, connected, served, until

MIB = 1024 * 1024
FILE = "/v2/files/big"
CART = "/v2/carts/streaming/items"
QUICK = """
extends: moltin.yaml
upstream:
  timeouts: {connect: 300ms, first_byte: 400ms, idle: 400ms, total: 2s}
"""
JSON = "content-type: application/json\r\n"


@pytest.fixture
async def quick(upstream: Commerce, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a gateway that loses patience with its upstream quickly."""
    async with run_site(upstream, tmp_path, config=QUICK, passwords=False) as site:
        yield site


# --- Whose connections ----------------------------------------------------------------------------------------------


async def test_slow_relays_do_not_keep_logins_and_guarded_routes_waiting(upstream: Commerce, tmp_path: Path) -> None:
    """Uploads that stall hold their share of the connections: a login and a customer's orders go on at once."""
    config = (
        "extends: moltin.yaml\nupstream:\n  connections: 4\n  timeouts: {connect: 300ms}\n"
        "  # What relays leave is to be seen, not what a route does.\n  shares: {route: 1000}\n"
    )
    async with run_site(upstream, tmp_path, config=config) as site, AsyncExitStack() as stack:
        bearer = await site.bearer()
        head = f"POST {CART}/items HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {bearer}\r\n"
        head += "transfer-encoding: chunked\r\n\r\n1\r\na\r\n"
        for count in (1, 2, 3):
            client = await stack.enter_async_context(connected(site))
            client.send(head)
            await upstream.wait(lambda: len([r for r in upstream.unfinished if r.path == f"{CART}/items"]) == count)  # noqa: B023 - awaited here
        for method in ("GET", "HEAD"):
            answer = await site.public(method, "/v2/products")
            assert answer.status == 503
        assert (await site.customer(RON.email, "GET", "/v2/orders")).status == 200
        assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201


# --- Memory and back-pressure ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Serving:
    """The installed command as a process of its own."""

    pid: int
    url: str

    def memory(self, field: str) -> int:
        """Return a field of the process' status in bytes: VmRSS now, VmHWM at its highest."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024


@asynccontextmanager
async def serving(commerce: Commerce, folder: Path) -> AsyncIterator[Serving]:
    """Run `gateway serve` on free ports."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "serve", "--config", str(MOLTIN)),
        *("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"),
        env=os.environ | environment(folder, commerce.url),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        found = None
        async with asyncio.timeout(30):
            while found is None and (line := await process.stdout.readline()):
                found = re.search(r'"detail":"public ([^",]+),', line.decode())
        assert found is not None
        yield Serving(process.pid, f"http://{found[1]}")
    finally:
        process.terminate()
        await process.communicate()


async def zeros(size: int) -> AsyncIterator[bytes]:
    """Give a body without holding it."""
    piece = bytes(256 * 1024)
    for _ in range(size // len(piece)):
        yield piece


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
async def test_a_gibibyte_either_way_takes_no_memory(upstream: Commerce, tmp_path: Path, *, chunked: bool) -> None:
    """A body of 1 GiB passes down and up, whole, and the gateway's memory does not grow with it."""
    size = 1024 * MIB
    upstream.stream_down(at(FILE), size, chunk=256 * 1024, chunked=chunked)
    upstream.count_upload(at(CART, "PUT"))
    async with serving(upstream, tmp_path) as gateway, aiohttp.ClientSession(gateway.url) as session:
        form = {"grant_type": "implicit", "client_id": STOREFRONT}
        async with session.post("/oauth/access_token", data=form) as answer:
            headers = {"authorization": f"Bearer {(await answer.json())['access_token']}"}
        async with session.get("/v2/products", headers=headers) as answer:
            await answer.read()
        before = gateway.memory("VmRSS")
        received = 0
        async with session.get(FILE, headers=headers) as answer:
            assert (answer.content_length is None) == chunked
            async for piece in answer.content.iter_any():
                received += len(piece)
        assert received == size
        headers |= {} if chunked else {"content-length": str(size)}
        async with session.put(CART, data=zeros(size), headers=headers) as answer:
            assert answer.status == 200
        assert upstream.requests[-1].received == size
        growth = gateway.memory("VmHWM") - before
        assert growth <= 32 * MIB


async def test_a_client_that_does_not_read_stops_the_upstream(bare: Site) -> None:
    """What is not taken from the gateway is not taken from the upstream either."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    download = bare.commerce.stream_down(at(FILE), 1024 * MIB)
    async with connected(bare, buffer=65536) as client:
        client.ask("GET", FILE, bearer)
        await client.head()
        still = await _settled(lambda: download.sent)
        assert still < 64 * MIB
        assert bare.commerce.requests[0].connection in bare.commerce.open_connections


async def test_an_upstream_that_does_not_read_stops_the_client(bare: Site) -> None:
    """What the upstream does not take is not taken from the client."""
    gate = asyncio.Event()
    bare.commerce.count_upload(at(CART, "PUT"), gate=gate)
    bearer = await bare.bearer()
    given = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal given
        async for piece in zeros(256 * MIB):
            given += len(piece)
            yield piece

    async with asyncio.TaskGroup() as group:
        headers = {"authorization": f"Bearer {bearer}"}
        upload = group.create_task(bare.call("PUT", CART, data=body(), headers=headers))
        await bare.commerce.wait(lambda: len(bare.commerce.unfinished) == 1)
        assert await _settled(lambda: given) < 64 * MIB
        gate.set()
    assert upload.result().json()["data"]["bytes"] == 256 * MIB


async def _settled(value: Any) -> int:
    """Wait until a number has stopped growing for a quarter of a second."""
    last, since = -1, 0
    while since < 5:
        now = value()
        since = since + 1 if now == last else 0
        last = now
        await asyncio.sleep(0.05)
    return int(last)


async def test_the_first_piece_does_not_wait_for_the_last(bare: Site) -> None:
    """An open answer is passed on as it comes."""
    gate = asyncio.Event()
    bare.commerce.fault(Fault.SLOW_BODY, when=at("/v2/products"), gate=gate)
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    async with connected(bare) as client:
        client.ask("GET", "/v2/products", bearer)
        status, _, _ = await client.head()
        assert status == 200
        assert await client.reader.readuntil(b"data")
        gate.set()


# --- An upstream that takes its time --------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/v2/products", f"/v2/customers/{RON_ID}"], ids=["open", "guarded"])
async def test_a_silent_upstream(quick: Site, target: str) -> None:
    """An upstream that does not answer in time is a 504."""
    quick.commerce.fault(Fault.SILENT)
    answer = await quick.trusted("GET", target)
    assert (answer.status, answer.code) == (504, "UPSTREAM_TIMEOUT")
    await quick.commerce.wait(lambda: quick.commerce.requests[0].connection not in quick.commerce.open_connections)


async def test_a_guarded_answer_that_stalls(quick: Site) -> None:
    """Where nothing has left yet, an answer that stalls is a 504."""
    quick.commerce.fault(Fault.SLOW_BODY, gate=asyncio.Event())
    answer = await quick.trusted("GET", f"/v2/customers/{RON_ID}")
    assert (answer.status, answer.code) == (504, "UPSTREAM_TIMEOUT")


@pytest.mark.parametrize("fault", [Fault.SLOW_BODY, Fault.CUT_BODY, Fault.LONG_LENGTH])
@pytest.mark.parametrize("framing", ["HTTP/1.1", "HTTP/1.0"])
async def test_a_stream_that_breaks_never_ends_well(quick: Site, fault: Fault, framing: str) -> None:
    """Once the head has left, a broken answer breaks the client's connection: no last chunk, no full length."""
    quick.commerce.fault(fault, when=at("/v2/products"), gate=asyncio.Event())
    bearer = await quick.bearer()
    raw = bytearray()
    async with connected(quick) as client:
        client.send(f"GET /v2/products {framing}\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n\r\n")
        # Without chunks the end of the connection is the end of the body: only a reset tells that it is not.
        with pytest.raises(ConnectionResetError):
            await _read_into(raw, client.reader)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n")[0]
    assert not body.endswith(b"0\r\n\r\n")
    await until(lambda: any(line.get("route") == "products" for line in quick.log_lines()))
    assert quick.log_lines()[-1]["aborted"] is True


async def _read_into(raw: bytearray, reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(5):
        while piece := await reader.read(1024):
            raw += piece


async def test_the_whole_exchange_is_limited(quick: Site) -> None:
    """An upload that trickles for ever ends at the total limit, whatever comes in between."""
    bearer = await quick.bearer()

    async def trickle() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"."
            await asyncio.sleep(0.1)

    quick.commerce.count_upload(at(CART, "PUT"))
    started = time.monotonic()
    answer = await quick.call("PUT", CART, data=trickle(), headers={"authorization": f"Bearer {bearer}"})
    assert answer.status == 504
    assert 1.5 < time.monotonic() - started < 8


async def test_an_upload_that_stalls(quick: Site) -> None:
    """A client that stops in the middle of its body is told so, and the upstream's connection is closed."""
    bearer = f"Authorization: Bearer {await quick.bearer()}"
    async with connected(quick) as client:
        client.ask("PUT", CART, bearer, "Content-Length: 100000")
        client.send(b"abc")
        reply = await client.reply()
        assert (reply.status, reply.code) == (408, "BODY_TIMEOUT")
        assert reply.ends
        await quick.commerce.wait(
            lambda: quick.commerce.unfinished[0].connection not in quick.commerce.open_connections
        )


async def test_an_early_answer_reaches_the_client(bare: Site) -> None:
    """An upstream that refuses an upload before its end is heard by the client at once."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    await bare.public("GET", "/v2/products")
    port = bare.commerce.port
    await bare.commerce.stop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"errors":[{"status":413,"title":"Too large"}]}'
        writer.write(f"HTTP/1.1 413 X\r\n{JSON}content-length: {len(body)}\r\n\r\n".encode() + body)
        await reader.read()

    async with served(serve, port), connected(bare) as client:
        client.ask("PUT", CART, bearer, f"Content-Length: {512 * MIB}")
        client.send(bytes(65536))
        reply = await client.reply()
        assert reply.status == 413
        assert reply.ends
    assert not [line for line in bare.log_lines() if line["event"] == "failed"]


# --- A broken upstream ----------------------------------------------------------------------------------------------


async def test_nobody_listens(site: Site) -> None:
    """An upstream that is down is a 502."""
    await site.bearer()
    await site.commerce.stop()
    answer = await site.public("GET", "/v2/products")
    assert (answer.status, answer.code) == (502, "UPSTREAM_UNREACHABLE")


BROKEN = [
    (Fault.CLOSE, "UPSTREAM_INVALID"),
    (Fault.CUT_BODY, "UPSTREAM_INVALID"),
    (Fault.TRUNCATED_JSON, "UPSTREAM_INVALID"),
    (Fault.TRAILING_BYTES, "UPSTREAM_INVALID"),
    (Fault.GZIP_BOMB, "UPSTREAM_INVALID"),
    (Fault.REDIRECT, "UPSTREAM_INVALID"),
    (Fault.SERVER_ERROR, "UPSTREAM_FAILED"),
    (Fault.HTML_OK, "UPSTREAM_INVALID"),
    (Fault.HTML_ERROR, "UPSTREAM_FAILED"),
    (Fault.EMPTY_BODY, "UPSTREAM_INVALID"),
    (Fault.WRONG_TYPE, "UPSTREAM_INVALID"),
    (Fault.HUGE_HEADERS, "UPSTREAM_INVALID"),
]


@pytest.mark.parametrize(("fault", "code"), BROKEN)
async def test_broken_guarded_answers(site: Site, fault: Fault, code: str) -> None:
    """On a scoped route anything but one whole JSON document is a 502 that shows nothing of it."""
    await site.token(RON.email)
    site.commerce.fault(fault, location="/elsewhere")
    started = time.monotonic()
    answer = await site.customer(RON.email, "GET", "/v2/orders")
    assert (answer.status, answer.code) == (502, code)
    assert all(word not in answer.body for word in (b"hello", b"stack trace", b"elsewhere", b"orders"))
    assert time.monotonic() - started < 10


async def test_longer_than_it_is(quick: Site) -> None:
    """A length that is never reached is a 504 where the answer is checked."""
    quick.commerce.fault(Fault.LONG_LENGTH)
    assert (await quick.trusted("GET", "/v2/orders")).status == 504


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.CLOSE, "UPSTREAM_INVALID"),
        (Fault.HTML_OK, "UPSTREAM_INVALID"),
        (Fault.HTML_ERROR, "UPSTREAM_FAILED"),
        (Fault.EMPTY_BODY, "UPSTREAM_INVALID"),
        (Fault.HUGE_HEADERS, "UPSTREAM_INVALID"),
    ],
)
async def test_broken_open_answers(bare: Site, fault: Fault, code: str) -> None:
    """On an open route what old SDKs cannot stand becomes a JSON 502."""
    bare.commerce.fault(fault)
    answer = await bare.public("GET", "/v2/products")
    assert (answer.status, answer.code) == (502, code)


async def test_json_errors_pass_on_open_routes(bare: Site) -> None:
    """What the API says in its own envelope is the client's to read."""
    bare.commerce.fault(Fault.SERVER_ERROR, status=422)
    answer = await bare.public("POST", f"{CART}/items", json={"data": {}})
    assert answer.status == 422
    assert answer.json()["errors"][0]["status"] == 422


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", id="101"),
        pytest.param(f"HTTP/1.1 200 OK\r\n{JSON}x-a: b\rc\r\ncontent-length: 2\r\n\r\n{{}}", id="bare CR"),
        pytest.param(f"HTTP/1.1 200 OK\r\n{JSON}x-a: b\x00c\r\ncontent-length: 2\r\n\r\n{{}}", id="NUL"),
        pytest.param("HTTP/1.1 500 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nno", id="plain 500"),
    ],
)
async def test_odd_answers_on_open_routes(bare: Site, raw: str) -> None:
    """An answer that cannot be passed on as it is becomes a JSON 502, not a 500 and not a broken reply."""
    bare.commerce.script(at("/v2/products"), raw.encode("latin-1"), close=True)
    answer = await bare.public("GET", "/v2/products")
    assert answer.status == 502
    assert answer.json()["errors"][0]["status"] == 502


async def test_compressed_answers_are_read(site: Site) -> None:
    """An upstream that compresses although nobody asked is checked all the same."""
    await site.token(RON.email)
    site.commerce.fault(Fault.GZIP)
    answer = await site.customer(RON.email, "GET", "/v2/orders")
    assert answer.status == 200
    assert "content-encoding" not in answer.headers
    owners = {order["relationships"]["customer"]["data"]["id"] for order in answer.json()["data"]}
    assert owners == {RON_ID}


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param("br", b"\x0b\x02\x80{}\x03", id="brotli"),
        pytest.param("gzip, gzip", b"xx", id="twice"),
        pytest.param("gzip", b"not gzip", id="damaged"),
        pytest.param("gzip", zlib.compress(b'{"data":[]}'), id="mislabelled"),
    ],
)
async def test_encodings_that_cannot_be_read(site: Site, encoding: str, body: bytes) -> None:
    """What cannot be unpacked cannot be checked."""
    await site.token(RON.email)
    head = f"HTTP/1.1 200 OK\r\n{JSON}content-encoding: {encoding}\r\ncontent-length: {len(body)}\r\n\r\n"
    site.commerce.script(at("/v2/orders"), head.encode() + body)
    answer = await site.customer(RON.email, "GET", "/v2/orders")
    assert (answer.status, answer.code) == (502, "UPSTREAM_INVALID")


async def test_unasked_answers_reach_nobody(site: Site) -> None:
    """What an upstream sends without being asked is never anybody's answer."""
    await site.token(RON.email)
    site.commerce.forget()
    site.commerce.fault(Fault.EXTRA_BYTES, when=at("/v2/products"), times=1)
    await site.public("GET", "/v2/products")
    answer = await site.customer(RON.email, "GET", "/v2/orders")
    assert {order["relationships"]["customer"]["data"]["id"] for order in answer.json()["data"]} == {RON_ID}
    assert b'"currency"' in (await site.public("GET", "/v2/currencies")).body
    first, second = site.commerce.requests[:2]
    assert first.connection is not second.connection


async def test_a_connection_closed_after_its_answer(bare: Site) -> None:
    """An upstream that closes kept connections costs no request, and no POST is sent twice."""
    bare.commerce.fault(Fault.CLOSE_AFTER)
    for _ in range(5):
        assert (await bare.public("GET", "/v2/products")).status == 200
        assert (await bare.public("POST", f"{CART}/items", json={"data": {}})).status < 500
    posts = [request for request in bare.commerce.requests if request.method == "POST"]
    assert len(posts) == 5


# --- Redirects, links, parts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("public_url", ["", "https://shop.example/api"])
async def test_redirects_pass_with_our_address(upstream: Commerce, tmp_path: Path, public_url: str) -> None:
    """On an open route a redirect is passed on, not followed, and it leads to the gateway."""
    async with run_site(upstream, tmp_path, passwords=False, GATEWAY_PUBLIC_URL=public_url) as site:
        for location, expected in (
            (f"{upstream.url}/v2/products/2", f"{public_url}/v2/products/2"),
            ("/v2/products/2", f"{public_url}/v2/products/2"),
            ("https://cdn.example/x", "https://cdn.example/x"),
        ):
            upstream.forget()
            body = b'{"data":[]}'
            head = f"HTTP/1.1 302 X\r\n{JSON}location: {location}\r\ncontent-length: {len(body)}\r\n\r\n"
            upstream.script(at("/v2/products/1"), head.encode() + body)
            answer = await site.public("GET", "/v2/products/1")
            assert (answer.status, answer.headers["location"]) == (302, expected)
            assert [request.path for request in upstream.requests] == ["/v2/products/1"]


@pytest.mark.parametrize("public_url", ["", "https://shop.example/api"])
async def test_links_lead_to_us(upstream: Commerce, tmp_path: Path, public_url: str) -> None:
    """Absolute links of the upstream become ours in checked and in streamed answers, however these are framed."""
    async with run_site(upstream, tmp_path, GATEWAY_PUBLIC_URL=public_url) as site:
        mine = await site.customer(RON.email, "GET", "/v2/orders?page[limit]=2")
        assert mine.json()["links"]["first"].startswith(f"{public_url}/v2/orders?")
        whole = (await site.public("GET", "/v2/products")).body
        assert upstream.url.encode() not in mine.body + whole
        assert f'"{public_url}/v2/products'.encode() in whole
        for size in (1, 7, 64):
            upstream.fault(Fault.CHUNKED, when=at("/v2/products"), size=size)
            assert (await site.public("GET", "/v2/products")).body == whole


async def test_parts_pass(bare: Site) -> None:
    """Range and If-Range go up on catalogue routes; the part and its headers come down untouched."""
    part = f'"{bare.commerce.url}/v2'.encode()
    head = (
        f"HTTP/1.1 206 X\r\ncontent-type: image/png\r\ncontent-range: bytes 5-9/100\r\naccept-ranges: bytes\r\n"
        f'etag: "a"\r\ncontent-length: {len(part)}\r\n\r\n'
    )
    bare.commerce.script(at(FILE), head.encode() + part)
    answer = await bare.public("GET", FILE, {"Range": "bytes=5-9", "If-Range": '"a"'})
    assert (answer.status, answer.body) == (206, part)
    assert answer.headers["content-range"] == "bytes 5-9/100"
    assert answer.headers["content-length"] == str(len(part))
    assert answer.headers["etag"] == '"a"'
    (request,) = bare.commerce.requests
    assert (request.header("range"), request.header("if-range")) == ("bytes=5-9", '"a"')


async def test_not_modified_passes(bare: Site) -> None:
    """If-None-Match goes up and 304 comes down, without a body and without a length of zero."""
    bare.commerce.script(at("/v2/products"), b'HTTP/1.1 304 X\r\netag: "a"\r\n\r\n')
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    async with connected(bare) as client:
        for _ in range(2):
            client.ask("GET", "/v2/products", bearer, 'If-None-Match: "a"')
            reply = await client.reply()
            assert (reply.status, reply.body, reply.values("etag")) == (304, b"", ['"a"'])
            assert reply.values("content-length") in ([], ["0"][:0])
    assert [request.header("if-none-match") for request in bare.commerce.requests] == ['"a"', '"a"']


async def test_conditions_do_not_pass_for_scoped_lists(site: Site) -> None:
    """A guard must see a whole, present answer, and a list's date may be that of records that are not in it."""
    headers = {"Range": "bytes=0-1", "If-None-Match": '"a"', "If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}
    answer = await site.customer(RON.email, "GET", "/v2/orders", headers)
    assert answer.status == 200
    names = {name.lower() for name, _ in site.commerce.requests[-1].headers}
    assert names.isdisjoint({"range", "if-none-match", "if-modified-since"})


async def test_head_on_catalogue_routes(bare: Site) -> None:
    """HEAD goes up as HEAD; the reply has no body, and no length but the one that GET has."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    head = "HTTP/1.1 200 X\r\ncontent-type: image/png\r\ncontent-length: 1234\r\n\r\n"
    bare.commerce.script(at(FILE, "HEAD"), head.encode())
    async with connected(bare) as client:
        client.ask("HEAD", FILE, bearer)
        reply = await client.reply(to_head=True)
        assert (reply.status, reply.values("content-length")) == (200, ["1234"])
        # Links in JSON are rewritten, which changes the length.
        client.ask("HEAD", "/v2/products", bearer)
        reply = await client.reply(to_head=True)
        assert reply.status == 200
        assert "0" not in reply.values("content-length")
        client.ask("GET", "/v2/currencies", bearer)
        assert b'"currency"' in (await client.reply()).body
    assert [request.method for request in bare.commerce.requests] == ["HEAD", "HEAD", "GET"]


async def test_head_on_scoped_routes(site: Site) -> None:
    """HEAD on a scoped route is decided on the whole answer, and has the length of GET's reply."""
    full = await site.customer(RON.email, "GET", "/v2/orders")
    lines = (f"Authorization: Bearer {site.bearers['public']}", f"X-Moltin-Customer-Token: {site.tokens[RON.email]}")
    async with connected(site) as client:
        client.ask("HEAD", "/v2/orders", *lines)
        reply = await client.reply(to_head=True)
        assert (reply.status, reply.values("content-length")) == (200, [str(len(full.body))])
        client.ask("HEAD", "/v2/customers/somebody-else", *lines)
        assert (await client.reply(to_head=True)).status == 404
        client.ask("GET", "/v2/currencies", *lines)
        assert b'"currency"' in (await client.reply()).body
    assert site.commerce.requests[-2].method == "GET"


# --- Headers on their way up ----------------------------------------------------------------------------------------

DROPPED = {
    "TE": "trailers",
    "Trailer": "X-After",
    "Keep-Alive": "timeout=5",
    "Proxy-Authorization": "Basic x",
    "Proxy-Connection": "keep-alive",
    "X-Forwarded-For": "10.0.0.1",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/x",
    "X-Forwarded-Uri": "/v2/customers",
    "Forwarded": "for=10.0.0.1",
    "X-Real-Ip": "10.0.0.1",
    "X-Original-Url": "/v2/customers",
    "X-Rewrite-Url": "/v2/customers",
    "X-Envoy-Original-Path": "/v2/customers",
    "X-HTTP-Method-Override": "DELETE",
    "X-Method-Override": "DELETE",
    "X-Moltin-Auth-Store": "another-store",
    "EP-Internal-Search-Ast-v1": "{}",
    "EP-Account-Management-Authentication-Token": "t",
    "X_Moltin_Customer_Token": "t",
    "X.Moltin.Customer.Token": "t",
    "X-Customer-Id": "c2",
    "Cookie": "session=1",
    "Referer": "https://shop.example/secret",
    "Idempotency-Key": "k1",
    "Accept-Encoding": "gzip, br",
    "Expect": "100-continue",
    "Via": "evil.example",
}


@pytest.mark.parametrize("target", ["/v2/products", "/v2/orders"], ids=["open", "scoped"])
async def test_what_never_goes_up(site: Site, target: str) -> None:
    """Hop-by-hop lines, lines for other readers than the API, and aliases of identity end at the gateway."""
    token = await site.token(RON.email)
    site.commerce.forget()
    async with connected(site) as client:
        lines = [f"{name}: {value}" for name, value in DROPPED.items()]
        lines += [f"Authorization: Bearer {site.bearers['public']}", f"X-Moltin-Customer-Token: {token}"]
        client.ask("GET", target, *lines)
        if DROPPED["Expect"]:
            status, _, _ = await client.head()
            assert status == 200
    (request,) = site.commerce.requests
    sent = {name.lower(): value for name, value in request.headers}
    assert all(sent.get(name.lower()) != value for name, value in DROPPED.items())
    assert sent["accept-encoding"] == "identity"
    assert token not in str(request.headers)
    assert len(request.values("authorization")) == 1
    assert site.bearers["public"] not in str(request.headers)


async def test_what_goes_up(bare: Site) -> None:
    """What SDKs send for the API passes as it is."""
    passing = {
        "X-Moltin-Currency": "EUR",
        "X-Moltin-Language": "de",
        "X-Moltin-Locale": "de-DE",
        "EP-Channel": "web",
        "EP-Context-Tag": "b2b",
        "Accept-Language": "de",
        "User-Agent": "shop/1",
    }
    await bare.public("GET", "/v2/products", passing)
    (request,) = bare.commerce.requests
    assert {name: request.header(name) for name in passing} == passing


async def test_connection_names_lines_away(bare: Site) -> None:
    """A line that Connection names ends here, but not ours: the upstream still gets our bearer."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    async with connected(bare) as client:
        named = "Connection: close, authorization, X-Moltin-Currency, x-request-id, Content-Length"
        client.ask("POST", f"{CART}/items", bearer, named, "X-Moltin-Currency: EUR", body=b'{"data":{}}')
        assert (await client.reply()).ends
    (request,) = bare.commerce.requests
    assert request.header("x-moltin-currency") is None
    assert len(request.values("authorization")) == 1
    assert request.header("x-request-id")
    assert request.header("connection") is None
    assert request.body == b'{"data":{}}'


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"), id="h2c"),
        pytest.param(
            (
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ),
            id="websocket",
        ),
    ],
)
async def test_no_upgrades(bare: Site, lines: tuple[str, ...]) -> None:
    """An upgrade is declined by an answer as if it had not been asked for, and what follows it is read by nobody."""
    bearer = f"Authorization: Bearer {await bare.bearer()}"
    async with connected(bare) as client:
        client.ask("POST", f"{CART}/items", bearer, *lines, body=b'{"data":{}}')
        client.ask("GET", "/v2/currencies", bearer)
        reply = await client.reply()
        assert reply.status < 500
        assert reply.ends
        assert await client.rest() == b""
    (request,) = bare.commerce.requests
    assert request.body == b'{"data":{}}'
    names = {name.lower() for name, _ in request.headers}
    assert names.isdisjoint({"upgrade", "connection", "http2-settings", "sec-websocket-key"})


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        pytest.param(("Authorization: Bearer {bearer}", "Authorization: Bearer {bearer}"), 401, id="two bearers"),
        pytest.param(("Authorization: Bearer {bearer}, Bearer {bearer}",), 401, id="two bearers in a line"),
        pytest.param(("Authorization: Bearer {bearer}", "AUTHORIZATION: Basic x"), 401, id="bearer and basic"),
        pytest.param(
            (
                "Authorization: Bearer {bearer}",
                "X-Moltin-Customer-Token: {token}",
                "x-moltin-customer-token: {token}",
            ),
            403,
            id="two tokens",
        ),
        pytest.param(
            ("Authorization: Bearer {bearer}", "X-Moltin-Customer-Token: {token}, {token}"), 403, id="tokens in a line"
        ),
        pytest.param(
            ("Authorization: Bearer {bearer}", "X-Moltin-Customer-Token:", "X-Moltin-Customer-Token: {token}"),
            403,
            id="an empty token and one",
        ),
        pytest.param(("Authorization: Bearer {bearer}", "X-Moltin-Customer-Token:"), 403, id="an empty token"),
        pytest.param(("Authorization: Bearer {bearer}", "X_Moltin_Customer_Token: {token}"), 403, id="an alias"),
        pytest.param(("Authorization: Bearer {token}",), 401, id="a token as bearer"),
        pytest.param(
            ("Authorization: Bearer {bearer}", "X-Moltin-Customer-Token: {bearer}"), 403, id="a bearer as token"
        ),
    ],
)
async def test_identity_is_one_line(site: Site, lines: tuple[str, ...], status: int) -> None:
    """Who asks is said once, under the one name, or nothing goes upstream."""
    token = await site.token(RON.email)
    site.commerce.forget()
    spelled = [line.format(bearer=site.bearers["public"], token=token) for line in lines]
    async with connected(site) as client:
        client.ask("GET", "/v2/orders", *spelled)
        reply = await client.reply()
    assert reply.status == status
    assert not site.commerce.requests


# --- Headers on their way down --------------------------------------------------------------------------------------

INNER = (
    "server: inside/1.0\r\nset-cookie: inner=1\r\naccess-control-allow-origin: https://inside.example\r\n"
    "access-control-allow-credentials: true\r\nconnection: x-named\r\nx-named: 1\r\nkeep-alive: timeout=5\r\n"
    "x-request-id: inside\r\nproxy-authenticate: Basic\r\nalt-svc: h3\r\nupgrade: h2c\r\n"
)


async def ask_with_inner_headers(site: Site) -> RawReply:
    """Ask for a file whose answer carries every header that is the gateway's own to say."""
    head = f"HTTP/1.1 200 X\r\n{INNER}content-type: image/png\r\netag: a\r\ncontent-length: 2\r\n\r\nok"
    site.commerce.script(at(FILE), head.encode())
    bearer = f"Authorization: Bearer {await site.bearer()}"
    async with connected(site) as client:
        client.ask("GET", FILE, bearer)
        return await client.reply()


async def test_what_never_comes_down(bare: Site) -> None:
    """Cookies, CORS lines, hop-by-hop lines and the name of the upstream's server end at the gateway."""
    reply = await ask_with_inner_headers(bare)
    assert (reply.status, reply.body, reply.values("etag")) == (200, b"ok", ["a"])
    assert "inside" not in str(reply.headers)
    names = [name for name, _ in reply.headers]
    assert {"set-cookie", "x-named", "keep-alive", "proxy-authenticate", "alt-svc", "upgrade"}.isdisjoint(names)
    assert reply.values("access-control-allow-origin") == ["*"]
    assert not reply.values("access-control-allow-credentials")
    assert len(reply.values("x-request-id")) == len(reply.values("content-length")) == 1


async def test_cookies_pass_where_a_route_says_so(upstream: Commerce, tmp_path: Path) -> None:
    """`set_cookie: true` opens one route for the upstream's cookies."""
    config = MOLTIN.read_text().replace(
        'path: "/v2/files/{id}", methods: [GET]', 'path: "/v2/files/{id}", set_cookie: true, methods: [GET]'
    )
    async with run_site(upstream, tmp_path, config=config, passwords=False) as site:
        assert (await ask_with_inner_headers(site)).values("set-cookie") == ["inner=1"]


async def test_scoped_answers_are_rebuilt(site: Site) -> None:
    """A checked answer carries our headers and its document, and nothing else that the upstream said."""
    await site.token(RON.email)
    site.commerce.fault(Fault.SET_COOKIE)
    answer = await site.customer(RON.email, "GET", "/v2/orders")
    assert answer.status == 200
    assert {name.lower() for name in answer.headers} == {
        "content-type", "cache-control", "vary", "access-control-allow-origin", "access-control-expose-headers",
        "x-request-id", "content-length", "date", "server",
    }  # fmt: skip
    assert answer.headers["cache-control"] == "private, no-store"
    assert "X-Moltin-Customer-Token" in answer.headers["vary"]
