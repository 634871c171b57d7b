"""The log for a person who tries the demonstration: a short line for each request, with its path and who asked.

Never for production: paths and names are what the JSON log does not tell.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, assert_never

from gateway.vocab.events import (
    AnswerUnfit,
    ConfigChange,
    ConfigFault,
    ConfigInForce,
    ConfigReload,
    ConnectionsRefused,
    CountedAlone,
    CredentialFailed,
    CredentialRenewed,
    EmailShared,
    Event,
    Failed,
    GuardViolated,
    Lifecycle,
    LoginDone,
    LoopBlocked,
    NoProxyTrusted,
    PasswordQueue,
    ProxyHeaderRefused,
    RequestDone,
    RouteClosed,
    ShareSpent,
    Throttled,
    WorkerLost,
)

# What leaves room on a line for the rest; a path comes from a client.
_LENGTH: Final = 200
# From so many milliseconds on their tenths say nothing.
_WHOLE: Final = 10
# What keeps the event loop for less, in seconds, is no news for somebody who tries things out.
_NOTICED: Final = 2.0


class Screen:
    """Writes requests, and whatever went wrong, with `write`; `names` are those of customers, by id."""

    def __init__(self, write: Callable[[str], None], names: Mapping[str, str], now: Callable[[], float]) -> None:
        self._write: Final = write
        self._names: Final = names
        self._now: Final = now

    def __call__(self, event: Event) -> None:
        """Write a line for the event, if it is one that a person should see."""
        if isinstance(event, RequestDone):
            self.write_requests([(self._now(), event)])
        elif (text := _told(event)) is not None:
            self._write(_line(self._now(), text))

    def write_requests(self, requests: Iterable[tuple[float, RequestDone]]) -> None:
        """Write a line for each request; with it comes the time when it was done."""
        self._write("".join(_line(at, self._request(done)) for at, done in requests))

    def _request(self, done: RequestDone) -> str:
        trace = done.trace
        customer = trace.customer_id
        who = trace.caller if customer is None else self._names.get(customer, customer)
        milliseconds = done.seconds * 1000
        words = [_plain(done.method), _plain(trace.target.partition("?")[0]), str(done.status)]
        words += [f"{milliseconds:.0f}" if milliseconds >= _WHOLE else f"{milliseconds:.1f}", "ms"]
        words.append("nobody" if who == "-" else _plain(who))
        if trace.code is not None:
            words.append(trace.code)
        if done.aborted:
            words.append("broken off")
        return " ".join(words)


def _line(at: float, text: str) -> str:
    return f"{datetime.fromtimestamp(at, UTC).astimezone():%H:%M:%S} {text}\n"


def _told(event: Event) -> str | None:  # noqa: C901, PLR0911, PLR0912 - a case for each event
    match event:
        case GuardViolated():
            return f"withheld an answer of the API on route {event.route}: it may not have been the caller's"
        case AnswerUnfit():
            return f"withheld an answer of the API on route {event.route}, which has another form: {event.detail}"
        case RouteClosed():
            return f"closed route {event.route}: an answer of the API would have broken isolation"
        case CredentialFailed():
            return f"the API gives the gateway no bearer: {_plain(event.detail)}; next try in {event.retry_in:.3g} s"
        case EmailShared():
            return f"nobody logs in with an e-mail that {event.holders} customers have, unless it is spelled as theirs"
        case Failed():
            return f"failed: {event.what}: {_plain(event.error)}"
        case LoopBlocked():
            if event.seconds < _NOTICED:
                return None
            return f"everything waited for {event.seconds:.1f} s: {_plain(event.where)}"
        case ProxyHeaderRefused():
            return f"closed a connection of {_plain(event.peer)}: PROXY header {event.reason}"
        case Lifecycle():
            return event.detail if event.state == "drain deadline" else None
        case ConnectionsRefused():
            return f"closed {event.count} connections: there are {event.limit} already"
        case (
            RequestDone()
            | CredentialRenewed()
            | LoginDone()
            | PasswordQueue()
            | NoProxyTrusted()
            | ShareSpent()
            | Throttled()
            | CountedAlone()
            | WorkerLost()
            | ConfigFault()
            | ConfigChange()
            | ConfigReload()
            | ConfigInForce()
        ):
            return None
        case _:
            assert_never(event)


def _plain(text: str) -> str:
    """Return a text that moves no cursor and ends no line."""
    text = text.encode("unicode_escape").decode("ascii")
    return text if len(text) <= _LENGTH else f"{text[:_LENGTH]}..."
