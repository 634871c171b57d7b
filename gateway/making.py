"""Makes all that one configuration says, for a process that serves by it; some of it is taken over from the one before.

It reads nothing, opens nothing and starts nothing: what was made may be dropped.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from gateway.authn.keyring import KeyRing
from gateway.carrying.outbox import Outbox
from gateway.config.compile import key_ring, snapshot
from gateway.config.customers import Bucket, Throttle, login_form
from gateway.config.load import Loaded
from gateway.config.model import Config
from gateway.flow import Flow, Handler, PasswordKeeper
from gateway.reaching import Means, reach_all
from gateway.reload import Made
from gateway.server.descriptors import Exhaustion
from gateway.server.edge import Serving
from gateway.server.peer import Peers
from gateway.stores import CredentialStore
from gateway.tokens.admission import Admission, Work
from gateway.tokens.api import Clients, TokenApi
from gateway.tokens.attempts import Attempts, Together
from gateway.tokens.consent import Consent
from gateway.tokens.directory import Directory
from gateway.tokens.ending import SessionEnder
from gateway.tokens.keeper import Keeper
from gateway.tokens.live import LiveView
from gateway.tokens.login import Login, StoreVerifier, UpstreamVerifier, Verifier
from gateway.tokens.logout import LogoutApi
from gateway.tokens.passwords import PasswordHasher
from gateway.tokens.patience import Patience
from gateway.tokens.registration import Registrar
from gateway.tokens.reset_api import ResetApi
from gateway.tokens.resets import Resets
from gateway.tokens.sessions import Sessions
from gateway.tokens.throttle import Counted, Limit
from gateway.upstream.backend import Backend
from gateway.vocab.events import Emit
from gateway.vocab.policy import Endpoint, HeadLimits
from gateway.wire.client_address import Proxies, public_lines
from gateway.wire.counting import counting

# Accounts and addresses of each kind of password work: a few MiB at the most.
_THROTTLE_KEYS = 50_000


@dataclass(frozen=True, slots=True)
class Kept:
    """What a process has, whatever its configuration; `now` is epoch time, `clock` measures, both in seconds."""

    now: Callable[[], float]
    clock: Callable[[], float]
    emit: Emit
    outbox: Outbox
    connections: int
    store: CredentialStore
    live: LiveView
    sessions: Sessions
    hasher: PasswordHasher | None
    together: Together
    closed_routes: set[str] = field(default_factory=set)
    counted: defaultdict[str, Counted] = field(default_factory=lambda: defaultdict(partial(Counted, _THROTTLE_KEYS)))


def make(kept: Kept, loaded: Loaded, before: Made | None) -> Made:
    """Make all that a configuration says, without I/O: some of it may be taken over from the one before."""
    config, emit, server = loaded.config, kept.emit, loaded.config.server
    heads = HeadLimits(**dict(config.limits.head))
    means = Means(kept.outbox, heads, emit, kept.now, kept.clock, Exhaustion(emit, kept.clock))
    reached_before = None if before is None else before.reached
    reached = reach_all(config.apis, loaded.authorities, kept.connections, means, reached_before)
    ring = key_ring(config)
    keeper, verifier, resets = _passwords(config, reached.backends[config.first], kept)
    limits = config.customers.throttle
    login = Login(verifier, kept.sessions, _attempts("login", limits.account, limits.address, kept), emit)
    is_id = config.customer_id_pattern.fullmatch
    own = _endpoints(config, login, ring, LogoutApi(kept.store, kept.live, is_id), resets)
    flow = Flow(
        *(reached.backends, reached.parents, keeper, own, emit),
        revocations=kept.live.value,
        token_header=config.tokens.header,
        counted=counting(knows_proxies=bool(server.trusted_proxies)),
        closed=kept.closed_routes,
    )
    peers = _peers(config, emit) if before is None or before.config.server != server else before.serving.peers
    serving = Serving(snapshot(config, ring), flow, reached.pools, peers, server.keepalive, heads, server.half_closed)
    return Made(loaded, serving, reached)


def _passwords(config: Config, backend: Backend, kept: Kept) -> tuple[PasswordKeeper, Verifier, Resets | None]:
    """Make what keeps and compares passwords: the store's way or the upstream's."""
    customers = config.customers
    pattern = config.customer_id_pattern
    store, hasher, live, emit = kept.store, kept.hasher, kept.live, kept.emit
    how = config.customer_form
    if hasher is None:
        public = public_lines(config.public_url)
        verifier = UpstreamVerifier(backend, store, login_form(customers, how), how, pattern.fullmatch, public)
        return SessionEnder(store, live, emit, how), verifier, None
    directory = Directory(backend, how, pattern)
    limits = customers.throttle
    admission = _admission(limits, kept)
    registered = _attempts("registered", limits.account, limits.address, kept)
    registrar = Registrar(directory, store, hasher, registered, kept.now, Patience(customers.read_back))
    consent = Consent(directory, store, hasher, is_required=customers.change_requires == "password")
    keeper = Keeper(store, hasher, registrar, admission, consent, emit, catch_up=live.catch_up)
    resets = Resets(directory, store, hasher, admission, kept.now, emit, catch_up=live.catch_up)
    return keeper, StoreVerifier(directory, store, hasher, kept.now, emit), resets


def _peers(config: Config, emit: Emit) -> Peers:
    server = config.server
    proxies = Proxies(server.trusted_proxies, server.client_address_header)
    return Peers(proxies, emit, speaks_proxy=server.proxy_protocol == "required")


def _admission(limits: Throttle, kept: Kept) -> Admission:
    registrations, changes, resets = limits.registrations, limits.password_changes, limits.resets
    buckets = {
        Work.REGISTRATION: (registrations.email, registrations.address),
        # What has no account, or no address, is not counted by it.
        Work.PASSWORD_CHANGE: (changes, changes),
        Work.RESET: (resets.email, resets.email),
        Work.NEW_PASSWORD: (resets.address, resets.address),
    }
    return Admission({work: _attempts(work, *of_work, kept) for work, of_work in buckets.items()}, kept.emit)


def _attempts(kind: str, account: Bucket, address: Bucket, kept: Kept) -> Attempts:
    """Return what limits one kind of password work; what was counted before goes on to be, by these limits."""
    return Attempts(kind, _limit(account), _limit(address), kept.counted[kind], kept.together, kept.clock)


def _limit(bucket: Bucket) -> Limit:
    return Limit(bucket.burst, bucket.per_minute)


def _endpoints(
    config: Config, login: Login, ring: KeyRing, logout: LogoutApi, resets: Resets | None
) -> Mapping[Endpoint, Handler]:
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
    forgotten: dict[Endpoint, Handler] = {}
    if resets is not None:
        of_resets = ResetApi(resets)
        forgotten = {Endpoint.PASSWORD_RESETS: of_resets.ask, Endpoint.PASSWORDS: of_resets.spend}
    return forgotten | {
        Endpoint.BEARER: api.issue_bearer,
        Endpoint.LOGIN: api.issue_customer_token,
        Endpoint.LOGOUT: logout.log_out,
        Endpoint.LOGOUT_EVERYWHERE: logout.log_out_everywhere,
        Endpoint.BLOCK: logout.block,
        Endpoint.UNBLOCK: logout.unblock,
        Endpoint.JWKS: api.publish_keys,
    }
