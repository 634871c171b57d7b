"""Connections that begin with a header of the PROXY protocol: who may send it, what counts, and what ends them."""

import asyncio
import socket
import struct
from ipaddress import ip_address
from pathlib import Path

import pytest

from gateway.server.body import ClientTimeouts
from gateway.vocab.events import ProxyHeaderRefused
from gateway.vocab.messages import Reply
from gateway.wire.client_address import Proxies
from tests.fakes.commerce import Commerce
from tests.gateways import site as run_site
from tests.server.raw import RawClient, until
from tests.server.stage import Stage, Told, assert_error, stage

NOTHING = Reply(204)
PROXY, STRANGER = "127.0.0.1", "127.0.0.2"
TRUSTED = Proxies([PROXY, "10.0.0.0/8"])
ONE = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
TOLD = b"GET /a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.9\r\n\r\n"
LINE = b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n"


def v2(source: str | None, *, command: int = 0x21) -> bytes:
    """Write a header of version 2."""
    block = b"" if source is None else ip_address(source).packed * 2 + struct.pack(">HH", 4711, 443)
    family = {0: 0x00, 12: 0x11, 36: 0x21}[len(block)]
    return b"\r\n\r\n\x00\r\nQUIT\n" + struct.pack(">BBH", command, family, len(block)) + block


def refused(run: Stage) -> list[tuple[str, str]]:
    """Return whose connections were closed, and why."""
    return [(event.peer, event.reason) for event in run.events if isinstance(event, ProxyHeaderRefused)]


async def ended(client: RawClient) -> bytes:
    """Return what comes until the connection ends, however it does."""
    try:
        return await client.rest()
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    ("header", "peers"),
    [
        (LINE, ["203.0.113.7", "203.0.113.7"]),
        (v2("203.0.113.7"), ["203.0.113.7", "203.0.113.7"]),
        (v2("2001:db8::7"), ["2001:db8::7", "2001:db8::7"]),
        (v2("::ffff:203.0.113.7"), ["203.0.113.7", "203.0.113.7"]),
        # Another proxy of ours: then the header counts.
        (v2("10.1.1.1"), ["10.1.1.1", "203.0.113.9"]),
        (v2("::ffff:10.1.1.1"), ["10.1.1.1", "203.0.113.9"]),
        (b"PROXY TCP4 10.1.1.1 10.0.0.1 4711 443\r\n", ["10.1.1.1", "203.0.113.9"]),
        # Nobody is named: it is the proxy's own, and what passes through it may be anybody's.
        (v2(None, command=0x20), [PROXY, PROXY]),
        (v2("203.0.113.7", command=0x20), [PROXY, PROXY]),
        (v2(None), [PROXY, PROXY]),
        (b"PROXY UNKNOWN\r\n", [PROXY, PROXY]),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", [PROXY, PROXY]),
    ],
    ids=lambda value: repr(value)[:60],
)
async def test_whose_connection_it_is(header: bytes, peers: list[str]) -> None:
    """The address in the header is the client's; a header of HTTP counts only where that address is trusted as well."""
    async with stage(Told(decided=NOTHING), proxies=TRUSTED, speaks_proxy=True) as run, run.connected() as client:
        client.send(header + ONE + TOLD)
        assert [(await client.reply()).status for _ in range(2)] == [204, 204]
        client.send(ONE)
        assert (await client.reply()).status == 204
        assert [request.peer for request in run.flow.asked] == [*peers, peers[0]]
        assert refused(run) == []


@pytest.mark.parametrize("header", [LINE, v2("203.0.113.7")], ids=["v1", "v2"])
async def test_a_header_that_comes_in_pieces(header: bytes) -> None:
    """Each byte may come alone, and the request in the same piece as the last one."""
    async with stage(Told(decided=NOTHING), proxies=TRUSTED, speaks_proxy=True) as run, run.connected() as client:
        for byte in header[:-1]:
            client.send(bytes([byte]))
            await asyncio.sleep(0)
            await client.writer.drain()
        client.send(header[-1:] + ONE)
        assert (await client.reply()).status == 204
        assert run.flow.asked[0].peer == "203.0.113.7"


async def test_one_header_and_no_other() -> None:
    """What follows is the client's own: a second header is no request."""
    async with stage(Told(decided=NOTHING), proxies=TRUSTED, speaks_proxy=True) as run, run.connected() as client:
        client.send(LINE + b"PROXY TCP4 6.6.6.6 10.0.0.1 4711 443\r\n" + ONE)
        assert_error(await client.reply(), 400, "REQUEST_MALFORMED")
        assert [event.peer for event in run.done] == ["203.0.113.7"]
        assert run.flow.asked == []


