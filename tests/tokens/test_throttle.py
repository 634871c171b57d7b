"""How many logins may be tried."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tokens.throttle import Counted, Limit, Throttle, Wait

PLENTY = 1_000_000


def reserve(throttle: Throttle, account: str, address: str, now: float) -> Wait | None:
    """Try, the address first."""
    return throttle.enter(address, now) or throttle.guess(account, address, now)


def tried(throttle: Throttle, account: str, address: str, now: float) -> int | None:
    """Try, and return the seconds to wait."""
    wait = reserve(throttle, account, address, now)
    return None if wait is None else wait.seconds


def welcome(throttle: Throttle, account: str, address: str) -> None:
    """Let an attempt have been right."""
    throttle.give_back(account, address)
    throttle.know(account, address)


def make(
    account_burst: int = PLENTY, address_burst: int = PLENTY, per_minute: float = 6, max_keys: int = 100
) -> Throttle:
    """Make a throttle with 6 attempts a minute: one each 10 seconds."""
    return Throttle(Limit(account_burst, per_minute), Limit(address_burst, per_minute), Counted(max_keys))


def test_account_has_its_burst_and_then_waits() -> None:
    """After its burst an account waits for the next attempt, whatever the addresses."""
    throttle = make(account_burst=3)
    assert [tried(throttle, "ann", f"10.0.0.{n}", 1000.0) for n in range(4)] == [None, None, None, 10]
    assert tried(throttle, "bob", "10.0.0.1", 1000.0) is None


def test_address_has_its_burst_and_then_waits() -> None:
    """After its burst an address waits for the next attempt, whatever the accounts."""
    throttle = make(address_burst=3)
    assert [tried(throttle, f"account-{n}", "10.0.0.1", 1000.0) for n in range(4)] == [None, None, None, 10]
    assert tried(throttle, "account-0", "10.0.0.2", 1000.0) is None


def test_attempts_come_back_one_by_one() -> None:
    """An exhausted key gets one attempt per interval, and its whole burst after a pause."""
    throttle = make(account_burst=2)
    assert [tried(throttle, "ann", "a", now) for now in (0.0, 0.0, 9.5, 10.0, 10.5)] == [None, None, 1, None, 10]
    assert [tried(throttle, "ann", "a", 100.0) for _ in range(3)] == [None, None, 10]


def test_wait_is_never_below_a_second() -> None:
    """Retry-After is whole seconds, rounded up, so that it is never too early and never zero."""
    throttle = make(account_burst=1, per_minute=600)
    assert tried(throttle, "ann", "a", 0.0) is None
    assert tried(throttle, "ann", "a", 0.05) == 1


def test_the_address_is_asked_first() -> None:
    """With both exhausted it is the address that is refused: that answer costs nothing."""
    throttle = Throttle(Limit(1, 1), Limit(1, 60), Counted(9))
    assert reserve(throttle, "ann", "a", 0.0) is None
    assert reserve(throttle, "ann", "a", 0.0) == Wait(1, by_account=False)
    assert reserve(throttle, "ann", "b", 0.0) == Wait(60, by_account=True)


def test_an_attempt_at_a_used_up_account_costs_its_address() -> None:
    """It is answered with the work of a real one; one refused for its address costs the account nothing."""
    throttle = make(account_burst=1, address_burst=2)
    assert tried(throttle, "ann", "a", 0.0) is None
    assert reserve(throttle, "ann", "a", 0.0) == Wait(10, by_account=True)
    assert reserve(throttle, "cy", "a", 0.0) == Wait(10, by_account=False)
    assert tried(throttle, "cy", "b", 0.0) is None


def test_a_known_address_is_counted_apart() -> None:
    """Guesses from elsewhere do not lock a customer out where she has logged in; those from there do."""
    throttle = make(account_burst=2)
    assert tried(throttle, "ann", "home", 0.0) is None
    welcome(throttle, "ann", "home")
    assert [tried(throttle, "ann", "elsewhere", 0.0) for _ in range(3)] == [None, None, 10]
    assert [tried(throttle, "ann", "home", 0.0) for _ in range(3)] == [None, None, 10]


def test_known_addresses_are_bounded() -> None:
    """The one not used for the longest time is forgotten."""
    throttle = make(account_burst=1, max_keys=2)
    for address in ("a", "b", "c"):
        assert tried(throttle, "ann", address, 0.0) is None
        welcome(throttle, "ann", address)
    assert [tried(throttle, "ann", address, 0.0) for address in ("x", "a", "c")] == [None, 10, None]


def test_looking_for_a_known_address_does_not_keep_it() -> None:
    """Guesses from an address that is known do not make it known for longer; only the customer's logins do."""
    throttle = make(account_burst=1, max_keys=2)
    for address in ("a", "b"):
        assert tried(throttle, "ann", address, 0.0) is None
        welcome(throttle, "ann", address)
    assert [tried(throttle, "ann", "a", 0.0) for _ in range(2)] == [None, 10]
    assert tried(throttle, "bob", "c", 0.0) is None
    welcome(throttle, "bob", "c")  # makes the pair of ann and a forgotten
    assert [tried(throttle, "ann", address, 0.0) for address in ("a", "a")] == [None, 10]


