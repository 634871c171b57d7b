"""Two gateways on one configuration before one upstream, one of them without the express lane, and what each one does.

`Arena.compare` holds one conversation with both: the bytes that reached the upstream, the replies, the end of the
connection and the lines in the log have to be the same, whatever the upstream said.
"""

import asyncio
import json
import re
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import astuple, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from gateway.demo.data import APRIL, LESLIE, RON
from gateway.demo.shop import Shop
from gateway.vocab.events import Lifecycle
from tests.fakes.commerce import Commerce
from tests.fakes.wire import Connection, Recorded, answer_bytes, body_parts, read_head
from tests.gateways import UPSTREAM_SECRET, Site
from tests.gateways import site as run_site
from tests.server.raw import PATIENCE, RawClient, connected, served

# Routes of both lanes; the ones of config/moltin.yaml keep passwords where most records are.
CONFIG = """\
extends: moltin.yaml
express: {express}
public_url: https://shop.example
upstream:
  link_origins: ["http://links.example"]
  owner_memory: 0s
  timeouts: {{{timeouts}}}
customers:
  hashing: {{memory: 64KiB, passes: 1, lanes: 1}}
  throttle:
    account: {{burst: 100000, per_minute: 100000}}
    address: {{burst: 100000, per_minute: 100000}}
routes:
  - name: orders
    path: /v2/orders
    methods: [GET]
    query: [filter, sort, include, "page[limit]", "page[offset]"]
    access:
      customer:
        scope:
          - filter: {{field: customer_id, aliases: [customer.id]}}
        guard:
          - owner: &own {{pointer: /relationships/customer/data/id}}
      trusted: open
  - name: order
    path: /v2/orders/{{oid}}
    methods: [GET]
    query: [include]
    access:
      customer:
        guard:
          - owner: *own
      trusted: open
  - name: wish
    path: /v2/customers/{{id}}/wishes
    methods: [GET, DELETE]
    access:
      customer:
        scope:
          - path_owner: {{parameter: id}}
        guard:
          - owner: {{pointer: /owner}}
      trusted: open
  - name: order-items
    path: /v2/orders/{{oid}}/items
    methods: [GET]
    access:
      customer:
        scope:
          - parent_owner: {{path: "/v2/orders/{{oid}}", pointer: /relationships/customer/data/id}}
        guard:
          - belongs_to: {{parameter: oid, pointer: /relationships/order/data/id, relationship: items}}
      trusted: open
  - name: cart
    path: /v2/carts/{{ref}}
    methods: [GET, POST, PUT, DELETE]
    access: &everybody {{public: open, customer: open, trusted: open}}
  - {{name: products, path: /v2/products, methods: [GET], access: *everybody}}
  - {{name: product, path: "/v2/products/{{id}}", methods: [GET], access: *everybody}}
  - {{name: catalog, path: "/catalog/{{rest...}}", methods: [GET], access: *everybody}}
"""

PATIENT = "connect: 500ms, first_byte: 1s, idle: 1500ms"
"""Longer than a busy machine takes for an answer."""
HASTY = "connect: 150ms, first_byte: 250ms, idle: 250ms"
"""For an upstream that falls silent."""
NO_ROUTE = "/nowhere/at/all"
# Long enough that a piece is a read of its own on a machine that is busy.
PAUSE = 0.002
_RESET = struct.pack("ii", 1, 0)
_ID = re.compile(rb"(?im)^(x-request-id|authorization): .*$")
_CHANGING = frozenset({"date", "x-request-id"})
# What a line in the log has to say in both lanes; calls are compared as bytes.
_TOLD = ("event", "method", "route", "caller", "status", "code", "bytes", "aborted", "peer")


@dataclass(frozen=True, slots=True)
class Said:
    """What the upstream says to requests whose path begins with `about`.

    `pieces` are sent one after the other; `end` is what becomes of the connection behind them: open, close or reset.
    The first `times` requests get it, all of them without that.
    """

    pieces: tuple[bytes, ...] = ()
    end: str = "open"
    times: int | None = None
    about: str = "/"


@dataclass(slots=True)
class Puppet:
    """An upstream that says what it is told, and the truth otherwise."""

    shop: Shop = field(default_factory=lambda: Shop("canary-upstream-id", UPSTREAM_SECRET))
    requests: list[Recorded] = field(default_factory=list)
    said: Said = Said(times=0)
    hits: int = 0
    url: str = ""

    def begin(self, said: Said) -> None:
        """Forget what came, and say something else from now on."""
        self.requests, self.said, self.hits = [], said, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        while (request := await read_head(reader, Connection(0))) is not None:
            pieces = [(wire, payload) async for wire, payload in body_parts(reader, request)]
            request.raw += b"".join(wire for wire, _ in pieces)
            request.body = b"".join(payload for _, payload in pieces)
            self.requests.append(request)
            said = self.said
            is_meant = not request.is_grant and request.path.startswith(said.about)
            if not is_meant or (said.times is not None and self.hits >= said.times):
                writer.write(self._truth(request))
                continue
            self.hits += 1
            for number, piece in enumerate(said.pieces):
                if number:
                    await asyncio.sleep(PAUSE)
                writer.write(piece)
                await writer.drain()
            if said.end == "reset":
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                return
            if said.end == "close":
                writer.close()
                await writer.wait_closed()
                return

    def _truth(self, request: Recorded) -> bytes:
        if request.is_grant or (request.method == "GET" and not request.path.startswith(("/v2/carts", "/catalog"))):
            headers = {name.lower(): value for name, value in request.headers}
            return answer_bytes(self.shop.answer(request.method, request.path, request.query, headers, request.body))
        if request.method == "DELETE":
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        if request.method == "HEAD":
            return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n"
        return b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{"data":{"id":"it"}}'


