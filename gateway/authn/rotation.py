"""A folder of signing keys that take each other's place: which one signs, and what may be done next. Pure.

A key is next, active, retiring or retired. Which, follows from times that stand in the files: of all keys that were
told to sign, the last one told is active, and those before it are retiring. So one file that is replaced at once is a
whole rotation, and whoever reads the folder at any moment finds one key that signs. Times are whole epoch seconds.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from gateway.authn.compact import read_object
from gateway.authn.key import Algorithm, KeyFault, load_key
from gateway.vocab.policy import JWKS_MAX_AGE

# In which every replica has taken up a change of the folder, or says why not; a Kubernetes Secret takes up to two
# minutes to reach its pods.
TAKE_UP: Final = 300
# A verifier may keep what the last replica published without the key for as long as it was told.
PUBLISHED: Final = JWKS_MAX_AGE + TAKE_UP
# Replicas' clocks differ: one that is fast gives its tokens an end that much later.
_SKEW: Final = 60

_MEMBER: Final = "gateway"
_TIMES: Final = ("created", "signs", "retired")
_LATEST: Final = 2**40


class State(StrEnum):
    """Where a key stands. Next, active and retiring keys verify and are published; only the active one signs."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Kept:
    """One key of a folder. `since` is when it came into its state; 0 is for a key that signed from the beginning."""

    file: str
    kid: str
    algorithm: Algorithm
    state: State
    since: int


@dataclass(frozen=True, slots=True)
class TooEarly:
    """A change that would make replicas refuse good tokens before this time."""

    what: str
    until: int


@dataclass(frozen=True, slots=True)
class _Entry:
    file: str
    kid: str
    algorithm: Algorithm
    times: Mapping[str, int]


def read_keys(texts: Mapping[str, str]) -> tuple[tuple[Kept, ...], tuple[str, ...]]:
    """Return the keys of a folder, given as the text of each file, and every fault; none is good where there is one.

    A key without times - a PEM file, or one made for a list of keys - is taken to have signed for ever.
    """
    entries, faults = [], []
    for file, text in texts.items():
        try:
            entries.append(_entry(file, text))
        except KeyFault as fault:
            faults.append(f"{file}: {fault}")
    faults.extend(_clashes(entries))
    return (() if faults else tuple(_told(entries))), tuple(faults)


def in_ring(kept: Sequence[Kept]) -> tuple[Kept, ...]:
    """Return the keys that verify, the one that signs first."""
    order = (State.ACTIVE, State.NEXT, State.RETIRING)
    return tuple(one for state in order for one in kept if one.state is state)


def signing(kept: Sequence[Kept]) -> Kept | None:
    """Return the key that signs."""
    return next((one for one in kept if one.state is State.ACTIVE), None)


def stamped(text: str, now: float, kept: Sequence[Kept]) -> str:
    """Return the text of a new key for the folder: the next one, or the first, which signs at once.

    Nobody has tokens of a folder without a signing key, nor a copy of what it published.
    """
    times = {"created": int(now)} if signing(kept) else {"created": int(now), "signs": int(now)}
    return _with_times(text, times)


def may_sign_from(next_key: Kept) -> int:
    """Return from when a next key may sign: whoever verifies has it by then."""
    return next_key.since + PUBLISHED


def may_retire_from(retiring: Kept, longest_life: float) -> int:
    """Return from when a retiring key may go: the last token that any replica signed with it has expired by then."""
    return retiring.since + TAKE_UP + int(longest_life) + _SKEW


def rotated(text: str, next_key: Kept, kept: Sequence[Kept], now: float, *, at_once: bool) -> str | TooEarly:
    """Return the text that makes a next key the active one."""
    if not at_once and now < may_sign_from(next_key):
        return TooEarly(f"{next_key.kid} is not published for long enough", may_sign_from(next_key))
    active = signing(kept)
    # After the one before, also by a clock that is behind.
    signs = int(now) if active is None else max(int(now), active.since + 1)
    return _with_times(text, {"created": next_key.since, "signs": signs})


def retired(one: Kept, longest_life: float, now: float, *, at_once: bool) -> str | TooEarly:
    """Return the text that stays of a key that is not active: what it was, and nothing that could sign or verify."""
    if one.state is State.RETIRING and not at_once and now < may_retire_from(one, longest_life):
        return TooEarly(f"tokens signed with {one.kid} may be in use", may_retire_from(one, longest_life))
    return json.dumps({"kid": one.kid, "alg": one.algorithm.value, _MEMBER: {"retired": int(now)}}) + "\n"


def _entry(file: str, text: str) -> _Entry:
    times: Mapping[str, int] = {}
    jwk = None if "-----BEGIN" in text else read_object(text.encode("utf-8", "surrogatepass"))
    if jwk is not None and _MEMBER in jwk:
        times = _read_times(jwk[_MEMBER])
    if jwk is not None and "retired" in times:
        kid, name = jwk.get("kid"), jwk.get("alg")
        if not isinstance(kid, str) or name not in list(Algorithm):
            raise KeyFault("a retired key has its kid and alg")
        return _Entry(file, kid, Algorithm(name), times)
    key = load_key(text)
    return _Entry(file, key.kid, key.algorithm, times or {"signs": 0})


def _read_times(member: object) -> Mapping[str, int]:
    # bool is an int in Python, hence the exact type.
    if (
        not isinstance(member, dict)
        or not member
        or not all(name in _TIMES and type(time) is int and 0 <= time < _LATEST for name, time in member.items())
    ):
        raise KeyFault(f"its member {_MEMBER!r} is not {', '.join(_TIMES)} in whole seconds; `gateway keys` writes it")
    return member


def _clashes(entries: Sequence[_Entry]) -> Iterator[str]:
    kids: dict[str, str] = {}
    signs: dict[int, str] = {}
    for entry in entries:
        if entry.kid in kids:
            yield f"{entry.file}: the same key as {kids[entry.kid]}"
        kids.setdefault(entry.kid, entry.file)
        if "retired" not in entry.times and "signs" in entry.times:
            time = entry.times["signs"]
            if time in signs:
                yield f"{entry.file}: signs from the same time as {signs[time]}, so that nothing says which one does"
            signs.setdefault(time, entry.file)


def _told(entries: Sequence[_Entry]) -> Iterator[Kept]:
    """Yield what the entries are: the active one, those before it from the newest on, the next ones, the retired."""
    live = [entry for entry in entries if "retired" not in entry.times]
    told = sorted((entry for entry in live if "signs" in entry.times), key=lambda entry: -entry.times["signs"])
    for entry in told[:1]:
        yield _kept(entry, State.ACTIVE, entry.times["signs"])
    for later, entry in pairwise(told):
        yield _kept(entry, State.RETIRING, later.times["signs"])
    for entry in live:
        if "signs" not in entry.times:
            yield _kept(entry, State.NEXT, entry.times["created"])
    for entry in entries:
        if "retired" in entry.times:
            yield _kept(entry, State.RETIRED, entry.times["retired"])


def _kept(entry: _Entry, state: State, since: int) -> Kept:
    return Kept(entry.file, entry.kid, entry.algorithm, state, since)


def _with_times(text: str, times: Mapping[str, int]) -> str:
    return json.dumps({**json.loads(text), _MEMBER: dict(times)}) + "\n"
