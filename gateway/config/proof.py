"""The static proof: what each caller gets from each method of each path, and why that is nobody else's. Pure.

It reads the routing file alone. That rules do what their manuals say is what the tests are for; that a running gateway
and its API do is what `gateway verify` is for.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from gateway.config.apiside import Upstream
from gateway.config.evidence import Evidence, Finding, knows_the_customer, parent_position
from gateway.config.lending import lent_freely
from gateway.config.model import Config, Route, Rules
from gateway.config.reach import TAIL, Template, Tree, is_taken, meet, rank, reaches, spelled
from gateway.config.routes import endpoints
from gateway.config.texts import read_address
from gateway.guard.core import GuardOptions
from gateway.guard.rules.belongs_to import BelongsTo
from gateway.guard.rules.owner import Owner
from gateway.routing import Part, parse_template, shape
from gateway.scope.core import RuleOptions
from gateway.scope.rules.filter import Filter
from gateway.scope.rules.parent_owner import ParentOwner
from gateway.scope.rules.path_owner import PathOwner
from gateway.vocab.messages import CallerKind

_T = TypeVar("_T")
Host = tuple[str, int | None]


class Verdict(StrEnum):
    """What is known of one method of one path for one kind of caller."""

    ISOLATED = "isolated"
    GUESTS = "guests only"
    PUBLIC = "public"
    TRUSTED = "trusted only"
    DENIED = "denied"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class Decision:
    """One verdict and the rules it stands on; for an unproven one what is missing, and why it may stay all the same."""

    route: str
    method: str
    path: str
    caller: CallerKind
    verdict: Verdict
    scope: tuple[RuleOptions, ...] = ()
    guards: tuple[GuardOptions, ...] = ()
    missing: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """What is worth knowing of some routes although nothing is wrong with them."""

    routes: tuple[str, ...]
    what: str


@dataclass(frozen=True, slots=True)
class Proof:
    """Every decision, what is missing for a proof, and notes. What is `answered_here` never reaches the upstream."""

    decisions: tuple[Decision, ...]
    faults: tuple[Finding, ...]
    notes: tuple[Note, ...]
    answered_here: tuple[tuple[str, str], ...]

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many decisions have each verdict."""
        counted = Counter(decision.verdict for decision in self.decisions)
        return {verdict: counted[verdict] for verdict in Verdict}


@dataclass(frozen=True, slots=True)
class _File:
    """What a route must know of the others: which collections have owners and who says so, and what answers where.

    Records are an upstream's: collections stand by its host, at their whole paths there, for another upstream may be
    below it; what answers where stands at public paths. A claim stands at its collection and at all that lies below.
    """

    claims: Mapping[Host, Tree[tuple[Template, str]]]
    nodes: Tree[Mapping[str, str]]
    config: Config

    def claims_near(self, route: Route, template: Template) -> list[tuple[Template, tuple[Template, str]]]:
        """Return the claims that meet a path of the upstream of a route, with where they stand; whole paths all."""
        host, base = _place(self.config.api_of(route))
        return self.claims[host].meeting((*base, *template)) if host in self.claims else []


def _place(upstream: Upstream) -> tuple[Host, Template]:
    host, segments = read_address(upstream.url)
    return host, tuple(map(Part, segments))


def _file(config: Config) -> _File:
    claims: dict[Host, list[tuple[Template, tuple[Template, str]]]] = {}
    for upstream, below, says in _claims(config):
        host, base = _place(config.apis[upstream])
        collection = (*base, *below)
        claims.setdefault(host, []).extend((at, (collection, says)) for at in (collection, (*collection, TAIL)))
    trees = {host: Tree(found) for host, found in claims.items()}
    return _File(trees, _nodes(config), config)


def answered_here(config: Config) -> tuple[tuple[str, str], ...]:
    """Return the methods and paths that the gateway answers itself."""
    return tuple((method, path) for _, method, path, _ in endpoints(config))


