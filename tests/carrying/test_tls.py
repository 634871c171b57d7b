"""Upstreams that are reached through TLS: whom we speak to, and the bytes of TLS itself, which are no answers."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from gateway.carrying.call import Call, Timeouts
from gateway.carrying.pool import ConnectionPool
from gateway.carrying.tls import Tls
from gateway.vocab.refusals import Code, Refusal
from tests.carrying.certificates import Authority
from tests.carrying.connected import GET, OK, PATIENT, POST, WHOLE, Upstream, asked, pool_of, saying, sent
from tests.loops import SERVING
from tests.server.raw import Serve, served, until

NO_CONNECTION = Refusal(Code.UPSTREAM_UNREACHABLE, "no connection")
SPOKE = Refusal(Code.UPSTREAM_INVALID, "new connections end, or speak, before the request")


@asynccontextmanager
async def secured(
    serve: Serve,
    context: ssl.SSLContext | None,
    *,
    host: str = "localhost",
    most: int = 4,
    times: Timeouts = PATIENT,
    tls: Tls = Tls(),  # noqa: B008 - a frozen value
) -> AsyncIterator[ConnectionPool]:
    """Run a server, and a pool that reaches it through TLS."""
    async with served(serve, tls=context) as url:
        pool = pool_of(f"https://{host}:{url.rpartition(':')[2]}", most=most, times=times, tls=tls)
        try:
            yield pool
        finally:
            await pool.close()


# --- Whom we speak to -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_an_upstream_that_proves_who_it_is(trusted: Authority, host: str) -> None:
    """By a certificate for its name or address, issued by whom this machine trusts."""
    upstream = Upstream()
    async with secured(upstream, trusted.context("localhost", "127.0.0.1"), host=host) as pool:
        assert (await asked(pool)).told == WHOLE
    assert upstream.heads[0].split(b"\r\n")[1].startswith(b"Host: %b:" % host.encode())


async def test_an_upstream_that_nobody_vouches_for(authority: Authority) -> None:
    """Nothing is sent to it: there is no connection."""
    upstream = Upstream()
    async with secured(upstream, authority.context("localhost")) as pool:
        assert (await asked(pool)).refusal == NO_CONNECTION
    assert not upstream.heads


@pytest.mark.parametrize("name", ["another.test", "*.localhost", "127.0.0.1"])
async def test_an_upstream_that_is_somebody_else(trusted: Authority, name: str) -> None:
    """A good certificate for another name is none."""
    upstream = Upstream()
    async with secured(upstream, trusted.context(name)) as pool:
        assert (await asked(pool)).refusal == NO_CONNECTION
    assert not upstream.heads


async def test_an_authority_of_the_files_own(authority: Authority) -> None:
    """`ca_file` stands in the place of the system's authorities."""
    async with secured(Upstream(), authority.context("localhost"), tls=Tls(ca=authority.file)) as pool:
        assert (await asked(pool)).told == WHOLE


async def test_the_files_authority_alone_counts(trusted: Authority, tmp_path: Path) -> None:
    """With a `ca_file` those that the system trusts are nobody."""
    other = Authority.new(tmp_path)
    async with secured(Upstream(), trusted.context("localhost"), tls=Tls(ca=other.file)) as pool:
        assert (await asked(pool)).refusal == NO_CONNECTION


async def test_an_upstream_by_another_name(authority: Authority) -> None:
    """`server_name` is what its certificate must hold and what it is asked for by; nothing else is."""
    named = Tls(ca=authority.file, server_name="shop.internal")
    asked_for: list[str | None] = []
    context = authority.context("shop.internal")
    context.sni_callback = lambda _, name, __: asked_for.append(name)
    async with secured(Upstream(), context, tls=named) as pool:
        assert (await asked(pool)).told == WHOLE
    assert asked_for == ["shop.internal"]
    async with secured(Upstream(), authority.context("localhost"), tls=named) as pool:
        assert (await asked(pool)).refusal == NO_CONNECTION


@pytest.mark.parametrize("shows", [True, False])
async def test_an_upstream_that_asks_who_we_are(authority: Authority, *, shows: bool) -> None:
    """The gateway shows the certificate it has; without one it is not let in."""
    context = authority.context("localhost")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    own = authority.issued("gateway.internal") if shows else None
    upstream = Upstream()
    async with secured(upstream, context, tls=Tls(ca=authority.file, certificate=own)) as pool:
        told = await asked(pool)
    assert (told.refusal is None) is shows
    assert bool(upstream.heads) is shows


async def test_an_upstream_of_long_ago(trusted: Authority) -> None:
    """Versions of TLS that are broken are not spoken."""
    context = trusted.context("localhost")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with secured(Upstream(), context) as pool:
        assert (await asked(pool)).refusal == NO_CONNECTION


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n", b"", OK * 100])
async def test_an_upstream_that_speaks_plain(trusted: Authority, said: bytes) -> None:
    """What comes before there is a proof is no answer, and nothing of the call is sent."""
    del trusted
    read = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal read
        writer.write(said)
        read += await reader.read(10_000)

    async with secured(serve, None) as pool:
        assert (await asked(pool, POST)).refusal == NO_CONNECTION
    assert b"/a" not in read


