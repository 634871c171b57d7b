"""Makes what reaches an upstream out of what the routing file says of it: connections, credentials, look-ups."""

from collections.abc import Callable
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
    on_failed: Callable[[Exception], None]


@dataclass(frozen=True, slots=True)
class Reached:
    """All that reaches one upstream; `held` are the credentials that are to be kept fresh, the server's first.

    `connects` is all that the connections are made of, and `proves` what the credentials are.
    """

    connects: tuple[object, ...]
    proves: tuple[object, ...]
    pool: ConnectionPool
    held: tuple[Held, ...]
    backend: Backend
    parents: Parents

    async def close(self) -> None:
        """Close all of it, in the order in which one needs the other."""
        await self.parents.close()
        for one in self.held:
            await one.close()
        await self.pool.close()

    @property
    def is_good(self) -> bool:
        """Whether requests can be sent with the credential for customers."""
        return self.held[0].is_good


def reach(upstream: Upstream, authorities: str, most: int, means: Means, before: Reached | None = None) -> Reached:
    """Return what reaches `upstream` over at most so many connections, without I/O.

    `authorities` is a digest of the files that prove the upstream. What would be made as it was is taken over from the
    one before.
    """
    limits = (upstream.timeouts, upstream.connection_life, upstream.shares, means.heads)
    connects = (upstream.url, upstream.proxy, upstream.tls, authorities, most, *limits)
    proves = (upstream.credential, upstream.public_credential)
    pool = before.pool if before is not None and before.connects == connects else _pool(upstream, most, means)
    if before is not None and before.pool is pool and before.proves == proves:
        held = before.held
    else:
        held = tuple(_held(upstream, pool, means))
    public = held[1] if len(held) > 1 else None
    backend = Backend(pool, held[0], means.clock, public=public)
    return Reached(*(connects, proves, pool, held, backend), Parents(backend, upstream.owner_memory, means.clock))


def _pool(upstream: Upstream, most: int, means: Means) -> ConnectionPool:
    timeouts = Timeouts(**dict(upstream.timeouts), life=upstream.connection_life)
    shares = upstream.shares
    factors, way = Factors(shares.route, shares.client), _tunnel(upstream.proxy)
    pool = ConnectionPool(
        *(upstream.url, timeouts, most, means.outbox, means.heads, factors, shares.queue, means.emit, way),
        upstream.tls.files,
    )
    pool.on_failed = means.on_failed
    return pool


def _held(upstream: Upstream, pool: ConnectionPool, means: Means) -> list[Held]:
    held = [hold(upstream.credential, Credential.SERVER, pool, means.emit, means.now)]
    if upstream.public_credential is not None:
        held.append(hold(upstream.public_credential, Credential.PUBLIC, pool, means.emit, means.now))
    return held


def _tunnel(proxy: Proxy | None) -> Tunnel | None:
    if proxy is None:
        return None
    return tunnel(proxy.url, proxy.username, None if proxy.password is None else proxy.password.get_secret_value())
