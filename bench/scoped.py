"""`make bench`: scoped GETs of a 2 KB list of orders, the gateway beside other proxies, alternating in one run.

The gateway verifies both tokens, narrows the request, judges the answer and writes its JSON access log to a file; one
worker. HAProxy and fastify verify the customer token and narrow the query; nginx, bare aiohttp and Caddy pass
everything through; none of them logs. Each party has core 0 for itself, the upstream and wrk (32 connections) share
core 1. With --profile the gateway runs under cProfile alone, and what it spends its time in is printed.
"""

import pstats

from bench.command import lane, parser, settings
from bench.load import ORDERS, Ask, Load, full_load, in_turns, medians, print_loads, ratio
from bench.machine import need
from bench.parties import Party, has_caddy, lanes, stage
from bench.scorecard import Scorecard

WANTED = {"haproxy": 1.0, "nginx": 0.70, "bare aiohttp": 5.0, "fastify": 5.0}
"""How many times as many requests as each the gateway is to answer."""


def main() -> None:
    """Measure and print."""
    command = parser("scoped", __doc__, rounds=6, seconds=4)
    command.add_argument("--algorithm", choices=("HS256", "RS256"), default="HS256", help="of the customer token")
    command.add_argument("--alone", action="store_true", help="the gateway and bare aiohttp only")
    command.add_argument("--profile", action="store_true")
    options = command.parse_args()
    need("wrk", "taskset")
    if options.profile:
        profile(lane(options), options.seconds)
        return
    card = Scorecard("scoped", settings(command, options))
    with stage(algorithm=options.algorithm) as on:
        ask = Ask(ORDERS, on.headers)

        def load(party: Party) -> Load:
            return full_load(party.port, ask, options.seconds)

        parties = [on.gateway(config=lane(options)), on.bare()]
        if not options.alone:
            parties += [on.haproxy(), on.nginx(), on.fastify(), *([on.caddy()] if has_caddy() else [])]
        taken = in_turns(parties, options.rounds, load, lambda party: full_load(party.port, ask, 1))
        taken_lanes = lanes(parties[0])
    print(f"{options.rounds} rounds of {options.seconds} s, medians; the gateway's lanes: {taken_lanes}")
    print_loads(taken)
    card.keep("requests/s", medians(taken))
    for name, least in WANTED.items():
        if name in taken:
            card.want(f"requests/s of the gateway : {name}", ratio(taken["gateway"], taken[name]), least=least)
    card.close()


def profile(config: str, seconds: int) -> None:
    """Print what the gateway spends its time in."""
    with stage() as on:
        stats = on.folder / "gateway.pstats"
        with on.apart() as alone:
            party = alone.gateway(config=config, wrapper=("-m", "cProfile", "-o", str(stats)))
            full_load(party.port, Ask(ORDERS, on.headers), seconds)
        pstats.Stats(str(stats)).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
