"""The README's way to a backend of one's own is what a newcomer types: it runs, and prints what it says."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.backends.apis import APIS, MODULES
from tests.docs.test_readme import GATEWAY, README, pattern
from tests.gateways import ROOT
from tests.postgres import free_port

pytest.importorskip("gateway.config.credential")
if reason := APIS[0].obstacle():
    pytest.skip(reason, allow_module_level=True)

BLOCK = r"<!-- own backend: {} -->\n```sh\n(.*?)```(?:\n```text\n(.*?)```)?"
NPX = "npx json-server@0.17.4"


def block(name: str) -> tuple[str, str]:
    """Return the commands of a block, and what they print."""
    found = re.search(BLOCK.format(name), README, re.DOTALL)
    assert found is not None, name
    return found[1], found[2] or ""


def test_a_backend_of_ones_own(tmp_path: Path) -> None:
    """Block after block, with free ports and the packages that are here."""
    api, public, admin = free_port(), free_port(), free_port()
    names = {
        "127.0.0.1:3000": f"127.0.0.1:{api}",
        "--port 3000": f"--port {api}",
        "127.0.0.1:8080": f"127.0.0.1:{public}",
        NPX: f"exec node {shlex.quote(str(MODULES / 'json-server' / 'lib' / 'cli' / 'bin.js'))}",
        "gateway serve": f"gateway serve --workers 1 --listen 127.0.0.1:{public} --admin 127.0.0.1:{admin}",
        ".venv/bin/gateway serve": "exec .venv/bin/gateway serve",
        ".venv/bin/gateway": shlex.quote(GATEWAY),
        "config/examples": shlex.quote(str(ROOT / "config" / "examples")),
    }

    def spelled(text: str) -> str:
        for there, here in names.items():
            text = text.replace(there, here)
        return text

    environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    assert NPX in block("the API")[0]

    @contextmanager
    def started(name: str, is_there: str) -> Iterator[None]:
        command = ["/bin/sh", "-euc", spelled(block(name)[0])]
        with subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
            try:
                assert process.stdout is not None
                assert any(is_there in line for line in process.stdout), name
                yield
            finally:
                process.terminate()

    with started("the API", "Home"), started("the gateway", '"state":"started"'):
        for name in ("the shop", "the proof"):
            commands, expected = block(name)
            done = subprocess.run(
                ["/bin/sh", "-eu"],
                input=spelled(commands),
                capture_output=True,
                text=True,
                cwd=tmp_path,
                env={**environ, **_exported(spelled(block("the gateway")[0]), tmp_path)},
                check=True,
            )
            assert pattern(expected).fullmatch(done.stdout.strip()), done.stdout


def _exported(commands: str, folder: Path) -> dict[str, str]:
    """Return the variables that a block exports; a newcomer's other terminals have them from there."""
    words = shlex.split(commands.splitlines()[0].replace("$PWD", str(folder)))[1:]
    return dict(word.split("=", 1) for word in words)
