"""The clients of the storm: each plays one script after the other and judges every reply, whole or not."""

import asyncio
import gzip
import json
import re
import socket
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from gateway.demo.data import PEOPLE, Person
from tests.storm.plan import AT_FAULT, CANARIES, HARMLESS, HOPELESS, Ask, Planner, Script
from tests.storm.upstream import Fault

# A reply that takes longer than this has been lost.
PATIENCE = 30.0
STATUS_LINE = re.compile(r"HTTP/1\.1 ([1-5][0-9]{2}) [ -~]*")
_RESET = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Tally:
    """What became of the requests. `wrong` must stay empty."""

    sent: int = 0
    replies: int = 0
    partial: int = 0
    aborts: int = 0
    stray: int = 0
    connections: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    faults: Counter[Fault] = field(default_factory=Counter)
    strays: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def unanswered(self) -> int:
        """Requests that got no whole reply: one side broke off, or the connection ended with the reply before."""
        return self.sent - self.replies


class _EndedError(Exception):
    """The gateway ended the connection; `part` is what came of a reply before."""

    def __init__(self, part: bytes) -> None:
        super().__init__()
        self.part = part


async def play(plan: Planner, requests: int, places: Sequence[tuple[str, int]], tally: Tally) -> None:
    """Play script after script, each at the next place, until that many requests were sent.

    Several clients share plan and tally.
    """
    while tally.sent < requests:
        script = plan.script(tally.connections)
        host, port = places[tally.connections % len(places)]
        tally.connections += 1
        await _Connection(script, tally).run(host, port)


