"""The page on forgotten passwords really runs: its lines are executed against the demonstration."""

import subprocess

from gateway.config.load import load
from tests.docs.test_readme import TOUR, demo, pattern
from tests.gateways import ROOT

__all__ = ["demo"]
PAGE = (ROOT / "docs" / "passwords.md").read_text(encoding="utf-8")


def test_the_page_prints_what_it_says(demo: str) -> None:
    """Each block, run in one shell against the demonstration, prints the text below it."""
    blocks = TOUR.findall(PAGE)
    assert len(blocks) == 2
    mark = "--- next block ---"
    script = f"\necho '{mark}'\n".join(commands.replace("127.0.0.1:8080", demo) for commands, _ in blocks)
    done = subprocess.run(["/bin/sh", "-eu"], input=script, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stderr == ""
    for (_, expected), printed in zip(blocks, done.stdout.split(mark), strict=True):
        assert pattern(expected).fullmatch(printed.strip()), printed


def test_the_files_are_as_open_as_the_page_says() -> None:
    """The production file, and the demonstration laid over it, ask for the token alone, and tell of the risk."""
    assert load(ROOT / "config" / "demo.yaml", {}).customers.change_requires == "token"
    for name in ("moltin.yaml", "demo.yaml"):
        text = " ".join((ROOT / "config" / name).read_text(encoding="utf-8").replace("#", " ").split())
        assert "change_requires: token" in text
        assert "steals a token" in text or "so can a stolen token" in text
