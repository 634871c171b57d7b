"""Builds the whole gateway from a configuration: the only place that knows every concrete class."""

import asyncio
import hashlib
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TextIO

from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway import __version__
from gateway.authn.keyring import KeyRing
from gateway.carrying.outbox import Outbox
from gateway.config.compile import key_ring, snapshot
from gateway.config.customers import Bucket
from gateway.config.effective import dump, insecure_settings, version
from gateway.config.id_pattern import compile_id_pattern
from gateway.config.load import Loaded
from gateway.config.model import Config
from gateway.flow import Flow, Handler, PasswordKeeper
from gateway.ops.batch import Batch
from gateway.ops.lag import LoopWatch
from gateway.ops.log import EventLog, Log
from gateway.ops.metrics import Metrics
from gateway.ops.outlet import Outlet
from gateway.reaching import Means, reach
from gateway.reload import InForce, Made, Throttles
from gateway.scope.filters import DIALECTS
from gateway.server.admin import Handed, make_admin
from gateway.server.descriptors import Exhaustion, share
from gateway.server.edge import Edge, Serving
from gateway.server.listener import Listener
from gateway.server.parser import check as check_parser
from gateway.server.peer import Peers
from gateway.server.port import dual_stack, takes_one_family
from gateway.stores import CredentialStore, Mark, StoreUnavailable, at_own_risk, is_usable, open_store, upgrade
from gateway.stores.thread import StoreThread
from gateway.tokens.admission import Admission
from gateway.tokens.api import Clients, TokenApi
from gateway.tokens.directory import Directory
from gateway.tokens.keeper import Keeper
from gateway.tokens.login import Login, StoreVerifier, UpstreamVerifier, Verifier
from gateway.tokens.passwords import PasswordHasher
from gateway.tokens.patience import Patience
from gateway.tokens.registration import Registrar
from gateway.tokens.throttle import Limit, Throttle, Work, WorkThrottle
from gateway.upstream.backend import Backend
from gateway.vocab.address import Address
from gateway.vocab.events import ConfigInForce, Emit, Failed, Lifecycle, NoProxyTrusted
from gateway.vocab.policy import Endpoint, HeadLimits
from gateway.wire.client_address import Proxies, public_lines
from gateway.wire.counting import counting

# Accounts and addresses remembered by the throttle: a few MiB at the most.
_THROTTLE_KEYS = 50_000

now: Final[Callable[[], float]] = time.time  # noqa: TID251 - the one place where the clock comes from
clock: Final[Callable[[], float]] = time.monotonic


@dataclass(slots=True)
class Gateway:
    """A running gateway. `store` and `hasher` are None where the upstream keeps the passwords.

    `take_admin` serves a connection to the admin port that another process has accepted.
    """

    listen: Address
    admin: Address
    edge: Edge
    in_force: InForce
    store: CredentialStore | None
    hasher: PasswordHasher | None
    emit: Batch
    take_admin: Callable[[socket.socket], None]
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
async def running(  # noqa: PLR0913 - what a process may be given
    given: Config | Loaded,
    listen: Address,
    admin: Address,
    *,
    log: TextIO | Outlet,
    make_log: Callable[[EventLog], Log] = lambda log: log,
    shared_ports: bool = False,
    opened: Mark | None = None,
) -> AsyncIterator[Gateway]:
    """Run a gateway: it listens when the context is entered and is gone when it is left.

    Raises StoreUnavailable when the store cannot be opened, UnfitParserError when the installed aiohttp cannot be used
    and OSError when a port cannot be had. `shared_ports` makes it one of several processes: they listen on the same
    public port, and who started them on the admin port. `make_log` makes another log of the one that writes JSON.
    `opened` is the store's file as the others have opened it.
    """
    check_parser()
    loaded = given if isinstance(given, Loaded) else Loaded(given, version(given))
    config = loaded.config
    metrics = Metrics(CollectorRegistry(), now)
    event_log = EventLog(log, _log_key(config), now, debug=config.log.details, on_lost=metrics.count_lost_line)
    emit = Batch(make_log(event_log), metrics, now)

    async with AsyncExitStack() as stack:
        stack.callback(emit.flush)
        outbox = Outbox(asyncio.get_running_loop())
        descriptors = share(config.upstream.connections)
        store, hasher = await _opened(config, emit, stack, opened)
        kept = _Kept(emit, outbox, descriptors.upstream, store, hasher)
        edge, in_force = _begun(kept, loaded, event_log)
        stack.push_async_callback(in_force.close)

        async def ready() -> dict[str, bool | str]:
            return {
                "credential": in_force.has_good_credential,
                "store": store is None or await is_usable(store),
                "not_draining": not edge.is_draining,
            }

        application = make_admin(
            ready, emit.render, partial(_shown, in_force), lambda: in_force.version, is_handed=shared_ports
        )
        admin_runner = web.AppRunner(application, access_log=None, handle_signals=False)
        await admin_runner.setup()
        stack.push_async_callback(admin_runner.cleanup)
        if not shared_ports:
            await _listen(admin_runner, admin)
        listener = Listener(edge, descriptors.clients)
        stack.push_async_callback(listener.close)
        await listener.open(listen.host, listen.port, shared=shared_ports)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        renewing = group.create_task(in_force.run(), name="configuration in force")
        stack.callback(renewing.cancel)
        watching = group.create_task(LoopWatch(emit, metrics.set_lag).run(), name="loop watch")
        stack.callback(watching.cancel)
        _note(config, (listen, admin), descriptors.note, emit)
        emit(ConfigInForce(loaded.version))
        gateway = Gateway(
            _bound(listener.addresses, listen),
            admin if shared_ports else _bound(admin_runner.addresses, admin),
            edge,
            in_force,
            store,
            hasher,
            emit,
            Handed(admin_runner.server).take,
            listener,
            config.server.drain,
        )
        emit(Lifecycle("started", f"public {gateway.listen}, admin {gateway.admin}, version {__version__}"))
        yield gateway
        emit(Lifecycle("stopped"))


