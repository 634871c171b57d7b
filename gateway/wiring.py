"""Builds the whole gateway from a configuration: the only place that knows every concrete class."""

import asyncio
import hashlib
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, TextIO

import yaml
from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway.authn.keyring import KeyRing
from gateway.config.compile import key_ring, snapshot
from gateway.config.id_pattern import compile_id_pattern
from gateway.config.model import Config
from gateway.flow import Flow, Handler, PasswordKeeper
from gateway.ops.batch import Batch
from gateway.ops.log import EventLog
from gateway.ops.metrics import Metrics
from gateway.scope.filters import DIALECTS
from gateway.server.admin import make_admin
from gateway.server.connection import GatewayProtocol, GatewayServer
from gateway.server.edge import Edge
from gateway.server.express import ExpressProtocol
from gateway.server.token_api import Clients, TokenApi
from gateway.stores import CredentialStore, StoreUnavailable, open_store, upgrade
from gateway.tokens.directory import Directory
from gateway.tokens.keeper import Keeper
from gateway.tokens.login import Login, StoreVerifier, UpstreamVerifier, Verifier
from gateway.tokens.passwords import PasswordHasher
from gateway.tokens.registration import Registrar
from gateway.tokens.throttle import Throttle
from gateway.upstream.backend import Backend
from gateway.upstream.client import Timeouts, UpstreamClient
from gateway.upstream.connections import ConnectionPool
from gateway.upstream.credential import ServerCredential, client_credentials
from gateway.upstream.parents import Parents
from gateway.vocab.events import Emit, Lifecycle
from gateway.vocab.policy import Endpoint

# Accounts and addresses remembered by the throttle: a few MiB at the most.
_THROTTLE_KEYS = 50_000
# After the drain deadline nothing may hold up the exit.
_LAST_MOMENT = 1.0
# libyaml's where there is one: Python's takes 40 ms for a routing file, in which the loop does nothing else.
_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

now: Final[Callable[[], float]] = time.time  # noqa: TID251 - the one place where the clock comes from
clock: Final[Callable[[], float]] = time.monotonic


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(slots=True)
class Gateway:
    """A running gateway. `store` and `hasher` are None where the upstream keeps the passwords."""

    listen: Address
    admin: Address
    edge: Edge
    store: CredentialStore | None
    hasher: PasswordHasher | None
    emit: Batch
    _public_site: web.TCPSite
    _drain_deadline: float

    async def drain(self) -> None:
        """Take no new connections, let requests in flight finish, at most for the configured time."""
        self.edge.is_draining = True
        self.emit(Lifecycle("draining"))
        await self._public_site.stop()
        try:
            async with asyncio.timeout(self._drain_deadline):
                await self.edge.drained()
        except TimeoutError:
            self.emit(Lifecycle("drain deadline", "requests in flight were cut off"))


@asynccontextmanager
async def running(
    config: Config, listen: Address, admin: Address, *, log: TextIO | None = None, shared_ports: bool = False
) -> AsyncIterator[Gateway]:
    """Run a gateway: it listens when the context is entered and is gone when it is left.

    Raises StoreUnavailable when the store cannot be opened and OSError when a port cannot be had. `shared_ports` lets
    several processes listen on the same ports.
    """
    metrics = Metrics(CollectorRegistry(), now)
    event_log = EventLog(
        log or sys.stdout, _log_key(config), now, debug=config.log.details, on_lost=metrics.count_lost_line
    )

    emit = Batch(event_log, metrics, now)

    async with AsyncExitStack() as stack:
        stack.callback(emit.flush)
        timeouts = Timeouts(**dict(config.upstream.timeouts))
        client = await stack.enter_async_context(
            UpstreamClient(config.upstream.url, timeouts, config.upstream.connections)
        )
        options = config.upstream.credential
        credential = ServerCredential(
            client_credentials(client, options.path, options.client_id, options.client_secret), emit, now
        )
        stack.push_async_callback(credential.close)
        backend = Backend(client, credential, clock)
        ring = key_ring(config)
        compiled = snapshot(config, ring)
        store, hasher, keeper, verifier = await _passwords(config, backend, emit, stack)
        login = Login(verifier, _throttle(config), clock, emit)
        parents = Parents(backend, config.upstream.owner_memory, clock)
        stack.push_async_callback(parents.close)
        flow = Flow(backend, parents, keeper, _endpoints(config, login, ring), emit)
        edge = Edge(flow, lambda: compiled, emit, now, clock)

        async def ready() -> dict[str, bool]:
            return {
                "credential": credential.is_good,
                "store": store is None or await _is_usable(store),
                "not_draining": not edge.is_draining,
            }

        application = make_admin(ready, emit.render, lambda: dump(config))
        admin_runner = web.AppRunner(application, access_log=None, handle_signals=False)
        admin_site = await _listen(stack, admin_runner, admin, shared=shared_ports)
        make_protocol: Callable[..., GatewayProtocol] = GatewayProtocol
        if config.express:
            pool = ConnectionPool(config.upstream.url, timeouts, config.upstream.connections)
            stack.push_async_callback(pool.close)
            pool.open()
            make_protocol = partial(ExpressProtocol, flow=flow, pool=pool)
        server = GatewayServer(edge, keepalive_timeout=config.server.keepalive, make_protocol=make_protocol)
        runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=_LAST_MOMENT)
        site = await _listen(stack, runner, listen, shared=shared_ports)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        renewing = group.create_task(credential.run(), name="server credential renewal")
        stack.callback(renewing.cancel)
        for name in insecure_settings(config):
            emit(Lifecycle("insecure setting", name))
        gateway = Gateway(
            _bound(runner, listen), _bound(admin_runner, admin), edge, store, hasher, emit, site, config.server.drain
        )
        del admin_site
        emit(Lifecycle("started", f"public {gateway.listen}, admin {gateway.admin}"))
        yield gateway
        emit(Lifecycle("stopped"))


