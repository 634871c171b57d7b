"""Header lines as they are remembered: what is read is what the bytes say, whatever was read before."""

import pytest

from gateway.wire.lines import LineMemory

LINES = [(b"Accept", b" a\t"), (b"X-A", b"\xe9"), (b"x-a", b""), (b"Authorization", b"Bearer " + b"a" * 500)]
READ = (("accept", "a"), ("x-a", "\xe9"), ("x-a", ""), ("authorization", "Bearer " + "a" * 500))


def test_a_line_reads_the_same_each_time() -> None:
    """Names are in lower case, values without white space around them, remembered or not."""
    memory = LineMemory()
    assert memory.read(LINES) == memory.read(LINES) == READ
    assert memory.read(reversed(LINES)) == tuple(reversed(READ))


def test_a_remembered_line_is_one_object() -> None:
    """What was read before is not read again."""
    memory = LineMemory()
    first, second = memory.read(LINES), memory.read([(bytes(bytearray(name)), value) for name, value in LINES])
    assert all(one is other for one, other in zip(first, second, strict=True))


def test_lines_that_differ_in_one_byte_are_different_lines() -> None:
    """A name's spelling and a value's white space make another line, with a reading of its own."""
    memory = LineMemory()
    assert memory.read([(b"A", b"b"), (b"a", b"b "), (b"Ab", b""), (b"a", b"B")]) == (
        ("a", "b"),
        ("a", "b"),
        ("ab", ""),
        ("a", "B"),
    )


def test_memory_is_bounded_in_bytes() -> None:
    """However many lines come, no more than the bound is kept; one that is used all the time stays."""
    memory = LineMemory(most=100_000)
    (kept,) = memory.read([(b"a", b"kept")])
    for number in range(10_000):
        memory.read([(b"traceparent", b"%032x" % number)])
        assert memory.read([(b"a", b"kept")])[0] is kept
    held = [memory._young, memory._old]
    assert sum(2 * (len(name) + len(value)) for lines in held for name, value in lines) < 100_000


@pytest.mark.parametrize("size", [2049, 100_000])
def test_a_long_line_is_not_kept(size: int) -> None:
    """One line can never push the others out."""
    memory = LineMemory()
    line = [(b"a", b"b" * size)]
    assert memory.read(line) == memory.read(line)
    assert memory.read(line)[0] is not memory.read(line)[0]
