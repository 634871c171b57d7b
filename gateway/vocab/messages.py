"""The values a request passes through: what came in, what goes upstream, what goes back. No behaviour.

They are Structs of msgspec, frozen: making one costs 0.1 us, where a frozen dataclass costs 1 or 2.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct, field

from gateway.vocab.record_form import MOLTIN, RecordForm

if TYPE_CHECKING:
    from gateway.vocab.refusals import Refusal

Json = dict[str, Any]
"""A JSON object as the decoders give it."""

Headers = tuple[tuple[str, str], ...]
"""Header lines in order; names in lower case, values as received without surrounding white space."""

Query = tuple[tuple[str, str], ...]
"""Query parameters in order, decoded once."""

READS = frozenset({"GET", "HEAD"})
"""Methods that ask for a record and change none; their requests have no body."""


class CallerKind(StrEnum):
    """Who asks: the holder of an implicit bearer, a logged-in customer, or a holder of client credentials."""

    PUBLIC = "public"
    CUSTOMER = "customer"
    TRUSTED = "trusted"


class Caller(Struct, frozen=True):
    """Who asks, proven. `customer_id` is set exactly for customers.

    `has_dead_token`: a customer token came along that is not valid (any more), on a route that needs none.
    `is_by_trusted`: the bearer beside a customer's token is a trusted client's. `version` is that of the session.
    """

    kind: CallerKind
    client_id: str | None = None
    customer_id: str | None = None
    has_dead_token: bool = False
    is_by_trusted: bool = False
    version: int = 0


class Session(Struct, frozen=True):
    """One login, as its token tells it: whose it is, in words and by the store's number, and its own number `id`.

    `version` is the customer's last log-out before it, by the number that the store gave that. All numbers are 0 in a
    token of a release that knew none.
    """

    customer_id: str
    number: int = 0
    version: int = 0
    id: int = 0


class Target(Struct, frozen=True):
    """The one canonical reading of a request target.

    `path` is percent-encoded; `segments` are its parts, decoded once, and are what routes match. wire/target.py is the
    only maker. Two oddities no rule may meet: `folded` are the segments as somebody has them who normalises Unicode
    (NFKC), where that changes them, and `is_illegible` says that a value in the query is not UTF-8. `has_slash`: the
    path came with a slash at its end, which is none of `path`.
    """

    path: str
    segments: tuple[str, ...]
    query: Query = ()
    folded: tuple[str, ...] | None = None
    is_illegible: bool = False
    has_slash: bool = False


class Body(Protocol):
    """The request body, not read yet. No byte of it is given twice."""

    @property
    def expected(self) -> bool:
        """Whether the head of the request announces a body."""

    @property
    def length(self) -> int | None:
        """Announced size in bytes; None for a chunked body."""

    @property
    def consumed(self) -> bool:
        """Whether any byte of it was taken."""

    def taken(self, limit: int) -> "bytes | Refusal | None":
        """Take the whole body where all of it has come; None where one must wait for it. At most `limit` bytes."""

    async def read(self, limit: int) -> "bytes | Refusal":
        """Take the whole body; BODY_TOO_LARGE above `limit` bytes, BODY_TIMEOUT where it does not come."""

    async def piece(self, within: float = ...) -> "bytes | Refusal":
        """Take the next piece, with back-pressure; empty at the end. BODY_TIMEOUT also after `within` seconds."""


class Request(Struct, frozen=True):
    """The head of a client's request as the edge received it. `received_at` is in epoch seconds.

    `protocol` is the version of HTTP. `client_id` is the client's own id for the request, where `id` is another.
    """

    id: str
    method: str
    target: str
    headers: Headers
    peer: str
    received_at: float
    protocol: str = "1.1"
    client_id: str | None = None


class Parent(Struct, frozen=True):
    """A record that must be the caller's before the plan may run: fetched from `path` with `query`, it is `record_id`.

    `owner` is the customer id it must carry at `pointer`, or None where only a record without any owner will do;
    `guest` says that a record without owner is good as well. `also` are other pointers, and `below` a path
    of links.self, where no other owner may stand. `upstream` is where it is looked up, by default that of the route.
    """

    path: str
    record_id: str
    pointer: str
    owner: str | None
    guest: bool
    also: tuple[str, ...] = ()
    below: str | None = None
    upstream: str = ""
    query: Query = ()
    form: RecordForm = MOLTIN


class Answer(Struct, frozen=True):
    """An answer of the upstream, read whole and not judged yet."""

    status: int
    headers: Headers
    body: bytes


class Lookup(Struct, frozen=True):
    """The answer to a look-up of our own: `document` is its JSON, None where it is no success."""

    status: int
    document: Any


class Checked(Struct, frozen=True):
    """An answer that may leave: `document` is its JSON body, None where it has none.

    `headers` are lines that leave beside it; without a media type among them it is plain JSON. `owes_tag` says that
    it is a list whose entity tag is to be made of what leaves.
    """

    status: int
    document: Any = None
    headers: Headers = ()
    owes_tag: bool = False


class Plan(Struct, frozen=True):
    """The upstream request that the deciders produced.

    `document` is the body where a rule needed it; without it the client's body, if any, is streamed untouched.
    `asked` is the query as the client sent it. `there` is where the upstream has it, path and filters, if not at
    `path`. `narrowed` says that path or filter already restrict the answer to the
    customer, so that a foreign record in it is the upstream's fault and not a guess of the client. `referred` is what
    the looked-up `parents` refer to, as (relationship name, id) and (type, id), and `is_guests` says that one of them
    belongs to nobody. `conditions` are the header lines that make the request conditional, as the client sent them.
    `key` is the line by which the upstream knows a repeat of this very write; it goes with no other request.
    """

    method: str
    path: str
    query: Query = ()
    asked: Query = ()
    headers: Headers = ()
    document: Json | None = None
    parents: tuple[Parent, ...] = ()
    narrowed: bool = False
    referred: frozenset[tuple[str, str]] = frozenset()
    is_guests: bool = False
    conditions: Headers = ()
    key: Headers = ()
    there: tuple[str, Query] | None = None


class Reply(Struct, frozen=True):
    """A whole reply. One to HEAD says how long its body would be, and is sent without it."""

    status: int
    headers: Headers = ()
    body: bytes = b""


class Trace(Struct):
    """What is known about a request so far, for events and for shares: no decider reads it. Times are in seconds.

    `target` is as the client sent it; only the log of the demonstration shows some of it. `client_id` is the client's
    own id for the request, where `request_id` is another. `ignored_token`: the customer token is dead, and the request
    went on as the public's; the head of the reply says it. `counts_for` is the client (an address or its network) whose
    shares and counts this request takes from; empty where it takes from none.
    """

    request_id: str = "-"
    route: str = "-"
    caller: str = "-"
    customer_id: str | None = None
    code: str | None = None
    detail: str = ""
    upstream_seconds: float = 0.0
    upstream_calls: int = 0
    upstream: str = "default"
    target: str = "-"
    client_id: str | None = None
    ignored_token: bool = False
    counts_for: str = ""


class Whose(Struct, frozen=True):
    """For whom rules and guards decide: the customer (None for public callers) and the path's parameters.

    `version` is that of the customer's session.
    """

    customer_id: str | None
    parameters: Mapping[str, str] = field(default_factory=dict)
    version: int = 0
