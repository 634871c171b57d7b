"""Fixtures for the commands: run in this process through typer, or as the installed command where that matters."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.app import app
from tests.gateways import environment

Run = Callable[..., Result]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Give the environment of config/moltin.yaml; nobody listens where its upstream should be."""
    return environment(tmp_path, "http://127.0.0.1:9")


@pytest.fixture
def run(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a function that runs a command with that environment and returns what it printed and how it ended."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    def run_command(*arguments: object, **unset: None) -> Result:
        for name in unset:
            monkeypatch.delenv(name)
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run_command
