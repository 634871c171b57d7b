"""Logins behind their throttle, with a verifier that says what a test tells it."""

from typing import Any

import pytest

from gateway.stores.ports import Account, Attempt
from gateway.tokens.attempts import Attempts, Together
from gateway.tokens.login import Login
from gateway.tokens.passwords import prepare
from gateway.tokens.sessions import Sessions
from gateway.tokens.throttle import Counted, Limit
from gateway.vocab.events import Event, GuardViolated, LoginDone
from gateway.vocab.messages import Session, Trace
from gateway.vocab.refusals import Code, Refusal

ANN = "ann@x.example"
HERE = "192.0.2.1"
PASSWORD = "x"


class Numbers:
    """What of a store gives numbers: these. It counts no attempts."""

    async def take_numbers(self, count: int) -> int:
        """Give the same ones each time."""
        del count
        return 100

    async def count(self, attempt: Attempt) -> None:
        """Leave that to the process."""


class Told:
    """A verifier that answers as told and keeps what it was asked."""

    def __init__(self, outcome: Account | Refusal) -> None:
        self.outcome = outcome
        self.asked: list[tuple[str, str, str]] = []

    async def verify(self, email: str, typed: str, password: str, address: str, trace: Trace) -> Account | Refusal:
        """Answer as told."""
        del address, trace
        self.asked.append((email, typed, password))
        return self.outcome


class Bench:
    """A login whose clock stands still, and its events."""

    def __init__(self, outcome: Account | Refusal, *, account: int = 2, address: int = 100) -> None:
        self.verifier = Told(outcome)
        self.events: list[Event] = []
        self.time = 0.0
        store: Any = Numbers()
        together = Together(store, lambda: self.time, self.events.append)
        attempts = Attempts("login", Limit(account, 1), Limit(address, 1), Counted(100), together, lambda: self.time)
        self.login = Login(self.verifier, Sessions(store), attempts, self.events.append)

    async def try_(self, email: object = ANN, password: object = PASSWORD, address: str = HERE) -> Session | Refusal:
        """Try to log in."""
        return await self.login.authenticate(email, password, address, Trace())

    async def code(self, email: object = ANN, password: object = PASSWORD, address: str = HERE) -> Code | None:
        """Try to log in and return why not."""
        outcome = await self.try_(email, password, address)
        return outcome.code if isinstance(outcome, Refusal) else None


FAILED = Refusal(Code.LOGIN_FAILED)
ANNS = Account("ann-id", 7, 3, is_blocked=False)


async def test_verifier_gets_the_canonical_and_the_typed_email() -> None:
    """The verifier is given the canonical e-mail, the e-mail as typed, and the password untouched."""
    bench = Bench(ANNS)
    assert await bench.try_(" Ann@X.example", " pass ") == Session("ann-id", 7, 3, 100)
    assert bench.verifier.asked == [(ANN, " Ann@X.example", " pass ")]
    assert bench.events == [LoginDone("granted")]


@pytest.mark.parametrize("email", [None, 7, "", "ann", "a@b@c.d", ["ann@x.example"], "a,b@x.example"])
async def test_what_is_no_email(email: object) -> None:
    """What cannot be an e-mail is named, verifies nothing and counts nothing."""
    bench = Bench(FAILED)
    outcome = await bench.try_(email)
    assert outcome == Refusal(Code.BODY_FIELD_INVALID, "not an e-mail address", source="data.email")
    assert not bench.verifier.asked
    assert not bench.events


@pytest.mark.parametrize("password", [None, 7, "", "x" * 1025, ["x"], True])
async def test_what_is_no_password(password: object) -> None:
    """What cannot be a password is named, verifies nothing and counts nothing."""
    bench = Bench(FAILED)
    outcome = await bench.try_(ANN, password)
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.source) == (Code.BODY_FIELD_INVALID, "data.password")
    assert not bench.verifier.asked


