"""One connection of the fake upstream: reads requests, asks which set-up applies, answers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from gateway.demo.answers import json_answer
from gateway.demo.shop import Shop
from tests.fakes.acts import ACTS, chunk_bytes, normal, true_answer
from tests.fakes.faults import Injection, Predicate
from tests.fakes.wire import Connection, ConnectionState, Recorded, body_parts, head_bytes, read_head


@dataclass(eq=False, slots=True)
class Script:
    """Canned bytes for some requests."""

    when: Predicate
    raw: bytes | Callable[[Recorded], bytes]
    times: int | None = None
    close: bool = False
    hits: int = field(default=0, init=False)


@dataclass(eq=False, slots=True)
class Download:
    """A body of `size` bytes that is made while it is sent; `sent` counts what the transport took."""

    when: Predicate
    size: int
    chunk: int = 65536
    chunked: bool = False
    times: int | None = None
    sent: int = field(default=0, init=False)
    hits: int = field(default=0, init=False)


@dataclass(eq=False, slots=True)
class Upload:
    """Uploads that are counted and thrown away; `gate`, if any, holds back reading after the head."""

    when: Predicate
    gate: asyncio.Event | None = None
    times: int | None = None
    hits: int = field(default=0, init=False)


Rule = Injection | Script | Download | Upload


class Host(Protocol):
    """What a conversation needs of the server it belongs to."""

    shop: Shop

    def began(self, request: Recorded) -> None:
        """Note a head."""

    def ended(self, request: Recorded) -> None:
        """Note a whole request."""

    def rule_for(self, request: Recorded) -> Rule | None:
        """Give the set-up for the request and count its use."""

    def changed(self) -> None:
        """Tell whoever waits that something happened."""

    async def wait(self, condition: Callable[[], bool], seconds: float | None) -> None:
        """Wait until the condition holds."""


class Conversation:
    """The requests of one connection, one after the other."""

    def __init__(
        self, host: Host, connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.shop = host.shop
        self.request: Recorded
        self._host = host
        self._connection = connection
        self._reader = reader
        self._writer = writer

    async def run(self) -> None:
        """Answer until one side ends it."""
        while True:
            request = await read_head(self._reader, self._connection)
            if request is None:
                return
            self.request = request
            self._connection.requests += 1
            self._host.began(request)
            rule = self._host.rule_for(request)
            await self._take_body(rule)
            self._host.ended(request)
            again = await self._answer(rule)
            if not again or request.version == "HTTP/1.0" or (request.header("connection") or "").lower() == "close":
                return

    async def send(self, data: bytes) -> None:
        """Send bytes and wait until the transport took them."""
        self._writer.write(data)
        await self._writer.drain()

    async def peer_gone(self) -> None:
        """Wait until the peer has left."""
        await self._host.wait(lambda: self._connection.state is not ConnectionState.OPEN, None)

    async def _take_body(self, rule: Rule | None) -> None:
        request = self.request
        counted = isinstance(rule, Upload)
        if isinstance(rule, Upload) and rule.gate is not None:
            await rule.gate.wait()
        raw, body = [request.raw], []
        async for wire, payload in body_parts(self._reader, request):
            request.received += len(payload)
            if not counted:
                raw.append(wire)
                body.append(payload)
            self._host.changed()
        request.raw, request.body, request.complete = b"".join(raw), b"".join(body), True

    async def _answer(self, rule: Rule | None) -> bool:
        if rule is None:
            return await normal(self, true_answer(self))
        if isinstance(rule, Injection):
            return await ACTS[rule.fault](self, rule)
        if isinstance(rule, Script):
            await self.send(rule.raw if isinstance(rule.raw, bytes) else rule.raw(self.request))
            return not rule.close
        if isinstance(rule, Download):
            return await self._stream(rule)
        return await normal(self, json_answer({"data": {"type": "upload", "bytes": self.request.received}}))

    async def _stream(self, rule: Download) -> bool:
        framing = ("transfer-encoding", "chunked") if rule.chunked else ("content-length", str(rule.size))
        await self.send(head_bytes(200, [("content-type", "application/octet-stream"), framing]))
        while rule.sent < rule.size:
            part = bytes(min(rule.chunk, rule.size - rule.sent))
            await self.send(chunk_bytes(part) if rule.chunked else part)
            rule.sent += len(part)
            self._host.changed()
        if rule.chunked:
            await self.send(chunk_bytes(b""))
        return True
