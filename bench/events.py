"""`python -m bench.events`: what the access log and the metrics cost, in microseconds of CPU for each request.

Told of are requests of a thousand customers, as close to each other as at 16,000 a second: in an event loop, as the
gateway does it, the log to a file, the metrics in one process or in the files that workers share. Exit 1 where both
together cost more than is wanted.
"""

import argparse
import asyncio
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from typing import TextIO

from prometheus_client import CollectorRegistry

from gateway.ops.batch import Batch
from gateway.ops.exposition import share
from gateway.ops.log import EventLog
from gateway.ops.metrics import Metrics
from gateway.vocab.events import Event, RequestDone
from gateway.vocab.messages import Trace

WANTED = 5.0
RATE = 16_000
CUSTOMERS = 1000
# How many requests one turn of the loop serves, as with so many connections.
TURN = 32
# As many as the gateway tells of at once.
BATCH = 100


def requests(number: int) -> list[RequestDone]:
    """Make what is told of so many requests."""
    made = []
    for index in range(number):
        upstream = 0.0004 + index % 97 / 100_000
        customer = f"79cc0486-bbdf-491b-a0a2-{index % CUSTOMERS:012}"
        trace = Trace(f"{index:016x}", "orders", "customer", customer, None, "", upstream, 1)
        made.append(RequestDone(trace.request_id, "GET", 200, upstream + 0.0001, "127.0.0.1", trace, 2048))
    return made


def steady() -> Callable[[], float]:
    """Return a clock that goes on by one request each time it is asked."""
    asked = count()
    return lambda: 1_700_000_000 + next(asked) / RATE


async def told(tell: Callable[[Event], None], done: list[RequestDone]) -> None:
    """Tell of requests one by one, from an event loop that turns."""
    for index, event in enumerate(done):
        tell(event)
        if index % TURN == 0:
            await asyncio.sleep(0)


async def costs(done: list[RequestDone], stream: TextIO) -> dict[str, float]:
    """Return the microseconds for each request by part."""
    now = steady()
    log = EventLog(stream, b"a bench has no secrets", now)
    metrics = Metrics(CollectorRegistry(), now)
    batch = Batch(log, metrics, now)
    batches = [done[first : first + BATCH] for first in range(0, len(done), BATCH)]
    taken = {}

    def note(part: str, began: float) -> None:
        taken[part] = (time.process_time() - began) / len(done) * 1_000_000

    began = time.process_time()
    for some in batches:
        log.write_requests([(now(), one) for one in some])
    note("log", began)
    began = time.process_time()
    for some in batches:
        metrics.count_requests(some)
    note("metrics", began)
    began = time.process_time()
    await told(lambda _: None, done)
    note("nothing", began)
    began = time.process_time()
    await told(batch, done)
    batch.flush()
    note("both", began)
    taken["both"] -= taken.pop("nothing")
    return taken


def measure(mode: str, number: int, rounds: int) -> bool:
    """Print the medians of this process; say whether they are as wanted."""
    done = requests(number)
    with tempfile.TemporaryFile("w") as stream:
        taken = [asyncio.run(costs(done, stream)) for _ in range(rounds)]
    medians = {part: statistics.median(one[part] for one in taken) for part in taken[0]}
    print(f"{mode:15}" + "".join(f"{part:>10} {value:5.2f}" for part, value in medians.items()))
    return medians["both"] <= WANTED


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print(f"us of CPU a request, Python {platform.python_version()}; wanted: both <= {WANTED}")
    is_good = measure("one process", options.requests, options.rounds)
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        share(folder, 0)
        is_good = measure("several workers", options.requests, options.rounds) and is_good
    sys.exit(not is_good)


if __name__ == "__main__":
    main()
