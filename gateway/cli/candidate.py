"""Reads the configuration again while another is in force: what is read either may take its place, or says why not."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.cli.circle import leads_back
from gateway.config.change import compare, needs_restart
from gateway.config.faults import ConfigError
from gateway.config.files import Files
from gateway.config.load import Loaded, load_all
from gateway.vocab.address import Address
from gateway.vocab.events import ConfigChange, ConfigFault, ConfigReload, Emit
from gateway.wiring import now

# A routing file that was written anew has as many differences as it has decisions, and nobody reads more of them.
_TOLD_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class Reading:
    """What is to be read, and by whom: a gateway that listens there, by the configuration `in_force`.

    `files` are those that it watches.
    """

    path: Path
    environ: Mapping[str, str]
    listen: Address
    admin: Address
    in_force: Loaded
    files: Files


@dataclass(frozen=True, slots=True)
class Candidate:
    """What came of it. `loaded` is None where it may not be used, and `faults` say why; `files` are to be watched."""

    loaded: Loaded | None
    files: Files
    faults: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


def read_again(reading: Reading) -> Candidate:
    """Read, check and compare: off the event loop, for it takes as long as a start."""
    files = Files()
    try:
        loaded = load_all(reading.path, reading.environ, files)
    except ConfigError as error:
        # It may be put right in any of the files, also in one that it does not name any more.
        files.add(reading.files)
        return Candidate(None, files, tuple(map(str, error.faults)))
    before, after = reading.in_force, loaded
    if after.version == before.version:
        return Candidate(loaded, files)
    faults = [
        f"{reading.path}: {name} cannot be changed in a running gateway: restart it"
        for name in needs_restart(before.config, after.config)
    ]
    if (circle := leads_back(after.config, reading.listen, reading.admin)) is not None:
        faults.append(circle)
    if faults:
        return Candidate(None, files, tuple(faults))
    lines = [*compare(before.config, after.config, now()).lines()]
    if after.authorities != before.authorities:
        lines.append("the authorities that prove the API are others")
    if len(lines) > _TOLD_MOST:
        lines[_TOLD_MOST:] = [f"and {len(lines) - _TOLD_MOST} more: `gateway diff` shows all"]
    return Candidate(loaded, files, changes=tuple(lines))


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be told of a candidate: what it is about to change, or what became of it in the end."""

    version: str
    outcome: str = ""
    faults: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    def tell(self, emit: Emit) -> None:
        """Tell it, each fault and each change for itself."""
        for change in self.changes:
            emit(ConfigChange(change))
        for fault in self.faults:
            emit(ConfigFault(fault))
        if self.outcome:
            emit(ConfigReload(self.outcome, self.version))
