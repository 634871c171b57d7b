"""An open loop: requests leave at their appointed times, however late the answers are.

Latency counts from the appointed time, so a stall is felt by every request that was due in it (no coordinated
omission). One thread and `select`, whose timeout is finer than a millisecond, unlike that of event loops.
"""

import itertools
import re
import secrets
import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_RUN = secrets.token_hex(8).encode()
_NUMBERS = itertools.count()
_OK = re.compile(rb"HTTP/1\.1 2\d\d ")


@dataclass(slots=True)
class Measured:
    """Latencies in milliseconds, and how many requests were answered with anything but a success."""

    latencies: list[float] = field(default_factory=list)
    failed: int = 0

    def percentile(self, percent: float) -> float:
        """Return a percentile."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def traced(head: bytes) -> bytes:
    """Return the head of a request with a new `traceparent` (W3C Trace Context), as behind any ingress that traces."""
    return b"%straceparent: 00-%s%016x-b7ad6b7169203331-01\r\n\r\n" % (head[:-2], _RUN, next(_NUMBERS))


class Connection:
    """One connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.appointed = 0.0
        self._received = b""

    def send(self, raw: bytes, appointed: float) -> None:
        """Send a request that was due at `appointed`."""
        self.appointed = appointed
        self._received = b""
        self.socket.sendall(raw)

    def close(self) -> None:
        """End it."""
        self.socket.close()

    def take(self) -> bool | None:
        """Take what has come; None while more is to come, else whether the answer is a success.

        Raises ConnectionError where the other side has ended the connection.
        """
        data = self.socket.recv(262144)
        if not data:
            raise ConnectionError("ended in the middle of an answer")
        self._received += data
        head, mark, body = self._received.partition(b"\r\n\r\n")
        if not mark:
            return None
        length = _LENGTH.search(head)
        if length is None:
            sys.exit(f"an answer has no length: {head!r}")
        return None if len(body) < int(length[1]) else _OK.match(head) is not None


def run(port: int, head: bytes, rate: float, seconds: float, connections: int = 32) -> Measured:
    """Send `head`, each time with a trace of its own, so many times a second.

    A request that finds every connection taken waits for one, and is late.
    """
    idle = deque(Connection(port) for _ in range(connections))
    open_connections = list(idle)
    working: dict[int, Connection] = {}
    measured = Measured()
    total = int(rate * seconds)
    sent = 0
    began = time.perf_counter() + 0.05
    while len(measured.latencies) < total:
        due = began + sent / rate
        now = time.perf_counter()
        if sent < total and due <= now and idle:
            connection = idle.popleft()
            connection.send(traced(head), due)
            working[connection.socket.fileno()] = connection
            sent += 1
            continue
        wait = due - now if sent < total and idle else 10.0
        ready, _, _ = select.select(list(working), [], [], max(0.0, wait))
        if not ready and wait >= 10.0:  # noqa: PLR2004 - as above
            sys.exit("an answer did not come in ten seconds")
        now = time.perf_counter()
        for number in ready:
            success = working[number].take()
            if success is None:
                continue
            connection = working.pop(number)
            measured.latencies.append((now - connection.appointed) * 1000)
            measured.failed += not success
            idle.append(connection)
    for connection in open_connections:
        connection.close()
    return measured
