"""`make bench-routes`: scoped GETs with a routing file of 2,000 routes beside one of 20; the same request on both.

Both gateways run one worker on core 0 and take turns; the upstream and wrk (32 connections) share core 1. Each is
started several times: two processes with nearly the same routing file differ by up to a sixth (`--many 21 --starts 1`).
"""

from collections import defaultdict
from typing import Any

import yaml

from bench.command import parser, settings
from bench.load import ORDERS, Ask, Load, full_load, in_turns, medians, print_loads, ratio
from bench.machine import CONFIG, need
from bench.parties import Party, stage
from bench.scorecard import Scorecard

FEW, MANY = 20, 2000
WANTED = 0.95


def main() -> None:
    """Measure and print."""
    command = parser("routes", __doc__, rounds=2, seconds=3, many=MANY, starts=6)
    options = command.parse_args()
    need("wrk", "taskset")
    card = Scorecard("routes", settings(command, options))
    with stage() as on:
        ask = Ask(ORDERS, on.headers)

        def load(party: Party) -> Load:
            return full_load(party.port, ask, options.seconds)

        taken: defaultdict[str, list[Load]] = defaultdict(list)
        for _ in range(options.starts):
            with on.apart() as started:
                parties = [started.gateway(f"{count} routes", config=routes(count)) for count in (FEW, options.many)]
                turns = in_turns(parties, options.rounds, load, lambda party: full_load(party.port, ask, 1))
            for name, loads in turns.items():
                taken[name] += loads
    print(f"{options.starts} starts, {options.rounds} rounds of {options.seconds} s each, medians")
    print_loads(taken)
    card.keep("requests/s", medians(taken))
    few, many = taken.values()
    card.want(f"requests/s with {options.many} routes : {FEW}", ratio(many, few), least=WANTED)
    card.close()


def routes(count: int) -> str:
    """Return that many routes as YAML: the first of config/moltin.yaml, orders among them, between made-up others."""
    real: list[dict[str, Any]] = yaml.safe_load(CONFIG.read_text())["routes"][:FEW]
    # As an integration that gives each of its collections routes of its own: beside the real ones, and below them.
    shapes = (
        "/v2/flow-{0}",
        "/v2/flow-{0}/{{id}}",
        "/v2/orders/{{oid}}/flow-{0}",
        "/v3/{{shop}}/flow-{0}/{{id}}/entries",
    )
    made = [
        {
            "name": f"made-{number}",
            "path": shapes[number % len(shapes)].format(number // len(shapes)),
            "methods": ["GET"],
            "access": {"trusted": "open"},
        }
        for number in range(count - len(real))
    ]
    half = len(made) // 2
    return yaml.safe_dump({"routes": made[:half] + real + made[half:]}, sort_keys=False)


if __name__ == "__main__":
    main()