def _shown(in_force: InForce) -> str:
    return f"# gateway {__version__}\n# configuration {in_force.version}\n{dump(in_force.config)}"


def _take_up(edge: Edge, log: EventLog, emit: Emit, made: Made, before: Made) -> None:
    """Serve by a configuration from now on: the one step that changes anything, and it cannot fail."""
    edge.swap(made.serving)
    if made.config.log != before.config.log:
        log.configure(_log_key(made.config), debug=made.config.log.details)
    for name in insecure_settings(made.config):
        emit(Lifecycle("insecure setting", name))
    emit(ConfigInForce(made.loaded.version))


def _note(config: Config, addresses: Sequence[Address], descriptors: str, emit: Emit) -> None:
    """Tell at start of what an operator may not have meant."""
    for address in addresses:
        if takes_one_family(address.host):
            emit(Lifecycle("IPv6 only", f"{address}: this system has no socket for both families"))
    if descriptors:
        emit(Lifecycle("few descriptors", descriptors))
    for name in insecure_settings(config):
        emit(Lifecycle("insecure setting", name))
    if not config.server.trusted_proxies:
        emit(NoProxyTrusted())


async def _opened(
    config: Config, emit: Emit, stack: AsyncExitStack, opened: Mark | None
) -> tuple[CredentialStore | None, PasswordHasher | None]:
    """Open what keeps passwords and make what compares them; neither where the upstream does both."""
    if config.customers.verify == "upstream":
        return None, None
    url, loop = config.store.url, asyncio.get_running_loop()
    thread = StoreThread()
    stack.callback(thread.close)
    await thread.run(partial(upgrade, url, opened, may_migrate=config.store.migrate == "auto"), within=None)
    if risk := await thread.run(partial(at_own_risk, url)):
        emit(Lifecycle("store at your own risk", risk))
    thread.close()
    store = open_store(url, opened, lambda text: _tell_lost(loop, emit, text))
    await store.open()
    stack.push_async_callback(store.close)
    hashing = config.customers.hashing
    hasher = PasswordHasher(
        workers=hashing.workers,
        queue_limit=hashing.queue,
        memory_kib=hashing.memory // 1024,
        time_cost=hashing.passes,
        parallelism=hashing.lanes,
        emit=emit,
        login_share=hashing.login_share,
    )
    stack.callback(hasher.close)
    return store, hasher


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a process has, whatever its configuration."""

    emit: Emit
    outbox: Outbox
    connections: int
    store: CredentialStore | None
    hasher: PasswordHasher | None
    closed_routes: set[str] = field(default_factory=set)


def _make(kept: _Kept, loaded: Loaded, before: Made | None) -> Made:
    """Make all that a configuration says, without I/O: some of it may be taken over from the one before."""
    config, emit, server = loaded.config, kept.emit, loaded.config.server
    heads = HeadLimits(**dict(config.limits.head))
    means = Means(kept.outbox, heads, emit, now, clock, Exhaustion(emit, clock))
    reached_before = None if before is None else before.reached
    reached = reach(config.upstream, loaded.authorities, kept.connections, means, reached_before)
    ring = key_ring(config)
    throttles = _throttles(config, before)
    keeper, verifier = _passwords(config, reached.backend, kept, throttles)
    login = Login(verifier, throttles.logins, clock, emit)
    flow = Flow(
        *(reached.backend, reached.parents, keeper, _endpoints(config, login, ring), emit),
        token_header=config.tokens.header,
        counted=counting(knows_proxies=bool(server.trusted_proxies)),
        closed=kept.closed_routes,
    )
    peers = _peers(config, emit) if before is None or before.config.server != server else before.serving.peers
    serving = Serving(snapshot(config, ring), flow, reached.pool, peers, server.keepalive, heads, server.half_closed)
    return Made(loaded, serving, reached, throttles)


def _begun(kept: _Kept, loaded: Loaded, log: EventLog) -> tuple[Edge, InForce]:
    """Return the clients' side, and what has it serve by a configuration: by this one, to begin with."""
    made = _make(kept, loaded, None)
    edge = Edge(made.serving, kept.outbox, kept.emit, now, clock)
    return edge, InForce(made, partial(_make, kept), partial(_take_up, edge, log, kept.emit))


