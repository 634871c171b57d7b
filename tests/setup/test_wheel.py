"""The wheel alone, as somebody installs it who has no checkout: with the packages of the runtime lock only."""

import re
import signal
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from requirements.install import SOURCES
from tests.gateways import ROOT, environment
from tests.setup.checkout import PATIENCE, kept_wheels

PIP = (sys.executable, "-I", "-m", "pip", "--disable-pip-version-check")


def run(*command: str | Path, folder: Path, environ: dict[str, str] | None = None) -> str:
    """Run a command in a folder, and return what it printed."""
    done = subprocess.run(  # noqa: S603 - commands of this file
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def gateway(tmp_path: Path) -> Path:
    """Build the wheel and install it into an empty environment, without a registry; give the command that it brings."""
    empty = tmp_path / "empty"
    venv.EnvBuilder(symlinks=True).create(empty)
    build = ("wheel", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(tmp_path))
    run(*PIP, *build, str(ROOT), folder=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    into = (*PIP, "--python", str(empty / "bin/python"), "install", "--no-compile", "--no-index", "--no-deps")
    locked = ("--require-hashes", "--find-links", str(kept_wheels()), "-r", str(ROOT / "requirements/runtime.txt"))
    run(*into, *locked, folder=tmp_path)
    run(*into, str(wheel), folder=tmp_path)
    run(*PIP, "--python", str(empty / "bin/python"), "check", folder=tmp_path)
    return empty / "bin/gateway"


def test_wheel_needs_no_checkout(gateway: Path, tmp_path: Path) -> None:
    """From a folder with nothing in it, `gateway check` proves the shipped file, and `gateway demo` runs and stops."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (shipped,) = gateway.parent.parent.glob("lib/*/site-packages/gateway/config/files/moltin.yaml")
    environ = environment(tmp_path, "http://127.0.0.1:1")
    assert "isolated" in run(gateway, "check", "--config", shipped, folder=elsewhere, environ=environ)

    command = [str(gateway), "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    with subprocess.Popen(command, cwd=elsewhere, env={}, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout
        assert any(re.match(r"gateway on http://127\.0\.0\.1:\d+", line) for line in process.stdout)
        assert any("Stop with Ctrl-C" in line for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert list(elsewhere.iterdir()) == []


def test_only_what_is_named_is_built_from_source() -> None:
    """Each package of the development lock came as a wheel, but for those that the set-up names."""
    kept = [path.name for path in kept_wheels().iterdir()]
    assert {name.partition("-")[0] for name in kept if not name.endswith(".whl")} <= SOURCES
