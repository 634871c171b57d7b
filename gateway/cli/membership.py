"""A worker's side of what binds it to its supervisor: it says that it lives, and is given what the supervisor has.

A message is a datagram of a pair of sockets (unix(7)); its first byte says what it is. The supervisor is never waited
for: what it does not take is lost.
"""

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gateway.cli import sheet
from gateway.cli.loop import Stop
from gateway.vocab.events import WorkerLost
from gateway.wiring import Gateway

BEAT: Final = b"."
READY: Final = b"R"
"""A beat of a worker that serves, with the version of the configuration that it serves by."""
ASK: Final = b"W"
"""The configuration is to be read again, whatever has changed."""
STIR: Final = b"M"
"""A file of the configuration may have changed."""
PREPARED: Final = b"Y"
"""With a version: the worker can swap."""
UNUSABLE: Final = b"N"
"""With a version, and why the worker cannot use that configuration."""
PREPARE: Final = b"P"
"""With a descriptor: a configuration to be made ready for use, and its files."""
SWAP: Final = b"S"
"""With a version: serve by that configuration from now on."""
DROP: Final = b"D"
"""With a version: forget that configuration."""
WATCH: Final = b"F"
"""With a descriptor: the files to be watched from now on."""
REPORT: Final = b"T"
"""With a descriptor: what came of reading the configuration again, to be told of."""
FAULT: Final = b"F"
"""With the cause in one line: the worker cannot start."""
CONNECTION: Final = b"A"
"""With a descriptor: a connection to the admin port."""
LOST: Final = b"L"
"""With the fields of a `WorkerLost`, as JSON: to be told of."""
MESSAGE_MOST: Final = 8192
# The supervisor has waited for several when it finds one too silent.
_BEATS: Final = 8
_BEAT_LATEST: Final = 1.0


def beat_every(heartbeat: float) -> float:
    """Return how often a worker says that it lives; seconds."""
    return min(_BEAT_LATEST, heartbeat / _BEATS)


class Membership:
    """One worker's: `link` is its socket, `lifeline` a pipe that is closed when the supervisor is gone."""

    def __init__(self, link: socket.socket, lifeline: int, heartbeat: float) -> None:
        self._link = link
        self._lifeline = lifeline
        self._every = beat_every(heartbeat)
        self._gateway: Gateway | None = None
        link.setblocking(False)  # noqa: FBT003 - the name of the parameter is the method's

    def begin(self, stop: Stop) -> None:
        """Say from now on, in each of the running loop's turns that is due, that it turns."""
        asyncio.get_running_loop().add_reader(self._lifeline, self._let_go, stop)
        self._beat()

    def serve(self, gateway: Gateway, follow: Callable[[bytes, bytes], None]) -> None:
        """Say that this worker serves, and take what the supervisor gives; `follow` is told of configurations."""
        self._gateway = gateway
        asyncio.get_running_loop().add_reader(self._link, self._take, gateway, follow)
        self.say(self._pulse())

    def say(self, message: bytes) -> None:
        """Say something to the supervisor; it is lost where that takes nothing at this moment."""
        with suppress(OSError):
            self._link.send(message[:MESSAGE_MOST])

    def fail(self, text: str) -> None:
        """Say why this worker cannot start."""
        self.say(FAULT + text.encode("utf-8", "backslashreplace"))

    def leave(self, gateway: Gateway, follow: Callable[[bytes, bytes], None]) -> None:
        """Take what was given already, and nothing more: what is given from now on fails, and goes to another worker.

        A connection that this process never took would be reset with its end.
        """
        asyncio.get_running_loop().remove_reader(self._link)
        with suppress(OSError):
            # Where it fails the supervisor is gone, and gives nothing any more.
            self._link.shutdown(socket.SHUT_RD)
        while self._take(gateway, follow):
            pass

    def _pulse(self) -> bytes:
        # Said again with each beat, for one message may be lost.
        return BEAT if self._gateway is None else READY + self._gateway.in_force.version.encode()

    def _beat(self) -> None:
        self.say(self._pulse())
        asyncio.get_running_loop().call_later(self._every, self._beat)

    def _take(self, gateway: Gateway, follow: Callable[[bytes, bytes], None]) -> bool:
        """Take one message, and tell whether there was any."""
        try:
            message, descriptors, _, _ = socket.recv_fds(self._link, MESSAGE_MOST, 1)
        except OSError:
            # Nothing there after all, or no descriptor is free.
            return False
        if message.startswith(CONNECTION):
            for descriptor in descriptors:
                gateway.take_admin(socket.socket(fileno=descriptor))
            return True
        content = b"".join(map(sheet.read, descriptors))
        for descriptor in descriptors:
            os.close(descriptor)
        if message.startswith(LOST):
            gateway.emit(WorkerLost(**json.loads(message.removeprefix(LOST))))
        elif message:
            follow(message, content)
        return bool(message)

    def _let_go(self, stop: Stop) -> None:
        # A closed pipe can be read for ever.
        asyncio.get_running_loop().remove_reader(self._lifeline)
        stop.tell(signal.SIGTERM)
