"""Sessions: each has a number of its own, and the version of the account that the login was looked at with."""

import asyncio

from gateway.stores import CredentialStore
from gateway.stores.ports import Account
from gateway.tokens.sessions import Sessions
from tests.tokens.accounts import statements


async def test_each_session_has_a_number_of_its_own(store: CredentialStore) -> None:
    """Also over two processes, and however many begin at once; a customer's number stays the same."""
    makers = [Sessions(store), Sessions(store)]
    account = Account("ann", None, 5, is_blocked=False)
    sessions = await asyncio.gather(*(maker.open(account) for maker in makers for _ in range(20)))
    assert len({session.id for session in sessions}) == 40
    assert {(session.customer_id, session.number, session.version) for session in sessions} == {
        ("ann", (await store.account("ann")).number, 5)
    }


async def test_a_version_is_that_of_the_login(store: CredentialStore) -> None:
    """A log-out between the look at the password and the session ends it, also that of a customer without a number."""
    before = await store.account("ann")
    await store.log_out("ann")
    session = await Sessions(store).open(before)
    now = await store.account("ann")
    assert session.number == now.number
    assert session.version < now.version


async def test_no_login_waits_for_numbers(store: CredentialStore) -> None:
    """Where they were taken before, opening a session asks the store nothing."""
    sessions = Sessions(store)
    await sessions.prepare()
    with statements() as seen:
        await sessions.prepare()
        await sessions.open(Account("ann", 7, 0, is_blocked=False))
    assert seen == []
