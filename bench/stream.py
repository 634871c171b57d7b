"""`make bench-stream`: 1 GiB down through an open route and 1 GiB up, beside nginx: memory, and bytes a second.

Each party has core 0 for itself, the upstream and the client share core 1; the parties take turns.
"""

import json
import re
import socket
import statistics
import sys
import time

from bench.command import parser, settings
from bench.load import in_turns
from bench.machine import LOAD_CORE, forget_peak, need, peak_kib, resident_kib, stay_on
from bench.parties import Party, stage
from bench.scorecard import Scorecard
from bench.upstream import LARGE

WANTED_MIB = 32
WANTED_SPEED = 0.3
PIECE = 256 * 1024
WARM_UP = 20
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_ITEMS = "/v2/carts/c1/items"


def main() -> None:
    """Measure and print."""
    command = parser("stream", __doc__, rounds=3)
    options = command.parse_args()
    need("taskset", "nginx")
    card = Scorecard("stream", settings(command, options))
    stay_on(LOAD_CORE)
    for way in ("down", "up"):
        with stage(sink=way == "up") as on:
            get = on.request("GET", "/catalog/large")
            post = on.request("POST", _ITEMS, "Content-Type: application/octet-stream", f"Content-Length: {LARGE}")
            request = get if way == "down" else post

            def measure(party: Party, request: bytes = request) -> float:
                return transfer(party.port, request)

            gateway, nginx = on.gateway(), on.nginx()
            # What any first request costs once is no growth.
            for _ in range(WARM_UP):
                _exchange(gateway.port, on.request("GET", _ITEMS), 0)
            before = resident_kib(gateway.pid)
            forget_peak(gateway.pid)
            taken = in_turns([gateway, nginx], options.rounds, measure, lambda _: None)
            grown = (peak_kib(gateway.pid) - before) / 1024
        speeds = {name: statistics.median(found) / 2**20 for name, found in taken.items()}
        print(f"1 GiB {way}: " + ", ".join(f"{name} {speed:.0f} MiB/s" for name, speed in speeds.items()))
        card.keep(f"MiB/s {way}", speeds)
        card.want(f"memory grown while 1 GiB goes {way}", grown, most=WANTED_MIB, unit=" MiB")
        times = statistics.median(a / b for a, b in zip(taken["gateway"], taken["nginx"], strict=True))
        card.want(f"bytes/s {way}, gateway : nginx", times, least=WANTED_SPEED)
    card.close()


def transfer(port: int, head: bytes) -> float:
    """Send a request, with a large body if it is a POST, read the answer, and return the bytes per second."""
    is_upload = head.startswith(b"POST")
    began = time.perf_counter()
    length, answer = _exchange(port, head, LARGE if is_upload else 0)
    seconds = time.perf_counter() - began
    # An answer comes as it came from the upstream, or in one chunk where the gateway rewrites its links.
    moved = json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])["received"] if is_upload else length
    if moved != LARGE:
        sys.exit(f"{moved} bytes went through, not {LARGE}")
    return LARGE / seconds


def _exchange(port: int, head: bytes, size: int) -> tuple[int, bytes]:
    """Send a request with a body of that size; return the length of the answer's body, and the body if it is small."""
    piece = memoryview(bytes(PIECE))
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(head)
        for _ in range(size // PIECE):
            connection.sendall(piece)
        return _answer(connection)


def _answer(connection: socket.socket) -> tuple[int, bytes]:
    """Read a whole answer, which must be a success."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(PIECE) or sys.exit("an answer broke off")
    head, _, body = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        sys.exit(f"no success: {received!r}")
    found = _LENGTH.search(head)
    if found is None:
        # Only small answers come in chunks here.
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(PIECE) or sys.exit("an answer broke off")
        return len(body), body
    length, got, buffer = int(found[1]), len(body), bytearray(PIECE)
    if length <= PIECE:
        while len(body) < length:
            body += connection.recv(PIECE) or sys.exit("an answer broke off")
        return length, body
    while got < length:
        got += connection.recv_into(buffer) or sys.exit("an answer broke off")
    return length, b""


if __name__ == "__main__":
    main()