def test_refund_gives_one_attempt_back_on_both() -> None:
    """A successful login costs nothing, and leaves the failures before it counted."""
    throttle = make(account_burst=2, address_burst=2)
    assert tried(throttle, "ann", "a", 0.0) is None
    for _ in range(50):
        assert tried(throttle, "ann", "a", 0.0) is None
        throttle.give_back("ann", "a")
    assert tried(throttle, "ann", "a", 0.0) is None
    assert tried(throttle, "ann", "b", 0.0) == 10
    assert tried(throttle, "bob", "a", 0.0) == 10


def test_refund_of_a_forgotten_key_does_nothing() -> None:
    """A refund for keys that are not remembered gives nobody more than the burst."""
    throttle = make(account_burst=1)
    throttle.give_back("ann", "a")
    assert [tried(throttle, "ann", "a", 0.0) for _ in range(2)] == [None, 10]


def test_key_not_seen_for_longest_is_forgotten() -> None:
    """Beyond the bound the key not seen for the longest time has its full burst again; an attacked one has not."""
    throttle = make(account_burst=1, max_keys=2)
    assert tried(throttle, "ann", "a", 0.0) is None
    assert tried(throttle, "bob", "b", 0.0) is None
    assert tried(throttle, "ann", "c", 0.0) == 10  # seen again, though refused
    assert tried(throttle, "cy", "d", 0.0) is None  # makes bob forgotten
    assert tried(throttle, "ann", "e", 0.0) == 10
    assert tried(throttle, "bob", "f", 0.0) is None


def test_a_refund_is_not_an_attempt() -> None:
    """A key whose attempt is given back was not seen again: it is forgotten in the order of attempts."""
    throttle = make(account_burst=2, max_keys=2)
    assert tried(throttle, "ann", "a", 0.0) is None
    assert [tried(throttle, "bob", "b", 0.0) for _ in range(2)] == [None, None]
    throttle.give_back("ann", "a")
    assert tried(throttle, "cy", "c", 0.0) is None  # makes ann forgotten
    assert tried(throttle, "bob", "d", 0.0) == 10


def test_flood_of_addresses_makes_no_account_forgotten() -> None:
    """Accounts and addresses do not share their bound."""
    throttle = make(account_burst=2, max_keys=2)
    assert [tried(throttle, "ann", f"address-{n}", 0.0) for n in range(50)] == [None, None, *[10] * 48]


@pytest.mark.parametrize("burst", [1, 7, 60])
@pytest.mark.parametrize("per_minute", [0.7, 7, 61])
def test_whole_burst_is_granted_at_any_time(burst: int, per_minute: float) -> None:
    """Rounding costs nobody the last attempt of the burst, at the epoch seconds of today."""
    throttle = make(account_burst=burst, per_minute=per_minute)
    granted = [tried(throttle, "ann", "a", 1_790_000_000.123456) for _ in range(burst + 1)]
    assert granted[:-1] == [None] * burst
    assert granted[-1] is not None


@pytest.mark.parametrize("wrong", [{"account_burst": 0}, {"address_burst": 0}, {"per_minute": 0}])
def test_limits_are_above_zero(wrong: dict[str, int]) -> None:
    """A throttle that would allow nothing is not made."""
    with pytest.raises(ValueError, match="above zero"):
        make(**wrong)


