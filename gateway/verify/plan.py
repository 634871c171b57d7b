"""Plans the attack: the requests for every route, method, caller and vector. Sends nothing."""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.verify import recipes
from gateway.verify.documents import is_moment, record_id
from gateway.verify.facts import LOGIN_ROUTE, RouteFacts
from gateway.verify.model import BODY_METHODS, Caller, Cell, Group, Person, Shot
from gateway.verify.vectors import LOGIN_VECTORS, ROUTE_VECTORS, Setting, Vector
from gateway.vocab.messages import CallerKind
from gateway.vocab.record_form import MOLTIN
from gateway.wire.pointer import placed, resolve
from gateway.wire.target import encode_path

# How many requests of a vector a caller sends: the customer's vary most, and matter most.
_MOST = {Caller.CUSTOMER: 10}
_FEW = 1
# On a route that is the same for everybody only tricks with the path and bodies that name B can lead to B; the other
# vectors are tried a little.
_OPEN_MOST = 1
_OPEN_GROUPS = frozenset({Group.HONEST, Group.SPELLING, Group.METHOD, Group.BODY})
# Of a caller that a route refuses whatever it says, what it says is not varied.
_REFUSED_GROUPS = frozenset(Group) - {Group.QUERY, Group.BODY, Group.REPRESENTATION}
# Who insists does so in headers already.
_INSISTENT_GROUPS = frozenset({Group.HONEST, Group.PATH, Group.QUERY, Group.BODY, Group.CACHE})
_KINDS = {Caller.PUBLIC: CallerKind.PUBLIC, Caller.ANONYMOUS: CallerKind.PUBLIC}
_FOREIGN = 4
_NOBODYS = "verify-nobody"
_UUID_GROUP = re.compile(r"[0-9a-f]")
_MADE_UP_LEAST = 12
"""Letters of an id that nobody has which are by chance."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One request of the plan."""

    cell: Cell
    shot: Shot
    route: RouteFacts | None = None

    @property
    def is_key(self) -> bool:
        """Whether a record of the answer may carry an id that was sent."""
        return self.route is not None and self.route.is_key


@dataclass(slots=True)
class Ground:
    """All that the plan needs to know. `samples` are records by the path of their collection, to write others alike."""

    routes: tuple[RouteFacts, ...]
    seeds: recipes.Seeds
    attacker: Person
    victim: Person
    customers_path: str
    login_path: str
    origin: str
    callers: frozenset[Caller]
    catalogue: dict[str, list[str]] = field(default_factory=dict)
    samples: dict[str, Any] = field(default_factory=dict)
    public_key: str = ""
    marks: int = 0

    def mark(self) -> str:
        """Return text that no other request carries."""
        self.marks += 1
        return f"{self.attacker.canary}-{self.marks:05d}"


def plan(ground: Ground) -> tuple[list[Trial], list[Cell]]:
    """Return every request, and every place of the matrix."""
    trials: list[Trial] = []
    cells: list[Cell] = []
    goals = _goals(ground)
    for route in ground.routes:
        for method in route.methods:
            setting = _setting(ground, route, method, goals)
            for caller in Caller:
                for vector in ROUTE_VECTORS:
                    cell = Cell(route.name, method, caller, vector.id)
                    cells.append(cell)
                    if caller in ground.callers and _is_worthwhile(setting, vector, caller):
                        trials.extend(Trial(cell, shot, route) for shot in _shots(setting, vector, caller))
    trials.extend(_logins(ground, cells))
    return trials, cells


def _is_open(setting: Setting) -> bool:
    """Tell whether a route is the same for everybody, and B has nothing of its own there."""
    return setting.route.is_relayed(CallerKind.CUSTOMER) and not setting.foreign


