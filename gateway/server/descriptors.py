"""How many connections of clients the limit of descriptors allows, so that it is never met.

Where it is met, uvloop lets clients go without a word to anybody, and no upstream, store or probe gets a socket either.
"""

import errno
import os
import resource
from collections.abc import Callable
from typing import Final, NamedTuple

from gateway.vocab.events import Emit, Failed

# Admin connections, the store's files and their logs, the files of metrics, name look-ups, and what is closed late.
_KEPT_BACK: Final = 96
# Fewer clients than this at once are soon met by a shop.
_SMALL: Final = 512
# With less there is no gateway.
_LEAST: Final = 16
_OPEN: Final = "/proc/self/fd"
# What has none goes on having none for a while; one event in so many seconds says so.
_TOLD_EVERY: Final = 1.0
_EXHAUSTED: Final = {errno.EMFILE: "the process (EMFILE)", errno.ENFILE: "the machine (ENFILE)"}


class Share(NamedTuple):
    """What clients and the upstream may have of a process's descriptors; `clients` is None where nothing limits."""

    clients: int | None
    upstream: int
    note: str = ""


def share(upstream: int, *, limit: int | None = None) -> Share:
    """Divide the descriptors of this process: `upstream` connections are wanted, and get half of them at the most.

    `limit` is how many there are, by default the soft limit of the process (getrlimit(2)).
    """
    if limit is None:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit in {resource.RLIM_INFINITY, -1}:
        return Share(None, upstream)
    left = max(_LEAST, limit - _in_use() - _KEPT_BACK)
    ours = min(upstream, left // 2)
    clients = left - ours
    note = ""
    if ours < upstream or clients < _SMALL:
        note = (
            f"{limit} descriptors (ulimit -n) are enough for {clients} connections of clients and {ours} to the"
            " upstream, in each worker"
        )
    return Share(clients, ours, note)


def _in_use() -> int:
    try:
        return len(os.listdir(_OPEN))  # noqa: PTH208 - the numbers alone
    except OSError:
        # Not on every system. Standard streams, the loop's own, and what listens.
        return 16


class Exhaustion:
    """Tells of errors that say that there is no descriptor left. Call it with any error."""

    def __init__(self, emit: Emit, clock: Callable[[], float]) -> None:
        self._emit = emit
        self._clock = clock
        self._told_at = -_TOLD_EVERY

    def __call__(self, error: Exception) -> None:
        """Take an error."""
        whose = _EXHAUSTED.get(error.errno or 0) if isinstance(error, OSError) else None
        if whose is not None and self._clock() - self._told_at >= _TOLD_EVERY:
            self._told_at = self._clock()
            self._emit(Failed("", "descriptors", f"none is left to {whose}: no connection to the upstream"))
