"""What the routing file says, compiled: routes, who may use them, and the rules that apply. Values only."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct

from gateway.vocab.messages import CallerKind, Checked, Json, Parent, Plan, Query, Target, Whose
from gateway.vocab.record_form import MOLTIN, RecordForm, Shown
from gateway.vocab.refusals import Refusal


class Draft(Struct, frozen=True):
    """An upstream request while the scoping rules work on it.

    `record` is where the upstream has the record that the path ends with, and its id, if not at `target`. `forms` are
    those of other upstreams, by name.
    """

    # Values made for each request are Structs: one costs 0.1 us where a frozen dataclass costs 1.

    target: Target
    query: Query
    document: Json | None = None
    parents: tuple[Parent, ...] = ()
    narrowed: bool = False
    record: tuple[str, str] | None = None
    form: RecordForm = MOLTIN
    forms: Mapping[str, RecordForm] = {}


class Address(Protocol):
    """Where requests go at their upstream, where that is another path than clients know."""

    @property
    def record(self) -> str:
        """The parameter that names the record at the end; empty where the end is a literal."""

    def __call__(self, parameters: Mapping[str, str]) -> tuple[str, Query]:
        """Return the upstream's path, encoded, and the filters behind it, for the values of the public path."""


class ScopeRule(Protocol):
    """Narrows a request. One file in scope/rules each."""

    @property
    def needs_body(self) -> bool:
        """Whether the rule reads the body, so that it must be buffered."""

    def apply(self, draft: Draft, whose: Whose) -> Draft | Refusal:
        """Return the narrowed draft, or say no."""


class GuardRule(Protocol):
    """Judges the JSON document of an answer. One file in guard/rules each."""

    @property
    def judges_included(self) -> bool:
        """Whether `included` is judged too, so that it may leave."""

    def inspect(self, shown: Shown, whose: Whose, plan: Plan) -> Shown | Refusal:
        """Return the records that may leave, or say no."""


class Passwords(StrEnum):
    """What a route has to do with the passwords the gateway keeps."""

    REGISTER = "register"
    CHANGE = "change"
    FORGET = "forget"
    SHOW = "show"


DEFAULT_UPSTREAM: Final = "default"
"""What the upstream is called that has no name."""

ALL_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


class Credential(StrEnum):
    """Names of the gateway's own credentials at the upstream: the server's, and the weaker one of public callers."""

    SERVER = "server"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Access:
    """What one kind of caller may do on a route. Without any rule the answer is relayed as it is (`open`).

    What follows from the rules is worked out once, not for each request: `is_open`, whether nothing narrows or judges;
    `needs_body`, whether any rule reads the body; `judges_included`, whether any guard judges `included`.

    `unproven` are the methods for which nothing proves, before a request is sent, whose the record is that it names.
    `server` are the methods whose requests carry the server's credential upstream, and `server_for_guests` those where
    the record that was looked up belongs to nobody; all others carry the public one.
    """

    scope: tuple[ScopeRule, ...] = ()
    guards: tuple[GuardRule, ...] = ()
    unproven: frozenset[str] = frozenset()
    server: frozenset[str] = ALL_METHODS
    server_for_guests: frozenset[str] = ALL_METHODS
    is_open: bool = field(init=False, repr=False, compare=False)
    needs_body: bool = field(init=False, repr=False, compare=False)
    judges_included: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = {
            "is_open": not self.scope and not self.guards,
            "needs_body": any(rule.needs_body for rule in self.scope),
            "judges_included": any(rule.judges_included for rule in self.guards),
        }
        for name, value in known.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """What the head of a request or an answer may hold: bytes in a line, bytes in all, and lines."""

    line: int = 32 * 1024
    total: int = 64 * 1024
    lines: int = 200


CURRENT_PASSWORD = "current_password"  # noqa: S105 - the name of a field
"""In `data` of a change: the password that the customer has until then. It never goes upstream."""


class IdempotencyKey(StrEnum):
    """What becomes of a client's Idempotency-Key on a write."""

    PASS = "pass"  # noqa: S105 - no password
    REQUIRED = "required"
    OFF = "off"


class Endpoint(StrEnum):
    """Paths that the gateway answers itself."""

    BEARER = "bearer"
    LOGIN = "login"
    LOGOUT = "logout"
    LOGOUT_EVERYWHERE = "logout-everywhere"
    BLOCK = "block"
    UNBLOCK = "unblock"
    PASSWORD_RESETS = "password-resets"  # noqa: S105 - the name of a route
    PASSWORDS = "passwords"
    JWKS = "jwks"


JWKS_PATH = "/.well-known/jwks.json"
# How long verifiers may keep the published keys, in seconds: a key is published as long before it signs.
JWKS_MAX_AGE = 300
"""Where the public keys are, for all issuers alike (as RFC 8414 section 3 has its metadata)."""


@dataclass(frozen=True, slots=True)
class Route:
    """One entry of the routing file. Sizes are in bytes, times in seconds.

    `query` None lets every parameter pass (open access only). `is_alike`: public callers may do here exactly what
    customers may, so that it does not matter who is logged in. `answer_headers` leave with judged answers besides those
    that every route lets leave. `sends_to` says where a request goes at its `upstream`, where that is not its own path,
    and `reserved` are the folded names of query parameters that this writes. `form` is how the API speaks of the
    records here, and `forms` how other upstreams do.

    What follows is worked out once: `is_tail`, whether the path ends with any number of segments, so that nobody knows
    what it names; `names_a_record`, whether it ends with the id of one; `is_respelled`, whether it goes upstream as the
    API spells it, and not as it came.
    """

    name: str
    path: str
    methods: frozenset[str]
    access: Mapping[CallerKind, Access]
    query: frozenset[str] | None = None
    passwords: Passwords | None = None
    body_limit: int = 256 * 1024
    answer_limit: int = 8 * 1024 * 1024
    stream_limit: int | None = None
    idle_limit: float | None = None
    set_cookie: bool = False
    answer_headers: frozenset[str] = frozenset()
    closes_on_violation: bool = False
    is_alike: bool = False
    upstream: str = DEFAULT_UPSTREAM
    sends_to: Address | None = None
    reserved: frozenset[str] = frozenset()
    idempotency_key: IdempotencyKey = IdempotencyKey.OFF
    endpoint: Endpoint | None = None
    form: RecordForm = MOLTIN
    forms: Mapping[str, RecordForm] = field(default_factory=dict)
    is_tail: bool = field(init=False, repr=False, compare=False)
    names_a_record: bool = field(init=False, repr=False, compare=False)
    is_respelled: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        is_tail = self.path.endswith("...}")
        known = {
            "is_tail": is_tail,
            "names_a_record": self.path.endswith("}") and not is_tail,
            "is_respelled": self.form.rewrites_paths and not is_tail,
        }
        for name, value in known.items():
            object.__setattr__(self, name, value)


Perform = Callable[[Plan], Awaitable[Checked | Refusal]]
"""Sends a plan and judges its answer: stages 5 to 7."""
