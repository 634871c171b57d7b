"""The locks of the SDKs and API servers: exact, and of no registry in particular."""

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.mark.parametrize("folder", ["clients", "backends"])
def test_the_lock_names_no_registry(folder: str) -> None:
    """Every package is locked by version and hash, and where it is fetched from is npm's own setting."""
    packages = json.loads((FOLDER.parent / folder / "package-lock.json").read_text())["packages"]
    for name, package in packages.items():
        if name:
            assert "resolved" not in package, name
            assert package["version"], name
            assert package["integrity"].startswith("sha512-"), name


def test_both_generations_are_locked() -> None:
    """The SDK of 2018 and the last one are pinned to the versions that the recordings come from."""
    packages = json.loads((FOLDER / "package-lock.json").read_text())["packages"]
    assert {packages[f"node_modules/moltin-{name}"]["version"] for name in ("3", "36")} == {"3.15.3", "36.0.0"}
