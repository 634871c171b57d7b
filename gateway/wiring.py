"""Starts a whole gateway: what a process has, whatever its configuration, in the order in which one needs the other.

What a configuration itself says is made in `making`.
"""

import asyncio
import hashlib
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TextIO

from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway import __version__
from gateway.carrying.outbox import Outbox
from gateway.config.effective import dump, insecure_settings, version
from gateway.config.load import Loaded
from gateway.config.model import Config
from gateway.making import Kept, make
from gateway.ops.batch import Batch
from gateway.ops.lag import LoopWatch
from gateway.ops.log import EventLog, Log
from gateway.ops.metrics import Metrics
from gateway.ops.outlet import Outlet
from gateway.reload import InForce, Made
from gateway.server.admin import Handed, make_admin
from gateway.server.descriptors import share
from gateway.server.edge import Edge
from gateway.server.listener import Listener
from gateway.server.parser import check as check_parser
from gateway.server.port import dual_stack, takes_one_family
from gateway.stores import (
    CredentialStore,
    Mark,
    SessionStore,
    StoreUnavailable,
    at_own_risk,
    is_usable,
    open_store,
    upgrade,
)
from gateway.stores.thread import StoreThread
from gateway.tokens.attempts import Together
from gateway.tokens.live import LiveView
from gateway.tokens.passwords import PasswordHasher
from gateway.tokens.sessions import Sessions
from gateway.vocab.address import Address
from gateway.vocab.events import ConfigInForce, Emit, Failed, Lifecycle, NoProxyTrusted

now: Final[Callable[[], float]] = time.time  # noqa: TID251 - the one place where the clock comes from
clock: Final[Callable[[], float]] = time.monotonic


@dataclass(slots=True)
class Gateway:
    """A running gateway. `hasher` is None where the upstream keeps the passwords.

    `take_admin` serves a connection to the admin port that another process has accepted.
    """

    listen: Address
    admin: Address
    edge: Edge
    in_force: InForce
    store: CredentialStore
    hasher: PasswordHasher | None
    live: LiveView
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
        descriptors = share(sum(one.connections for one in config.apis.values()))
        store = await _store(config, emit, stack, opened)
        live = await _live(config, store, emit, metrics, stack)
        hasher, sessions = _hasher(config, emit, stack), await _sessions(store)
        together = Together(store, clock, emit)
        kept = Kept(now, clock, emit, outbox, descriptors.upstream, store, live, sessions, hasher, together)
        edge, in_force = _begun(kept, loaded, event_log)
        stack.push_async_callback(in_force.close)

        async def ready() -> dict[str, bool | str]:
            return {
                **in_force.conditions,
                "store": await is_usable(store),
                "revocations": not live.value().is_stale,
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
        for work, name in (
            (in_force.run(), "configuration in force"),
            (live.run(), "log-outs"),
            (live.listen(), "news of log-outs"),
            (together.run(), "attempts that are counted"),
            (LoopWatch(emit, metrics.set_lag).run(), "loop watch"),
        ):
            stack.callback(group.create_task(work, name=name).cancel)
        _note(config, (listen, admin), descriptors.note, emit)
        emit(ConfigInForce(loaded.version))
        gateway = Gateway(
            _bound(listener.addresses, listen),
            admin if shared_ports else _bound(admin_runner.addresses, admin),
            edge,
            in_force,
            store,
            hasher,
            live,
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


async def _store(config: Config, emit: Emit, stack: AsyncExitStack, opened: Mark | None) -> CredentialStore:
    """Open the store, which is brought to this release first."""
    url, loop = config.store.url, asyncio.get_running_loop()
    thread = StoreThread()
    stack.callback(thread.close)
    await thread.run(partial(upgrade, url, opened, may_migrate=config.store.migrate == "auto"), within=None)
    if risk := await thread.run(partial(at_own_risk, url)):
        emit(Lifecycle("store at your own risk", risk))
    thread.close()
    store = open_store(url, opened, lambda text: _tell_lost(loop, emit, text), config.store.notify_url)
    await store.open()
    stack.push_async_callback(store.close)
    return store


async def _live(config: Config, store: SessionStore, emit: Emit, metrics: Metrics, stack: AsyncExitStack) -> LiveView:
    """Make what knows who was logged out; it knows all before anything is served."""
    life, staleness = config.tokens.customer_life, config.revocation.max_staleness
    live = LiveView(store, life, staleness, clock, emit, metrics)
    stack.callback(live.close)
    await live.load()
    return live


async def _sessions(store: SessionStore) -> Sessions:
    sessions = Sessions(store)
    await sessions.prepare()
    return sessions


def _hasher(config: Config, emit: Emit, stack: AsyncExitStack) -> PasswordHasher | None:
    """Make what compares passwords; nothing where the upstream does."""
    if config.customers.verify == "upstream":
        return None
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
    return hasher


def _take_up(edge: Edge, log: EventLog, kept: Kept, made: Made, before: Made) -> None:
    """Serve by a configuration from now on: the one step that changes anything, and it cannot fail."""
    emit = kept.emit
    kept.live.keep(made.config.tokens.customer_life, made.config.revocation.max_staleness)
    edge.swap(made.serving)
    if made.config.log != before.config.log:
        log.configure(_log_key(made.config), debug=made.config.log.details)
    for name in insecure_settings(made.config):
        emit(Lifecycle("insecure setting", name))
    emit(ConfigInForce(made.loaded.version))


def _begun(kept: Kept, loaded: Loaded, log: EventLog) -> tuple[Edge, InForce]:
    """Return the clients' side, and what has it serve by a configuration: by this one, to begin with."""
    made = make(kept, loaded, None)
    edge = Edge(made.serving, kept.outbox, kept.emit, now, clock)
    return edge, InForce(made, partial(make, kept), partial(_take_up, edge, log, kept))


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
