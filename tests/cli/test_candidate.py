"""The configuration, read again: what may be used, what may not and why, and what is told of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.cli.candidate import Reading, Report, read_again
from gateway.config.files import Files
from gateway.config.load import load_all
from gateway.vocab.address import Address
from gateway.vocab.events import ConfigChange, ConfigFault, ConfigReload, Event
from tests.process.processes import extended

Write = Callable[[str], None]


@pytest.fixture
def reading(environ: dict[str, str], tmp_path: Path) -> Reading:
    """Give what a gateway on config/moltin.yaml reads again."""
    path, files = extended(tmp_path, ""), Files()
    loaded = load_all(path, environ, files)
    return Reading(path, environ, Address("127.0.0.1", 8080), Address("127.0.0.1", 9901), loaded, files)


def test_the_same_is_the_same(reading: Reading) -> None:
    """However it is written."""
    reading.path.write_text("# a comment\n" + reading.path.read_text())
    candidate = read_again(reading)
    assert candidate.loaded is not None
    assert candidate.loaded.version == reading.in_force.version
    assert (candidate.faults, candidate.changes) == ((), ())


def test_what_changes_is_told_first(reading: Reading, tmp_path: Path) -> None:
    """The sums, and then each difference."""
    extended(tmp_path, "cors: {max_age: 5m}\n")
    candidate = read_again(reading)
    assert candidate.loaded is not None
    assert candidate.changes == (
        "177 unchanged, 0 differ, 0 new, 0 gone; 1 settings",
        'setting: cors.max_age: "10m" -> "5m"',
    )


def test_a_file_written_anew_is_told_of_in_part(reading: Reading, tmp_path: Path) -> None:
    """Two hundred lines, and how many more there are."""
    routes = "".join(f"  - {{name: r{n}, path: /r{n}, methods: [GET], access: {{trusted: open}}}}\n" for n in range(80))
    extended(tmp_path, f"routes:\n{routes}")
    changes = read_again(reading).changes
    assert len(changes) == 201
    assert changes[-1].endswith(" more: `gateway diff` shows all")


def test_every_fault_is_told_and_all_files_are_watched(reading: Reading, tmp_path: Path) -> None:
    """It may be put right in a file that the faulty one does not name any more."""
    reading.path.write_text("extends: missing.yaml\nversion: one\n")
    candidate = read_again(reading)
    assert candidate.loaded is None
    assert [fault.partition(": ")[0] for fault in candidate.faults] == [f"{reading.path}:1:10"]
    assert {*candidate.files} >= {*reading.files, tmp_path / "missing.yaml"}
    assert candidate.files.now() == candidate.files.then()


@pytest.mark.parametrize("listener", ["listen", "admin"])
def test_a_circle_is_a_fault(reading: Reading, tmp_path: Path, listener: str) -> None:
    """An upstream that is the gateway itself is found as at a start."""
    address = getattr(reading, listener)
    extended(tmp_path, f"upstream: {{url: 'http://{address}'}}\n")
    candidate = read_again(reading)
    assert candidate.loaded is None
    assert candidate.faults == (f"upstream.url leads to the gateway itself ({address}): write the address of the API",)


def test_what_needs_a_restart_is_a_fault(reading: Reading, tmp_path: Path) -> None:
    """Each setting by its name."""
    extended(tmp_path, "server: {heartbeat: 1s, drain: 1s}\n")
    assert read_again(reading).faults == tuple(
        f"{reading.path}: {name} cannot be changed in a running gateway: restart it"
        for name in ("server.drain", "server.heartbeat")
    )


def test_other_authorities_are_another_configuration(reading: Reading, tmp_path: Path) -> None:
    """An API behind TLS is proven by a file beside the routing file."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("one")
    environ = {**reading.environ, "UPSTREAM_URL": "https://api.example", "SSL_CERT_FILE": str(bundle)}
    behind_tls = replace(reading, environ=environ, in_force=load_all(reading.path, environ, Files()))
    assert read_again(behind_tls).changes == ()
    bundle.write_text("another")
    assert read_again(behind_tls).changes[1:] == ("the authorities that prove the API are others",)


def test_a_report_is_an_event_for_each_sentence() -> None:
    """The outcome comes last, where there is one by then."""
    told: list[Event] = []
    Report("0123456789ab", "refused", ("one", "two")).tell(told.append)
    Report("0123456789ab", changes=("three",)).tell(told.append)
    assert told == [
        ConfigFault("one"),
        ConfigFault("two"),
        ConfigReload("refused", "0123456789ab"),
        ConfigChange("three"),
    ]
