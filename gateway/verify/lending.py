"""Tries whether public callers and customers are shown what only the server's credential may read.

What the API gives to everybody it is asked itself, with the weaker credential of the routing file; where there is one
credential only, with none. Whatever the gateway shows beyond that is a leak. Writes are not tried.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway.carrying.call import Call
from gateway.carrying.fetch import fetch
from gateway.carrying.outbox import Outbox
from gateway.config.lending import bound
from gateway.config.model import Config, Route
from gateway.reaching import Means, Reached, reach
from gateway.routing import parse_template
from gateway.scope import addressing
from gateway.verify.attack import BROKEN, Outcome
from gateway.verify.client import LIMIT
from gateway.verify.documents import included, parse, record_id, records
from gateway.verify.gate import Gate
from gateway.verify.mask import curl
from gateway.verify.model import Caller, Cell, Leak, Message, Person, Tally
from gateway.verify.vectors.lending import server_credential
from gateway.vocab.messages import Answer, CallerKind, Headers
from gateway.vocab.policy import Credential, HeadLimits
from gateway.vocab.record_form import RecordForm
from gateway.vocab.refusals import Refusal
from gateway.wire.target import encode_path, serialise

# Two connections do for requests that follow each other.
_CONNECTIONS = 2
# So many hidden records of one collection are asked for by their ids.
_HIDDEN = 2
_READ = 200
_REFUSED = frozenset({401, 403, 404, 405})
_OWN_HEADERS: Headers = (("accept", "application/json"), ("accept-encoding", "identity"))
_CALLERS = ((CallerKind.PUBLIC, Caller.PUBLIC), (CallerKind.CUSTOMER, Caller.CUSTOMER))
# Links are the gateway's own spelling, and `password` is what it says of its store.
_GATEWAYS_OWN = frozenset({"links", "password"})


class _NotAskedError(Exception):
    """The API did not say: the sentence says why."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the API gives at a path: members by record. `is_refused`: nothing, whatever stands there."""

    members: dict[str, set[str]]
    is_refused: bool = False


@dataclass(slots=True)
class Api:
    """The API behind the gateway, asked directly."""

    reached: Reached
    has_weaker: bool

    async def given(self, path: str, name: Credential, form: RecordForm) -> Given:
        """Return what the API gives to a credential; without a weaker one, to nobody in particular."""
        lines: Headers | Refusal = ()
        if name is Credential.SERVER or self.has_weaker:
            lines = await self.reached.backend.lines(name)
        if isinstance(lines, Refusal):
            raise _NotAskedError(f"the {name} credential cannot be had")
        answer = await fetch(self.reached.pool, Call("GET", path, (*_OWN_HEADERS, *lines)), LIMIT)
        if not isinstance(answer, Answer):
            raise _NotAskedError(f"it did not answer ({answer.code.name})")
        if answer.status in _REFUSED:
            return Given({}, is_refused=True)
        if answer.status != _READ:
            raise _NotAskedError(f"it answered {answer.status}")
        return Given(_members(answer.body, form))


@dataclass(slots=True)
class Lending:
    """Compares what the gateway shows with what the API gives; what came of it is in `outcome` and `cells`."""

    gate: Gate
    apis: Mapping[str, Api]
    customer: Person
    outcome: Outcome = field(default_factory=Outcome)
    cells: list[Cell] = field(default_factory=list)

    async def run(self) -> None:
        """Try every route that may be read and that nothing binds to a customer."""
        left: list[str] = []
        refused: list[str] = []
        for route in self.gate.config.routes:
            callers = [(kind, caller) for kind, caller in _CALLERS if _is_unbound(self.gate.config, route, kind)]
            api = self.apis.get(route.upstream or self.gate.config.first)
            if "GET" not in route.methods or not callers or api is None:
                continue
            form = self.gate.config.form_of(route)
            collection = _collection(route, form)
            if collection is None:
                left.append(route.name)
                continue
            try:
                shown = await api.given(collection, Credential.PUBLIC, form)
                if shown.is_refused and not api.has_weaker:
                    refused.append(route.name)
                    continue
                idents = await _tried(api, route, collection, form, shown)
                left += [] if idents else [route.name]
                for ident in idents:
                    for kind, caller in callers:
                        await self._compare(
                            Cell(route.name, "GET", caller, server_credential.id), kind, route, ident, api
                        )
            except _NotAskedError as error:
                self.outcome.notes.append(f"{route.name}: what the API itself gives there is not known: {error}")
        self._note(left, refused)

    def _note(self, left: list[str], refused: list[str]) -> None:
        if left:
            text = "whether more is shown than the API gives to everybody was not tried on"
            self.outcome.notes.append(f"{text}: {', '.join(left)}")
        if refused:
            text = "there is no upstream.public_credential, so that nobody can tell what the API gives to everybody on"
            self.outcome.notes.append(f"{text}: {', '.join(refused)}; see `gateway check`")

    async def _compare(self, cell: Cell, kind: CallerKind, route: Route, ident: str, api: Api) -> None:
        form = self.gate.config.form_of(route)
        path, there = _paths(route, ident, form)
        given = await api.given(there, Credential.PUBLIC, form)
        person = self.customer if kind is CallerKind.CUSTOMER else None
        reply = await self.gate.ask(kind, person, "GET", path)
        tally = self.outcome.tallies.setdefault(cell, Tally())
        self.cells += [cell] if not tally.sent else []
        tally.sent += 1
        self.outcome.statuses[reply.status] = self.outcome.statuses.get(reply.status, 0) + 1
        if reply.status in BROKEN:
            tally.inconclusive += 1
        if not reply.is_success:
            return
        shown = _members(reply.body, form)
        evidence = _beyond(shown, given)
        if evidence and not given.is_refused:
            # What was published in between is no leak.
            evidence = _beyond(shown, await api.given(there, Credential.PUBLIC, form))
        if evidence:
            tally.leaks += 1
            message = Message("GET", path, self.gate.lines(kind, person))
            request = curl(self.gate.client.origin, message, self.gate.secrets)
            self.outcome.leaks.append(Leak(cell, request, reply.status, tuple(evidence)))


