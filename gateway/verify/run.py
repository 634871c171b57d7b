"""The proof from beginning to end: customers, records, secrets, controls, attack, cleaning up. Returns a Run.

Raises CannotRunError where nothing can be proven, which must never look like success.
"""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gateway.config.model import Config
from gateway.config.routes import customers_path
from gateway.verify import recipes
from gateway.verify.attack import BROKEN, Attack, Outcome
from gateway.verify.client import Client
from gateway.verify.documents import record_id
from gateway.verify.explore import Explorer, View, hard_facts, soft_facts
from gateway.verify.facts import RouteFacts, read
from gateway.verify.gate import Access, Gate, stranger
from gateway.verify.judge import Judge, Local, secrets_of
from gateway.verify.lending import Lending, apis
from gateway.verify.model import Caller, CannotRunError, Cell, Leak, Person
from gateway.verify.plan import Ground, Trial, batches, plan
from gateway.vocab.messages import CallerKind
from gateway.vocab.policy import JWKS_PATH
from gateway.wire.pointer import placed

# From this share on, replies that prove nothing are the result.
_TOO_MANY = 0.5
_ERRORS = (("GET", "/"), ("GET", "/verify-nobody"), ("POST", "/verify-nobody"), ("GET", "/%zz"))


@dataclass(frozen=True, slots=True)
class Options:
    """What an operator may choose. `taken` are e-mails and passwords of two existing test customers."""

    taken: tuple[tuple[str, str], ...] = ()
    keep: bool = False
    timeout: float = 10.0
    concurrency: int = 8


@dataclass(frozen=True, slots=True)
class Run:
    """What was done and what came of it."""

    url: str
    started: datetime
    ended: datetime
    routes: tuple[RouteFacts, ...]
    cells: tuple[Cell, ...]
    outcome: Outcome
    customers: tuple[tuple[str, str, bool], ...]
    protected: tuple[tuple[str, int], ...]
    callers: frozenset[Caller]
    secrets: int
    requests: int
    notes: tuple[str, ...]
    masks: frozenset[str]

    @property
    def leaks(self) -> list[Leak]:
        """What must not be."""
        return self.outcome.leaks


Steps = Callable[[str, int], None]
"""Told of a step and how many requests it has, or of requests that are done (an empty step)."""


async def prove(url: str, config: Config, seeds: recipes.Seeds, access: Access, options: Options, steps: Steps) -> Run:
    """Attack the gateway at `url` and return what was found."""
    started = datetime.now(UTC)
    routes = read(config, seeds.keys)
    async with Client(url, options.timeout, options.concurrency) as client:
        gate = Gate(client, config, routes, seeds)
        steps("obtaining bearers and customers", 0)
        await gate.open(access)
        persons: list[Person] = []
        explorer = Explorer(gate)
        notes: list[str] = []
        trials: list[Trial] = []
        cells: list[Cell] = []
        attack: Attack | None = None
        lent: Lending | None = None
        try:
            people = await _people(gate, options, persons)
            steps("giving the customers records", 0)
            views = await _explore(explorer, people)
            judge = await _judge(gate, explorer, people, views)
            baseline, _ = await explorer.snapshot(people[1], views[1], views[2])
            ground = await _ground(gate, people, views)
            trials, cells = plan(ground)
            steps("asking the API itself", 0)
            lent = await _lending(gate, people[0])
            attack = Attack(
                gate, explorer, judge, people, (views[1], views[2]), baseline, lambda count: steps("", count)
            )
            steps("attacking", len(trials))
            await attack.read([one for one in trials if one.shot.is_safe], options.concurrency)
            await attack.write(batches(one for one in trials if not one.shot.is_safe), options.concurrency)
            await _still_logs_in(gate, people[1], attack, trials)
        finally:
            steps("cleaning up", 0)
            made = set() if attack is None else attack.outcome.made_customers
            notes += await _clean(gate, persons, made, keep=options.keep)
        outcome = attack.outcome
        if lent is not None:
            cells += lent.cells
            outcome.add(lent.outcome)
        _check_replies(outcome)
        notes += _notes(gate, explorer, outcome, trials, views[1])
        return Run(
            url=client.origin,
            started=started,
            ended=datetime.now(UTC),
            routes=routes,
            cells=tuple(cells),
            outcome=outcome,
            customers=tuple((person.letter, person.id, person.is_made) for person in people),
            protected=_protected(views[1]),
            callers=ground.callers,
            secrets=len(judge.secrets),
            requests=client.sent,
            notes=tuple(notes),
            masks=frozenset(gate.secrets),
        )


