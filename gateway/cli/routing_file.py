"""Reads the routing file that a command is given, or ends the command with every fault of it."""

from collections.abc import Mapping
from pathlib import Path

from gateway.cli.fault import fail
from gateway.config.faults import ConfigError
from gateway.config.load import load
from gateway.config.model import Config


def read(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Return the checked configuration; `environ` stands in for the environment."""
    try:
        return load(path, environ)
    except ConfigError as error:
        fail(str(error))
