"""Makes what reaches an upstream out of what the routing file says of it: connections, credentials, look-ups."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.carrying.call import Timeouts
from gateway.carrying.outbox import Outbox
from gateway.carrying.pool import ConnectionPool
from gateway.carrying.shares import Factors
from gateway.carrying.tunnel import Tunnel, tunnel
from gateway.config.apiside import Proxy, Upstream
from gateway.config.credential import Tls, TokenEndpoint
from gateway.holding import hold
from gateway.upstream.backend import Backend
from gateway.upstream.credential import Held
from gateway.upstream.parents import Parents
from gateway.vocab.events import Emit
from gateway.vocab.policy import DEFAULT_UPSTREAM, HeadLimits

# A grant is asked for in one flight at a time.
_GRANTING = 1


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

    `granting` are the connections to token endpoints that are elsewhere. `connects` is all that the connections are
    made of, and `proves` what the credentials are.
    """

    connects: tuple[object, ...]
    proves: tuple[object, ...]
    pool: ConnectionPool
    held: tuple[Held, ...]
    granting: tuple[ConnectionPool, ...]
    backend: Backend
    parents: Parents

    async def close(self) -> None:
        """Close all of it, in the order in which one needs the other."""
        await self.parents.close()
        for one in self.held:
            await one.close()
        for pool in (*self.granting, self.pool):
            await pool.close()

    @property
    def is_good(self) -> bool:
        """Whether requests can be sent with the credential for customers."""
        return self.held[0].is_good


def reach(
    name: str, upstream: Upstream, authorities: str, most: int, means: Means, before: Reached | None = None
) -> Reached:
    """Return what reaches the upstream of that name over at most so many connections, without I/O.

    `authorities` is a digest of the files that prove the upstream. What would be made as it was is taken over from the
    one before.
    """
    limits = (upstream.timeouts, upstream.connection_life, upstream.shares, means.heads)
    connects = (upstream.url, upstream.proxy, upstream.tls, authorities, most, *limits)
    proves = (upstream.credential, upstream.public_credential)
    if before is not None and before.connects == connects:
        pool = before.pool
    else:
        pool = _pool(upstream, (upstream.url, upstream.tls), most, means)
    if before is not None and before.pool is pool and before.proves == proves:
        held, granting = before.held, before.granting
    else:
        held, granting = _held(name, upstream, pool, means)
    public = held[1] if len(held) > 1 else None
    backend = Backend(pool, held[0], means.clock, public=public)
    parents = Parents(backend, upstream.owner_memory, means.clock)
    return Reached(*(connects, proves, pool, held, granting, backend, parents))


def _pool(upstream: Upstream, to: tuple[str, Tls], most: int, means: Means) -> ConnectionPool:
    """Make connections to an address that is the upstream's, or that gives a credential for it."""
    (url, tls), shares = to, upstream.shares
    timeouts = Timeouts(**dict(upstream.timeouts), life=upstream.connection_life)
    factors, way = Factors(shares.route, shares.client), _tunnel(upstream.proxy)
    pool = ConnectionPool(
        *(url, timeouts, most, means.outbox, means.heads, factors, shares.queue, means.emit, way), tls.files
    )
    pool.on_failed = means.on_failed
    return pool


def _held(
    name: str, upstream: Upstream, pool: ConnectionPool, means: Means
) -> tuple[tuple[Held, ...], tuple[ConnectionPool, ...]]:
    """Make what holds the upstream's credentials, and connections to where they come from, if that is elsewhere."""
    held, granting = [], []
    for kind, credential in upstream.credentials.items():
        way = pool
        if isinstance(credential, TokenEndpoint) and credential.elsewhere is not None:
            way = _pool(upstream, (credential.elsewhere, credential.tls), _GRANTING, means)
            granting.append(way)
        held.append(hold(credential, (name, kind), way, means.emit, means.now))
    return tuple(held), tuple(granting)


@dataclass(frozen=True, slots=True)
class AllReached:
    """All that reaches the upstreams, by their names; nothing is shared between two."""

    by_name: Mapping[str, Reached]

    @property
    def connections(self) -> set[ConnectionPool]:
        """All connections: to the upstreams, and to where their credentials come from."""
        return {pool for one in self.by_name.values() for pool in (one.pool, *one.granting)}

    @property
    def pools(self) -> Mapping[str, ConnectionPool]:
        """The connections to each."""
        return {name: one.pool for name, one in self.by_name.items()}

    @property
    def backends(self) -> Mapping[str, Backend]:
        """What talks to each."""
        return {name: one.backend for name, one in self.by_name.items()}

    @property
    def parents(self) -> Mapping[str, Parents]:
        """What looks records of each up."""
        return {name: one.parents for name, one in self.by_name.items()}

    @property
    def held(self) -> Mapping[Held, str]:
        """The credentials that are to be kept fresh, and what each is called."""
        return {
            held: f"{'upstream' if upstream == DEFAULT_UPSTREAM else f'upstreams.{upstream}'}.{name}"
            for upstream, one in self.by_name.items()
            for name, held in zip(("credential", "public_credential"), one.held, strict=False)
        }

    @property
    def conditions(self) -> dict[str, bool | str]:
        """Whether each upstream's credential is good, of which a gateway is ready.

        Of several one that is not is no reason to ask another replica for what the others have, so that it is a text.
        """
        good = {name: one.is_good for name, one in self.by_name.items()}
        if len(good) == 1:
            return {"credential": good.popitem()[1]}
        bad = "its routes answer 503 CREDENTIAL_UNAVAILABLE" if any(good.values()) else False
        return {f"credential of {name}": is_good or bad for name, is_good in good.items()}


def reach_all(
    apis: Mapping[str, Upstream], authorities: str, allowed: int, means: Means, before: AllReached | None = None
) -> AllReached:
    """Return what reaches each upstream; together they have `allowed` connections, each its part of them."""
    wanted = sum(one.connections for one in apis.values())
    known = {} if before is None else before.by_name
    return AllReached(
        {
            name: reach(
                *(name, one, authorities, max(1, one.connections * allowed // wanted), means),
                before=known.get(name),
            )
            for name, one in apis.items()
        }
    )


def _tunnel(proxy: Proxy | None) -> Tunnel | None:
    if proxy is None:
        return None
    return tunnel(proxy.url, proxy.username, None if proxy.password is None else proxy.password.get_secret_value())
