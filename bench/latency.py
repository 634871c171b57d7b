"""`make bench-latency`: what the gateway adds to the latency of scoped GETs at 500 requests a second, beside nginx.

An open loop, corrected for coordinated omission. Added is the difference to the upstream asked directly, by the same
client. Each party has core 0 for itself, the upstream and the client share core 1; the parties take turns.
"""

import statistics

from bench.command import parser, settings
from bench.load import ORDERS, in_turns
from bench.machine import LOAD_CORE, need, stay_on
from bench.openloop import Measured, run
from bench.parties import Party, stage
from bench.scorecard import Scorecard

PERCENTILES = (50.0, 90.0, 99.0, 99.9)
WANTED = {50.0: (2, 0.1), 99.0: (3, 0.5)}
"""For a percentile: how many times what nginx adds, and how many milliseconds more."""


def main() -> None:
    """Measure and print."""
    command = parser("latency", __doc__, rounds=5, seconds=5.0, rate=500.0)
    options = command.parse_args()
    need("taskset", "nginx")
    card = Scorecard("latency", settings(command, options))
    stay_on(LOAD_CORE)
    with stage() as on:
        parties = [on.direct(), on.nginx(), on.gateway()]
        raw = on.request("GET", ORDERS)

        def measure(party: Party) -> Measured:
            return run(party.port, raw, options.rate, options.seconds)

        taken = in_turns(parties, options.rounds, measure, lambda party: run(party.port, raw, options.rate, 1))
    print(f"{options.rounds} rounds of {options.seconds:g} s at {options.rate:g} requests/s; medians, in milliseconds")
    print(f"{'':14}" + "".join(f"{f'p{percent:g}':>9}" for percent in PERCENTILES))
    found: dict[str, dict[float, float]] = {}
    for name, rounds in taken.items():
        found[name] = {p: statistics.median(one.percentile(p) for one in rounds) for p in PERCENTILES}
        print(f"{name:14}" + "".join(f"{value:9.3f}" for value in found[name].values()))
        card.keep(name, {f"p{p:g}": value for p, value in found[name].items()})
    failed = sum(one.failed for rounds in taken.values() for one in rounds)
    card.want("answers that were no success", failed, most=0)
    for percent, (times, more) in WANTED.items():
        added = {name: max(0.0, found[name][percent] - found["direct"][percent]) for name in ("gateway", "nginx")}
        most = times * added["nginx"] + more
        card.want(f"p{percent:g} added, wanted {times} x nginx's + {more} ms", added["gateway"], most=most, unit=" ms")
    card.close()


if __name__ == "__main__":
    main()
