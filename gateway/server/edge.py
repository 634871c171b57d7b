"""The clients' side of HTTP: aiohttp requests become values, replies become bytes.

It decides nothing about a request but whether it is HTTP/1.0 or 1.1; every decision is flow's.
"""

import asyncio
import random
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from aiohttp import HttpVersion11, web
from multidict import CIMultiDict

from gateway.flow import Snapshot
from gateway.server.body import PATIENCE, Patience, RequestBody
from gateway.server.replies import SERVER, render
from gateway.upstream.client import ClientBodyError, UpstreamBrokenError
from gateway.vocab.events import Emit, Failed, RequestDone, describe
from gateway.vocab.messages import Body, Headers, Reply, Request, Trace
from gateway.vocab.refusals import Code, Refusal

if TYPE_CHECKING:
    from aiohttp.http import HttpVersion

# A reader of a complete reply slower than this, in bytes a second, is held to be gone.
SLOWEST = 16 * 1024
# What the transport takes without waiting for the reader (asyncio's high-water mark).
_AT_ONCE = 64 * 1024
_VERSIONS = frozenset({(1, 0), (1, 1)})
# The kernel's, not the generator of request ids: a few hundred ids tell all that one will ever say (it is a Mersenne
# Twister), and a pause that can be foreseen can be subtracted.
_UNFORESEEN = random.SystemRandom()
# What nginx logs for a client that went away.
CLIENT_GONE = 499
# SO_LINGER, on for no time at all: close() sends a reset (socket(7)).
_RESET = struct.pack("ii", 1, 0)
RawHeaders = Iterable[tuple[bytes, bytes]]


class Carrier(Protocol):
    """Takes a request through all stages. flow.Flow is it."""

    async def handle(self, snapshot: Snapshot, request: Request, body: Body, trace: Trace) -> Reply | Refusal:
        """Answer one request."""


@dataclass(slots=True)
class _Sent:
    """What became of a reply: until it is through, its client counts as gone."""

    status: int = CLIENT_GONE
    size: int = 0
    aborted: bool = True