class _Connection:
    """One connection and its script."""

    def __init__(self, script: Script, tally: Tally) -> None:
        self._script = script
        self._tally = tally
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._received = 0

    async def run(self, host: str, port: int) -> None:
        """Send the batches and read the replies in order, until the script or the connection ends."""
        tally, script = self._tally, self._script
        limit = 2048 if script.slow else 2**20
        self._reader, self._writer = await asyncio.open_connection(host, port, limit=limit)
        if script.slow:
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._batches()
        except TimeoutError:
            tally.wrong.append(f"no reply in time: {[ask.raw for ask in script.asks]!r}")
        except ConnectionError:
            # It ended while the client was still writing.
            pass
        finally:
            if script.cut_request is not None or script.cut_reply is not None:
                # Some leave with a reset, as a phone does that lost its net; the gateway may have been faster.
                with suppress(OSError):
                    self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._writer.transport.abort()

    async def _batches(self) -> None:
        script, sent = self._script, 0
        for batch in script.batches:
            raw = b"".join(ask.raw for ask in batch)
            ends_here = script.cut_request is not None and script.cut_request < sent + len(raw)
            if ends_here and script.cut_request is not None:
                raw = raw[: script.cut_request - sent]
                batch = [ask for ask, end in zip(batch, _ends(batch), strict=True) if end <= len(raw)]  # noqa: PLW2901
            sent += len(raw)
            self._tally.sent += len(batch)
            await self._send(raw)
            if ends_here:
                self._tally.aborts += 1
                return
            for ask in batch:
                if not await self._take(ask):
                    return
        # The client is done; what comes without a question belongs to nobody.
        if self._script.cut_reply is None and await self._is_talking():
            self._tally.wrong.append("bytes that nobody asked for")

    async def _send(self, raw: bytes) -> None:
        for size in self._script.pieces:
            self._writer.write(raw[:size])
            raw = raw[size:]
            # Lets the gateway see the piece alone.
            await asyncio.sleep(0)
        self._script.pieces = []
        self._writer.write(raw)

    async def _take(self, ask: Ask) -> bool:
        """Read and judge one reply; False where nothing can follow."""
        tally = self._tally
        try:
            status, fields, body, head = await self._reply()
        except _EndedError as ended:
            self._judge_bytes(ask, ended.part)
            tally.partial += bool(ended.part)
            broken = ended.part and not ask.relayed
            if broken and self._script.cut_reply is None:
                tally.wrong.append(f"{ask.kind} {ask.tag}: a guarded reply broke off: {ended.part[:300]!r}")
            return False
        if self._script.cut_reply is not None and self._received > self._script.cut_reply:
            tally.aborts += 1
            return False
        self._judge(ask, status, fields, body, head)
        return "close" not in fields.get("connection", "").lower()

    async def _reply(self) -> tuple[int, dict[str, str], bytes, bytes]:
        """Read one reply whole: status, headers, body, and head as it came."""
        head = b""
        try:
            while not head.endswith(b"\r\n\r\n"):
                line = await self._bytes_until(b"\r\n")
                head += line
            first, *lines = head[:-4].decode("latin-1").split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            found = STATUS_LINE.fullmatch(first)
            status = int(found[1]) if found else 0
            if len(fields) != len(lines) and "set-cookie" not in fields:
                status = 0
            return status, fields, await self._body(status, fields, head), head
        except asyncio.IncompleteReadError as error:
            raise _EndedError(head + error.partial) from None
        except ConnectionError:
            raise _EndedError(head) from None

    async def _body(self, status: int, fields: dict[str, str], head: bytes) -> bytes:
        if status in {204, 304}:
            return b""
        if "transfer-encoding" not in fields:
            return await self._exactly(int(fields.get("content-length", 0)), head)
        body = b""
        while size := int(await self._bytes_until(b"\r\n"), 16):
            body += (await self._exactly(size + 2, head + body))[:-2]
        await self._exactly(2, head + body)
        return body

    async def _bytes_until(self, mark: bytes) -> bytes:
        line = await self._reader.readuntil(mark)
        self._received += len(line)
        return line

    async def _exactly(self, size: int, before: bytes) -> bytes:
        data = b""
        while len(data) < size:
            piece = await self._reader.read(min(size - len(data), 1024 if self._script.slow else size))
            if not piece:
                raise asyncio.IncompleteReadError(before + data, size)
            data += piece
            self._received += len(piece)
            if self._script.slow:
                # Reads a little at a time, so that the gateway's buffers fill.
                await asyncio.sleep(0.001)
        return data

    async def _is_talking(self) -> bool:
        """Tell whether more has come already."""
        try:
            async with asyncio.timeout(0.001):
                return bool(await self._reader.read(1))
        except (TimeoutError, ConnectionError):
            return False

    def _judge_bytes(self, ask: Ask, data: bytes) -> None:
        for person in PEOPLE:
            if person is not ask.person and CANARIES[person.email] in data:
                self._tally.wrong.append(f"{ask.kind} {ask.tag} of {_who(ask.person)} shows {person.name}: {data!r}")

    def _judge(self, ask: Ask, status: int, fields: dict[str, str], body: bytes, head: bytes) -> None:
        """Judge a whole reply."""
        tally = self._tally
        tally.replies += 1
        tally.statuses[status] += 1
        tally.kinds[ask.kind] += 1
        tally.faults[ask.fault] += 1
        if fields.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self._judge_bytes(ask, head + body)
        if problem := _problem(ask, status, fields, body):
            tally.wrong.append(f"{ask.kind} {ask.tag} of {_who(ask.person)}: {problem}: {(head + body)[:700]!r}")
        elif status != ask.status and ask.fault in HARMLESS:
            # A connection that the upstream closed at that moment: nobody can tell what became of the request.
            tally.stray += 1
            tally.strays[f"{ask.kind}:{ask.fault}:{status}"] += 1


def _problem(ask: Ask, status: int, fields: dict[str, str], body: bytes) -> str | None:
    """Say what is wrong with a reply, but for whose records it holds."""
    if "x-request-id" not in fields:
        return "no reply of the gateway's"
    if ask.relayed and ask.fault is Fault.REDIRECT and status == 302:
        return "a redirect with a body" if body else None
    try:
        document = json.loads(body)
    except ValueError:
        return "no JSON"
    if status >= 400:
        if status != ask.status and status not in AT_FAULT:
            return f"status {status}, not {ask.status}"
        return None if document["errors"][0]["status"] == status else "an error without envelope"
    if ask.fault is Fault.EMPTY and ask.status == 201 and document == {"data": None}:
        # What was written says nothing, and that is what is said.
        return None
    if status != ask.status:
        return f"status {status}, not {ask.status}"
    if ask.fault in HOPELESS and not ask.relayed:
        return "a wrong answer was passed on"
    try:
        return None if ask.is_right(document) else "another request's reply"
    except (LookupError, TypeError):
        return "another request's reply"


def _who(person: Person | None) -> str:
    return person.name if person else "the public"


def _ends(batch: list[Ask]) -> Iterator[int]:
    end = 0
    for ask in batch:
        end += len(ask.raw)
        yield end
