"""`python -m bench.logouts`: what a million log-outs cost a worker: memory, steps of the loop, and what requests pay.

The store is an SQLite file. Exit 1 where it is more than is wanted.
"""

import asyncio
import gc
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.deciders import browsers_request, compiled
from gateway.authentication import authenticate
from gateway.authn.revocations import NOBODY, Revocations
from gateway.stores import open_store, upgrade
from gateway.tokens.live import LiveView
from gateway.vocab.messages import Session
from gateway.wiring import clock

COUNT = 1_000_000
# What is wanted: MiB at rest and while more are read, milliseconds of a step, microseconds more for a request.
REST, READING, STEP, MORE = 16.0, 40.0, 5.0, 2.0
_MIB = 1 << 20
# One more a millisecond for as long as the measurement takes; then it has been told how long each step was.
_TICK = 0.001
_LOG_OUTS = 2_000


class Silent:
    """Shows nothing."""

    def set_store(self, is_up: bool, log_outs: int) -> None:  # noqa: FBT001 - of a gauge
        """Show nothing."""

    def set_channel(self, is_up: bool) -> None:  # noqa: FBT001 - of a gauge
        """Show nothing."""


def fill(file: Path, count: int) -> list[int]:
    """Put log-outs of an hour ago into a store, of sessions and customers of the last month; returns their numbers."""
    now = time.time_ns() // 1000
    month = 30 * 86_400 * 1_000_000
    numbers = sorted(random.sample(range(now - month, now - 7_200_000_000), count))
    with sqlite3.connect(file) as connection:
        rows = ((number, now - 3_600_000_000 + place, None) for place, number in enumerate(numbers))
        connection.executemany("INSERT INTO log_outs VALUES (?, ?, ?)", rows)
        connection.execute("INSERT INTO numbers VALUES (1, ?)", (now,))
    connection.close()
    return numbers


def resident(what: str) -> float:
    """Return memory in MiB: VmRSS now, or VmHWM, the most since `forget_peak`."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition(f"{what}:")[2].split()[0]) / 1024


def forget_peak() -> None:
    """Begin to look for the most anew (proc(5))."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


@asynccontextmanager
async def steps() -> AsyncIterator[list[float]]:
    """Collect how much of the processor the loop took between two moments at which others had their turn, in ms."""
    found: list[float] = []

    async def tick() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(_TICK)
            now = time.thread_time()
            found.append((now - last) * 1000)
            last = now

    ticking = asyncio.ensure_future(tick())
    await asyncio.sleep(0)
    try:
        yield found
    finally:
        await asyncio.sleep(0.01)
        ticking.cancel()


async def measure(url: str, file: Path, numbers: list[int]) -> bool:
    """Measure a view of the store; says whether it is as wanted."""
    store = open_store(url)
    await store.open()
    # What SQLite keeps of the file in memory is not the view's.
    after = 0
    while found := await store.log_outs(0, after, 5_000):
        after = found[-1][0]
    gc.collect()
    before = resident("VmRSS")
    forget_peak()
    live = LiveView(store, 86_400.0, 300.0, clock, lambda _: None, Silent())
    start = clock()
    await live.load()
    gc.collect()
    print(f"read at the start: {len(live.value()):,} log-outs in {clock() - start:.1f} s")
    print(f"memory: {resident('VmRSS') - before:.1f} MiB more at rest, {resident('VmHWM') - before:.1f} while reading")
    held = sum(sys.getsizeof(page.numbers) + sys.getsizeof(page.versions) for page in live.value().pages)
    print(f"        {held / _MIB:.2f} MiB of it are the pages")
    forget_peak()
    at_rest = resident("VmRSS")
    later = time.time_ns() // 1000
    with sqlite3.connect(file) as connection:
        rows = ((number + 1, later + place, None) for place, number in enumerate(random.sample(numbers, _LOG_OUTS)))
        connection.executemany("INSERT OR REPLACE INTO log_outs VALUES (?, ?, ?)", rows)
        connection.execute("UPDATE numbers SET last = ?", (later + _LOG_OUTS,))
    connection.close()
    async with steps() as times:
        start = clock()
        await live.catch_up()
        took = clock() - start
    longest, most = max(times), held / _MIB + resident("VmHWM") - at_rest
    print(f"{_LOG_OUTS:,} more all over it: {took * 1000:.0f} ms, the longest step {longest:.1f} ms of the loop,")
    print(f"        {most:.1f} MiB in all meanwhile")
    more = requests(live.value(), numbers)
    live.close()
    await store.close()
    return held / _MIB <= REST and most <= READING and longest <= STEP and more <= MORE


def requests(many: Revocations, numbers: list[int]) -> float:
    """Say what a request pays, in turns: with an empty view, and with the full one; returns how much more that is."""
    made = compiled()
    request = browsers_request(made)
    costs: dict[str, list[float]] = {"empty": [], "full": []}
    for _ in range(200):
        for name, view in (("empty", NOBODY), ("full", many)):
            start = time.thread_time()
            for _ in range(100):
                authenticate(made.callers, request, view)
            costs[name].append((time.thread_time() - start) * 10_000)
    told = {name: statistics.median(times) for name, times in costs.items()}
    print(f"authenticating a request: {told['empty']:.2f} us with an empty view, {told['full']:.2f} with the full one")
    fresh = [Session("c", number + 3, 5, number + 5) for number in random.sample(numbers, 10_000)]
    start = time.thread_time()
    for session in fresh:
        many.is_over(session)
    took = (time.thread_time() - start) * 1e6 / len(fresh)
    print(f"a token's first look after a change: {took:.1f} us, of ten thousand all over it")
    return told["full"] - told["empty"]


def main() -> None:
    """Measure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "store.db"
        url = f"sqlite:///{file}"
        upgrade(url)
        if not asyncio.run(measure(url, file, fill(file, count))):
            sys.exit(f"wanted: {REST:g} and {READING:g} MiB, {STEP:g} ms, {MORE:g} us")


if __name__ == "__main__":
    main()
