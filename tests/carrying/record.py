"""Writes the golden files of tests/carrying: plays each case on the gateway of this tree and keeps what came of it.

    python -m tests.carrying.record [group ...]

Without groups all files are written. A golden outcome changes only where it was wrong, in a commit that says so: read
the difference before you keep it.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from gateway.cli.loop import new_event_loop
from tests.carrying import golden
from tests.carrying.case import Group
from tests.carrying.groups import GROUPS
from tests.carrying.outcome import Outcome
from tests.carrying.stage import fresh, staged


async def recorded(group: Group, folder: Path) -> dict[str, Outcome]:
    """Play all cases of a group."""
    async with staged(folder, group.timeouts) as stage:
        outcomes = {}
        for case in group.cases:
            if group.is_fresh:
                async with fresh(stage) as other:
                    outcomes[case.name] = await other.play(group, case)
            else:
                outcomes[case.name] = await stage.play(group, case)
    return outcomes


async def record(names: list[str]) -> None:
    """Write the files of these groups."""
    for name in names:
        group = GROUPS[name]
        with tempfile.TemporaryDirectory() as folder:
            outcomes = await recorded(group, Path(folder))
        golden.write(name, outcomes)
        sys.stdout.write(f"{name}: {len(outcomes)} cases\n")


def main() -> None:
    """Read the command line and record."""
    parser = argparse.ArgumentParser(prog="python -m tests.carrying.record", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="group", help=f"one of {', '.join(GROUPS)}")
    names = parser.parse_args().groups or list(GROUPS)
    if unknown := set(names) - set(GROUPS):
        parser.error(f"no group is called {', '.join(sorted(unknown))}")
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(record(names))


if __name__ == "__main__":
    main()
