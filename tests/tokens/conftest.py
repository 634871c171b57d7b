"""Fixtures of the token tests: the upstream's hands without a gateway, and a store of their own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.stores import CredentialStore, open_store, upgrade
from gateway.tokens.passwords import PasswordHasher
from gateway.upstream.backend import Backend
from gateway.upstream.client import Timeouts, UpstreamClient
from gateway.upstream.credential import ServerCredential, client_credentials
from gateway.vocab.events import Event
from gateway.wiring import clock, now
from tests.fakes.commerce import Commerce
from tests.gateways import UPSTREAM_SECRET


def ignore(event: Event) -> None:
    """Take an event nobody asks for."""
    del event


@pytest.fixture
async def backend(upstream: Commerce) -> AsyncIterator[Backend]:
    """Give the hands that reach the recording upstream."""
    async with UpstreamClient(upstream.url, Timeouts(), 10) as client:
        obtain = client_credentials(client, "/oauth/access_token", "canary-upstream-id", SecretStr(UPSTREAM_SECRET))
        credential = ServerCredential(obtain, ignore, now)
        yield Backend(client, credential, clock)
        await credential.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CredentialStore]:
    """Give an open store on an empty database."""
    url = f"sqlite:///{tmp_path}/tokens.db"
    upgrade(url)
    opened = open_store(url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def hasher() -> AsyncIterator[PasswordHasher]:
    """Give a hasher of next to no cost."""
    made = PasswordHasher(workers=2, queue_limit=50, memory_kib=64, time_cost=1, parallelism=1, emit=ignore)
    yield made
    made.close()
