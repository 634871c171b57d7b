"""Carries the plan out: sends each request, has the reply judged, and looks after B's records in between."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from gateway.config.routes import route as compile_route
from gateway.routing import RouteTable
from gateway.verify.client import header
from gateway.verify.documents import parse, record_id, records
from gateway.verify.explore import Explorer, View
from gateway.verify.gate import Gate
from gateway.verify.judge import Judge, spoken
from gateway.verify.mask import curl
from gateway.verify.model import Cell, Kind, Leak, Message, Person, Priming, Reply, Tally
from gateway.verify.plan import Trial
from gateway.verify.snapshot import Change, Snapshot, What, compare
from gateway.vocab.messages import CallerKind
from gateway.vocab.refusals import Refusal
from gateway.wire import target as wire_target

# The gateway's own words for "something of somebody else came, and I have kept it back".
_WITHHELD = frozenset({"GUARD_VIOLATION"})
BROKEN = frozenset({0, 429, 500, 502, 503, 504})
_WORDS = {What.CHANGED: "was changed", What.GONE: "went away", What.NEW: "was put among B's records"}


@dataclass(slots=True)
class Outcome:
    """What the attack found: tallies by cell, leaks, faults of the gateway, customers made by the way."""

    tallies: dict[Cell, Tally] = field(default_factory=dict)
    leaks: list[Leak] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    made_customers: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        """Add what was found elsewhere."""
        self.tallies |= other.tallies
        self.leaks += other.leaks
        self.notes += other.notes
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count

    @property
    def sent(self) -> int:
        """How many requests were judged."""
        return sum(tally.sent for tally in self.tallies.values())

    @property
    def inconclusive(self) -> int:
        """How many of them proved nothing."""
        return sum(tally.inconclusive for tally in self.tallies.values())


class Attack:
    """Sends the trials. `view` is what B had before, `baseline` its records in one spelling."""

    def __init__(  # noqa: PLR0913, PLR0917 - all that an attack needs, once
        self,
        gate: Gate,
        explorer: Explorer,
        judge: Judge,
        people: tuple[Person, Person],
        views: tuple[View, View],
        baseline: Snapshot,
        progress: Callable[[int], None],
    ) -> None:
        self._gate = gate
        self._explorer = explorer
        self._judge = judge
        self._attacker, self._victim = people
        self._view, self._public = views
        self._baseline = baseline
        self._progress = progress
        self._said: set[str] = set()
        self._table = RouteTable(compile_route(gate.config, model) for model in gate.config.routes)
        self._marks = re.compile(re.escape(self._attacker.canary) + r"-\d+")
        self.accepted: list[Trial] = []
        self.outcome = Outcome()

    async def read(self, trials: Iterable[Trial], concurrency: int) -> None:
        """Send what cannot change anything, several at once."""
        waiting = iter(list(trials))
        await self._crew(waiting, concurrency)

    async def write(self, batches: Iterable[list[Trial]], concurrency: int) -> None:
        """Send what may change something, batch by batch, and compare B's records after each."""
        remaining = list(batches)
        while remaining:
            batch = remaining.pop(0)
            accepted: list[Trial] = []
            await self._crew(iter(batch), concurrency, accepted)
            self.accepted += accepted
            for change in await self._changes():
                self._accuse(change, batch, accepted)
            if not self._baseline and remaining:
                unsent = sum(map(len, remaining))
                self.outcome.notes.append(
                    f"B's records were destroyed on {batch[0].cell.route}: {unsent} requests were not sent"
                )
                return

    async def _crew(self, waiting: Iterator[Trial], size: int, accepted: list[Trial] | None = None) -> None:
        async def work() -> None:
            for trial in waiting:
                await self._try(trial, accepted)
                self._progress(1)

        async with asyncio.TaskGroup() as group:
            for _ in range(size):
                group.create_task(work())

    async def _try(self, trial: Trial, accepted: list[Trial] | None) -> None:
        shot, gate = trial.shot, self._gate
        message = gate.message(trial.cell.caller, shot, self._attacker, self._victim)
        reply = await self._primed(message, shot.priming)
        sent = spoken(
            message.method,
            message.target,
            *(f"{name}: {value}" for name, value in message.headers),
            (message.body or b"").decode("utf-8", "replace"),
            shot.says,
        )
        key = unquote(message.target) if trial.is_key else ""
        answered = self._answered(trial.cell, message).route
        evidence = self._judge.judge(sent, reply, key=key, said=frozenset(self._said), route=answered)
        if shot.twin is not None:
            twin = await gate.client.send(replace(message, target=shot.twin))
            evidence += _differences(message, reply, shot.twin, twin)
        self._count(trial, message, reply, evidence)
        if accepted is not None and reply.is_success:
            accepted.append(trial)
            told = spoken(message.target, (message.body or b"").decode("utf-8", "replace"), shot.says).lower()
            self._said |= {one.text for one in self._judge.secrets if one.kind is Kind.ID and one.text in told}
        if trial.route is not None and trial.route.registers and reply.is_success and trial.cell.method == "POST":
            form = trial.route.form
            self.outcome.made_customers |= {record_id(one, form) for one in records(parse(reply.body), form)} - {""}

    async def _primed(self, message: Message, priming: Priming | None) -> Reply:
        """Send a request, with the same of B before it or beside it."""
        send = self._gate.client.send
        if priming is None:
            return await send(message)
        theirs = replace(message, headers=self._gate.lines(CallerKind.CUSTOMER, self._victim))
        if priming is Priming.BEFORE:
            await send(theirs)
            return await send(message)
        together: list[Awaitable[Reply]] = [send(theirs), send(message), send(theirs)]
        return (await asyncio.gather(*together))[1]

    def _count(self, trial: Trial, message: Message, reply: Reply, evidence: list[str]) -> None:
        tally = self.outcome.tallies.setdefault(trial.cell, Tally())
        tally.sent += 1
        self.outcome.statuses[reply.status] = self.outcome.statuses.get(reply.status, 0) + 1
        if evidence:
            self._report(trial, message, reply.status, evidence)
        elif reply.status in BROKEN and not _is_withheld(reply):
            tally.inconclusive += 1

    def _report(self, trial: Trial, message: Message, status: int, evidence: Iterable[str]) -> None:
        """Note a leak at the route that answered, which need not be the one that the trick began with."""
        cell = self._answered(trial.cell, message)
        self.outcome.tallies.setdefault(cell, Tally(sent=1)).leaks += 1
        request = curl(self._gate.client.origin, message, self._gate.secrets)
        self.outcome.leaks.append(Leak(cell, request, status, tuple(evidence)))

    def _answered(self, cell: Cell, message: Message) -> Cell:
        target = wire_target.parse(message.target)
        found = target if isinstance(target, Refusal) else self._table.match(message.method, target.segments)
        if isinstance(found, Refusal):
            return cell
        method = next(iter({message.method} & found.route.methods), "GET")
        return replace(cell, route=found.route.name, method=method)

    async def _changes(self) -> list[Change]:
        after, read = await self._explorer.snapshot(self._victim, self._view, self._public)
        changes = compare(self._baseline, after, read)
        unread = {place: text for place, text in self._baseline.items() if place[0] not in read}
        self._baseline = {**unread, **after}
        return [change for change in changes if not self._is_in_leaking_list(change)]

    def _is_in_leaking_list(self, change: Change) -> bool:
        """Tell whether a record came or went in a list that shows everybody's: its pages move when anybody's change."""
        route = self._view.paths[change.path]
        leaks = {leak.cell.route for leak in self.outcome.leaks if leak.status}
        return change.path == route.path and route.name in leaks and change.what is not What.CHANGED

    def _accuse(self, change: Change, batch: list[Trial], accepted: list[Trial]) -> None:
        """Name the request that changed a record of B: by its mark, by the record it named, or by its batch."""
        marks = set(self._marks.findall(change.text))
        marked = [trial for trial in batch if marks & self._marks_of(trial)]
        named = [trial for trial in accepted if change.id in unquote(trial.shot.target)]
        suspects = [trial for trial in marked if trial in accepted] or marked or named or accepted or batch
        certain = "" if marked or len(suspects) == 1 else f", by one of {len(suspects)} requests: this is the first"
        self.accuse(suspects[0], f"B's record at {change.path} {_WORDS[change.what]}{certain}")

    def _marks_of(self, trial: Trial) -> set[str]:
        body = (trial.shot.body or b"").decode("utf-8", "replace")
        return set(self._marks.findall(f"{body} {trial.shot.says}"))

    def accuse(self, trial: Trial, evidence: str) -> None:
        """Note a leak that no reply showed."""
        message = self._gate.message(trial.cell.caller, trial.shot, self._attacker, self._victim)
        self._report(trial, message, 0, [evidence])


def _is_withheld(reply: Reply) -> bool:
    document = parse(reply.body)
    errors = document.get("errors") if isinstance(document, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    return isinstance(first, dict) and first.get("code") in _WITHHELD


def _differences(message: Message, reply: Reply, other_target: str, other: Reply) -> list[str]:
    """Say how the replies for B's record and for none differ; ids that were sent may stand in both."""
    if {reply.status, other.status} & BROKEN:
        return []
    if reply.status != other.status:
        return [f"B's record and one that nobody has get different replies: {reply.status} and {other.status}"]
    plain = [
        _without_ids(one.body.decode("utf-8", "replace"), target)
        for one, target in ((reply, message.target), (other, other_target))
    ]
    if plain[0] != plain[1]:
        return ["B's record and one that nobody has get replies with different bodies"]
    lengths = [header(one, "content-length") for one in (reply, other)]
    if message.method == "HEAD" and lengths[0] != lengths[1]:
        return ["B's record and one that nobody has get replies of different length"]
    return []


def _without_ids(body: str, target: str) -> str:
    for segment in target.split("/"):
        if any(char.isdigit() for char in segment) and len(segment) > 2:  # noqa: PLR2004 - `v2` is no id
            body = body.replace(segment, "<id>")
    return body