async def test_a_stranger() -> None:
    """Whoever is not trusted is not asked what it has to say."""
    async with stage(Told(decided=NOTHING), proxies=TRUSTED, speaks_proxy=True) as run:
        for sent in (b"", LINE + ONE, v2("203.0.113.7") + ONE, ONE):
            async with run.connected(STRANGER) as client:
                client.send(sent)
                assert await ended(client) == b""
        assert refused(run) == [(STRANGER, "untrusted")] * 4
        assert run.flow.asked == []
        await run.emptied()


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (ONE, "malformed"),
        (b"\x16\x03\x01\x02\x00", "malformed"),
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 99999\r\n" + ONE, "malformed"),
        (b"PROXY TCP4 203.0.113.7\r\n" + ONE, "malformed"),
        (v2("203.0.113.7", command=0x11) + ONE, "malformed"),
        (b"PROXY " + b"x" * 5000, "too_large"),
        (v2("203.0.113.7")[:14] + b"\xff\xff" + bytes(300), "too_large"),
    ],
    ids=lambda value: repr(value)[:60],
)
async def test_what_is_no_header(sent: bytes, reason: str) -> None:
    """The connection ends without an answer, and it is counted why."""
    async with stage(Told(decided=NOTHING), proxies=TRUSTED, speaks_proxy=True) as run, run.connected() as client:
        client.send(sent)
        client.writer.write_eof()
        assert await ended(client) == b""
        await run.emptied()
        assert refused(run) == [(PROXY, reason)]
        assert run.flow.asked == []
        assert run.done == []


@pytest.mark.parametrize("sent", [b"", b"PROXY TCP4 203", v2("203.0.113.7")[:20]], ids=["nothing", "v1", "v2"])
async def test_a_header_that_does_not_come(sent: bytes) -> None:
    """It has as long as a head has, however it trickles."""
    timeouts = ClientTimeouts(head=0.2)
    async with stage(Told(decided=NOTHING), timeouts=timeouts, proxies=TRUSTED, speaks_proxy=True) as run:
        async with run.connected() as client:
            client.send(sent)
            assert await ended(client) == b""
            await run.emptied()
        assert refused(run) == [(PROXY, "late")]


async def test_a_connection_that_ends_before_it_begins() -> None:
    """A look whether the port is there is no fault; a header that breaks off is."""
    async with stage(Told(decided=NOTHING), proxies=TRUSTED, speaks_proxy=True) as run:
        for sent in (b"", LINE[:20]):
            async with run.connected() as client:
                client.send(sent)
                client.writer.write_eof()
                assert await ended(client) == b""
            await run.emptied()
        assert refused(run) == [(PROXY, "malformed")]


async def test_a_connection_that_was_over_before_it_was_taken() -> None:
    """Health checks end by a reset at once: nobody can tell any more whose it was, and it is no news each time."""
    async with stage(Told(decided=NOTHING), proxies=TRUSTED, speaks_proxy=True) as run:
        host, port, *_ = run.listener.addresses[0]
        # The kernel makes the connection while the loop stands still here, and has reset it when it goes on.
        with socket.create_connection((host, port)) as check:
            check.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        async with run.connected() as client:
            client.send(LINE + ONE)
            assert (await client.reply()).status == 204
        await run.emptied()
        assert refused(run) == []


async def test_the_time_for_a_header_ends_with_it() -> None:
    """Behind it a connection rests as any other does."""
    timeouts = ClientTimeouts(head=0.2)
    async with stage(Told(decided=NOTHING), timeouts=timeouts, proxies=TRUSTED, speaks_proxy=True) as run:
        async with run.connected() as client:
            client.send(LINE)
            # Nothing tells that a time is over in which nothing happens.
            await asyncio.sleep(0.4)
            client.send(ONE)
            assert (await client.reply()).status == 204
        assert refused(run) == []


async def test_the_end_of_the_port() -> None:
    """Connections that wait for their header end with it, and are nobody's fault."""
    async with stage(Told(decided=NOTHING), proxies=TRUSTED, speaks_proxy=True) as run:
        async with run.connected() as waiting, run.connected() as begun:
            begun.send(LINE[:10])
            await until(lambda: len(run.listener._connections) == 2)
            await run.listener.close()
            assert [await ended(client) for client in (waiting, begun)] == [b"", b""]
        assert refused(run) == []


SETTINGS = """
extends: moltin.yaml
server: {trusted_proxies: [127.0.0.1], proxy_protocol: required}
"""


async def test_the_setting(upstream: Commerce, tmp_path: Path) -> None:
    """With it every connection needs the header; log and metrics say who came without, and the probes need none."""
    async with run_site(upstream, tmp_path, config=SETTINGS, passwords=False) as site:
        listen = site.gateway.listen
        for sent in (LINE + b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", ONE):
            reader, writer = await asyncio.open_connection(listen.host, listen.port)
            client = RawClient(reader, writer)
            client.send(sent)
            answer = await ended(client)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n") == (sent is not ONE)
            writer.close()
        await until(lambda: any(line["event"] == "proxy_header_refused" for line in site.log_lines()))
        lines = site.log_lines()
        assert [line["peer"] for line in lines if line["event"] == "request"] == ["203.0.113.7"]
        (line,) = [line for line in lines if line["event"] == "proxy_header_refused"]
        assert (line["peer"], line["reason"]) == (PROXY, "malformed")
        assert 'gateway_proxy_header_refused_total{reason="malformed"} 1.0' in await site.metrics()