async def _people(gate: Gate, options: Options, people: list[Person]) -> tuple[Person, Person]:
    """Make or take the two customers, and log them in; `people` holds them as far as it came."""
    run = secrets.token_hex(5)
    for letter, pair in zip("AB", options.taken or (None, None), strict=True):
        person = stranger(letter, run)
        if pair is not None:
            person.email, person.password = pair
        gate.keep(person.password)
        people.append(person)
        if pair is None:
            await gate.register(person)
        status = await gate.login(person)
        if not person.token:
            raise CannotRunError(f"customer {letter} cannot log in: the gateway answered {status}")
    if people[0].id == people[1].id:
        raise CannotRunError("both customers are the same one")
    return people[0], people[1]


async def _explore(explorer: Explorer, people: tuple[Person, Person]) -> tuple[View, View, View]:
    """Return what A sees, what B sees, and what everybody sees."""
    attacker, victim = people
    for person in people:
        await explorer.seed(person)
    public = await explorer.public()
    own = await explorer.customer(attacker, [public])
    theirs = await explorer.customer(victim, [public, own])
    await explorer.trusted(victim, theirs)
    if not any(explorer.names(attacker, record, route) for route, record in own.own):
        raise CannotRunError("customer A cannot read a single record of its own: nothing would be proven by refusals")
    if not theirs.own:
        raise CannotRunError(
            "customer B has no record that could be protected: give --seed with requests that make some"
        )
    return own, theirs, public


async def _judge(
    gate: Gate, explorer: Explorer, people: tuple[Person, Person], views: tuple[View, View, View]
) -> Judge:
    """Make the judge, and let it prove that it would see a leak."""
    own, theirs, public = views
    harmless = [*own.texts(), *public.texts(), people[0].email, people[0].id, gate.client.origin]
    for method, path in _ERRORS:
        for kind in (CallerKind.PUBLIC, CallerKind.CUSTOMER):
            reply = await gate.ask(kind, people[0], method, path)
            harmless += [reply.head, reply.body.decode("utf-8", "replace")]
    hard = hard_facts(people[1], theirs, explorer)
    found = secrets_of(hard, soft_facts(people[1], theirs), harmless)
    ids = {people[1].id, *(text for text, what, _ in hard if "record" in what)}
    judge = Judge(found, ids, {place for route in gate.routes for place in route.owners}, _local(gate, people, theirs))
    if not judge.secrets or not judge.sees_itself():
        raise CannotRunError("the judge would not see a leak of B's records: nothing would be proven")
    return judge


def _local(gate: Gate, people: tuple[Person, Person], theirs: View) -> dict[str, Local]:
    """Return what is B's on each route whose records have owners."""
    ids: dict[str, set[str]] = {}
    for route, record in theirs.own:
        ids.setdefault(route.name, set()).add(record_id(record, route.form))
    return {
        route.name: Local(people[1].id, frozenset(ids.get(route.name, ())) - {""}, route.owners, route.form)
        for route in gate.routes
        if route.owners and not route.is_key
    }


async def _ground(gate: Gate, people: tuple[Person, Person], views: tuple[View, View, View]) -> Ground:
    own, _, public = views
    samples = {}
    for path, found in own.records.items():
        if found:
            samples[path] = placed({}, own.paths[path].form.body_at, found[0])
    return Ground(
        routes=gate.routes,
        seeds=gate.seeds,
        attacker=people[0],
        victim=_without_keys(people[1], gate),
        customers_path=customers_path(gate.config),
        login_path=gate.config.customers.login_path,
        origin=gate.client.origin,
        callers=_callers(gate),
        catalogue={path: sorted(public.shown(path) - {""}) for path in public.records},
        samples=samples,
        public_key=await gate.public_key(JWKS_PATH),
    )


async def _lending(gate: Gate, customer: Person) -> Lending:
    """Compare what everybody is shown with what the API itself gives to everybody."""
    async with apis(gate.config) as asked:
        lending = Lending(gate, asked, customer)
        await lending.run()
        return lending


