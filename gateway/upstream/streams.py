"""Bodies on their way: a client's upload held to its limit, an upstream's answer begun before its head leaves."""

from collections.abc import AsyncGenerator, AsyncIterator

from msgspec.structs import replace

from gateway.upstream.client import ClientBodyError, UpstreamBrokenError
from gateway.vocab.messages import Body, Reply
from gateway.vocab.refusals import Code, Refusal


async def bounded(body: Body, limit: int | None) -> AsyncIterator[bytes]:
    """Pass a client's body on, holding it to `limit` bytes."""
    size = 0
    async for chunk in body.chunks():
        size += len(chunk)
        if limit is not None and size > limit:
            raise ClientBodyError(Refusal(Code.BODY_TOO_LARGE))
        yield chunk


def empty(method: str) -> Reply | Refusal:
    """Return what becomes of an open answer whose body turned out empty: old SDKs stand that of a delete alone.

    Source: docs/upstream.md section 7.
    """
    return Reply(204) if method == "DELETE" else Refusal(Code.UPSTREAM_INVALID, "empty body")


async def begun(
    reply: Reply, method: str, stream: AsyncIterator[bytes], source: AsyncGenerator[bytes, None]
) -> Reply | Refusal:
    """Begin a stream before its head leaves: what breaks or is empty at once can still be a proper reply."""
    try:
        first_piece = await anext(stream, b"")
    except UpstreamBrokenError as error:
        return error.refusal
    if not first_piece:
        return empty(method)
    return replace(reply, stream=_Pieces(first_piece, stream, source))


class _Pieces:
    """A stream with its first piece put back, which closes its source: a generator only ends what it has begun."""

    def __init__(self, first_piece: bytes, rest: AsyncIterator[bytes], source: AsyncGenerator[bytes, None]) -> None:
        self._first_piece = first_piece
        self._rest = rest
        self._source = source

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece, self._first_piece = self._first_piece, b""
        return piece or await anext(self._rest)

    async def aclose(self) -> None:
        await self._source.aclose()