async def test_a_handshake_has_an_end(trusted: Authority) -> None:
    """An upstream that accepts and never shows who it is, is given up in the time for connecting."""
    del trusted
    ends = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal ends
        del writer
        await reader.read()
        ends += 1

    async with secured(serve, None, times=Timeouts(connect=0.5, first_byte=5, idle=5, total=20)) as pool:
        assert (await asked(pool)).refusal == Refusal(Code.UPSTREAM_UNREACHABLE, "no connection in time")
        # Nor is its connection left behind.
        await until(lambda: ends == 1)


async def test_a_pool_may_close_within_a_handshake(trusted: Authority) -> None:
    """Nothing of the connection is left."""
    del trusted
    begun = asyncio.Event()
    ends = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal ends
        del writer
        await reader.read(10)
        begun.set()
        while await reader.read(10_000):
            pass
        ends += 1

    async with secured(serve, None) as pool:
        waiting = sent(pool)
        await begun.wait()
        await pool.close()
        await until(lambda: ends == 1)
        assert not waiting.told


# --- Bytes of TLS -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [GET, POST], ids=["GET", "POST"])
@pytest.mark.parametrize("tickets", [0, 2, 30])
async def test_session_tickets_are_no_answer(trusted: Authority, call: Call, tickets: int) -> None:
    """They come behind the handshake, when the request is about to leave (RFC 8446 section 4.6.1): it leaves."""
    context = trusted.context("localhost")
    context.num_tickets = tickets
    upstream = Upstream()
    async with secured(upstream, context) as pool:
        for _ in range(20):
            assert (await asked(pool, call)).told == WHOLE
    assert (upstream.connections, len(upstream.heads)) == (1, 20)


async def test_many_at_once_through_tls(trusted: Authority) -> None:
    """None of the new connections is thought to be dead."""
    upstream = Upstream()
    async with secured(upstream, trusted.context("localhost"), most=8) as pool:
        receivers = [sent(pool, POST) for _ in range(100)]
        for receiver in receivers:
            assert (await receiver.done()).told == WHOLE
    assert upstream.connections == 8


async def test_an_older_tls(trusted: Authority) -> None:
    """1.2 has no bytes between its handshake and the answer."""
    context = trusted.context("localhost")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    upstream = Upstream()
    async with secured(upstream, context) as pool:
        for _ in range(3):
            assert (await asked(pool, POST)).told == WHOLE
    assert upstream.connections == 1


class Greeter(asyncio.Protocol):
    """A server that speaks with the last bytes of its handshake, and keeps what it reads."""

    def __init__(self, greeting: bytes) -> None:
        self.greeting = greeting
        self.connections = 0
        self.read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Speak."""
        self.connections += 1
        cast("asyncio.Transport", transport).write(self.greeting)

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self.read += data


@pytest.mark.parametrize("call", [GET, POST], ids=["GET", "POST"])
@pytest.mark.parametrize("greeting", [OK, b"H", OK * 10_000], ids=["an answer", "a byte", "many answers"])
async def test_an_upstream_that_speaks_first_through_tls(trusted: Authority, call: Call, greeting: bytes) -> None:
    """What is there before the request answers nobody, however well it is encrypted; the call is never sent."""
    context = trusted.context("localhost")
    # Of a later version the client's side is through first: what is said behind that comes behind the request.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    greeter = Greeter(greeting)
    server = await asyncio.get_running_loop().create_server(lambda: greeter, "127.0.0.1", 0, ssl=context)
    pool = pool_of(f"https://localhost:{server.sockets[0].getsockname()[1]}")
    try:
        assert (await asked(pool, call)).refusal == SPOKE
    finally:
        await pool.close()
        server.close()
        await server.wait_closed()
    assert (greeter.connections, greeter.read) == (2, b"")


@pytest.mark.parametrize("call", [GET, POST], ids=["GET", "POST"])
@pytest.mark.parametrize("is_seen", [True, False], ids=["read by the loop", "still in the socket"])
async def test_what_comes_at_rest_through_tls(trusted: Authority, call: Call, *, is_seen: bool) -> None:
    """An answer that nobody asked for costs the connection; the next call goes on another one."""
    writers: list[asyncio.StreamWriter] = []
    heads: list[list[bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        heads.append([])
        await saying(OK, OK, heads=heads[-1])(reader, writer)

    async with secured(serve, trusted.context("localhost")) as pool:
        first = await asked(pool)
        writers[0].write(OK.replace(b"{}", b"[]"))
        if is_seen:
            await until(lambda: not first.connection.is_open)
        second = await asked(pool, call)
        assert (second.told, second.body) == (WHOLE, b"{}")
    assert [len(seen) for seen in heads] == [1, 1]


@pytest.mark.parametrize("is_said", [True, False], ids=["said", "not said"])
def test_an_answer_that_ends_with_its_connection(trusted: Authority, *, is_said: bool) -> None:
    """TLS says when all was said (RFC 8446 section 6.1): what breaks off without is not whole, whoever cut it.

    It is told apart by uvloop; asyncio's own loop, for machines that have no other, takes either for the end.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n{}")
        await writer.drain()
        if is_said:
            writer.close()
            await writer.wait_closed()

    async def act() -> None:
        async with secured(serve, trusted.context("localhost")) as pool:
            receiver = await asked(pool)
            assert (receiver.told, receiver.body) == (
                ["answered 200", "ended" if is_said else "broken UPSTREAM_INVALID"],
                b"{}",
            )

    for make in SERVING.values():
        with asyncio.Runner(loop_factory=make) as runner:
            runner.run(act())