def prove(config: Config) -> Proof:
    """Return what a routing file proves whose single values are right."""
    file = _file(config)
    decisions: list[Decision] = []
    faults: list[Finding] = []
    notes = [*_shadows(file), *(Note((name,), what) for name, what in lent_freely(config))]
    for index, route in enumerate(config.routes):
        decided = [*_decide(route, file)]
        decisions += (decision for decision, _, _ in decided)
        gaps = [*_by_methods((decision.method, gap) for decision, found, _ in decided for gap in found)]
        if route.insecure_unproven is None:
            faults += ((("routes", index, *where), f"{methods}: {what}", hint) for methods, (where, what, hint) in gaps)
        elif not gaps:
            what = "nothing is to be excused: this route keeps customers' records apart"
            faults.append((("routes", index, "insecure_unproven"), what, "remove the key"))
        told = _by_methods((decision.method, what) for decision, _, found in decided for what in found)
        notes += (Note((route.name,), f"{methods}: {what}") for methods, what in told)
    return Proof(tuple(decisions), tuple(faults), tuple(notes), answered_here(config))


def unproven_owners(config: Config) -> Mapping[tuple[str, CallerKind], frozenset[str]]:
    """Return, by route and caller, the methods by which a record is asked for whose owner nothing proves before."""
    file = _file(config)
    found = {}
    for route in config.routes:
        for caller in (CallerKind.PUBLIC, CallerKind.CUSTOMER):
            if isinstance(getattr(route.access, caller), Rules):
                evidence = _evidence(route, caller, file)
                unproven = (method for method in route.methods if not evidence.proves_owner(method))
                found[route.name, caller] = frozenset(unproven)
    return found


def _by_methods(found: Iterator[tuple[str, _T]]) -> Iterator[tuple[str, _T]]:
    """Yield what was found once, with all methods it was found for."""
    methods: dict[_T, dict[str, None]] = {}
    for method, item in found:
        methods.setdefault(item, {})[method] = None
    yield from ((", ".join(named), item) for item, named in methods.items())


def _decide(route: Route, file: _File) -> Iterator[tuple[Decision, list[Finding], list[str]]]:
    """Yield each decision of a route with what is missing and what is worth knowing."""
    verdicts: dict[str, Verdict] = {}
    for caller in (CallerKind.PUBLIC, CallerKind.CUSTOMER, CallerKind.TRUSTED):
        access = getattr(route.access, caller)
        evidence = _evidence(route, caller, file)
        rules = evidence.rules
        for method in dict.fromkeys(route.methods):
            gaps: list[Finding] = []
            notes: list[str] = []
            if access is None:
                verdict = Verdict.DENIED
            elif caller is CallerKind.TRUSTED:
                is_public = verdicts[method] is Verdict.PUBLIC
                verdict = Verdict.PUBLIC if is_public else Verdict.TRUSTED
            else:
                gaps = [*evidence.gaps(method)]
                notes = [] if gaps else [*evidence.notes(method)]
                owner = Verdict.ISOLATED if caller is CallerKind.CUSTOMER else Verdict.GUESTS
                verdict = Verdict.UNPROVEN if gaps else owner if evidence.knows else Verdict.PUBLIC
            if caller is CallerKind.PUBLIC:
                verdicts[method] = verdict
            yield (
                Decision(
                    *(route.name, method, route.path, caller, verdict),
                    *(rules.scope_rules, rules.guard_rules),
                    missing=tuple(what for _, what, _ in gaps),
                    reason=route.insecure_unproven if gaps else None,
                ),
                gaps,
                notes,
            )


def _evidence(route: Route, caller: CallerKind, file: _File) -> Evidence:
    access = getattr(route.access, caller)
    template = route.template
    owned = frozenset(
        position
        for position, part in enumerate(template)
        if part.is_parameter
        and any(at == collection for at, (collection, _) in file.claims_near(route, template[:position]))
    )
    rules = access if isinstance(access, Rules) else Rules()
    return Evidence(route, caller, rules, owned, _claim(route, file), file.config.form_of(route))


