"""A checkout of a small project with our Makefile and set-up, and `make` run in it as a person runs it."""

import os
import runpy
import shutil
import signal
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

from requirements.install import WHEELS, read_lock
from tests.gateways import ROOT

# Generous for a busy machine; each wait ends as soon as its state is reached.
PATIENCE = 120.0

_PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "small"
version = "1"
dependencies = ["idna"]

[project.scripts]
gateway = "gateway:main"

[tool.hatch.build]
dev-mode-dirs = ["."]

[tool.hatch.build.targets.wheel]
include = ["gateway.py"]
"""
_GATEWAY = """
import sys
import idna

def main():
    print("the gateway runs:", *sys.argv[1:])
"""


class Ended(NamedTuple):
    """What a command left behind."""

    code: int
    out: list[str]
    err: list[str]

    @property
    def fault(self) -> str:
        """The one line that says what went wrong, without the lines of make about its recipes."""
        (line,) = (line for line in self.err if not line.startswith(("make: ***", "make[1]: ***")))
        return line


class Checkout:
    """The folder, the environment of the person, and what `make` does there."""

    def __init__(self, root: Path, home: Path, registry: str) -> None:
        self.root = root
        self.environ = {
            "HOME": str(home),
            "PATH": f"{sys.base_prefix}/bin:/usr/bin:/bin",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": registry,
        }

    def make(self, *words: str) -> Ended:
        """Run make to its end."""
        return ended(self.start(*words))

    def start(self, *words: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Run make, as a shell runs it: as a group of its own, which Ctrl-C goes to."""
        return subprocess.Popen(  # noqa: S603 - our own Makefile
            [*prefix, shutil.which("make") or "make", *words],
            cwd=self.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def lock(self, name: str, *packages: str) -> None:
        """Write a lock of some packages, each as our own development lock has it."""
        pinned = read_lock((ROOT / "requirements/dev.txt").read_text(encoding="utf-8"))
        text = "".join(each.text for each in pinned if each.name in packages)
        (self.root / f"requirements/{name}.txt").write_text(text, encoding="utf-8")

    def stamp(self) -> None:
        """Make a .venv without anything in it that is marked as finished, which takes no time."""
        venv.EnvBuilder(symlinks=True).create(self.root / ".venv")
        stamps = runpy.run_path(str(self.root / "requirements/install.py"))["Stamps"]()
        stamps.write(["python", "runtime", "development", "project"])

    def installed(self) -> set[str]:
        """Return the packages in .venv that the locks may name."""
        found = (self.root / ".venv").glob("lib/*/site-packages/*.dist-info")
        return {path.name.partition("-")[0] for path in found} - {"pip", "setuptools"}

    def interpreter(self, name: str, text: str) -> None:
        """Put a command in front of all others on the PATH."""
        folder = Path(self.environ["HOME"]) / "bin"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
        self.environ["PATH"] = f"{folder}:{self.environ['PATH'].removeprefix(f'{folder}:')}"


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait until a command ends, and return what it said."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return Ended(process.returncode, out.splitlines(), err.splitlines())


def kept_wheels() -> Path:
    """Return the folder of the wheels that the running .venv was made from."""
    assert WHEELS.is_dir(), "the wheels that .venv was made from are not there: run `make setup`"
    return WHEELS


def write(root: Path) -> None:
    """Write the small project."""
    (root / "requirements").mkdir(parents=True)
    for name in ("Makefile", "requirements/install.py", "requirements/build.txt"):
        shutil.copyfile(ROOT / name, root / name)
    (root / "pyproject.toml").write_text(_PROJECT, encoding="utf-8")
    (root / "gateway.py").write_text(_GATEWAY, encoding="utf-8")
