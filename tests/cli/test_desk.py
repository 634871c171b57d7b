"""The supervisor's admin port."""

import selectors
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field

import pytest

from gateway.cli.desk import Desk


@dataclass
class Hall:
    """A desk, turned by hand; a connection that is handed on answers with one word."""

    listening: socket.socket
    selector: selectors.BaseSelector
    has_workers: bool = True
    handed: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Open it."""
        self.desk = Desk([self.listening], self.selector, self._hand)

    def _hand(self, connection: socket.socket) -> bool:
        if self.has_workers:
            self.handed.append(connection.recv(1000))
            connection.sendall(b"worker")
        return self.has_workers

    def turn(self) -> None:
        """Take what there is."""
        while ready := self.selector.select(0.05):
            for key, _ in ready:
                key.data()
        self.desk.look()

    def connect(self) -> socket.socket:
        """Make a connection."""
        return socket.create_connection(self.listening.getsockname(), timeout=5)

    def ask(self, *pieces: bytes) -> bytes:
        """Send a request and return the whole answer."""
        with closing(self.connect()) as client:
            for piece in pieces:
                client.sendall(piece)
                self.turn()
            answer = b""
            while data := client.recv(1000):
                answer += data
            return answer


@pytest.fixture
def hall() -> Iterator[Hall]:
    """Give a desk that is open."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening, selectors.PollSelector() as selector:
        listening.setblocking(False)  # noqa: FBT003 - the name of the parameter is the method's
        hall = Hall(listening, selector)
        yield hall
        hall.desk.close()


def test_live_is_its_own_answer(hall: Hall) -> None:
    """It needs no worker, once there was one; before, the gateway is starting."""
    hall.has_workers = False
    assert hall.ask(b"GET /live HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 503 ")
    hall.desk.is_started = True
    for target in (b"/live", b"/live?probe=1"):
        answer = hall.ask(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b'\r\n\r\n{"status":"live"}')
    assert hall.ask(b"HEAD /live HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\n")
    assert hall.handed == []


@pytest.mark.parametrize("target", [b"/ready", b"/metrics", b"/", b"/livex"])
def test_the_rest_is_handed_on_whole(hall: Hall, target: bytes) -> None:
    """A worker reads the request from its beginning, also where it came in pieces; without one the answer is 503."""
    request = b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    assert hall.ask(request) == b"worker"
    assert hall.ask(*(request[start : start + 9] for start in range(0, len(request), 9))) == b"worker"
    assert hall.handed == [request, request]
    hall.has_workers = False
    assert hall.ask(request).startswith(b"HTTP/1.1 503 ")


def test_nobody_keeps_a_probe_waiting(hall: Hall) -> None:
    """Connections that say nothing, half a request, too much or nothing more hold up nobody; the oldest goes first."""
    hall.desk.is_started = True
    silent = [hall.connect() for _ in range(100)]
    silent[-1].sendall(b"GET /live")
    hall.turn()
    assert hall.desk.is_waiting
    assert hall.ask(b"GET /live HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    with suppress(ConnectionResetError):
        assert hall.ask(b"GET /" + b"x" * 20_000) == b""
    assert silent[0].recv(1) == b""
    for client in silent:
        client.close()
