"""A plugin of pytest: every gateway of `tests.gateways.site` is several replicas that share a PostgreSQL database.

`make attacks REPLICAS=3` attacks three, each attack the next of them. A test that looks at
what one process keeps for itself fails with it.
"""

from collections.abc import Iterator

import pytest

from tests.gateways import Replicas, several
from tests.postgres import Server


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--replicas", type=int, default=3, help="gateways of each site")


@pytest.fixture(scope="session", autouse=True)
def _several(request: pytest.FixtureRequest, server: Server) -> Iterator[None]:
    several.append(Replicas(request.config.getoption("--replicas"), server))
    yield
    several.clear()
