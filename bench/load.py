"""wrk: as much load as a party takes. And turns, so that what the machine does meanwhile falls on all parties alike."""

import os
import re
import resource
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from bench.machine import LOAD_CORE, PARTY_CORE, busy_seconds, processor_seconds
from bench.parties import Party
from bench.upstream import PEERS

T = TypeVar("T")
ORDERS = "/v2/orders?page[limit]=3&sort=-created_at"
"""The scoped request of the benchmarks: the customer's newest orders, about 2 KB."""
_UNITS = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True, slots=True)
class Ask:
    """What wrk asks, over how many connections, and the core it has.

    Each request has a head of its own (a new `traceparent`), as behind any ingress that traces, unless `is_traced` is
    false. NUMBER in the target and the body is 00 to 99 in turn.
    """

    target: str
    headers: dict[str, str] = field(repr=False)
    connections: int = 32
    core: int | str = LOAD_CORE
    method: str = "GET"
    body: str = ""
    is_traced: bool = True

    def command(self, port: int, seconds: float) -> list[str]:
        """Return the command."""
        lines = [word for name, value in self.headers.items() for word in ("-H", f"{name}: {value}")]
        command = ["taskset", "-c", str(self.core), "wrk", "-t1", f"-c{self.connections}", f"-d{seconds:g}s"]
        url = f"http://127.0.0.1:{port}{self.target}"
        if not self.is_traced:
            return [*command, "--latency", *lines, url]
        script = ["-s", str(PEERS / "traced.lua")]
        asked = [secrets.token_hex(8), self.method, *([self.body] if self.body else [])]
        return [*command, "--latency", *lines, *script, url, "--", *asked]


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw: requests and bytes in a second, latency by percentile in milliseconds.

    And how busy the cores were, each 1 at most, what part of a core wrk had (where that is near 1, wrk is what limits),
    and with what part of a core processes that are not ours.
    """

    requests: float
    bytes: float
    latency: dict[str, float]
    busy: tuple[float, ...] = ()
    wrk: float = 0.0
    others: float = 0.0


def full_load(port: int, ask: Ask, seconds: float) -> Load:
    """Load a port for some seconds; every answer must be a success."""
    began, before, own = time.monotonic(), busy_seconds(), processor_seconds(os.getpid())
    waited = _children_seconds()
    done = subprocess.run(ask.command(port, seconds), capture_output=True, text=True, check=False)
    elapsed = time.monotonic() - began
    wrk = (_children_seconds() - waited) / elapsed
    own = processor_seconds(os.getpid()) - own
    busy = tuple((late - early) / elapsed for early, late in zip(before, busy_seconds(), strict=True))
    others = max(0.0, sum(busy) - own / elapsed)
    return replace(read(done.stdout + done.stderr), busy=busy, wrk=wrk, others=others)


def _children_seconds() -> float:
    """Return the processor time of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read(output: str) -> Load:
    """Read what wrk has written, or end where an answer was no success."""
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    moved = re.search(r"Transfer/sec:\s+([\d.]+)([KMG]?B)", output)
    if found is None or moved is None or "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"not every answer was a success:\n{output}")
    latency = {
        percentile: float(value) * _MILLISECONDS[unit]
        for percentile, value, unit in re.findall(r"^\s+(\d+)%\s+([\d.]+)(us|ms|s)$", output, re.MULTILINE)
    }
    return Load(float(found[1]), float(moved[1]) * _UNITS[moved[2]], latency)


def in_turns(
    parties: Sequence[Party], rounds: int, measure: Callable[[Party], T], warm_up: Callable[[Party], object]
) -> dict[str, list[T]]:
    """Measure all parties in each round, one after the other; each has warmed up before."""
    for party in parties:
        warm_up(party)
    taken: dict[str, list[T]] = {party.name: [] for party in parties}
    for number in range(rounds):
        # Back and forth, so that nobody is always the first.
        for party in parties if number % 2 == 0 else reversed(parties):
            taken[party.name].append(measure(party))
    return taken


def print_loads(taken: dict[str, list[Load]]) -> None:
    """Print medians, their range, latencies and how busy the cores were."""
    print(f"{'':24} {'requests/s':>10} {'lowest':>8} {'highest':>8}   p50 ms   p99 ms   core 0  core 1     wrk  others")
    for name, loads in taken.items():
        rates = [load.requests for load in loads]
        p50, p99 = (statistics.median(load.latency.get(which, 0) for load in loads) for which in ("50", "99"))
        busy = [statistics.median(load.busy[core] for load in loads) for core in (PARTY_CORE, LOAD_CORE)]
        print(
            f"{name:24} {statistics.median(rates):10.0f} {min(rates):8.0f} {max(rates):8.0f} {p50:8.2f} {p99:8.2f}"
            f" {busy[0]:8.0%} {busy[1]:7.0%} {statistics.median(load.wrk for load in loads):7.0%}"
            f" {statistics.median(load.others for load in loads):7.0%}"
        )


def medians(taken: dict[str, list[Load]]) -> dict[str, float]:
    """Return the median of requests per second of each party."""
    return {name: statistics.median(load.requests for load in loads) for name, loads in taken.items()}


def ratio(
    one: Sequence[Load], other: Sequence[Load], of: Callable[[Load], float] = lambda load: load.requests
) -> float:
    """Return the median of the rounds' ratios: what slows the machine down for a while falls on both."""
    return statistics.median(of(a) / of(b) for a, b in zip(one, other, strict=True))
