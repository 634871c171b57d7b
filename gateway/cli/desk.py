"""The admin port of a gateway with several workers: its supervisor takes the connections, for no worker hangs there.

It answers `/live` itself, from the moment that a worker serves - until then it is not started -, and hands every other
connection to a worker that is well.
"""

import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress

# A request for a page of an admin port is a few hundred bytes.
_HEAD_MOST = 16 * 1024
_PATIENCE = 5.0
# Those that have said nothing yet; for one more the oldest goes.
_WAITING_MOST = 32
_END_OF_HEAD = b"\r\n\r\n"
_UNAVAILABLE = b"503 Service Unavailable"
_LIVE = b'{"status":"live"}'
_STARTING = b'{"status":"starting"}'
_NOT_READY = b'{"status":"not ready","conditions":{"workers":false}}'


class Desk:
    """Takes the connections of `listening`. `hand` gives one to a worker and tells whether there was any.

    Whoever has it says when the gateway `is_started`.
    """

    def __init__(
        self, listening: list[socket.socket], selector: selectors.BaseSelector, hand: Callable[[socket.socket], bool]
    ) -> None:
        self.is_started = False
        self._listening = listening
        self._selector = selector
        self._hand = hand
        self._waiting: dict[socket.socket, float] = {}
        # Those that have sent a part of a head: they can be read for ever, and are looked at from time to time.
        self._partly: set[socket.socket] = set()
        for one in listening:
            selector.register(one, selectors.EVENT_READ, lambda one=one: self._accept(one))

    @property
    def is_waiting(self) -> bool:
        """Whether somebody is to be looked at soon."""
        return bool(self._partly)

    def look(self) -> None:
        """Look at those who have sent a part, and let go of those who take too long."""
        for connection in tuple(self._partly):
            self._read(connection)
        for connection, since in tuple(self._waiting.items()):
            if time.monotonic() - since > _PATIENCE:
                self._drop(connection)

    def close(self) -> None:
        """Close everything, in a process that shall have none of it or at the end."""
        for one in (*self._listening, *self._waiting):
            one.close()

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except OSError:
            # Its client has left meanwhile; or there is no descriptor, and the oldest gives its own.
            self._drop_oldest()
            return
        connection.setblocking(False)  # noqa: FBT003 - the name of the parameter is the method's
        if len(self._waiting) >= _WAITING_MOST:
            self._drop_oldest()
        self._waiting[connection] = time.monotonic()
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._read(connection))

    def _read(self, connection: socket.socket) -> None:
        """See what was asked without taking it: whoever answers takes it."""
        try:
            head = connection.recv(_HEAD_MOST, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            head = b""
        if not head or (len(head) == _HEAD_MOST and _END_OF_HEAD not in head):
            self._drop(connection)
        elif _END_OF_HEAD in head:
            self._forget(connection)
            with connection:
                self._answer(connection, head)
        elif connection not in self._partly:
            self._selector.unregister(connection)
            self._partly.add(connection)

    def _answer(self, connection: socket.socket, head: bytes) -> None:
        method, _, rest = head.partition(b"\r\n")[0].partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if path == b"/live" and method in {b"GET", b"HEAD"}:
            if self.is_started:
                _reply(connection, head, b"200 OK", _LIVE)
            else:
                _reply(connection, head, _UNAVAILABLE, _STARTING)
        elif not self._hand(connection):
            _reply(connection, head, _UNAVAILABLE, _NOT_READY)

    def _drop_oldest(self) -> None:
        if self._waiting:
            self._drop(next(iter(self._waiting)))

    def _drop(self, connection: socket.socket) -> None:
        self._forget(connection)
        connection.close()

    def _forget(self, connection: socket.socket) -> None:
        del self._waiting[connection]
        if connection in self._partly:
            self._partly.discard(connection)
        else:
            self._selector.unregister(connection)


def _reply(connection: socket.socket, head: bytes, status: bytes, body: bytes) -> None:
    shown = b"" if head.startswith(b"HEAD ") else body
    lines = (
        b"HTTP/1.1 " + status,
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        b"Connection: close",
    )
    with suppress(OSError):
        # A connection with something unread is reset when it is closed, and the answer with it.
        connection.recv(_HEAD_MOST)
        connection.sendall(b"\r\n".join(lines) + _END_OF_HEAD + shown)
        connection.shutdown(socket.SHUT_WR)
