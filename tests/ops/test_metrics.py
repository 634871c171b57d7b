"""The metrics: each event has its number, and labels are closed."""

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from gateway.ops.metrics import Metrics
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
    Event,
    Failed,
    GuardViolated,
    Lifecycle,
    LoginDone,
    NoProxyTrusted,
    PasswordQueue,
    ProxyHeaderRefused,
    RequestDone,
    ShareSpent,
    Throttled,
    WorkerLost,
)
from gateway.vocab.messages import Trace
from gateway.vocab.refusals import Code

TRACE = Trace(
    route="orders",
    caller="customer",
    customer_id="customer-1",
    code="GUARD_VIOLATION",
    detail="c2",
    upstream_seconds=0.2,
    upstream_calls=1,
)
DONE = RequestDone("r-1", "GET", 502, 0.3, "192.0.2.1", TRACE, 120)
Numbers = dict[tuple[str, ...], float]


def read(text: str) -> Numbers:
    """Read Prometheus text into numbers by name and label values."""
    families = text_string_to_metric_families(text)
    return {
        (one.name, *(f"{k}={v}" for k, v in sorted(one.labels.items()))): one.value
        for f in families
        for one in f.samples
    }


def counted(*events: Event, now: float = 0.0) -> Numbers:
    """Count the events and render."""
    metrics = Metrics(CollectorRegistry(), lambda: now)
    for event in events:
        metrics(event)
    return read(metrics.render()[0].decode())


def test_a_request_is_counted_by_route_caller_and_status() -> None:
    """A request counts once, and its times go into the histograms of its route."""
    numbers = counted(DONE, DONE)
    labels = ("caller=customer", "route=orders", "status=502")
    assert numbers["gateway_requests_total", *labels] == 2
    assert numbers["gateway_request_seconds_sum", "route=orders"] == pytest.approx(0.6)
    assert numbers["gateway_request_seconds_bucket", "le=0.25", "route=orders"] == 0
    assert numbers["gateway_request_seconds_bucket", "le=0.5", "route=orders"] == 2
    assert numbers["gateway_upstream_seconds_sum", "route=orders", "upstream=default"] == pytest.approx(0.4)
    assert numbers["gateway_refusals_total", "code=GUARD_VIOLATION"] == 2


def test_many_requests_at_once_are_counted_as_one_by_one() -> None:
    """A batch gives the numbers that its requests give alone, in every bucket, its bounds included."""
    times = (0.0, 0.0005, 0.00051, 0.3, 0.3, 30.0, 31.0)
    batch = [
        replace(DONE, seconds=seconds, status=200 + number % 2, trace=replace(TRACE, route=route, upstream_calls=calls))
        for route in ("orders", "carts")
        for calls in (0, 1)
        for number, seconds in enumerate(times)
    ]
    together = Metrics(CollectorRegistry(), lambda: 0.0)
    together.count_requests(batch)
    numbers = read(together.render()[0].decode())
    alone = counted(*batch)
    assert {name for name in numbers if not name[0].endswith("_created")} == {
        name for name in alone if not name[0].endswith("_created")
    }
    assert all(numbers[name] == pytest.approx(alone[name]) for name in numbers if not name[0].endswith("_created"))
    buckets = [numbers["gateway_request_seconds_bucket", f"le={le}", "route=carts"] for le in ("0.0005", "0.001")]
    assert buckets == [4, 6]
    assert numbers["gateway_request_seconds_bucket", "le=30.0", "route=carts"] == 12
    assert numbers["gateway_request_seconds_bucket", "le=+Inf", "route=carts"] == 14
    assert numbers["gateway_request_seconds_count", "route=carts"] == 14
    assert numbers["gateway_upstream_seconds_count", "route=orders", "upstream=default"] == 7


def test_the_times_are_shown_as_histograms_only() -> None:
    """How they are kept is nobody's business: no counter of buckets is shown beside them."""
    metrics = Metrics(CollectorRegistry(), lambda: 0.0)
    metrics(DONE)
    families = {family.name: family.type for family in text_string_to_metric_families(metrics.render()[0].decode())}
    assert (families["gateway_request_seconds"], families["gateway_upstream_seconds"]) == ("histogram", "histogram")
    assert not any("part=" in line for line in metrics.render()[0].decode().splitlines())


def test_a_request_that_never_went_upstream_has_no_upstream_time() -> None:
    """Requests answered by the gateway itself do not make the upstream look fast."""
    numbers = counted(replace(DONE, trace=Trace()))
    assert not any(name.startswith(("gateway_upstream_seconds_", "gateway_refusals_total")) for name, *_ in numbers)