@dataclass(frozen=True, slots=True)
class Seen:
    """One reply, or as much of it as came. `is_whole`: it ended as its framing says."""

    start: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a conversation; `end` is kept, closed or reset."""

    replies: tuple[Seen, ...]
    end: str
    requests: tuple[bytes, ...]
    told: tuple[tuple[Any, ...], ...]
    lanes: tuple[str, ...] = field(compare=False)
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """What a client sends: whole requests, and where the bytes of all of them are cut."""

    requests: tuple[bytes, ...]
    cuts: tuple[int, ...] = ()

    @property
    def pieces(self) -> list[bytes]:
        """The bytes, cut."""
        whole = b"".join(self.requests)
        marks = sorted({cut % (len(whole) or 1) for cut in self.cuts} - {0})
        return [whole[start:end] for start, end in zip([0, *marks], [*marks, len(whole)], strict=True)]


@dataclass(slots=True, repr=False)
class Arena:
    """Both gateways and their upstream."""

    puppet: Puppet
    standard: Site
    express: Site
    proofs: dict[str, tuple[str, ...]]

    async def compare(self, sent: Sent, said: Said) -> Outcome:
        """Hold a conversation with both gateways, check that they do the same, and return what the express one did."""
        await self.warm()
        express = await self.converse(self.express, sent, said)
        standard = await self.converse(self.standard, sent, said)
        assert set(standard.lanes) <= {"standard"}
        unlike = [
            f"{name}: standard {mine!r:.600}, express {other!r:.600}"
            for name in ("replies", "end", "told", "requests", "failures")
            for mine, other in unequal(getattr(standard, name), getattr(express, name))
        ]
        if unlike:
            raise AssertionError("\n".join(unlike))
        return express

    async def warm(self) -> None:
        """Ask until the express lane has a connection in its pool that nobody has closed."""
        self.puppet.begin(Said(times=0))
        async with connected(self.express) as client:
            for _ in range(50):
                size = len(self.express.log.getvalue())
                client.ask("GET", "/v2/products", *self.proofs["public"])
                assert (await client.reply()).status == 200
                if '"lane":"express"' in flushed(self.express)[size:]:
                    return
        raise AssertionError("no request takes the express lane")

    async def converse(self, site: Site, sent: Sent, said: Said) -> Outcome:
        """Hold a conversation with one gateway."""
        self.puppet.begin(said)
        size = len(flushed(site))
        async with connected(site) as client:
            replies, end = await exchanged(client, sent)
            async with asyncio.timeout(PATIENCE):
                await site.gateway.edge.drained()
        requests = distinct([_ID.sub(rb"\1", request.raw) for request in self.puppet.requests if not request.is_grant])
        lines = lines_from(site, size)
        done = [line for line in lines if line["event"] == "request" and line["route"] != "-"]
        return Outcome(
            tuple(replies),
            end,
            requests,
            tuple(told_of(line) for line in lines if line["event"] not in _TIMED),
            tuple(line["lane"] for line in done),
            tuple(str(line) for line in lines if line["event"] == "failed"),
        )


def unequal(standard: Any, express: Any) -> Iterator[tuple[object, object]]:
    """Return where two values differ, as near to the difference as it can be said."""
    if isinstance(standard, Seen) and isinstance(express, Seen):
        standard, express = astuple(standard), astuple(express)
    if isinstance(standard, tuple) and isinstance(express, tuple):
        for mine, other in zip_longest(standard, express):
            yield from unequal(mine, other)
    elif standard != express:
        yield standard, express


_TIMED = frozenset({"lifecycle", "credential_renewed"})


def told_of(line: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a line has to say in both lanes; how much of a reply left before it broke off is chance."""
    return tuple(None if name == "bytes" and line.get("aborted") else line.get(name) for name in _TOLD)


def flushed(site: Site) -> str:
    """Return the log with all that was told so far: an event of another kind lets no request wait."""
    site.gateway.emit(Lifecycle("a mark of the tests"))
    return site.log.getvalue()


