"""The body of a client's request on its way in: read whole or in pieces, never faster than asked, never for ever."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from gateway.upstream.client import ClientBodyError
from gateway.vocab.messages import Headers
from gateway.vocab.refusals import Code, Refusal


@dataclass(frozen=True, slots=True)
class Patience:
    """How long clients may take, in seconds.

    `head`: from the first byte of a head to its last. `idle`: a body that brings nothing, or a reader that takes
    nothing, for this long is gone. `body`: a body that is read whole (at most some hundred KiB) must be there by then,
    however steadily it trickles. A body must bring `body_rate` bytes a second, and may fall behind by `idle` seconds;
    the time that the upstream takes to accept it does not count. `not_found`: how long at most a client waits for the
    news that a record is not there.
    """

    head: float = 10.0
    idle: float = 30.0
    body: float = 60.0
    body_rate: float = 1024.0
    not_found: float = 0.01


PATIENCE = Patience()
"""The usual one."""


class RequestBody:
    """The body of an aiohttp request. It may be begun more than once, but no byte is given twice."""

    def __init__(self, request: web.BaseRequest, headers: Headers, patience: Patience) -> None:
        self._request = request
        self._patience = patience
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
            async with asyncio.timeout(self._patience.body):
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
            self._wants_continue = False
        loop = asyncio.get_running_loop()
        # How long the client may still keep us waiting: each piece it brings earns back the time that it is worth.
        credit = self._patience.idle
        while self.expected:
            started = loop.time()
            try:
                async with asyncio.timeout_at(started + credit):
                    chunk = await self._request.content.readany()
            except TimeoutError as error:
                raise ClientBodyError(Refusal(Code.BODY_TIMEOUT)) from error
            except web.RequestPayloadError as error:
                raise ClientBodyError(Refusal(Code.REQUEST_MALFORMED, "body framing")) from error
            if not chunk:
                return
            self.consumed = True
            earned = len(chunk) / self._patience.body_rate
            credit = min(self._patience.idle, credit + earned - (loop.time() - started))
            yield chunk
