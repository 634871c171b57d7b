"""Makes what reaches an upstream out of what the routing file says of it: connections, credentials, look-ups."""

from collections.abc import Callable, Iterator, Mapping
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
    """What all upstreams share: no memory and no connection is among it. `now` is epoch time; times are in seconds."""

    outbox: Outbox
    heads: HeadLimits
    emit: Emit
    now: Callable[[], float]
    clock: Callable[[], float]
    on_failed: Callable[[Exception], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Reached:
    """All that reaches one upstream; `held` are its credentials, the server's first."""

    pool: ConnectionPool
    held: tuple[Held, ...]
    backend: Backend
    parents: Parents


def reach(name: str, upstream: Upstream, most: int, means: Means, stack: AsyncExitStack) -> Reached:
    """Return what reaches an upstream of that name over at most so many connections; it is closed with `stack`."""
    timeouts = Timeouts(**dict(upstream.timeouts), life=upstream.connection_life)
    shares = upstream.shares
    factors, way = Factors(shares.route, shares.client), _tunnel(upstream.proxy)
    pool = ConnectionPool(
        *(upstream.url, timeouts, most, means.outbox, means.heads, factors, shares.queue, means.emit, way),
        upstream.tls.files,
    )
    pool.on_failed = means.on_failed
    stack.push_async_callback(pool.close)
    server = hold(upstream.credential, (name, Credential.SERVER), pool, means.emit, means.now)
    public = None
    if upstream.public_credential is not None:
        public = hold(upstream.public_credential, (name, Credential.PUBLIC), pool, means.emit, means.now)
    held = (server,) if public is None else (server, public)
    for one in held:
        stack.push_async_callback(one.close)
    backend = Backend(pool, server, means.clock, public=public)
    parents = Parents(backend, upstream.owner_memory, means.clock)
    stack.push_async_callback(parents.close)
    return Reached(pool, held, backend, parents)


@dataclass(frozen=True, slots=True)
class AllReached:
    """All upstreams, by name; nothing is shared between two."""

    pools: Mapping[str, ConnectionPool]
    backends: Mapping[str, Backend]
    parents: Mapping[str, Parents]
    credentials: Mapping[str, tuple[Held, ...]]

    @property
    def held(self) -> Iterator[Held]:
        """The credentials that are to be kept fresh."""
        return (one for held in self.credentials.values() for one in held)

    @property
    def conditions(self) -> dict[str, bool | str]:
        """Whether each upstream's credential is good, of which a gateway is ready.

        Of several one that is not is no reason to ask another replica for what the others have, so that it is a text.
        """
        good = {name: held[0].is_good for name, held in self.credentials.items()}
        if len(good) == 1:
            return {"credential": good.popitem()[1]}
        bad = "its routes answer 503 CREDENTIAL_UNAVAILABLE" if any(good.values()) else False
        return {f"credential of {name}": is_good or bad for name, is_good in good.items()}


def reach_all(apis: Mapping[str, Upstream], allowed: int, means: Means, stack: AsyncExitStack) -> AllReached:
    """Return what reaches each upstream; together they have at most `allowed` connections, each its part of them."""
    wanted = sum(one.connections for one in apis.values())
    found = {
        name: reach(name, one, max(1, one.connections * min(allowed, wanted) // wanted), means, stack)
        for name, one in apis.items()
    }
    return AllReached(
        {name: one.pool for name, one in found.items()},
        {name: one.backend for name, one in found.items()},
        {name: one.parents for name, one in found.items()},
        {name: one.held for name, one in found.items()},
    )


def _tunnel(proxy: Proxy | None) -> Tunnel | None:
    if proxy is None:
        return None
    return tunnel(proxy.url, proxy.username, None if proxy.password is None else proxy.password.get_secret_value())
