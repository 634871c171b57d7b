"""What becomes of one operation: a route whose every rule has a reason, or one that is closed and says why. Values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.vocab.record_form import Tokens


class Closed(Exception):  # noqa: N818 - says that a route stays closed, and why
    """A route cannot be bound to a customer; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule by its name in the routing file, its options, and what it is for."""

    name: str
    options: Mapping[str, Any]
    why: str


@dataclass(frozen=True, slots=True)
class Drafted:
    """A route. Without rules it is for trusted callers only, and `closed` says why.

    `told` is what else the reader should know. `records` is what this route's records have elsewhere than the file's.
    """

    name: str
    path: str
    method: str
    summary: str = ""
    guess: str = ""
    closed: str = ""
    told: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    records: Mapping[str, Any] = field(default_factory=dict)
    passwords: str | None = None
    scope: tuple[Rule, ...] = ()
    guard: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An operation that no route can be made of."""

    method: str
    path: str
    reason: str


def pointer(place: Tokens) -> str:
    """Return a place as a JSON pointer."""
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in place)
