"""The configuration in force, and how another one takes its place: made and proven as a whole, swapped in one step.

A request keeps what it began with, and what that needs lives as long as it does. It reads no files; cli/ does.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from weakref import WeakSet

from gateway.carrying.pool import ConnectionPool
from gateway.config.load import Loaded
from gateway.config.model import Config
from gateway.reaching import AllReached
from gateway.server.edge import Serving
from gateway.upstream.credential import Held
from gateway.upstream.parents import Parents
from gateway.vocab.refusals import Refusal


class UnusableError(Exception):
    """A configuration is well-formed, and what it names cannot be used; the text holds no secret."""


@dataclass(frozen=True, slots=True)
class Made:
    """What was made of one configuration."""

    loaded: Loaded
    serving: Serving
    reached: AllReached

    @property
    def config(self) -> Config:
        """The configuration itself."""
        return self.loaded.config

    @property
    def pools(self) -> set[ConnectionPool]:
        """All connections that requests and credentials need."""
        return self.reached.connections


class InForce:
    """Holds what requests are served with, and swaps it.

    `make` makes it of a configuration, given the one before; `take_up` has it used, given the one before.
    """

    def __init__(self, made: Made, make: Callable[[Loaded, Made], Made], take_up: Callable[[Made, Made], None]) -> None:
        self._made = made
        self._make: Final = make
        self._take_up: Final = take_up
        self._swapped: Final = asyncio.Event()
        # All that was ever made and that somebody is still served with: it goes with the last of its requests.
        self._parents: Final = WeakSet[Parents](made.reached.parents.values())
        self._credentials: Final = WeakSet[Held](made.reached.held)
        self._pools: Final = WeakSet[ConnectionPool](made.pools)

    @property
    def config(self) -> Config:
        """The configuration."""
        return self._made.config

    @property
    def version(self) -> str:
        """What it is called."""
        return self._made.loaded.version

    @property
    def conditions(self) -> Mapping[str, bool | str]:
        """Whether requests can be sent with the credentials for customers."""
        return self._made.reached.conditions

    async def prepare(self, loaded: Loaded) -> Made:
        """Make what a configuration says, and see that its credentials can be had. Nothing is used yet.

        Raises UnusableError where it does not; then nothing of it is left.
        """
        before = self._made
        # It takes as long as there are routes; the loop has requests to serve.
        made = await asyncio.to_thread(self._make, loaded, before)
        self._parents.update(made.reached.parents.values())
        self._credentials.update(made.reached.held)
        self._pools.update(made.pools)
        for held, name in made.reached.held.items():
            lines = () if held in before.reached.held else await held.lines()
            if isinstance(lines, Refusal):
                await self.drop(made)
                raise UnusableError(f"{name} gives none: {lines.detail}")
        return made

    async def drop(self, made: Made) -> None:
        """Forget what was prepared."""
        for held in made.reached.held.keys() - self._made.reached.held.keys():
            await held.close()
        for pool in made.pools - self._made.pools:
            await pool.close()

    def swap(self, made: Made) -> None:
        """Serve by what was prepared, from the next request on."""
        before, self._made = self._made, made
        self._take_up(made, before)
        for pool in before.pools - made.pools:
            pool.retire()
        self._swapped.set()

    async def run(self) -> None:
        """Keep the credentials in force fresh, until cancelled."""
        while True:
            await self._renew()

    async def _renew(self) -> None:
        # Until the next are in force. A frame of its own: a name left in it would keep the old ones alive.
        self._swapped.clear()
        async with asyncio.TaskGroup() as group:
            renewing = [group.create_task(one.run(), name="credential renewal") for one in self._made.reached.held]
            await self._swapped.wait()
            for task in renewing:
                task.cancel()

    async def close(self) -> None:
        """Close all that there is, in the order in which one needs the other."""
        for parents in tuple(self._parents):
            await parents.close()
        for credential in tuple(self._credentials):
            await credential.close()
        for pool in tuple(self._pools):
            await pool.close()
