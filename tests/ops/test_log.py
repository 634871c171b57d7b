"""The log: what a line says, what it never says, and that it never harms a request."""

import contextlib
import io
import json
import os
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.ops.log import EventLog
from gateway.vocab.events import (
    AnswerUnfit,
    ConfigChange,
    ConfigFault,
    ConfigInForce,
    ConfigReload,
    ConnectionsRefused,
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
    WorkerLost,
)
from gateway.vocab.messages import Trace
from gateway.vocab.policy import Credential

KEY = b"k" * 32
TRACE = Trace(
    route="orders",
    caller="customer",
    customer_id="customer-1",
    code="GUARD_VIOLATION",
    detail="filter=eq(email,a@b.example)",
    upstream_seconds=0.0105,
    upstream_calls=2,
)
DONE = RequestDone("r-1", "GET", 502, 0.0123456, "192.0.2.1", TRACE, 120)


def written(*events: Event, debug: bool = False, key: bytes = KEY) -> list[dict[str, Any]]:
    """Log the events and read the lines back."""
    stream = io.StringIO()
    log = EventLog(stream, key, lambda: 1_700_000_000.0625, debug=debug)
    for event in events:
        log(event)
    text = stream.getvalue()
    assert text.endswith("\n")
    return [json.loads(line) for line in text[:-1].split("\n")]


def test_a_request_is_one_line_with_closed_fields() -> None:
    """A request gives exactly these fields in this order, times in milliseconds, and no detail."""
    (line,) = written(DONE)
    pseudonym = line.pop("customer")
    assert re.fullmatch("[0-9a-f]{16}", pseudonym)
    assert list(line.items()) == [
        ("ts", "2023-11-14T22:13:20.062Z"),
        ("event", "request"),
        ("id", "r-1"),
        ("method", "GET"),
        ("route", "orders"),
        ("caller", "customer"),
        ("status", 502),
        ("code", "GUARD_VIOLATION"),
        ("ms", 12.346),
        ("upstream_ms", 10.5),
        ("upstream_calls", 2),
        ("bytes", 120),
        ("peer", "192.0.2.1"),
        ("aborted", False),
    ]


def test_a_bare_request_has_nulls() -> None:
    """Without customer and refusal their fields are null."""
    (line,) = written(replace(DONE, trace=Trace(), aborted=True))
    assert (line["customer"], line["code"], line["aborted"]) == (None, None, True)


EVENTS: list[tuple[Event, dict[str, object]]] = [
    (GuardViolated("r-1", "orders", "record c2"), {"event": "guard_violated", "id": "r-1", "route": "orders"}),
    (
        AnswerUnfit("r-1", "orders", "no array of records at /results"),
        {"event": "answer_unfit", "id": "r-1", "route": "orders", "detail": "no array of records at /results"},
    ),
    (LoginDone("refused"), {"event": "login", "outcome": "refused"}),
    (
        CredentialRenewed(1.5),
        {"event": "credential_renewed", "upstream": "default", "credential": "server", "expires_at": 1.5},
    ),
    (
        CredentialFailed("status 401", 2.0, Credential.PUBLIC, "orders"),
        {
            "event": "credential_failed",
            "upstream": "orders",
            "credential": "public",
            "detail": "status 401",
            "retry_in": 2.0,
        },
    ),
    (
        Failed("r-1", "guard", "KeyError at core.py:7"),
        {"event": "failed", "id": "r-1", "what": "guard", "error": "KeyError at core.py:7"},
    ),
    (
        ProxyHeaderRefused("203.0.113.7", "untrusted"),
        {"event": "proxy_header_refused", "peer": "203.0.113.7", "reason": "untrusted"},
    ),
    (
        NoProxyTrusted("Forwarded"),
        {
            "event": "no_proxy_trusted",
            "detail": "Forwarded comes and is ignored: all requests count as one client; set server.trusted_proxies",
        },
    ),
    (
        WorkerLost(1, "died", "signal 9"),
        {"event": "worker_lost", "worker": 1, "why": "died", "detail": "signal 9"},
    ),
    (ConfigFault("gateway.yaml:2:8: unknown key"), {"event": "config_fault", "what": "gateway.yaml:2:8: unknown key"}),
    (ConfigChange("34 unchanged"), {"event": "config_change", "what": "34 unchanged"}),
    (ConfigReload("swapped", "00ff"), {"event": "config_reload", "outcome": "swapped", "version": "00ff"}),
    (ConfigInForce("00ff"), {"event": "config_in_force", "version": "00ff"}),
    (ConnectionsRefused(7, 600), {"event": "connections_refused", "count": 7, "limit": 600}),
    (Lifecycle("ready", "2 routes"), {"event": "lifecycle", "state": "ready", "detail": "2 routes"}),
]


