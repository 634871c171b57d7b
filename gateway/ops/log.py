"""The log: one JSON object a line for each event. It never shows targets, headers, bodies, or who a customer is."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from threading import Lock
from typing import Any, Final, Protocol, TextIO, assert_never

import msgspec

from gateway.ops.outlet import Outlet
from gateway.vocab import events
from gateway.vocab.refusals import EXPLAINED_IN_LOGS

# What is never given up for lack of room, as long as there is any.
_VITAL: Final = (events.GuardViolated, events.RouteClosed)
_METRIC_ONLY: Final = (events.PasswordQueue, events.ShareSpent, events.Throttled, events.CountedAlone)
# The hash shall not be guessable by trying customer ids, and BLAKE2b takes keys of up to 64 bytes (RFC 7693).
_KEY_BYTES_LEAST: Final = 16
# 64 bits tell the customers of a shop apart and keep the line short.
_DIGEST_BYTES: Final = 8
# Customers whose hash is remembered: about 2 MiB.
_CUSTOMERS: Final = 10_000
_EXPLAINED: Final = frozenset(code.name for code in EXPLAINED_IN_LOGS)
_AS_ONE: Final = "all requests count as one client; set server.trusted_proxies"
# No text of ours is longer. Methods come from clients, who could fill the disk with them.
_TEXT_LENGTH: Final = 500

# Workers share one stream: on a pipe a write of up to this many bytes is never mixed with another's (pipe(7)).
_UNMIXED: Final = 4096

_ESCAPE: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
_ENCODER: Final = msgspec.json.Encoder()


class _RequestLine(msgspec.Struct, gc=False):
    """The line of a request, in the order of its fields."""

    ts: str
    event: str
    id: str
    method: str
    route: str
    caller: str
    customer: str | None
    status: int
    code: str | None
    ms: float
    upstream_ms: float
    upstream_calls: int
    bytes: int
    peer: str
    aborted: bool
    detail: str | msgspec.UnsetType = msgspec.UNSET
    client_id: str | msgspec.UnsetType = msgspec.UNSET


class Log(Protocol):
    """Takes an event, or many requests at once, each with the time when it was done."""

    def __call__(self, event: events.Event) -> None:
        """Take an event."""

    def write_requests(self, requests: Iterable[tuple[float, events.RequestDone]]) -> None:
        """Take many requests."""


class EventLog:
    """Writes events to a stream. Call it with an event, or give it many requests at once, which costs less.

    `key` hides customer ids; the same key gives the same hash, so that the requests of one customer can be found.
    `debug` adds details, which may hold what clients or the upstream sent. A stream that fails costs lines, never
    requests: `on_lost` is told how many, and so is the log, as soon as it can be written again. A slow stream holds up
    the caller, unless it is an `Outlet`.
    """

    def __init__(
        self,
        stream: TextIO | Outlet,
        key: bytes,
        now: Callable[[], float],
        *,
        debug: bool = False,
        on_lost: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._stream: Final = stream
        self._now: Final = now
        self._on_lost: Final = on_lost
        # Lines of which the log does not know yet that they are lost; an outlet's thread tells of some.
        self._lost = 0
        self._counting: Final = Lock()
        self._insist: Final = stream.insist if isinstance(stream, Outlet) else stream.write
        if isinstance(stream, Outlet):
            stream.on_lost = self._count_lost
        self.configure(key, debug=debug)

    def configure(self, key: bytes, *, debug: bool) -> None:
        """Hide customer ids by another key from now on, and say details or not."""
        if not _KEY_BYTES_LEAST <= len(key) <= hashlib.blake2b.MAX_KEY_SIZE:
            raise ValueError(f"the log key must have {_KEY_BYTES_LEAST} to {hashlib.blake2b.MAX_KEY_SIZE} bytes")
        self._debug = debug
        # Customers come back, and the hash is the dearest part of a line.
        self._pseudonym = lru_cache(_CUSTOMERS)(partial(_pseudonym, key))

    def __call__(self, event: events.Event) -> None:
        """Write one line for the event; what only metrics count, or a request's line tells, is one at debug only."""
        if self._debug or not isinstance(event, _METRIC_ONLY):
            self.write(_serialize([self._line(self._now(), event)]), is_vital=isinstance(event, _VITAL))

    def write_requests(self, requests: Iterable[tuple[float, events.RequestDone]]) -> None:
        """Write a line for each request; with it comes the time when it was done."""
        self.write(_serialize([self._request(at, done) for at, done in requests]))

    def write(self, text: str, *, is_vital: bool = False) -> None:
        """Write whole lines, each at once; what `is_vital` has room where nothing else has."""
        for piece in _pieces(text):
            if self._leaves(piece, is_vital=is_vital) and self._lost:
                self._tell_lost()

    def _leaves(self, piece: str, *, is_vital: bool) -> bool:
        try:
            (self._insist if is_vital else self._stream.write)(piece)
            self._stream.flush()
        except (OSError, ValueError):
            # No room, a closed pipe or a full disk (OSError), or a closed file (ValueError).
            self._count_lost(piece.count("\n"))
            return False
        return True

    def _count_lost(self, lines: int) -> None:
        with self._counting:
            self._lost += lines
        self._on_lost(lines)

    def _tell_lost(self) -> None:
        with self._counting:
            lost, self._lost = self._lost, 0
        line = {"ts": _timestamp(self._now()), "event": "log_lines_dropped", "lines": lost}
        try:
            self._insist(_serialize([line]))
            self._stream.flush()
        except (OSError, ValueError):
            with self._counting:
                self._lost += lost

    def _line(self, at: float, event: events.Event) -> _RequestLine | dict[str, Any]:  # noqa: C901, PLR0912, PLR0915 - a case for each
        fields: dict[str, Any]
        match event:
            case events.RequestDone():
                return self._request(at, event)
            case events.GuardViolated():
                fields = {"id": _short(event.request_id), "route": event.route}
                # Details of a violation quote ids of somebody else.
                name, fields = "guard_violated", fields | ({"detail": _short(event.detail)} if self._debug else {})
            case events.AnswerUnfit():
                # Its details are sentences of ours, with names of the routing file in them at most.
                name, fields = "answer_unfit", {"id": _short(event.request_id), "route": event.route}
                fields |= {"detail": _short(event.detail)}
            case events.RouteClosed():
                name, fields = "route_closed", {"route": event.route}
            case events.LoginDone():
                name, fields = "login", {"outcome": event.outcome}
            case events.EmailShared():
                name, fields = "email_shared", {"id": _short(event.request_id), "holders": event.holders}
            case events.PasswordQueue():
                name, fields = "password_queue", {"depth": event.depth}
            case events.ShareSpent():
                name, fields = "share_spent", {"share": event.share}
            case events.Throttled():
                name, fields = "throttled", {"work": event.work, "by": event.by}
            case events.CountedAlone():
                name, fields = "counted_alone", {}
            case events.CredentialRenewed():
                name, fields = "credential_renewed", {**_whose(event), "expires_at": event.expires_at}
            case events.CredentialFailed():
                # The reason a credential fails is the upstream's answer or our configuration: no client's text, and
                # the one line an operator needs.
                fields = {"detail": _short(event.detail), "retry_in": event.retry_in}
                name, fields = "credential_failed", {**_whose(event), **fields}
            case events.Failed():
                fields = {"id": _short(event.request_id), "what": event.what, "error": _short(event.error)}
                name = "failed"
            case events.LoopBlocked():
                fields = {"seconds": round(event.seconds, 3), "where": _short(event.where)}
                name = "loop_blocked"
            case events.ProxyHeaderRefused():
                name, fields = "proxy_header_refused", {"peer": event.peer, "reason": event.reason}
            case events.NoProxyTrusted():
                comes = f"{event.header} comes and is ignored" if event.header else "where a proxy stands in front"
                name, fields = "no_proxy_trusted", {"detail": f"{comes}: {_AS_ONE}"}
            case events.WorkerLost():
                fields = {"worker": event.worker, "why": event.why, "detail": _short(event.detail)}
                name = "worker_lost"
            case events.ConnectionsRefused():
                name, fields = "connections_refused", {"count": event.count, "limit": event.limit}
            case events.ConfigFault() | events.ConfigChange():
                name = "config_fault" if isinstance(event, events.ConfigFault) else "config_change"
                fields = {"what": _short(event.what)}
            case events.ConfigReload():
                name, fields = "config_reload", {"outcome": event.outcome, "version": event.version}
            case events.ConfigInForce():
                name, fields = "config_in_force", {"version": event.version}
            case events.Lifecycle():
                name, fields = "lifecycle", {"state": event.state, "detail": _short(event.detail)}
            case _:
                assert_never(event)
        return {"ts": _timestamp(at), "event": name, **fields}

    def _request(self, at: float, done: events.RequestDone) -> _RequestLine:
        trace = done.trace
        return _RequestLine(
            _timestamp(at),
            "request",
            done.id,
            done.method if len(done.method) <= _TEXT_LENGTH else _short(done.method),
            trace.route,
            trace.caller,
            self._pseudonym(trace.customer_id),
            done.status,
            trace.code,
            # To three digits, like `round`, which takes twice as long.
            int(done.seconds * 1_000_000 + 0.5) / 1000,
            int(trace.upstream_seconds * 1_000_000 + 0.5) / 1000,
            trace.upstream_calls,
            done.bytes_sent,
            done.peer,
            done.aborted,
            # Details of refusals may quote a filter, a query or an id of somebody else; not those that blame the API.
            _short(trace.detail) if self._debug or trace.code in _EXPLAINED else msgspec.UNSET,
            msgspec.UNSET if trace.client_id is None else trace.client_id,
        )


