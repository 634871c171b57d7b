"""A whole storm: plays it against a running gateway, waits until the gateway has calmed down, and sums it up."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from gateway.config.compile import key_ring, snapshot
from gateway.config.model import Config
from gateway.demo.data import APRIL, LESLIE, RON
from gateway.vocab.messages import CallerKind
from gateway.wiring import now
from tests.gateways import STOREFRONT
from tests.sessions import session
from tests.storm.client import Tally, play
from tests.storm.plan import Planner
from tests.storm.upstream import Fault, Upstream
from tests.storm.walk import Walk

CALM_SECONDS = 30.0
CLIENTS = 48
WARM_UP = 300
# The patience of production would let a silent upstream hold up a storm for minutes.
CONFIG = "upstream:\n  timeouts: {first_byte: 5s, idle: 2s}\n"
SAMPLE = re.compile(r"^(\w+)\{([^}]*)\} (\S+)$", re.MULTILINE)


@dataclass(slots=True)
class Replica:
    """A gateway under the storm: where it is, its process, and how to ask for its metrics."""

    host: str
    port: int
    pid: int
    metrics: Callable[[], Awaitable[str]]

    def sockets(self) -> int:
        """Count the open sockets of its process."""
        count = 0
        for link in Path(f"/proc/{self.pid}/fd").iterdir():
            # It may be gone by now.
            with suppress(FileNotFoundError):
                count += str(link.readlink()).startswith("socket:")
        return count

    def resident(self) -> int:
        """Return the memory of its process in KiB."""
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) if found else 0


@dataclass(slots=True)
class Target:
    """What the storm is played on, each connection to the next of the replicas.

    `walks` are customers who go on from one to the other meanwhile. A store that is a server is connected to by
    `store_sockets` of each at the most, whenever they are needed.
    """

    replicas: Sequence[Replica]
    walks: Sequence[Walk] = ()
    store_sockets: int = 0

    @property
    def places(self) -> list[tuple[str, int]]:
        """Where the replicas are."""
        return [(one.host, one.port) for one in self.replicas]

    async def metrics(self) -> str:
        """Return what all of them show, one behind the other."""
        return "\n".join([await one.metrics() for one in self.replicas])

    def sockets(self) -> int:
        """Count the open sockets of all."""
        return sum(one.sockets() for one in self.replicas)

    def resident(self) -> int:
        """Return the memory of all in KiB."""
        return sum(one.resident() for one in self.replicas)


@dataclass(slots=True)
class Report:
    """What a storm has shown; `problems` must be empty."""

    seed: int
    tally: Tally
    injected: Counter[Fault]
    seconds: float
    sockets: tuple[int, int]
    resident: tuple[int, int]
    problems: list[str]

    def __str__(self) -> str:
        tally = self.tally
        faults = {fault: count for fault, count in sorted(self.injected.items()) if fault is not Fault.NONE}
        statuses = " ".join(f"{status}:{count}" for status, count in sorted(tally.statuses.items()))
        return (
            f"storm: seed={self.seed} requests={tally.sent} connections={tally.connections} replies={tally.replies}"
            f" wrong={len(tally.wrong)} aborts={tally.aborts} unanswered={tally.unanswered} partial={tally.partial}"
            f" stray={tally.stray} faults={sum(faults.values())} statuses={statuses}"
            f" sockets={self.sockets[0]}->{self.sockets[1]} resident={self.resident[0]}->{self.resident[1]}KiB"
            f" {self.seconds:.1f}s {tally.sent / self.seconds:.0f}/s\n"
            f"faults: {' '.join(f'{fault}:{count}' for fault, count in faults.items())}"
        )


def bearer(config: Config) -> str:
    """Make a public bearer that a gateway of this configuration accepts."""
    return snapshot(config, key_ring(config)).callers.bearers.mint(CallerKind.PUBLIC, STOREFRONT, now(), 3600)[0]


def planner(config: Config, seed: int) -> Planner:
    """Make a planner with credentials that the gateway of this configuration accepts."""
    compiled = snapshot(config, key_ring(config))
    tokens = {
        person.email: compiled.callers.customers.mint(session(person.id), now(), 3600)[0]
        for person in (RON, LESLIE, APRIL)
    }
    return Planner(seed, bearer(config), tokens)


async def storm(target: Target, upstream: Upstream, plan: Planner, seed: int, requests: int) -> Report:
    """Play `requests` requests, and compare the gateway before and after."""
    await _play(target, plan, WARM_UP, Tally())
    # Asked first, so that its connection is there already.
    counted_before = _requests(await target.metrics())
    before = await _calm(target, upstream, None)
    upstream.injected.clear()
    resident = target.resident()
    tally, started = Tally(), monotonic()
    await _play(target, plan, requests, tally)
    seconds = monotonic() - started
    after = await _calm(target, upstream, before)
    text = await target.metrics()
    problems = list(tally.wrong)
    if after > before + target.store_sockets * len(target.replicas):
        problems.append(f"{after} open sockets, {before} before")
    if upstream.unscoped:
        problems.append(f"lists that were not narrowed: {upstream.unscoped[:5]}")
    problems += _contradictions(text, _requests(text) - counted_before, tally)
    if tally.stray > tally.replies * STRAY_MOST:
        problems.append(f"{tally.stray} requests without fault were answered with an error: {tally.strays}")
    # It answers as before.
    last = Tally()
    await _play(target, plan, 50, last)
    problems += last.wrong
    return Report(seed, tally, upstream.injected, seconds, (before, after), (resident, target.resident()), problems)


# Requests that meet a connection which the upstream has closed a moment ago.
STRAY_MOST = 0.005


async def _play(target: Target, plan: Planner, requests: int, tally: Tally) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(play(plan, requests, target.places, tally))
        for walk in target.walks:
            group.create_task(walk.go(requests, tally))


async def _calm(target: Target, upstream: Upstream, wanted: int | None) -> int:
    """Wait until the number of open sockets stands still, below what is wanted; return it."""
    upstream.close_connections()
    until, last = monotonic() + CALM_SECONDS, -1
    while monotonic() < until:
        count = target.sockets()
        if count == last and (wanted is None or count <= wanted):
            return count
        last = count
        # There is no event for another process' sockets.
        await asyncio.sleep(0.2)
    return target.sockets()


def _requests(text: str) -> Counter[int]:
    """Return how many requests the metrics count, by status."""
    counted: Counter[int] = Counter()
    for name, labels, value in SAMPLE.findall(text):
        if name == "gateway_requests_total":
            counted[int(re.findall(r'status="(\d+)"', labels)[0])] += int(float(value))
    return counted


def _contradictions(text: str, counted: Counter[int], tally: Tally) -> list[str]:
    """Compare the metrics with what the clients saw."""
    found = [
        f"{tally.statuses[status]} replies with {status} came, {counted[status]} are counted"
        for status in tally.statuses
        if counted[status] < tally.statuses[status]
    ]
    # A request that was cut in the middle of its body was begun and is counted as well.
    if sum(counted.values()) > tally.sent + tally.aborts:
        found.append(f"{sum(counted.values())} requests are counted, {tally.sent} were sent")
    if counted[500]:
        found.append(f"{counted[500]} times the gateway itself failed")
    samples = [name for name, _, value in SAMPLE.findall(text) if float(value) > 0]
    if "gateway_faults_total" in samples:
        found.append("the metrics count faults of the gateway")
    if "gateway_isolation_violations_total" not in samples:
        found.append("no violation was counted")
    return found
