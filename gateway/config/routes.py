"""Turns the routes of a checked Config into those that requests are matched with: all that `check` needs of compile."""

from collections.abc import Sequence

from gateway.config.model import Access, AccessPerCaller, Route, Rules
from gateway.vocab import policy
from gateway.vocab.messages import CallerKind

_OPEN = policy.Access()


def route(model: Route, verify: str = "store") -> policy.Route:
    """Compile one route. Where the upstream verifies, passwords are fields of a body like any other."""
    return policy.Route(
        name=model.name,
        path=model.path,
        methods=frozenset(model.methods),
        access=dict(_access(model.access)),
        query=frozenset(model.query),
        passwords=None if verify == "upstream" else model.passwords,
        body_limit=model.limits.body,
        answer_limit=model.limits.answer,
        stream_limit=model.limits.stream,
        idle_limit=model.limits.idle,
        set_cookie=model.set_cookie,
        closes_on_violation=model.on_violation == "close_route",
    )


def _access(model: AccessPerCaller) -> Sequence[tuple[CallerKind, policy.Access]]:
    callers: tuple[tuple[CallerKind, Access | None], ...] = (
        (CallerKind.PUBLIC, model.public),
        (CallerKind.CUSTOMER, model.customer),
        (CallerKind.TRUSTED, model.trusted),
    )
    return [
        (kind, policy.Access(access.scope_rules, access.guard_rules) if isinstance(access, Rules) else _OPEN)
        for kind, access in callers
        if access is not None
    ]
