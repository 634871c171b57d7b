"""All connections to one upstream: a call takes a free one, or waits for one, first come, first served."""

import asyncio
from collections import deque
from socket import IPPROTO_TCP, SOCK_STREAM
from typing import Final

import aiohappyeyeballs
import yarl
from aiohappyeyeballs import AddrInfoType

from gateway.carrying.call import Break, Call, Receiver, Timeouts, tell
from gateway.carrying.connection import UpstreamConnection
from gateway.carrying.outbox import Outbox
from gateway.carrying.tls import Tls
from gateway.vocab.policy import HeadLimits
from gateway.vocab.refusals import Refusal

# Connections made at once: a cold start must not knock an upstream over.
_DIALS_MOST = 32
# Calls that wait for a connection, at the least; they are a few KiB each.
_WAITING_LEAST = 1024
# How long a connection is kept unused that was made for somebody who has another one by now, and how long a request
# waits on a new one before those that rest are suspected; seconds.
_KEPT_UNUSED = 0.25
_SUSPECTED_AFTER = 0.3
# RFC 8305 section 8: how long the first address is tried alone.
_NEXT_ADDRESS_AFTER = 0.25


class _Place:
    """A call's place in the queue. It is the call's carrier until there is a connection."""

    def __init__(self, pool: "ConnectionPool", number: int, call: Call, receiver: Receiver, *, is_repeat: bool) -> None:
        self.number = number
        self.call = call
        self.receiver: Receiver | None = receiver
        self.is_repeat = is_repeat
        self._pool = pool
        self._timer = asyncio.get_running_loop().call_later(pool.timeouts.connect, self._give_up)
        receiver.carrier = self

    def pause(self) -> None:
        """There is nothing to be held yet; whoever has the answer will be told again."""

    def resume(self) -> None:
        """There is nothing that was held."""

    def allow_silence(self, seconds: float) -> None:
        """There is no answer yet."""

    def close(self) -> None:
        """Leave the queue."""
        self._timer.cancel()
        self.receiver = None
        self._pool.left(self)

    def leave(self) -> Receiver | None:
        """Take the receiver out: it has a connection now, or a refusal."""
        self._timer.cancel()
        receiver, self.receiver = self.receiver, None
        return receiver

    def refuse(self, refusal: Refusal) -> None:
        """Tell the receiver that there is no connection for it."""
        receiver = self.leave()
        self._pool.left(self)
        if receiver is not None:
            tell(receiver, refusal)

    def _give_up(self) -> None:
        self.refuse(Break.UNCONNECTED.refusal())


