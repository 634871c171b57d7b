"""Fixtures for the command as a process: its environment, in front of the recording upstream of the test process."""

from pathlib import Path

import pytest

from tests.fakes.commerce import Commerce
from tests.gateways import environment


@pytest.fixture
def environ(upstream: Commerce, tmp_path: Path) -> dict[str, str]:
    """Give the environment of config/moltin.yaml in front of the upstream, with a folder for temporary files."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    return environment(tmp_path, upstream.url, TMPDIR=str(temporary))