class Edge:
    """Answers every request on the public port. `now` is epoch time, `clock` monotonic, both in seconds."""

    def __init__(
        self,
        flow: Carrier,
        snapshot: Callable[[], Snapshot],
        emit: Emit,
        now: Callable[[], float],
        clock: Callable[[], float],
        patience: Patience = PATIENCE,
    ) -> None:
        self._flow = flow
        self.snapshot = snapshot
        self.emit = emit
        self.now = now
        self.clock = clock
        self.patience = patience
        self._in_flight = 0
        self._is_idle: asyncio.Event | None = None
        self.is_draining = False

    async def drained(self) -> None:
        """Wait until no request is in flight, in whichever lane."""
        self._is_idle = asyncio.Event()
        if self._in_flight:
            await self._is_idle.wait()

    def hesitation(self, outcome: Reply | Refusal) -> float:
        """Return how long a reply is held back, in seconds: a "not there" for a random while, all else not at all.

        "Not yours" takes some hundredths of a millisecond longer than "not there", because the upstream writes and we
        read a record instead of an error. Between spreads of milliseconds that can be found in no sensible number of
        tries; making the two equal is not possible, for half of it is the upstream's.
        """
        if isinstance(outcome, Refusal) and outcome.code is Code.RECORD_NOT_FOUND:
            return _UNFORESEEN.uniform(0.0, self.patience.not_found)
        return 0.0

    def enter(self) -> None:
        """Count a request in flight."""
        self._in_flight += 1

    def leave(self) -> None:
        """Count it no more."""
        self._in_flight -= 1
        if self._is_idle is not None and self._in_flight == 0:
            self._is_idle.set()

    async def handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self.enter()
        try:
            return await self._answer(raw)
        finally:
            self.leave()

    def request(self, method: str, target: str, raw_headers: RawHeaders, peer: str) -> Request:
        """Return what aiohttp's parser took down as the value that decisions are made of."""
        headers = tuple([(field_name(name), value.decode("latin-1").strip(" \t")) for name, value in raw_headers])
        return Request(_new_id(), method, target, headers, peer, self.now())

    def refuse_unreadable(self, code: Code, peer: str) -> web.Response:
        """Return the reply to bytes that are no request, and note that there were some."""
        request_id = _new_id()
        reply = render(Refusal(code))
        extra = (*self.snapshot().cors.headers(()), ("x-request-id", request_id))
        trace = Trace(request_id=request_id, code=code.name)
        self.emit(RequestDone(request_id, "-", reply.status, 0.0, peer, trace, len(reply.body)))
        return last_response(reply, extra)

    async def _answer(self, raw: web.BaseRequest) -> web.StreamResponse:
        started = self.clock()
        snapshot = self.snapshot()
        request = self.request(raw.method, raw.raw_path, raw.raw_headers, raw.remote or "-")
        trace = Trace(request_id=request.id)
        sent = _Sent()
        try:
            body = RequestBody(raw, request.headers, self.patience)
            outcome = await self._outcome(raw, snapshot, request, body, trace)
            if isinstance(outcome, Refusal):
                trace.code, trace.detail = outcome.code.name, outcome.detail
                if pause := self.hesitation(outcome):
                    await asyncio.sleep(pause)
                outcome = render(outcome)
            lines = (*with_cors(outcome.headers, snapshot, request), ("x-request-id", request.id), SERVER)
            return await self._write(raw, outcome, lines, sent)
        except ConnectionError:
            # The client left while its reply was on the way: no fault, and nobody is there to be told.
            raise
        except Exception as error:
            self.emit(Failed(request.id, "reply", describe(error)))
            raise
        finally:
            seconds = self.clock() - started
            self.emit(
                RequestDone(
                    request.id, request.method, sent.status, seconds, request.peer, trace, sent.size, sent.aborted
                )
            )

    async def _outcome(
        self, raw: web.BaseRequest, snapshot: Snapshot, request: Request, body: RequestBody, trace: Trace
    ) -> Reply | Refusal:
        if not _is_spoken(raw):
            return Refusal(Code.REQUEST_MALFORMED, "HTTP version, CONNECT or framing")
        try:
            return await self._flow.handle(snapshot, request, body, trace)
        except ClientBodyError as error:
            return error.refusal
        except Exception as error:  # noqa: BLE001 - the last resort: a bug is answered, counted and named, never shown
            self.emit(Failed(request.id, "request", describe(error)))
            return Refusal(Code.INTERNAL)

    async def _write(self, raw: web.BaseRequest, reply: Reply, lines: Headers, sent: _Sent) -> web.StreamResponse:
        """Send a reply with all its header lines, and keep in `sent` how far it came."""
        headers = CIMultiDict(lines)
        if reply.stream is None:
            response: web.StreamResponse = web.Response(status=reply.status, headers=headers, body=reply.body or None)
            self._close_if_due(raw, response)
            await response.prepare(raw)
            sent.status = reply.status
            if len(reply.body) <= _AT_ONCE:
                await response.write_eof()
            else:
                try:
                    async with asyncio.timeout(self.patience.idle + len(reply.body) / SLOWEST):
                        await response.write_eof()
                except TimeoutError:
                    break_off(raw.transport)
                    return response
            sent.size, sent.aborted = len(reply.body) if raw.method != "HEAD" else 0, False
            return response
        length = headers.popone("content-length", None)
        response = web.StreamResponse(status=reply.status, headers=headers)
        if length is not None:
            response.content_length = int(length)
        elif raw.version < HttpVersion11:
            # RFC 9112 section 6.3: without length and chunks the end of the connection is the end of the body.
            response.force_close()
        self._close_if_due(raw, response)
        async with aclosing(reply.stream) as pieces:
            try:
                await response.prepare(raw)
                sent.status = reply.status
                async for piece in pieces:
                    async with asyncio.timeout(self.patience.idle):
                        await response.write(piece)
                    sent.size += len(piece)
            except (UpstreamBrokenError, TimeoutError):
                # The head has left: only a broken connection can still tell the client that this is not all.
                break_off(raw.transport)
                return response
        await response.write_eof()
        sent.aborted = False
        return response

    def _close_if_due(self, raw: web.BaseRequest, response: web.StreamResponse) -> None:
        # A body that nobody took would have to be read to its end before the next request; ending is cheaper. What
        # comes after an upgrade that was asked for, or after what we do not speak, may not be HTTP/1.1 any more.
        has_rest = raw.can_read_body and not raw.content.is_eof()
        if self.is_draining or has_rest or "upgrade" in raw.headers:
            response.force_close()
        if not _is_spoken(raw):
            response.force_close()
            if tuple(raw.version) not in _VERSIONS:
                # RFC 9110 section 2.5: aiohttp would answer in the version that was refused.
                raw._cache["version"] = HttpVersion11  # noqa: SLF001 - it has no other way to say so
            # aiohttp says so to HTTP/1.1 alone.
            response.headers["connection"] = "close"


def _is_spoken(raw: web.BaseRequest) -> bool:
    """Tell whether a request is in a version and framing of HTTP that we speak, and not one for a tunnel.

    RFC 9112 section 6.1: Transfer-Encoding in HTTP/1.0 is faulty framing, and of codings we know chunked alone.
    """
    version: HttpVersion = raw.version
    if tuple(version) not in _VERSIONS or raw.method == "CONNECT":
        return False
    codings = raw.headers.getall("transfer-encoding", ())
    return not codings or (version == (1, 1) and [coding.lower() for coding in codings] == ["chunked"])


def break_off(transport: asyncio.Transport | None) -> None:
    """End a connection so that the client cannot take what it has for the whole: by a reset."""
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # The end of an HTTP/1.0 reply without a length is the end of its connection; a plain close would be a good one.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


def _new_id() -> str:
    # It tells requests apart and guards nothing: no reason to ask the kernel for each.
    return f"{random.getrandbits(64):016x}"


@lru_cache(maxsize=512)
def field_name(raw: bytes) -> str:
    """Return a header's name in lower case. They are few, and the same in every request."""
    return raw.decode("latin-1").lower()


def with_cors(headers: Headers, snapshot: Snapshot, request: Request) -> Headers:
    """Return a reply's header lines and those that let a page read it.

    A preflight's reply says some of it already, and browsers refuse an origin that is allowed twice.
    """
    added = [line for line in snapshot.cors.headers(request.headers) if line not in headers]
    return (*headers, *added) if added else headers


def last_response(reply: Reply, extra: Headers) -> web.Response:
    """Return the response after which the connection ends; aiohttp words it as HTTP/1.0, so it is said by name."""
    headers = CIMultiDict((*reply.headers, *extra, ("connection", "close")))
    response = web.Response(status=reply.status, headers=headers, body=reply.body)
    response.force_close()
    return response
