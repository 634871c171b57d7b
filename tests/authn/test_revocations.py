"""What is known of log-outs: whose sessions are over, exactly, however many there are."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authn.revocations import BLANK, NOBODY, PAGE, Page, Revocations, paged, written, younger
from gateway.vocab.messages import Session

NUMBERS = st.dictionaries(st.integers(1, 60), st.integers(1, 9), max_size=40)


def known(versions: dict[int, int]) -> Revocations:
    """Know of log-outs by the numbers that they end."""
    return Revocations(tuple(paged(sorted(versions.items()))))


def told(pages: tuple[Page, ...]) -> list[tuple[int, int]]:
    """Return what stands on pages, in their order."""
    return [pair for page in pages for pair in zip(page.numbers, page.versions, strict=True)]


@pytest.mark.parametrize("version", [0, 4, 5, 6])
def test_a_customers_log_out_ends_the_sessions_before_it(version: int) -> None:
    """The version of the log-out is the first that is good again, for this customer alone."""
    after = known({7: 5})
    assert after.is_over(Session("c1", 7, version, 100)) is (version < 5)
    assert not after.is_over(Session("c1", 8, version, 100))
    assert not after.is_over(Session("c1", 6, version, 100))
    assert not NOBODY.is_over(Session("c1", 7, version, 100))


def test_a_sessions_log_out_ends_that_one() -> None:
    """Another session of the customer goes on."""
    after = known({100: 9})
    assert after.is_over(Session("c1", 7, 5, 100))
    assert not after.is_over(Session("c1", 7, 5, 101))


def test_everybodys_log_out_ends_all_before_it() -> None:
    """Also those whose tokens have no numbers."""
    after = Revocations(everybody=5)
    assert after.is_over(Session("c1", 7, 4, 100))
    assert not after.is_over(Session("c1", 7, 5, 100))
    assert after.is_over(Session("c1"))


def test_a_token_without_numbers_is_known_by_its_customer() -> None:
    """Any log-out of all of the customer's sessions ends it; none is good where those are too many."""
    after = Revocations(names=frozenset({"c1"}))
    assert after.is_over(Session("c1"))
    assert not after.is_over(Session("c2"))
    assert not after.is_over(Session("c1", 7, 0, 100))
    assert Revocations(names=None).is_over(Session("c2"))


@given(NUMBERS, st.lists(st.tuples(st.integers(1, 60), st.integers(1, 9)), max_size=20))
def test_pages_keep_the_greatest_version_of_each_number(before: dict[int, int], entries: list[tuple[int, int]]) -> None:
    """Whatever is written where, each number stands once, in order, with the last of its log-outs."""
    page = next(paged(sorted(before.items())), BLANK)
    expected = dict(before)
    for number, version in entries:
        expected[number] = max(version, expected.get(number, 0))
    assert told(tuple(written(page, entries))) == sorted(expected.items())
    # The page itself is as it was: whoever decides may be looking at it.
    assert told((page,)) == sorted(before.items())


@given(NUMBERS, st.integers(0, 10))
def test_old_log_outs_leave(before: dict[int, int], since: int) -> None:
    """What is younger stays, with its version."""
    page = next(paged(sorted(before.items())), BLANK)
    if before:
        assert told((younger(page, since),)) == [pair for pair in sorted(before.items()) if pair[1] >= since]


def test_many_are_found_on_many_pages() -> None:
    """Each of many numbers is found, and none between them; pages are never longer than they may be."""
    numbers = range(10, 10 * PAGE * 3, 10)
    after = known(dict.fromkeys(numbers, 5))
    assert len(after) == len(numbers)
    for number in (*numbers[:5], *numbers[PAGE - 2 : PAGE + 2], *numbers[-3:]):
        assert after.is_over(Session("c1", number, 4, 1))
        assert not after.is_over(Session("c1", number + 1, 4, 1))
    assert not after.is_over(Session("c1", 9, 4, 1))
    first = after.pages[0]
    split = tuple(written(first, [(number + 1, 6) for number in first.numbers]))
    assert [len(page.numbers) for page in split] == [PAGE, PAGE]
    assert all(a.numbers[-1] < b.numbers[0] for a, b in pairwise(split))
