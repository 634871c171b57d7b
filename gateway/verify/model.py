"""The words of the prover: who asks, what is sent, what came back, what was found. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})

HeaderLines = tuple[tuple[str, str], ...]


class Caller(StrEnum):
    """Who attacks."""

    ANONYMOUS = "anonymous"
    PUBLIC = "public"
    CUSTOMER = "customer"
    TRUSTED = "trusted"
    INSISTENT = "insistent"


CALLERS: Mapping[Caller, str] = {
    Caller.ANONYMOUS: "nobody: neither a bearer nor a customer token",
    Caller.PUBLIC: "the storefront's bearer, no customer token",
    Caller.CUSTOMER: "customer A: the storefront's bearer and A's customer token",
    Caller.TRUSTED: "customer A through a trusted client: its bearer and A's customer token",
    Caller.INSISTENT: "customer A, who names B in identity headers and cookies of every request",
}


class Group(StrEnum):
    """The classes of vectors."""

    HONEST = "honest"
    PATH = "path"
    SPELLING = "spelling"
    QUERY = "query"
    HEADERS = "headers"
    TOKEN = "token"  # noqa: S105 - a class of attacks, not a secret
    REPRESENTATION = "representation"
    METHOD = "method"
    BODY = "body"
    CACHE = "cache"
    LOGIN = "login"
    LENDING = "lending"


class Verdict(StrEnum):
    """What came of one vector for one caller on one route."""

    HELD = "held"
    LEAK = "leak"
    NOT_APPLICABLE = "not applicable"
    INCONCLUSIVE = "inconclusive"


class Kind(StrEnum):
    """What kind of thing of B was found."""

    CANARY = "canary"
    ID = "id"
    TEXT = "text"


class Priming(StrEnum):
    """When B sends the same request: before A's, or at the same moment."""

    BEFORE = "before"
    TOGETHER = "together"


@dataclass(frozen=True, slots=True)
class Shot:
    """One request of an attack, exactly as spelled.

    The caller's bearer and customer token are added, unless `bearers` or `tokens` stand in their place. `says` is what
    the request says in an encoding that nobody could read back from its bytes. `twin` is the same request for a record
    that nobody has: the two replies must not differ. `raw` goes around the HTTP library, which would refuse it.
    """

    method: str
    target: str
    headers: HeaderLines = ()
    body: bytes | None = None
    content_type: str = "application/json"
    bearers: tuple[str, ...] | None = None
    tokens: tuple[str, ...] | None = None
    says: str = ""
    raw: bool = False
    changes: bool = False
    priming: Priming | None = None
    twin: str | None = None

    @property
    def is_safe(self) -> bool:
        """Whether it cannot change anything, if the method means what it says."""
        return not self.changes and self.method in SAFE_METHODS


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: `head` is status line and header lines as text, `body` is not compressed any more.

    Status 0 is no reply at all; `fault` says why.
    """

    status: int
    head: str = ""
    body: bytes = b""
    fault: str = ""

    @property
    def is_success(self) -> bool:
        """Whether the request was answered as wished."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's own numbers


@dataclass(frozen=True, slots=True)
class Message:
    """A request with everything it carries."""

    method: str
    target: str
    headers: HeaderLines = ()
    body: bytes | None = None
    raw: bool = False


@dataclass(slots=True)
class Person:
    """One of the two customers. `records` are ids of its records, by the path of their collection."""

    letter: str
    email: str
    password: str
    canary: str
    id: str = ""
    token: str = ""
    is_made: bool = False
    key: str = ""
    records: dict[str, list[str]] = field(default_factory=dict)

    def ids(self) -> tuple[str, ...]:
        """Return the ids of its records, the newest first of each collection."""
        return tuple(dict.fromkeys(one for known in self.records.values() for one in known))


@dataclass(frozen=True, slots=True)
class Secret:
    """Something of B: `text` in lower case, `what` for the reader of a report (never the text itself)."""

    text: str
    what: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Cell:
    """One place in the matrix."""

    route: str
    method: str
    caller: Caller
    vector: str


@dataclass(frozen=True, slots=True)
class Leak:
    """What must not be: where, by which request (a curl-like line without secrets), and what was seen."""

    cell: Cell
    request: str
    status: int
    evidence: tuple[str, ...]


@dataclass(slots=True)
class Tally:
    """What came of the requests of one cell."""

    sent: int = 0
    leaks: int = 0
    inconclusive: int = 0

    @property
    def verdict(self) -> Verdict:
        """One leak is a leak; what was not answered at all proves nothing."""
        if self.leaks:
            return Verdict.LEAK
        if not self.sent:
            return Verdict.NOT_APPLICABLE
        return Verdict.INCONCLUSIVE if self.inconclusive == self.sent else Verdict.HELD


class CannotRunError(Exception):
    """Nothing was proven: the sentence says why."""
