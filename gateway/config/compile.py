"""Turns a checked Config into the frozen values that requests are decided with. No I/O."""

import hashlib

from gateway.authentication import Callers
from gateway.authn.bearer import BearerVerifier
from gateway.authn.customer import CustomerVerifier
from gateway.authn.key import generate, load_key
from gateway.authn.keyring import KeyRing
from gateway.config.apiside import Upstream
from gateway.config.credential import who
from gateway.config.model import Config
from gateway.config.proof import unproven_owners
from gateway.config.routes import endpoints, public_paths, route
from gateway.decision import Snapshot
from gateway.routing import RouteTable
from gateway.vocab import policy
from gateway.vocab.algorithm import Algorithm
from gateway.vocab.messages import CallerKind
from gateway.wire.api import Api
from gateway.wire.client_address import public_lines
from gateway.wire.cors import Cors
from gateway.wire.headers import FORWARDED, GATEWAY
from gateway.wire.links import LinkRewriter
from gateway.wire.location import Places
from gateway.wire.target import authority

_EVERYBODY = dict.fromkeys(CallerKind, policy.Access())
_TRUSTED = {CallerKind.TRUSTED: policy.Access()}
# Each of them: one that is forgotten here is a failure, and open to nobody.
_ASKED_BY = {
    policy.Endpoint.BEARER: _EVERYBODY,
    policy.Endpoint.LOGIN: _EVERYBODY,
    policy.Endpoint.LOGOUT: {CallerKind.CUSTOMER: policy.Access()},
    policy.Endpoint.LOGOUT_EVERYWHERE: _TRUSTED,
    policy.Endpoint.BLOCK: _TRUSTED,
    policy.Endpoint.UNBLOCK: _TRUSTED,
    policy.Endpoint.PASSWORD_RESETS: _TRUSTED,
    policy.Endpoint.PASSWORDS: _EVERYBODY,
    policy.Endpoint.JWKS: _EVERYBODY,
}


def key_ring(config: Config) -> KeyRing:
    """Return the signing keys; a fresh one where the file asks for an ephemeral key."""
    texts = [text.get_secret_value() for text in config.tokens.keys]
    if not texts and config.insecure_ephemeral_key:
        texts = [generate(Algorithm.EDDSA)]
    return KeyRing([load_key(text) for text in texts])


def snapshot(config: Config, ring: KeyRing) -> Snapshot:
    """Compile the configuration."""
    tokens, clients = config.tokens, config.clients
    public = {(CallerKind.PUBLIC, client.id) for client in clients.implicit}
    trusted = {(CallerKind.TRUSTED, client.id) for client in clients.client_credentials}
    unproven = unproven_owners(config)
    routes = [route(config, model, unproven) for model in config.routes]
    return Snapshot(
        routes=RouteTable([*routes, *_endpoints(config)]),
        callers=Callers(
            BearerVerifier(ring, tokens.issuer, tokens.audience, tokens.bearer_life),
            CustomerVerifier(
                *(ring, tokens.issuer, tokens.audience, tokens.customer_life),
                config.customer_id_pattern,
            ),
            frozenset(public | trusted),
            requires_bearer=clients.require,
            token_header=tokens.header,
        ),
        apis={name: _api(config, name, upstream) for name, upstream in config.apis.items()},
        cors=Cors(
            *(frozenset(config.cors.origins), int(config.cors.max_age), (tokens.header, *config.cors.headers)),
            expose=tuple(
                dict.fromkeys((*config.cors.expose, *(name for one in config.routes for name in one.answer_headers)))
            ),
        ),
        authorities=_authorities(config),
        pseudonym=pseudonym(config),
        keeps_request_ids=config.server.request_id == "keep",
        public=public_lines(config.public_url),
    )


def _api(config: Config, name: str, upstream: Upstream) -> Api:
    """Compile what is known of one upstream."""
    paths = public_paths(config, name)
    others = [
        (origin, public_paths(config, other, are_all=True))
        for other, one in config.apis.items()
        for origin in (one.url, *one.link_origins)
        if other != name
    ]
    return Api(
        FORWARDED | set(upstream.forward_headers),
        LinkRewriter((upstream.url, *upstream.link_origins), config.public_url, paths, others),
        Places(upstream.url, upstream.link_origins, config.public_url, upstream.redirect_origins, paths, others),
    )


def pseudonym(config: Config) -> str:
    """Return who this deployment is in Via: the same in all its replicas and after every restart, another's nowhere.

    It is made of what one deployment shares and no two have in common, and of no secret, or it would change with it.
    """
    if config.server.pseudonym is not None:
        return config.server.pseudonym
    known = [text for one in config.apis.values() for text in (one.url, who(one.credential))]
    told = "\n".join((*known, config.public_url, config.tokens.issuer, config.tokens.audience))
    return f"{GATEWAY}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def _authorities(config: Config) -> frozenset[str]:
    """Return how clients name the gateway in targets in absolute form."""
    public = [authority(scheme, rest.partition("/")[0]) for scheme, _, rest in [config.public_url.partition("://")]]
    return frozenset((*public, *(authority("http", host) for host in config.server.hosts))) - {""}


def _endpoints(config: Config) -> list[policy.Route]:
    return [
        policy.Route(
            *(endpoint.value, path, frozenset({method}), _ASKED_BY[endpoint]), upstream=config.first, endpoint=endpoint
        )
        for endpoint, method, path, _ in endpoints(config)
    ]
