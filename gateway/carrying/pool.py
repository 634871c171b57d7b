"""All connections to one upstream: a call takes a free one, or waits for one, first come, first served.

Nobody takes more than a share: `shares.py` says how much a route or a client may hold, and how many of its calls wait.
"""

import asyncio
from collections import deque
from itertools import islice
from socket import IPPROTO_TCP, SOCK_STREAM
from typing import TYPE_CHECKING, Final

import aiohappyeyeballs
import yarl
from aiohappyeyeballs import AddrInfoType

from gateway.carrying.call import Break, Call, Receiver, Timeouts, tell
from gateway.carrying.connection import UpstreamConnection
from gateway.carrying.outbox import Outbox
from gateway.carrying.shares import Factors, Share, Shares
from gateway.carrying.tls import Tls
from gateway.carrying.tunnel import Tunnel, UntunnelledError
from gateway.vocab.events import Emit, ShareSpent
from gateway.vocab.policy import HeadLimits
from gateway.vocab.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

# Connections made at once: a cold start must not knock an upstream over.
_DIALS_MOST = 32
# Calls that may wait for a connection; they are a few KiB each.
QUEUE = 2048
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
        self._pool.waited(self)


async def _addresses(loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[AddrInfoType]:
    """Ask the resolver for all addresses of a name."""
    found = await loop.getaddrinfo(host, port, type=SOCK_STREAM, proto=IPPROTO_TCP)
    return [(family, kind, protocol, "", address) for family, kind, protocol, _, address in found]


class ConnectionPool:
    """Connections to one upstream, at most `most` open at once; `queue` calls may wait for one.

    They go through a proxy, where there is a `tunnel`.

    Calls that are relayed at a client's pace can have three quarters of them: slow readers and writers hold
    connections as long as they like, and may not keep logins and guarded routes from theirs. For each route and each
    client there is a share of its own (`factors`). Who is over a share waits in the line of the route, and holds up no
    other; clients pass each other there. Relays wait in lines of their own, with `queue` places of their own.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what the wiring has made, and four limits
        self,
        url: str,
        timeouts: Timeouts,
        most: int,
        outbox: Outbox,
        heads: HeadLimits = HeadLimits(),  # noqa: B008 - a frozen value
        factors: Factors = Factors(),  # noqa: B008 - a frozen value
        queue: int = QUEUE,
        emit: Emit = lambda _: None,
        tunnel: Tunnel | None = None,
        tls: Tls = Tls(),  # noqa: B008 - a frozen value
    ) -> None:
        base = yarl.URL(url)
        self.timeouts: Final = timeouts
        # Told why a connection could not be made.
        self.on_failed: Callable[[Exception], None] = lambda _: None
        self._address: Final = (base.host or "", base.port or 0)
        self._ssl: Final = tls.context() if base.scheme == "https" else None
        self._server_name: Final = None if self._ssl is None else tls.server_name or base.host
        self._host: Final = ("Host", base.host_port_subcomponent or "")
        self._tunnel: Final = tunnel
        self._base_path: Final = base.raw_path.rstrip("/")
        self._outbox: Final = outbox
        self._heads: Final = heads
        self._emit: Final = emit
        self.most: Final = most
        self._idle: list[UpstreamConnection] = []
        self._all: set[UpstreamConnection] = set()
        self._using: Final[dict[UpstreamConnection, Call]] = {}
        self._held: Final = Shares(most, factors, relays_most=max(1, most - max(1, most // 4)))
        # A line for each route, and one for what it relays; each in the order of arrival, none of them empty.
        self._lines: Final[dict[tuple[str, bool], deque[_Place]]] = {}
        # A client may wait about as often as it could hold connections: the others need not be sought behind more.
        waiting = Factors(factors.route, min(factors.client, factors.client * most / queue))
        self._places: Final = (Shares(queue, waiting), Shares(queue, waiting))
        self._number = 0
        self._dials: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._is_retired = False

    def send(self, call: Call, receiver: Receiver) -> None:
        """Have a call carried and its answer given to the receiver. At once, if a connection is free."""
        # While any rests nobody waits who may have it (`_serve`), so that nobody is overtaken.
        if self._idle and self._held.spent(call) is None:
            self._use(self._idle.pop(), call, receiver, is_repeat=False)
        else:
            self._queue(call, receiver, is_repeat=False)

    def again(self, call: Call, receiver: Receiver, *, is_repeat: bool) -> None:
        """Send a call on another connection; a repeated one gets a new one, for those that rest may be as dead."""
        if is_repeat:
            self._let_go()
        self._queue(call, receiver, is_repeat=is_repeat)

    def rested(self, connection: UpstreamConnection) -> None:
        """Take back a connection whose answer is complete."""
        self._free(connection)
        connection.rest()
        self._idle.append(connection)
        self._serve()
        if self._is_retired:
            self._let_go()

    def gone(self, connection: UpstreamConnection) -> None:
        """Count a connection no more."""
        self._free(connection)
        if connection in self._all:
            self._all.discard(connection)
            if connection in self._idle:
                self._idle.remove(connection)
            self._serve()

    def left(self, place: _Place) -> None:
        """Forget a place in the queue."""
        key = (place.call.route, place.call.relayed)
        line = self._lines.get(key)
        if line is not None and place in line:
            line.remove(place)
            self._places[place.call.relayed].give_back(place.call)
            if not line:
                del self._lines[key]

    def waited(self, place: _Place) -> None:
        """Refuse a call that has waited as long as it may: for its turn, or for a connection that could not be made."""
        spent = self._held.spent(place.call)
        if spent is None and len(self._all) < self.most:
            place.refuse(Break.UNCONNECTED.refusal())
        else:
            self._emit(ShareSpent(spent or Share.ALL))
            place.refuse(Break.BUSY.refusal())

    def retire(self) -> None:
        """Keep no connection for later: each closes with its answer. Those who are still served by it get theirs."""
        self._is_retired = True
        self._let_go()

    async def close(self) -> None:
        """Close all connections; exchanges under way end without a word."""
        self._is_closed = True
        for line in tuple(self._lines.values()):
            for place in tuple(line):
                place.close()
        dials = tuple(self._dials)
        for dial in dials:
            dial.cancel()
        if dials:
            await asyncio.wait(dials)
        for connection in tuple(self._all):
            connection.close()

    def _use(self, connection: UpstreamConnection, call: Call, receiver: Receiver, *, is_repeat: bool) -> None:
        self._using[connection] = call
        self._held.take(call)
        connection.send(call, receiver, is_repeat=is_repeat)

    def _free(self, connection: UpstreamConnection) -> None:
        call = self._using.pop(connection, None)
        if call is not None:
            self._held.give_back(call)

    def _let_go(self) -> None:
        """Close what rests."""
        # Taken out first: what is freed by closing one must not come into use before it is closed as well.
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _queue(self, call: Call, receiver: Receiver, *, is_repeat: bool) -> None:
        places = self._places[call.relayed]
        spent = places.spent(call)
        if self._is_closed or spent is not None:
            if spent is not None:
                self._emit(ShareSpent(spent))
            tell(receiver, Break.CROWDED.refusal())
            return
        self._number += 1
        places.take(call)
        line = self._lines.setdefault((call.route, call.relayed), deque())
        line.append(_Place(self, self._number, call, receiver, is_repeat=is_repeat))
        self._serve()

    def _serve(self) -> None:
        """Give connections that rest to those who wait, and dial for the others."""
        if not self._lines:
            return
        while self._idle and (place := self._next()) is not None:
            self.left(place)
            receiver = place.leave()
            if receiver is not None:
                self._use(self._idle.pop(), place.call, receiver, is_repeat=place.is_repeat)
        self._dial()

    def _next(self) -> _Place | None:
        """Return the place whose turn it is: the oldest that may have a connection."""
        found: _Place | None = None
        for line in self._lines.values():
            for place in line:
                spent = self._held.spent(place.call)
                if spent is None and (found is None or place.number < found.number):
                    found = place
                # Only of a client's share those behind may have more.
                if spent is not Share.CLIENT:
                    break
        return found

    def _dial(self) -> None:
        room = min(self.most - len(self._all), _DIALS_MOST) - len(self._dials)
        # What rests is for nobody who waits: neither would another one be.
        if self._idle or self._is_closed or room <= 0:
            return
        loop = asyncio.get_running_loop()
        for _ in range(min(room, self._wanted(_DIALS_MOST) - len(self._dials))):
            dial = loop.create_task(self._connect(loop), name="upstream connection")
            self._dials.add(dial)
            dial.add_done_callback(self._dialled)

    def _wanted(self, most: int) -> int:
        """Return how many of those who wait could have a connection if there were more; `most` is enough."""
        wanted = 0
        for (route, relayed), line in self._lines.items():
            room = self._held.room(route, most, relayed=relayed)
            may = (place for place in line if self._held.spent(place.call) is None)
            wanted += sum(1 for _ in islice(may, room))
        return min(wanted, most)

    def _dialled(self, dial: asyncio.Task[None]) -> None:
        self._dials.discard(dial)
        self._serve()

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        host, port = self._address
        near = (host, port) if self._tunnel is None else (self._tunnel.host, self._tunnel.port)
        try:
            async with asyncio.timeout(self.timeouts.connect):
                socket = await aiohappyeyeballs.start_connection(
                    await _addresses(loop, *near),
                    happy_eyeballs_delay=_NEXT_ADDRESS_AFTER,
                    interleave=1,
                    loop=loop,
                )
                try:
                    if self._tunnel is not None:
                        await self._tunnel.open(loop, socket, host, port)
                    _, connection = await loop.create_connection(
                        self._make, sock=socket, ssl=self._ssl, server_hostname=self._server_name
                    )
                except BaseException:
                    socket.close()
                    raise
        except TimeoutError:
            # Whoever it was made for has waited as long and been told; the others have their own time.
            return
        except (OSError, RuntimeError, ValueError) as error:
            self.on_failed(error)
            # RuntimeError is uvloop's word for some; ValueError says that a name cannot be one, or has no address.
            # It was made for whoever waits longest. Those behind may yet get one that is in use now.
            place = self._next()
            if place is not None:
                said = str(error) if isinstance(error, UntunnelledError) else ""
                place.refuse(Break.UNREACHABLE.refusal(said))
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