def _is_worthwhile(setting: Setting, vector: Vector, caller: Caller) -> bool:
    """Tell whether a vector could prove more for this caller than the vectors that are tried anyway."""
    if caller not in vector.callers:
        return False
    if caller is Caller.CUSTOMER:
        return True
    if caller is Caller.INSISTENT and vector.group not in _INSISTENT_GROUPS:
        return False
    if _is_open(setting):
        return vector.group in _OPEN_GROUPS
    if _KINDS.get(caller, CallerKind.CUSTOMER) not in setting.route.access:
        return vector.group in _REFUSED_GROUPS
    return True


def _shots(setting: Setting, vector: Vector, caller: Caller) -> Iterable[Shot]:
    route = setting.route
    if route.registers and vector.group not in {Group.HONEST, Group.BODY}:
        # Each of these would make one more customer and prove nothing that the others do not.
        setting = replace(setting, own=None)
    found = list(vector.shots(setting))
    most = _MOST.get(caller, _FEW)
    return found[: _OPEN_MOST if _is_open(setting) and vector.group is not Group.BODY else most]


def _setting(ground: Ground, route: RouteFacts, method: str, goals: tuple[str, ...]) -> Setting:
    own = _own_segments(ground, route)
    foreign = _foreign_segments(ground, route, own)
    template = ground.seeds.body(method, route)
    # Without a body of its own a DELETE of A's own path would take away what A needs.
    is_spared = method == "DELETE" and template is None
    return Setting(
        route=route,
        method=method,
        start=encode_path(tuple(own)),
        own=None if is_spared else encode_path(tuple(own)),
        foreign=tuple(map(encode_path, foreign)),
        unknown=tuple(encode_path(_unknown(own, path)) for path in foreign),
        goals=goals,
        attacker=ground.attacker,
        victim=ground.victim,
        origin=ground.origin,
        documents=_documents(ground, route, method, template),
        marks=ground.mark,
        public_key=ground.public_key,
    )


def _values(ground: Ground, route: RouteFacts, person: Person, prefix: str, parameter: str) -> list[str]:
    if parameter in route.own_parameters or prefix == ground.customers_path:
        return [person.id]
    return person.records.get(prefix, [])


def _own_segments(ground: Ground, route: RouteFacts) -> list[str]:
    """Return A's path: its own ids, or those of the catalogue, or one that nobody has."""
    path: list[str] = []
    for part in route.parts:
        if not part.is_parameter:
            path.append(part.text)
            continue
        prefix = "/" + "/".join(path)
        known = _values(ground, route, ground.attacker, prefix, part.text) or ground.catalogue.get(prefix, [])
        path.append(known[0] if known else _NOBODYS)
    return path


def _foreign_segments(ground: Ground, route: RouteFacts, own: list[str]) -> list[tuple[str, ...]]:
    """Return A's path with one id of B each, then B's own paths. Keys of B are not handed out."""
    found: list[tuple[str, ...]] = []
    theirs: list[tuple[str, ...]] = [()]
    for at, part in enumerate(route.parts):
        if not part.is_parameter:
            theirs = [(*path, part.text) for path in theirs]
            continue
        longer: list[tuple[str, ...]] = []
        for path in theirs:
            prefix = "/" + "/".join(path)
            known = [] if route.is_key else _values(ground, route, ground.victim, prefix, part.text)[:_FOREIGN]
            found.extend((*own[:at], ident, *own[at + 1 :]) for ident in known[:1])
            longer.extend((*path, ident) for ident in known or [own[at]])
        theirs = longer[:_FOREIGN]
    named = [path for path in theirs if list(path) != own]
    return list(dict.fromkeys([*found, *named]))


def _unknown(own: list[str], foreign: tuple[str, ...]) -> tuple[str, ...]:
    """Return a path with ids of the same form that nobody has in place of B's."""
    return tuple(one if one == mine else nobodys_like(one) for mine, one in zip(own, foreign, strict=True))