@pytest.mark.parametrize(("event", "fields"), EVENTS, ids=[type(event).__name__ for event, _ in EVENTS])
def test_every_other_event_is_one_line(event: Event, fields: dict[str, object]) -> None:
    """Each event has its line and its time, and nothing beside its own fields."""
    assert written(event) == [{"ts": "2023-11-14T22:13:20.062Z", **fields}]


def test_the_password_queue_is_a_line_for_debugging_only() -> None:
    """Its depth changes with every login: it is a metric, not news."""
    assert len(written(PasswordQueue(3), DONE)) == 1
    assert [line["depth"] for line in written(PasswordQueue(3), debug=True)] == [3]


def test_details_are_for_debugging_only() -> None:
    """What a refusal or a guard found may quote clients, so it is off unless asked for."""
    guard = GuardViolated("r-1", "orders", "record c2")
    assert all("detail" not in line for line in written(DONE, guard))
    assert [line["detail"] for line in written(DONE, guard, debug=True)] == [TRACE.detail, "record c2"]


def test_a_customer_is_a_pseudonym() -> None:
    """One customer has one hash under one key, another under another key, and the id is nowhere."""
    other = replace(DONE, trace=replace(TRACE, customer_id="customer-2"))
    first, again, second = (line["customer"] for line in written(DONE, DONE, other))
    assert first == again != second
    assert written(DONE, key=b"another key of 24 bytes.")[0]["customer"] != first
    assert "customer-1" not in json.dumps(written(DONE, debug=True))


@pytest.mark.parametrize("length", [0, 15, 65])
def test_the_key_has_a_length(length: int) -> None:
    """A key that can be guessed, or that the hash cannot take, is an error at start and later."""
    with pytest.raises(ValueError, match="log key"):
        EventLog(io.StringIO(), b"k" * length, lambda: 0.0)
    log = EventLog(io.StringIO(), KEY, lambda: 0.0)
    with pytest.raises(ValueError, match="log key"):
        log.configure(b"k" * length, debug=False)


HOSTILE = 'x"}\n{"event":"request","status":200}\r\n\0\x1b[2J\x7f\x85\u2028\u2029\u202e\ud800é'


def test_a_client_cannot_write_lines() -> None:
    """Line breaks of any kind, quotes, escapes and lone surrogates stay inside their field, in ASCII."""
    stream = io.StringIO()
    hostile = replace(DONE, id=HOSTILE, method=HOSTILE, peer=HOSTILE, trace=replace(TRACE, customer_id=HOSTILE))
    EventLog(stream, KEY, lambda: 0.0, debug=True)(hostile)
    text = stream.getvalue()
    assert text.isascii()
    assert text.count("\n") == 1
    assert text[:-1].splitlines() == [text[:-1]]
    assert json.loads(text)["method"] == HOSTILE


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_is_one_line(text: str) -> None:
    """Whatever a client sends is one line that reads back as what it was, cut to length."""
    (line,) = written(replace(DONE, method=text, trace=replace(TRACE, detail=text)), debug=True)
    assert line["method"] == line["detail"] == (text if len(text) <= 500 else f"{text[:500]}...")


def test_a_long_text_is_cut() -> None:
    """A client cannot fill the disk with one long method."""
    (line,) = written(replace(DONE, method="M" * 100_000))
    assert line["method"] == "M" * 500 + "..."


