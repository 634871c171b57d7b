"""The golden files: what shall come of each case, one file a group, to be read and reviewed.

`heads` names each head once: requests by method and target, replies by status, numbered where they differ. Of a case,
`upstream` are the requests in order, as often as they came, and `client` the replies, behind those of each connection
what became of it: kept, closed, reset, or left by the client. A message is its head's name, with a body both in a list.
`replies_to` says which reply has the id of each request, where that is not the first, the second, and so on.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.carrying.outcome import Message, Outcome

FOLDER = Path(__file__).parent / "recorded"
Plain = dict[str, Any]
"""An outcome as it stands in a file, its heads written out."""

# The ones written in C, where there are such, read the files ten times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_ONE_LINE = 1_000_000


def plain(outcome: Outcome) -> Plain:
    """Return an outcome as plain values; what is empty is left out."""
    is_plain = outcome.replies_to == tuple(range(1, len(outcome.replies_to) + 1))
    fields = {
        "upstream": [_written(message) for message in outcome.upstream],
        "replies_to": [] if is_plain else list(outcome.replies_to),
        "connections": list(outcome.connections),
        "did": list(outcome.did),
        "client": [_written(entry) if isinstance(entry, Message) else entry for entry in outcome.client],
        "log": [str(event) for event in outcome.log],
    }
    return {name: value for name, value in fields.items() if value}


def _written(message: Message) -> list[Any]:
    return [list(message.head), message.body] if message.body else [list(message.head)]


def path(group: str) -> Path:
    """Return where the golden outcomes of a group are."""
    return FOLDER / f"{group}.yaml"


def write(group: str, outcomes: Mapping[str, Outcome]) -> None:
    """Write the file of a group."""
    names: dict[tuple[str, ...], str] = {}
    heads: dict[str, list[str]] = {}

    def named(message: Any) -> Any:
        if isinstance(message, str):
            return message
        lines, *body = message
        key = tuple(lines)
        if key not in names:
            names[key] = _free(_title(key), heads)
            heads[names[key]] = lines
        return [names[key], *body] if body else names[key]

    cases = {}
    for name, outcome in outcomes.items():
        fields = plain(outcome)
        for field in ("upstream", "client"):
            if field in fields:
                fields[field] = [named(message) for message in fields[field]]
        cases[name] = fields
    text = yaml.dump(
        {"heads": heads, "cases": cases}, Dumper=_DUMPER, sort_keys=False, default_flow_style=None, width=_ONE_LINE
    )
    path(group).write_text(text)


def _title(head: tuple[str, ...]) -> str:
    if not head:
        return "no head"
    first, rest = head[0].split(" ", 1)
    return rest if first.startswith("HTTP/") else f"{first} {rest.rpartition(' ')[0]}"


def _free(title: str, taken: Mapping[str, object]) -> str:
    number = 1
    while (name := title if number == 1 else f"{title} ({number})") in taken:
        number += 1
    return name


@cache
def read(group: str) -> Mapping[str, Plain]:
    """Read the golden outcomes of a group, by the names of their cases."""
    document = yaml.load(path(group).read_text(), Loader=_LOADER)  # noqa: S506 - both are safe loaders
    heads = document["heads"]

    def spelled_out(message: Any) -> Any:
        if isinstance(message, str):
            return [heads[message]] if message in heads else message
        name, body = message
        return [heads[name], body]

    found = {}
    for name, fields in document["cases"].items():
        for field in ("upstream", "client"):
            if field in fields:
                fields[field] = [spelled_out(message) for message in fields[field]]
        found[name] = fields
    return found
