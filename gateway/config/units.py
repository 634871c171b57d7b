"""Durations and sizes with units: `10s`, `8MiB`; and the pydantic field types that read and write them.

A number without a unit is never guessed at. No text echoes what was given: it may come from the environment.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

# Nine digits of milliseconds are eleven days, of days more than anybody lives.
DURATION_PATTERN = r"^[0-9]{1,9}(ms|s|m|h|d)$"
# Fifteen digits of GiB are beyond every memory, and the bytes are still exact in JSON.
SIZE_PATTERN = r"^[0-9]{1,15}(B|KiB|MiB|GiB)$"

T = TypeVar("T")

_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]{1,15})(B|KiB|MiB|GiB)")
_NUMBER = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?")
_MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_BYTES = {"GiB": 1024**3, "MiB": 1024**2, "KiB": 1024, "B": 1}
_WRITE_DURATION = "write a whole number and ms, s, m, h or d, for example 250ms, 10s or 24h"
_WRITE_SIZE = "write a whole number and B, KiB, MiB or GiB (1 KiB is 1024 bytes), for example 64KiB or 8MiB"


def parse_duration(text: str) -> float:
    """Return the seconds of `250ms`, `10s`, `2m`, `24h` or `7d`.

    Raises ValueError with a sentence that says what to write.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(_complaint("duration", text, _WRITE_DURATION))
    return int(found[1]) * _MILLISECONDS[found[2]] / 1000


def parse_size(text: str) -> int:
    """Return the bytes of `512B`, `64KiB`, `8MiB` or `1GiB`.

    Raises ValueError with a sentence that says what to write.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(_complaint("size", text, _WRITE_SIZE))
    return int(found[1]) * _BYTES[found[2]]


def format_duration(seconds: float) -> str:
    """Write seconds in the largest unit that is exact, so that `parse_duration` gives them back.

    Raises ValueError for what the notation cannot say: negative, endless, or finer than a millisecond.
    """
    # The bound keeps round() away from infinities and is far above the notation's own.
    milliseconds = round(seconds * 1000) if 0 <= seconds < math.inf else -1
    text = _largest(milliseconds, _MILLISECONDS, zero="0s")
    if milliseconds < 0 or milliseconds / 1000 != seconds or not _DURATION.fullmatch(text):
        raise ValueError(f"this duration cannot be written exactly; {_WRITE_DURATION}")
    return text


def format_size(size: int) -> str:
    """Write bytes in the largest unit that is exact, so that `parse_size` gives them back.

    Raises ValueError for what the notation cannot say: negative or absurdly large.
    """
    text = _largest(size, _BYTES, zero="0B")
    if not _SIZE.fullmatch(text):
        raise ValueError(f"this size cannot be written; {_WRITE_SIZE}")
    return text


def _largest(amount: int, units: Mapping[str, int], *, zero: str) -> str:
    if amount == 0:
        return zero
    unit, factor = next((unit, factor) for unit, factor in units.items() if amount % factor == 0)
    return f"{amount // factor}{unit}"


def _complaint(noun: str, text: str, write: str) -> str:
    if _NUMBER.fullmatch(text.strip()):
        return f"a number without a unit is not a {noun}; add the unit: {write}"
    return f"not a {noun}; {write}"


def _reader(parse: Callable[[str], T]) -> Callable[[Any], T]:
    # YAML gives a bare number as int or float; as text it meets the parser's sentence about units.
    return lambda given: parse(given if isinstance(given, str) else "0" if _is_number(given) else "")


def _writer(form: Callable[[T], str]) -> Callable[[T | str], str]:
    # A default given as text reaches the schema generator before it was parsed.
    return lambda held: held if isinstance(held, str) else form(held)


def _is_number(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)


Duration = Annotated[
    float,
    BeforeValidator(_reader(parse_duration)),
    PlainSerializer(_writer(format_duration), return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["250ms", "10s", "2m", "24h", "7d"]}),
]
"""Seconds, written with a unit in YAML, in the JSON schema and in dumps.

Give defaults as text, `Field(default="10s", validate_default=True)`: pydantic copies them into the schema as they are.
"""

Size = Annotated[
    int,
    BeforeValidator(_reader(parse_size)),
    PlainSerializer(_writer(format_size), return_type=str),
    WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN, "examples": ["512B", "64KiB", "8MiB", "1GiB"]}),
]
"""Bytes, written with a unit in YAML, in the JSON schema and in dumps; defaults as for `Duration`."""