def _passwords(
    config: Config, backend: Backend, kept: _Kept, throttles: Throttles
) -> tuple[PasswordKeeper | None, Verifier]:
    """Make what keeps and compares passwords: the store's way or the upstream's."""
    customers = config.customers
    pattern = compile_id_pattern(customers.id_pattern)
    store, hasher = kept.store, kept.hasher
    if store is None or hasher is None:
        public = public_lines(config.public_url)
        return None, UpstreamVerifier(backend, customers.login_path, customers.path, pattern.fullmatch, public)
    dialect = DIALECTS[customers.dialect]
    directory = Directory(backend, customers.path, dialect, customers.filter_parameter, pattern)
    admission = Admission(throttles.work, clock, kept.emit)
    registrar = Registrar(directory, store, hasher, throttles.registered, now, Patience(customers.read_back))
    keeper = Keeper(store, hasher, registrar, admission, kept.emit)
    return keeper, StoreVerifier(directory, store, hasher, now, kept.emit)


def _peers(config: Config, emit: Emit) -> Peers:
    server = config.server
    proxies = Proxies(server.trusted_proxies, server.client_address_header)
    return Peers(proxies, emit, speaks_proxy=server.proxy_protocol == "required")


def _throttles(config: Config, before: Made | None) -> Throttles:
    """Make what limits password work; where the limits stay the same, what was counted stays as well."""
    if before is not None and before.config.customers.throttle == config.customers.throttle:
        return before.throttles
    return Throttles(_throttle(config), _throttle(config), _work_throttle(config))


def _throttle(config: Config) -> Throttle:
    limits = config.customers.throttle
    return Throttle(
        account_burst=limits.account.burst,
        account_per_minute=limits.account.per_minute,
        address_burst=limits.address.burst,
        address_per_minute=limits.address.per_minute,
        max_keys=_THROTTLE_KEYS,
    )


def _work_throttle(config: Config) -> WorkThrottle:
    limits = config.customers.throttle
    registrations = limits.registrations
    return WorkThrottle(
        {
            Work.REGISTRATION: {"address": _limit(registrations.address), "email": _limit(registrations.email)},
            Work.PASSWORD_CHANGE: {"customer": _limit(limits.password_changes)},
        },
        _THROTTLE_KEYS,
    )


def _limit(bucket: Bucket) -> Limit:
    return Limit(bucket.burst, bucket.per_minute)


def _endpoints(config: Config, login: Login, ring: KeyRing) -> Mapping[Endpoint, Handler]:
    api = TokenApi(
        Clients(
            frozenset(client.id for client in config.clients.implicit),
            {client.id: client.all_secrets for client in config.clients.client_credentials},
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


def _tell_lost(loop: asyncio.AbstractEventLoop, emit: Emit, text: str) -> None:
    loop.call_soon_threadsafe(emit, Failed("", "store", text))


async def _listen(runner: web.BaseRunner, address: Address) -> None:
    both = dual_stack(address.host, address.port, shared=False)
    site: web.BaseSite = web.TCPSite(runner, address.host, address.port, backlog=1024)
    if both is not None:
        site = web.SockSite(runner, both, backlog=1024)
    await site.start()


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
