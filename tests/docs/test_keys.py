"""The page on rotating keys really runs: its commands print what it says, with the time passing that it says."""

import os
import re
import subprocess
from pathlib import Path

from gateway.authn.rotation import PUBLISHED
from tests.cli.test_keys import aged
from tests.docs.test_readme import GATEWAY, pattern
from tests.gateways import MOLTIN, ROOT, environment

PAGE = (ROOT / "docs" / "keys.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"<!-- tour(?:: (.*?))? -->\n```sh\n(.*?)```\n```text\n(.*?)```", re.DOTALL)
LATER = {"ten minutes later": PUBLISHED, "a day later": 86_400 + 360, "": 0}


def test_the_page_prints_what_it_says(tmp_path: Path) -> None:
    """Each block, in a folder with the routing file that the page shows, prints the text below it."""
    (tmp_path / "moltin.yaml").write_text(MOLTIN.read_text())
    (tmp_path / "gateway.yaml").write_text(PAGE.partition("```yaml\n")[2].partition("```")[0])
    environ = environment(tmp_path, "http://127.0.0.1:9")
    del environ["GATEWAY_SIGNING_KEY_FILE"]
    environ["PATH"] = f"{Path(GATEWAY).parent}:{os.environ['PATH']}"
    blocks = BLOCK.findall(PAGE)
    assert len(blocks) == 5
    for later, commands, expected in blocks:
        if LATER[later]:
            aged(tmp_path / "keys", LATER[later])
        done = subprocess.run(
            ["/bin/sh", "-eu"], input=commands, capture_output=True, text=True, cwd=tmp_path, env=environ, check=False
        )
        assert done.returncode == 0, done.stderr
        assert pattern(expected).fullmatch(done.stdout.strip()), done.stdout
        assert ("too early" in done.stdout) == ("wait until" in done.stderr)


def test_its_numbers_are_those_of_the_code() -> None:
    """Ten minutes and what they are made of, where the page and the help say so."""
    assert PUBLISHED == 600
    assert "ten minutes after it was made" in PAGE
    shown = subprocess.run([GATEWAY, "keys", "rotate", "--help"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    assert "ten minutes after it was made" in " ".join(shown.split())
