"""The public port: it is opened, shared, stopped, and everything on it ends within a moment."""

import asyncio
import errno
import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from gateway.server.body import ClientTimeouts
from gateway.server.listener import Listener
from gateway.vocab.messages import Reply
from tests.server.raw import until
from tests.server.stage import DENIED, MIB, Told, assert_error, stage

NOTHING = Reply(204)
# So long nothing may take that does not wait for a client.
AT_ONCE = 0.5


async def seconds(closing: Callable[[], object]) -> float:
    """Return how long something takes."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    await closing()  # type: ignore[misc]
    return loop.time() - started


async def test_it_listens_and_stops() -> None:
    """After `stop` nobody can connect any more; who is connected already is served."""
    async with stage(Told(decided=NOTHING)) as run, run.connected() as client:
        client.ask("GET", "/a")
        assert (await client.reply()).status == 204
        host, port, *_ = run.listener.addresses[0]
        await run.listener.stop()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, port)
        client.ask("GET", "/a")
        assert (await client.reply()).status == 204


@pytest.mark.parametrize("count", [1, 40])
async def test_who_waits_to_be_accepted_is_served(count: int) -> None:
    """Connections that the kernel has made when the port is closed are answered: none is reset."""
    async with stage(Told(decided=NOTHING)) as run:
        address = run.listener.addresses[0][:2]
        with ExitStack() as stack:
            # The loop does not turn meanwhile: all of them wait.
            clients = [stack.enter_context(socket.create_connection(address)) for _ in range(count)]
            asked = clients[::2]
            for client in asked:
                client.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            stopping = asyncio.ensure_future(run.listener.stop())
            await run.finished(len(asked))
            # Who was accepted, and asks only now, is served, too.
            for client in clients[1::2]:
                client.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.wait_for(stopping, 5)
            await run.finished(count)
            assert [client.recv(1000)[:12] for client in clients] == [b"HTTP/1.1 204"] * count


async def test_who_connects_and_says_nothing_is_not_waited_for() -> None:
    """For a second a new connection is given the time to ask; such as browsers keep ready are older."""
    async with stage(Told(decided=NOTHING)) as run, run.connected():
        assert 0.5 < await seconds(run.listener.stop) < 2
        assert await seconds(run.listener.close) < AT_ONCE


async def test_stopping_may_be_cut_short() -> None:
    """Who does not want to wait for it closes at once."""
    async with stage(Told(decided=NOTHING)) as run:
        address = run.listener.addresses[0][:2]
        stopping = asyncio.ensure_future(run.listener.stop())
        await asyncio.sleep(0)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        assert await seconds(run.listener.close) < AT_ONCE
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)


async def test_both_families_on_one_port() -> None:
    """The wildcard of IPv6 serves clients of IPv4, too, and knows them by their own address."""
    async with stage(Told(decided=NOTHING)) as run:
        listener = Listener(run.edge)
        await listener.open("::", 0, shared=False)
        port = listener.addresses[0][1]
        for host in ("127.0.0.1", "::1"):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
            writer.close()
            await until(lambda: bool(run.done))
        assert [event.peer for event in run.done] == ["127.0.0.1", "::1"]
        await listener.close()


async def test_a_port_that_is_taken() -> None:
    """It cannot be had twice, unless it is shared."""
    async with stage(Told(decided=NOTHING)) as run:
        host, port, *_ = run.listener.addresses[0]
        with pytest.raises(OSError, match="in use") as raised:
            await Listener(run.edge).open(host, port, shared=False)
        assert raised.value.errno == errno.EADDRINUSE


async def test_a_port_that_is_shared() -> None:
    """Several may listen on one port where each says so."""
    async with stage(Told(decided=NOTHING)) as run:
        one, other = Listener(run.edge), Listener(run.edge)
        await one.open("127.0.0.1", 0, shared=True)
        host, port, *_ = one.addresses[0]
        await other.open(host, port, shared=True)
        assert [listener.addresses[0][1] for listener in (one, other)] == [port, port]
        await one.close()
        await other.close()


async def test_a_listener_that_never_opened() -> None:
    """It has no addresses, and can be closed."""
    async with stage(Told(decided=NOTHING)) as run:
        listener = Listener(run.edge)
        assert listener.addresses == []
        await listener.close()


async def test_connections_at_rest_end_at_once() -> None:
    """Whether they have been used or not."""
    async with stage(Told(decided=NOTHING)) as run, run.connected() as used, run.connected() as unused:
        used.ask("GET", "/a")
        assert (await used.reply()).status == 204
        assert await seconds(run.listener.close) < AT_ONCE
        assert [await client.rest() for client in (used, unused)] == [b"", b""]


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
async def test_what_is_under_way_is_cut_off(version: str) -> None:
    """What is not answered to its end is broken off by a reset: no client takes a part for the whole."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\nabc")
        await reader.read()

    async with stage(Told(is_open=True), serve) as run, run.connected() as client:
        client.send(f"GET /a {version}\r\nHost: x\r\n\r\n")
        assert (await client.head())[0] == 200
        assert await seconds(run.listener.close) < AT_ONCE
        with pytest.raises(ConnectionResetError):
            await client.reader.readexactly(MIB)
        (event,) = run.done
        assert event.aborted
        await run.emptied()


async def test_a_client_that_lingers_can_read_its_reply() -> None:
    """A last reply is not destroyed by the end; but nobody is waited for longer than a moment."""
    async with stage(Told(decided=DENIED), timeouts=ClientTimeouts(linger=60)) as run, run.connected() as client:
        client.ask("POST", "/a", f"Content-Length: {MIB}")
        client.send(bytes(1000))
        await run.finished()
        closing = asyncio.ensure_future(run.listener.close())
        client.send(bytes(1000))
        await asyncio.sleep(0.1)
        assert_error(await client.reply(), 403, "ACCESS_DENIED")
        assert await client.rest() == b""
        await asyncio.wait_for(closing, 3)


async def test_a_client_that_lingers_and_leaves_is_not_waited_for() -> None:
    """The end comes with the last client's."""
    async with stage(Told(decided=DENIED), timeouts=ClientTimeouts(linger=60)) as run:
        async with run.connected() as client:
            client.ask("POST", "/a", f"Content-Length: {MIB}")
            await run.finished()
            assert_error(await client.reply(), 403, "ACCESS_DENIED")
        assert await seconds(run.listener.close) < AT_ONCE


async def test_a_reply_that_was_written_still_leaves() -> None:
    """A reply whose end waits in our own buffer is waited for, as long as its client takes it."""
    size = 16 * MIB
    async with stage(Told(decided=Reply(200, (), bytes(size))), timeouts=ClientTimeouts()) as run:
        async with run.connected() as client:
            client.ask("GET", "/a")
            assert (await client.head())[0] == 200
            left = size
            while not run.done:
                left -= len(await client.reader.read(64 * 1024))
            # It is through as far as the gateway waits for it; some of it is still on its way.
            assert left > 0
            closing = asyncio.ensure_future(run.listener.close())
            await asyncio.sleep(0)
            await client.reader.readexactly(left)
            await asyncio.wait_for(closing, 3)
        assert not run.done[0].aborted


async def test_a_reply_that_nobody_takes_is_not_waited_for() -> None:
    """A client that never reads holds the end up for a moment."""
    flow = Told(decided=Reply(200, (), bytes(16 * MIB)))
    async with stage(flow, timeouts=ClientTimeouts()) as run, run.connected() as client:
        client.ask("GET", "/a")
        await until(lambda: bool(flow.asked))
        assert await seconds(run.listener.close) < 3
        await run.emptied()
