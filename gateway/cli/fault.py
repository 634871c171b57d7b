"""How a command ends that cannot do what it was asked: one line that says why, and an exit code."""

import os
from typing import NoReturn

import typer

from gateway.server.unfit import UnfitParserError
from gateway.stores import StoreUnavailable
from gateway.vocab.address import Address


def fail(text: str, code: int = 1) -> NoReturn:
    """Print the line and leave."""
    tell(text)
    raise typer.Exit(code)


def tell(text: str) -> None:
    """Print a line to standard error, red on a terminal."""
    # no-color.org: any text in this variable.
    typer.secho(text, fg="red", err=True, color=False if os.environ.get("NO_COLOR") else None)


START_FAULTS = (StoreUnavailable, UnfitParserError, OSError)
"""What keeps a gateway from starting."""


def cannot_start(error: StoreUnavailable | UnfitParserError | OSError, listen: Address, admin: Address) -> str:
    """Say why a gateway does not start."""
    if isinstance(error, UnfitParserError):
        return str(error)
    if isinstance(error, StoreUnavailable):
        return f"the store cannot be used: {error}"
    reason = error.strerror or error
    if error.filename is not None:
        return f"cannot use {error.filename}: {reason}"
    return f"cannot listen on {listen} and {admin}: {reason}; --listen and --admin take other addresses"
