"""Gives the customers records, and finds out what they have: reads every route as each of them, and as trusted."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gateway.config.routes import customers_path
from gateway.scope.filters import DIALECTS
from gateway.verify import recipes
from gateway.verify.documents import holds, is_counted, is_moment, parse, record_id, records, texts
from gateway.verify.facts import RouteFacts, fill
from gateway.verify.gate import Gate
from gateway.verify.model import Kind, Person
from gateway.verify.snapshot import Snapshot, taken
from gateway.vocab.messages import CallerKind
from gateway.vocab.record_form import MOLTIN
from gateway.wire.pointer import owner_at, resolve, split
from gateway.wire.target import encode_path, encode_query

# So many ids of one collection are followed; more would repeat the same proof.
IDS = 3
_ROUNDS = 4
_GUESSES = 12


@dataclass(slots=True)
class View:
    """What one reader was shown: records by path, and the route of each path that answered."""

    paths: dict[str, RouteFacts] = field(default_factory=dict)
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    own: list[tuple[RouteFacts, dict[str, Any]]] = field(default_factory=list)

    def texts(self) -> Iterable[str]:
        """Yield every text that was shown."""
        return (text for found in self.records.values() for record in found for _, text in texts(record))

    def shown(self, path: str) -> set[str]:
        """Return the ids that were shown at a path."""
        form = self.paths[path].form if path in self.paths else MOLTIN
        return {record_id(record, form) for record in self.records.get(path, ())}


class Explorer:
    """Reads and writes honestly. `made` are the ids of records that its own requests made."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.made: set[str] = set()
        self.skipped: list[str] = []

    async def seed(self, person: Person) -> None:
        """Send every seed request that the routing file has a route for."""
        gate = self._gate
        for key in gate.seeds.keys:
            person.records[key.rpartition("/")[0]] = [person.key]
        variables = {
            "canary": person.canary, "customer_id": person.id, "email": person.email, "key": person.key,
            "password": person.password, "fresh_email": f"fresh-{person.email}",
        }  # fmt: skip
        for request in gate.seeds.requests:
            route = recipes.find(request, gate.routes)
            if route is None or (request.caller == "trusted" and not gate.trusted):
                continue
            try:
                path = recipes.expand(request.path, variables)
                document = recipes.expand(request.body, variables)
            except recipes.UnknownVariableError as error:
                self.skipped.append(f"{request.method} {route.path}: nothing gave ${{{error}}}")
                continue
            kind = CallerKind(request.caller)
            reply = await gate.ask(
                kind, person if kind is CallerKind.CUSTOMER else None, request.method, path, document
            )
            if not reply.is_success:
                self.skipped.append(
                    f"{request.method} {route.path} answered {reply.status} for customer {person.letter}"
                )
                continue
            answer = parse(reply.body)
            for name, pointer in request.saves.items():
                variables[name] = str(resolve(answer, split(pointer)))
            place = recipes.expand(request.under or path.partition("?")[0], variables)
            self._made(person, place, route, answer)
        await self._guess(person, variables)

    async def _guess(self, person: Person, variables: dict[str, str]) -> None:
        """Make a record where a customer may and none is known: its fields are those that a body may have."""
        for route in self._gate.routes:
            if "POST" not in route.methods or not route.stamps or CallerKind.CUSTOMER not in route.access:
                continue
            for path in self.paths(route, person):
                if person.records.get(path):
                    continue
                await self._guess_one(person, route, path, variables["canary"])

    async def _guess_one(self, person: Person, route: RouteFacts, path: str, mark: str) -> None:
        """Send what a body may be, and what the API then says is missing or of another kind, a few times."""
        guess = recipes.Guess(route, mark)
        for _ in range(_GUESSES):
            reply = await self._gate.ask(CallerKind.CUSTOMER, person, "POST", path, guess.document())
            answer = parse(reply.body)
            if reply.is_success:
                self._made(person, path, route, answer)
                return
            if not guess.learn(answer):
                return

    def _made(self, person: Person, place: str, route: RouteFacts, answer: Any) -> None:
        for record in records(answer, route.form):
            self._learn(person, place, record_id(record, route.form), first=True)
            self.made |= {record_id(record, route.form)} - {""}

    async def public(self) -> View:
        """Read as the storefront alone."""
        view = View()
        nobody = Person("-", "", "", "")
        await self._walk(view, nobody, CallerKind.PUBLIC, CallerKind.PUBLIC, lambda *_: True)
        return view

    async def customer(self, person: Person, others: Iterable[View]) -> View:
        """Read as a customer; what the `others` were shown at the same path is not the customer's alone."""
        view = View()
        seen = list(others)

        def is_own(route: RouteFacts, path: str, record: dict[str, Any]) -> bool:
            if self.names(person, record, route):
                return True
            ident = record_id(record, route.form)
            if any(ident in other.shown(path) for other in seen):
                return False
            # Below a record of the customer's own, or on a path where nobody else saw it.
            return bool(route.own_parameters) or path != route.path or not route.is_relayed(CallerKind.CUSTOMER)

        await self._walk(view, person, CallerKind.CUSTOMER, CallerKind.CUSTOMER, is_own)
        return view

    async def trusted(self, person: Person, view: View) -> None:
        """Read as a trusted client, and add what names the customer."""
        if self._gate.trusted:
            apart = View()
            await self._walk(
                apart,
                person,
                CallerKind.TRUSTED,
                CallerKind.TRUSTED,
                lambda route, _, one: self.names(person, one, route),
            )
            view.own += apart.own

    def names(self, person: Person, record: Any, route: RouteFacts) -> bool:
        """Tell whether a record says whose it is: anywhere, or by a small number where the route has owners."""
        if not person.id:
            return False
        if any(holds(record, text) for text in (person.id, person.canary) if len(text) > 1 and not is_counted(text)):
            return True
        return any(owner_at(record, place) == person.id for place in route.owners)

    async def _walk(self, view: View, person: Person, kind: CallerKind, access: CallerKind, is_own: Any) -> None:
        for _ in range(_ROUNDS):
            fresh = 0
            for route in self._gate.routes:
                if "GET" not in route.methods or access not in route.access:
                    continue
                for path in self.paths(route, person, view if kind is CallerKind.PUBLIC else None):
                    if path not in view.paths:
                        fresh += await self._read(view, person, kind, route, path, is_own)
            if not fresh:
                return

    async def _read(
        self, view: View, person: Person, kind: CallerKind, route: RouteFacts, path: str, is_own: Any
    ) -> int:
        view.paths[path] = route
        query = ""
        if kind is CallerKind.TRUSTED and route.filter is not None:
            rule = route.filter
            query = "?" + encode_query(DIALECTS[rule.dialect].equals(rule.field, person.id, rule.parameter))
        reply = await self._gate.ask(kind, person if kind is CallerKind.CUSTOMER else None, "GET", path + query)
        if reply.status != 200:  # noqa: PLR2004 - HTTP's own number
            return 0
        found = records(parse(reply.body), route.form)
        view.records[path] = found
        for record in found:
            if is_own(route, path, record):
                view.own.append((route, record))
                if kind is not CallerKind.PUBLIC:
                    self._learn(person, path, record_id(record, route.form))
        return 1

    def paths(self, route: RouteFacts, person: Person, view: View | None = None) -> list[str]:
        """Return a route's paths for a person's known ids."""

        def values(prefix: str, parameter: str) -> list[str]:
            if view is not None:
                shown = (record_id(one, route.form) for one in view.records.get(prefix, ()))
                return list(dict.fromkeys(one for one in shown if one))[:1]
            if parameter in route.own_parameters or prefix == customers_path(self._gate.config):
                return [person.id]
            return person.records.get(prefix, [])[:IDS]

        return [encode_path(segments) for segments in fill(route, values)]

    def _learn(self, person: Person, path: str, ident: str, *, first: bool = False) -> None:
        known = person.records.setdefault(path, [])
        # A path that ends with the id is the record itself, not its collection.
        if ident and ident not in known and path.rpartition("/")[2] != ident:
            known.insert(0 if first else len(known), ident)

    async def snapshot(self, person: Person, view: View, public: View) -> tuple[Snapshot, set[str]]:
        """Write down what a customer has now; also the paths that answered at all. What everybody sees is left out."""
        found: dict[tuple[str, str], str] = {}
        read = set()
        baseline = {(route.name, record_id(record, route.form)) for route, record in view.own}
        for path in view.records:
            if path in public.records:
                continue
            reply = await self._gate.ask(CallerKind.CUSTOMER, person, "GET", path)
            if 0 < reply.status < 500 and reply.status != 429:  # noqa: PLR2004 - HTTP's own numbers
                read.add(path)
            if reply.status == 200:  # noqa: PLR2004
                route = view.paths[path]
                is_whole = path != route.path
                found |= taken(
                    path,
                    records(parse(reply.body), route.form),
                    lambda record, whole=is_whole, route=route: (  # type: ignore[misc]
                        whole
                        or self.names(person, record, route)
                        or (route.name, record_id(record, route.form)) in baseline
                    ),
                    route.form,
                )
        return found, read


def hard_facts(person: Person, view: View, explorer: Explorer) -> list[tuple[str, str, Kind]]:
    """Return what is a customer's beyond doubt: what was made up for it, its id, and ids of records that name it."""
    who = f"{person.letter}'s"
    found = [
        (person.canary, f"{who} canary", Kind.CANARY),
        (person.id, f"{who} customer id", Kind.ID),
        (person.email, f"{who} e-mail", Kind.ID),
    ]
    if person.key:
        found.append((person.key, f"the key of {who} cart", Kind.ID))
    for route, record in view.own:
        ident = record_id(record, route.form)
        if ident and (ident in explorer.made or explorer.names(person, record, route)):
            found.append((ident, f"the id of {who} record on {route.name}", Kind.ID))
    return [fact for fact in found if fact[0]]


def soft_facts(person: Person, view: View) -> list[tuple[str, str]]:
    """Return every text of a customer's records with the place where it stands."""
    return [
        (text, f"a text of {person.letter}'s record on {route.name}, at {place}")
        for route, record in view.own
        for place, text in texts(record)
        if not is_moment(text) and not place.startswith("/links")
    ]
