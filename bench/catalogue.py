"""`make bench-catalogue`: GETs of a 66 KB catalogue, which no guard reads, beside nginx, in bytes a second.

Each party has core 0 for itself, the upstream and wrk (32 connections) share core 1; the parties take turns.
"""

import statistics

from bench.command import parser, settings
from bench.load import Ask, Load, full_load, in_turns, print_loads, ratio
from bench.machine import need
from bench.parties import Party, stage
from bench.scorecard import Scorecard

CATALOGUE = "/v2/products"
WANTED = 0.8


def main() -> None:
    """Measure and print."""
    command = parser("catalogue", __doc__, rounds=6, seconds=4)
    options = command.parse_args()
    need("wrk", "taskset", "nginx")
    card = Scorecard("catalogue", settings(command, options))
    with stage() as on:
        # No customer: the catalogue is the same for everybody.
        ask = Ask(CATALOGUE, {"Authorization": on.headers["Authorization"]})

        def load(party: Party) -> Load:
            return full_load(party.port, ask, options.seconds)

        parties = [on.gateway(), on.nginx()]
        taken = in_turns(parties, options.rounds, load, lambda party: full_load(party.port, ask, 1))
    print(f"{options.rounds} rounds of {options.seconds} s, medians")
    print_loads(taken)
    mib = {name: statistics.median(load.bytes for load in loads) / 2**20 for name, loads in taken.items()}
    print(", ".join(f"{name} {value:.0f} MiB/s" for name, value in mib.items()))
    card.keep("MiB/s", mib)
    times = ratio(taken["gateway"], taken["nginx"], lambda load: load.bytes)
    card.want("bytes/s of the gateway : nginx", times, least=WANTED)
    card.close()


if __name__ == "__main__":
    main()
