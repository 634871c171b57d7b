"""`make bench-stability`: a million requests over all routes, with aborts and upstream faults, and what stays of them.

They are the storm of tests/storm (`make storm`), in spells: its oracle judges every reply. Between spells the gateway
counts its tasks, descriptors and memory; the first spells warm it up. With much fewer requests the gateway's bounded
memories (of whose a record is, for one) are still filling afterwards, and that counts as growth. The gateway has core 0
for itself, the upstream and the clients share core 1.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

from bench.command import parser, settings
from bench.machine import LOAD_CORE, PARTY_CORE, START_PATIENCE, free_port, need, process, stay_on
from bench.scorecard import Scorecard
from gateway.config.load import load
from tests.gateways import environment
from tests.process.processes import extended
from tests.storm.upstream import Upstream
from tests.storm.weather import CONFIG, Replica, Target, planner, storm

SPELLS = 10
WARM_UP = 3
"""Spells before growth counts."""
PATIENCE_COUNTS = 20
"""How often it may count itself until nothing changes any more."""
ALLOWED_MIB = 4
"""Growth that is no growth: the allocator's pages after the same work differ by so much."""


def main() -> None:
    """Measure and print."""
    command = parser("stability", __doc__, requests=1_000_000, seed=4)
    options = command.parse_args()
    need("taskset")
    card = Scorecard("stability", settings(command, options))
    stay_on(LOAD_CORE)
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        wrong, samples = asyncio.run(spells(Path(folder), options.requests // SPELLS, options.seed))
    for problem in wrong[:20]:
        print(f"WRONG {problem}")
    card.want("wrong replies and other faults", len(wrong), most=0)
    first, last = samples[WARM_UP - 1], samples[-1]
    for what in ("tasks", "descriptors"):
        card.want(f"{what} more than after warming up", last[what] - first[what], most=0)
    grown = (last["resident"] - first["resident"]) / 1024
    card.want("memory more than after warming up", grown, most=ALLOWED_MIB, unit=" MiB")
    card.close()


async def spells(folder: Path, requests: int, seed: int) -> tuple[list[str], list[dict[str, int]]]:
    """Let the storm blow in spells; return what went wrong, and what the gateway counted after each."""
    wrong: list[str] = []
    samples: list[dict[str, int]] = []
    port, admin, counts, log = free_port(), free_port(), folder / "counts", folder / "gateway.log"
    counts.touch()
    async with Upstream() as upstream:
        environ, file = environment(folder, upstream.url), extended(folder, CONFIG)
        command = (sys.executable, "-m", "bench.watched", str(file), str(port), str(admin), str(counts))
        starting = process(PARTY_CORE, *command, ready="credential_renewed", port=port, env=environ, log=log)
        pid = await asyncio.to_thread(starting.__enter__)
        try:
            target = Target([Replica("127.0.0.1", port, pid, lambda: asyncio.to_thread(_metrics, admin))])
            for number in range(SPELLS):
                # A planner for each: its tokens live for an hour.
                plan = planner(load(file, environ), seed + number)
                report = await storm(target, upstream, plan, seed + number, requests)
                wrong += report.problems
                # No connection to the upstream is left, so that they are not taken for growth.
                upstream.close_connections()
                samples.append(await asyncio.to_thread(count, pid, counts))
                rate = f"{report.tally.sent} requests, {report.tally.sent / report.seconds:.0f}/s"
                print(f"{rate}, {len(report.problems)} wrong, {samples[-1]}", flush=True)
        finally:
            await asyncio.to_thread(starting.__exit__, None, None, None)
    with log.open() as lines:
        wrong += [f"the log tells of a fault: {line}" for line in lines if '"event":"failed"' in line or line[0] != "{"]
    return wrong, samples


def count(pid: int, file: Path) -> dict[str, int]:
    """Let the gateway count itself until tasks and descriptors stand still, as they do when nobody asks it anything."""
    last: dict[str, int] = {}
    for _ in range(PATIENCE_COUNTS):
        before = len(file.read_text())
        os.kill(pid, signal.SIGUSR1)
        while not (line := file.read_text()[before:]).endswith("\n"):
            time.sleep(0.05)
        counted: dict[str, int] = json.loads(line)
        if last and all(last[what] == counted[what] for what in ("tasks", "descriptors")):
            break
        last = counted
        time.sleep(0.5)
    return last


def _metrics(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=START_PATIENCE) as answer:
        return str(answer.read().decode())


if __name__ == "__main__":
    main()
