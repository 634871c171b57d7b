"""What a golden case is made of: what clients send, what the upstream says to it, and how requests are written.

A case is data. `stage.py` plays it on a real gateway; `groups/` has them all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.demo.answers import ShopAnswer

Proofs = Mapping[str, tuple[str, ...]]
"""For each kind of caller the header lines that prove who it is."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `caller` is a key of the proofs, which are known only when a gateway runs."""

    method: str
    target: str
    caller: str = "nobody"
    lines: tuple[str, ...] = ()
    body: bytes = b""
    version: str = "1.1"

    def wire(self, proofs: Proofs) -> bytes:
        """Write it."""
        lines = [f"{self.method} {self.target} HTTP/{self.version}", "Host: x", *proofs[self.caller], *self.lines]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


@dataclass(frozen=True, slots=True)
class Talk:
    """What one client sends on one connection: all requests at once, their bytes cut at `cuts`.

    Each cut is taken modulo the length. A client that `leaves` does so when the upstream has said all it says.
    """

    asks: tuple[Ask, ...]
    cuts: tuple[int, ...] = ()
    leaves: bool = False

    def pieces(self, proofs: Proofs) -> list[bytes]:
        """Return the bytes, cut."""
        whole = b"".join(ask.wire(proofs) for ask in self.asks)
        return cut(whole, *(at % (len(whole) or 1) for at in self.cuts))


Spelling = Callable[[ShopAnswer], tuple[bytes, ...]]
"""Writes the true answer to a request, in pieces."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the upstream says to requests whose path begins with `about`: fixed pieces, or the truth in some spelling.

    Pieces are sent one after the other; `end` is what becomes of the connection behind them: open, close or reset.
    The first `times` requests get it, all of them without that.
    """

    pieces: tuple[bytes, ...] | Spelling = ()
    end: str = "open"
    times: int | None = None
    about: str = "/"


@dataclass(frozen=True, slots=True)
class Case:
    """One conversation, or several after each other, and what the upstream says; the truth where nothing is said.

    `drops_idle`: before the first talk the upstream closes every connection that waits for its next request.
    `interjected`: this is said on all of them in the very moment in which the last request is sent; nothing stands for
    their end.
    `cut_up_to`: the outcome is the same wherever the first so many bytes of the upstream's answers are cut in two.
    """

    name: str
    talks: tuple[Talk, ...]
    says: tuple[Said, ...] = ()
    drops_idle: bool = False
    interjected: bytes | None = None
    cut_up_to: int = 0


PATIENT = "connect: 3s, first_byte: 5s, idle: 5s"
"""Longer than the busiest machine takes; no case waits for it."""
HASTY = "connect: 150ms, first_byte: 250ms, idle: 250ms"
"""For an upstream that falls silent."""


@dataclass(frozen=True, slots=True)
class Group:
    """Cases of one kind, kept in one file.

    `timeouts` are the gateway's for the upstream. `is_fresh` gives each case a gateway of its own, whose bearer nobody
    has rejected yet. `tells_connections`: on which of the upstream's connections a request came is a part of the
    outcome; `tells_grants`: so are the gateway's own requests for a bearer.
    """

    name: str
    cases: tuple[Case, ...]
    timeouts: str = PATIENT
    is_fresh: bool = False
    tells_connections: bool = False
    tells_grants: bool = False


def case(name: str, asks: Ask | tuple[Ask, ...], *says: Said, cuts: tuple[int, ...] = ()) -> Case:
    """Make a case of one talk."""
    return Case(name, (Talk(asks if isinstance(asks, tuple) else (asks,), cuts),), says)


def cut(whole: bytes, *marks: int) -> list[bytes]:
    """Cut bytes; marks at either end cut nothing."""
    inner = sorted(mark for mark in set(marks) if 0 < mark < len(whole))
    return [whole[start:end] for start, end in zip([0, *inner], [*inner, len(whole)], strict=True)]
