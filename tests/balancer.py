"""Stands before replicas as a Service of Kubernetes does: each connection goes to the next of them, and stays there."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

Place = tuple[str, int]


@asynccontextmanager
async def balanced(places: Sequence[Place]) -> AsyncIterator[str]:
    """Give the URL that leads to the replicas at these places."""
    turns = itertools.cycle(places)
    carrying: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        carrying.add(task)
        there_reader, there_writer = await asyncio.open_connection(*next(turns))
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass(reader, there_writer))
                both.create_task(_pass(there_reader, writer))
        finally:
            carrying.discard(task)
            for end in (writer, there_writer):
                end.transport.abort()

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in [*carrying]:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)
        await server.wait_closed()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    # Whoever has ended is not spoken to any more, by the one behind it neither.
    writer.close()
