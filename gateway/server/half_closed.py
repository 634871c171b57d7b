"""Clients that have closed their sending side and still wait for an answer (RFC 9293 section 3.6).

A client that is done with asking looks the same as one that has gone: it is seen only by what its system says to what
is written. So there may be few of them, their replies must begin in time, and whether a connection was reset meanwhile
is looked up: no event loop tells once reading has come to its end.
"""

import asyncio
import select
from typing import Final, Protocol

# A reset is known within a second: what is given up for it, a connection to the upstream, others wait for.
_LOOK_EVERY: Final = 0.5


class HalfClosedClient(Protocol):
    """A connection that is watched."""

    transport: asyncio.Transport | None

    @property
    def has_begun(self) -> bool:
        """Whether its reply has begun."""

    def cut_off(self) -> None:
        """End at once."""


class HalfClosed:
    """Clients of one worker that are watched, none before a limit is set."""

    def __init__(self) -> None:
        self._most = 0
        self._begin_within = 0.0
        self._poll = select.poll()
        self._watched: dict[int, tuple[HalfClosedClient, float]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def limit(self, most: int, begin_within: float) -> None:
        """Take at most `most` clients; each must have the beginning of its reply within so many seconds."""
        self._most, self._begin_within = most, begin_within

    def take(self, client: HalfClosedClient) -> bool:
        """Watch a client, anew where its next reply is due; False where there are too many, or it has gone."""
        if client.transport is None or client.transport.is_closing():
            return False
        loop = asyncio.get_running_loop()
        number = client.transport.get_extra_info("socket").fileno()
        if number not in self._watched and len(self._watched) >= self._most:
            return False
        self._watched[number] = client, loop.time() + self._begin_within
        # No events are asked for: POLLERR and POLLHUP are told unasked (poll(2)), and an end of sending is none.
        self._poll.register(number, 0)
        if self._timer is None:
            self._timer = loop.call_later(_LOOK_EVERY, self._look)
        return True

    def forget(self, client: HalfClosedClient) -> None:
        """Watch a client no more: its connection has ended."""
        for number, (one, _) in tuple(self._watched.items()):
            if one is client:
                del self._watched[number]
                self._poll.unregister(number)
        if not self._watched and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_LOOK_EVERY, self._look)
        broken = {number for number, _ in self._poll.poll(0)}
        now = loop.time()
        for number, (client, deadline) in tuple(self._watched.items()):
            if number in broken or (now >= deadline and not client.has_begun):
                client.cut_off()
