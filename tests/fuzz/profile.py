"""A plugin of pytest for `make fuzz`: as many examples of each property as the command line says."""

import pytest
from hypothesis import HealthCheck, settings


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--fuzz-examples", type=int, default=100, help="examples of each property")


def pytest_configure(config: pytest.Config) -> None:
    """Load a profile with that many examples and without a time limit for one."""
    settings.register_profile(
        "fuzz",
        max_examples=config.getoption("--fuzz-examples"),
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=True,
    )
    settings.load_profile("fuzz")