@given(
    burst=st.integers(1, 5),
    gaps=st.lists(st.integers(0, 25), min_size=1, max_size=60),
)
def test_no_window_holds_more_than_burst_and_rate(burst: int, gaps: list[int]) -> None:
    """In any window an account gets at most its burst and one attempt per interval of the window."""
    throttle = make(account_burst=burst)
    now = 0
    allowed: list[int] = []
    for gap, address in zip(gaps, count(), strict=False):
        now += gap
        if tried(throttle, "ann", str(address), float(now)) is None:
            allowed.append(now)
    for first in range(len(allowed)):
        for last in range(first, len(allowed)):
            assert last - first + 1 <= burst + (allowed[last] - allowed[first]) / 10


@given(burst=st.integers(1, 5), gaps=st.lists(st.integers(0, 100), max_size=40))
def test_who_waits_as_told_is_let_in(burst: int, gaps: list[int]) -> None:
    """The attempt after the time that was told succeeds, and one a second earlier would not have."""
    throttle = make(account_burst=burst)
    now = 0.0
    for gap in gaps:
        now += gap / 4
        wait = tried(throttle, "ann", "a", now)
        if wait is not None:
            assert wait >= 1
            assert tried(throttle, "ann", "a", now + wait - 1) is not None
            now += wait
            assert tried(throttle, "ann", "a", now) is None


def under(counted: Counted, burst: int, per_minute: float) -> Throttle:
    """Make a throttle of what was counted before."""
    limit = Limit(burst, per_minute)
    return Throttle(limit, limit, counted)


def guesses(throttle: Throttle, most: int, now: float) -> list[int]:
    """Guess until there is none left; return what was told in the end."""
    waits = [throttle.guess("ann", "home", now) for _ in range(most)]
    return [wait.seconds for wait in waits if wait is not None]


def test_what_was_counted_counts_under_another_limit() -> None:
    """As many attempts are taken as before, and come back as the new limit says; who waits as told is let in."""
    counted = Counted(9)
    # Six of ten, one each 6 s.
    assert guesses(under(counted, 10, 10), 6, 0.0) == []
    # Two have come back by now.
    slower = under(counted, 10, 1)
    assert guesses(slower, 8, 12.0) == [60, 60]
    assert guesses(slower, 2, 71.9) == [1, 1]
    assert guesses(slower, 2, 72.0) == [60]
    faster = under(counted, 10, 60)
    assert guesses(faster, 2, 72.0) == [1, 1]
    assert guesses(faster, 9, 80.0) == [1]


def test_a_smaller_burst_has_nothing_left_and_no_debt() -> None:
    """Whoever had more is told to wait for one attempt, not for all that were taken."""
    counted = Counted(9)
    assert guesses(under(counted, 100, 10), 100, 0.0) == []
    smaller = under(counted, 3, 10)
    assert guesses(smaller, 1, 0.0) == [6]
    assert guesses(smaller, 1, 3.0) == [3]
    assert guesses(smaller, 2, 6.0) == [6]
    larger = under(counted, 5, 10)
    assert guesses(larger, 3, 6.0) == [6]


def test_what_has_come_back_stays_there() -> None:
    """A slower limit takes nothing away; the same limit changes nothing, and what is given back is of its own limit."""
    counted = Counted(9)
    assert guesses(under(counted, 3, 10), 3, 0.0) == []
    assert guesses(under(counted, 3, 0.1), 4, 18.0) == [600]
    for _ in range(9):
        assert guesses(under(counted, 3, 0.1), 1, 18.5) == [600]
    under(counted, 3, 60).give_back("ann", "home")
    assert guesses(under(counted, 3, 0.1), 2, 18.0) == [600]


def test_places_are_known_under_another_limit() -> None:
    """From where a login succeeded is known as before."""
    counted = Counted(9)
    under(counted, 2, 1).know("ann", "home")
    after = under(counted, 1, 1)
    assert after.guess("ann", "elsewhere", 0.0) is None
    assert after.guess("ann", "home", 0.0) is None
