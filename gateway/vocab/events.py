"""What happened, as values. The code emits them; ops/ turns them into log lines and metrics."""

from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct

from gateway.vocab.messages import Trace
from gateway.vocab.policy import DEFAULT_UPSTREAM, Credential


class RequestDone(Struct, frozen=True):
    """A reply left, or its client did. `seconds` is from the first byte of the head to the last of the reply."""

    id: str
    method: str
    status: int
    seconds: float
    peer: str
    trace: Trace
    bytes_sent: int
    aborted: bool = False


@dataclass(frozen=True, slots=True)
class GuardViolated:
    """An answer of the upstream would have broken isolation and was withheld."""

    request_id: str
    route: str
    detail: str


@dataclass(frozen=True, slots=True)
class AnswerUnfit:
    """An answer of the upstream was withheld because it has another form than the routing file says."""

    request_id: str
    route: str
    detail: str


@dataclass(frozen=True, slots=True)
class RouteClosed:
    """A route answers nobody any more, because an answer of the upstream would have broken isolation there."""

    route: str


@dataclass(frozen=True, slots=True)
class LoginDone:
    """A login was decided. `outcome` is one of granted, refused, throttled, overloaded, failed."""

    outcome: str


@dataclass(frozen=True, slots=True)
class EmailShared:
    """Somebody wants to log in with an e-mail that several customers have, none of them exactly as it was typed."""

    request_id: str
    holders: int


@dataclass(frozen=True, slots=True)
class PasswordQueue:
    """How many password computations wait or run."""

    depth: int


@dataclass(frozen=True, slots=True)
class ShareSpent:
    """A call upstream was refused because a share of the connections was used up: `share` is whose.

    It is one of route, client, relays, all (carrying/shares.py).
    """

    share: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """Password work other than a login was refused: one address or name (`by`) asked for too much `work` of a kind."""

    work: str
    by: str


@dataclass(frozen=True, slots=True)
class CountedAlone:
    """An attempt at a password was counted in this process alone: the store, which counts for all, could not."""


@dataclass(frozen=True, slots=True)
class CredentialRenewed:
    """A credential was renewed; it lives until `expires_at` (epoch seconds)."""

    expires_at: float
    credential: Credential = Credential.SERVER
    upstream: str = DEFAULT_UPSTREAM


@dataclass(frozen=True, slots=True)
class CredentialFailed:
    """A credential could not be renewed; the next try is in `retry_in` seconds."""

    detail: str
    retry_in: float
    credential: Credential = Credential.SERVER
    upstream: str = DEFAULT_UPSTREAM


@dataclass(frozen=True, slots=True)
class Failed:
    """A bug or a broken part of the machine: `what` failed with `error` (type and place, no values)."""

    request_id: str
    what: str
    error: str


@dataclass(frozen=True, slots=True)
class LoopBlocked:
    """The event loop came so many seconds late to what was due, because of what was done at `where`."""

    seconds: float
    where: str


@dataclass(frozen=True, slots=True)
class ProxyHeaderRefused:
    """A connection did not begin with a header of the PROXY protocol from a trusted proxy, and was closed.

    `reason` is one of untrusted, malformed, too_large, late; `peer` is the address that connected.
    """

    peer: str
    reason: str


@dataclass(frozen=True, slots=True)
class NoProxyTrusted:
    """No proxy is trusted: behind one, all requests count as one client.

    `header` came and is ignored, which is told once; it is empty at the start, when nobody knows of any.
    """

    header: str = ""


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """Another worker ended or was ended. `why` is silent, died (after it had served) or unready (it never did)."""

    worker: int
    why: str
    detail: str


@dataclass(frozen=True, slots=True)
class ConnectionsRefused:
    """So many connections of clients were closed as soon as they were made: there were `limit` already."""

    count: int
    limit: int


@dataclass(frozen=True, slots=True)
class ConfigFault:
    """Why a changed configuration is not used: one fault of it, with its place, or what it would need."""

    what: str


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """What a configuration that is about to be used changes: one difference, or the sum of all."""

    what: str


@dataclass(frozen=True, slots=True)
class ConfigReload:
    """The configuration was read again. `outcome` is one of swapped, unchanged, refused.

    `version` is the one that is in force now, whatever was read.
    """

    outcome: str
    version: str


@dataclass(frozen=True, slots=True)
class ConfigInForce:
    """From now on this process serves by the configuration of this `version`."""

    version: str


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The process changed its state: started, ready, draining, stopped, or a notice at start."""

    state: str
    detail: str = ""


Event = (
    RequestDone
    | GuardViolated
    | AnswerUnfit
    | RouteClosed
    | LoginDone
    | EmailShared
    | PasswordQueue
    | ShareSpent
    | Throttled
    | CountedAlone
    | CredentialRenewed
    | CredentialFailed
    | Failed
    | LoopBlocked
    | ProxyHeaderRefused
    | NoProxyTrusted
    | WorkerLost
    | ConnectionsRefused
    | ConfigFault
    | ConfigChange
    | ConfigReload
    | ConfigInForce
    | Lifecycle
)
Emit = Callable[[Event], None]


def describe(error: BaseException) -> str:
    """Name an error by type and place, without its text: that may hold what a client sent."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else "?"
    return f"{type(error).__name__} at {place}"
