"""Calls are carried on both loops, and plain as well as through TLS."""

import pytest

from tests.carrying.certificates import Authority
from tests.carrying.connected import WIRE
from tests.loops import Loops, both_for


def pytest_asyncio_loop_factories(item: pytest.Item) -> Loops:
    """Give what makes the loops."""
    return both_for(
        item,
        "test_connection.py",
        "test_fetch.py",
        "test_golden.py",
        "test_outbox.py",
        "test_pool.py",
        "test_tls.py",
        "test_uploads.py",
    )


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Give an authority of our own."""
    return Authority.new(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Give the same, trusted by this process as an operator would have it (the environment is OpenSSL's)."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


@pytest.fixture(params=["plain", "TLS"])
def wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the servers of a test reached plain, and through TLS."""
    if request.param == "TLS":
        authority: Authority = request.getfixturevalue("trusted")
        monkeypatch.setattr(WIRE, "tls", authority.context("127.0.0.1", "localhost"))
