"""`make bench-post`: a customer adds addresses of about 1 KB to the own ones, beside the scoped GETs of `make bench`.

The POST's path must name the customer, its body is read whole, decoded, judged and encoded anew, and the answer is
judged. Both are asked of one gateway in turns. It has core 0 for itself, the upstream and wrk (32 connections) share
core 1.
"""

import json
from dataclasses import replace

from bench.command import parser, settings
from bench.load import ORDERS, Ask, Load, full_load, in_turns, medians, print_loads, ratio
from bench.machine import need
from bench.parties import Party, stage
from bench.scorecard import Scorecard
from bench.upstream import CUSTOMER, address

WANTED = 0.65
GET, POST = "scoped GET", "scoped POST"


def main() -> None:
    """Measure and print."""
    command = parser("post", __doc__, rounds=6, seconds=4)
    options = command.parse_args()
    need("wrk", "taskset")
    card = Scorecard("post", settings(command, options))
    body = json.dumps({"data": address()}, separators=(",", ":"))
    with stage() as on:
        headers = on.headers | {"Content-Type": "application/json"}
        asks = {
            GET: Ask(ORDERS, on.headers),
            POST: Ask(f"/v2/customers/{CUSTOMER}/addresses", headers, method="POST", body=body),
        }

        def load(party: Party, seconds: float = options.seconds) -> Load:
            return full_load(party.port, asks[party.name], seconds)

        gateway = on.gateway()
        parties = [replace(gateway, name=name) for name in asks]
        taken = in_turns(parties, options.rounds, load, lambda party: load(party, 1))
    print(f"{options.rounds} rounds of {options.seconds} s, medians; a body of {len(body)} bytes")
    print_loads(taken)
    card.keep("requests/s", medians(taken))
    card.want("requests/s of scoped POSTs : scoped GETs", ratio(taken[POST], taken[GET]), least=WANTED)
    card.close()


if __name__ == "__main__":
    main()
