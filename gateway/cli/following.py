"""A worker's side of a new configuration: it prepares, swaps or drops as the supervisor says, in that order.

It reads none itself. It watches the files, for the supervisor has no thread that could, and says when one has changed.
"""

import asyncio
import pickle
from collections.abc import Callable
from typing import Final

from gateway.cli.membership import ASK, DROP, PREPARE, PREPARED, READY, REPORT, STIR, SWAP, UNUSABLE, WATCH
from gateway.config.files import Files
from gateway.config.load import Loaded
from gateway.config.watch import changed
from gateway.reload import Made, UnusableError
from gateway.vocab.events import Failed, describe
from gateway.wiring import Gateway


class Following:
    """For a worker that is `gateway`; `say` says something to the supervisor, and `files` are watched."""

    def __init__(self, gateway: Gateway, files: Files, say: Callable[[bytes], None]) -> None:
        self._gateway: Final = gateway
        self._files = files
        self._say: Final = say
        self._told: Final[asyncio.Queue[tuple[bytes, bytes]]] = asyncio.Queue()
        self._made: Made | None = None
        self._next_files = files

    def take(self, message: bytes, content: bytes) -> None:
        """Take what the supervisor says; it is done in its turn."""
        self._told.put_nowait((message, content))

    def ask(self) -> None:
        """Have the configuration read again."""
        self._say(ASK)

    async def run(self) -> None:
        """Do as told, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                watching = group.create_task(self._watch(), name="configuration files")
                files = self._files
                while files is self._files:
                    await self._do(*await self._told.get())
                watching.cancel()

    async def _watch(self) -> None:
        files = self._files
        while True:
            await changed(files)
            self._say(STIR)
            # What is there now is known of, whatever the supervisor makes of it.
            files = await asyncio.to_thread(files.anew)

    async def _do(self, message: bytes, content: bytes) -> None:
        kind, version = message[:1], message[1:].decode()
        try:
            if kind == PREPARE:
                # A thousand routes take a while to unpack. It is of our own supervisor, over a socket of ours.
                await self._prepare(*await asyncio.to_thread(pickle.loads, content))
            elif kind == SWAP:
                self._swap(version)
            elif kind == DROP:
                await self._drop(version)
            elif kind == WATCH:
                self._files = pickle.loads(content)  # noqa: S301
            elif kind == REPORT:
                pickle.loads(content).tell(self._gateway.emit)  # noqa: S301
        except Exception as error:  # noqa: BLE001 - the last resort: what is in force goes on
            self._gateway.emit(Failed("", "reload", describe(error)))

    async def _prepare(self, loaded: Loaded, files: Files) -> None:
        if self._made is not None:
            await self._drop(self._made.loaded.version)
        version = loaded.version.encode()
        try:
            self._made = await self._gateway.in_force.prepare(loaded)
        except UnusableError as error:
            self._say(UNUSABLE + version + f" {error}".encode("utf-8", "backslashreplace"))
        except Exception as error:
            self._say(UNUSABLE + version + b" " + describe(error).encode())
            raise
        else:
            self._next_files = files
            self._say(PREPARED + version)

    def _swap(self, version: str) -> None:
        made = self._made
        if made is not None and made.loaded.version == version:
            self._made = None
            self._gateway.in_force.swap(made)
            self._files = self._next_files
            self._say(READY + version.encode())

    async def _drop(self, version: str) -> None:
        made = self._made
        if made is not None and made.loaded.version == version:
            self._made = None
            await self._gateway.in_force.drop(made)
