"""`make storm`: a hundred thousand requests and more through a real gateway process; exit 1 where one went wrong."""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from gateway.config.load import load
from tests.gateways import environment
from tests.process.processes import extended, serving
from tests.storm.upstream import Upstream
from tests.storm.weather import CONFIG, Report, Target, planner, storm


async def run(seed: int, requests: int, folder: Path) -> Report:
    """Start a gateway as a process of its own and play a storm on it."""
    async with Upstream() as upstream:
        environ, config = environment(folder, upstream.url), extended(folder, CONFIG)
        async with serving(environ, config=config) as served:
            host, _, port = served.public.rpartition(":")

            async def metrics() -> str:
                return (await served.ask("/metrics")).body.decode()

            target = Target(host, int(port), served.pid, metrics)
            report = await storm(target, upstream, planner(load(config, environ), seed), seed, requests)
            lines = [line for line in served.output if '"event":"failed"' in line]
            report.problems += [f"the log tells of a fault: {line}" for line in lines + served.errors]
            return report


def main() -> None:
    """Run and print the summary."""
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="to repeat a storm")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(run(options.seed, options.requests, Path(folder)))
    sys.stdout.write(f"{report}\n")
    for problem in report.problems[:20]:
        sys.stdout.write(f"WRONG {problem}\n")
    sys.exit(1 if report.problems else 0)


if __name__ == "__main__":
    main()
