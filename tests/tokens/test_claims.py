"""An e-mail in one request's hand, over processes that share a store: here two claims of one store each."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.stores import CredentialStore
from gateway.tokens.claims import LEASE, Claims
from gateway.vocab.refusals import Code, Refusal
from tests.tokens.accounts import statements

ANN = "ann@x.example"


@pytest.fixture
def process(store: CredentialStore) -> Callable[[], Claims]:
    """Give what makes the claims of a process."""
    return lambda: Claims(store)


def is_pending(outcome: Refusal | None) -> bool:
    """Tell whether a claim was not granted."""
    return outcome is not None and (outcome.code, outcome.retry_after) == (Code.REGISTRATION_PENDING, 1)


async def test_another_process_waits_for_the_first(process: Callable[[], Claims], store: CredentialStore) -> None:
    """It has the e-mail as soon as the first lets go of it."""
    here, there = process(), process()
    order: list[str] = []

    async def second() -> None:
        async with there.alone(ANN) as busy:
            order.append("second" if busy is None else "refused")

    async with here.alone(ANN) as busy:
        assert busy is None
        with statements() as queries:
            waiting = asyncio.ensure_future(second())
            # Each asks the store, so that it is refused once at least before the first lets go.
            while not [query for query in queries if "INSERT INTO emails" in query]:
                await store.ping()
        async with there.alone("ben@x.example") as other:
            assert other is None
        order.append("first")
    await waiting
    assert order == ["first", "second"]


async def test_a_claim_lives_as_long_as_its_process(process: Callable[[], Claims]) -> None:
    """A request that takes longer than a claim is good for keeps the e-mail; another process is told after a while."""
    here, there = process(), process()
    async with here.alone(ANN) as first:
        assert first is None
        async with there.alone(ANN) as second:
            assert is_pending(second)
        async with there.alone(ANN) as third:
            assert is_pending(third)


async def test_a_claim_of_the_dead_ends(process: Callable[[], Claims], store: CredentialStore) -> None:
    """What a process left behind that was killed is waited for, and then the e-mail is free."""
    assert await store.claim(ANN, "dead", LEASE)
    async with process().alone(ANN) as busy:
        assert busy is None


async def test_the_same_process_does_not_wait(process: Callable[[], Claims]) -> None:
    """Whoever presses twice is told at once."""
    here = process()
    async with here.alone(ANN), asyncio.timeout(1), here.alone(ANN) as second:
        assert is_pending(second)


async def test_a_store_that_goes_down_meanwhile_spoils_nothing(
    process: Callable[[], Claims], store: CredentialStore
) -> None:
    """The request has its outcome all the same; the claim ends by itself."""
    async with process().alone(ANN) as busy:
        assert busy is None
        await store.close()
    await store.open()
    async with process().alone(ANN) as again:
        assert again is None
