"""Streams of events: the head comes when it comes, and to be quiet is no failure."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gateway.carrying.call import Timeouts
from tests.server.raw import RawClient
from tests.server.stage import Stage, Told, assert_error, stage

IDLE = Timeouts(connect=5, first_byte=5, idle=0.4)
EVENTS = "text/event-stream"


@dataclass(eq=False)
class Quiet:
    """An upstream that gives a head at once, and the rest when it may speak."""

    media_type: str
    pieces: tuple[bytes, ...] = (b"9\r\ndata: 1\n\n\r\n", b"0\r\n\r\n")
    speaks: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        while await reader.readuntil(b"\r\n\r\n"):
            head = f"HTTP/1.1 200 OK\r\ncontent-type: {self.media_type}\r\ntransfer-encoding: chunked\r\n\r\n"
            writer.write(head.encode())
            await self.speaks.wait()
            for piece in self.pieces:
                writer.write(piece)


@asynccontextmanager
async def asked(
    quiet: Quiet, idle: float | None = None, *, is_open: bool = True
) -> AsyncIterator[tuple[Stage, RawClient]]:
    """Have a client that has asked for what is quiet."""
    async with (
        stage(Told(is_open=is_open, idle=idle), quiet, limits=IDLE) as run,
        run.connected() as client,
    ):
        client.ask("GET", "/a")
        yield run, client


async def body(client: RawClient) -> bytes:
    """Read a body in chunks to its end."""
    async with asyncio.timeout(5):
        return await client.reader.readuntil(b"0\r\n\r\n")


@pytest.mark.parametrize("media_type", [EVENTS, "Text/Event-Stream; charset=utf-8"])
async def test_the_head_leaves_at_once_and_quiet_is_no_failure(media_type: str) -> None:
    """A client knows that it is connected before anything happens, and waits for it as long as it takes."""
    quiet = Quiet(media_type)
    async with asked(quiet) as (run, client):
        status, headers, _ = await client.head()
        assert (status, dict(headers)["content-type"]) == (200, media_type)
        await asyncio.sleep(3 * IDLE.idle)
        assert not run.done
        quiet.speaks.set()
        assert await body(client) == b"9\r\ndata: 1\n\n\r\n0\r\n\r\n"
        # The connections, ours to the upstream too, serve the next one, which is no less patient.
        quiet.speaks.clear()
        client.ask("GET", "/b")
        assert (await client.head())[0] == 200
        await asyncio.sleep(2 * IDLE.idle)
        quiet.speaks.set()
        await body(client)
        assert [event.aborted for event in run.done] == [False, False]


async def test_a_stream_may_end_without_an_event() -> None:
    """It is as whole as any."""
    quiet = Quiet(EVENTS, (b"0\r\n\r\n",))
    async with asked(quiet) as (run, client):
        await client.head()
        quiet.speaks.set()
        assert await body(client) == b"0\r\n\r\n"
        assert not (await run.finished())[0].aborted


async def test_a_route_may_bound_it() -> None:
    """With a limit of its own a stream that is quiet for longer is broken off."""
    async with asked(Quiet(EVENTS), 0.3) as (run, client):
        await client.head()
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await body(client)
        assert (await run.finished())[0].aborted


@pytest.mark.parametrize("is_open", [True, False])
async def test_a_route_may_be_more_patient_with_any_answer(is_open: bool) -> None:  # noqa: FBT001 - a case
    """A limit of its own counts for what is judged as well, and for that answer alone."""
    quiet = Quiet("text/plain")
    async with asked(quiet, 5.0, is_open=is_open) as (run, client):
        await asyncio.sleep(2 * IDLE.idle)
        quiet.speaks.set()
        assert (await client.reply()).status == 200
        quiet.speaks.clear()
        run.flow.idle = None
        client.ask("GET", "/b")
        assert_error(await client.reply(), 504, "UPSTREAM_TIMEOUT")


async def test_what_is_no_stream_of_events_is_held_to_the_usual_limit() -> None:
    """Silence in the middle of another answer is one that says no more."""
    async with asked(Quiet("text/plain")) as (_, client):
        assert_error(await client.reply(), 504, "UPSTREAM_TIMEOUT")


async def test_the_whole_has_an_end() -> None:
    """A stream of events lasts no longer than an exchange may."""
    limits = Timeouts(connect=5, first_byte=5, idle=0.2, total=0.8)
    async with stage(Told(is_open=True), Quiet(EVENTS), limits=limits) as run, run.connected() as client:
        client.ask("GET", "/a")
        await client.head()
        began = asyncio.get_running_loop().time()
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await body(client)
        assert 0.4 < asyncio.get_running_loop().time() - began < 3
        assert (await run.finished())[0].aborted
