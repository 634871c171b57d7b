"""Batches: requests wait for each other for a moment, nothing else does, and nothing is lost or changes its place."""

import asyncio
import io
import json
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from gateway.ops.batch import Batch
from gateway.ops.log import EventLog
from gateway.ops.metrics import Metrics
from gateway.vocab.events import LoginDone, RequestDone
from gateway.vocab.messages import Trace

DONE = RequestDone("r-1", "GET", 200, 0.3, "192.0.2.1", Trace(route="orders", caller="public"), 120)


class Stream(io.StringIO):
    """A stream that tells when it was written to."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        """Write."""
        self.written.set()
        return super().write(text)


@dataclass
class Told:
    """A batch, its clock, and what came of it."""

    time: float = 0.0
    stream: Stream = field(default_factory=Stream)

    def __post_init__(self) -> None:
        self.metrics = Metrics(CollectorRegistry(), lambda: self.time)
        log = EventLog(self.stream, b"k" * 32, lambda: self.time, on_lost=self.metrics.count_lost_line)
        self.batch = Batch(log, self.metrics, lambda: self.time)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log so far."""
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


async def test_a_request_is_told_of_a_moment_later() -> None:
    """A request waits at first and is told of by itself, again and again, with the time when it was done."""
    told = Told()
    for number in range(3):
        told.time = 10.0 * number
        told.batch(DONE)
        assert len(told.lines) == number
        told.time += 5.0
        await asyncio.wait_for(told.stream.written.wait(), 20)
        told.stream.written.clear()
        assert told.lines[number]["ts"] == f"1970-01-01T00:00:{10 * number:02d}.000Z"
    assert b'status="200"} 3.0' in told.metrics.render()[0]


async def test_a_full_batch_does_not_wait() -> None:
    """A hundred requests are told of at once, and those after them wait anew."""
    told = Told()
    for number in range(250):
        told.batch(replace(DONE, id=f"r-{number}"))
    assert [line["id"] for line in told.lines] == [f"r-{number}" for number in range(200)]
    told.stream.written.clear()
    await asyncio.wait_for(told.stream.written.wait(), 20)
    assert len(told.lines) == 250


async def test_other_events_do_not_wait_and_keep_their_place() -> None:
    """What is no request is told of at once, after the requests before it."""
    told = Told()
    for event in (DONE, DONE, LoginDone("granted"), LoginDone("refused"), DONE):
        told.batch(event)
    assert [line["event"] for line in told.lines] == ["request", "request", "login", "login"]
    told.batch.flush()
    assert [line["event"] for line in told.lines][4:] == ["request"]
    told.batch.flush()
    assert len(told.lines) == 5


async def test_metrics_hold_all_that_was_told() -> None:
    """Whoever asks for the metrics sees the requests that still wait, and these stand in the log then."""
    told = Told()
    told.batch(DONE)
    text, content_type = await told.batch.render()
    assert b'gateway_requests_total{caller="public",route="orders",status="200"} 1.0' in text
    assert content_type == told.metrics.render()[1]
    assert len(told.lines) == 1


def test_without_a_loop_nothing_waits() -> None:
    """Where no timer can be set, a request is told of at once."""
    told = Told()
    told.batch(DONE)
    told.batch(DONE)
    assert len(told.lines) == 2


async def test_lost_lines_of_a_batch_are_counted_one_by_one() -> None:
    """A stream that fails costs every line of the batch, and each is counted."""
    told = Told()
    told.stream.close()
    for _ in range(30):
        told.batch(DONE)
    told.batch.flush()
    assert b"gateway_log_lines_dropped_total 30.0" in told.metrics.render()[0]
    assert b'status="200"} 30.0' in told.metrics.render()[0]
