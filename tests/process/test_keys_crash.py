"""`gateway keys` killed with SIGKILL at each of its steps, and replicas killed with each of its files before them.

A command is stopped from within Python itself, which tells a hook of everything that is asked of the system.
"""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.authn.rotation import State, read_keys
from gateway.config.key_folder import read_folder
from tests.cli.test_keys import aged
from tests.fakes.commerce import Commerce
from tests.process.processes import left_in, serving
from tests.process.test_rotation import CONFIG, EMAIL, LATER, PASSWORD, handed, keys

DIES = """
import itertools, os, shutil, signal, sys
import gateway.authn.key, gateway.authn.rotation, gateway.config.key_folder
from gateway.__main__ import main

start, ends, *words = sys.argv[1:]

def step(folder, dies_at):
    sys.argv[:] = ["gateway", "keys", *words, "--folder", folder]
    seen = 0

    def hook(event, arguments):
        nonlocal seen
        if event == "open" or event.startswith(("os.", "fcntl.")):
            seen += bool(seen or folder in map(str, arguments))
            if seen == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    main()

for dies_at in itertools.count(1):
    folder = f"{ends}/{dies_at}"
    shutil.copytree(start, folder)
    if not (child := os.fork()):
        step(folder, dies_at)
        os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != -signal.SIGKILL:
        sys.exit(code)
"""
RETIRE = ("retire", "--longest-life", "24h")
STEPS = {"first": ("new",), "next": ("new",), "rotate": ("rotate",), "retire": RETIRE}


async def brought(step: str, folder: Path) -> None:
    """Bring a folder of keys to where a step can be taken."""
    for name, words in STEPS.items():
        if name == step:
            return
        await keys(folder, *words)
        aged(folder, LATER)


async def deaths(start: Path, ends: Path, *words: str) -> list[Path]:
    """Take a step again and again, each time dying one thing later that is asked of the system, once the folder is.

    Returns what is left of the folder each time; of the last, which came to its end, as well.
    """
    command = (sys.executable, "-c", DIES, str(start), str(ends), *words)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0
    return [ends / f"{number}" for number in range(1, len(left_in(str(ends))) + 1)]


def found(folder: Path) -> Mapping[str, State]:
    """Read the keys as a gateway does; return the state of each."""
    read = read_folder(folder)
    kept, faults = read_keys(read.texts)
    assert (read.faults, faults) == ((), ())
    return {one.kid: one.state for one in kept}


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_is_taken_or_not(step: str, tmp_path: Path) -> None:
    """Wherever it dies: the keys load, one signs, none is lost, and the step can be taken again where it was not."""
    start, ends = tmp_path / "start", tmp_path / "ends"
    for folder in (start, ends):
        folder.mkdir()
    await brought(step, start)
    before = found(start)
    seen = set[tuple[State, ...]]()
    folders = await deaths(start, ends, *STEPS[step])
    for folder in folders:
        after = found(folder)
        assert before.keys() <= after.keys()
        assert [*after.values()].count(State.ACTIVE) == bool(after)
        states = tuple(sorted(after.values()))
        if states not in seen and after == before:
            await keys(folder, *STEPS[step])
            assert found(folder) != before
        seen.add(states)
    # Before and after the one moment in which it is taken.
    assert len(seen) == 2
    assert found(folders[-1]) != before
    assert len(folders) > 10


async def test_replicas_die_with_each_file(environ: dict[str, str], upstream: Commerce, tmp_path: Path) -> None:
    """Killed as soon as a step's file is before it, whether or not it was taken up: no token is refused afterwards."""
    assert upstream.url == environ["UPSTREAM_URL"]
    del environ["GATEWAY_SIGNING_KEY_FILE"]
    made, folder = tmp_path / "made", tmp_path / "keys"
    folder.mkdir()
    (tmp_path / "gateway.yaml").write_text(CONFIG)
    tokens: list[tuple[str, str]] = []
    for number, words in enumerate(STEPS.values()):
        await keys(made, *words)
        if number == 0:
            handed(made, folder)
        async with serving(environ, config=tmp_path / "gateway.yaml") as served:
            if number == 0:
                assert await served.register(EMAIL, PASSWORD, "Ann") is not None
            login = await served.login(EMAIL, PASSWORD)
            tokens.append((await served.bearer(), login.json()["data"]["token"]))
            # Those of the first key go with it.
            tokens = tokens[-2:]
            handed(made, folder)
            await served.kill()
        async with serving(environ, config=tmp_path / "gateway.yaml") as again:
            for bearer, token in tokens[1 if words == RETIRE else 0 :]:
                headers = {"Authorization": f"Bearer {bearer}", "X-Moltin-Customer-Token": token}
                assert (await again.call("GET", "/v2/orders", headers=headers)).status == 200
        aged(made, LATER)
