"""An edge of its own over a flow that does what a test says; and what every error and every line of the log is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.config.compile import key_ring, snapshot
from gateway.config.load import load
from gateway.flow import Snapshot
from gateway.server.body import Patience
from gateway.server.connection import GatewayServer
from gateway.server.edge import Edge
from gateway.vocab.events import Event
from gateway.vocab.messages import Body, Reply, Request, Trace
from gateway.vocab.refusals import Refusal
from tests.gateways import MOLTIN, Site, environment
from tests.server.raw import RawClient, RawReply, until

CANARY = "eyJ-canary-token-in-a-broken-line"
MIB = 1024 * 1024
STANDARD = Patience()


def assert_error(reply: RawReply, status: int, code: str) -> None:
    """Check the one shape of every error."""
    assert (reply.status, reply.code) == (status, code)
    (error,) = reply.json()["errors"]
    assert type(error["status"]) is int
    assert error["status"] == status
    assert error["title"]
    assert error["detail"]
    assert reply.values("content-type") == ["application/json"]
    assert len(reply.values("x-request-id")) == 1


async def done(site: Site, count: int = 1) -> list[dict[str, Any]]:
    """Return the access log once it has `count` lines."""

    def lines() -> list[dict[str, Any]]:
        return [line for line in site.log_lines() if line["event"] == "request"]

    await until(lambda: len(lines()) >= count)
    return lines()


@dataclass(slots=True)
class Stage:
    """Stands where flow does: answers with what the test gives, or raises it."""

    outcome: Reply | Refusal | Exception = field(default_factory=lambda: Reply(204))
    reads: bool = False
    asked: list[Request] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    async def handle(self, snapshot: Snapshot, request: Request, body: Body, trace: Trace) -> Reply | Refusal:
        """Answer as told."""
        del snapshot, trace
        self.asked.append(request)
        if self.reads:
            await body.read(MIB)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@asynccontextmanager
async def stage(stage: Stage, folder: Path, patience: Patience = STANDARD) -> AsyncIterator[RawClient]:
    """Run an edge over a stage, and connect to it."""
    config = load(MOLTIN, environment(folder, "http://upstream.example"))
    compiled = snapshot(config, key_ring(config))
    clock = asyncio.get_running_loop().time
    edge = Edge(stage, lambda: compiled, stage.events.append, clock, clock, patience)
    runner = web.ServerRunner(GatewayServer(edge, keepalive_timeout=5), handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()
        await runner.cleanup()
