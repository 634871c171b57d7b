"""`make storm`: a hundred thousand requests and more through a real gateway process; exit 1 where one went wrong."""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from gateway.config.load import load
from tests.gateways import environment
from tests.postgres import new_database, servers
from tests.process.processes import extended, serving
from tests.storm.replicas import faults, replica, replicated
from tests.storm.upstream import Upstream
from tests.storm.weather import CONFIG, Report, Target, planner, storm


async def run(seed: int, requests: int, folder: Path) -> Report:
    """Start a gateway as a process of its own and play a storm on it."""
    async with Upstream() as upstream:
        environ, config = environment(folder, upstream.url), extended(folder, CONFIG)
        async with serving(environ, config=config) as served:
            target = Target([replica(served)])
            report = await storm(target, upstream, planner(load(config, environ), seed), seed, requests)
            report.problems += faults([served])
            return report


async def run_replicas(seed: int, requests: int, folder: Path, replicas: int) -> Report:
    """Start so many on one PostgreSQL database, and play a storm on them all, with customers who walk between them."""
    with servers() as makes:
        async with (
            Upstream() as upstream,
            replicated(folder, upstream.url, await new_database(makes.server()), replicas) as (target, config, served),
        ):
            report = await storm(target, upstream, planner(config, seed), seed, requests)
            report.problems += faults(served)
            rounds, slowest = sum(one.rounds for one in target.walks), max(one.slowest for one in target.walks)
            sys.stdout.write(f"walks: {rounds} rounds, the slowest log-out counted everywhere after {slowest:.3f} s\n")
            return report


def main() -> None:
    """Run and print the summary."""
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--replicas", type=int, default=1, help="gateways that share a PostgreSQL database")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="to repeat a storm")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        what = (options.seed, options.requests, Path(folder))
        report = asyncio.run(run(*what) if options.replicas == 1 else run_replicas(*what, options.replicas))
    sys.stdout.write(f"{report}\n")
    for problem in report.problems[:20]:
        sys.stdout.write(f"WRONG {problem}\n")
    sys.exit(1 if report.problems else 0)


if __name__ == "__main__":
    main()