def test_many_requests_at_once_are_the_same_lines() -> None:
    """A batch gives, line by line, what its requests give alone, each with its own time."""
    hostile = replace(DONE, id=HOSTILE, trace=replace(TRACE, route="b\u00fccher"))
    times = [0.0, 0.0009, 0.001, 1.5, 1.5, 0.25, 1_700_000_000.0625]
    batch = [(at, replace(hostile if number == 3 else DONE, status=number)) for number, at in enumerate(times)]
    stream, alone = io.StringIO(), io.StringIO()
    EventLog(stream, KEY, lambda: -1.0, debug=True).write_requests(batch)
    for at, done in batch:
        EventLog(alone, KEY, partial(float, at), debug=True)(done)
    assert stream.getvalue() == alone.getvalue()
    assert [json.loads(line)["ts"][17:] for line in stream.getvalue().splitlines()] == [
        "00.000Z",
        "00.000Z",
        "00.001Z",
        "01.500Z",
        "01.500Z",
        "00.250Z",
        "20.062Z",
    ]


class Writes(io.StringIO):
    """A stream that keeps each write apart."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def write(self, text: str) -> int:
        """Write."""
        self.texts.append(text)
        return len(text)


def test_no_write_can_be_mixed_with_that_of_another_worker() -> None:
    """Workers share a pipe, which keeps 4096 bytes together (pipe(7)): no write is larger, and none ends inside a line.

    Only a line that is larger itself goes out as it is.
    """
    stream = Writes()
    log = EventLog(stream, KEY, lambda: 0.0)
    log.write_requests([(0.0, replace(DONE, method="M" * (number % 400))) for number in range(200)])
    assert all(len(text) <= 4096 and text.endswith("}\n") for text in stream.texts)
    assert len(stream.texts) < 30
    assert [json.loads(line)["method"] for text in stream.texts for line in text.splitlines()] == [
        "M" * (number % 400) for number in range(200)
    ]
    stream.texts.clear()
    large = replace(DONE, id="\x7f" * 501, method="\u2028" * 501, peer="\x85" * 501)
    log.write_requests([(0.0, DONE), (0.0, large), (0.0, DONE)])
    assert [text.count("\n") for text in stream.texts] == [1, 1, 1]
    assert len(stream.texts[1]) > 4096


class Broken(io.StringIO):
    """A stream that fails with what it is given, until it is repaired."""

    def __init__(self, fault: Exception) -> None:
        super().__init__()
        self.fault: Exception | None = fault

    def write(self, text: str) -> int:
        """Write, or fail."""
        if self.fault is not None:
            raise self.fault
        return super().write(text)


@pytest.mark.parametrize("fault", [BrokenPipeError(), OSError(28, "No space left"), BlockingIOError(), ValueError()])
def test_a_failing_stream_costs_lines_only(fault: Exception) -> None:
    """Lines that cannot be written are counted, and told of when the stream goes on, which the log does with it."""
    stream = Broken(fault)
    told: list[int] = []
    log = EventLog(stream, KEY, lambda: 0.0, on_lost=told.append)
    log(DONE)
    log(LoginDone("granted"))
    stream.fault = None
    log(LoginDone("refused"))
    assert sum(told) == 2
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["outcome"] == "refused"
    assert (second["event"], second["lines"]) == ("log_lines_dropped", 2)


def test_a_full_disk_costs_lines_only() -> None:
    """The device that is always full fails each line, and none of them raises."""
    # Closing such a file fails as well: what is left in its buffer still has no room.
    with contextlib.suppress(OSError), Path("/dev/full").open("w") as stream:
        told: list[int] = []
        log = EventLog(stream, KEY, lambda: 0.0, on_lost=told.append)
        for _ in range(3):
            log(DONE)
        assert told == [1, 1, 1]


def test_a_closed_file_costs_lines_only(tmp_path: Path) -> None:
    """A stream that somebody closed fails each line, and none of them raises."""
    told: list[int] = []
    with (tmp_path / "log").open("w") as stream:
        log = EventLog(stream, KEY, lambda: 0.0, on_lost=told.append)
    log(DONE)
    assert told == [1]


def test_a_pipe_without_reader_costs_lines_only() -> None:
    """A collector of logs that went away does not take the gateway with it."""
    reader, writer = os.pipe()
    os.close(reader)
    with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "w") as stream:
        told: list[int] = []
        log = EventLog(stream, KEY, lambda: 0.0, on_lost=told.append)
        log(DONE)
        assert told == [1]


def test_each_line_is_flushed(tmp_path: Path) -> None:
    """A line is on the disk before the next event, so that a crash loses none."""
    path = tmp_path / "log"
    with path.open("w") as stream:
        EventLog(stream, KEY, lambda: 0.0)(DONE)
        assert path.read_text().count("\n") == 1
