"""What a vector is, and what it is given: one route and method, the two customers, and their paths. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from gateway.verify.documents import encode
from gateway.verify.facts import RouteFacts
from gateway.verify.model import BODY_METHODS, Caller, Group, HeaderLines, Person, Shot
from gateway.vocab.messages import CallerKind

EVERYBODY = frozenset(Caller)
CUSTOMERS = frozenset({Caller.CUSTOMER, Caller.TRUSTED, Caller.INSISTENT})


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a vector is tried.

    `start` is A's path, and `own` too, but None where the honest request would destroy what A needs. `foreign` are the
    same with ids of B, one parameter after the other, then all; `unknown` are they with ids that nobody has. `goals`
    are paths of B that a trick may lead to. `documents` gives an ordinary body, or None; `marks` gives text that no
    other request carries, and stands in each of these bodies.
    """

    route: RouteFacts
    method: str
    start: str
    own: str | None
    foreign: tuple[str, ...]
    unknown: tuple[str, ...]
    goals: tuple[str, ...]
    attacker: Person
    victim: Person
    origin: str
    documents: Callable[[], Any]
    marks: Callable[[], str]
    public_key: str = ""

    @property
    def reads(self) -> bool:
        """Whether the method reads."""
        return self.method == "GET"

    @property
    def targets(self) -> tuple[str, ...]:
        """The paths that tricks lead to: the first and the last of B's on this route, or the goals without any."""
        return tuple(dict.fromkeys((*self.foreign[:1], *self.foreign[-1:]))) or self.goals

    @property
    def is_judged(self) -> bool:
        """Whether the route narrows or judges what a customer does."""
        return not self.route.is_relayed(CallerKind.CUSTOMER)

    def shot(self, target: str, *, headers: HeaderLines = (), document: Any = None, **changes: Any) -> Shot:
        """Make a request with this method, and with an ordinary body where one belongs to it."""
        if document is None and not self.reads:
            document = self.documents()
        return replace(Shot(self.method, target, headers, None if document is None else encode(document)), **changes)

    def at_own(self, query: str = "", **changes: Any) -> Iterator[Shot]:
        """Make a request to A's own path, if there may be one."""
        if self.own is not None:
            yield self.shot(self.own + (f"?{query}" if query else ""), **changes)

    def own_document(self) -> Any:
        """Return an ordinary body, None where the method takes none."""
        if self.method not in BODY_METHODS | {"DELETE"}:
            return None
        return self.documents()


Shots = Callable[[Setting], Iterable[Shot]]


@dataclass(frozen=True, slots=True)
class Vector:
    """One way to attack: an id for reports, its class, a sentence for the reader, and its requests."""

    id: str
    group: Group
    sentence: str
    shots: Shots
    callers: frozenset[Caller]


def vector(name: str, group: Group, sentence: str, callers: frozenset[Caller] = EVERYBODY) -> Callable[[Shots], Vector]:
    """Make a vector of a function that gives its requests."""

    def made(shots: Shots) -> Vector:
        return Vector(name, group, sentence, shots, callers)

    return made
