"""What another configuration changes: settings, and what would be done with requests. Pure; it shows no secret."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.config.compile import key_ring, snapshot
from gateway.config.effective import settings
from gateway.config.model import Config
from gateway.config.probe import Outcome, Place, Probe, Prober, places, probes
from gateway.vocab.messages import CallerKind

# What a process has from its start to its end: it is opened, shared out or known to others once.
AT_START: Final = (
    "customers.hashing.",
    "customers.verify",
    "server.drain",
    "server.heartbeat",
    "server.proxy_protocol",
    "store.",
    "upstream.connections",
)
"""Settings, and sections with a dot behind them, that only a restart changes."""
# What of a route that is not there is nothing: it is answered as any path that does not exist.
_NOT_THERE: Final = frozenset({"404 ROUTE_UNKNOWN", "405 METHOD_NOT_ALLOWED"})
# What decides of every route, besides itself; who asks is made up.
_READ_BY_ALL: Final = ("public", "authorities")
_BOTH: Final = 2


@dataclass(frozen=True, slots=True)
class Difference:
    """A decision that is another one: for this caller at this place. `kind` is differs, new or gone."""

    kind: str
    route: str
    caller: str
    method: str
    path: str
    changes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind}: {self.route}, {self.caller}, {self.method} {self.path}: {'; '.join(self.changes)}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that changes. `restart` are the settings that only a restart changes."""

    unchanged: int
    differences: tuple[Difference, ...]
    settings: tuple[str, ...]
    restart: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return not self.differences and not self.settings

    def summary(self) -> str:
        """Return the sums in one line."""
        kinds = [difference.kind for difference in self.differences]
        differs = kinds.count("differs")
        counts = f"{self.unchanged} unchanged, {differs} {'differs' if differs == 1 else 'differ'}"
        return f"{counts}, {kinds.count('new')} new, {kinds.count('gone')} gone; {len(self.settings)} settings"

    def lines(self) -> Iterator[str]:
        """Yield the sums and each difference, a line each."""
        yield self.summary()
        yield from map(str, self.differences)
        yield from (f"setting: {one}" for one in self.settings)


def needs_restart(before: Config, after: Config) -> tuple[str, ...]:
    """Return the names of the settings that differ and that a running gateway cannot change."""
    return tuple(name for name, _, _ in _changed(before, after) if name.startswith(AT_START))


def compare(before: Config, after: Config, now: float) -> Comparison:
    """Ask both about the same requests, and look at what else differs. `now` is epoch time, in seconds."""
    first, second = (snapshot(config, key_ring(config)) for config in (before, after))
    old, new = Prober(first, now), Prober(second, now)
    unchanged, differences = 0, list[Difference]()
    is_alike = all(getattr(first, name) == getattr(second, name) for name in _READ_BY_ALL)
    passing = [{name: api.forwarded for name, api in one.apis.items()} for one in (first, second)]
    is_alike = is_alike and passing[0] == passing[1]
    for place, routes in places(first, second).items():
        if is_alike and len(routes) == _BOTH and routes[0] == routes[1]:
            # Deciders are pure: of the same they make the same.
            unchanged += len(CallerKind)
            continue
        asked = list(probes(routes))
        for caller in CallerKind:
            pairs = [
                (probe, old.ask(place.method, probe, caller), new.ask(place.method, probe, caller)) for probe in asked
            ]
            if all(one == other for _, one, other in pairs):
                unchanged += 1
            else:
                differences.append(_difference(place, caller, pairs, routes[-1].name, routes[-1].path))
    told = [f"{name}: {one} -> {other}" for name, one, other in _changed(before, after)]
    return Comparison(unchanged, tuple(differences), tuple(told), needs_restart(before, after))


def _difference(
    place: Place, caller: CallerKind, pairs: list[tuple[Probe, Outcome, Outcome]], route: str, path: str
) -> Difference:
    was_there = any(one["answer"] not in _NOT_THERE for _, one, _ in pairs)
    is_there = any(other["answer"] not in _NOT_THERE for _, _, other in pairs)
    kind = "differs" if was_there and is_there else "new" if is_there else "gone"
    # The first of each says enough, but for the answer: a request may fare otherwise than the others.
    changes: dict[str, str] = {}
    for probe, one, other in pairs:
        if one["answer"] != other["answer"]:
            fared = f"{one['answer']} -> {other['answer']}"
            changes.setdefault(fared, f"{probe}: {fared}" if kind == "differs" else fared)
            continue
        for name in dict.fromkeys((*one, *other)):
            was, becomes = one.get(name, "-"), other.get(name, "-")
            if was != becomes:
                changes.setdefault(name, f"{name}: {was} -> {becomes}")
    return Difference(kind, route, str(caller), place.method, path, tuple(changes.values()))


def _changed(before: Config, after: Config) -> Iterator[tuple[str, str, str]]:
    """Yield each setting that differs, with what it was and is, as it may be shown."""
    old, new = dict(settings(before)), dict(settings(after))
    for name in dict.fromkeys((*old, *new)):
        one, other = old.get(name), new.get(name)
        if one is None or other is None or one.value != other.value:
            yield name, "-" if one is None else one.shown, "-" if other is None else other.shown
