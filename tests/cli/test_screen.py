"""The demonstration's log: short, for a person, and safe for the terminal it is read on."""

import io
import re

import pytest
from msgspec.structs import replace

from gateway.cli.screen import Screen
from gateway.ops.log import EventLog
from gateway.vocab.events import (
    AnswerUnfit,
    ConfigInForce,
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
    RouteClosed,
)
from gateway.vocab.messages import Trace

CUSTOMER = Trace(
    route="order", caller="customer", customer_id="c-1", target="/v2/orders/7?filter=eq(email,a@b.example)"
)
DONE = RequestDone("r-1", "GET", 200, 0.0123456, "192.0.2.1", CUSTOMER, 120)


def written(*events: Event) -> list[str]:
    """Tell of the events; return the lines without their times, each of which must be one."""
    stream = io.StringIO()
    log = EventLog(stream, b"k" * 32, lambda: 0.0)
    screen = Screen(log.write, {"c-1": "Ron Swanson"}, lambda: 1_700_000_000.0)
    for event in events:
        screen(event)
    lines = stream.getvalue().splitlines()
    assert all(re.match(r"\d\d:\d\d:20 ", line) for line in lines), lines
    return [line[9:] for line in lines]


@pytest.mark.parametrize(
    ("done", "line"),
    [
        (DONE, "GET /v2/orders/7 200 12 ms Ron Swanson"),
        (replace(DONE, trace=replace(CUSTOMER, customer_id="c-2")), "GET /v2/orders/7 200 12 ms c-2"),
        (replace(DONE, seconds=0.00123), "GET /v2/orders/7 200 1.2 ms Ron Swanson"),
        (replace(DONE, seconds=12.3), "GET /v2/orders/7 200 12300 ms Ron Swanson"),
        (replace(DONE, aborted=True), "GET /v2/orders/7 200 12 ms Ron Swanson broken off"),
        (
            replace(DONE, status=403, trace=Trace(caller="public", code="ACCESS_DENIED", target="/v2/orders")),
            "GET /v2/orders 403 12 ms public ACCESS_DENIED",
        ),
        (
            replace(DONE, method="-", status=400, seconds=0.0, trace=Trace(code="REQUEST_MALFORMED")),
            "- - 400 0.0 ms nobody REQUEST_MALFORMED",
        ),
    ],
)
def test_a_request_is_a_short_line(done: RequestDone, line: str) -> None:
    """Method, path without its query, status, milliseconds and who; why, where it was refused."""
    assert written(done) == [line]


def test_many_requests_are_written_at_once() -> None:
    """A batch gives a line for each, with the time when it was done."""
    texts: list[str] = []
    Screen(texts.append, {}, lambda: 0.0).write_requests([(1.0, DONE), (2.0, DONE)])
    (text,) = texts
    assert [line[6:8] for line in text.splitlines()] == ["01", "02"]


def test_what_goes_wrong_is_told() -> None:
    """Whatever a person who tries the gateway should see has its line; what only counts has none."""
    quiet: list[Event] = [
        CredentialRenewed(1.5),
        LoginDone("granted"),
        PasswordQueue(3),
        NoProxyTrusted(),
        Lifecycle("started", "public x"),
        ConfigInForce("00ff"),
    ]
    assert written(*quiet, Lifecycle("insecure setting", "x"), Lifecycle("draining"), Lifecycle("stopped")) == []
    lines = written(
        GuardViolated("r-1", "order", "record of c-2"),
        AnswerUnfit("r-1", "order", "no array of records at /results"),
        RouteClosed("order"),
        CredentialFailed("status 401", 2.0),
        Failed("r-1", "guard", "KeyError at core.py:7"),
        ProxyHeaderRefused("203.0.113.7", "late"),
        ConnectionsRefused(7, 600),
        Lifecycle("drain deadline", "requests in flight were cut off"),
    )
    assert lines == [
        "withheld an answer of the API on route order: it may not have been the caller's",
        "withheld an answer of the API on route order, which has another form: no array of records at /results",
        "closed route order: an answer of the API would have broken isolation",
        "the API gives the gateway no bearer: status 401; next try in 2 s",
        "failed: guard: KeyError at core.py:7",
        "closed a connection of 203.0.113.7: PROXY header late",
        "closed 7 connections: there are 600 already",
        "requests in flight were cut off",
    ]


def test_a_client_cannot_draw_on_the_terminal() -> None:
    """Escapes, line ends and lone surrogates of a client are shown as text, and no path fills the screen."""
    hostile = "/\x1b[2J\x9b1m\r\n\x7f\u2028\ud800é" + "x" * 5000
    (line,) = written(replace(DONE, method="\x1b[31m", trace=replace(CUSTOMER, customer_id="\n", target=hostile)))
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 300
    assert line.startswith("\\x1b[31m /\\x1b[2J\\x9b1m\\r\\n\\x7f\\u2028\\ud800\\xe9x")
