"""Lines that leave through a thread: nobody waits for the reader, and nothing is lost in silence."""

import fcntl
import json
import os
from collections.abc import Iterator
from threading import Event as Flag
from typing import Any

import pytest

from gateway.ops.log import EventLog
from gateway.ops.outlet import Outlet
from gateway.vocab.events import GuardViolated, LoginDone

KEY = b"k" * 32


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Give a pipe that holds one page, so that it is full at once."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    yield reader, writer
    os.close(writer)
    os.close(reader)


def test_what_is_written_arrives_in_its_order(pipe: tuple[int, int]) -> None:
    """A reader that keeps up sees no difference."""
    reader, writer = pipe
    outlet = Outlet(writer)
    for number in range(100):
        outlet.write(f"{number}\n")
    outlet.close()
    assert os.read(reader, 4096).decode().split() == [str(number) for number in range(100)]


def test_a_stuck_reader_costs_lines_and_never_time(pipe: tuple[int, int]) -> None:
    """What has no room is refused at once; what is told of isolation has room behind it; later a line says how many."""
    reader, writer = pipe
    outlet = Outlet(writer, room=8192, spare=8192)
    lost: list[int] = []
    log = EventLog(outlet, KEY, lambda: 0.0, on_lost=lost.append)
    for _ in range(500):
        log(LoginDone("granted"))
    dropped = sum(lost)
    assert dropped > 200
    for number in range(20):
        log(GuardViolated(f"r{number}", "orders", "c2"))
    assert sum(lost) == dropped
    text = ""
    os.set_blocking(reader, False)
    lines: list[dict[str, Any]] = []
    while sum(line.get("lines", 0) for line in lines) < dropped or lines[-1].get("outcome") != "refused":
        # Every line that can leave now may be the one behind which it is told.
        log(LoginDone("refused"))
        text += _readable(reader)
        lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    assert [line["id"] for line in lines if line["event"] == "guard_violated"] == [f"r{number}" for number in range(20)]
    assert {line["event"] for line in lines if "lines" in line} == {"log_lines_dropped"}


def _readable(reader: int) -> str:
    text = b""
    try:
        while data := os.read(reader, 65536):
            text += data
    except BlockingIOError:
        return text.decode()
    return text.decode()


def test_what_the_descriptor_refuses_is_counted() -> None:
    """A pipe without a reader, or a full disk, fails in the thread, which tells."""
    told, counted = Flag(), [0]
    reader, writer = os.pipe()
    os.close(reader)
    outlet = Outlet(writer)

    def count(lines: int) -> None:
        counted[0] += lines
        told.set()

    outlet.on_lost = count
    outlet.write("one\ntwo\n")
    assert told.wait(10)
    assert counted == [2]
    outlet.close()
    os.close(writer)


def test_flags_of_others_are_no_fault(pipe: tuple[int, int]) -> None:
    """Standard output is shared: another process may have made it one that says "not now"."""
    reader, writer = pipe
    os.set_blocking(writer, False)
    outlet = Outlet(writer)
    for _ in range(3):
        outlet.write("x" * 4096)
    assert sum(len(os.read(reader, 4096)) for _ in range(3)) == 3 * 4096
    outlet.close()


def test_an_end_does_not_wait_for_ever(pipe: tuple[int, int]) -> None:
    """Whoever never reads does not keep a process from its end."""
    _, writer = pipe
    outlet = Outlet(writer)
    outlet.write("x" * 100_000)
    outlet.close()
    with pytest.raises(BlockingIOError):
        outlet.write("later")
