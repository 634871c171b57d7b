"""Replicas whose clocks differ share one PostgreSQL database: what is told by time is told by the database's."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fakes.commerce import Commerce, Fault, at
from tests.postgres import Makes, new_database
from tests.process.processes import Served, serving
from tests.process.test_changes import change, takes_any_email, written
from tests.process.test_resets import spend, token_for

PEOPLE = {"ann@shop.example": "canary-password-ann", "ben@shop.example": "canary-password-ben"}
LATER = "canary-password-later"
SHIFT = 30
# Python imports a module of this name before anything else: all of the process reads the clock through it.
SHIFTED = """
import datetime, time

real_time, real_ns, Real = time.time, time.time_ns, datetime.datetime


class Shifted(Real):
    @classmethod
    def now(cls, tz=None):
        return Real.now(tz) + datetime.timedelta(seconds={shift})


time.time = lambda: real_time() + {shift}
time.time_ns = lambda: real_ns() + {shift} * 10**9
datetime.datetime = Shifted
"""


@pytest.fixture
async def replicas(
    makes: Makes, environ: dict[str, str], upstream: Commerce, tmp_path: Path
) -> AsyncIterator[tuple[Served, Served]]:
    """Give a replica that is on time, and one whose clock is ahead: to that one, the first is behind."""
    assert upstream.url == environ["UPSTREAM_URL"]
    (tmp_path / "sitecustomize.py").write_text(SHIFTED.format(shift=SHIFT))
    shared = {**environ, "GATEWAY_STORE_URL": await new_database(makes.server())}
    async with (
        serving(shared, wait=False) as punctual,
        serving({**shared, "PYTHONPATH": str(tmp_path)}, wait=False) as other,
    ):
        await asyncio.gather(punctual.started(), other.started())
        told = datetime.fromisoformat(other.lines[-1]["ts"])
        assert abs((told - datetime.now(UTC)).total_seconds() - SHIFT) < SHIFT / 2
        yield punctual, other


async def test_one_customer_gets_an_email(replicas: tuple[Served, Served], upstream: Commerce) -> None:
    """While one replica has an e-mail in hand the other waits for it, and does not take the claim for a dead one's."""
    ids, tokens = [], []
    for served, (email, password) in zip(replicas, PEOPLE.items(), strict=True):
        assert await served.register(email, password, email) is not None
        data = (await served.login(email, password)).json()["data"]
        ids.append(data["customer_id"])
        tokens.append(data["token"])
        takes_any_email(upstream, data["customer_id"])
    upstream.script(at("/v2/customers", "GET"), written({"data": []}))
    for first, second in ((0, 1), (1, 0)):
        gate = asyncio.Event()
        upstream.fault(Fault.SLOW_HEAD, when=at(f"/v2/customers/{ids[first]}", "PUT"), gate=gate, times=1)
        seen = len(upstream.requests)
        async with asyncio.TaskGroup() as group:
            slow = group.create_task(change(replicas[first], ids[first], tokens[first]))
            await upstream.wait(
                lambda seen=seen, first=first: any(  # type: ignore[misc] # its own defaults
                    map(at(f"/v2/customers/{ids[first]}", "PUT"), upstream.requests[seen:])
                )
            )
            refused = await change(replicas[second], ids[second], tokens[second])
            gate.set()
        assert (slow.result().status, refused.status, refused.code) == (200, 409, "EMAIL_TAKEN")
        assert not any(map(at(f"/v2/customers/{ids[second]}", "PUT"), upstream.requests[seen:]))
        # Nobody has it in the next round.
        upstream.shop.customers[ids[first]]["email"] = [*PEOPLE][first]


async def test_tokens_and_log_outs_count_at_both(replicas: tuple[Served, Served]) -> None:
    """A token from either is good at both until it is logged out at either; then a new one is."""
    email, password = PEOPLE.copy().popitem()
    registered = await replicas[0].register(email, password, email)
    assert registered is not None
    assert registered.status == 201
    for one, other in (replicas, replicas[::-1]):
        token = (await one.login(email, password)).json()["data"]["token"]
        assert [(await served.orders(token)).status for served in replicas] == [200, 200]
        assert (await other.log_out(token)).status == 204
        async with asyncio.timeout(2):
            while (await one.orders(token)).status == 200:
                pass
        again = (await one.login(email, password)).json()["data"]["token"]
        assert [(await served.orders(again)).status for served in replicas] == [200, 200]


async def test_a_reset_counts_at_both(replicas: tuple[Served, Served]) -> None:
    """Asked for at one, spent at the other, once; and tokens from before are refused at both."""
    email, password = PEOPLE.copy().popitem()
    registered = await replicas[0].register(email, password, email)
    assert registered is not None
    for number, (one, other) in enumerate((replicas, replicas[::-1])):
        token = (await one.login(email, password)).json()["data"]["token"]
        reset, password = await token_for(one, email), f"{LATER}-{number}"
        assert await spend(other, reset, password) == 200
        assert await spend(one, reset, password) == 404
        async with asyncio.timeout(2):
            while {(await served.orders(token)).status for served in replicas} != {403}:
                pass
