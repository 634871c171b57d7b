"""Who holds how much of something that all share: connections to the upstream, or places where one waits for them.

A route may hold a part of what is *free*, and so may a client: what one holds makes less free for itself as for others,
so that a few that take all they can leave something, and one alone has much (dynamic thresholds: Choudhury and Hahne,
IEEE/ACM Transactions on Networking 6(2), 1998). With a factor of 1 one route has half of it.

Nothing that was taken is taken away again: of routes that begin to hang one after the other each would have half of
what the ones before have left, and the tenth nothing. Where little is free a route may therefore hold a small part of
it only: ten leave enough for all others to go on.
"""

from collections import defaultdict
from enum import StrEnum
from typing import Final

from msgspec import Struct

from gateway.carrying.call import Call

# Less than a quarter is little, and then a route may hold a tenth of it: ten that hang have at most ten elevenths of
# all, whether they begin to at once or one after the other.
_SCARCE: Final = 4
_SPARING: Final = 10


class Share(StrEnum):
    """Whose share of the connections is used up."""

    ROUTE = "route"
    CLIENT = "client"
    RELAYS = "relays"
    """What is relayed at a client's pace."""
    ALL = "all"
    """There is no share: all is in use."""


class Factors(Struct, frozen=True):
    """How many times what is free a route, and a client, may hold."""

    route: float = 1.0
    client: float = 1 / 3


class Shares:
    """Counts what calls hold of `most`, and of the `relays_most` that may be relayed at a client's pace.

    Calls without a route, or without a client, are held to no share of one. A route or a client that holds nothing may
    have one while there is any; of what is not there, as a place to wait is not, each route may have one all the same.
    """

    def __init__(self, most: int, factors: Factors, relays_most: int | None = None) -> None:
        self._most: Final = most
        self._relays_most: Final = most if relays_most is None else relays_most
        self._route_factor: Final = factors.route
        self._client_factor: Final = factors.client
        self._sparing: Final = _SPARING / factors.route
        self._by_route: Final[defaultdict[str, int]] = defaultdict(int)
        # Only those that hold something: routes are few, clients who went away must cost nothing.
        self._by_client: Final[dict[str, int]] = {}
        self._taken = 0
        self._relays = 0

    def spent(self, call: Call) -> Share | None:
        """Return whose share is used up so that this call may have no more; None where it may."""
        free = self._most - self._taken
        relays = self._relays_most - self._relays
        relayed, route, client = call.relayed, call.route, call.client
        held = self._by_route.get(route)
        # Nearly always it holds less than it may where little is free, and needs no second look.
        if (
            held
            and held * self._sparing >= (relays if relayed and relays < free else free)
            and held >= self._most_of_route(free, relays, relayed=relayed)
        ):
            return Share.ROUTE
        if relayed and relays <= 0:
            return Share.RELAYS
        if client and client in self._by_client and self._by_client[client] >= self._client_factor * free:
            return Share.CLIENT
        return Share.ALL if free <= 0 and not route else None

    def room(self, route: str, most: int, *, relayed: bool) -> int:
        """Return how many more calls of a route may have one if nobody else takes any; `most` is enough."""
        free, relays = self._most - self._taken, self._relays_most - self._relays
        if not route:
            return max(0, min(most, free, relays if relayed else free))
        held, more = self._by_route.get(route, 0), 0
        while more < most and (not relayed or relays > more):
            now = held + more
            if now and now >= self._most_of_route(free - more, relays - more, relayed=relayed):
                break
            more += 1
        return more

    def take(self, call: Call) -> None:
        """Count one for a call."""
        self._taken += 1
        self._relays += call.relayed
        route, client = call.route, call.client
        if route:
            self._by_route[route] += 1
        if client:
            self._by_client[client] = self._by_client.get(client, 0) + 1

    def give_back(self, call: Call) -> None:
        """Count it no more."""
        self._taken -= 1
        self._relays -= call.relayed
        if call.route:
            self._by_route[call.route] -= 1
        if call.client:
            left = self._by_client[call.client] - 1
            if left:
                self._by_client[call.client] = left
            else:
                del self._by_client[call.client]

    def _most_of_route(self, free: int, relays: int, *, relayed: bool) -> float:
        """Return how many a route may hold with so many free, of all and of the relays'."""
        most = float(free if _SCARCE * free > self._most else free / _SPARING)
        if relayed and _SCARCE * relays <= self._relays_most:
            most = min(most, relays / _SPARING)
        return self._route_factor * most
