"""Carries one HTTP exchange with the upstream: timeouts, back-pressure, and no surprises.

No redirect is followed, no cookie kept, no body decompressed, no environment proxy used. It does not know
credentials or routes. Faults of aiohttp become refusals here and nowhere else.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
import yarl

from gateway.upstream.pool import QuietConnector
from gateway.vocab.messages import Headers
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.headers import first

# One read's worth; aiohttp pauses the upstream's socket above twice this, so it bounds memory per exchange.
_CHUNK = 64 * 1024
KEPT_IDLE = 15.0
"""How long an unused connection is kept, in seconds; upstreams close theirs after a minute or so."""

# aiohttp would add these by itself; what goes upstream is what the plan says.
_NOTHING_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class UpstreamBrokenError(Exception):
    """The upstream failed in the middle of an answer; `refusal` says how. Raised by `Answer.chunks` only."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


class ClientBodyError(Exception):
    """The client's streamed body cannot go on; `refusal` says why. Raised by whoever streams a body into a call."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of one exchange in seconds: to connect, to the first byte of the answer, between bytes, and in all."""

    connect: float = 3.0
    first_byte: float = 30.0
    idle: float = 30.0
    total: float = 3600.0


@dataclass(frozen=True, slots=True)
class Call:
    """One request in full: `target` is the canonical path and query.

    A body that is streamed is a function that begins to read it, so that a repeated call begins anew; `length` is its
    size if known. `relayed` says that a client's pace decides how long the exchange takes.
    """

    method: str
    target: str
    headers: Headers
    body: bytes | Callable[[], AsyncIterator[bytes]] | None = None
    length: int | None = None
    relayed: bool = False


