"""`make bench`: scoped GETs of a 2 KB list of orders, the gateway beside other proxies, alternating in one run.

The gateway verifies both tokens, narrows the request, judges the answer and writes its JSON access log to a file; one
worker. Envoy, HAProxy and fastify verify the customer token and narrow the query, Envoy also puts the server's bearer
in; nginx, bare aiohttp and Caddy pass everything through; none of them logs. Each request has a head of its own, as
behind any ingress that traces; the same parties are asked with one and the same head as well. Each party has core 0 for
itself, the upstream and wrk (32 connections) share core 1. With --profile the gateway runs under cProfile alone, and
what it spends its time in is printed.
"""

import pstats
from dataclasses import replace

from bench.command import parser, settings
from bench.load import ORDERS, Ask, Load, full_load, in_turns, medians, print_loads, ratio
from bench.machine import need
from bench.parties import Party, has_caddy, stage
from bench.scorecard import Scorecard

WANTED = {"envoy": 1.0, "bare aiohttp": 2.2, "haproxy": 0.30, "nginx": 0.70, "fastify": 5.0}
"""How many times as many requests as each the gateway is to answer, when each request has a head of its own."""
SAME = ", same head"


def main() -> None:
    """Measure and print."""
    command = parser("scoped", __doc__, rounds=6, seconds=3)
    command.add_argument("--algorithm", choices=("HS256", "RS256"), default="HS256", help="of the customer token")
    command.add_argument("--alone", action="store_true", help="the gateway and bare aiohttp only")
    command.add_argument("--profile", action="store_true")
    options = command.parse_args()
    need("wrk", "taskset")
    if options.profile:
        profile(options.seconds)
        return
    card = Scorecard("scoped", settings(command, options))
    with stage(algorithm=options.algorithm) as on:
        each, same = Ask(ORDERS, on.headers), Ask(ORDERS, on.headers, is_traced=False)

        def load(party: Party) -> Load:
            return full_load(party.port, same if party.name.endswith(SAME) else each, options.seconds)

        parties = [on.gateway(), on.bare()]
        if not options.alone:
            parties += [on.envoy(), on.haproxy(), on.nginx(), on.fastify(), *([on.caddy()] if has_caddy() else [])]
        parties = [one for party in parties for one in (party, replace(party, name=party.name + SAME))]
        taken = in_turns(parties, options.rounds, load, lambda party: full_load(party.port, each, 1))
    print(f"{options.rounds} rounds of {options.seconds} s, medians")
    print_loads(taken)
    card.keep("requests/s", {name: found for name, found in medians(taken).items() if not name.endswith(SAME)})
    for name, least in WANTED.items():
        if name in taken:
            card.want(f"requests/s of the gateway : {name}", ratio(taken["gateway"], taken[name]), least=least)
            with_same = ratio(taken[f"gateway{SAME}"], taken[name + SAME])
            card.show(f"requests/s of the gateway : {name}{SAME}", with_same)
    card.close()


def profile(seconds: int) -> None:
    """Print what the gateway spends its time in."""
    with stage() as on:
        stats = on.folder / "gateway.pstats"
        with on.apart() as alone:
            party = alone.gateway(wrapper=("-m", "cProfile", "-o", str(stats)))
            full_load(party.port, Ask(ORDERS, on.headers), seconds)
        pstats.Stats(str(stats)).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
