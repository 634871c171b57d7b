"""docs/init.md shows a document, a command, what that prints, and a route: all four belong together."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.gateways import ROOT

PAGE = (ROOT / "docs" / "init.md").read_text(encoding="utf-8")
BLOCK = r"<!-- init: {} -->\n```\w+\n(.*?)```"
FOLDER = os.path.dirname(sys.executable)  # noqa: PTH120 - beside the interpreter, not where its link leads


def block(name: str) -> str:
    """Return a block of the page."""
    found = re.search(BLOCK.format(name), PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_page_is_true(tmp_path: Path) -> None:
    """The document, drafted as the page says in a folder of its own, prints and writes what the page shows."""
    (tmp_path / "lamps.yaml").write_text(block("document"))
    done = subprocess.run(
        ["/bin/sh", "-eu"],
        input=block("commands"),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": f"{FOLDER}:{os.environ['PATH']}"},
        check=True,
    )
    assert done.stderr == ""
    printed = re.search(BLOCK.format("commands") + r"\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert printed is not None
    expected = ".*".join(re.escape(" ".join(part.split())) for part in printed[2].split("..."))
    assert re.search(expected, " ".join(re.sub("[│┃]", " ", done.stdout).split())), done.stdout
    assert block("route") in (tmp_path / "gateway.yaml").read_text()