def nobodys_like(ident: str) -> str:
    """Return an id of the same form that nobody has: not of the customer who asks either, by chance."""
    if ident.isdecimal():
        return "9" * max(len(ident) + 1, 9)
    made, changed = _UUID_GROUP.subn(lambda _: secrets.choice("0123456789abcdef"), ident)
    # With less of it made up it may be A's own: customer-2 and customer-7.
    return made if changed >= _MADE_UP_LEAST else f"{made}{secrets.token_hex(_MADE_UP_LEAST)}"


def _goals(ground: Ground) -> tuple[str, ...]:
    """Return two paths of B that tricks on other routes may lead to: the deepest guarded ones first."""
    found: list[tuple[int, str]] = []
    for route in ground.routes:
        if "GET" in route.methods and not route.is_key and any(part.is_parameter for part in route.parts):
            own = _own_segments(ground, route)
            paths = _foreign_segments(ground, route, own)
            if paths:
                found.append((len(route.parts), encode_path(paths[-1])))
    # One shallow, one deep: the customer itself and a record of it.
    ordered = [path for _, path in sorted(found)]
    return tuple(dict.fromkeys([*ordered[:1], *ordered[1:2]]))


def _documents(ground: Ground, route: RouteFacts, method: str, template: Any) -> Callable[[], Any]:
    person = ground.attacker

    def made() -> Any:
        if method not in BODY_METHODS and template is None:
            return None
        mark = ground.mark()
        if template is None:
            return _guess(ground, route, mark)
        variables = {
            "canary": mark, "customer_id": person.id, "email": person.email, "key": person.key,
            "password": person.password, "fresh_email": f"{mark}@example.com",
        }  # fmt: skip
        try:
            return recipes.expand(template, variables)
        except recipes.UnknownVariableError:
            return _guess(ground, route, mark)

    return made


def _guess(ground: Ground, route: RouteFacts, mark: str) -> Any:
    """Write a body like the records that are already there, with a mark in its first text."""
    words = [part.text for part in route.parts if not part.is_parameter]
    sample = next((found for path, found in ground.samples.items() if path.rpartition("/")[2] == words[-1]), None)
    form = route.form
    if sample is None:
        return recipes.Guess(route, mark).document()
    record = resolve(sample, form.body_at)
    kept = {key: text for key, text in record.items() if isinstance(text, str) and not is_moment(text)}
    ident = record_id(record, form)
    changed = {key: text for key, text in kept.items() if text != ident and key not in {"type", "id"}}
    document = {**{key: text for key, text in kept.items() if key == "type"}, **changed}
    # Every text that is no reference may carry the mark; the first will do.
    first = next((key for key, text in changed.items() if text not in {ground.attacker.id, ground.victim.id}), "name")
    document[first] = mark
    return placed({}, form.body_at, document)


def _logins(ground: Ground, cells: list[Cell]) -> Iterator[Trial]:
    facts = RouteFacts(
        LOGIN_ROUTE,
        ground.login_path,
        (),
        ("POST",),
        {},
        (),
        MOLTIN,
        None,
        (),
        (),
        (),
        frozenset(),
        is_key=False,
        registers=False,
    )
    path, a, b = ground.login_path, ground.attacker, ground.victim
    setting = Setting(facts, "POST", path, None, (), (), (), a, b, ground.origin, lambda: None, ground.mark)
    for caller in Caller:
        for vector in LOGIN_VECTORS:
            cell = Cell(LOGIN_ROUTE, "POST", caller, vector.id)
            cells.append(cell)
            if caller in ground.callers and caller in vector.callers:
                yield from (Trial(cell, shot) for shot in vector.shots(setting))


def batches(trials: Iterable[Trial]) -> list[list[Trial]]:
    """Group the requests that may change something by route and method: what destroys comes last, the deepest first."""
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.cell.route, trial.cell.method), []).append(trial)

    def order(group: list[Trial]) -> tuple[bool, int]:
        route = group[0].route
        return group[0].cell.method == "DELETE", -len(route.parts) if route else 0

    return sorted(groups.values(), key=order)
