"""Standard input, output and error: there when somebody closed them, and never waited for.

It is imported before anything else, so it imports next to nothing.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from gateway.ops.outlet import Outlet

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_missing() -> None:
    """Give the null device the place of a standard stream that is closed.

    Else the next file or socket would have its number, and be written to by whoever means the stream (CERT POS54-C).
    """
    for number, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, which is this one: those below are open by now.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - it stays


@contextmanager
def unblocked() -> Iterator["Outlet"]:
    """Have nobody wait for whoever reads standard output, which is given, or standard error."""
    from gateway.ops.outlet import Outlet  # noqa: PLC0415 - not needed by most commands

    out, err, before = Outlet(1), Outlet(2), sys.stderr
    sys.stderr = cast("Any", err)
    try:
        yield out
    finally:
        sys.stderr = before
        err.close()
        out.close()