def _without_keys(victim: Person, gate: Gate) -> Person:
    """Return B as A may know it: what a key opens is left out."""
    doors = tuple(key.rpartition("/")[0] for key in gate.seeds.keys)
    return replace(victim, records={path: ids for path, ids in victim.records.items() if not path.startswith(doors)})


def _callers(gate: Gate) -> frozenset[Caller]:
    missing = set() if gate.trusted else {Caller.TRUSTED}
    return frozenset(set(Caller) - missing - (set() if gate.public else {Caller.PUBLIC}))


async def _still_logs_in(gate: Gate, victim: Person, attack: Attack, trials: Iterable[Trial]) -> None:
    """Check that nobody has changed B's password, unless it is known already what befell B."""
    status = await gate.login(victim)
    if attack.outcome.leaks or status not in {400, 401, 403, 404, 422}:
        return
    named = [one for one in attack.accepted if victim.id in one.shot.target]
    suspects = [*named, *(one for one in trials if one.cell.vector == "body-account"), *trials]
    attack.accuse(suspects[0], "B cannot log in any more: its password was changed")


async def _clean(gate: Gate, people: Iterable[Person], made: set[str], *, keep: bool) -> list[str]:
    """Delete what was made; say what is left."""
    persons = {person.id: person for person in people}
    ours = {person.id for person in persons.values() if person.is_made} | (made - set(persons))
    if keep and ours:
        return [f"kept as wished: {len(ours)} customers ({', '.join(sorted(ours))})"]
    left = [ident for ident in sorted(ours) if not await gate.delete(ident, persons.get(ident))]
    notes = [f"{len(left)} customers could not be deleted: {', '.join(left)}"] if left else []
    if made - set(left) - set(persons):
        notes.append(f"{len(made - set(left))} customers that attacks on the registration made were deleted")
    return notes


def _check_replies(outcome: Outcome) -> None:
    """Refuse to call it a proof when half of the replies say nothing."""
    if not outcome.leaks and outcome.inconclusive > outcome.sent * _TOO_MANY:
        raise CannotRunError(
            f"{outcome.inconclusive} of {outcome.sent} requests got no usable reply (5xx or none): nothing is proven"
        )


def _protected(view: View) -> tuple[tuple[str, int], ...]:
    """Return how many records of B stood behind each route."""
    found: dict[str, set[str]] = {}
    for route, record in view.own:
        found.setdefault(route.name, set()).add(record_id(record, route.form))
    return tuple(sorted((name, len(ids)) for name, ids in found.items()))


def _notes(gate: Gate, explorer: Explorer, outcome: Outcome, trials: Iterable[Trial], view: View) -> list[str]:
    """Say what the proof does not cover."""
    notes = list(outcome.notes)
    if not gate.trusted:
        notes.append(
            "no trusted client was given: requests through one, and records that only it can read, were not tried"
        )
    keys = [route.path for route in gate.routes if route.is_key]
    if keys:
        notes.append(f"who knows the key in these paths may use them, so A was never given B's: {', '.join(keys)}")
    behind = {route.name for route, _ in view.own}
    attacked = {one.cell.route for one in trials if one.cell.vector == "foreign-id"}
    for route in gate.routes:
        if any(part.is_parameter for part in route.parts) and not route.is_key and route.name not in attacked:
            if not route.is_relayed(CallerKind.PUBLIC):
                notes.append(f"B has no record on {route.name} ({route.path}): no id of B's could be tried there")
        elif CallerKind.CUSTOMER in route.access and route.filter is not None and route.name not in behind:
            notes.append(f"B has no record in the list {route.name} ({route.path}): it proves little")
    notes += [f"seed skipped: {text}" for text in explorer.skipped]
    made = len(explorer.made)
    if made:
        notes.append(
            f"{made} records were made for the two customers; those without a way to delete them (orders) remain"
        )
    if outcome.inconclusive:
        unusable = {status: count for status, count in sorted(outcome.statuses.items()) if status in BROKEN}
        shown = ", ".join(f"{count} x {status or 'no reply'}" for status, count in unusable.items())
        notes.append(f"{outcome.inconclusive} requests got no usable reply: {shown}")
    return notes