async def _addresses(loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[AddrInfoType]:
    """Ask the resolver for all addresses of a name."""
    found = await loop.getaddrinfo(host, port, type=SOCK_STREAM, proto=IPPROTO_TCP)
    return [(family, kind, protocol, "", address) for family, kind, protocol, _, address in found]


class ConnectionPool:
    """Connections to one upstream, at most `most` open at once.

    Calls that are relayed at a client's pace can have three quarters of them: slow readers and writers hold
    connections as long as they like, and may not keep logins and guarded routes from theirs.
    """

    def __init__(
        self,
        url: str,
        timeouts: Timeouts,
        most: int,
        outbox: Outbox,
        heads: HeadLimits = HeadLimits(),  # noqa: B008 - a frozen value
        tls: Tls = Tls(),  # noqa: B008 - a frozen value
    ) -> None:
        base = yarl.URL(url)
        self.timeouts: Final = timeouts
        self._address: Final = (base.host or "", base.port or 0)
        self._ssl: Final = tls.context() if base.scheme == "https" else None
        self._server_name: Final = None if self._ssl is None else tls.server_name or base.host
        self._host: Final = ("Host", base.host_port_subcomponent or "")
        self._base_path: Final = base.raw_path.rstrip("/")
        self._outbox: Final = outbox
        self._heads: Final = heads
        self.most: Final = most
        self._relays_most: Final = max(1, most - max(1, most // 4))
        self._idle: list[UpstreamConnection] = []
        self._all: set[UpstreamConnection] = set()
        self._relaying: set[UpstreamConnection] = set()
        # Each in the order of arrival; relays have a queue of their own, so that they wait for their share alone.
        self._waiting: Final[tuple[deque[_Place], deque[_Place]]] = (deque(), deque())
        self._number = 0
        self._dials: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def send(self, call: Call, receiver: Receiver) -> None:
        """Have a call carried and its answer given to the receiver. At once, if a connection is free."""
        if self._idle and not self._waiting[call.relayed] and self._may_have_one(call):
            self._use(self._idle.pop(), call, receiver, is_repeat=False)
        else:
            self._queue(call, receiver, is_repeat=False)

    def again(self, call: Call, receiver: Receiver, *, is_repeat: bool) -> None:
        """Send a call on another connection; a repeated one gets a new one, for those that rest may be as dead."""
        if is_repeat:
            # Taken out first: what is freed by closing one must not come into use before it is closed as well.
            idle, self._idle = self._idle, []
            for connection in idle:
                connection.close()
        self._queue(call, receiver, is_repeat=is_repeat)

    def rested(self, connection: UpstreamConnection) -> None:
        """Take back a connection whose answer is complete."""
        self._relaying.discard(connection)
        connection.rest()
        self._idle.append(connection)
        self._serve()

    def gone(self, connection: UpstreamConnection) -> None:
        """Count a connection no more."""
        self._relaying.discard(connection)
        if connection in self._all:
            self._all.discard(connection)
            if connection in self._idle:
                self._idle.remove(connection)
            self._serve()

    def left(self, place: _Place) -> None:
        """Forget a place in the queue."""
        queue = self._waiting[place.call.relayed]
        if place in queue:
            queue.remove(place)

    async def close(self) -> None:
        """Close all connections; exchanges under way end without a word."""
        self._is_closed = True
        for queue in self._waiting:
            for place in tuple(queue):
                place.close()
        dials = tuple(self._dials)
        for dial in dials:
            dial.cancel()
        if dials:
            await asyncio.wait(dials)
        for connection in tuple(self._all):
            connection.close()

    def _may_have_one(self, call: Call) -> bool:
        return not call.relayed or len(self._relaying) < self._relays_most

    def _use(self, connection: UpstreamConnection, call: Call, receiver: Receiver, *, is_repeat: bool) -> None:
        if call.relayed:
            self._relaying.add(connection)
        connection.send(call, receiver, is_repeat=is_repeat)

    def _queue(self, call: Call, receiver: Receiver, *, is_repeat: bool) -> None:
        queue = self._waiting[call.relayed]
        if self._is_closed or len(queue) >= max(_WAITING_LEAST, 4 * self.most):
            tell(receiver, Break.CROWDED.refusal())
            return
        self._number += 1
        queue.append(_Place(self, self._number, call, receiver, is_repeat=is_repeat))
        self._serve()

    def _serve(self) -> None:
        """Give connections that rest to those who wait, and dial for the others."""
        while self._idle and (place := self._next()) is not None:
            self._waiting[place.call.relayed].popleft()
            receiver = place.leave()
            if receiver is not None:
                self._use(self._idle.pop(), place.call, receiver, is_repeat=place.is_repeat)
        self._dial()

    def _next(self) -> _Place | None:
        """Return the place whose turn it is: the oldest that may have a connection."""
        own, relays = self._waiting
        heads = [queue[0] for queue in (own, relays) if queue and self._may_have_one(queue[0].call)]
        return min(heads, key=lambda place: place.number, default=None)

    def _dial(self) -> None:
        room = min(self.most - len(self._all), _DIALS_MOST) - len(self._dials)
        relays = min(len(self._waiting[1]), self._relays_most - len(self._relaying))
        wanted = len(self._waiting[0]) + max(0, relays) - len(self._dials)
        loop = asyncio.get_running_loop()
        for _ in range(min(room, wanted) if not self._is_closed else 0):
            dial = loop.create_task(self._connect(loop), name="upstream connection")
            self._dials.add(dial)
            dial.add_done_callback(self._dialled)

    def _dialled(self, dial: asyncio.Task[None]) -> None:
        self._dials.discard(dial)
        self._serve()

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        host, port = self._address
        try:
            async with asyncio.timeout(self.timeouts.connect):
                socket = await aiohappyeyeballs.start_connection(
                    await _addresses(loop, host, port),
                    happy_eyeballs_delay=_NEXT_ADDRESS_AFTER,
                    interleave=1,
                    loop=loop,
                )
                try:
                    _, connection = await loop.create_connection(
                        self._make, sock=socket, ssl=self._ssl, server_hostname=self._server_name
                    )
                except BaseException:
                    socket.close()
                    raise
        except TimeoutError:
            # Whoever it was made for has waited as long and been told; the others have their own time.
            return
        except (OSError, RuntimeError, ValueError):
            # RuntimeError is uvloop's word for some; ValueError says that a name cannot be one, or has no address.
            # It was made for whoever waits longest. Those behind may yet get one that is in use now.
            place = self._next()
            if place is not None:
                place.refuse(Break.UNREACHABLE.refusal())
            return
        # It may have ended, or have been spoken on, already; whoever gets it finds out and is sent on.
        self._all.add(connection)
        connection.rest(_KEPT_UNUSED)
        self._idle.append(connection)
        loop.call_later(_SUSPECTED_AFTER, self._suspect, connection)
        self._serve()

    def _suspect(self, untried: UpstreamConnection) -> None:
        """Close what rests too long while a new connection waits for its first answer.

        An upstream that serves one connection at a time waits for the next request on that, and for no other.
        """
        if untried not in self._all or not untried.is_untried:
            return
        if untried.is_in_use:
            for connection in [one for one in self._idle if one.has_rested(_SUSPECTED_AFTER)]:
                connection.close()
        asyncio.get_running_loop().call_later(_SUSPECTED_AFTER, self._suspect, untried)

    def _make(self) -> UpstreamConnection:
        return UpstreamConnection(self, self._outbox, self.timeouts, self._host, self._base_path, self._heads)
