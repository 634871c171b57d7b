"""The metrics: events counted for Prometheus, in one process or over several. Labels come from closed sets only."""

import os
from bisect import bisect_left
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from itertools import accumulate
from pathlib import Path
from typing import Final, Protocol, assert_never

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric, generate_latest, values
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from prometheus_client.values import MultiProcessValue

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
from gateway.vocab.messages import CallerKind
from gateway.vocab.refusals import Code

_CALLERS: Final = frozenset(CallerKind)
_CODES: Final = frozenset(Code.__members__)
_OUTCOMES: Final = frozenset({"granted", "refused", "throttled", "overloaded", "failed"})
_REASONS: Final = frozenset({"untrusted", "malformed", "too_large", "late"})
_SHARES: Final = frozenset({"route", "client", "relays", "all"})
_WORK: Final = frozenset({"registration", "password_change", "reset", "new_password"})
_COUNTED_BY: Final = frozenset({"address", "email", "customer"})
_WHYS: Final = frozenset({"silent", "died", "unready"})
_RELOADS: Final = frozenset({"swapped", "unchanged", "refused"})
_STATUSES: Final = range(100, 600)
# What can fail is named in our code, about a dozen parts; more names than this would be a bug that eats memory.
_FAULTS_MOST: Final = 64
# From below the gateway's own cost (25 us of decisions) up to what clients wait for at most.
_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# The buckets as Prometheus writes them; the last one takes what is above all bounds.
_PARTS: Final = (*map(floatToGoString, _BUCKETS), "+Inf")
_bucket: Final = partial(bisect_left, _BUCKETS)
_SUM: Final = "sum"
_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
_EXPIRES_AT: Final = "gateway_credential_expires_at_seconds"
_LOG_OUTS_AT: Final = "gateway_revocations_at_seconds"
_SECONDS: Final = "gateway_request_seconds"
_UPSTREAM_SECONDS: Final = "gateway_upstream_seconds"
_LABELS: Final = {_SECONDS: ("route",), _UPSTREAM_SECONDS: ("route", "upstream")}


def share(folder: str, worker: int) -> None:
    """Keep the numbers of this process in files of a folder, beside those of other workers; to be called first.

    A worker that takes the place of a dead one takes its number too, and counts on where that one ended.
    """
    os.environ[_FOLDER] = folder
    values.ValueClass = MultiProcessValue(lambda: worker)  # type: ignore[no-untyped-call]  # it has no types there


def forget(folder: str, worker: int) -> None:
    """Take back what a dead worker said of its present state; what it counted stays."""
    mark_process_dead(worker, folder)  # type: ignore[no-untyped-call]  # it has no types there


class _Source(Protocol):
    """Something that gives metric families."""

    def collect(self) -> Iterable[Metric]:
        """Give them."""


