"""Builds the whole gateway from a configuration: the only place that knows every concrete class."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TextIO

from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway import __version__
from gateway.authn.keyring import KeyRing
from gateway.carrying.call import Timeouts
from gateway.carrying.outbox import Outbox
from gateway.carrying.pool import ConnectionPool
from gateway.config.compile import key_ring, snapshot
from gateway.config.effective import dump, insecure_settings
from gateway.config.id_pattern import compile_id_pattern
from gateway.config.model import Config
from gateway.flow import Flow, Handler, PasswordKeeper
from gateway.holding import hold
from gateway.ops.batch import Batch
from gateway.ops.lag import LoopWatch
from gateway.ops.log import EventLog, Log
from gateway.ops.metrics import Metrics
from gateway.ops.outlet import Outlet
from gateway.scope.filters import DIALECTS
from gateway.server.admin import make_admin
from gateway.server.edge import Edge
from gateway.server.listener import Listener
from gateway.server.parser import check as check_parser
from gateway.server.port import dual_stack, takes_one_family
from gateway.stores import CredentialStore, StoreUnavailable, open_store, upgrade
from gateway.tokens.api import Clients, TokenApi
from gateway.tokens.directory import Directory
from gateway.tokens.keeper import Keeper
from gateway.tokens.login import Login, StoreVerifier, UpstreamVerifier, Verifier
from gateway.tokens.passwords import PasswordHasher
from gateway.tokens.patience import Patience
from gateway.tokens.registration import Registrar
from gateway.tokens.throttle import Throttle
from gateway.upstream.backend import Backend
from gateway.upstream.parents import Parents
from gateway.vocab.address import Address
from gateway.vocab.events import Emit, Lifecycle
from gateway.vocab.policy import Credential, Endpoint, HeadLimits

# Accounts and addresses remembered by the throttle: a few MiB at the most.
_THROTTLE_KEYS = 50_000

now: Final[Callable[[], float]] = time.time  # noqa: TID251 - the one place where the clock comes from
clock: Final[Callable[[], float]] = time.monotonic


@dataclass(slots=True)
class Gateway:
    """A running gateway. `store` and `hasher` are None where the upstream keeps the passwords."""

    listen: Address
    admin: Address
    edge: Edge
    store: CredentialStore | None
    hasher: PasswordHasher | None
    emit: Batch
    _listener: Listener
    _drain_deadline: float

    async def drain(self) -> None:
        """Take no new connections, let requests in flight finish, at most for the configured time."""
        self.edge.is_draining = True
        self.emit(Lifecycle("draining"))
        try:
            async with asyncio.timeout(self._drain_deadline):
                await self._listener.stop()
                await self.edge.drained()
        except TimeoutError:
            self.emit(Lifecycle("drain deadline", "requests in flight were cut off"))


@asynccontextmanager
async def running(
    config: Config,
    listen: Address,
    admin: Address,
    *,
    log: TextIO | Outlet,
    make_log: Callable[[EventLog], Log] = lambda log: log,
    shared_ports: bool = False,
) -> AsyncIterator[Gateway]:
    """Run a gateway: it listens when the context is entered and is gone when it is left.

    Raises StoreUnavailable when the store cannot be opened, UnfitParserError when the installed aiohttp cannot be used
    and OSError when a port cannot be had. `shared_ports` lets several processes listen on the same ports. `make_log`
    makes another log of the one that writes JSON.
    """
    check_parser()
    metrics = Metrics(CollectorRegistry(), now)
    event_log = EventLog(log, _log_key(config), now, debug=config.log.details, on_lost=metrics.count_lost_line)
    emit = Batch(make_log(event_log), metrics, now)

    async with AsyncExitStack() as stack:
        stack.callback(emit.flush)
        outbox = Outbox(asyncio.get_running_loop())
        timeouts = Timeouts(**dict(config.upstream.timeouts), life=config.upstream.connection_life)
        heads = HeadLimits(**dict(config.limits.head))
        upstream = config.upstream
        pool = ConnectionPool(upstream.url, timeouts, upstream.connections, outbox, heads, upstream.tls.files)
        stack.push_async_callback(pool.close)
        credential = hold(upstream.credential, Credential.SERVER, pool, emit, now)
        stack.push_async_callback(credential.close)
        held = [credential]
        public = None
        if upstream.public_credential is not None:
            public = hold(upstream.public_credential, Credential.PUBLIC, pool, emit, now)
            stack.push_async_callback(public.close)
            held.append(public)
        backend = Backend(pool, credential, clock, public=public)
        ring = key_ring(config)
        compiled = snapshot(config, ring)
        store, hasher, keeper, verifier = await _passwords(config, backend, emit, stack)
        login = Login(verifier, _throttle(config), clock, emit)
        parents = Parents(backend, config.upstream.owner_memory, clock)
        stack.push_async_callback(parents.close)
        flow = Flow(backend, parents, keeper, _endpoints(config, login, ring), emit, config.tokens.header)
        server = config.server
        edge = Edge(
            *(flow, pool, outbox, lambda: compiled, emit, now, clock, server.keepalive),
            heads=heads,
            half_closed=server.half_closed,
        )

        async def ready() -> dict[str, bool]:
            return {
                "credential": credential.is_good,
                "store": store is None or await _is_usable(store),
                "not_draining": not edge.is_draining,
            }

        application = make_admin(ready, emit.render, lambda: f"# gateway {__version__}\n{dump(config)}")
        admin_runner = web.AppRunner(application, access_log=None, handle_signals=False)
        admin_site = await _listen(stack, admin_runner, admin, shared=shared_ports)
        listener = Listener(edge)
        stack.push_async_callback(listener.close)
        await listener.open(listen.host, listen.port, shared=shared_ports)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for one in held:
            stack.callback(group.create_task(one.run(), name="credential renewal").cancel)
        watching = group.create_task(LoopWatch(emit, metrics.set_lag).run(), name="loop watch")
        stack.callback(watching.cancel)
        for address in (listen, admin):
            if takes_one_family(address.host):
                emit(Lifecycle("IPv6 only", f"{address}: this system has no socket for both families"))
        for name in insecure_settings(config):
            emit(Lifecycle("insecure setting", name))
        gateway = Gateway(
            _bound(listener.addresses, listen),
            _bound(admin_runner.addresses, admin),
            edge,
            store,
            hasher,
            emit,
            listener,
            config.server.drain,
        )
        del admin_site
        emit(Lifecycle("started", f"public {gateway.listen}, admin {gateway.admin}, version {__version__}"))
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
    registrar = Registrar(directory, store, hasher, _throttle(config), now, Patience(customers.read_back))
    keeper = Keeper(store, hasher, registrar, emit)
    return store, hasher, keeper, StoreVerifier(directory, store, hasher, now, emit)


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


async def _listen(stack: AsyncExitStack, runner: web.BaseRunner, address: Address, *, shared: bool) -> web.BaseSite:
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    both = dual_stack(address.host, address.port, shared=shared)
    site: web.BaseSite = web.TCPSite(runner, address.host, address.port, reuse_port=shared or None, backlog=1024)
    if both is not None:
        site = web.SockSite(runner, both, backlog=1024)
    await site.start()
    return site


def _bound(addresses: Sequence[Any], asked: Address) -> Address:
    """Return where something really listens."""
    host, port, *_ = addresses[0]
    return Address(asked.host or host, port)


def _log_key(config: Config) -> bytes:
    key = config.log.customer_key
    if key is None:
        return secrets.token_bytes(32)
    return hashlib.blake2b(key.get_secret_value().encode(), digest_size=32).digest()


__all__ = ["Address", "Gateway", "StoreUnavailable", "clock", "now", "running"]
