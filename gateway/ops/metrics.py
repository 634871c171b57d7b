"""The metrics: events counted for Prometheus, in one process or over several. Labels come from closed sets only."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol, assert_never

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

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
from gateway.vocab.messages import CallerKind
from gateway.vocab.refusals import Code

_CALLERS: Final = frozenset(CallerKind)
_CODES: Final = frozenset(Code.__members__)
_LANES: Final = frozenset({"standard", "express"})
_OUTCOMES: Final = frozenset({"granted", "refused", "throttled", "overloaded", "failed"})
_STATUSES: Final = range(100, 600)
# What can fail is named in our code, about a dozen parts; more names than this would be a bug that eats memory.
_FAULTS_MOST: Final = 64
# From below the gateway's own cost (25 us of decisions) up to what clients wait for at most.
_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_EXPIRES_AT: Final = "gateway_credential_expires_at_seconds"


class _Source(Protocol):
    """Something that gives metric families."""

    def collect(self) -> Iterable[Metric]:
        """Give them."""


class Metrics:
    """Counts events into a registry. Call it with an event.

    In Prometheus' multiprocess mode the client library keeps the numbers in files that all processes share, and
    `render` gives their sum. Whoever ends a process there calls `prometheus_client.multiprocess.mark_process_dead`.
    """

    def __init__(self, registry: CollectorRegistry, now: Callable[[], float]) -> None:
        self._registry: Final = registry
        self._now: Final = now
        self._faults_seen: Final[set[str]] = set()
        self._children: Final[dict[tuple[str, ...], tuple[Counter, Histogram]]] = {}
        self._requests: Final = Counter(
            "gateway_requests_total", "Requests answered.", ("route", "caller", "status", "lane"), registry=registry
        )
        self._seconds: Final = Histogram(
            "gateway_request_seconds",
            "Time from the first byte of a request to the last of its reply.",
            ("route",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._upstream_seconds: Final = Histogram(
            "gateway_upstream_seconds",
            "Time a request waited for the commerce API, all calls together.",
            ("route",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._refusals: Final = Counter("gateway_refusals_total", "Refusals.", ("code",), registry=registry)
        self._violations: Final = Counter(
            "gateway_isolation_violations_total",
            "Answers withheld because they held somebody else's record.",
            ("route",),
            registry=registry,
        )
        self._closed: Final = Gauge(
            "gateway_route_closed",
            "1 for a route that was closed by a violation, in one worker at least.",
            ("route",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._logins: Final = Counter("gateway_logins_total", "Logins decided.", ("outcome",), registry=registry)
        self._queue: Final = Gauge(
            "gateway_password_queue_depth",
            "Password computations that wait or run.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._renewals: Final = Counter(
            "gateway_credential_renewals_total", "Renewals of the server credential.", ("outcome",), registry=registry
        )
        self._faults: Final = Counter("gateway_faults_total", "Faults of the gateway.", ("what",), registry=registry)
        self._lines_lost: Final = Counter(
            "gateway_log_lines_lost_total", "Log lines that could not be written.", registry=registry
        )
        # Made with the first credential: a gauge is born as 0, and the least of all processes would be 1970.
        self._expires_at: Gauge | None = None

    def __call__(self, event: Event) -> None:
        """Count the event."""
        match event:
            case RequestDone():
                self._count_request(event)
            case GuardViolated():
                self._violations.labels(event.route).inc()
            case RouteClosed():
                self._closed.labels(event.route).set(1)
            case LoginDone():
                self._logins.labels(_known(event.outcome, _OUTCOMES)).inc()
            case PasswordQueue():
                self._queue.set(event.depth)
            case CredentialRenewed():
                self._renewals.labels("renewed").inc()
                self._keep_expiry(event.expires_at)
            case CredentialFailed():
                self._renewals.labels("failed").inc()
            case Failed():
                self._faults.labels(self._fault(event.what)).inc()
            case Lifecycle():
                pass
            case _:
                assert_never(event)

    def count_lost_line(self) -> None:
        """Count a log line that could not be written; `EventLog` takes this as `on_lost`."""
        self._lines_lost.inc()

    def render(self) -> tuple[bytes, str]:
        """Return the metrics as Prometheus text, and its content type.

        Reads files in multiprocess mode: call it off the event loop there.
        """
        source: _Source = self._registry
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            source = MultiProcessCollector(None)  # type: ignore[no-untyped-call]  # prometheus_client has no types there
        return generate_latest(_WithRemaining(source, self._now)), CONTENT_TYPE_PLAIN_0_0_4

    def _count_request(self, done: RequestDone) -> None:
        trace = done.trace
        caller = _known(trace.caller, _CALLERS)
        status = str(done.status) if done.status in _STATUSES else "-"
        labels = (trace.route, caller, status, _known(trace.lane, _LANES))
        found = self._children.get(labels)
        if found is None:
            # `labels` checks, copies and locks on every call; the sets are closed, so the children can be kept.
            found = self._children[labels] = (self._requests.labels(*labels), self._seconds.labels(trace.route))
        requests, seconds = found
        requests.inc()
        seconds.observe(done.seconds)
        if trace.upstream_calls:
            self._upstream_seconds.labels(trace.route).observe(trace.upstream_seconds)
        if trace.code is not None:
            self._refusals.labels(_known(trace.code, _CODES)).inc()

    def _keep_expiry(self, expires_at: float) -> None:
        if self._expires_at is None:
            self._expires_at = Gauge(
                _EXPIRES_AT,
                "When the server credential expires, in epoch seconds; the first to expire of all processes.",
                registry=self._registry,
                multiprocess_mode="livemin",
            )
        self._expires_at.set(expires_at)

    def _fault(self, what: str) -> str:
        if len(self._faults_seen) < _FAULTS_MOST:
            self._faults_seen.add(what)
        return _known(what, self._faults_seen)


class _WithRemaining(Collector):
    """The families of a source, and the seconds until the credential in them expires.

    Computed from the stored expiry when somebody asks, for gauges with a function do not exist in multiprocess mode.
    """

    def __init__(self, source: _Source, now: Callable[[], float]) -> None:
        self._source = source
        self._now = now

    def collect(self) -> Iterator[Metric]:
        for family in self._source.collect():
            yield family
            if family.name == _EXPIRES_AT:
                for sample in family.samples:
                    yield GaugeMetricFamily(
                        "gateway_credential_expiry_seconds",
                        "Seconds until the server credential expires; negative once it has.",
                        value=sample.value - self._now(),
                    )


def _known(value: str, known: frozenset[str] | set[str]) -> str:
    return value if value in known else "-"
