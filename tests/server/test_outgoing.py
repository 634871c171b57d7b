"""What leaves: one write for a reply, pieces before too much waits, and no body where HTTP has none."""

import asyncio

from tests.server.stage import IMAGE, Told, stage
from tests.server.wires import wired


async def test_answers_without_a_body_by_their_nature() -> None:
    """HEAD says the length that GET's reply has, 204 and 304 none; no body follows any of them."""
    said = {
        "HEAD": IMAGE + b"content-length: 1234\r\n\r\n",
        "GET": b'HTTP/1.1 304 X\r\netag: "a"\r\ncontent-length: 1234\r\n\r\n',
        "DELETE": b"HTTP/1.1 204 X\r\n\r\n",
    }

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(said[head.split()[0].decode()])

    async with stage(Told(is_open=True), serve) as run, run.connected() as client:
        for _ in range(2):
            client.ask("HEAD", "/a")
            reply = await client.reply(to_head=True)
            assert (reply.status, reply.values("content-length")) == (200, ["1234"])
            client.ask("GET", "/a")
            reply = await client.reply()
            assert (reply.status, reply.values("content-length"), reply.values("etag")) == (304, [], ['"a"'])
            client.ask("DELETE", "/a")
            reply = await client.reply()
            assert (reply.status, reply.values("content-length")) == (204, [])
            assert not reply.values("transfer-encoding")
        assert [event.bytes_sent for event in run.done] == [0] * 6


async def test_little_waits_for_the_end_of_a_turn() -> None:
    """Much that comes in one turn is written in it, so that a slow client stops the upstream before all has come."""
    async with wired(Told(is_open=True)) as run:
        run.connection.data_received(IMAGE + b"content-length: 5000000\r\n\r\n")
        taken = 0
        while not run.client.written:
            run.connection.data_received(bytes(100_000))
            taken += 100_000
            assert taken <= 400_000
        run.protocol.pause_writing()
        assert run.upstream.pauses == ["pause"]
        run.protocol.resume_writing()
        assert run.upstream.pauses == ["pause", "resume"]
        while taken < 5_000_000:
            run.connection.data_received(bytes(100_000))
            taken += 100_000
        await asyncio.sleep(0)
        assert len(run.client.written.partition(b"\r\n\r\n")[2]) == 5_000_000
        assert [event.status for event in run.done] == [200]


async def test_a_plain_answer_leaves_in_one_write() -> None:
    """Head, body and end of a reply are one write, in the turn after the answer came."""
    async with wired(Told(is_open=True)) as run:
        assert run.upstream.writes == 1
        run.connection.data_received(IMAGE + b"content-length: 3\r\n\r\nabc")
        await asyncio.sleep(0)
        assert run.client.writes == 1
        assert run.client.written.endswith(b"\r\n\r\nabc")


async def test_what_was_passed_on_leaves_before_the_end() -> None:
    """An answer that breaks off in the turn in which it came was passed on up to there."""
    async with wired(Told(is_open=True)) as run:
        run.connection.data_received(IMAGE + b"content-length: 9\r\n\r\nabc")
        run.connection.connection_lost(None)
        assert run.client.written.endswith(b"\r\n\r\nabc")
        assert run.client.is_aborted
        await asyncio.sleep(0)
        assert not run.done
        run.protocol.connection_lost(None)
        assert [event.aborted for event in run.done] == [True]
