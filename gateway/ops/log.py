"""The log: one JSON object a line for each event. It never shows targets, headers, bodies, or who a customer is."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TextIO, assert_never

import msgspec
from structlog import WriteLogger
from structlog.processors import JSONRenderer
from structlog.typing import EventDict

from gateway.vocab.events import (
    CredentialFailed,
    CredentialRenewed,
    Event,
    Failed,
    GuardViolated,
    Lifecycle,
    LoginDone,
    PasswordQueue,
    RequestDone,
    RouteClosed,
)

# The hash shall not be guessable by trying customer ids, and BLAKE2b takes keys of up to 64 bytes (RFC 7693).
_KEY_BYTES_LEAST: Final = 16
# 64 bits tell the customers of a shop apart and keep the line short.
_DIGEST_BYTES: Final = 8
# No text of ours is longer. Ids and methods come from clients, who could fill the disk with them.
_TEXT_LENGTH: Final = 500

_ESCAPE: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
_ENCODE: Final = msgspec.json.Encoder().encode


def _serialize(fields: EventDict, **_structlog: Any) -> str:
    # Everything but ASCII is escaped: some readers of logs take U+2028 or U+0085 for the end of a line. The encoder
    # that can do so is six times slower than the one that cannot, and nearly all lines are ASCII anyway.
    try:
        line = _ENCODE(fields)
    except UnicodeEncodeError:
        # A lone surrogate, which only the escaping encoder can write.
        return _ESCAPE(fields)
    return line.decode("ascii") if line.isascii() else _ESCAPE(fields)


class EventLog:
    """Writes events to a stream. Call it with an event.

    `key` hides customer ids; the same key gives the same hash, so that the requests of one customer can be found.
    `debug` adds details, which may hold what clients or the upstream sent. A stream that fails costs lines, never
    requests: `lines_lost` counts them and `on_lost` is told of each. A slow stream does hold up the caller.
    """

    def __init__(
        self,
        stream: TextIO,
        key: bytes,
        now: Callable[[], float],
        *,
        debug: bool = False,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        if not _KEY_BYTES_LEAST <= len(key) <= hashlib.blake2b.MAX_KEY_SIZE:
            raise ValueError(f"the log key must have {_KEY_BYTES_LEAST} to {hashlib.blake2b.MAX_KEY_SIZE} bytes")
        self.lines_lost = 0
        self._key: Final = key
        self._now: Final = now
        self._debug: Final = debug
        self._on_lost: Final = on_lost
        # structlog's renderer and writer, called directly: its bound loggers keep context that we do not have, read a
        # process-wide configuration, and cost more than all the rest of a line (measured: 5 of 12 us).
        self._render: Final = JSONRenderer(serializer=_serialize)
        self._write: Final = WriteLogger(stream).msg

    def __call__(self, event: Event) -> None:
        """Write one line for the event; the depth of the password queue is a metric, and a line at debug only."""
        if isinstance(event, PasswordQueue) and not self._debug:
            return
        name, fields = self._describe(event)
        line = self._render(None, name, {"ts": self._timestamp(), "event": name, **fields})
        try:
            self._write(str(line))
        except (OSError, ValueError):
            # A closed pipe or a full disk (OSError), or a closed file (ValueError).
            self.lines_lost += 1
            self._on_lost()

    def _timestamp(self) -> str:
        return f"{datetime.fromtimestamp(self._now(), UTC).isoformat(timespec='milliseconds')[:-6]}Z"

    def _describe(self, event: Event) -> tuple[str, dict[str, Any]]:
        fields: dict[str, Any]
        match event:
            case RequestDone():
                name, fields = "request", self._request(event)
            case GuardViolated():
                fields = {"id": _short(event.request_id), "route": event.route}
                name, fields = "guard_violated", self._with_detail(fields, event.detail)
            case RouteClosed():
                name, fields = "route_closed", {"route": event.route}
            case LoginDone():
                name, fields = "login", {"outcome": event.outcome}
            case PasswordQueue():
                name, fields = "password_queue", {"depth": event.depth}
            case CredentialRenewed():
                name, fields = "credential_renewed", {"expires_at": event.expires_at}
            case CredentialFailed():
                # The reason a credential fails is the upstream's answer or our configuration: no client's text, and
                # the one line an operator needs.
                name, fields = "credential_failed", {"detail": _short(event.detail), "retry_in": event.retry_in}
            case Failed():
                fields = {"id": _short(event.request_id), "what": event.what, "error": _short(event.error)}
                name = "failed"
            case Lifecycle():
                name, fields = "lifecycle", {"state": event.state, "detail": _short(event.detail)}
            case _:
                assert_never(event)
        return name, fields

    def _request(self, done: RequestDone) -> dict[str, Any]:
        trace = done.trace
        fields = {
            "id": _short(done.id),
            "method": _short(done.method),
            "route": trace.route,
            "caller": trace.caller,
            "customer": self._pseudonym(trace.customer_id),
            "status": done.status,
            "code": trace.code,
            "lane": trace.lane,
            "ms": round(done.seconds * 1000, 3),
            "upstream_ms": round(trace.upstream_seconds * 1000, 3),
            "upstream_calls": trace.upstream_calls,
            "bytes": done.bytes_sent,
            "peer": _short(done.peer),
            "aborted": done.aborted,
        }
        return self._with_detail(fields, trace.detail)

    def _with_detail(self, fields: dict[str, Any], detail: str) -> dict[str, Any]:
        # Details of refusals may quote a filter, a query or an id of somebody else.
        return {**fields, "detail": _short(detail)} if self._debug else fields

    def _pseudonym(self, customer_id: str | None) -> str | None:
        if customer_id is None:
            return None
        text = customer_id.encode("utf-8", "backslashreplace")
        return hashlib.blake2b(text, digest_size=_DIGEST_BYTES, key=self._key).hexdigest()


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_LENGTH else f"{text[:_TEXT_LENGTH]}..."
