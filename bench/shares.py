"""`make bench-shares`: how a customer's logins and reads go on while others take all they can get.

Ten paths hang at the API, with 60 requests for each, one path after the other; 40 clients register without a pause;
1,000 clients end no head, no body, or take no answer. Beside each of them one client logs in, reads its orders and the
catalogue, again and again; argon2id is that of the configuration's defaults. The gateway has core 0 for itself; API and
clients share core 1.
"""

import asyncio
import multiprocessing
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count

import aiohttp

from bench.command import parser, settings
from bench.machine import LOAD_CORE, free_port, need, process, resident_kib, stay_on
from bench.parties import Party, Stage, stage
from bench.passwords import PASSWORD
from bench.scorecard import Scorecard

HANGING = (
    *("/v2/products/hang", "/v2/categories/hang", "/v2/brands/hang", "/v2/collections/hang", "/v2/files/hang"),
    *("/v2/currencies/hang", "/v2/inventories/hang", "/catalog/hang", "/v2/carts/hang", "/v2/carts/hang/items/hang"),
)
EMAIL = "customer@bench.example"
WANTED_TIMES = 3
WANTED_GOOD = 0.95
_PAUSE = 0.1
"""Seconds until a client that was refused comes back."""


@dataclass(slots=True)
class Outcome:
    """What became of one customer's requests: milliseconds of each kind, and how many were answered with a 2xx."""

    times: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    good: int = 0

    @property
    def part(self) -> float:
        """The part that was answered with a 2xx."""
        return self.good / sum(map(len, self.times.values()))

    def percentile(self, percent: int) -> dict[str, float]:
        """Return this percentile of each kind."""
        return {kind: sorted(times)[len(times) * percent // 100] for kind, times in self.times.items()}


class Load:
    """The clients of one gateway."""

    def __init__(self, port: int, bearer: str, session: aiohttp.ClientSession) -> None:
        self._port = port
        self._session = session
        self._bearer = bearer
        self._numbers = count()

    async def register(self, email: str) -> int:
        """Register a customer; return the status."""
        data = {"type": "customer", "name": "Customer", "email": email, "password": PASSWORD}
        return (await self._ask("POST", "/v2/customers", {"data": data}))[0]

    async def measured(self, seconds: float) -> Outcome:
        """Log in and read until the time is over."""
        outcome, token = Outcome(), ""
        until = time.perf_counter() + seconds
        login = {"data": {"type": "token", "email": EMAIL, "password": PASSWORD}}
        while time.perf_counter() < until:
            for kind, method, target in (
                ("login", "POST", "/v2/customers/tokens"),
                *[("orders", "GET", "/v2/orders"), ("catalogue", "GET", "/v2/products")] * 2,
            ):
                began = time.perf_counter()
                status, document = await self._ask(method, target, login if kind == "login" else None, token)
                outcome.times[kind].append((time.perf_counter() - began) * 1000)
                outcome.good += status < 300  # noqa: PLR2004 - HTTP's own number
                if kind == "login" and status == 201:  # noqa: PLR2004
                    token = document["data"]["token"]
        return outcome

    @asynccontextmanager
    async def hanging(self) -> AsyncIterator[None]:
        """Ask for paths that hang."""
        async with self._open([self._head("GET", path) for path in HANGING for _ in range(60)]):
            yield

    @asynccontextmanager
    async def slow(self) -> AsyncIterator[None]:
        """End no head, end no body, take no answer."""
        body = self._head(
            "POST", "/v2/inventories/multiple", "Content-Type: application/json\r\nContent-Length: 200000"
        )
        heads = [b"GET /v2/products HTTP/1.1\r\nHost: shop\r\nX-Slow: "] * 300 + [body + b"{"] * 300
        async with self._open([*heads, *[self._head("GET", "/v2/files/large")] * 400]):
            yield

    @asynccontextmanager
    async def registering(self) -> AsyncIterator[None]:
        """Register without a pause, in a process of its own: what it takes is not taken from who is measured."""
        crowd = multiprocessing.get_context("spawn").Process(target=_flood, args=(self._port, self._bearer))
        crowd.start()
        # Until it has begun.
        await asyncio.sleep(3)
        yield
        crowd.kill()
        crowd.join()

    async def flood(self) -> None:
        """Register with 40 clients until the process is ended."""

        async def client() -> None:
            while True:
                if await self.register(f"flood-{next(self._numbers)}@bench.example") != 201:  # noqa: PLR2004 - HTTP's
                    await asyncio.sleep(_PAUSE)

        await asyncio.gather(*(client() for _ in range(40)))

    async def _ask(self, method: str, target: str, document: object = None, token: str = "") -> tuple[int, dict]:  # type: ignore[type-arg] # JSON
        headers = {"Authorization": self._bearer} | ({"X-Moltin-Customer-Token": token} if token else {})
        url = f"http://127.0.0.1:{self._port}{target}"
        async with self._session.request(method, url, json=document, headers=headers) as reply:
            return reply.status, await reply.json()

    def _head(self, method: str, path: str, *lines: str) -> bytes:
        head = [f"{method} {path} HTTP/1.1", "Host: shop", f"Authorization: {self._bearer}", *lines]
        return "\r\n".join([*head, "", ""]).encode()

    @asynccontextmanager
    async def _open(self, heads: list[bytes]) -> AsyncIterator[None]:
        writers = []
        for head in heads:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1)
            writer.write(head)
            writers.append(writer)
        # Until all have been read, and all that can be is asked of the API.
        await asyncio.sleep(1)
        yield
        for writer in writers:
            writer.transport.abort()


def _flood(port: int, bearer: str) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await Load(port, bearer, session).flood()

    asyncio.run(run())


def main() -> None:
    """Measure and print."""
    command = parser("shares", __doc__, seconds=10.0)
    options = command.parse_args()
    need("taskset")
    card = Scorecard("shares", settings(command, options))
    stay_on(LOAD_CORE)
    with stage() as on:
        port = free_port()
        api = ("-m", "bench.hanging", str(port))
        with process(LOAD_CORE, sys.executable, *api, port=port, log=on.folder / "hanging.log"):
            party = on.gateway(config=f"upstream: {{url: 'http://127.0.0.1:{port}'}}\n")
            asyncio.run(_measure(on, party, options.seconds, card))
    card.close()


async def _measure(on: Stage, party: Party, seconds: float, card: Scorecard) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        load = Load(party.port, on.headers["Authorization"], session)
        await load.register(EMAIL)
        crowds: dict[str, Callable[[], AbstractAsyncContextManager[None]]] = {
            "nobody else": nullcontext,
            "40 registering": load.registering,
            "1,000 slow clients": load.slow,
            "ten paths that hang": load.hanging,
        }
        alone: dict[str, float] = {}
        for name, crowd in crowds.items():
            async with crowd():
                outcome = await load.measured(seconds)
                memory = resident_kib(party.pid)
            p99 = outcome.percentile(99)
            alone = alone or p99
            shown = ", ".join(f"{kind} {p99[kind]:.0f} (of {len(times)})" for kind, times in outcome.times.items())
            print(f"{name}: {outcome.part:.1%} good, {memory} KiB; p99 in ms: {shown}")
            card.want(f"{name}: part answered with 2xx", outcome.part, least=WANTED_GOOD)
            if p99 is not alone:
                for kind, found in p99.items():
                    card.want(f"{name}: p99 of {kind} : alone", found / alone[kind], most=WANTED_TIMES)


if __name__ == "__main__":
    main()
