"""A call whose answer is awaited, whole: for look-ups, logins and credentials."""

import asyncio

from gateway.carrying.call import Call, Carrier, Uploads
from gateway.carrying.pool import ConnectionPool
from gateway.vocab.messages import Answer, Headers
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.headers import first

_UNCHANGED = 304


async def fetch(pool: ConnectionPool, call: Call, limit: int) -> Answer | Refusal:
    """Return the answer to a call, of at most `limit` bytes; or UPSTREAM_UNREACHABLE, _TIMEOUT, _INVALID, OVERLOADED.

    An error whose body is longer comes without it.
    Cancelling closes the connection.
    """
    gathering = Gathering(limit)
    pool.send(call, gathering)
    try:
        return await gathering.outcome
    finally:
        gathering.close()


def is_announced_above(limit: int, status: int, headers: Headers) -> bool:
    """Tell whether an answer says of itself that its body is larger than `limit` bytes."""
    announced = first(headers, "content-length")
    return announced is not None and status != _UNCHANGED and int(announced) > limit


class Gathering:
    """Receives an answer into a future."""

    def __init__(self, limit: int) -> None:
        self.carrier: Carrier | None = None
        self.outcome: asyncio.Future[Answer | Refusal] = asyncio.get_running_loop().create_future()
        self._limit = limit
        self._status = 0
        self._headers: Headers = ()
        self._pieces: list[bytes] = []
        self._size = 0

    def close(self) -> None:
        """Give the call up where it has not come to its end."""
        carrier, self.carrier = self.carrier, None
        if carrier is not None:
            carrier.close()

    def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Take all of an answer that came at once."""
        self.carrier = None
        self._status, self._headers = status, headers
        if len(body) > self._limit:
            self._refuse()
        else:
            self._settle(Answer(status, headers, body))

    def answered(self, status: int, headers: Headers) -> None:
        """Take the head."""
        self._status, self._headers = status, headers
        if is_announced_above(self._limit, status, headers):
            self._refuse()

    def received(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._size += len(piece)
        if self._size > self._limit:
            self._refuse()
        else:
            self._pieces.append(piece)

    def ended(self) -> None:
        """Know that the answer is complete."""
        self.carrier = None
        self._settle(Answer(self._status, self._headers, b"".join(self._pieces)))

    def broken(self, refusal: Refusal) -> None:
        """Know that no more comes."""
        self._settle(refusal)

    def wanted(self, uploads: Uploads) -> None:
        """Know that the head has left; there is no body to come."""

    def failed(self, error: Exception) -> None:
        """Hand a bug to whoever waits."""
        self.close()
        if not self.outcome.done():
            self.outcome.set_exception(error)

    def _refuse(self) -> None:
        self.close()
        # The status of an error says enough.
        is_error = self._status >= 400  # noqa: PLR2004 - HTTP's own number
        refusal = Refusal(Code.UPSTREAM_INVALID, "answer above the limit")
        self._settle(Answer(self._status, self._headers, b"") if is_error else refusal)

    def _settle(self, outcome: Answer | Refusal) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)
