"""What a person sees on a terminal: Ctrl-C as the terminal sends it, also through make, and colours."""

import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.gateways import ROOT
from tests.process.processes import left_in
from tests.starting import PATIENCE, SCRIPT

# Makes the terminal on standard input its own, as a shell does for what it runs in the foreground.
OWNING = (
    "import fcntl, os, sys, termios\n"
    "os.setsid()\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execvp(sys.argv[1], sys.argv[1:])\n"
)
FREE = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")


class Terminal:
    """A terminal with a command in its foreground."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self.shown = ""
        self._master = master
        self._process = process

    def until(self, text: str) -> None:
        """Read until the text is shown."""
        while text not in self.shown:
            data = self._read()
            assert data, self.shown
            self.shown += data

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def end(self) -> int:
        """Read to the end of the command and return its exit code, or minus the signal that ended it."""
        while data := self._read():
            self.shown += data
        return self._process.wait(PATIENCE)

    def _read(self) -> str:
        # Linux answers EIO once the other side is closed.
        try:
            return os.read(self._master, 65536).decode()
        except OSError:
            return ""


@contextmanager
def terminal(*command: str, environ: Mapping[str, str], cwd: Path = ROOT) -> Iterator[Terminal]:
    """Run a command in a terminal of 100 columns."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 100))
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", OWNING, *command],
        env={"PATH": os.environ["PATH"], "TERM": "xterm", **environ},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=cwd,
    ) as process:
        os.close(slave)
        try:
            yield Terminal(master, process)
        finally:
            process.kill()
            os.close(master)


@pytest.fixture
def temporary(tmp_path: Path) -> str:
    """Give a folder for temporary files."""
    (tmp_path / "tmp").mkdir()
    return str(tmp_path / "tmp")


def test_ctrl_c_while_serving(temporary: str) -> None:
    """The lines to paste are the last thing shown, and after Ctrl-C there is one line more."""
    with terminal(SCRIPT, "demo", *FREE, environ={"TMPDIR": temporary}) as shown:
        shown.until("Stop with Ctrl-C.\r\n\r\n")
        before = shown.shown
        shown.type(b"\x03")
        assert shown.end() == 130
    assert shown.shown.removeprefix(before) == "^C\rstopped\r\n"
    assert left_in(temporary) == []


def test_ctrl_c_through_make(temporary: str, tmp_path: Path) -> None:
    """`make run`, stopped in the first moments of Python and while it serves: our line, make's line, no traceback."""
    # As from a shell: below `make test`, make would take itself for a part of it, and say which folder it leaves.
    words, environ = ["make", "-n", "run"], {"PATH": os.environ["PATH"]}
    planned = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)  # noqa: S603
    recipe = planned.stdout.splitlines()[-1]
    assert recipe.endswith(".venv/bin/gateway demo")
    command = recipe.replace(".venv/bin/gateway", SCRIPT) + " " + " ".join(FREE)
    (tmp_path / "Makefile").write_text(f"run:\n\t@echo going\n\t@{command}\n")
    # Not in the very moment in which make starts it: GNU make 4.3 takes a Ctrl-C then for itself alone, and waits for
    # what never heard of it until Ctrl-C is pressed again, whatever it has started.
    moments = [*(("going\r\n", number / 100) for number in range(1, 12)), ("Stop with Ctrl-C.\r\n\r\n", 0)]
    for mark, later in moments:
        with terminal("make", "run", cwd=tmp_path, environ={"TMPDIR": temporary}) as shown:
            shown.until(mark)
            # Wherever it is by then: the end is clean.
            time.sleep(later)
            before = shown.shown
            shown.type(b"\x03")
            code = shown.end()
        lines = re.sub("\r|\\^C", "", shown.shown.removeprefix(before)).splitlines()
        own = [line for line in lines if line and not line.startswith("make: ***")]
        assert (code in {2, 130, -signal.SIGINT}, own in ([], ["stopped"])) == (True, True), shown.shown
        assert own or mark == "going\r\n"
        assert left_in(temporary) == []


@pytest.mark.parametrize(("environ", "starts"), [({}, "\x1b[31m"), ({"NO_COLOR": "1"}, "nosuch.yaml:1:1: ")])
def test_a_fault_is_red(environ: dict[str, str], starts: str) -> None:
    """On a terminal what is wrong is red, unless colours are not wanted; it is one line, whatever the width."""
    with terminal(SCRIPT, "check", "nosuch.yaml", environ=environ) as shown:
        assert shown.end() == 1
    assert shown.shown.startswith(starts)
    assert len(re.sub(r"\x1b\[[0-9;]*m", "", shown.shown).splitlines()) == 1


def test_help_fits_the_terminal() -> None:
    """Help is no wider than is read with ease, and without colours."""
    with terminal(SCRIPT, "serve", "--help", environ={}) as shown:
        assert shown.end() == 0
    assert max(map(len, shown.shown.splitlines())) <= 80
    assert "\x1b" not in shown.shown