class Metrics:
    """Counts events into a registry. Call it with an event.

    After `share` the client library keeps the numbers in files, and `render` gives the sum of all workers.
    """

    def __init__(self, registry: CollectorRegistry, now: Callable[[], float]) -> None:
        self._registry: Final = registry
        self._now: Final = now
        self._faults_seen: Final[set[str]] = set()
        requests = Counter(
            "gateway_requests_total", "Requests answered.", ("route", "caller", "status"), registry=registry
        )
        # `labels` checks, copies and locks on every call; the sets are closed, so what it gives can be kept.
        self._requests: Final = cache(requests.labels)
        self._seconds: Final = _Times(
            _SECONDS, "Time from the first byte of a request to the last of its reply.", registry
        )
        self._upstream_seconds: Final = _Times(
            _UPSTREAM_SECONDS, "Time a request waited for the commerce API, all calls together.", registry
        )
        self._refusals: Final = Counter("gateway_refusals_total", "Refusals.", ("code",), registry=registry)
        self._violations: Final = Counter(
            "gateway_isolation_violations_total",
            "Answers withheld because they held somebody else's record.",
            ("route",),
            registry=registry,
        )
        self._unfit: Final = Counter(
            "gateway_unfit_answers_total",
            "Answers withheld because they have another form than the routing file says.",
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
        self._shares: Final = Counter(
            "gateway_share_refusals_total",
            "Calls to the commerce API refused because a share of the connections was used up.",
            ("share",),
            registry=registry,
        )
        self._throttled: Final = Counter(
            "gateway_throttled_total",
            "Password work other than logins refused because too much of it was asked for.",
            ("work", "by"),
            registry=registry,
        )
        self._counted_alone: Final = Counter(
            "gateway_attempts_counted_alone_total",
            "Attempts at passwords that the store could not count for all replicas.",
            registry=registry,
        )
        self._renewals: Final = Counter(
            "gateway_credential_renewals_total",
            "Renewals of the gateway's own credentials.",
            ("upstream", "credential", "outcome"),
            registry=registry,
        )
        self._faults: Final = Counter("gateway_faults_total", "Faults of the gateway.", ("what",), registry=registry)
        self._lines_lost: Final = Counter(
            "gateway_log_lines_dropped_total", "Log lines that could not be written.", registry=registry
        )
        self._lag: Final = Gauge(
            "gateway_loop_lag_seconds",
            "How late the event loop came to what was due last, the latest of all workers.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._blocked: Final = Counter(
            "gateway_loop_blocked_total",
            "Times that one step kept the event loop for more than 0.25 s.",
            registry=registry,
        )
        self._proxy_headers: Final = Counter(
            "gateway_proxy_header_refused_total",
            "Connections closed for want of a header of the PROXY protocol from a trusted proxy.",
            ("reason",),
            registry=registry,
        )
        self._workers_lost: Final = Counter(
            "gateway_workers_lost_total", "Workers that ended without being told, or hung.", ("why",), registry=registry
        )
        self._refused: Final = Counter(
            "gateway_connections_refused_total",
            "Connections of clients beyond the limit, closed at once.",
            registry=registry,
        )
        self._reloads: Final = Counter(
            "gateway_config_reloads_total",
            "Times that the configuration was read again.",
            ("outcome",),
            registry=registry,
        )
        self._log_outs: Final = Gauge(
            "gateway_revocations",
            "Sessions and customers that are known to be logged out, of the worker that knows most.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        # As below; the least of all workers counts.
        self._least: Final[dict[str, Gauge]] = {}
        # Made with the first credential: a gauge is born as 0, and the least of all processes would be 1970.
        self._expires_at: Gauge | None = None
        # For the same reason.
        self._version: Gauge | None = None

    def __call__(self, event: Event) -> None:  # noqa: C901, PLR0912 - a case for each event
        """Count the event."""
        match event:
            case RequestDone():
                self.count_requests([event])
            case GuardViolated():
                self._violations.labels(event.route).inc()
            case AnswerUnfit():
                self._unfit.labels(event.route).inc()
            case RouteClosed():
                self._closed.labels(event.route).set(1)
            case LoginDone():
                self._logins.labels(_known(event.outcome, _OUTCOMES)).inc()
            case PasswordQueue():
                self._queue.set(event.depth)
            case ShareSpent():
                self._shares.labels(_known(event.share, _SHARES)).inc()
            case Throttled():
                self._throttled.labels(_known(event.work, _WORK), _known(event.by, _COUNTED_BY)).inc()
            case CountedAlone():
                self._counted_alone.inc()
            case CredentialRenewed():
                self._renewals.labels(event.upstream, event.credential, "renewed").inc()
                self._keep_expiry(event)
            case CredentialFailed():
                self._renewals.labels(event.upstream, event.credential, "failed").inc()
            case Failed():
                self._faults.labels(self._fault(event.what)).inc()
            case LoopBlocked():
                self._blocked.inc()
            case ProxyHeaderRefused():
                self._proxy_headers.labels(_known(event.reason, _REASONS)).inc()
            case WorkerLost():
                self._workers_lost.labels(_known(event.why, _WHYS)).inc()
            case ConnectionsRefused():
                self._refused.inc(event.count)
            case ConfigReload():
                self._reloads.labels(_known(event.outcome, _RELOADS)).inc()
            case ConfigInForce():
                self._keep_version(int(event.version, 16))
            case NoProxyTrusted() | Lifecycle() | EmailShared() | ConfigFault() | ConfigChange():
                pass
            case _:
                assert_never(event)

    def count_requests(self, requests: Iterable[RequestDone]) -> None:
        """Count requests; many at once cost little more than one."""
        groups: defaultdict[tuple[str, str, int], list[RequestDone]] = defaultdict(list)
        for done in requests:
            trace = done.trace
            groups[trace.route, trace.caller, done.status].append(done)
        for (route, caller, status), group in groups.items():
            shown = str(status) if status in _STATUSES else "-"
            self._requests(route, _known(caller, _CALLERS), shown).inc(len(group))
            self._seconds.observe((route,), [done.seconds for done in group])
            asked = [done.trace.upstream_seconds for done in group if done.trace.upstream_calls]
            # Of one route all requests go to the same one.
            self._upstream_seconds.observe((route, group[0].trace.upstream), asked)
            for code, count in Counts(done.trace.code for done in group if done.trace.code is not None).items():
                self._refusals.labels(_known(code, _CODES)).inc(count)

    def set_lag(self, seconds: float) -> None:
        """Know how late the event loop came."""
        self._lag.set(seconds)

    def set_store(self, is_up: bool, log_outs: int) -> None:  # noqa: FBT001 - what the live view tells
        """Know whether the store answers now, and how many log-outs are known."""
        self._set_least("gateway_store_up", "1 while the store answers all workers, 0 while it does not.", is_up)
        self._log_outs.set(log_outs)
        if is_up:
            text = "When the store was last heard of, in epoch seconds; of the worker that has not for longest."
            self._set_least(_LOG_OUTS_AT, text, self._now())

    def set_channel(self, is_up: bool) -> None:  # noqa: FBT001 - what the live view tells
        """Know whether the store tells of log-outs by itself."""
        text = "1 while the store tells all workers of log-outs as they happen, 0 while they are only asked for."
        self._set_least("gateway_revocations_channel_up", text, is_up)

    def _set_least(self, name: str, text: str, value: float) -> None:
        if name not in self._least:
            self._least[name] = Gauge(name, text, registry=self._registry, multiprocess_mode="livemin")
        self._least[name].set(value)

    def count_lost_line(self, count: int = 1) -> None:
        """Count log lines that could not be written; `EventLog` takes this as `on_lost`."""
        self._lines_lost.inc(count)

    def render(self) -> tuple[bytes, str]:
        """Return the metrics as Prometheus text, and its content type.

        It reads files after `share`: call it off the event loop; events may be counted meanwhile.
        """
        folder = os.environ.get(_FOLDER)
        source: _Source = _Files(Path(folder)) if folder else self._registry
        return generate_latest(_Shown(source, self._now)), CONTENT_TYPE_PLAIN_0_0_4

    def _keep_expiry(self, event: CredentialRenewed) -> None:
        if self._expires_at is None:
            self._expires_at = Gauge(
                _EXPIRES_AT,
                "When a credential expires, in epoch seconds; the first to expire of all processes.",
                ("upstream", "credential"),
                registry=self._registry,
                multiprocess_mode="livemin",
            )
        self._expires_at.labels(event.upstream, event.credential).set(event.expires_at)

    def _keep_version(self, version: int) -> None:
        if self._version is None:
            self._version = Gauge(
                "gateway_config_version",
                "The version of the configuration in force, as a number: equal wherever the same one is.",
                registry=self._registry,
                # A label for it would leave a series behind with each reload.
                multiprocess_mode="liveall",
            )
        self._version.set(version)

    def _fault(self, what: str) -> str:
        if len(self._faults_seen) < _FAULTS_MOST:
            self._faults_seen.add(what)
        return _known(what, self._faults_seen)


class _Files:
    """The numbers of all workers, from the files of a folder, added up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        files = []
        for path in self._folder.glob("*.db"):
            # A worker that ends takes files with it. One that begins makes them empty at first, which the library does
            # not expect (`MmapedDict.read_all_values_from_file`): a scrape at that moment would fail.
            with suppress(FileNotFoundError):
                if path.stat().st_size:
                    files.append(str(path))
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]  # it has no types
        return merged


class _Times:
    """A histogram of seconds, labelled as `_LABELS` says, that takes many at once; the client library's own cannot.

    Its numbers are counters, one for each bucket and one for the sum, so that those of several processes add up as
    all counters do; `_Shown` makes a histogram of them for whoever asks.
    """

    def __init__(self, name: str, text: str, registry: CollectorRegistry) -> None:
        counter = Counter(name, text, (*_LABELS[name], "part"), registry=registry)
        self._part: Final = cache(counter.labels)

    def observe(self, labels: tuple[str, ...], times: Sequence[float]) -> None:
        """Count times of one route."""
        if not times:
            return
        for bucket, count in Counts(map(_bucket, times)).items():
            self._part(*labels, _PARTS[bucket]).inc(count)
        self._part(*labels, _SUM).inc(sum(times))


class _Shown(Collector):
    """The families of a source as they are shown: with histograms, and the seconds to and since what has a time.

    Those are computed from the stored times when somebody asks, for gauges with a function do not exist in
    multiprocess mode.
    """

    def __init__(self, source: _Source, now: Callable[[], float]) -> None:
        self._source = source
        self._now = now

    def collect(self) -> Iterator[Metric]:
        for family in self._source.collect():
            if family.name in _LABELS:
                yield _histogram(family, _LABELS[family.name])
                continue
            yield family
            if family.name == _EXPIRES_AT:
                what = "Seconds until a credential expires; negative once it has."
                left = GaugeMetricFamily("gateway_credential_expiry_seconds", what, labels=("upstream", "credential"))
                for sample in family.samples:
                    left.add_metric(
                        (sample.labels["upstream"], sample.labels["credential"]), sample.value - self._now()
                    )
                yield left
            for sample in family.samples:
                if family.name == _LOG_OUTS_AT:
                    yield GaugeMetricFamily(
                        "gateway_revocations_age_seconds",
                        "Seconds since the store was last heard of: as old is what is known of log-outs.",
                        value=self._now() - sample.value,
                    )


def _histogram(family: Metric, labels: tuple[str, ...]) -> HistogramMetricFamily:
    """Make a histogram of the counters of `_Times`."""
    found: defaultdict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for sample in family.samples:
        if sample.name.endswith("_total"):
            found[tuple(sample.labels[label] for label in labels)][sample.labels["part"]] = sample.value
    histogram = HistogramMetricFamily(family.name, family.documentation, labels=labels)
    for named, parts in found.items():
        # Each bucket of a histogram counts what is in the smaller ones too.
        counts = accumulate(parts.get(part, 0.0) for part in _PARTS)
        histogram.add_metric(named, list(zip(_PARTS, counts, strict=True)), parts.get(_SUM, 0.0))
    return histogram


def _known(value: str, known: frozenset[str] | set[str]) -> str:
    return value if value in known else "-"
