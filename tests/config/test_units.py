"""Durations and sizes with units, as text and as fields of a model."""

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from gateway.config.units import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    Duration,
    Size,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


class Limits(BaseModel):
    """A model as the configuration uses the types."""

    wait: Duration = Field(default="10s", validate_default=True)
    body: Size = Field(default="8MiB", validate_default=True)
    positive: Annotated[Duration, Field(gt=0)] = 1.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("0s", 0.0), ("10s", 10.0), ("2m", 120.0), ("24h", 86_400.0), ("7d", 604_800.0)],
)
def test_a_duration_is_a_whole_number_and_a_unit(text: str, seconds: float) -> None:
    """Each unit means what it says."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("512B", 512), ("0B", 0), ("64KiB", 65_536), ("8MiB", 8_388_608), ("1GiB", 1_073_741_824)]
)
def test_a_size_is_a_whole_number_and_a_unit(text: str, size: int) -> None:
    """Each unit means what it says."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["10", "0", "-3", "1.5", " 10 ", "10."])
def test_a_bare_number_is_told_to_add_a_unit(text: str) -> None:
    """Nobody has to guess whether 10 means seconds or milliseconds, bytes or kilobytes."""
    with pytest.raises(ValueError, match=r"add the unit: .* for example 250ms, 10s or 24h"):
        parse_duration(text)
    with pytest.raises(ValueError, match=r"add the unit: .* for example 64KiB or 8MiB"):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "s", "-1s", "1.5s", "10 s", "10S", "1h30m", "10s\n", "1000000000s", "\u0661s"])
def test_other_durations_are_refused_with_what_to_write(text: str) -> None:
    """There is one notation."""
    with pytest.raises(ValueError, match="not a duration; write a whole number and ms, s, m, h or d"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "KiB", "-1B", "1.5MiB", "64 KiB", "64K", "64KB", "64kib", "8MiB\n"])
def test_other_sizes_are_refused_with_what_to_write(text: str) -> None:
    """There is one notation, and KB is not KiB."""
    with pytest.raises(ValueError, match="not a size; write a whole number and B, KiB, MiB or GiB"):
        parse_size(text)


def test_a_refusal_does_not_repeat_what_was_given() -> None:
    """The text may have come from the environment."""
    for parse in (parse_duration, parse_size):
        with pytest.raises(ValueError, match="write a whole number") as caught:
            parse("hunter2")
        assert "hunter2" not in str(caught.value)


@given(st.integers(0, 10**9 - 1), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_a_formatted_duration_parses_to_the_same_seconds(number: int, unit: str) -> None:
    """Formatting is the inverse of parsing for everything that can be written."""
    seconds = parse_duration(f"{number}{unit}")
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(0, 10**15 - 1))
def test_a_formatted_size_parses_to_the_same_bytes(size: int) -> None:
    """Formatting is the inverse of parsing for everything that can be written."""
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (0.25, "250ms"), (90, "90s"), (120, "2m"), (3600, "1h"), (86_400, "1d")]
)
def test_a_duration_is_written_in_its_largest_exact_unit(seconds: float, text: str) -> None:
    """A dump reads as a person would write it."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize("seconds", [-1.0, 0.0001, float("inf"), float("nan"), 1e12 + 0.5])
def test_a_duration_that_cannot_be_written_is_refused(seconds: float) -> None:
    """A dump never rounds in silence."""
    with pytest.raises(ValueError, match="cannot be written exactly"):
        format_duration(seconds)


@pytest.mark.parametrize("size", [-1, -1024, 10**15 + 1])
def test_a_size_that_cannot_be_written_is_refused(size: int) -> None:
    """A dump never rounds in silence."""
    with pytest.raises(ValueError, match="cannot be written"):
        format_size(size)


def test_a_model_reads_and_writes_units() -> None:
    """What a model dumps, it reads back."""
    limits = Limits.model_validate({"wait": "1500ms", "body": "64KiB"})
    assert (limits.wait, limits.body) == (1.5, 65_536)
    assert limits.model_dump() == {"wait": "1500ms", "body": "64KiB", "positive": "1s"}
    assert Limits.model_validate(limits.model_dump()) == limits


@pytest.mark.parametrize("given_value", [10, 1.5, -1])
def test_a_model_tells_a_bare_number_to_add_a_unit(given_value: float) -> None:
    """YAML's numbers meet the same sentence as text."""
    with pytest.raises(ValidationError) as caught:
        Limits.model_validate({"wait": given_value, "body": given_value})
    messages = [error["msg"] for error in caught.value.errors()]
    assert [message.count("add the unit") for message in messages] == [1, 1]


@pytest.mark.parametrize("given_value", [True, None, [], {}])
def test_a_model_refuses_what_is_neither_text_nor_number(given_value: object) -> None:
    """True is not one second."""
    with pytest.raises(ValidationError) as caught:
        Limits.model_validate({"wait": given_value, "body": given_value})
    assert [error["type"] for error in caught.value.errors()] == ["value_error", "value_error"]


def test_a_default_given_as_text_is_parsed() -> None:
    """The schema shows the default as it would be written, the model holds the number."""
    assert (Limits().wait, Limits().body) == (10.0, 8 * 1024**2)


def test_a_model_may_bound_a_duration() -> None:
    """The constraints of a field apply to the seconds."""
    with pytest.raises(ValidationError, match="greater than 0"):
        Limits.model_validate({"positive": "0s"})


def test_the_schema_describes_text_with_a_unit() -> None:
    """Editors complete and check the text form."""
    for mode in ("validation", "serialization"):
        properties = Limits.model_json_schema(mode=mode)["properties"]
        assert (properties["wait"]["type"], properties["wait"]["pattern"]) == ("string", DURATION_PATTERN)
        assert (properties["body"]["type"], properties["body"]["pattern"]) == ("string", SIZE_PATTERN)
        assert properties["wait"]["examples"]
        assert (properties["wait"]["default"], properties["body"]["default"]) == ("10s", "8MiB")
