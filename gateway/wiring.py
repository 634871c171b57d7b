"""Builds the whole gateway from a configuration: the only place that knows every concrete class."""

import asyncio
import hashlib
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TextIO

from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway import __version__
from gateway.authn.keyring import KeyRing
from gateway.carrying.call import Timeouts
from gateway.carrying.outbox import Outbox
from gateway.carrying.pool import ConnectionPool
from gateway.carrying.shares import Factors
from gateway.carrying.tunnel import Tunnel, tunnel
from gateway.config.apiside import Proxy
from gateway.config.compile import key_ring, snapshot
from gateway.config.customers import Bucket, customer_form, login_form
from gateway.config.effective import dump, insecure_settings
from gateway.config.id_pattern import compile_id_pattern
from gateway.config.model import Config
from gateway.flow import Flow, Handler, PasswordKeeper
from gateway.ops.batch import Batch
from gateway.ops.lag import LoopWatch
from gateway.ops.log import EventLog, Log
from gateway.ops.metrics import Metrics
from gateway.ops.outlet import Outlet
from gateway.server.admin import Handed, make_admin
from gateway.server.descriptors import Exhaustion, share
from gateway.server.edge import Edge
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
from gateway.upstream.credential import ServerCredential
from gateway.upstream.grant import ClientCredentials
from gateway.upstream.parents import Parents
from gateway.vocab.address import Address
from gateway.vocab.events import Emit, Failed, Lifecycle, NoProxyTrusted
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
    config: Config,
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
    metrics = Metrics(CollectorRegistry(), now)
    event_log = EventLog(log, _log_key(config), now, debug=config.log.details, on_lost=metrics.count_lost_line)
    emit = Batch(make_log(event_log), metrics, now)

    async with AsyncExitStack() as stack:
        stack.callback(emit.flush)
        outbox = Outbox(asyncio.get_running_loop())
        timeouts = Timeouts(**dict(config.upstream.timeouts), life=config.upstream.connection_life)
        heads = HeadLimits(**dict(config.limits.head))
        upstream, descriptors, shares = config.upstream, share(config.upstream.connections), config.upstream.shares
        factors, way = Factors(shares.route, shares.client), _tunnel(upstream.proxy)
        of = (upstream.url, timeouts, descriptors.upstream, outbox, heads, factors, shares.queue, emit, way)
        pool = ConnectionPool(*of)
        pool.on_failed = Exhaustion(emit, clock)
        stack.push_async_callback(pool.close)
        options = config.upstream.credential
        credential = ServerCredential(
            ClientCredentials(
                pool,
                options.path,
                options.client_id,
                options.client_secret,
                options.authentication,
                options.default_life,
                now,
            ),
            emit,
            now,
        )
        stack.push_async_callback(credential.close)
        backend = Backend(pool, credential, clock)
        ring = key_ring(config)
        compiled = snapshot(config, ring)
        store, hasher, keeper, verifier = await _passwords(config, backend, emit, stack, opened)
        login = Login(verifier, _throttle(config), clock, emit)
        parents = Parents(backend, config.upstream.owner_memory, clock)
        stack.push_async_callback(parents.close)
        flow = Flow(
            *(backend, parents, keeper, _endpoints(config, login, ring), emit),
            counted=counting(knows_proxies=bool(config.server.trusted_proxies)),
        )
        server = config.server
        edge = Edge(
            *(flow, pool, outbox, lambda: compiled, emit, now, clock, server.keepalive),
            heads=heads,
            half_closed=server.half_closed,
            peers=_peers(config, emit),
        )

        async def ready() -> dict[str, bool | str]:
            return {
                "credential": credential.is_good,
                "store": store is None or await is_usable(store),
                "not_draining": not edge.is_draining,
            }

        application = make_admin(
            ready, emit.render, lambda: f"# gateway {__version__}\n{dump(config)}", is_handed=shared_ports
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
        renewing = group.create_task(credential.run(), name="server credential renewal")
        stack.callback(renewing.cancel)
        watching = group.create_task(LoopWatch(emit, metrics.set_lag).run(), name="loop watch")
        stack.callback(watching.cancel)
        _note(config, (listen, admin), descriptors.note, emit)
        gateway = Gateway(
            _bound(listener.addresses, listen),
            admin if shared_ports else _bound(admin_runner.addresses, admin),
            edge,
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


async def _passwords(
    config: Config, backend: Backend, emit: Emit, stack: AsyncExitStack, opened: Mark | None
) -> tuple[CredentialStore | None, PasswordHasher | None, PasswordKeeper | None, Verifier]:
    """Make what keeps and compares passwords: the store's way or the upstream's."""
    customers = config.customers
    pattern = compile_id_pattern(customers.id_pattern)
    if customers.verify == "upstream":
        public = public_lines(config.public_url)
        how = customer_form(config.records, customers)
        verifier = UpstreamVerifier(backend, login_form(customers, how), how, pattern.fullmatch, public)
        return None, None, None, verifier
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
    hashing = customers.hashing
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
    directory = Directory(backend, customer_form(config.records, customers), pattern)
    admission = Admission(_work_throttle(config), clock, emit)
    registrar = Registrar(directory, store, hasher, _throttle(config), now, Patience(customers.read_back))
    keeper = Keeper(store, hasher, registrar, admission, emit)
    return store, hasher, keeper, StoreVerifier(directory, store, hasher, now, emit)


def _peers(config: Config, emit: Emit) -> Peers:
    server = config.server
    proxies = Proxies(server.trusted_proxies, server.client_address_header)
    return Peers(proxies, emit, speaks_proxy=server.proxy_protocol == "required")


def _tunnel(proxy: Proxy | None) -> Tunnel | None:
    if proxy is None:
        return None
    return tunnel(proxy.url, proxy.username, None if proxy.password is None else proxy.password.get_secret_value())


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
