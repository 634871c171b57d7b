"""Looks up the records that must be the caller's before a plan may run, and remembers a yes for a moment.

It does not judge: scope.core does. Only a yes is remembered, under everything it was decided by; a "no" costs one call
each time, so that "not yours" takes as long as "not there".
"""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from cachetools import TTLCache

from gateway.scope.core import judge_parent
from gateway.upstream.backend import Backend
from gateway.vocab.messages import Lookup, Parent, Query, Trace
from gateway.vocab.refusals import Refusal
from gateway.wire.pointer import Reading, owner_at, references, split
from gateway.wire.records import shown

# A few hundred bytes each.
_MOST: Final = 10_000


class Allowed(NamedTuple):
    """What a parent that allows its plan refers to, and whether it belongs to nobody."""

    refers: frozenset[tuple[str, str]]
    is_guests: bool


class Parents:
    """Checks parents through `backend`, and remembers a yes for `memory` seconds. `clock` is monotonic, in seconds.

    The time between a check and the write behind it can be as long: a record that changes hands upstream meanwhile is
    not noticed.
    """

    def __init__(self, backend: Backend, memory: float, clock: Callable[[], float]) -> None:
        self._backend = backend
        self._good: TTLCache[Parent, Allowed] = TTLCache(_MOST, memory, timer=clock)
        self._flights: dict[tuple[str, Query], asyncio.Task[Lookup | Refusal]] = {}

    async def check(self, parent: Parent, trace: Trace) -> Allowed | Refusal:
        """Say what is known of a parent that allows its plan, or no. Equal look-ups at the same moment are one call."""
        known = self._good.get(parent)
        if known is not None:
            return known
        looked_up = await self._look_up(parent.path, parent.query, trace)
        if isinstance(looked_up, Refusal):
            return looked_up
        refusal = judge_parent(parent, looked_up)
        if refusal is not None:
            self._good.pop(parent, None)
            return refusal
        found = shown(looked_up.document, parent.form, expects_one=True)
        record = None if isinstance(found, Refusal) else found.records[0]
        is_guests = owner_at(record, split(parent.pointer), parent.form.ids) is Reading.NOBODY
        self._good[parent] = allowed = Allowed(references(record), is_guests)
        return allowed

    async def _look_up(self, path: str, query: Query, trace: Trace) -> Lookup | Refusal:
        asked = path, query
        flight = self._flights.get(asked)
        if flight is None:
            # It is all that the answer depends on: look-ups carry the server's bearer and nothing of a client's.
            look_up = self._backend.look_up(path, query, trace)
            flight = self._flights[asked] = asyncio.get_running_loop().create_task(look_up, name="parent look-up")
            flight.add_done_callback(lambda _: self._flights.pop(asked, None))
        # One client that leaves must not take the answer from the others.
        return await asyncio.shield(flight)

    async def close(self) -> None:
        """End the look-ups under way."""
        flights = [*self._flights.values()]
        for flight in flights:
            flight.cancel()
        if flights:
            await asyncio.wait(flights)
