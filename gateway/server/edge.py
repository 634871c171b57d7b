"""What all connections of clients share: what they are served with, the clocks, and the count of requests in flight.

It decides nothing about a request.
"""

import asyncio
import random
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from gateway.carrying.outbox import Outbox
from gateway.carrying.pool import ConnectionPool
from gateway.decision import Snapshot
from gateway.flow import Flow
from gateway.server.body import CLIENT_TIMEOUTS, ClientTimeouts
from gateway.server.half_closed import HalfClosed
from gateway.server.peer import Peers
from gateway.vocab.events import Emit
from gateway.vocab.messages import Headers, Request
from gateway.vocab.policy import HeadLimits
from gateway.vocab.refusals import Code, Refusal
from gateway.wire.headers import request_id
from gateway.wire.lines import RawHeaders

# The kernel's, not the generator of request ids: a few hundred ids tell all that one will ever say (it is a Mersenne
# Twister), and a pause that can be foreseen can be subtracted.
_UNFORESEEN = random.SystemRandom()
# SO_LINGER, on for no time at all: close() sends a reset (socket(7)).
_RESET = struct.pack("ii", 1, 0)
_FEW = 4


@dataclass(frozen=True, slots=True)
class Serving:
    """What requests are served with: one configuration, compiled, and what it made. Each keeps what it began with.

    `keepalive` is how long a connection without a request is kept, in seconds; `heads` is how large heads may be. So
    many `half_closed` clients are heard out, by default a quarter of what the connections of all `pools` are;
    those stand there by upstream.
    """

    snapshot: Snapshot
    flow: Flow
    pools: Mapping[str, ConnectionPool]
    peers: Peers
    keepalive: float = 75.0
    heads: HeadLimits = field(default_factory=HeadLimits)
    half_closed: int | None = None


class Edge:
    """The clients' side as a whole. `now` is epoch time, `clock` monotonic, both in seconds.

    `serving` is what the next request is served with; only `swap` changes it.
    """

    def __init__(
        self,
        serving: Serving,
        outbox: Outbox,
        emit: Emit,
        now: Callable[[], float],
        clock: Callable[[], float],
        timeouts: ClientTimeouts = CLIENT_TIMEOUTS,
    ) -> None:
        self.serving = serving
        self.outbox: Final = outbox
        self.emit: Final = emit
        self.now: Final = now
        self.clock: Final = clock
        self.timeouts: Final = timeouts
        self.half_closed: Final = HalfClosed()
        self.swap(serving)
        self.is_draining = False
        self._in_flight = 0
        self._is_idle: asyncio.Event | None = None

    def swap(self, serving: Serving) -> None:
        """Serve with this from the next request on; those in flight keep what they have."""
        self.serving = serving
        pools = serving.pools.values()
        most = max(1, sum(one.most for one in pools) // 4) if serving.half_closed is None else serving.half_closed
        self.half_closed.limit(most, max(one.timeouts.first_byte for one in pools))

    async def drained(self) -> None:
        """Wait until no request is in flight."""
        self._is_idle = asyncio.Event()
        if self._in_flight:
            await self._is_idle.wait()

    def enter(self) -> None:
        """Count a request in flight."""
        self._in_flight += 1

    def leave(self) -> None:
        """Count it no more."""
        self._in_flight -= 1
        if self._is_idle is not None and self._in_flight == 0:
            self._is_idle.set()

    def hesitation(self, refusal: Refusal) -> float:
        """Return how long a refusal is held back, in seconds: a "not there" for a random while, others not at all.

        "Not yours" takes some hundredths of a millisecond longer than "not there", because the upstream writes and we
        read a record instead of an error. Between spreads of milliseconds that can be found in no sensible number of
        tries; making the two equal is not possible, for half of it is the upstream's.
        """
        if refusal.code is Code.RECORD_NOT_FOUND:
            return _UNFORESEEN.uniform(0.0, self.timeouts.not_found)
        return 0.0

    def request(self, method: str, target: str, raw_headers: RawHeaders, peer: str, protocol: str = "1.1") -> Request:
        """Return what aiohttp's parser took down as the value that decisions are made of."""
        snapshot = self.serving.snapshot
        headers = snapshot.lines.read(raw_headers)
        client_id = request_id(headers)
        if client_id is not None and snapshot.keeps_request_ids:
            return Request(client_id, method, target, headers, peer, self.now(), protocol)
        return Request(new_id(), method, target, headers, peer, self.now(), protocol, client_id)


def break_off(transport: asyncio.Transport | None) -> None:
    """End a connection so that the client cannot take what it has for the whole: by a reset."""
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # The end of an HTTP/1.0 reply without a length is the end of its connection; a plain close would be a good one.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


def new_id() -> str:
    """Return an id for a request: it tells requests apart and guards nothing, so the kernel need not be asked."""
    return f"{random.getrandbits(64):016x}"


def with_cors(headers: Headers, snapshot: Snapshot, request: Headers) -> Headers:
    """Return a reply's header lines and those that let a page read it, given the lines of its request."""
    added = snapshot.cors.headers(request)
    if not added:
        return headers
    # What is judged or refused begins like others; the head of a relayed answer is like no other, and may be large.
    return _joined(headers, added) if len(headers) <= _FEW else _join(headers, added)


def _join(headers: Headers, added: Headers) -> Headers:
    # A preflight's reply says some of it already, and browsers refuse an origin that is allowed twice.
    return (*headers, *[line for line in added if line not in headers])


_joined = lru_cache(maxsize=64)(_join)
