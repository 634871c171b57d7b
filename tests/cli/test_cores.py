"""How many CPUs there are for us: pinning, and the quota of a container."""

import math
import os
from pathlib import Path

import pytest

from gateway.cli.cores import quota, usable


def test_a_process_may_use_what_it_is_pinned_to() -> None:
    """It is at least one, and no more than this process may run on."""
    assert 1 <= usable() <= len(os.sched_getaffinity(0))


QUOTAS: list[tuple[str, dict[str, str], float]] = [
    ("0::/\n", {"": "150000 100000\n"}, 1.5),
    ("0::/\n", {"": "max 100000\n"}, math.inf),
    ("0::/\n", {}, math.inf),
    ("0::/a/b\n", {"a": "50000 100000", "a/b": "max 100000"}, 0.5),
    ("0::/a/b\n", {"a": "400000 100000", "a/b": "200000 100000"}, 2.0),
    ("12:cpu:/a\n0::/\n", {"": "300000 100000"}, 3.0),
    ("12:cpu:/a\n", {"a": "50000 100000"}, math.inf),
    ("0::/../../b\n", {"": "100000 100000", "b": "50000 100000"}, 1.0),
    ("0::/\n", {"": "nonsense"}, math.inf),
    ("0::/\n", {"": "1 0"}, math.inf),
]


@pytest.mark.parametrize(("membership", "groups", "cpus"), QUOTAS)
def test_the_tightest_group_counts(tmp_path: Path, membership: str, groups: dict[str, str], cpus: float) -> None:
    """The quota is that of the own group or of one above it, and what cannot be read limits nothing."""
    (tmp_path / "membership").write_text(membership)
    root = tmp_path / "groups"
    for path, text in groups.items():
        (root / path).mkdir(parents=True, exist_ok=True)
        (root / path / "cpu.max").write_text(text)
    assert quota(root, tmp_path / "membership") == cpus


def test_without_control_groups_nothing_limits(tmp_path: Path) -> None:
    """Where there are none, the pinning alone counts."""
    assert quota(tmp_path, tmp_path / "missing") == math.inf
