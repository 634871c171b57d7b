"""The golden cases: what comes of every one of them is what the golden files say, to the byte and to the request.

One group alone: `pytest tests/carrying -k "writes/"`. How the files are written: `python -m tests.carrying.record`.
"""

import difflib
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path

import pytest
import pytest_asyncio

from tests.carrying import golden
from tests.carrying.case import Case, Group
from tests.carrying.groups import GROUPS
from tests.carrying.stage import Stage, fresh, staged


class Stages:
    """The gateways of this module: one for each set of time-outs, and fresh ones on the same key."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._running: dict[str, Stage] = {}

    async def play(self, group: Group, case: Case) -> golden.Plain:
        """Play a case on the gateway of its group."""
        if group.timeouts not in self._running:
            folder = self._folder / str(len(self._running))
            folder.mkdir()
            self._running[group.timeouts] = await self._stack.enter_async_context(staged(folder, group.timeouts))
        stage = self._running[group.timeouts]
        try:
            if not group.is_fresh:
                return golden.plain(await stage.play(group, case))
            async with fresh(stage) as other:
                return golden.plain(await other.play(group, case))
        except (AssertionError, TimeoutError) as error:
            return {"error": repr(error)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stages(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stages]:
    """Give the gateways, which end with the module."""
    async with AsyncExitStack() as stack:
        yield Stages(tmp_path_factory.mktemp("carrying"), stack)


def bundles() -> list[object]:
    """Return all cases; those whose names begin alike are one test, because a test costs more than a case."""
    found: dict[str, tuple[Group, list[Case]]] = {}
    for group in GROUPS.values():
        for case in group.cases:
            found.setdefault(f"{group.name}/{case.name.partition(', ')[0]}", (group, []))[1].append(case)
    return [pytest.param(group, cases, id=name) for name, (group, cases) in found.items()]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("group", "cases"), bundles())
async def test_what_comes_of(stages: Stages, group: Group, cases: list[Case]) -> None:
    """What comes of a case is what its golden file says."""
    expected, wrong = golden.read(group.name), []
    for case in cases:
        given = await stages.play(group, case)
        if given != expected[case.name]:
            wrong.append(f"{group.name}/{case.name}{difference(expected[case.name], given)}")
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


@pytest.mark.parametrize("group", GROUPS)
def test_every_golden_outcome_has_a_case(group: str) -> None:
    """A golden file holds the outcome of each case of its group, in order, and no other."""
    assert list(golden.read(group)) == [case.name for case in GROUPS[group].cases]


@pytest.mark.parametrize("group", GROUPS)
def test_no_golden_outcome_repeats_what_is_not_safe(group: str) -> None:
    """A method that is not safe is sent once for each reply (RFC 9110 section 9.2.1), a safe one twice at the most."""
    for name, outcome in golden.read(group).items():
        heads = [message[0] for message in outcome.get("upstream", ()) if "/oauth/" not in message[0][0]]
        numbers = outcome.get("replies_to", range(1, len(heads) + 1))
        for sent, count in Counter(zip(numbers, map("\n".join, map(_without_bearer, heads)), strict=True)).items():
            assert count <= (2 if sent[1].startswith(("GET ", "HEAD ")) else 1), name


def _without_bearer(head: list[str]) -> list[str]:
    return [line for line in head if not line.startswith("authorization: ")]


def test_no_golden_outcome_shows_what_is_anybody_elses() -> None:
    """Of two customers on one connection neither sees the other's, nor what answers nobody."""
    for name, outcome in golden.read("customers").items():
        whose = cycle(("<leslie>", "<ron>"))
        strange = next(whose)
        for entry in outcome["client"]:
            if isinstance(entry, str):
                strange = next(whose)
                continue
            shown = json.dumps(entry)
            assert "planted" not in shown, name
            assert strange not in shown or name.endswith(", open"), name


def difference(expected: golden.Plain, given: golden.Plain) -> str:
    """Say where two outcomes differ, line by line."""
    old, new = (json.dumps(outcome, indent=1).splitlines() for outcome in (expected, given))
    return "\n".join(["", *difflib.unified_diff(old, new, "golden", "given", lineterm="", n=1)])