RENEWALS = "gateway_credential_renewals_total"
SERVER = ("credential=server", "upstream=default")
SINGLE: list[tuple[Event, tuple[str, ...], float]] = [
    (GuardViolated("r-1", "orders", "c2"), ("gateway_isolation_violations_total", "route=orders"), 1),
    (AnswerUnfit("r-1", "orders", "not JSON"), ("gateway_unfit_answers_total", "route=orders"), 1),
    (LoginDone("granted"), ("gateway_logins_total", "outcome=granted"), 1),
    (LoginDone("throttled"), ("gateway_logins_total", "outcome=throttled"), 1),
    (PasswordQueue(7), ("gateway_password_queue_depth",), 7),
    (ShareSpent("route"), ("gateway_share_refusals_total", "share=route"), 1),
    (Throttled("registration", "email"), ("gateway_throttled_total", "by=email", "work=registration"), 1),
    (CountedAlone(), ("gateway_attempts_counted_alone_total",), 1),
    (
        CredentialRenewed(50.0),
        (RENEWALS, *SERVER[:1], "outcome=renewed", *SERVER[1:]),
        1,
    ),
    (CredentialRenewed(50.0), ("gateway_credential_expires_at_seconds", *SERVER), 50),
    (
        CredentialFailed("401", 1.0),
        (RENEWALS, *SERVER[:1], "outcome=failed", *SERVER[1:]),
        1,
    ),
    (Failed("r-1", "store", "OSError"), ("gateway_faults_total", "what=store"), 1),
    (ProxyHeaderRefused("x", "late"), ("gateway_proxy_header_refused_total", "reason=late"), 1),
    (NoProxyTrusted(), ("gateway_password_queue_depth",), 0),
    (WorkerLost(1, "silent", "text"), ("gateway_workers_lost_total", "why=silent"), 1),
    (WorkerLost(1, "CANARY", "text"), ("gateway_workers_lost_total", "why=-"), 1),
    (ConnectionsRefused(7, 600), ("gateway_connections_refused_total",), 7),
    (Lifecycle("ready"), ("gateway_password_queue_depth",), 0),
]


@pytest.mark.parametrize(("event", "name", "value"), SINGLE, ids=[type(event).__name__ for event, _, _ in SINGLE])
def test_every_event_has_its_number(event: Event, name: tuple[str, ...], value: float) -> None:
    """Each event moves its metric."""
    assert counted(event)[name] == value


def test_there_is_no_expiry_before_a_credential() -> None:
    """Before the first renewal the gauges are absent rather than 1970."""
    assert not any("credential_exp" in name for name, *_ in counted(CredentialFailed("401", 1.0)))


def test_labels_come_from_closed_sets() -> None:
    """Callers, codes, outcomes and statuses that do not exist are counted under a dash."""
    strange = replace(DONE, status=10**9, trace=replace(TRACE, caller="eve", code="<script>"))
    numbers = counted(strange, LoginDone("c1@example.org"))
    assert numbers["gateway_requests_total", "caller=-", "route=orders", "status=-"] == 1
    assert numbers["gateway_refusals_total", "code=-"] == 1
    assert numbers["gateway_logins_total", "outcome=-"] == 1


def test_every_refusal_has_a_label() -> None:
    """All codes of the catalogue are known."""
    numbers = counted(*(replace(DONE, trace=replace(TRACE, code=code.name)) for code in Code))
    assert all(numbers["gateway_refusals_total", f"code={code.name}"] == 1 for code in Code)


def test_the_names_of_faults_are_bounded() -> None:
    """A bug that makes up names of faults cannot fill the memory."""
    numbers = counted(*(Failed("r", f"part {number}", "") for number in range(1000)), Failed("r", "part 0", ""))
    faults = {name: value for name, value in numbers.items() if name[0] == "gateway_faults_total"}
    assert len(faults) == 65
    assert faults["gateway_faults_total", "what=-"] == 1000 - 64
    assert faults["gateway_faults_total", "what=part 0"] == 2


def test_nobody_can_be_recognised() -> None:
    """No id, address, method or detail is in the metrics."""
    metrics = Metrics(CollectorRegistry(), lambda: 0.0)
    metrics(replace(DONE, method="CANARY", id="CANARY", peer="CANARY", trace=replace(TRACE, detail="CANARY")))
    metrics(GuardViolated("CANARY", "orders", "CANARY"))
    metrics(Failed("CANARY", "store", "CANARY"))
    metrics(CredentialFailed("CANARY", 1.0))
    text = metrics.render()[0].decode()
    assert "CANARY" not in text
    assert "customer-1" not in text


def test_lost_log_lines_are_counted() -> None:
    """The log tells the metrics of lines it could not write."""
    metrics = Metrics(CollectorRegistry(), lambda: 0.0)
    metrics.count_lost_line()
    assert read(metrics.render()[0].decode())[("gateway_log_lines_dropped_total",)] == 1


def test_reloads_are_counted_and_the_version_is_a_number() -> None:
    """One series, whatever the version is; a word that nobody knows is none of the outcomes."""
    events: list[Event] = [
        ConfigInForce("0000000000ff"),
        ConfigFault("a fault"),
        ConfigChange("a change"),
        *(ConfigReload(outcome, "0000000000ff") for outcome in ("swapped", "refused", "refused", "anything")),
        ConfigInForce("ffffffffffff"),
    ]
    numbers = counted(*events)
    shown = {name[1:]: value for name, value in numbers.items() if name[0] == "gateway_config_reloads_total"}
    assert shown == {("outcome=swapped",): 1, ("outcome=refused",): 2, ("outcome=-",): 1}
    assert numbers[("gateway_config_version",)] == (1 << 48) - 1
    assert ("gateway_config_version",) not in counted(DONE)
