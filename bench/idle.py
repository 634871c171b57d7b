"""`make bench-idle`: what 5,000 idle keep-alive connections cost, and whether 10,000 are accepted.

Each connection has had one scoped GET answered before it idles, so that everything is there that a connection keeps.
The gateway has core 0 for itself, the upstream and the client share core 1.
"""

import sys

from bench.command import parser, settings
from bench.load import ORDERS
from bench.machine import LOAD_CORE, allow_descriptors, need, resident_kib, stay_on
from bench.openloop import Connection, traced
from bench.parties import stage
from bench.scorecard import Scorecard

WANTED_KIB = 40
WARM_UP = 200


def main() -> None:
    """Measure and print."""
    command = parser("idle", __doc__, idle=5000, accepted=10_000)
    options = command.parse_args()
    need("taskset")
    # The gateway holds one for each client, and those to the upstream.
    allow_descriptors(options.accepted + 1500)
    card = Scorecard("idle", settings(command, options))
    stay_on(LOAD_CORE)
    with stage() as on:
        # They idle longer than clients usually may, because opening so many takes a while on a busy machine.
        party = on.gateway(config="server: {keepalive: 10m}\n")
        raw = on.request("GET", ORDERS)
        for _ in range(WARM_UP):
            _ask(party.port, raw).close()
        before = resident_kib(party.pid)
        idle = [_ask(party.port, raw) for _ in range(options.idle)]
        after = resident_kib(party.pid)
        print(f"resident: {before} KiB, with {options.idle} idle connections {after} KiB")
        idle += [_ask(party.port, raw) for _ in range(options.accepted - options.idle)]
        print(f"resident: with {options.accepted} idle connections {resident_kib(party.pid)} KiB")
        alive = sum(_is_answered(connection, raw) for connection in idle)
    card.want(f"KiB of each of {options.idle} idle connections", (after - before) / options.idle, most=WANTED_KIB)
    card.want("connections accepted and answered again at the end", alive, least=options.accepted)
    card.close()


def _ask(port: int, raw: bytes) -> Connection:
    """Open a connection and have one request answered."""
    connection = Connection(port)
    if not _is_answered(connection, raw):
        sys.exit("a request was not answered with a success")
    return connection


def _is_answered(connection: Connection, head: bytes) -> bool:
    try:
        connection.send(traced(head), 0.0)
        while (success := connection.take()) is None:
            pass
    except (TimeoutError, ConnectionError):
        return False
    return success


if __name__ == "__main__":
    main()
