"""Passes a client's body on to the upstream as it comes, held to its limit; back-pressure goes both ways."""

from typing import Protocol

from gateway.carrying.call import Uploads
from gateway.vocab.messages import Body
from gateway.vocab.refusals import Code, Refusal


class Uploader(Protocol):
    """Whose body it is: the exchange."""

    def spoiled(self, refusal: Refusal) -> None:
        """Know that the body does not come to its end."""

    def failed(self, error: Exception) -> None:
        """Know of a bug."""


async def upload(body: Body, limit: int | None, within: float, uploads: Uploads, uploader: Uploader) -> None:
    """Pass all of a body on, of at most `limit` bytes, as long as the upstream wants it.

    Between two pieces no more than `within` seconds may pass: so long the upstream waits for the next one.
    """
    size = 0
    try:
        while piece := await body.piece(within):
            if isinstance(piece, Refusal):
                uploader.spoiled(piece)
                return
            size += len(piece)
            if limit is not None and size > limit:
                uploader.spoiled(Refusal(Code.BODY_TOO_LARGE))
                return
            if not await uploads.upload(piece):
                return
        uploads.uploaded()
    except Exception as error:  # noqa: BLE001 - the last resort: a bug is answered, counted and named, never shown
        uploader.failed(error)
