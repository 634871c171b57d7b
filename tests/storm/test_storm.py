"""A short storm in this process, always the same; `make storm` plays the long one."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.data import LESLIE, RON, Person
from tests.fakes.commerce import Commerce
from tests.gateways import site as run_site
from tests.postgres import Server, new_database
from tests.server.raw import until
from tests.storm.client import Tally, _Connection, _problem
from tests.storm.plan import Ask, Planner, Script
from tests.storm.replicas import faults, replicated
from tests.storm.upstream import Fault, Upstream
from tests.storm.weather import CONFIG, Replica, Target, planner, storm

SEED = 20
REQUESTS = 3000
# Over three processes, whose start takes most of the time.
SHARED_REQUESTS = 600
TOKENS = {"ron@swanson.example": "r", "leslie@knope.example": "l", "april@ludgate.example": "a"}


async def test_no_reply_is_wrong_in_a_storm(upstream: Commerce, tmp_path: Path) -> None:
    """Each whole reply is the right one for its request, whoever breaks off and whatever the upstream does wrong."""
    async with Upstream() as weather:
        config = f"extends: moltin.yaml\n{CONFIG}  url: {weather.url}\n"
        async with run_site(upstream, tmp_path, config=config, passwords=False) as site:
            # Asked first, so that its connection is there already.
            await site.metrics()
            tasks = len(asyncio.all_tasks())
            listen = site.gateway.listen
            target = Target([Replica(listen.host, listen.port, os.getpid(), site.metrics)])
            report = await storm(target, weather, planner(site.config, SEED), SEED, REQUESTS)
            assert report.problems == []
            assert report.tally.sent >= REQUESTS
            # Every kind of request was answered, and every fault met.
            assert report.injected.keys() == set(Fault)
            assert report.tally.aborts > 0
            assert {200, 201, 400, 403, 404, 502} <= report.tally.statuses.keys()
            await until(lambda: len(asyncio.all_tasks()) <= tasks)
            assert [line for line in site.log_lines() if line["event"] == "failed"] == []


async def test_three_replicas_are_one_gateway(server: Server, tmp_path: Path) -> None:
    """Each connection goes to the next of three processes, and finds the same tokens, log-outs and passwords there."""
    async with (
        Upstream() as weather,
        replicated(tmp_path, weather.url, await new_database(server), 3) as (target, config, served),
    ):
        report = await storm(target, weather, planner(config, SEED), SEED, SHARED_REQUESTS)
        assert report.problems == faults(served) == []
        assert all(walk.rounds > 0 for walk in target.walks)
        assert max(walk.slowest for walk in target.walks) > 0
        for one in target.replicas:
            assert 'gateway_logins_total{outcome="granted"}' in await one.metrics()


def test_a_seed_repeats_the_plan() -> None:
    """What went wrong once can be played again."""
    one, other, again = (Planner(seed, "bearer", TOKENS).script(7) for seed in (1, 2, 1))
    assert [ask.raw for ask in one.asks] == [ask.raw for ask in again.asks] != [ask.raw for ask in other.asks]
    assert (one.cut_request, one.cut_reply, one.slow) == (again.cut_request, again.cut_reply, again.slow)


def ask(fault: Fault = Fault.NONE, person: Person = RON) -> Ask:
    """Return a request for the order 1."""
    return Ask(person, "order", b"", 200, "tag", fault, lambda document: bool(document["data"]["id"] == "1"))


@pytest.mark.parametrize(
    ("asked", "status", "body", "problem"),
    [
        (ask(), 200, {"data": {"id": "1"}}, None),
        (ask(), 200, {"data": {"id": "2"}}, "another request's reply"),
        (ask(), 200, {"data": []}, "another request's reply"),
        (ask(), 204, {"data": {"id": "1"}}, "status 204, not 200"),
        (ask(Fault.CUT), 200, {"data": {"id": "1"}}, "a wrong answer was passed on"),
        (ask(), 500, {"errors": [{"status": 500}]}, "status 500, not 200"),
        (ask(), 502, {"errors": [{"status": 404}]}, "an error without envelope"),
        (ask(Fault.FAILED), 502, {"errors": [{"status": 502}]}, None),
    ],
)
def test_wrong_replies_are_known(asked: Ask, status: int, body: Any, problem: str | None) -> None:
    """The storm would be told of these."""
    assert _problem(asked, status, {"x-request-id": "1"}, json.dumps(body).encode()) == problem


def test_another_customers_canary_is_seen() -> None:
    """In a whole reply and in a part of one."""
    tally = Tally()
    connection = _Connection(Script([]), tally)
    connection._judge_bytes(ask(), f'{{"note":"{RON.canary}"}}'.encode())
    assert tally.wrong == []
    connection._judge_bytes(ask(), f'{{"note":"{LESLIE.canary}'.encode())
    assert len(tally.wrong) == 1
