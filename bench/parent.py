"""`make bench-parent`: GETs of an order's items, which name no owner: the order is looked up first.

A customer goes through a hundred orders in turn. With `upstream.owner_memory` as shipped (1 s) most look-ups are
remembered; with 0s each request makes its own. Both gateways take turns with the scoped GETs of `make bench`, each on
core 0; the upstream and wrk (32 connections) share core 1.
"""

from dataclasses import replace

from bench.command import parser, settings
from bench.load import ORDERS, Ask, Load, full_load, in_turns, medians, print_loads, ratio
from bench.machine import need
from bench.parties import Party, stage
from bench.scorecard import Scorecard
from bench.upstream import ORDER_ID

GET, REMEMBERED, LOOKED_UP = "scoped GET", "items, 1 s", "items, 0 s"


def main() -> None:
    """Measure and print."""
    command = parser("parent", __doc__, rounds=6, seconds=3)
    options = command.parse_args()
    need("wrk", "taskset")
    card = Scorecard("parent", settings(command, options))
    with stage() as on:
        items = Ask(f"/v2/orders/{ORDER_ID.format('NUMBER')}/items", on.headers)
        asks = {GET: Ask(ORDERS, on.headers), REMEMBERED: items, LOOKED_UP: items}

        def load(party: Party, seconds: float = options.seconds) -> Load:
            return full_load(party.port, asks[party.name], seconds)

        shipped = on.gateway("shipped")
        forgetful = on.gateway("forgetful", config="upstream: {owner_memory: 0s}\n")
        parties = [replace(shipped, name=GET), replace(shipped, name=REMEMBERED), replace(forgetful, name=LOOKED_UP)]
        taken = in_turns(parties, options.rounds, load, lambda party: load(party, 1))
    print(f"{options.rounds} rounds of {options.seconds} s, medians")
    print_loads(taken)
    card.keep("requests/s", medians(taken))
    for name in (REMEMBERED, LOOKED_UP):
        card.show(f"requests/s of {name} : scoped GETs", ratio(taken[name], taken[GET]))
    card.close()


if __name__ == "__main__":
    main()
