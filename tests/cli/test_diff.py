"""`gateway diff`: what another routing file would change."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tests.gateways import MOLTIN
from tests.process.processes import extended

Run = Callable[..., Result]
CHANGED = "cors: {max_age: 5m}\nserver: {drain: 3s}\n"


def test_nothing_differs(run: Run) -> None:
    """The sums alone, exit 0 also where any difference would be a failure."""
    result = run("diff", MOLTIN, MOLTIN, "--fail")
    assert (result.exit_code, result.stdout) == (0, "177 unchanged, 0 differ, 0 new, 0 gone; 0 settings\n")


@pytest.mark.parametrize(("option", "code"), [((), 0), (("--fail",), 1)])
def test_each_difference_is_a_line(run: Run, tmp_path: Path, option: tuple[str, ...], code: int) -> None:
    """What needs a restart is named beside; --fail is for scripts."""
    result = run("diff", MOLTIN, extended(tmp_path, CHANGED), *option)
    assert result.exit_code == code
    assert result.stdout.splitlines() == [
        "177 unchanged, 0 differ, 0 new, 0 gone; 2 settings",
        'setting: cors.max_age: "10m" -> "5m"',
        'setting: server.drain: "30s" -> "3s"',
        "needs a restart: server.drain",
    ]


def test_as_json(run: Run, tmp_path: Path) -> None:
    """The same for programs."""
    found = json.loads(run("diff", MOLTIN, extended(tmp_path, CHANGED), "--json").stdout)
    assert found == {
        "unchanged": 177,
        "differences": [],
        "settings": ['cors.max_age: "10m" -> "5m"', 'server.drain: "30s" -> "3s"'],
        "restart": ["server.drain"],
    }


def test_a_faulty_file_is_refused_with_every_fault(run: Run, tmp_path: Path) -> None:
    """As `check` does."""
    result = run("diff", MOLTIN, extended(tmp_path, "cors: {origin: []}\nserver: {keepalive: soon}\n"))
    assert result.exit_code == 1
    assert [line.partition("gateway.yaml:")[2].partition(": ")[0] for line in result.stderr.splitlines()] == [
        "2:8",
        "3:21",
    ]
