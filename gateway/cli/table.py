"""The table that `gateway check` prints: every route, and what each caller may do on it."""

from rich.table import Column, Table

from gateway.config.compile import route as compile_route
from gateway.config.model import Config
from gateway.guard.rules import RULES as GUARD_RULES
from gateway.scope.rules import RULES as SCOPE_RULES
from gateway.vocab.messages import CallerKind
from gateway.vocab.policy import Access


def whole(*headers: str, title: str | None = None) -> Table:
    """Return a table that folds what is too long for a narrow terminal, and leaves nothing out."""
    return Table(*(Column(header, overflow="fold") for header in headers), title=title)


def coverage_table(config: Config) -> Table:
    """Return routes x callers; what is not there answers 404 or 405."""
    table = whole("route", "methods", "path", *CallerKind, title=f"{len(config.routes)} routes, no fault found")
    for model in config.routes:
        route = compile_route(model)
        cells = (describe(route.access.get(kind)) for kind in CallerKind)
        table.add_row(route.name, " ".join(model.methods), route.path, *cells)
    return table


def describe(access: Access | None) -> str:
    """Say in a few words what a caller may do."""
    if access is None:
        return "403"
    if access.is_open:
        return "open"
    return " ".join(rule_names(access))


def rule_names(access: Access) -> list[str]:
    """Return the rules of an access by their names in the routing file, in order."""
    return [name_of(rule) for rule in (*access.scope, *access.guards)]


def name_of(rule: object) -> str:
    """Return a rule's name in the routing file."""
    return next(name for name, kind in (*SCOPE_RULES.items(), *GUARD_RULES.items()) if isinstance(rule, kind))