async def test_failures_are_throttled_by_account() -> None:
    """After the burst an account, in any spelling and from anywhere, is refused whatever the password; later not."""
    bench = Bench(FAILED)
    codes = [await bench.code(email, "x", f"192.0.2.{n}") for n, email in enumerate((ANN, "ANN@x.example"))]
    assert codes == [Code.LOGIN_FAILED, Code.LOGIN_FAILED]
    bench.verifier.outcome = ANNS
    assert await bench.try_() == FAILED
    # The same work was done, for a password that nobody has.
    assert len(bench.verifier.asked) == 3
    assert bench.verifier.asked[-1][:2] == (ANN, ANN)
    assert bench.verifier.asked[-1][2] != PASSWORD
    assert bench.events[-1] == LoginDone("throttled")
    bench.verifier.outcome = FAILED
    assert await bench.code("ben@x.example") is Code.LOGIN_FAILED
    bench.time = 60.0
    assert await bench.code() is Code.LOGIN_FAILED


@pytest.mark.parametrize("password", ["plain", "e\u0301", "\u00a0", "\u00e9"])
async def test_throttled_login_tries_as_many_spellings(password: str) -> None:
    """The password that stands for one that is not looked at has one spelling or two, as that one has."""
    bench = Bench(FAILED, account=1)
    assert await bench.code() is Code.LOGIN_FAILED
    assert await bench.try_(password=password) == FAILED
    instead = bench.verifier.asked[-1][2]
    assert instead != password
    assert (prepare(instead) == instead) is (prepare(password) == password)


@pytest.mark.parametrize(
    ("addresses", "is_one"),
    [
        (["192.0.2.1", "192.0.2.1"], True),
        (["192.0.2.1", "::ffff:192.0.2.1"], True),
        (["192.0.2.1", "192.0.2.2"], False),
        (["2001:db8:1:2::1", "2001:db8:1:2:ffff::2"], True),
        (["2001:db8:1:2::1", "2001:db8:1:3::1"], False),
        (["fe80::1%eth0", "fe80::2%eth0"], True),
        (["-", "-"], True),
    ],
)
async def test_one_subscriber_is_one_address(addresses: list[str], *, is_one: bool) -> None:
    """An IPv4 address counts alone; of IPv6 the network that one subscriber is given counts as one."""
    bench = Bench(FAILED, address=1)
    codes = [await bench.code(f"n{number}@x.example", "x", address) for number, address in enumerate(addresses)]
    assert codes[-1] is (Code.THROTTLED if is_one else Code.LOGIN_FAILED)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (ANNS, "granted"),
        (Refusal(Code.OVERLOADED), "overloaded"),
        (Refusal(Code.STORE_UNAVAILABLE), "failed"),
        (Refusal(Code.UPSTREAM_TIMEOUT), "failed"),
        (Refusal(Code.CREDENTIAL_UNAVAILABLE), "failed"),
    ],
)
async def test_what_is_no_failure_is_given_back(outcome: Account | Refusal, told: str) -> None:
    """A success and broken machinery cost nothing; a failure before them stays counted."""
    bench = Bench(FAILED)
    assert await bench.code() is Code.LOGIN_FAILED
    bench.verifier.outcome = outcome
    for tries in range(5):
        answer = await bench.try_()
        assert answer == (outcome if isinstance(outcome, Refusal) else Session("ann-id", 7, 3, 100 + tries))
    assert set(bench.events[1:]) == {LoginDone(told)}
    bench.verifier.outcome = FAILED
    assert await bench.code() is Code.LOGIN_FAILED
    assert await bench.code() is Code.LOGIN_FAILED
    # A success made this address known, so that it has a burst of its own there.
    assert bench.events[-1] == LoginDone("refused" if told == "granted" else "throttled")


async def test_broken_machinery_is_told_to_throttled_accounts_as_well() -> None:
    """What does not depend on the password is answered like to everybody."""
    bench = Bench(FAILED, account=1)
    assert await bench.code() is Code.LOGIN_FAILED
    bench.verifier.outcome = Refusal(Code.OVERLOADED)
    assert await bench.code() is Code.OVERLOADED


async def test_violation_is_told() -> None:
    """A login before an upstream that lies about who somebody is tells of it, as any other request does."""
    bench = Bench(Refusal(Code.UPSTREAM_INVALID, "why", violation=True))
    assert await bench.code() is Code.UPSTREAM_INVALID
    assert bench.events == [LoginDone("failed"), GuardViolated("-", "-", "why")]
