"""A fault of the configuration: where it stands, what is wrong, and what to write instead.

It prints nothing and never holds a value that came from the environment or from a secret file.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault; lines and columns count from 1. Faults sort by file, line and column."""

    file: str
    line: int
    column: int
    what: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column}: {self.what}"
        return f"{text}; {self.hint}" if self.hint else text


class ConfigError(Exception):
    """The configuration cannot be used; `faults` are all its faults, sorted, each once."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        # A value behind an alias is visited once per alias; its fault is still one fault.
        self.faults = tuple(sorted(set(faults)))
        super().__init__(self.faults)

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))
