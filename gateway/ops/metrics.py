"""The metrics: events counted for Prometheus, in one process or over several. Labels come from closed sets only."""

from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Final, assert_never

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.ops.exposition import EXPIRES_AT, LOG_OUTS_AT, SECONDS, UPSTREAM_SECONDS, Times, expose
from gateway.vocab import events
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


class Metrics:
    """Counts events into a registry. Call it with an event.

    Where `exposition.share` was called the client library keeps the numbers in files.
    """

    def __init__(self, registry: CollectorRegistry, now: Callable[[], float]) -> None:
        self._registry: Final = registry
        self._now: Final = now
        self._faults_seen: Final[set[str]] = set()
        # Of all workers: the sum of what is counted, and of present states the greatest, or their sum.
        counter = partial(Counter, registry=registry)
        greatest = partial(Gauge, registry=registry, multiprocess_mode="livemax")
        together = partial(Gauge, registry=registry, multiprocess_mode="livesum")
        requests = counter("gateway_requests_total", "Requests answered.", ("route", "caller", "status"))
        # `labels` checks, copies and locks on every call; the sets are closed, so what it gives can be kept.
        self._requests: Final = cache(requests.labels)
        self._seconds: Final = Times(
            SECONDS, "Time from the first byte of a request to the last of its reply.", registry
        )
        self._upstream_seconds: Final = Times(
            UPSTREAM_SECONDS, "Time a request waited for the commerce API, all calls together.", registry
        )
        self._refusals: Final = counter("gateway_refusals_total", "Refusals.", ("code",))
        self._violations: Final = counter(
            "gateway_isolation_violations_total",
            "Answers withheld because they held somebody else's record.",
            ("route",),
        )
        self._unfit: Final = counter(
            "gateway_unfit_answers_total",
            "Answers withheld because they have another form than the routing file says.",
            ("route",),
        )
        self._closed: Final = greatest(
            "gateway_route_closed", "1 for a route that was closed by a violation, in one worker at least.", ("route",)
        )
        self._logins: Final = counter("gateway_logins_total", "Logins decided.", ("outcome",))
        self._queue: Final = together("gateway_password_queue_depth", "Password computations that wait or run.")
        self._shares: Final = counter(
            "gateway_share_refusals_total",
            "Calls to the commerce API refused because a share of the connections was used up.",
            ("share",),
        )
        self._throttled: Final = counter(
            "gateway_throttled_total",
            "Password work other than logins refused because too much of it was asked for.",
            ("work", "by"),
        )
        self._counted_alone: Final = counter(
            "gateway_attempts_counted_alone_total",
            "Attempts at passwords, and other password work, that the store could not count for all replicas.",
        )
        self._renewals: Final = counter(
            "gateway_credential_renewals_total",
            "Renewals of the gateway's own credentials.",
            ("upstream", "credential", "outcome"),
        )
        self._faults: Final = counter("gateway_faults_total", "Faults of the gateway.", ("what",))
        self._lines_lost: Final = counter("gateway_log_lines_dropped_total", "Log lines that could not be written.")
        self._lag: Final = greatest(
            "gateway_loop_lag_seconds", "How late the event loop came to what was due last, the latest of all workers."
        )
        self._blocked: Final = counter(
            "gateway_loop_blocked_total", "Times that one step kept the event loop for more than 0.25 s."
        )
        self._proxy_headers: Final = counter(
            "gateway_proxy_header_refused_total",
            "Connections closed for want of a header of the PROXY protocol from a trusted proxy.",
            ("reason",),
        )
        self._workers_lost: Final = counter(
            "gateway_workers_lost_total", "Workers that ended without being told, or hung.", ("why",)
        )
        self._refused: Final = counter(
            "gateway_connections_refused_total", "Connections of clients beyond the limit, closed at once."
        )
        self._reloads: Final = counter(
            "gateway_config_reloads_total", "Times that the configuration was read again.", ("outcome",)
        )
        self._log_outs: Final = greatest(
            "gateway_revocations",
            "Sessions and customers that are known to be logged out, of the worker that knows most.",
        )
        # As below; the least of all workers counts.
        self._least: Final[dict[str, Gauge]] = {}
        # Made with the first credential: a gauge is born as 0, and the least of all processes would be 1970.
        self._expires_at: Gauge | None = None
        # For the same reason.
        self._version: Gauge | None = None

    def __call__(self, event: events.Event) -> None:  # noqa: C901, PLR0912 - a case for each event
        """Count the event."""
        match event:
            case events.RequestDone():
                self.count_requests([event])
            case events.GuardViolated():
                self._violations.labels(event.route).inc()
            case events.AnswerUnfit():
                self._unfit.labels(event.route).inc()
            case events.RouteClosed():
                self._closed.labels(event.route).set(1)
            case events.LoginDone():
                self._logins.labels(_known(event.outcome, _OUTCOMES)).inc()
            case events.PasswordQueue():
                self._queue.set(event.depth)
            case events.ShareSpent():
                self._shares.labels(_known(event.share, _SHARES)).inc()
            case events.Throttled():
                self._throttled.labels(_known(event.work, _WORK), _known(event.by, _COUNTED_BY)).inc()
            case events.CountedAlone():
                self._counted_alone.inc()
            case events.CredentialRenewed():
                self._renewals.labels(event.upstream, event.credential, "renewed").inc()
                self._keep_expiry(event)
            case events.CredentialFailed():
                self._renewals.labels(event.upstream, event.credential, "failed").inc()
            case events.Failed():
                self._faults.labels(self._fault(event.what)).inc()
            case events.LoopBlocked():
                self._blocked.inc()
            case events.ProxyHeaderRefused():
                self._proxy_headers.labels(_known(event.reason, _REASONS)).inc()
            case events.WorkerLost():
                self._workers_lost.labels(_known(event.why, _WHYS)).inc()
            case events.ConnectionsRefused():
                self._refused.inc(event.count)
            case events.ConfigReload():
                self._reloads.labels(_known(event.outcome, _RELOADS)).inc()
            case events.ConfigInForce():
                self._keep_version(int(event.version, 16))
            case (
                events.NoProxyTrusted()
                | events.Lifecycle()
                | events.EmailShared()
                | events.ConfigFault()
                | events.ConfigChange()
            ):
                pass
            case _:
                assert_never(event)

    def count_requests(self, requests: Iterable[events.RequestDone]) -> None:
        """Count requests; many at once cost little more than one."""
        groups: defaultdict[tuple[str, str, int], list[events.RequestDone]] = defaultdict(list)
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
            self._set_least(LOG_OUTS_AT, text, self._now())

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
        """Return the metrics as Prometheus text, and its content type: see `expose`."""
        return expose(self._registry, self._now)

    def _keep_expiry(self, event: events.CredentialRenewed) -> None:
        if self._expires_at is None:
            self._expires_at = Gauge(
                EXPIRES_AT,
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


def _known(value: str, known: frozenset[str] | set[str]) -> str:
    return value if value in known else "-"
