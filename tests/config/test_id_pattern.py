"""Patterns of ids: which are taken, and that those end soon on every text."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.id_pattern import ID_LIMIT, STEP_LIMIT, compile_id_pattern, most_steps
from gateway.vocab.record_form import Ids

IN_USE = [
    "[A-Za-z0-9_-]{1,64}",
    "[0-9]+",
    r"\d{1,10}",
    r"[\w-]+",
    ".*",
    "[^/]{1,128}",
    "^[a-z]+$",
    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "[0-9A-HJKMNP-TV-Z]{26}",
    "(cus|usr|customer|cust)_[A-Za-z0-9]{14,24}",
    "[0-9]+|[a-f0-9]{24}|guest",
    "[a-z0-9]([-a-z0-9]*[a-z0-9])?",
    r"[0-9]{1,20}-[0-9]{1,20}(\.[0-9]{1,20})?",
    r"[^@]+@[^@]+",
    r"(?P<shop>[a-z]{2})_[0-9]{1,}",
    "(ab)*",
    "[]a-z]{,8}",
]
COSTLY = [
    "(a+)+$",
    "(a|a)*$",
    "(a|aa)+$",
    "(.*)*x",
    "(a?){30}a{30}",
    "(a*?)*?b",
    r"(\w+\s?)*$",
    "(x+x+)+y",
    "((a*)*)*",
    "(?:(?:a{1,64}){1,64})",
    "(?P<n>a|b|ab)*c",
    "a*a*a*a*a*b",
    ".*.*.*=.*",
    "(((){100}){100}){100}",
    "a{2000000}",
    "(a|b|c){40}",
]
UNKNOWN = [
    r"(.)\1",
    "(?=a)b",
    "(?!a)b",
    "(?<=a)b",
    "(?>a+)",
    "(?#x)a",
    "(a)(?(1)b|c)",
    "a{",
    "{}",
    "]",
    r"(?P<n>a)(?P=n)",
    "(?i)a",
]
BROKEN = ["[", "(", ")", "a**", "a)|(b", "(?P<n>a", "a{99999999999}"]


@pytest.mark.parametrize("text", IN_USE)
def test_a_usual_pattern_is_taken(text: str) -> None:
    """Classes with a bound or without, fixed groups, alternatives of prefixes."""
    assert most_steps(text) <= STEP_LIMIT
    assert compile_id_pattern(text).fullmatch("") is None


@pytest.mark.parametrize(
    ("texts", "what"),
    [
        (COSTLY, "more than 500000 steps"),
        (UNKNOWN, "characters, [classes],"),
        (BROKEN, "not a regular expr"),
    ],
)
def test_any_other_pattern_is_refused_with_what_to_write(texts: list[str], what: str) -> None:
    """What could take long, what cannot be counted, and what is no pattern."""
    for text in texts:
        with pytest.raises(ValueError, match=re.escape(what)):
            compile_id_pattern(text)


def test_nesting_is_bounded() -> None:
    """No pattern exhausts the stack."""
    assert compile_id_pattern("(" * 32 + "a" + ")" * 32).fullmatch("a")
    with pytest.raises(ValueError, match="32 groups at most"):
        compile_id_pattern("(" * 50_000 + "a" + ")" * 50_000)


def test_an_id_has_a_greatest_length() -> None:
    """What is longer is no id, whatever the pattern says, and is not looked at."""
    anything = compile_id_pattern("[^/]*|[a-z]+")
    assert anything.fullmatch("a" * ID_LIMIT)
    assert anything.fullmatch("a" * (ID_LIMIT + 1)) is None
    assert anything.fullmatch("") is None


# Properties: a matcher of our own counts the steps. It is written for being read, and never goes a shorter way.


@dataclass(frozen=True)
class Char:
    """One character of a class."""

    text: str
    chars: str


@dataclass(frozen=True)
class Group:
    """Alternatives of sequences."""

    branches: tuple[tuple["Part", ...], ...]


@dataclass(frozen=True)
class Many:
    """A repetition; without `most` there is no bound."""

    part: "Char | Group"
    least: int
    most: int | None
    sign: str


Part = Char | Group | Many


def spelled(part: Part) -> str:
    """Write a part as a regular expression."""
    match part:
        case Char():
            return part.text
        case Group():
            return f"({'|'.join(''.join(map(spelled, branch)) for branch in part.branches)})"
        case Many():
            return spelled(part.part) + part.sign


@dataclass
class Backtracking:
    """Yields the places where a part can end, greedy first, and counts what it looks at."""

    text: str
    steps: int = field(default=0)

    def ends(self, part: Part, at: int) -> Iterator[int]:
        """Match one part."""
        match part:
            case Char():
                self.steps += 1
                if at < len(self.text) and self.text[at] in part.chars:
                    yield at + 1
            case Group():
                for branch in part.branches:
                    self.steps += 1
                    yield from self.sequence(branch, at)
            case Many():
                yield from self.rounds(part, at, 0)

    def sequence(self, parts: tuple[Part, ...], at: int) -> Iterator[int]:
        """Match parts one behind the other."""
        if not parts:
            yield at
            return
        for end in self.ends(parts[0], at):
            yield from self.sequence(parts[1:], end)

    def rounds(self, part: Many, at: int, done: int) -> Iterator[int]:
        """Match one round more, then no more."""
        self.steps += 1
        if part.most is None or done < part.most:
            for end in self.ends(part.part, at):
                # A round that takes nothing would go on for ever.
                if end > at or done < part.least:
                    yield from self.rounds(part, end, done + 1)
        if done >= part.least:
            yield at


chars = st.sampled_from([Char("a", "a"), Char("[ab]", "ab"), Char(r"\w", "abc"), Char(".", "abc-!"), Char(r"\-", "-")])
repeats = st.sampled_from([(0, None, "*"), (1, None, "+"), (0, 1, "?"), (1, None, "{1,}")]) | st.builds(
    lambda low, more: (low, low + more, f"{{{low},{low + more}}}" if more else f"{{{low}}}"),
    st.integers(0, 5),
    st.integers(0, 9),
)


def repeated(parts: st.SearchStrategy[Part]) -> st.SearchStrategy[Part]:
    """Make a part that is perhaps repeated."""
    return st.one_of(parts, st.builds(lambda part, repeat: Many(part, *repeat), parts, repeats))


parts = st.recursive(
    repeated(chars),
    lambda inner: repeated(
        st.builds(Group, st.lists(st.lists(inner, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple))
    ),
    max_leaves=6,
)
# Long runs with a fault at the end are what makes a matcher go back.
subjects = st.builds(
    lambda run, times, end: (run * times)[: ID_LIMIT - len(end)] + end,
    st.text("abc-", min_size=1, max_size=3),
    st.integers(0, ID_LIMIT),
    st.sampled_from(["", "-", "c", "!"]),
)


@settings(deadline=None)
@given(parts, subjects)
def test_a_pattern_that_is_taken_ends_in_the_steps_that_were_counted(part: Part, text: str) -> None:
    """On every text of an id's length; and it is read as Python's own matcher reads it."""
    pattern = spelled(part)
    try:
        compiled = compile_id_pattern(pattern)
    except ValueError:
        return
    matcher = Backtracking(text)
    found = False
    for end in matcher.ends(part, 0):
        found = found or end == len(text)
    assert matcher.steps <= most_steps(pattern) <= STEP_LIMIT
    assert (compiled.fullmatch(text) is not None) == (found and text != "")


@settings(deadline=None)
@given(st.text("ab()[]{}|*+?.^$\\,:P<n>=!#1-", max_size=24))
def test_any_text_is_a_pattern_or_a_fault(text: str) -> None:
    """Nothing that an operator writes makes loading fall over with another exception."""
    # Python warns of sets that it may read otherwise one day; here a warning is an exception.
    with suppress(ValueError, FutureWarning):
        compile_id_pattern(text).fullmatch("-" * ID_LIMIT)


@pytest.mark.parametrize("text", [".*", "[A-Za-z0-9_-]{1,64}", r"\d+", "[0-9]+|[a-f0-9]{24}|guest"])
def test_where_ids_are_numbers_each_has_one_spelling(text: str) -> None:
    """Whatever the pattern takes besides; one that takes fewer numbers still does."""
    pattern = compile_id_pattern(text, Ids.NUMBER)
    for good in ("0", "7", "70", "9" * 18):
        assert pattern.fullmatch(good)
    for bad in (
        "",
        "07",
        "00",
        "+7",
        "-7",
        "7.0",
        " 7",
        "7 ",
        "7\n",
        "1e1",
        "7_0",
        "\u0667",
        "\uff17",
        "9" * 19,
        "guest",
    ):
        assert not pattern.fullmatch(bad)
    assert not compile_id_pattern("[1-9][0-9]?", Ids.NUMBER).fullmatch("0")
    assert not compile_id_pattern("[1-9][0-9]?", Ids.NUMBER).fullmatch("700")
