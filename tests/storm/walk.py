"""Customers who log in, log out and change their passwords, each time at the next replica: they must be one gateway."""

import json
from collections.abc import Sequence
from time import monotonic
from typing import Any

import aiohttp

from gateway.demo.data import Person
from tests.storm.client import Tally

# A log-out counts everywhere within two seconds; on a machine that plays the storm as well a little later.
KNOWN_SECONDS = 5.0
FORBIDDEN = 403


class Walk:
    """One customer, who begins with `password`, and knows `bearer` and the URLs of the replicas."""

    def __init__(self, person: Person, password: str, bearer: str, urls: Sequence[str]) -> None:
        self.rounds = 0
        self.slowest = 0.0
        self._person = person
        self._password = password
        self._bearer = bearer
        self._urls = urls
        self._turn = 0
        self._session: aiohttp.ClientSession
        self._tally: Tally

    async def go(self, requests: int, tally: Tally) -> None:
        """Walk until so many requests were sent by all; what was wrong stands in the tally."""
        self._tally = tally
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as self._session:
            while tally.sent < requests and not tally.wrong:
                await self._round()
                self.rounds += 1

    async def _round(self) -> None:
        await self._log_in("canary-wrong", 404)
        first, second = await self._log_in(self._password), await self._log_in(self._password)
        for token in (first, second) * len(self._urls):
            self._expect(200, await self._own(token), "a token is good at each replica")
        status, _ = await self._ask("DELETE", "/v2/customers/tokens", first)
        self._expect(204, status, "a log-out")
        await self._ended(first)
        for _ in self._urls:
            self._expect(200, await self._own(second), "another session goes on")
        old, self._password = self._password, f"canary-{self.rounds}-{self._person.name}"
        changed = {"data": {"type": "customer", "password": self._password}}
        status, _ = await self._ask("PUT", f"/v2/customers/{self._person.id}", second, changed)
        self._expect(200, status, "a change of the password")
        for _ in self._urls:
            await self._log_in(old, 404)
            await self._log_in(self._password)
        await self._ended(second)

    async def _ended(self, token: str) -> None:
        """Wait until a token is worth nothing at any replica; each is asked until it says so."""
        begun = monotonic()
        for _ in self._urls:
            url = self._next()
            while await self._own(token, url) != FORBIDDEN:
                if monotonic() - begun > KNOWN_SECONDS:
                    self._expect(FORBIDDEN, await self._own(token, url), "a token that was ended")
                    return
        self.slowest = max(self.slowest, monotonic() - begun)

    async def _log_in(self, password: str, expected: int = 201) -> str:
        data = {"type": "token", "email": self._person.email, "password": password}
        status, document = await self._ask("POST", "/v2/customers/tokens", body={"data": data})
        self._expect(expected, status, "a login")
        return str(document["data"]["token"]) if status == 201 else ""

    async def _own(self, token: str, url: str = "") -> int:
        status, document = await self._ask("GET", f"/v2/customers/{self._person.id}", token, url=url)
        if status == 200 and document["data"]["password"] is not True:
            self._tally.wrong.append(f"{self._person.name}, round {self.rounds}: no password: {document}")
        return status

    async def _ask(self, method: str, path: str, token: str = "", body: Any = None, url: str = "") -> tuple[int, Any]:
        """Ask the next replica, or this one."""
        lines = {"Authorization": f"Bearer {self._bearer}"}
        if token:
            lines["X-Moltin-Customer-Token"] = token
        self._tally.sent += 1
        async with self._session.request(method, (url or self._next()) + path, headers=lines, json=body) as response:
            answer = await response.read()
        self._tally.replies += 1
        self._tally.statuses[response.status] += 1
        return response.status, json.loads(answer) if answer else None

    def _next(self) -> str:
        self._turn += 1
        return self._urls[self._turn % len(self._urls)]

    def _expect(self, status: int, found: int, what: str) -> None:
        if found != status:
            self._tally.wrong.append(f"{self._person.name}, round {self.rounds}: {what}: {found}, not {status}")
