"""docs/changing.md: its commands are run as they stand, and print what it says."""

import os
import re
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from gateway.config.change import AT_START
from tests.docs.test_readme import FILE, GATEWAY, README, pattern
from tests.gateways import ROOT

PAGE = (ROOT / "docs" / "changing.md").read_text(encoding="utf-8")
BLOCKS = re.compile(r"<!-- changing -->\n```sh\n(.*?)```\n```text\n(.*?)```", re.DOTALL)
MARK = "--- next block ---"


def free(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def test_the_commands_print_what_it_says(tmp_path: Path) -> None:
    """In one shell, in a folder with the routing file of the README."""
    found = FILE.search(README)
    assert found is not None
    (tmp_path / "gateway.yaml").write_text(found[1])
    subprocess.run([GATEWAY, "keys", "new", "--out", "signing.jwk"], cwd=tmp_path, check=True, capture_output=True)  # noqa: S603
    blocks = BLOCKS.findall(PAGE)
    assert len(blocks) == 5
    script = f"\necho; echo '{MARK}'\n".join(commands for commands, _ in blocks)
    for port, other in zip((8080, 9901), free(2), strict=True):
        script = script.replace(f":{port}", f":{other}")
    environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "UPSTREAM_CLIENT_SECRET": "secret"}
    done = subprocess.run(
        ["/bin/sh", "-eu"],
        input=script,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environ,
        check=False,
        timeout=100,
    )
    log = (tmp_path / "gateway.log").read_text()
    assert (done.returncode, done.stderr) == (0, ""), f"{done.stdout}\n{done.stderr}\n{log}"
    for (_, expected), printed in zip(blocks, done.stdout.split(MARK), strict=True):
        assert pattern(expected).fullmatch(printed.strip()), printed


def test_what_needs_a_restart_is_named() -> None:
    """The page names what the code does."""
    named = re.findall(r"`([a-z_.]+)`", PAGE.partition("**What needs a restart**: ")[2].partition(". The log")[0])
    assert sorted(named) == sorted(name.rstrip(".") for name in AT_START)