def _serialize(lines: Sequence[Any]) -> str:
    # Everything but ASCII is escaped: some readers of logs take U+2028 or U+0085 for the end of a line. The encoder
    # that can do so is many times slower than the one that cannot, and nearly all lines are ASCII anyway.
    try:
        raw = _ENCODER.encode_lines(lines)
    except UnicodeEncodeError:
        # A lone surrogate, which only the escaping encoder can write.
        raw = None
    if raw is not None and raw.isascii():
        return raw.decode("ascii")
    if len(lines) > 1:
        return "".join(_serialize([line]) for line in lines)
    return f"{_ESCAPE(msgspec.to_builtins(lines[0]))}\n"


def _pieces(text: str) -> Iterator[str]:
    """Split lines into writes that no other process can cut in two, as long as each line is one."""
    start = 0
    while start < len(text):
        end = text.rfind("\n", start, start + _UNMIXED) + 1 or text.index("\n", start) + 1
        yield text[start:end]
        start = end


def _timestamp(at: float) -> str:
    return _to_the_millisecond(int(at * 1000))


# A busy gateway ends many requests in the same millisecond, and any gateway some in the same second.
@lru_cache(maxsize=1)
def _to_the_millisecond(milliseconds: int) -> str:
    second, rest = divmod(milliseconds, 1000)
    return f"{_to_the_second(second)}.{rest:03d}Z"


@lru_cache(maxsize=1)
def _to_the_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _whose(event: events.CredentialRenewed | events.CredentialFailed) -> dict[str, str]:
    return {"upstream": event.upstream, "credential": event.credential}


def _pseudonym(key: bytes, customer_id: str | None) -> str | None:
    if customer_id is None:
        return None
    text = customer_id.encode("utf-8", "backslashreplace")
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES, key=key).hexdigest()


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_LENGTH else f"{text[:_TEXT_LENGTH]}..."
