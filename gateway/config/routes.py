"""Turns the routes of a checked Config into those that requests are matched with: all that `check` needs of compile."""

from collections.abc import Mapping, Sequence

from gateway.config.evidence import knows_the_customer
from gateway.config.lending import credentials
from gateway.config.model import AccessPerCaller, Config, Route, Rules
from gateway.config.records import form
from gateway.guard.rules import RULES as GUARD_RULES
from gateway.scope.core import RuleOptions
from gateway.scope.names import fold
from gateway.scope.rules import RULES as SCOPE_RULES
from gateway.scope.rules.body_fields import BodyFields
from gateway.vocab import policy
from gateway.vocab.messages import CallerKind
from gateway.wire.pointer import split
from gateway.wire.public_paths import PublicPaths

_CHANGE = policy.Passwords.CHANGE
_END_SESSIONS = frozenset({policy.Passwords.CHANGE, policy.Passwords.FORGET})


Unproven = Mapping[tuple[str, CallerKind], frozenset[str]]
"""By route and caller the methods for which nothing proves whose the record is (`proof.unproven_owners`)."""
_NONE: Unproven = {}


def route(config: Config, model: Route, unproven: Unproven = _NONE) -> policy.Route:
    """Compile one route of a file. Where the upstream verifies, passwords are fields whose change ends sessions."""
    keeps_passwords = config.customers.verify == "store"
    upstream = model.upstream or config.first
    return policy.Route(
        name=model.name,
        path=model.path.removesuffix("/"),
        methods=frozenset(model.methods),
        access=dict(_access(config, model, unproven)),
        query=frozenset(model.query),
        upstream=upstream,
        sends_to=model.sends_to,
        reserved=_reserved(model),
        passwords=model.passwords if keeps_passwords or model.passwords in _END_SESSIONS else None,
        body_limit=model.limits.body,
        answer_limit=model.limits.answer,
        stream_limit=model.limits.stream,
        idle_limit=model.limits.idle,
        set_cookie=model.set_cookie,
        answer_headers=frozenset(model.answer_headers),
        closes_on_violation=model.on_violation == "close_route",
        is_alike=_is_alike(model.access),
        idempotency_key=_idempotency_key(model),
        form=config.form_of(model),
        forms={name: form(config.records, one.records) for name, one in config.apis.items() if name != upstream},
    )


def name_of(rule: object) -> str:
    """Return a rule's name in the routing file."""
    return next(name for name, kind in (*SCOPE_RULES.items(), *GUARD_RULES.items()) if isinstance(rule, kind))


def endpoints(config: Config) -> Sequence[tuple[policy.Endpoint, str, str, str]]:
    """Return what the gateway answers itself: the endpoint, its method, its path, and what in the file says so."""
    login, customers = config.customers.login_path, customers_path(config)
    forgotten = (
        (policy.Endpoint.PASSWORD_RESETS, "POST", f"{customers}/password-resets", "resets below customers.path"),
        (policy.Endpoint.PASSWORDS, "POST", f"{customers}/passwords", "new passwords below customers.path"),
    )
    return (
        (policy.Endpoint.BEARER, "POST", config.clients.path, "clients.path"),
        (policy.Endpoint.LOGIN, "POST", login, "customers.login_path"),
        (policy.Endpoint.LOGOUT, "DELETE", login, "customers.login_path"),
        (policy.Endpoint.LOGOUT_EVERYWHERE, "DELETE", f"{customers}/{{id}}/tokens", "log-outs below customers.path"),
        (policy.Endpoint.BLOCK, "PUT", f"{customers}/{{id}}/block", "blocks below customers.path"),
        (policy.Endpoint.UNBLOCK, "DELETE", f"{customers}/{{id}}/block", "blocks below customers.path"),
        *(forgotten if config.customers.verify == "store" else ()),
        (policy.Endpoint.JWKS, "GET", policy.JWKS_PATH, "the public keys"),
    )


def public_paths(config: Config, name: str, *, are_all: bool = False) -> PublicPaths:
    """Return which paths of an upstream clients know by others, or all that they know.

    One that several routes lead to is the first one's.
    """
    pairs = {
        one.upstream_path or one.path: one.path
        for one in reversed(config.routes)
        if (are_all or one.upstream_path is not None) and (one.upstream or config.first) == name
    }
    return PublicPaths(pairs.items())


def customers_path(config: Config) -> str:
    """Return under which path clients know the customers: that of a route which leads to them by `upstream_path`."""
    paths = public_paths(config, config.first)
    for below in ("/0", ""):
        public = paths.public(config.customers.path + below)
        if public is not None and public.removesuffix("/").endswith(below):
            return public.removesuffix("/").removesuffix(below)
    return config.customers.path


def _idempotency_key(model: Route) -> policy.IdempotencyKey:
    # An intent of ours makes repeats of these safe, and no other party shall keep an answer with a password.
    if model.passwords not in {None, policy.Passwords.SHOW}:
        return policy.IdempotencyKey.OFF
    return model.idempotency_key or policy.IdempotencyKey.PASS


def _reserved(model: Route) -> frozenset[str]:
    """Return the folded names of the query parameters that are the gateway's own on a route."""
    names = frozenset() if model.sends_to is None else model.sends_to.names
    return frozenset(fold(name.partition("[")[0]) for name in names)


def _is_alike(model: AccessPerCaller) -> bool:
    """Tell whether it makes no difference who is logged in: the same rules, and none that knows the customer."""
    return model.public is not None and model.public == model.customer and not knows_the_customer(model.public)


def _access(config: Config, model: Route, unproven: Unproven) -> Sequence[tuple[CallerKind, policy.Access]]:
    return [
        (
            kind,
            policy.Access(
                _scope(config, model, rules) if isinstance(rules, Rules) else (),
                rules.guard_rules if isinstance(rules, Rules) else (),
                unproven.get((model.name, kind), frozenset()) if isinstance(rules, Rules) else frozenset(),
                *credentials(config, model, kind, rules),
            ),
        )
        for kind, rules in model.access.named
    ]


def _scope(config: Config, model: Route, rules: Rules) -> tuple[policy.ScopeRule, ...]:
    """Let the current password pass each list of fields where a password may be changed: it never goes upstream."""
    how = config.customer_form
    if config.customers.verify != "store" or model.passwords != _CHANGE:
        return rules.scope_rules
    made = config.form_of(model)
    place = (*made.body_at, *how.password_at[:-1], policy.CURRENT_PASSWORD)
    return tuple(_with_field(rule, place, made.body_at) for rule in rules.scope_rules)


def _with_field(rule: RuleOptions, place: Sequence[str], body_at: Sequence[str]) -> RuleOptions:
    if not isinstance(rule, BodyFields) or rule.allow is None:
        return rule
    above = tuple(body_at) if rule.pointer is None else split(rule.pointer)
    if tuple(place[: len(above)]) != above:
        return rule
    return BodyFields(**{**dict(rule), "allow": (*rule.allow, "/".join(place[len(above) :]))})
