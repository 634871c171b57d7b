"""The clients' side of HTTP: aiohttp requests become values, replies become bytes.

It decides nothing about a request but whether it is HTTP/1.0 or 1.1; every decision is flow's.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler
from multidict import CIMultiDict

from gateway.flow import Flow, Snapshot
from gateway.server.replies import render
from gateway.upstream.client import ClientBodyError, UpstreamBrokenError
from gateway.vocab.events import Emit, Failed, RequestDone
from gateway.vocab.messages import Headers, Reply, Request, Trace
from gateway.vocab.refusals import Code, Refusal

if TYPE_CHECKING:
    from aiohttp.http import HttpVersion

_VERSIONS = frozenset({(1, 0), (1, 1)})
# A reader that takes nothing for this long is gone; a body that brings nothing for this long as well. Seconds.
_CLIENT_IDLE = 30.0
# A body that is read whole (at most some hundred KiB) must be there by then, however steadily it trickles.
_CLIENT_TOTAL = 60.0
# What nginx logs for a client that went away.
_CLIENT_GONE = 499


class RequestBody:
    """The body of an aiohttp request, taken at most once."""

    def __init__(self, request: web.BaseRequest, headers: Headers) -> None:
        self._request = request
        self._wants_continue = any(key == "expect" and value.lower() == "100-continue" for key, value in headers)
        self.consumed = False

    @property
    def expected(self) -> bool:
        """Whether the head announces a body; an announced length of zero is none."""
        return self._request.can_read_body and self._request.content_length != 0

    @property
    def length(self) -> int | None:
        """Announced size in bytes."""
        return self._request.content_length

    async def read(self, limit: int) -> bytes | None:
        """Take the whole body, None above `limit` bytes; ClientBodyError when it stalls or breaks."""
        parts = []
        size = 0
        try:
            async with asyncio.timeout(_CLIENT_TOTAL):
                async for chunk in self.chunks():
                    size += len(chunk)
                    if size > limit:
                        return None
                    parts.append(chunk)
        except TimeoutError as error:
            raise ClientBodyError(Refusal(Code.BODY_TIMEOUT)) from error
        return b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Take the body piece by piece; ClientBodyError when it stalls or is not well-formed."""
        if self._wants_continue and self._request.version == (1, 1) and self._request.transport is not None:
            # RFC 9110 section 10.1.1: said only now, when the request is known to be wanted.
            self._request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while self.expected:
            try:
                async with asyncio.timeout(_CLIENT_IDLE):
                    chunk = await self._request.content.readany()
            except TimeoutError as error:
                raise ClientBodyError(Refusal(Code.BODY_TIMEOUT)) from error
            except web.RequestPayloadError as error:
                raise ClientBodyError(Refusal(Code.REQUEST_MALFORMED, "body framing")) from error
            if not chunk:
                return
            self.consumed = True
            yield chunk


