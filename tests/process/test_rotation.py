"""A rotation of keys under load: three replicas take each step up in any order, and refuse no token that is good."""

import asyncio
import shutil
from collections import Counter
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path
from typing import Any, Final

from tests.cli.test_keys import aged
from tests.fakes.commerce import Commerce
from tests.gateways import MOLTIN, STOREFRONT, Answer
from tests.postgres import Makes, new_database
from tests.process.processes import Served, serving
from tests.process.test_reload import taken_up
from tests.starting import PATIENCE, start

EMAIL, PASSWORD = "ann@shop.example", "canary-password-ann"
CONFIG = f"extends: {MOLTIN}\ntokens: {{keys: keys}}\n"
LATER = 2 * 86_400
"""Seconds after which every step may be taken."""


class Shoppers:
    """Clients who log in at every replica in turn, and ask all of them with tokens old and new."""

    def __init__(self, replicas: list[Served]) -> None:
        self.refused: list[str] = []
        self.rounds = Counter[int]()
        self.are_leaving = False
        self._went_on: Final = asyncio.Condition()
        self._replicas: Final = replicas
        self._kept: dict[int, tuple[str, str]] = {}

    async def shop(self, number: int) -> None:
        """Be one of them."""
        for served in cycle(self._replicas):
            if self.are_leaving:
                return
            fresh = await self._log_in(served)
            for bearer, token in {fresh, self._kept.setdefault(number, fresh)}:
                headers = {"Authorization": f"Bearer {bearer}", "X-Moltin-Customer-Token": token}
                for other in self._replicas:
                    self._read(await other.call("GET", "/v2/orders", headers=headers), 200)
            self.rounds[number] += 1
            async with self._went_on:
                self._went_on.notify_all()

    async def renewed(self) -> None:
        """Wait until nobody has a token from before this moment."""
        self._kept.clear()
        # Rounds that were under way had some.
        await self.seen(2)

    async def seen(self, rounds: int) -> None:
        """Wait until each of them has been at a replica so many times more."""
        wanted = Counter({number: done + rounds for number, done in self.rounds.items()})
        async with asyncio.timeout(PATIENCE), self._went_on:
            await self._went_on.wait_for(lambda: self.rounds >= wanted)

    async def _log_in(self, served: Served) -> tuple[str, str]:
        form = {"grant_type": "implicit", "client_id": STOREFRONT}
        bearer = self._read(await served.call("POST", "/oauth/access_token", data=form), 200)["access_token"]
        body = {"data": {"type": "token", "email": EMAIL, "password": PASSWORD}}
        lines = {"Authorization": f"Bearer {bearer}"}
        answer = await served.call("POST", "/v2/customers/tokens", json=body, headers=lines)
        return bearer, self._read(answer, 201)["data"]["token"]

    def _read(self, answer: Answer, status: int) -> Any:
        if answer.status != status:
            self.refused.append(f"{answer.status} {answer.code}")
        return answer.json()


async def keys(folder: Path, *words: str) -> None:
    """Run `gateway keys` on a folder of keys."""
    process = await start("keys", *words, "--folder", str(folder), environ={})
    said, _ = await process.communicate()
    assert process.returncode == 0, said


def handed(made: Path, folder: Path) -> None:
    """Put the keys as they are now into a replica's folder, each file at once."""
    for key in made.iterdir():
        beside = folder / f".{key.name}"
        shutil.copy(key, beside)
        beside.replace(folder / key.name)


async def test_a_rotation_refuses_no_token(
    makes: Makes, environ: dict[str, str], upstream: Commerce, tmp_path: Path
) -> None:
    """Next, active, retiring, retired: bearers and customer tokens of every replica are good at each, all the time."""
    assert upstream.url == environ["UPSTREAM_URL"]
    made = tmp_path / "keys"
    await keys(made, "new")
    shared = {**environ, "GATEWAY_STORE_URL": await new_database(makes.server())}
    del shared["GATEWAY_SIGNING_KEY_FILE"]
    folders = [tmp_path / f"replica-{number}" for number in range(3)]
    async with AsyncExitStack() as stack:
        replicas = []
        for folder in folders:
            (folder / "keys").mkdir(parents=True)
            handed(made, folder / "keys")
            (folder / "gateway.yaml").write_text(CONFIG)
            served = serving(shared, config=folder / "gateway.yaml", wait=False)
            replicas.append(await stack.enter_async_context(served))
        await asyncio.gather(*(served.started() for served in replicas))
        registered = await replicas[0].register(EMAIL, PASSWORD, "Ann")
        assert registered is not None
        assert registered.status == 201
        shoppers = Shoppers(replicas)
        async with asyncio.TaskGroup() as group:
            for number in range(2):
                group.create_task(shoppers.shop(number))
                shoppers.rounds[number] = 0
            await shoppers.renewed()
            retire = ("retire", "--longest-life", "24h")
            steps = ((("new",), (0, 1, 2)), (("rotate",), (2, 0, 1)), (retire, (1, 2, 0)))
            for times, (step, order) in enumerate(steps, start=1):
                aged(made, LATER)
                await keys(made, *step)
                for number in order:
                    handed(made, folders[number] / "keys")
                    await taken_up(replicas[number], times, 1)
                    await shoppers.seen(1)
                await shoppers.renewed()
            shoppers.are_leaving = True
        assert shoppers.refused == []
        assert all(served.errors == [] for served in replicas)
