"""The locks are whole: what they install needs nothing else, on any machine that they are for. No registry is asked."""

import tomllib
from itertools import combinations

import pytest
from packaging.requirements import Requirement

from requirements.install import LOCKS, SOURCES, read_lock
from tests.gateways import ROOT
from tests.setup.locks import ELSEWHERE, FOLDER, Environment, environments, installed, on, read, unmet

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))
MACHINES = list(environments())


def asked(lock: str) -> list[Requirement]:
    """Return what pyproject.toml asks a lock for."""
    groups = PROJECT["dependency-groups"]
    texts = {
        "build": PROJECT["build-system"]["requires"] + groups["build"],
        "runtime": PROJECT["project"]["dependencies"],
        "dev": PROJECT["project"]["dependencies"] + groups["dev"],
    }
    return [Requirement(text) for text in texts.get(lock) or groups[lock]]


def short(machine: Environment) -> str:
    """Name a machine in a message."""
    return f"Python {machine['python_full_version']} on {machine['sys_platform']} {machine['platform_machine']}"


def test_every_group_has_its_lock() -> None:
    """Each group of pyproject.toml is locked, and the set-up installs each lock."""
    assert (
        {"runtime", *PROJECT["dependency-groups"]} == set(NAMES) == {lock for each in LOCKS.values() for lock in each}
    )


@pytest.mark.parametrize("lock", NAMES)
def test_lines_are_pins_with_hashes(lock: str) -> None:
    """A lock pins each package to one version by SHA-256, and no line says where packages come from."""
    pins = read(lock)
    assert [each.name for each in pins] == [each.name for each in read_lock((FOLDER / f"{lock}.txt").read_text())]


@pytest.mark.parametrize("lock", NAMES)
def test_nothing_is_missing(lock: str) -> None:
    """On each machine and Python a lock holds what was asked for and what each of its packages wants, with extras."""
    pins = read(lock)
    faults = {f"{fault} ({short(machine)})" for machine in MACHINES for fault in unmet(asked(lock), pins, machine)}
    assert not sorted(faults)


@pytest.mark.parametrize("lock", NAMES)
def test_nothing_is_there_that_nobody_wants(lock: str) -> None:
    """Without any one of its packages, a lock would not be whole: nothing is left over, and a gap would be seen."""
    pins = read(lock)
    for machine in (MACHINES[0], MACHINES[-1]):
        for name in on(pins, machine):
            assert unmet(asked(lock), [pin for pin in pins if pin.name != name], machine), f"nobody wants {name}"


def test_an_extra_that_another_package_asks_for_is_followed() -> None:
    """`coverage[toml]` is met by the pin of coverage; what an extra wants has to be there too."""
    pins, machine = read("dev"), MACHINES[0]
    assert not unmet([Requirement("coverage[toml]")], pins, machine)
    assert unmet([Requirement("aiohttp[speedups]")], pins, machine)


@pytest.mark.parametrize(("one", "other"), [*combinations(NAMES, 2)])
def test_locks_agree(one: str, other: str) -> None:
    """A package that stands in two locks has the same versions and files in both."""
    first, second = ({(pin.name, pin.version, pin.hashes) for pin in read(lock)} for lock in (one, other))
    shared = {name for name, *_ in first} & {name for name, *_ in second}
    assert {each for each in first ^ second if each[0] in shared} == set()


def test_what_is_noted_of_packages_is_true() -> None:
    """What is noted of packages that are not installed everywhere belongs to a lock, and is what they say."""
    pins = {f"{pin.name} {pin.version}": pin for lock in NAMES for pin in read(lock)}
    assert set(ELSEWHERE) <= set(pins)
    for name, noted in ELSEWHERE.items():
        if found := installed(pins[name]):
            always = {str(each) for each in found.packages if "extra" not in str(each.marker)}
            assert (always, found.python) == ({str(each) for each in noted.packages}, noted.python), name


def test_sources_are_locked() -> None:
    """A package that is let in without a wheel is one of the lock."""
    assert {pin.name for pin in read("dev")} >= SOURCES
