"""Three replicas for the storm: processes that share a PostgreSQL database and a folder of keys, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import argon2

from gateway.authn.key import Algorithm, generate
from gateway.authn.rotation import stamped
from gateway.config.key_folder import write_file
from gateway.config.load import load
from gateway.config.model import Config
from gateway.demo.data import DEMO_PASSWORDS, PEOPLE
from gateway.stores import open_store, upgrade
from tests.canary_sweep import SWEEP, private_parts
from tests.gateways import environment
from tests.process.processes import Served, extended, serving
from tests.storm.walk import Walk
from tests.storm.weather import CONFIG, Replica, Target, bearer

# Walks try wrong passwords all the time, and passwords shall cost next to nothing.
SHARED = f"""\
{CONFIG}tokens: {{keys: keys}}
customers:
  hashing: {{memory: 64KiB, passes: 1}}
  throttle:
    account: {{burst: 1000000, per_minute: 1000000}}
    address: {{burst: 1000000, per_minute: 1000000}}
    password_changes: {{burst: 1000000, per_minute: 1000000}}
"""
# Of a process: its pool, and the one that listens.
_STORE_SOCKETS = 5


@asynccontextmanager
async def replicated(
    folder: Path, upstream: str, database: str, number: int
) -> AsyncIterator[tuple[Target, Config, list[Served]]]:
    """Run so many replicas before the upstream on an empty database; the demo customers have their passwords."""
    keys = folder / "keys"
    keys.mkdir()
    text = stamped(generate(Algorithm.EDDSA), 1, [])
    for part in private_parts(text):
        SWEEP.name("private part of the signing key", part)
    write_file(keys / "first.jwk", text)
    environ = environment(folder, upstream, GATEWAY_STORE_URL=database)
    file = extended(folder, SHARED)
    config = load(file, environ)
    await _give_passwords(config)
    async with AsyncExitStack() as stack:
        starting = [serving(environ, config=file, wait=False) for _ in range(number)]
        served = [await stack.enter_async_context(one) for one in starting]
        await asyncio.gather(*(one.started() for one in served))
        urls = [f"http://{one.public}" for one in served]
        walks = [Walk(one, DEMO_PASSWORDS[one.email], bearer(config), urls) for one in PEOPLE]
        yield Target([replica(one) for one in served], walks, _STORE_SOCKETS), config, served


async def _give_passwords(config: Config) -> None:
    await asyncio.to_thread(upgrade, config.store.url)
    store = open_store(config.store.url)
    await store.open()
    hasher = argon2.PasswordHasher(1, 64, 1)
    for person in PEOPLE:
        await store.set_password(person.id, hasher.hash(DEMO_PASSWORDS[person.email]))
    await store.close()


def replica(served: Served) -> Replica:
    """Return a process as the storm sees it."""
    host, _, port = served.public.rpartition(":")
    return Replica(host, int(port), served.pid, partial(_metrics, served))


def faults(served: Sequence[Served]) -> list[str]:
    """Return what processes say of faults of their own."""
    lines = [line for one in served for line in one.output if '"event":"failed"' in line]
    lines += [line for one in served for line in one.errors]
    return [f"the log tells of a fault: {line}" for line in lines]


async def _metrics(served: Served) -> str:
    return (await served.ask("/metrics")).body.decode()
