"""Reads the routing file that a command is given, or ends the command with every fault of it."""

import os
from collections.abc import Mapping
from pathlib import Path

from gateway.cli.fault import fail
from gateway.config.faults import ConfigError
from gateway.config.files import Files
from gateway.config.load import Loaded, load, load_all
from gateway.config.model import Config


def read_all(path: Path, files: Files) -> Loaded:
    """Return the checked configuration with what lies beside it; `files` knows afterwards what it was made of."""
    try:
        return load_all(path, os.environ, files)
    except ConfigError as error:
        fail(str(error))


def read(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Return the checked configuration; `environ` stands in for the environment."""
    try:
        return load(path, environ)
    except ConfigError as error:
        fail(str(error))