async def _passwords(
    config: Config, backend: Backend, emit: Emit, stack: AsyncExitStack
) -> tuple[CredentialStore | None, PasswordHasher | None, PasswordKeeper | None, Verifier]:
    """Make what keeps and compares passwords: the store's way or the upstream's."""
    customers = config.customers
    pattern = compile_id_pattern(customers.id_pattern)
    if customers.verify == "upstream":
        return None, None, None, UpstreamVerifier(backend, customers.login_path, customers.path, pattern.fullmatch)
    await asyncio.to_thread(upgrade, config.store.url)
    store = open_store(config.store.url)
    await store.open()
    stack.push_async_callback(store.close)
    hashing = customers.hashing
    hasher = PasswordHasher(
        workers=hashing.workers,
        queue_limit=hashing.queue,
        memory_kib=hashing.memory // 1024,
        time_cost=hashing.passes,
        parallelism=hashing.lanes,
        emit=emit,
    )
    stack.callback(hasher.close)
    dialect = DIALECTS[customers.dialect]
    directory = Directory(backend, customers.path, dialect, customers.filter_parameter, pattern)
    registrar = Registrar(directory, store, hasher, _throttle(config), customers.path, now)
    keeper = Keeper(store, hasher, directory, registrar, emit)
    return store, hasher, keeper, StoreVerifier(directory, store, hasher, now)


def _throttle(config: Config) -> Throttle:
    limits = config.customers.throttle
    return Throttle(
        account_burst=limits.account.burst,
        account_per_minute=limits.account.per_minute,
        address_burst=limits.address.burst,
        address_per_minute=limits.address.per_minute,
        max_keys=_THROTTLE_KEYS,
    )


def _endpoints(config: Config, login: Login, ring: KeyRing) -> Mapping[Endpoint, Handler]:
    api = TokenApi(
        Clients(
            frozenset(client.id for client in config.clients.implicit),
            {client.id: client.secret for client in config.clients.client_credentials},
        ),
        login,
        ring,
        bearer_life=config.tokens.bearer_life,
        token_life=config.tokens.customer_life,
    )
    return {
        Endpoint.BEARER: api.issue_bearer,
        Endpoint.LOGIN: api.issue_customer_token,
        Endpoint.JWKS: api.publish_keys,
    }


async def _is_usable(store: CredentialStore) -> bool:
    try:
        await store.ping()
    except StoreUnavailable:
        return False
    return True


async def _listen(stack: AsyncExitStack, runner: web.BaseRunner, address: Address, *, shared: bool) -> web.TCPSite:
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, address.host, address.port, reuse_port=shared or None, backlog=1024)
    await site.start()
    return site


def _bound(runner: web.BaseRunner, asked: Address) -> Address:
    """Return where a runner really listens."""
    host, port, *_ = next(iter(runner.addresses))
    return Address(asked.host or host, port)


def _log_key(config: Config) -> bytes:
    key = config.log.customer_key
    if key is None:
        return secrets.token_bytes(32)
    return hashlib.blake2b(key.get_secret_value().encode(), digest_size=32).digest()


def insecure_settings(config: Config) -> list[str]:
    """Return the names of dangerous settings that are on; for a route also which one it is, and why."""
    names = [name for name, value in config if name.startswith("insecure_") and value]
    for index, route in enumerate(config.routes):
        if route.insecure_unproven is not None:
            names.append(f"routes[{index}].insecure_unproven ({route.name}): {route.insecure_unproven}")
    return names


def dump(config: Config) -> str:
    """Write the effective configuration as YAML, secrets masked."""
    document = config.model_dump(mode="json", exclude_none=True)
    return yaml.dump(document, Dumper=_DUMPER, sort_keys=False, allow_unicode=True)


__all__ = ["Address", "Gateway", "StoreUnavailable", "clock", "dump", "insecure_settings", "now", "running"]
