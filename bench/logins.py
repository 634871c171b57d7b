"""`make bench-logins`: the latency of scoped GETs at 300 a second, with 20 clients logging in all the time and without.

Each client is a customer of its own, because one account may not try as often. The logins are good ones with the
hashing of the configuration's defaults, so that argon2id really works; a client that is refused comes back at once. An
open loop, corrected for coordinated omission. The gateway, with its hashing threads, has core 0 for itself; the
upstream and all clients share core 1.
"""

import asyncio
import json
import multiprocessing
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Self

import aiohttp

from bench.command import parser, settings
from bench.load import ORDERS
from bench.machine import LOAD_CORE, need, stay_on
from bench.openloop import Measured, run
from bench.parties import Stage, stage
from bench.passwords import PASSWORD, keep_passwords
from bench.scorecard import Scorecard

WANTED_TIMES = 3
AT_ONCE_MS = 100
"""A refusal that takes longer has waited in a queue: one login takes about a third of it."""
REFUSED = frozenset({429, 503})
_PAUSE = 0.01
"""Seconds until a client that was refused comes back."""


@dataclass(slots=True)
class Logins:
    """What became of logins: how many had each status, and the milliseconds to each refusal."""

    statuses: Counter[int] = field(default_factory=Counter)
    refusals: list[float] = field(default_factory=list)


def main() -> None:
    """Measure and print."""
    command = parser("logins", __doc__, rounds=4, seconds=6.0, rate=300.0, clients=20)
    options = command.parse_args()
    need("taskset")
    card = Scorecard("logins", settings(command, options))
    stay_on(LOAD_CORE)
    quiet: list[Measured] = []
    busy: list[Measured] = []
    logins = Logins()
    with stage() as on:
        ids = [f"customer-{number}" for number in range(options.clients)]
        asyncio.run(keep_passwords(on.env["GATEWAY_STORE_URL"], ids))
        party = on.gateway()
        raw = on.request("GET", ORDERS)
        run(party.port, raw, options.rate, 1)
        for _ in range(options.rounds):
            quiet.append(run(party.port, raw, options.rate, options.seconds))
            with Crowd(on, party.port, options.clients) as crowd:
                busy.append(run(party.port, raw, options.rate, options.seconds))
                crowd.stop(logins)
    print(f"{options.rounds} rounds of {options.seconds:g} s at {options.rate:g} requests/s; medians, in milliseconds")
    p99 = {}
    for name, taken in (("no logins", quiet), (f"{options.clients} logging in", busy)):
        p50, p99[name] = (statistics.median(one.percentile(percent) for one in taken) for percent in (50, 99))
        print(f"{name:14} p50 {p50:8.3f}  p99 {p99[name]:8.3f}")
    card.keep("p99, ms", p99)
    statuses = ", ".join(f"{count} x {status}" for status, count in sorted(logins.statuses.items()))
    print(f"logins: {statuses}; {logins.statuses[201] / (options.rounds * options.seconds):.0f} a second were granted")
    without, with_logins = p99.values()
    card.want("p99 with logins : without", with_logins / without, most=WANTED_TIMES)
    card.want("GETs that failed", sum(one.failed for one in quiet + busy), most=0)
    card.want("logins granted", logins.statuses[201], least=1)
    strange = sum(count for status, count in logins.statuses.items() if status not in REFUSED | {201})
    card.want("logins answered with anything but 201, 429, 503", strange, most=0)
    if logins.refusals:
        slow = sorted(logins.refusals)[int(len(logins.refusals) * 0.99)]
        card.want("p99 of surplus logins until they are refused", slow, most=AT_ONCE_MS, unit=" ms")
    card.close()


class Crowd:
    """Clients that log in again and again, in a process of their own."""

    def __init__(self, on: Stage, port: int, clients: int) -> None:
        self._here, there = multiprocessing.Pipe()
        url, headers = f"http://127.0.0.1:{port}/v2/customers/tokens", {"Authorization": on.headers["Authorization"]}
        # Forked: it keeps the core.
        context = multiprocessing.get_context("fork")
        self._process = context.Process(target=_crowd, args=(there, url, headers, clients))

    def __enter__(self) -> Self:
        self._process.start()
        # Until all have asked for the first time.
        self._here.recv()
        return self

    def stop(self, logins: Logins) -> None:
        """Let them stop, and add up what became of them."""
        self._here.send(None)
        found: Logins = self._here.recv()
        logins.statuses += found.statuses
        logins.refusals += found.refusals

    def __exit__(self, *_: object) -> None:
        self._process.join(5)
        self._process.kill()


def _crowd(pipe: Connection, url: str, headers: dict[str, str], clients: int) -> None:
    asyncio.run(_log_in(pipe, url, headers, clients))


async def _log_in(pipe: Connection, url: str, headers: dict[str, str], clients: int) -> None:
    headers = headers | {"Content-Type": "application/json"}
    logins, stopped = Logins(), asyncio.Event()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session, asyncio.TaskGroup() as group:

        async def client(number: int) -> None:
            data = {"type": "token", "email": f"customer-{number}@bench.example", "password": PASSWORD}
            body = json.dumps({"data": data}).encode()
            while not stopped.is_set():
                began = time.perf_counter()
                async with session.post(url, data=body, headers=headers) as reply:
                    await reply.read()
                logins.statuses[reply.status] += 1
                if reply.status in REFUSED:
                    logins.refusals.append((time.perf_counter() - began) * 1000)
                    await asyncio.sleep(_PAUSE)

        for number in range(clients):
            group.create_task(client(number))
        await asyncio.sleep(_PAUSE)
        pipe.send(None)
        await asyncio.to_thread(pipe.recv)
        stopped.set()
    pipe.send(logins)


if __name__ == "__main__":
    main()
