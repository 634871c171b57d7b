"""What an operator may write as a pattern of ids: regular expressions that end soon on every text. Pure.

Python's matcher goes back and tries again, for some patterns longer than anybody waits, and ids come from outside: from
the upstream, and from tokens. So ids have a greatest length, and for it the tries of a pattern are counted beforehand.
"""

import re
from typing import Final

from gateway.vocab.record_form import Ids
from gateway.wire.pointer import NUMBER

ID_LIMIT: Final = 128
"""Characters of the longest id. A UUID has 36; ids stand in paths and filters, which have limits of their own."""

STEP_LIMIT: Final = 500_000
"""A fiftieth of a second at worst: a step takes up to 40 ns. Usual patterns are counted with hundreds."""

# More than anybody nests, and far from Python's limit of recursion.
_GROUPS: Final = 32

_ONE = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\[^0-9]|[^\\\[\](){}*+?|]", re.DOTALL)
_OPEN = re.compile(r"\((?:\?:|\?P<\w+>|(?!\?))")
_REPEAT = re.compile(r"(?:([*+?])|\{(?!\})([0-9]*)(,?)([0-9]*)\})[?+]?")

_COSTLY = (
    f"an id of {ID_LIMIT} characters could take more than {STEP_LIMIT} steps to match: give repetitions a bound, as"
    " [0-9]{1,20}, and repeat no group that has repetitions or alternatives in it: write [a-z0-9-]{1,64} in place of"
    " ([a-z0-9]+-?)+"
)
_UNKNOWN = (
    "an id pattern has characters, [classes], (groups), | and repetitions only; write it without references, conditions"
    " and flags, and a backslash before a bracket or brace that is meant literally"
)


def compile_id_pattern(text: str, ids: Ids = Ids.TEXT) -> re.Pattern[str]:
    """Return the pattern, for `fullmatch`: it takes ids of 1 to ID_LIMIT characters only, in STEP_LIMIT steps at most.

    Where ids are numbers it takes the canonical text of one, whatever else the pattern would: 07 is 7 to many a server.
    Raises ValueError with a sentence that says what to write instead.
    """
    if text.count("(") > _GROUPS:
        raise ValueError(f"an id pattern has {_GROUPS} groups at most; write it flatter")
    try:
        re.compile(text)
    except (re.error, OverflowError) as error:
        raise ValueError(f"not a regular expression: {getattr(error, 'msg', error)}") from error
    most_steps(text)
    # The length is looked at first.
    first = NUMBER if ids is Ids.NUMBER else rf"[\s\S]{{1,{ID_LIMIT}}}"
    return re.compile(rf"(?={first}\Z)(?:{text})")


def most_steps(text: str) -> int:
    """Return how often at most a matcher that goes back looks at a character, an alternative or a repetition.

    Every way to read the pattern is taken to be tried to its end: repetitions multiply, whatever the text is. `text` is
    a regular expression. Raises ValueError where it has parts that cannot be counted, and above STEP_LIMIT.
    """
    (_, steps), _ = _choice(text, 0)
    return steps


# Each part of a pattern has the number of ways to read it, and of the steps that these take together.
_Cost = tuple[int, int]


def _choice(text: str, at: int) -> tuple[_Cost, int]:
    """Read alternatives up to the end of a group; return their cost, and where they end."""
    ways = steps = 0
    while True:
        (more, taken), at = _sequence(text, at)
        ways, steps = ways + more, _bounded(steps + 1 + taken)
        if at == len(text) or text[at] != "|":
            return (ways, steps), at
        at += 1


def _sequence(text: str, at: int) -> tuple[_Cost, int]:
    ways, steps = 1, 0
    while at < len(text) and text[at] not in "|)":
        (more, taken), at = _repeated(text, *_piece(text, at))
        # What follows is tried again for each way to read what stands before it.
        steps, ways = _bounded(steps + ways * taken), ways * more
    return (ways, steps), at


def _piece(text: str, at: int) -> tuple[_Cost, int]:
    if one := _ONE.match(text, at):
        return (1, 1), one.end()
    if opened := _OPEN.match(text, at):
        cost, at = _choice(text, opened.end())
        return cost, at + 1
    raise ValueError(_UNKNOWN)


def _repeated(text: str, cost: _Cost, at: int) -> tuple[_Cost, int]:
    found = _REPEAT.match(text, at)
    if found is None:
        return cost, at
    sign, least, comma, most = found.groups()
    low = int(least or 0) + (sign == "+")
    # Each round takes a character, and one more finds none.
    high = 1 if sign == "?" else int(most) if most else ID_LIMIT + 1 if sign or comma else low
    ways = steps = 0
    power = 1
    for rounds in range(max(low, high) + 1):
        ways += power if rounds >= low else 0
        steps = _bounded(steps + power * (1 + cost[1]))
        power *= cost[0]
    return (ways, steps), found.end()


def _bounded(steps: int) -> int:
    if steps > STEP_LIMIT:
        raise ValueError(_COSTLY)
    return steps