class Answer:
    """The head of an answer, its body still on the way. Read it whole, stream it, or abort it: exactly one."""

    def __init__(self, response: aiohttp.ClientResponse, idle: float, deadline: float) -> None:
        self.status = response.status
        # Header bytes beyond ASCII have no agreed meaning (RFC 9110 section 5.5); they may not break our reply.
        self.headers: Headers = tuple(
            (name.decode("ascii", "replace").lower(), value.decode("utf-8", "replace"))
            for name, value in response.raw_headers
        )
        self._response = response
        self._idle = idle
        self._deadline = deadline

    async def read(self, limit: int) -> bytes | Refusal:
        """Take the whole body; UPSTREAM_INVALID above `limit` bytes. The connection is reused only if all came."""
        announced = first(self.headers, "content-length")
        if announced is not None and announced.isdecimal() and int(announced) > limit and self.status != 304:  # noqa: PLR2004
            self.abort()
            return Refusal(Code.UPSTREAM_INVALID, "answer above the limit")
        content = self._response.content
        if content.is_eof() and content.exception() is None:
            # All of it came with the head, as small answers do.
            whole = content.read_nowait()
            return whole if len(whole) <= limit else Refusal(Code.UPSTREAM_INVALID, "answer above the limit")
        parts = []
        size = 0
        try:
            async for chunk in self.chunks():
                size += len(chunk)
                if size > limit:
                    self.abort()
                    return Refusal(Code.UPSTREAM_INVALID, "answer above the limit")
                parts.append(chunk)
        except UpstreamBrokenError as error:
            return error.refusal
        return b"".join(parts)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Take the body piece by piece; raises UpstreamBrokenError when it stops short or stalls."""
        loop = asyncio.get_running_loop()
        complete = False
        try:
            while True:
                async with asyncio.timeout_at(min(loop.time() + self._idle, self._deadline)):
                    chunk = await self._response.content.readany()
                if not chunk:
                    break
                yield chunk
            complete = True
        except TimeoutError as error:
            raise UpstreamBrokenError(Refusal(Code.UPSTREAM_TIMEOUT, "stalled within the answer")) from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamBrokenError(Refusal(Code.UPSTREAM_INVALID, f"broke off: {type(error).__name__}")) from error
        finally:
            if not complete:
                self.abort()

    def abort(self) -> None:
        """Give the exchange up and close its connection."""
        self._response.close()


class UpstreamClient:
    """Connections to one upstream. An async context manager; `connections` bounds how many are open at once.

    Relayed exchanges have a pool of their own, of the same size: clients that read or write slowly hold connections as
    long as they like, and may not keep logins and guarded routes from theirs.
    """

    def __init__(self, url: str, timeouts: Timeouts, connections: int) -> None:
        self._base = url.rstrip("/")
        self._timeouts = timeouts
        self._connections = connections
        self._own: aiohttp.ClientSession | None = None
        self._relayed: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._own, self._relayed = self._open(), self._open()
        return self

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=QuietConnector(limit=self._connections, keepalive_timeout=KEPT_IDLE),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=_CHUNK,
            skip_auto_headers=_NOTHING_AUTOMATIC,
            timeout=aiohttp.ClientTimeout(total=None, connect=self._timeouts.connect),
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in (self._own, self._relayed):
            if session is not None:
                await session.close()

    async def send(self, call: Call) -> Answer | Refusal:
        """Send a request and return the head of its answer, or UPSTREAM_UNREACHABLE, _TIMEOUT, _INVALID.

        A client's streamed body that stalls is BODY_TIMEOUT. Cancelling closes the connection.
        """
        session = self._relayed if call.relayed else self._own
        if session is None:
            raise RuntimeError("the upstream client is used before it was opened")
        limits = self._timeouts
        now = asyncio.get_running_loop().time()
        deadline = now + limits.total
        headers = list(call.headers)
        upload: _Upload | None = None
        try:
            async with asyncio.timeout_at(min(now + limits.connect + limits.first_byte, deadline)) as patience:
                watch = _Watch(patience, limits, deadline)
                if callable(call.body):
                    watch.await_client()
                    upload = _Upload(call.body, watch)
                    if call.length is not None:
                        headers.append(("content-length", str(call.length)))
                response = await session.request(
                    call.method,
                    yarl.URL(self._base + call.target, encoded=True),
                    headers=headers,
                    data=call.body if upload is None else upload,
                    allow_redirects=False,
                )
                watch.end()
        except TimeoutError:
            return Refusal(Code.UPSTREAM_TIMEOUT, "no answer in time")
        except (aiohttp.ClientConnectorError, aiohttp.ClientProxyConnectionError) as error:
            return Refusal(Code.UPSTREAM_UNREACHABLE, type(error).__name__)
        except aiohttp.ClientError as error:
            # aiohttp wraps what a streamed body raises.
            if isinstance(error.__cause__, ClientBodyError):
                return error.__cause__.refusal
            return Refusal(Code.UPSTREAM_INVALID, type(error).__name__)
        except OSError as error:
            return Refusal(Code.UPSTREAM_UNREACHABLE, type(error).__name__)
        return Answer(response, limits.idle, deadline)


class _Watch:
    """How long an exchange may take until the head of its answer is there; `end` when it is."""

    def __init__(self, patience: asyncio.Timeout, limits: Timeouts, deadline: float) -> None:
        self.idle = limits.idle
        self._patience: asyncio.Timeout | None = patience
        self._until_answer = limits.connect + limits.first_byte
        self._deadline = deadline

    def await_answer(self) -> None:
        """Begin the time for the first byte of the answer: the request is sent, or as good as."""
        self._allow(self._until_answer)

    def await_upstream(self) -> None:
        """Begin the time for the upstream to take a piece of the body."""
        self._allow(self.idle)

    def await_client(self) -> None:
        """Stop the time while the client has to bring a piece of the body: that has a limit of its own."""
        if self._patience is not None:
            self._patience.reschedule(self._deadline)

    def end(self) -> None:
        """Stop for good: the answer may be there before the body is through."""
        self._patience = None

    def _allow(self, seconds: float) -> None:
        if self._patience is not None:
            self._patience.reschedule(min(asyncio.get_running_loop().time() + seconds, self._deadline))


class _Upload:
    """A client's body on its way to the upstream: either side is held to the idle limit."""

    def __init__(self, begin: Callable[[], AsyncIterator[bytes]], watch: _Watch) -> None:
        self._begin = begin
        self._watch = watch

    async def __aiter__(self) -> AsyncIterator[bytes]:
        watch = self._watch
        pieces = aiter(self._begin())
        while True:
            watch.await_client()
            try:
                async with asyncio.timeout(watch.idle):
                    piece = await anext(pieces)
            except StopAsyncIteration:
                break
            except TimeoutError as error:
                raise ClientBodyError(Refusal(Code.BODY_TIMEOUT)) from error
            watch.await_upstream()
            yield piece
        # The answer is due only after the whole body went out.
        watch.await_answer()
