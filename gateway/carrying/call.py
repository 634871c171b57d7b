"""One call to the upstream as a value, how long it may take, and who takes its answer.

Nothing here knows credentials, nor what a route is.
"""

from enum import Enum, auto
from typing import Protocol

from msgspec import Struct

from gateway.vocab.messages import Headers
from gateway.vocab.refusals import Code, Refusal

# RFC 9110 section 9.2.1: nothing is changed by asking once more.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# 401 and 407 speak of the credential that was sent, which is the gateway's own; a client is never told them.
UNACCEPTED = frozenset({401, 407})


class Timeouts(Struct, frozen=True):
    """Limits of one exchange in seconds: to connect, to the first byte of the answer, between bytes, and in all.

    A connection older than `life` carries no further exchange.
    """

    connect: float = 3.0
    first_byte: float = 30.0
    idle: float = 30.0
    total: float = 3600.0
    life: float = 300.0


class Upload(Enum):
    """How a body that is streamed is framed."""

    CHUNKED = auto()
    SIZED = auto()
    """Its length stands in the headers."""


class Call(Struct, frozen=True):
    """One request in full. `target` is path and query, `body` all there is to send.

    With `upload` the body comes later, piece by piece. `relayed` says that a client's pace decides how long it takes.
    `route` and `client` are whose share of the connections it takes; without one it takes nobody's.
    """

    method: str
    target: str
    headers: Headers
    body: bytes = b""
    upload: Upload | None = None
    relayed: bool = False
    route: str = ""
    client: str = ""


class Break(Enum):
    """Why a call ended without a whole answer."""

    UNREACHABLE = auto()
    """There is no connection to be had."""
    UNCONNECTED = auto()
    """None was made in time."""
    BUSY = auto()
    """None was free in time."""
    CROWDED = auto()
    """Too many wait for a connection already."""
    UNREADABLE = auto()
    """The answer is not HTTP."""
    BROKEN = auto()
    """It broke off."""
    SILENT = auto()
    """Nothing came for too long."""

    def refusal(self, said: str = "", *, begun: bool = False) -> Refusal:
        """Return the refusal that says so, with what else is `said` of it.

        `begun` tells that the head of the answer had come.
        """
        match self:
            case Break.UNREACHABLE:
                return Refusal(Code.UPSTREAM_UNREACHABLE, said or "no connection")
            case Break.UNCONNECTED:
                return Refusal(Code.UPSTREAM_UNREACHABLE, "no connection in time")
            case Break.BUSY:
                return Refusal(Code.OVERLOADED, "no connection free in time")
            case Break.CROWDED:
                return Refusal(Code.OVERLOADED, "too many wait for a connection")
            case Break.SILENT:
                return Refusal(Code.UPSTREAM_TIMEOUT, "stalled within the answer" if begun else "no answer in time")
            case _:
                return Refusal(Code.UPSTREAM_INVALID, "not HTTP" if self is Break.UNREADABLE else "broke off")


class Uploads(Protocol):
    """Takes a body that is uploaded, piece by piece: a connection."""

    async def upload(self, piece: bytes) -> bool:
        """Pass a piece on and wait until the upstream has taken enough; False where it wants no more."""

    def uploaded(self) -> None:
        """Know that the body is complete."""


class Carrier(Protocol):
    """What has a call in hand: a place in the pool's queue, or a connection."""

    def pause(self) -> None:
        """Take no more of the answer until `resume`."""

    def resume(self) -> None:
        """Take the answer again."""

    def allow_silence(self, seconds: float) -> None:
        """Let so much time pass between two pieces of this answer, instead of the usual `idle`."""

    def close(self) -> None:
        """Give the call up; its receiver is told nothing more."""


class Receiver(Protocol):
    """Takes one answer. After `whole`, `ended` or `broken` nothing more comes.

    `carrier` is set by who has the call in hand; it is the receiver's own to forget, when nothing more comes.
    """

    carrier: Carrier | None

    def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Take all of an answer that came at once."""

    def answered(self, status: int, headers: Headers) -> None:
        """Take the head of one that comes in pieces."""

    def received(self, piece: bytes) -> None:
        """Take a piece of the body."""

    def ended(self) -> None:
        """Know that the answer is complete."""

    def broken(self, refusal: Refusal) -> None:
        """Know that no more comes."""

    def wanted(self, uploads: "Uploads") -> None:
        """Begin to upload the body into `uploads`: the head has left."""

    def failed(self, error: Exception) -> None:
        """Know that one of these, or what led to it, raised `error`."""


def tell(receiver: Receiver, refusal: Refusal) -> None:
    """Tell a receiver that its call has ended; what it raises is its own to answer."""
    receiver.carrier = None
    try:
        receiver.broken(refusal)
    except Exception as error:  # noqa: BLE001 - the receiver has the last resort
        receiver.failed(error)
