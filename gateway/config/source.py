"""Reads a routing file to plain data with places: `extends`, interpolation, every fault in one go.

It does not know what the keys mean; the model does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.config.document import offset_place, parse
from gateway.config.faults import ConfigError, Fault
from gateway.config.files import Files, TooLarge, Unreadable
from gateway.config.interpolation import interpolate
from gateway.config.tree import Branch, Entry, Node, Place, Row, Scalar, Where, merge, plain

__all__ = ["ConfigError", "Fault", "Place", "Source", "Where", "read"]

# A Kubernetes ConfigMap holds at most 1 MiB, and a routing file is meant to fit in one.
DOCUMENT_LIMIT = 1024 * 1024
# Company defaults, region, environment, site, machine.
EXTENDS_LIMIT = 5
EXTENDS = "extends"
SHOWN_PATH = 120
_SPLIT = "put a part of it into a file of its own, and name that with `extends`"


@dataclass(frozen=True, slots=True)
class Source:
    """What a routing file says after `extends` and interpolation, and where it says it."""

    # Holds secrets: it stays out of every repr.
    data: dict[str, Any] = field(repr=False)
    where: Where


def read(path: Path, environ: Mapping[str, str], files: Files) -> Source:
    """Read the file, the files it extends, and what its values refer to; `files` reads, and knows them afterwards.

    Raises ConfigError with every fault of every file.
    """
    faults: list[Fault] = []
    tree = None
    try:
        text = _text(path, files)
    except Unreadable as error:
        hint = _SPLIT if isinstance(error, TooLarge) else "give a readable YAML file"
        faults.append(Fault(str(path), 1, 1, f"cannot read the file: {error.reason}", hint))
    except UnicodeDecodeError as error:
        faults.append(_not_text(str(path), error))
    else:
        tree = _load(path, text, (path.resolve(),), faults, files)
    if tree is not None:
        # Only now: a value of a base that was replaced need not have its variable set.
        tree = _Filling(environ, files, faults).branch(tree)
    if tree is None or faults:
        raise ConfigError(faults)
    return Source(plain(tree), Where(tree))


def _text(path: Path, files: Files) -> str:
    return files.contents(path, DOCUMENT_LIMIT).decode("utf-8-sig")


def _load(path: Path, text: str, chain: tuple[Path, ...], faults: list[Fault], files: Files) -> Branch | None:
    """Parse one file and lay it over what it extends; `chain` is the way here, itself last."""
    tree = parse(text, str(path), faults)
    if tree is None or EXTENDS not in tree.entries:
        return tree
    own = Branch(tree.place, {key: entry for key, entry in tree.entries.items() if key != EXTENDS})
    base = _load_base(path, tree.entries[EXTENDS].node, chain, faults, files)
    return own if base is None else merge(base, own)


def _load_base(path: Path, node: Node, chain: tuple[Path, ...], faults: list[Fault], files: Files) -> Branch | None:
    name = node.value if isinstance(node, Scalar) else None
    if not isinstance(name, str) or not name or "${" in name:
        faults.append(Fault(*node.place, "extends must be one path, without ${...}", "write `extends: base.yaml`"))
        return None
    base = path.parent / name
    try:
        resolved = base.resolve()
        if resolved in chain:
            faults.append(Fault(*node.place, "extends goes in a circle", "let the most general file extend nothing"))
            return None
        if len(chain) > EXTENDS_LIMIT:
            hint = "let fewer files extend each other"
            faults.append(Fault(*node.place, f"extends goes deeper than {EXTENDS_LIMIT} files", hint))
            return None
        text = _text(base, files)
    except (Unreadable, OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            faults.append(_not_text(str(base), error))
        else:
            shown = name if len(name) <= SHOWN_PATH else name[:SHOWN_PATH] + "..."
            reason = error.reason if isinstance(error, Unreadable) else "not a possible file name"
            hint = _SPLIT if isinstance(error, TooLarge) else "give a readable YAML file, relative to this one"
            faults.append(Fault(*node.place, f"cannot read the file {shown!r}: {reason}", hint))
        return None
    return _load(base, text, (*chain, resolved), faults, files)


def _not_text(file: str, error: UnicodeDecodeError) -> Fault:
    place = offset_place(file, error.object[: error.start].decode("utf-8-sig"), error.start)
    return Fault(*place, "not UTF-8 text", "save the file as UTF-8")


@dataclass(frozen=True, slots=True)
class _Filling:
    environ: Mapping[str, str]
    files: Files
    faults: list[Fault]

    def branch(self, node: Branch) -> Branch:
        return Branch(
            node.place, {key: Entry(entry.key_place, self.node(entry.node)) for key, entry in node.entries.items()}
        )

    def node(self, node: Node) -> Node:
        match node:
            case Branch():
                return self.branch(node)
            case Row():
                return Row(node.place, tuple(map(self.node, node.items)))
            case Scalar(value=str() as text) if "$" in text:
                # The result stays text: a value from outside must not become a number or a boolean.
                outcome = interpolate(text, self.environ, Path(node.place.file).parent, self.files)
                self.faults.extend(Fault(*node.place, what, hint) for what, hint in outcome.problems)
                return Scalar(node.place, outcome.text, interpolated=outcome.fetched)
            case Scalar():
                return node
