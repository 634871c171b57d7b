"""The floors of ARCHITECTURE.md are the contracts that import-linter checks, and they hold."""

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.gateways import ROOT

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def test_every_module_keeps_its_floor() -> None:
    """No module imports from a floor above its own, a neighbour, or what its floor may not know."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout


def test_every_part_has_a_floor() -> None:
    """The contract of the floors is exhaustive, and names each part of the package."""
    (floors,) = (contract for contract in CONTRACTS if contract["id"] == "floors")
    assert floors["exhaustive"] is True
    named = {part.strip() for layer in floors["layers"] for part in layer.strip("()").split("|")}
    parts = {
        path.stem for path in (ROOT / "gateway").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert parts - {"__init__"} == named


def test_deciders_may_not_wait_or_ask_the_clock() -> None:
    """Sockets, clocks and event loops are forbidden to all floors that decide."""
    (pure,) = (contract for contract in CONTRACTS if contract["id"] == "pure")
    assert {"asyncio", "time", "socket", "aiohttp"} <= set(pure["forbidden_modules"])
    deciders = {"decision", "authentication", "relay", "scope", "guard", "routing", "authn", "wire"}
    assert {f"gateway.{name}" for name in deciders} <= set(pure["source_modules"])


def test_only_the_clients_side_knows_aiohttp() -> None:
    """Upstream traffic is carried by connections of our own, whoever asks for it."""
    (edge,) = (contract for contract in CONTRACTS if contract["id"] == "edge")
    assert edge["forbidden_modules"] == ["aiohttp"]
    others = {
        "flow",
        "decision",
        "authentication",
        "relay",
        "carrying",
        "upstream",
        "tokens",
        "config",
        "ops",
        "stores",
    }
    assert {f"gateway.{name}" for name in others} <= set(edge["source_modules"])
