"""What the prover takes from a routing file: routes, where owners stand, and which parameters are keys. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from gateway.config.model import Config
from gateway.config.routes import route as compile_route
from gateway.routing import Part, parse_template, shape
from gateway.scope.rules.body_fields import BodyFields
from gateway.scope.rules.body_stamp import BodyStamp
from gateway.scope.rules.filter import Filter
from gateway.scope.rules.path_owner import PathOwner
from gateway.vocab.messages import CallerKind
from gateway.vocab.policy import Access, Passwords, Route
from gateway.vocab.record_form import RecordForm
from gateway.wire.pointer import split

Pointer = tuple[str, ...]
LOGIN_ROUTE = "login"


@dataclass(frozen=True, slots=True)
class FilterFacts:
    """How the filter that narrows a route is written."""

    field: str
    aliases: tuple[str, ...]
    dialect: str
    parameter: str


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """One route, as an attacker with the routing file in hand sees it.

    `fields` are those that a customer's body may have. `owners` are the places of an owner's id in a record. `is_key`
    says that who knows the path may use it: B's is never handed to A, but may not be found either.
    """

    name: str
    path: str
    parts: tuple[Part, ...]
    methods: tuple[str, ...]
    access: Mapping[CallerKind, Access]
    query: tuple[str, ...]
    form: RecordForm
    filter: FilterFacts | None
    owners: tuple[Pointer, ...]
    stamps: tuple[BodyStamp, ...]
    fields: tuple[str, ...]
    own_parameters: frozenset[str]
    is_key: bool
    registers: bool

    def is_relayed(self, kind: CallerKind) -> bool:
        """Whether nothing narrows or judges what this kind of caller does here."""
        access = self.access.get(kind)
        return access is not None and access.is_open


def read(config: Config, keys: Collection[str] = ()) -> tuple[RouteFacts, ...]:
    """Return the facts of every route; a route below a path of `keys` is one that a key opens."""
    shapes = tuple(shape(key) for key in keys)
    return tuple(
        _facts(compile_route(config, model), shapes, registers=model.passwords is Passwords.REGISTER)
        for model in config.routes
    )


def _facts(route: Route, keys: Iterable[str], *, registers: bool) -> RouteFacts:
    form = route.form
    own = route.access.get(CallerKind.CUSTOMER, Access())
    rules = [rule for access in route.access.values() for rule in (*access.scope, *access.guards)]
    # Whatever names a place by `pointer` and asks for no body names an owner: guards, and the parents of requests.
    owners = {
        split(pointer)
        for rule in rules
        if not isinstance(rule, BodyStamp) and not getattr(rule, "needs_body", False)
        for pointer in [getattr(rule, "pointer", None)]
        if isinstance(pointer, str)
    }
    owners |= {tuple(rule.field.split(".")) for rule in rules if isinstance(rule, Filter)}
    here = shape(route.path)
    return RouteFacts(
        name=route.name,
        path=route.path,
        parts=parse_template(route.path),
        methods=tuple(sorted(route.methods)),
        access=route.access,
        query=tuple(sorted(route.query or ())),
        form=form,
        filter=next(
            (
                FilterFacts(
                    rule.field, rule.aliases, rule.dialect or form.dialect, rule.parameter or form.filter_parameter
                )
                for rule in rules
                if isinstance(rule, Filter)
            ),
            None,
        ),
        owners=tuple(sorted(owners)),
        stamps=tuple({rule.pointer: rule for rule in rules if isinstance(rule, BodyStamp)}.values()),
        fields=next((rule.allow or () for rule in own.scope if isinstance(rule, BodyFields)), ()),
        own_parameters=frozenset(rule.parameter for rule in rules if isinstance(rule, PathOwner)),
        is_key=any(here == key or here.startswith(key + "/") for key in keys),
        registers=registers,
    )


def fill(route: RouteFacts, values: Callable[[str, str], Iterable[str]]) -> list[tuple[str, ...]]:
    """Return the segments of every path that a route has for some known ids.

    `values` gives the ids for a parameter, by the path before it and the parameter's name.
    """
    found: list[tuple[str, ...]] = [()]
    for part in route.parts:
        if not part.is_parameter:
            found = [(*path, part.text) for path in found]
            continue
        found = [(*path, value) for path in found for value in values("/" + "/".join(path), part.text)]
    return found
