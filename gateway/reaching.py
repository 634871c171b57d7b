"""Makes what reaches an upstream out of what the routing file says of it: connections, credentials, look-ups."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from gateway.carrying.call import Timeouts
from gateway.carrying.outbox import Outbox
from gateway.carrying.pool import ConnectionPool
from gateway.carrying.shares import Factors
from gateway.carrying.tunnel import Tunnel, tunnel
from gateway.config.apiside import Proxy, Upstream
from gateway.holding import hold
from gateway.upstream.backend import Backend
from gateway.upstream.credential import Held
from gateway.upstream.parents import Parents
from gateway.vocab.events import Emit
from gateway.vocab.policy import Credential, HeadLimits


@dataclass(frozen=True, slots=True)
class Means:
    """What all upstreams have in common. `now` is epoch time, `clock` measures; both in seconds."""

    outbox: Outbox
    heads: HeadLimits
    emit: Emit
    now: Callable[[], float]
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Reached:
    """All that reaches one upstream; `held` are the credentials that are to be kept fresh."""

    pool: ConnectionPool
    held: tuple[Held, ...]
    backend: Backend
    parents: Parents

    @property
    def is_good(self) -> bool:
        """Whether requests can be sent with the credential for customers."""
        return self.held[0].is_good


def reach(upstream: Upstream, most: int, means: Means, stack: AsyncExitStack) -> Reached:
    """Return what reaches `upstream` over at most so many connections; it is closed with `stack`."""
    timeouts = Timeouts(**dict(upstream.timeouts), life=upstream.connection_life)
    shares = upstream.shares
    factors, way = Factors(shares.route, shares.client), _tunnel(upstream.proxy)
    pool = ConnectionPool(
        *(upstream.url, timeouts, most, means.outbox, means.heads, factors, shares.queue, means.emit, way),
        upstream.tls.files,
    )
    stack.push_async_callback(pool.close)
    server = hold(upstream.credential, Credential.SERVER, pool, means.emit, means.now)
    public = None
    if upstream.public_credential is not None:
        public = hold(upstream.public_credential, Credential.PUBLIC, pool, means.emit, means.now)
    held = (server,) if public is None else (server, public)
    for one in held:
        stack.push_async_callback(one.close)
    backend = Backend(pool, server, means.clock, public=public)
    parents = Parents(backend, upstream.owner_memory, means.clock)
    stack.push_async_callback(parents.close)
    return Reached(pool, held, backend, parents)


def _tunnel(proxy: Proxy | None) -> Tunnel | None:
    if proxy is None:
        return None
    return tunnel(proxy.url, proxy.username, None if proxy.password is None else proxy.password.get_secret_value())