class Edge:
    """Answers every request on the public port. `now` is epoch time, `clock` monotonic, both in seconds."""

    def __init__(
        self,
        flow: Flow,
        snapshot: Callable[[], Snapshot],
        emit: Emit,
        now: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._flow = flow
        self._snapshot = snapshot
        self._emit = emit
        self._now = now
        self._clock = clock
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.is_draining = False

    async def drained(self) -> None:
        """Wait until no request is in flight."""
        await self._idle.wait()

    async def handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self._in_flight += 1
        self._idle.clear()
        try:
            return await self._answer(raw)
        finally:
            self._in_flight -= 1
            if self._in_flight == 0:
                self._idle.set()

    async def _answer(self, raw: web.BaseRequest) -> web.StreamResponse:
        started = self._clock()
        snapshot = self._snapshot()
        headers: Headers = tuple(
            (key.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")) for key, value in raw.raw_headers
        )
        request = Request(
            id=secrets.token_hex(8),
            method=raw.method,
            target=raw.raw_path,
            headers=headers,
            peer=raw.remote or "-",
            received_at=self._now(),
        )
        trace = Trace(request_id=request.id)
        status, sent, aborted = _CLIENT_GONE, 0, True
        try:
            outcome = await self._outcome(raw, snapshot, request, RequestBody(raw, headers), trace)
            if isinstance(outcome, Refusal):
                trace.code, trace.detail = outcome.code.name, outcome.detail
                outcome = render(outcome)
            status = outcome.status
            extra = (*snapshot.cors.headers(headers), ("x-request-id", request.id))
            response, sent, aborted = await self._write(raw, outcome, extra)
            return response
        finally:
            seconds = self._clock() - started
            self._emit(RequestDone(request.id, request.method, status, seconds, request.peer, trace, sent, aborted))

    async def _outcome(
        self, raw: web.BaseRequest, snapshot: Snapshot, request: Request, body: RequestBody, trace: Trace
    ) -> Reply | Refusal:
        version: HttpVersion = raw.version
        if tuple(version) not in _VERSIONS:
            return Refusal(Code.REQUEST_MALFORMED, "HTTP version")
        try:
            return await self._flow.handle(snapshot, request, body, trace)
        except ClientBodyError as error:
            return error.refusal
        except Exception as error:  # noqa: BLE001 - the last resort: a bug is answered, counted and named, never shown
            self._emit(Failed(request.id, "request", describe(error)))
            return Refusal(Code.INTERNAL)

    async def _write(self, raw: web.BaseRequest, reply: Reply, extra: Headers) -> tuple[web.StreamResponse, int, bool]:
        """Send a reply; returns the response, the bytes of its body, and whether it was cut off."""
        headers = CIMultiDict((*reply.headers, *extra))
        if reply.stream is None:
            response: web.StreamResponse = web.Response(status=reply.status, headers=headers, body=reply.body or None)
            self._close_if_asked(raw, response)
            await response.prepare(raw)
            await response.write_eof()
            return response, len(reply.body), False
        length = headers.popone("content-length", None)
        response = web.StreamResponse(status=reply.status, headers=headers)
        if length is not None:
            response.content_length = int(length)
        self._close_if_asked(raw, response)
        sent = 0
        async with aclosing(reply.stream) as pieces:  # type: ignore[type-var]
            try:
                await response.prepare(raw)
                async for piece in pieces:
                    async with asyncio.timeout(_CLIENT_IDLE):
                        await response.write(piece)
                    sent += len(piece)
            except (UpstreamBrokenError, TimeoutError):
                # The head has left: only a broken connection can still tell the client that this is not all.
                if raw.transport is not None:
                    raw.transport.abort()
                return response, sent, True
        await response.write_eof()
        return response, sent, False

    def _close_if_asked(self, raw: web.BaseRequest, response: web.StreamResponse) -> None:
        # A body that nobody took would have to be read to its end before the next request; ending is cheaper.
        if self.is_draining or (raw.can_read_body and not raw.content.is_eof()):
            response.force_close()


def describe(error: BaseException) -> str:
    """Name an error by type and place, without its text: that may hold what a client sent."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else "?"
    return f"{type(error).__name__} at {place}"


class GatewayProtocol(RequestHandler):
    """aiohttp's connection, with our own words for what its parser refuses."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not HTTP. The parser's text quotes the request, tokens too: it is neither sent nor kept."""
        del message
        if request.writer.output_size > 0:
            raise ConnectionError("the head of a reply has left already")
        if status >= 500:  # noqa: PLR2004 - HTTP's own number
            code = Code.INTERNAL
        else:
            code = Code.HEADERS_TOO_LARGE if isinstance(exc, LineTooLong) else Code.REQUEST_MALFORMED
        reply = render(Refusal(code))
        response = web.Response(status=reply.status, headers=CIMultiDict(reply.headers), body=reply.body)
        response.force_close()
        return response


class GatewayServer(web.Server):
    """aiohttp's low-level server over our protocol: no router, no middleware, no access log of its own."""

    def __init__(self, edge: Edge, *, keepalive_timeout: float) -> None:
        silent = logging.getLogger("gateway.aiohttp")
        # Everything it would print quotes requests; what matters becomes an event.
        silent.disabled = True
        super().__init__(
            edge.handle,
            handler_cancellation=True,
            access_log=None,
            logger=silent,
            keepalive_timeout=keepalive_timeout,
            auto_decompress=False,
        )

    def __call__(self) -> RequestHandler:
        """Make the protocol of one connection."""
        return GatewayProtocol(self, loop=self._loop, **self._kwargs)
