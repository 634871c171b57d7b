"""`make bench-reload`: the routing file changes again and again while clients ask: nothing may fail, nothing may grow.

Each change is another routing file in the place of the last, every second of them with other connections to the API.
What counts is the time from the moment when the file is there to the line of the last worker that says that it serves
by it. Gateway, API and clients share all cores.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from bench.command import parser, settings
from bench.machine import resident_kib
from bench.scorecard import Scorecard
from gateway.config.files import Files
from gateway.config.load import load_all
from tests.fakes.commerce import Commerce
from tests.gateways import MOLTIN, STOREFRONT, UPSTREAM_SECRET, CanaryShop, environment
from tests.process.processes import Served, children, extended, serving

WORKERS = 2
CLIENTS = 8
WARM_UP = 0.2
"""The part of all reloads before growth counts: memories of the gateway fill, and the allocator finds its size."""
ALLOWED_MIB = 4
WANTED_SECONDS = 1.0
PATIENCE = 30.0
_PAUSE = 0.01
"""Seconds between two requests of a client."""


def main() -> None:
    """Measure and print."""
    command = parser("reload", __doc__, reloads=100, requests=10_000)
    options = command.parse_args()
    card = Scorecard("reload", settings(command, options))
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        asyncio.run(measure(card, Path(folder), options.reloads, options.requests))
    card.close()


async def measure(card: Scorecard, folder: Path, reloads: int, requests: int) -> None:
    """Reload, and ask meanwhile."""
    async with Commerce(CanaryShop("canary-upstream-id", UPSTREAM_SECRET)) as commerce:
        environ, file = environment(folder, commerce.url), extended(folder, "")
        async with serving(environ, config=file, workers=WORKERS) as served, asking(served) as asked:
            workers = children(served.pid)
            seconds, memory = [], list[int]()
            for number in range(reloads):
                seconds.append(await reload(served, environ, file, number))
                memory.append(sum(map(resident_kib, workers)))
    failed = [status for status in asked if status != 200]  # noqa: PLR2004 - HTTP's own number
    card.want("requests", len(asked), least=requests)
    card.show("reloads", reloads)
    card.want("requests that failed", len(failed), most=0)
    seconds.sort()
    card.show("from the file to the last worker, p50", seconds[len(seconds) // 2], unit=" s")
    card.want("from the file to the last worker, slowest", seconds[-1], most=WANTED_SECONDS, unit=" s")
    grown = (memory[-1] - memory[int(reloads * WARM_UP)]) / 1024 / WORKERS
    card.want("memory of a worker more than after warming up", grown, most=ALLOWED_MIB, unit=" MiB")


@asynccontextmanager
async def asking(served: Served) -> AsyncIterator[list[int]]:
    """Have clients ask on connections that stay until the block ends; gives the statuses so far."""
    statuses: list[int] = []
    form = {"grant_type": "implicit", "client_id": STOREFRONT}
    base = f"http://{served.public}"
    async with aiohttp.ClientSession(base, cookie_jar=aiohttp.DummyCookieJar()) as session:
        async with session.post("/oauth/access_token", data=form) as answer:
            lines = {"Authorization": f"Bearer {(await answer.json())['access_token']}"}
        is_over = False

        async def ask() -> None:
            while not is_over:
                async with session.get("/v2/categories", headers=lines) as answer:
                    await answer.read()
                    statuses.append(answer.status)
                await asyncio.sleep(_PAUSE)

        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(ask())
            yield statuses
            is_over = True


async def reload(served: Served, environ: dict[str, str], file: Path, number: int) -> float:
    """Put another file in the place of the last; return the seconds until the last worker serves by it."""
    # Every second one needs other connections to the API.
    text = f"extends: {MOLTIN}\ncors: {{max_age: {number + 1}s}}\nupstream: {{connection_life: {300 + number // 2}s}}\n"
    beside = file.with_suffix(".new")
    beside.write_text(text)
    version = load_all(beside, environ, Files()).version
    seen = len(served.output)
    began = time.time()  # noqa: TID251 - it is compared with the times of the log
    beside.replace(file)
    async with asyncio.timeout(PATIENCE):
        while True:
            told = [line for line in served.output[seen:] if version in line and "in_force" in line]
            if len(told) == WORKERS:
                return time.time() - began  # noqa: TID251
            await asyncio.sleep(0.005)


if __name__ == "__main__":
    main()
