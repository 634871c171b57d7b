"""Reads the configuration again when it is told to, or when its files change, and has it used where it is good."""

import asyncio
from dataclasses import replace
from typing import Final

from gateway.cli.candidate import Candidate, Reading, Report, read_again
from gateway.cli.chance import Chance
from gateway.config.watch import changed
from gateway.reload import UnusableError
from gateway.vocab.events import Failed, describe
from gateway.wiring import Gateway

# What keeps a good file from being used - an upstream that gives no bearer yet - shows in no file when it is over.
TRY_AGAIN: Final = 15.0


class Reloader:
    """For a gateway that is one process. `ask` may be called at any time, also before `run`."""

    def __init__(self, reading: Reading, chance: Chance) -> None:
        self._reading = reading
        self._chance: Final = chance
        self._asked: Final = asyncio.Event()

    def ask(self) -> None:
        """Have the configuration read again."""
        self._asked.set()

    async def run(self, gateway: Gateway) -> None:
        """Do so until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                watching = group.create_task(self._watch(), name="configuration files")
                await self._asked.wait()
                self._asked.clear()
                watching.cancel()
                try:
                    candidate = await asyncio.to_thread(read_again, self._reading)
                    await self._use(candidate, gateway)
                except Exception as error:  # noqa: BLE001 - the last resort: what is in force goes on, whatever was read
                    gateway.emit(Failed("", "reload", describe(error)))

    async def _watch(self) -> None:
        await changed(self._reading.files)
        self.ask()

    async def _use(self, candidate: Candidate, gateway: Gateway) -> None:
        emit, in_force = gateway.emit, gateway.in_force
        self._reading = replace(self._reading, files=candidate.files)
        loaded, version = candidate.loaded, in_force.version
        if loaded is None:
            Report(version, "refused", candidate.faults).tell(emit)
            return
        if loaded.version == version:
            Report(version, "unchanged").tell(emit)
            return
        Report(version, changes=candidate.changes).tell(emit)
        try:
            made = await in_force.prepare(self._chance.settle(loaded))
        except UnusableError as error:
            Report(version, "refused", (str(error),)).tell(emit)
            asyncio.get_running_loop().call_later(TRY_AGAIN, self.ask)
            return
        in_force.swap(made)
        self._reading = replace(self._reading, in_force=loaded)
        Report(in_force.version, "swapped").tell(emit)