def _claim(route: Route, file: _File) -> str:
    """Return what says that the records of a route have owners; empty where nothing does."""
    for caller, access in route.access:
        if knows_the_customer(access):
            return f"its own rules for {caller}"
    template, (_, base) = route.template, _place(file.config.api_of(route))
    for _, (collection, says) in file.claims_near(route, template):
        # Another route takes public paths away; where a request goes then is no matter of theirs, nor of a claim that
        # begins elsewhere than the upstream.
        is_here = collection[: len(base)] == base and route.sends_to is None
        if reaches((*base, *template), collection, ()) and (
            not is_here or reaches(template, collection[len(base) :], file.nodes)
        ):
            return says
    return ""


def _claims(config: Config) -> Iterator[tuple[str, Template, str]]:
    """Yield the collections whose records have owners, each with its upstream and who says so.

    Rules that read the owner of a collection's records say so. A stamp on what lies below a record does not: a cart is
    whoever's knows its reference, and a checkout is stamped nevertheless.
    """
    yield config.first, parse_template(config.customers.path), "customers.path"
    seen: set[tuple[str, str]] = set()
    for route in config.routes:
        for _, access in route.access:
            for said, collection in _owned_collections(route, route.template, access):
                upstream = said or route.upstream or config.first
                if collection and (upstream, spelled(collection)) not in seen:
                    seen.add((upstream, spelled(collection)))
                    yield upstream, collection, f"route {route.name}"


def _owned_collections(route: Route, template: Template, access: object) -> Iterator[tuple[str | None, Template]]:
    """Yield collections with the upstream that a rule names, if it names one."""
    if not isinstance(access, Rules):
        return
    names = [part.text if part.is_parameter else "" for part in template]
    is_by_id = template[-1].is_parameter
    for rule in access.scope_rules:
        if isinstance(rule, PathOwner) and rule.parameter in names:
            yield None, template[: names.index(rule.parameter)]
        elif isinstance(rule, ParentOwner) and (position := parent_position(route, rule)) is not None:
            yield rule.upstream, template[:position]
        elif isinstance(rule, ParentOwner) and len(set(rule.parameters)) == len(rule.parameters):
            yield rule.upstream, parse_template(rule.path or route.path)[:-1]
    reads_owners = any(
        isinstance(rule, (Filter, Owner, BelongsTo)) for rule in (*access.scope_rules, *access.guard_rules)
    )
    if reads_owners and (is_by_id or "GET" in route.methods):
        yield None, template[:-1] if is_by_id else template


def _nodes(config: Config) -> Tree[Mapping[str, str]]:
    """Return what answers where: templates, their methods, and the route of each."""
    templates: dict[str, Template] = {}
    nodes: dict[str, dict[str, str]] = {}
    answers = [("", path, method) for method, path in answered_here(config)]
    answers += [(route.name, route.path, method) for route in config.routes for method in route.methods]
    for name, path, method in answers:
        templates.setdefault(shape(path), parse_template(path))
        nodes.setdefault(shape(path), {})[method] = name
    return Tree((templates[key], node) for key, node in nodes.items())


def unreachable(config: Config) -> Iterator[int]:
    """Yield the routes, by their place in the file, whose every path belongs to more specific ones."""
    nodes = _nodes(config)
    for index, route in enumerate(config.routes):
        template = parse_template(route.path)
        if is_taken(template, template, nodes):
            yield index


def _shadows(file: _File) -> Iterator[Note]:
    """Yield where a more specific path takes some away from another one and does not answer all of its methods."""
    for template, methods in file.nodes:
        for other, answered in file.nodes.meeting(template):
            paths = meet(template, other) if rank(other) < rank(template) else None
            lost = {method: name for method, name in methods.items() if method not in answered}
            if paths and lost and not is_taken(paths, other, file.nodes):
                owners = dict.fromkeys(name or "the gateway itself" for name in answered.values())
                what = f"{', '.join(lost)}: {spelled(paths)} answers 405, for it belongs to {', '.join(owners)}"
                yield Note(tuple(dict.fromkeys(lost.values())), what)
