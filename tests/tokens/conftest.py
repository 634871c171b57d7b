"""Fixtures of the token tests: the upstream's hands without a gateway, and a store of their own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.carrying.call import Timeouts
from gateway.carrying.outbox import Outbox
from gateway.carrying.pool import ConnectionPool
from gateway.stores import CredentialStore, open_store, upgrade
from gateway.tokens.passwords import PasswordHasher
from gateway.upstream.backend import Backend
from gateway.upstream.credential import BearerCredential
from gateway.upstream.grant import ClientCredentials
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
    pool = ConnectionPool(upstream.url, Timeouts(), 10, Outbox(asyncio.get_running_loop()))
    obtain = ClientCredentials(
        pool, "/oauth/access_token", "canary-upstream-id", SecretStr(UPSTREAM_SECRET), None, 60.0, now
    )
    credential = BearerCredential(obtain, ignore, now)
    yield Backend(pool, credential, clock)
    await credential.close()
    await pool.close()


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
