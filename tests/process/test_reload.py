"""The configuration of a running gateway is read again: at SIGHUP and when its files change, by all workers at once."""

import asyncio
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.authn.key import Algorithm, generate
from tests.fakes.commerce import Commerce, Fault, at
from tests.gateways import MOLTIN, UPSTREAM_SECRET
from tests.process.processes import Line, Served, children, extended, serving

WORKERS = [1, 2]
ROUTE = """
routes:
  - {name: news, path: /v2/news, methods: [GET], access: {public: open}}
"""
OLD = f"extends: {MOLTIN}\n"


def reloads(lines: list[Line]) -> list[str]:
    """Return what came of each time that the configuration was read again."""
    return [line["outcome"] for line in lines if line["event"] == "config_reload"]


def told(lines: list[Line], event: str) -> list[str]:
    """Return what events of a kind say."""
    return [line["what"] for line in lines if line["event"] == event]


def versions(lines: list[Line]) -> list[str]:
    """Return the versions that were in force, of each worker."""
    return [line["version"] for line in lines if line["event"] == "config_in_force"]


def outcome(*wanted: str) -> Callable[[list[Line]], bool]:
    """Tell whether these were the outcomes so far."""
    return lambda lines: reloads(lines) == [*wanted]


async def statuses(served: Served, target: str, times: int = 8) -> set[int]:
    """Ask for a target on new connections, which all workers take, and return how it was answered."""
    answers = [await served.as_public("GET", target, headers={"Connection": "close"}) for _ in range(times)]
    return {answer.status for answer in answers}


@pytest.fixture
def routing(tmp_path: Path) -> Path:
    """Give a routing file that says what config/moltin.yaml says."""
    return extended(tmp_path, "")


def replaced(path: Path, text: str) -> None:
    """Put another file in the place of one, as editors do."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


@pytest.mark.parametrize("workers", WORKERS)
async def test_a_changed_file_is_taken_up(environ: dict[str, str], routing: Path, workers: int) -> None:
    """Nobody has to tell: log, /ready, /config and the metric say which configuration is in force in each worker."""
    async with serving(environ, config=routing, workers=workers) as served:
        before = (await served.ask("/ready")).json()["configuration"]
        assert await statuses(served, "/v2/news") == {404}
        replaced(routing, OLD + "cors: {origins: ['https://app.example']}\n")
        await served.logged(outcome("swapped"))
        await served.logged(lambda lines: len(versions(lines)) == 2 * workers)
        (after,) = {*versions(served.lines)[workers:]}
        assert before != after
        assert (await served.ask("/ready")).json()["configuration"] == after
        shown = (await served.ask("/config")).body.decode()
        assert f"# configuration {after}\n" in shown
        assert "https://app.example" in shown
        metrics = (await served.ask("/metrics")).body.decode()
        numbers = {
            float(line.split()[-1]) for line in metrics.splitlines() if line.startswith("gateway_config_version")
        }
        assert numbers == {float(int(after, 16))}
        assert 'gateway_config_reloads_total{outcome="swapped"} 1.0' in metrics
        assert served.errors == []
