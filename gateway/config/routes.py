"""Turns the routes of a checked Config into those that requests are matched with: all that `check` needs of compile."""

from collections.abc import Mapping, Sequence

from gateway.config.evidence import knows_the_customer
from gateway.config.model import Access, AccessPerCaller, Config, Route, Rules
from gateway.config.records import form
from gateway.vocab import policy
from gateway.vocab.messages import CallerKind

_OPEN = policy.Access()


Unproven = Mapping[tuple[str, CallerKind], frozenset[str]]
"""By route and caller the methods for which nothing proves whose the record is (`proof.unproven_owners`)."""
_NONE: Unproven = {}


def route(config: Config, model: Route, unproven: Unproven = _NONE) -> policy.Route:
    """Compile one route of a file. Where the upstream verifies, passwords are fields of a body like any other."""
    return policy.Route(
        name=model.name,
        path=model.path.removesuffix("/"),
        methods=frozenset(model.methods),
        access=dict(_access(model, unproven)),
        query=frozenset(model.query),
        passwords=None if config.customers.verify == "upstream" else model.passwords,
        body_limit=model.limits.body,
        answer_limit=model.limits.answer,
        stream_limit=model.limits.stream,
        idle_limit=model.limits.idle,
        set_cookie=model.set_cookie,
        answer_headers=frozenset(model.answer_headers),
        closes_on_violation=model.on_violation == "close_route",
        is_alike=_is_alike(model.access),
        idempotency_key=_idempotency_key(model),
        form=form(config.records, model.records),
    )


def _idempotency_key(model: Route) -> policy.IdempotencyKey:
    # An intent of ours makes repeats of these safe, and no other party shall keep an answer with a password.
    if model.passwords not in {None, policy.Passwords.SHOW}:
        return policy.IdempotencyKey.OFF
    return model.idempotency_key or policy.IdempotencyKey.PASS


def _is_alike(model: AccessPerCaller) -> bool:
    """Tell whether it makes no difference who is logged in: the same rules, and none that knows the customer."""
    return model.public is not None and model.public == model.customer and not knows_the_customer(model.public)


def _access(model: Route, unproven: Unproven) -> Sequence[tuple[CallerKind, policy.Access]]:
    access = model.access
    callers: tuple[tuple[CallerKind, Access | None], ...] = (
        (CallerKind.PUBLIC, access.public),
        (CallerKind.CUSTOMER, access.customer),
        (CallerKind.TRUSTED, access.trusted),
    )
    return [
        (
            kind,
            policy.Access(rules.scope_rules, rules.guard_rules, unproven.get((model.name, kind), frozenset()))
            if isinstance(rules, Rules)
            else _OPEN,
        )
        for kind, rules in callers
        if rules is not None
    ]
