"""The README's tour really runs: its lines are executed against the demonstration and print what it says."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.gateways import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
TOUR = re.compile(r"<!-- tour -->\n```sh\n(.*?)```\n```text\n(.*?)```", re.DOTALL)
GATEWAY = f"{os.path.dirname(sys.executable)}/gateway"  # noqa: PTH120 - beside the interpreter, not where its link leads


@pytest.fixture
def demo() -> Iterator[str]:
    """Run the demonstration on free ports; give its public address."""
    command = [GATEWAY, "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        address = ""
        for line in process.stdout:
            found = re.search(r"gateway on http://(\S+),", line)
            address = found[1] if found else address
            if "Stop with Ctrl-C" in line:
                break
        yield address
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def pattern(expected: str) -> re.Pattern[str]:
    """Return what the output must match: the text, with `...` standing for anything."""
    return re.compile(".*".join(re.escape(part) for part in expected.strip().split("...")), re.DOTALL)


def test_tour_prints_what_it_says(demo: str) -> None:
    """Each block of the tour, run in one shell against the demonstration, prints the text below it."""
    blocks = TOUR.findall(README)
    assert len(blocks) == 4
    mark = "--- next block ---"
    script = f"\necho; echo '{mark}'\n".join(commands.replace("127.0.0.1:8080", demo) for commands, _ in blocks)
    script = script.replace(".venv/bin/gateway", GATEWAY)
    done = subprocess.run(["/bin/sh", "-eu"], input=script, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stderr == ""
    for (_, expected), printed in zip(blocks, done.stdout.split(mark), strict=True):
        # curl prints no line end after a body.
        assert pattern(expected.replace("}\n{", "}{")).fullmatch(printed.strip()), printed


def test_every_make_target_it_names_exists() -> None:
    """The README promises no target that the Makefile does not have."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`?make ([a-z]+(?:-[a-z]+)*)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_link_leads_somewhere() -> None:
    """Relative links of the README lead to files."""
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
