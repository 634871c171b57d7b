"""How many CPUs this process may use: what it is pinned to, and what its container grants."""

import math
import os
from pathlib import Path
from typing import Final

WORKERS_MOST: Final = 256
"""More workers than this are a mistake."""
_GROUPS: Final = Path("/sys/fs/cgroup")
_MEMBERSHIP: Final = Path("/proc/self/cgroup")


def usable() -> int:
    """Return the number of CPUs, a part of one counting as one."""
    pinned = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(pinned, quota(_GROUPS, _MEMBERSHIP))))


def quota(groups: Path, membership: Path) -> float:
    """Return the CPUs that the control groups of this process grant (cgroups v2); infinity where nothing limits."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return math.inf
    # The one line of version 2 is "0::PATH" (cgroups(7)). A path that leads out of the namespace is ours no more.
    path = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    group = groups if ".." in Path(path).parts else groups / path
    # Each group is bound by those above it.
    return min(_granted(one) for one in (group, *group.parents) if one.is_relative_to(groups))


def _granted(group: Path) -> float:
    try:
        microseconds, period = (group / "cpu.max").read_text().split()
        return math.inf if microseconds == "max" else int(microseconds) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        # The topmost group has no such file, nor has a group without this controller.
        return math.inf
