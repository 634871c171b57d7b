"""What the tests of the set-up share: a registry on loopback, and a checkout that asks it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.setup.checkout import Checkout, kept_wheels, write
from tests.setup.registry import Registry, serve


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Give a registry that has the packages of our locks."""
    with serve(served := Registry(kept_wheels())):
        yield served


@pytest.fixture
def checkout(registry: Registry, tmp_path: Path) -> Checkout:
    """Give a checkout that nothing was done in yet, in a folder with a space, with locks of one and two packages."""
    root, home = tmp_path / "my shop" / "gateway", tmp_path / "home"
    home.mkdir()
    write(root)
    made = Checkout(root, home, registry.url)
    made.lock("runtime", "idna")
    made.lock("dev", "idna", "iniconfig")
    made.lock("bench")
    made.lock("fuzz")
    made.lock("peers")
    return made