def lines_from(site: Site, size: int) -> list[dict[str, Any]]:
    """Return the lines behind the first `size` letters of the log."""
    return [json.loads(line) for line in flushed(site)[size:].splitlines()]


def distinct(requests: list[bytes]) -> tuple[bytes, ...]:
    """Return what was sent, each request once where it follows itself.

    A request whose answer was odd or did not come may be sent twice, by either lane in a way of its own.
    """
    return tuple(request for number, request in enumerate(requests) if not number or requests[number - 1] != request)


async def exchanged(client: RawClient, sent: Sent) -> tuple[list[Seen], str]:
    """Send requests, read a reply to each, and say what became of the connection."""
    replies: list[Seen] = []
    for number, piece in enumerate(sent.pieces):
        if number:
            await asyncio.sleep(PAUSE)
        client.send(piece)
    for request in sent.requests:
        reply = await seen(client.reader, is_to_head=request.startswith(b"HEAD "))
        while reply is not None and reply.start.startswith("HTTP/1.1 1"):
            replies.append(reply)
            reply = await seen(client.reader, is_to_head=False)
        if reply is None:
            return replies, "closed"
        replies.append(reply)
        if not reply.is_whole:
            return replies, "broken off"
    # Whether it goes on is seen by asking once more.
    if client.writer.is_closing():
        return replies, "closed"
    client.send(f"GET {NO_ROUTE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    try:
        rest = await client.rest()
    except BrokenPipeError:
        rest = b""
    return replies, "kept" if rest.startswith(b"HTTP/1.1 404 ") else f"closed {rest!r}" if rest else "closed"


async def seen(reader: asyncio.StreamReader, *, is_to_head: bool) -> Seen | None:
    """Read one reply as it came; None where none comes."""
    async with asyncio.timeout(PATIENCE):
        try:
            raw = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            # What is no head is the body of an error that was not known to answer a HEAD.
            return Seen("", (), error.partial, is_whole=False) if error.partial else None
        except ConnectionError:
            return None
        start, *lines = raw[:-4].decode("latin-1").split("\r\n")
        pairs = tuple((line.partition(":")[0], line.partition(":")[2].strip()) for line in lines)
        fields = {name.lower(): value for name, value in pairs}
        body, is_whole = b"", True
        try:
            if is_to_head or start.split(" ")[1] in {"204", "304"} or start.startswith("HTTP/1.1 1"):
                pass
            elif "content-length" in fields:
                body = await reader.readexactly(int(fields["content-length"]))
            elif "transfer-encoding" in fields:
                while True:
                    size = int((await reader.readuntil(b"\r\n")).strip(), 16)
                    piece = await reader.readexactly(size + 2)
                    if not size:
                        break
                    body += piece[:-2]
            else:
                body, is_whole = await _until_end(reader)
        except asyncio.IncompleteReadError as error:
            body, is_whole = body + error.partial, False
        except ConnectionResetError:
            is_whole = False
    kept = tuple((name, value) for name, value in pairs if name.lower() not in _CHANGING)
    return Seen(start, kept, body if is_whole else b"", is_whole)


async def _until_end(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    try:
        return await reader.read(), True
    except ConnectionResetError:
        return b"", False


@asynccontextmanager
async def arena(folder: Path, timeouts: str = PATIENT) -> AsyncIterator[Arena]:
    """Run both gateways on one key and one store, and log everybody in."""
    puppet = Puppet()
    async with AsyncExitStack() as stack:
        # What a site is made for; its requests go to the puppet.
        commerce = await stack.enter_async_context(Commerce())
        puppet.url = await stack.enter_async_context(served(puppet.serve))
        standard, express = [
            await stack.enter_async_context(
                run_site(
                    commerce, folder, config=CONFIG.format(express=express, timeouts=timeouts), UPSTREAM_URL=puppet.url
                )
            )
            for express in ("false", "true")
        ]
        bearer = f"Authorization: Bearer {await standard.bearer()}"
        trusted = f"Authorization: Bearer {await standard.bearer('trusted')}"
        ron, leslie, april = [
            f"X-Moltin-Customer-Token: {await standard.token(person.email)}" for person in (RON, LESLIE, APRIL)
        ]
        garbled = f"{bearer[:-4]}AAAA"
        proofs = {
            "public": (bearer,),
            "nobody": (),
            "ron": (bearer, ron),
            "leslie": (bearer, leslie),
            "trusted": (trusted,),
            "ron through a server": (trusted, ron),
            "two tokens": (bearer, ron, april),
            "the same token twice": (bearer, ron, ron),
            "two bearers": (bearer, trusted),
            "a forged bearer": (garbled, ron),
            "a forged token": (bearer, f"{ron[:-4]}AAAA"),
            "no scheme": (f"Authorization: {bearer.rpartition(' ')[2]}",),
            "an empty bearer": ("Authorization: Bearer",),
            "an empty token": (bearer, "X-Moltin-Customer-Token:"),
        }
        yield Arena(puppet, standard, express, proofs)
