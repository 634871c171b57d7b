"""The text of the metrics: several processes add up, histograms and ages are what was kept for them."""

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from gateway.ops.exposition import SECONDS, Times, expose, forget
from gateway.ops.metrics import Metrics
from gateway.vocab.events import CredentialRenewed
from gateway.vocab.policy import Credential
from tests.ops.test_metrics import SERVER, Numbers, read


def test_times_are_shown_as_a_histogram() -> None:
    """Each bucket counts what is in the smaller ones too, a bound is its own bucket's, and no times are no series."""
    registry = CollectorRegistry()
    times = Times(SECONDS, "Time.", registry)
    times.observe(("carts",), [])
    times.observe(("orders",), [0.0005, 0.3, 31.0])
    numbers = read(expose(registry, lambda: 0.0)[0].decode())
    assert {name for name in numbers if "route=carts" in name} == set()
    found = [
        numbers["gateway_request_seconds_bucket", f"le={le}", "route=orders"]
        for le in ("0.0005", "0.5", "30.0", "+Inf")
    ]
    assert found == [1, 2, 2, 3]
    assert numbers["gateway_request_seconds_count", "route=orders"] == 3
    assert numbers["gateway_request_seconds_sum", "route=orders"] == pytest.approx(31.3005)


def test_the_remaining_life_of_the_credential_is_computed_when_asked() -> None:
    """The seconds until expiry shrink with the clock, without another event, and become negative."""
    time = [0.0]
    metrics = Metrics(CollectorRegistry(), lambda: time[0])
    metrics(CredentialRenewed(100.0))
    metrics(CredentialRenewed(150.0))
    metrics(CredentialRenewed(20.0, Credential.PUBLIC))
    for now, remaining in ((0.0, 150.0), (60.0, 90.0), (200.0, -50.0)):
        time[0] = now
        assert read(metrics.render()[0].decode())[("gateway_credential_expiry_seconds", *SERVER)] == remaining


def test_what_is_known_of_log_outs_has_an_age() -> None:
    """It grows with the clock until the store is heard of again; nothing is shown before it was."""
    time = [100.0]
    metrics = Metrics(CollectorRegistry(), lambda: time[0])
    before = read(metrics.render()[0].decode())
    assert not any(name.startswith(("gateway_store", "gateway_revocations_")) for name, *_ in before)
    metrics.set_store(is_up=True, log_outs=7)
    metrics.set_channel(is_up=True)
    for now, is_up, age in ((100.0, True, 0.0), (130.0, False, 30.0), (150.0, True, 0.0)):
        time[0] = now
        metrics.set_store(is_up=is_up, log_outs=7)
        metrics.set_channel(is_up=is_up)
        numbers = read(metrics.render()[0].decode())
        assert numbers[("gateway_revocations_age_seconds",)] == age
        assert numbers[("gateway_store_up",)] == numbers[("gateway_revocations_channel_up",)] == is_up
        assert numbers[("gateway_revocations",)] == 7


def test_the_content_type_is_the_text_format() -> None:
    """Prometheus is told the format that every version of it reads."""
    assert expose(CollectorRegistry(), lambda: 0.0)[1] == "text/plain; version=0.0.4; charset=utf-8"


WORKER = """
import sys
from prometheus_client import CollectorRegistry
from gateway.ops.exposition import share
from gateway.ops.metrics import Metrics
from gateway.vocab.events import CredentialRenewed, LoginDone, PasswordQueue, RequestDone
from gateway.vocab.messages import Trace

folder, number, expires = sys.argv[1:]
share(folder, int(number))
metrics = Metrics(CollectorRegistry(), lambda: 100.0)
if expires != "never":
    metrics(RequestDone("r", "GET", 200, 0.3, "p", Trace(route="orders", caller="public", upstream_calls=1), 1))
    metrics(LoginDone("granted"))
    metrics(PasswordQueue(2))
    metrics(CredentialRenewed(float(expires)))
    metrics.count_lost_line()
sys.stdout.write(metrics.render()[0].decode())
"""


def worked(folder: Path, number: int, expires: str) -> Numbers:
    """Let a worker count in a process of its own, and return what it shows."""
    command = [sys.executable, "-c", WORKER, str(folder), str(number), expires]
    return read(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603 - our own text


def test_several_workers_add_up(tmp_path: Path) -> None:
    """Any worker shows the sum of all, and the credential that expires first."""
    worked(tmp_path, 0, "400")
    worked(tmp_path, 1, "300")
    numbers = worked(tmp_path, 2, "never")
    labels = ("caller=public", "route=orders", "status=200")
    assert numbers["gateway_requests_total", *labels] == 2
    assert numbers["gateway_request_seconds_count", "route=orders"] == 2
    assert numbers["gateway_request_seconds_bucket", "le=0.25", "route=orders"] == 0
    assert numbers["gateway_request_seconds_bucket", "le=0.5", "route=orders"] == 2
    assert numbers["gateway_request_seconds_sum", "route=orders"] == pytest.approx(0.6)
    assert numbers["gateway_logins_total", "outcome=granted"] == 2
    assert numbers[("gateway_password_queue_depth",)] == 4
    assert numbers[("gateway_log_lines_dropped_total",)] == 2
    assert numbers[("gateway_credential_expires_at_seconds", *SERVER)] == 300
    assert numbers[("gateway_credential_expiry_seconds", *SERVER)] == 200


def test_a_worker_that_begins(tmp_path: Path) -> None:
    """Its files are empty for a moment; whoever asks then gets what is known."""
    before = worked(tmp_path, 0, "400")
    for kind in ("counter", "gauge_livesum", "gauge_livemin", "gauge_livemax"):
        (tmp_path / f"{kind}_1.db").touch()
    assert worked(tmp_path, 2, "never") == before


def test_a_dead_worker_is_replaced(tmp_path: Path) -> None:
    """What a dead worker counted stays, its present state does not, and its successor counts on in the same files."""
    worked(tmp_path, 0, "300")
    worked(tmp_path, 1, "400")
    forget(str(tmp_path), 0)
    numbers = worked(tmp_path, 1, "never")
    assert numbers[("gateway_log_lines_dropped_total",)] == 2
    assert numbers[("gateway_password_queue_depth",)] == 2
    assert numbers[("gateway_credential_expires_at_seconds", *SERVER)] == 400
    numbers = worked(tmp_path, 0, "500")
    assert numbers[("gateway_log_lines_dropped_total",)] == 3
    assert numbers["gateway_request_seconds_count", "route=orders"] == 3
    assert sorted(path.name for path in tmp_path.glob("counter_*")) == ["counter_0.db", "counter_1.db"]