async def _tried(api: Api, route: Route, collection: str, form: RecordForm, shown: Given) -> list[str]:
    """Return of which records a route is tried: of hidden ones and one that is not; of a list itself, "" for all."""
    if not route.template[-1].is_parameter:
        return [""]
    all_of_it = await api.given(collection, Credential.SERVER, form)
    hidden = [ident for ident in all_of_it.members if ident not in shown.members]
    return [ident for ident in (*hidden[:_HIDDEN], *[*shown.members][:1]) if ident]


def _collection(route: Route, form: RecordForm) -> str | None:
    """Return where the API has the records of a route beside each other; None where that is not one place."""
    *above, last = route.template
    if any(part.is_parameter for part in above) or last.is_tail:
        return None
    slash = "/" * (form.has_slash if route.sends_to is None else route.sends_to.ends_with_slash)
    parts = above if last.is_parameter else route.template
    return "/" + "/".join(part.text for part in parts) + slash if parts else "/"


def _paths(route: Route, ident: str, form: RecordForm) -> tuple[str, str]:
    """Return the paths of a record, or of the list, at the gateway and at the API."""
    parts = parse_template(route.path)
    values = {part.text: ident for part in parts if part.is_parameter}
    segments = tuple(values.get(part.text, part.text) for part in parts)
    if route.sends_to is not None:
        there = route.sends_to(values)
    else:
        there = addressing.known(segments, form) if ident else (addressing.collection(segments, form), ())
    return encode_path(segments), serialise(*there)


def _is_unbound(config: Config, route: Route, kind: CallerKind) -> bool:
    access = route.access.public if kind is CallerKind.PUBLIC else route.access.customer
    return access is not None and "GET" not in bound(kind, access, config.form_of(route), of_guests=True)


def _beyond(shown: dict[str, set[str]], given: Given) -> list[str]:
    """Say what is shown that is not given; nothing of it is quoted."""
    if given.is_refused:
        return ["the API refuses this to everybody but the server's credential"] if shown else []
    more = [ident for ident in shown if ident not in given.members]
    found = [f"{len(more)} records that the API gives to the server's credential alone"] if more else []
    members = {place for ident, places in shown.items() if ident not in more for place in places - given.members[ident]}
    if members:
        found.append(f"members that the API gives to the server's credential alone: {', '.join(sorted(members))}")
    return found


def _members(body: bytes, form: RecordForm) -> dict[str, set[str]]:
    document = parse(body)
    found: dict[str, set[str]] = {}
    # What is open may also be in no form that the file knows.
    for record in (*(records(document, form) or records(document)), *included(document)):
        found.setdefault(record_id(record, form), set()).update(_places(record))
    return found


def _places(value: Any, place: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            if name not in _GATEWAYS_OWN:
                yield f"{place}/{name}"
                yield from _places(part, f"{place}/{name}")
    elif isinstance(value, list):
        for part in value:
            yield from _places(part, place)


@asynccontextmanager
async def apis(config: Config) -> AsyncIterator[dict[str, Api]]:
    """Reach each API as the routing file says, but for those where everybody may read everything."""
    loop = asyncio.get_running_loop()
    heads = HeadLimits(**dict(config.limits.head))
    means = Means(Outbox(loop), heads, lambda _: None, lambda: datetime.now(UTC).timestamp(), loop.time, lambda _: None)
    async with AsyncExitStack() as stack:
        found = {}
        for name, upstream in config.apis.items():
            if upstream.public_credential is not None or upstream.credential.kind != "none":
                reached = reach(name, upstream, "", _CONNECTIONS, means)
                stack.push_async_callback(reached.close)
                found[name] = Api(reached, upstream.public_credential is not None)
        yield found
