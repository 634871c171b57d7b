"""`make bench-workers`: scoped GETs with two workers on two cores beside one worker on one.

With four cores or more the workers have cores 0 and 1, and the upstream and wrk others. With fewer nothing can stand
apart: each core then has a worker, half of the upstream and a wrk of its own, so that the load takes the same share of
each core in both cases, and what is compared is still what a second worker and a second core are worth.
"""

import os
import subprocess
from dataclasses import replace

from bench.command import parser, settings
from bench.load import ORDERS, Ask, Load, full_load, print_loads, ratio, read
from bench.machine import need
from bench.parties import Party, stage
from bench.scorecard import Scorecard

WANTED = 1.7
APART = 4
"""Cores with which the load can stand apart."""


def main() -> None:
    """Measure and print."""
    command = parser("workers", __doc__, rounds=5, seconds=4)
    options = command.parse_args()
    need("wrk", "taskset")
    cores = os.cpu_count() or 1
    is_apart = cores >= APART
    card = Scorecard("workers", settings(command, options))
    how = "apart, on cores 2 and 3" if is_apart else "on the workers' own cores, as there are no others"
    print(f"the load is {how}")
    taken: dict[str, list[Load]] = {"one worker": [], "two workers": []}
    load_cores = (2, 3) if is_apart else (0, 1)
    one_upstream = "2,3" if is_apart else "0"
    with (
        stage(core=one_upstream, workers=2 if is_apart else 1) as single,
        stage(core="2,3" if is_apart else "0,1", workers=2) as double,
    ):
        one = single.gateway("one worker", core=0)
        two = double.gateway("two workers", core="0,1", workers=2)

        def both(party: Party) -> None:
            used = load_cores if is_apart or party is two else (0,)
            headers = single.headers if party is one else double.headers
            asks = [Ask(ORDERS, headers, connections=64 // len(used), core=core) for core in used]
            taken[party.name].append(together(party.port, asks, options.seconds))

        for number in range(options.rounds + 1):
            for party in (one, two) if number % 2 == 0 else (two, one):
                both(party)
    # The first round is for warming up.
    taken = {name: loads[1:] for name, loads in taken.items()}
    print(f"{options.rounds} rounds of {options.seconds} s, medians")
    print_loads(taken)
    card.want("requests/s of two workers : one", ratio(taken["two workers"], taken["one worker"]), least=WANTED)
    card.close()


def together(port: int, asks: list[Ask], seconds: int) -> Load:
    """Run several wrk at once and add up what they saw; how busy the cores were is what the first one's run shows."""
    others = [
        subprocess.Popen(ask.command(port, seconds), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for ask in asks[1:]
    ]
    first = full_load(port, asks[0], seconds)
    loads = [first, *(read(other.communicate()[0]) for other in others)]
    return replace(first, requests=sum(load.requests for load in loads), bytes=sum(load.bytes for load in loads))


if __name__ == "__main__":
    main()
