"""What every store in the list must do. Run once for each of them."""

import asyncio
import time
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

from gateway.stores import CredentialStore, Registration, StoreUnavailable, open_store
from gateway.stores.ports import Account, Attempt, LogOut, News, Quota, Reset

ANN = Registration(id="a" * 32, email="ann@shop.test", name="Ann", password_hash="hash-1", started_at=1_700_000_000.25)
AGAIN = replace(ANN, id="b" * 32, password_hash="hash-2", started_at=1_700_000_060.5)
LEASE = 60.0
"""Seconds that no test takes."""
BOB = Registration(id="c" * 32, email="bob@shop.test", name="Bob", password_hash="hash-3", started_at=1.0)

HOUR = 3_600_000_000


async def test_password_is_kept_per_customer(store: CredentialStore) -> None:
    """A password hash comes back for its customer and for no other."""
    await store.set_password("ann", "hash-1")
    assert await store.password_hash("ann") == "hash-1"
    assert await store.password_hash("Ann") is None


async def test_password_replaces_the_one_before(store: CredentialStore) -> None:
    """Setting a password again leaves only the new one."""
    await store.set_password("ann", "hash-1")
    await store.set_password("ann", "hash-2")
    assert await store.password_hash("ann") == "hash-2"


@pytest.mark.parametrize("before", [None, "hash-0"])
async def test_a_password_takes_the_place_of_the_one_that_was_known(store: CredentialStore, before: str | None) -> None:
    """Of that one only, or of none: what was set, or removed, meanwhile is never overwritten, and nobody logged out."""
    if before is not None:
        await store.set_password("ann", before)
    for other in ("hash-1", "hash-9"):
        assert not await store.replace_password("ann", other, "hash-2")
    assert await store.replace_password("ann", before, "hash-1")
    ended = (await store.account("ann")).version
    assert ended > 0
    assert not await store.replace_password("ann", before, "hash-2")
    assert await store.password_hash("ann") == "hash-1"
    await store.forget("ann")
    before_it = await store.account("ann")
    assert before_it.version > ended
    assert not await store.replace_password("ann", "hash-1", "hash-2")
    assert await store.password_hash("ann") is None
    assert await store.account("ann") == before_it


@pytest.mark.parametrize("before", [None, "hash-0"])
async def test_one_of_many_replacements_of_a_password_wins(store: CredentialStore, before: str | None) -> None:
    """Of all who know the same password, at once, a single one sets another."""
    if before is not None:
        await store.set_password("ann", before)
    hashes = [f"hash-{number}" for number in range(1, 20)]
    won = await asyncio.gather(*(store.replace_password("ann", before, one) for one in hashes))
    assert won.count(True) == 1
    assert await store.password_hash("ann") == hashes[won.index(True)]


@pytest.mark.parametrize("before", [None, "hash-0"])
async def test_a_replacement_beside_a_reset(store: CredentialStore, before: str | None) -> None:
    """At the same moment one of them sets the password, and it is told so."""
    for number in range(20):
        customer = f"ann-{number}"
        if before is not None:
            await store.set_password(customer, before)
        await store.keep_reset(customer, f"token-{number}", "ann@shop.test", 100.0)
        is_reset, is_replaced = await asyncio.gather(
            store.spend_reset(f"token-{number}", 1.0, "reset"), store.replace_password(customer, before, "changed")
        )
        assert is_reset is not is_replaced
        assert await store.password_hash(customer) == ("reset" if is_reset else "changed")


async def test_rehash_never_undoes_a_change(store: CredentialStore) -> None:
    """A stronger hash of the old password takes its place only while that password is still the customer's."""
    await store.set_password("ann", "hash-1")
    await store.rehash("ann", "hash-1", "hash-2")
    await store.rehash("ann", "hash-1", "hash-3")
    await store.rehash("bob", "hash-1", "hash-3")
    assert await store.password_hash("ann") == "hash-2"
    assert await store.password_hash("bob") is None


async def test_forgotten_password_is_gone(store: CredentialStore) -> None:
    """Forgetting removes the password of that customer only, and may be repeated."""
    await store.set_password("ann", "hash-1")
    await store.set_password("bob", "hash-2")
    await store.forget("ann")
    await store.forget("ann")
    assert await store.password_hash("ann") is None
    assert await store.password_hash("bob") == "hash-2"


async def test_with_password_names_exactly_those_that_have_one(store: CredentialStore) -> None:
    """Of the customers asked for, those with a password are returned, and nobody else."""
    for customer_id in ("ann", "bob", "cy"):
        await store.set_password(customer_id, "hash")
    assert await store.with_password(["ann", "dan", "bob", "ann"]) == {"ann", "bob"}
    assert await store.with_password([]) == frozenset()


async def test_with_password_has_no_upper_bound(store: CredentialStore) -> None:
    """More customers than one statement can carry are still answered."""
    await store.set_password("customer-0", "hash")
    await store.set_password("customer-69999", "hash")
    asked = [f"customer-{number}" for number in range(70_000)]
    assert await store.with_password(asked) == {"customer-0", "customer-69999"}


@pytest.mark.parametrize("text", ["it's; DROP TABLE credentials --", "ünïcödé-✓", "nul\0inside", "%_*"])
async def test_text_is_data(store: CredentialStore, text: str) -> None:
    """Whatever text an id holds is kept as it is and never read as SQL or as a pattern."""
    await store.set_password(text, text)
    assert await store.password_hash(text) == text
    assert await store.with_password([text, "other"]) == {text}


async def test_registration_comes_back_as_it_was(store: CredentialStore) -> None:
    """A registration that was begun is pending under its e-mail, every field intact."""
    assert await store.begin(ANN)
    assert await store.pending("ann@shop.test") == ANN
    assert await store.pending("bob@shop.test") is None


async def test_one_registration_per_email(store: CredentialStore) -> None:
    """A second registration with the same e-mail is not begun and changes nothing."""
    assert await store.begin(ANN)
    assert not await store.begin(AGAIN)
    assert not await store.begin(ANN)
    assert await store.pending(ANN.email) == ANN


async def test_one_of_many_begins_wins(store: CredentialStore) -> None:
    """Of registrations begun at once with one e-mail exactly one succeeds, and that one is kept."""
    rivals = [replace(ANN, id=f"{number:032x}") for number in range(20)]
    won = await asyncio.gather(*map(store.begin, rivals))
    assert won.count(True) == 1
    assert await store.pending(ANN.email) == rivals[won.index(True)]


async def test_replace_swaps_the_registration(store: CredentialStore) -> None:
    """A registration is replaced by its id, and the old id is then worth nothing."""
    await store.begin(ANN)
    assert await store.replace(ANN.id, AGAIN)
    assert await store.pending(ANN.email) == AGAIN
    assert not await store.replace(ANN.id, ANN)
    assert await store.pending(ANN.email) == AGAIN


async def test_replace_needs_the_old_registration(store: CredentialStore) -> None:
    """Replacing what is not there stores nothing."""
    assert not await store.replace(ANN.id, AGAIN)
    assert await store.pending(ANN.email) is None


async def test_replace_does_not_take_another_registrations_place(store: CredentialStore) -> None:
    """A replacement whose e-mail or id belongs to another registration is not made."""
    await store.begin(ANN)
    await store.begin(BOB)
    assert not await store.replace(ANN.id, replace(AGAIN, email=BOB.email))
    assert not await store.replace(ANN.id, replace(AGAIN, id=BOB.id))
    assert await store.pending(ANN.email) == ANN
    assert await store.pending(BOB.email) == BOB


async def test_one_of_many_replacements_wins(store: CredentialStore) -> None:
    """Of replacements of one registration made at once exactly one succeeds."""
    await store.begin(ANN)
    rivals = [replace(AGAIN, id=f"{number:032x}") for number in range(20)]
    won = await asyncio.gather(*(store.replace(ANN.id, rival) for rival in rivals))
    assert won.count(True) == 1
    assert await store.pending(ANN.email) == rivals[won.index(True)]


async def test_whom_the_upstream_made_is_kept_with_the_registration(store: CredentialStore) -> None:
    """The id comes back with the registration and is the e-mail's; it can be taken back, and needs the registration."""
    await store.begin(ANN)
    await store.made(ANN.id, "customer-1")
    assert await store.pending(ANN.email) == replace(ANN, customer_id="customer-1")
    assert await store.known(ANN.email) == "customer-1"
    await store.made(ANN.id, None)
    assert await store.pending(ANN.email) == ANN
    assert await store.known(ANN.email) is None
    await store.made(BOB.id, "customer-2")
    assert await store.known(BOB.email) is None
    await store.made(ANN.id, "customer-1")
    await store.replace(ANN.id, AGAIN)
    assert await store.pending(ANN.email) == AGAIN


async def test_claim_is_one_owners(store: CredentialStore) -> None:
    """An e-mail in hand is not given to anybody else until it is let go; another e-mail is free."""
    assert await store.claim(ANN.email, "first", LEASE)
    assert not await store.claim(ANN.email, "second", LEASE)
    assert await store.claim(BOB.email, "second", LEASE)
    await store.release(ANN.email, "second")
    assert not await store.claim(ANN.email, "second", LEASE)
    await store.release(ANN.email, "first")
    assert await store.claim(ANN.email, "second", LEASE)


async def test_one_of_many_claims_wins(store: CredentialStore) -> None:
    """Of claims for one e-mail made at once exactly one is granted."""
    won = await asyncio.gather(*(store.claim(ANN.email, f"owner-{n}", LEASE) for n in range(20)))
    assert won.count(True) == 1


async def test_claim_ends_with_its_lease_unless_renewed(store: CredentialStore) -> None:
    """Whoever does not renew it loses it, as after a crash, and can neither renew it nor let it go any more."""
    assert await store.claim(ANN.email, "first", 0)
    await store.renew(ANN.email, "first", LEASE)
    assert not await store.claim(ANN.email, "second", LEASE)
    await store.renew(ANN.email, "first", 0)
    assert await store.claim(ANN.email, "second", LEASE)
    await store.renew(ANN.email, "first", 0)
    await store.release(ANN.email, "first")
    assert not await store.claim(ANN.email, "third", LEASE)


async def test_claim_by_a_clock_that_was_ahead_holds_nobody_up(store: CredentialStore) -> None:
    """One that lasts longer than any that is made now was made before the store's clock was set back."""
    assert await store.claim(ANN.email, "first", 3 * LEASE)
    assert await store.claim(ANN.email, "second", LEASE)


async def test_email_is_remembered_with_its_customer(store: CredentialStore) -> None:
    """Whom the upstream showed last is known, also while the e-mail is in hand and after; forgetting forgets it."""
    assert await store.known(ANN.email) is None
    await store.claim(ANN.email, "first", LEASE)
    assert await store.known(ANN.email) is None
    await store.remember(ANN.email, "customer-1")
    assert await store.known(ANN.email) == "customer-1"
    assert not await store.claim(ANN.email, "second", LEASE)
    await store.release(ANN.email, "first")
    assert await store.known(ANN.email) == "customer-1"
    await store.remember(ANN.email, "customer-2")
    await store.remember(BOB.email, "customer-3")
    await store.forget("customer-2")
    assert await store.known(ANN.email) is None
    assert await store.known(BOB.email) == "customer-3"


async def test_forgetting_a_customer_leaves_the_claim(store: CredentialStore) -> None:
    """Who has an e-mail in hand keeps it when the customer goes whose it was."""
    await store.remember(ANN.email, "customer-1")
    await store.claim(ANN.email, "first", LEASE)
    await store.forget("customer-1")
    assert await store.known(ANN.email) is None
    assert not await store.claim(ANN.email, "second", LEASE)


async def test_what_is_known_of_an_email_comes_at_once(store: CredentialStore) -> None:
    """The registration under way and whom the upstream showed last, each of which may be missing."""
    assert await store.standing(ANN.email) == (None, None)
    await store.begin(ANN)
    assert await store.standing(ANN.email) == (ANN, None)
    await store.begin(BOB)
    await store.made(BOB.id, "customer-1")
    assert await store.standing(BOB.email) == (replace(BOB, customer_id="customer-1"), "customer-1")
    await store.abandon(BOB.id)
    assert await store.standing(BOB.email) == (None, "customer-1")


async def test_settle_turns_the_registration_into_a_password(store: CredentialStore) -> None:
    """Settling removes the registration and gives the customer its password."""
    await store.begin(ANN)
    await store.begin(BOB)
    assert await store.settle(ANN.id, "customer-1", "hash-1")
    assert await store.pending(ANN.email) is None
    assert await store.password_hash("customer-1") == "hash-1"
    assert await store.pending(BOB.email) == BOB


async def test_settle_keeps_the_password_a_customer_has(store: CredentialStore) -> None:
    """Settling never replaces a password: only the registration is removed then, and the answer says so."""
    await store.set_password("customer-1", "hash-0")
    await store.begin(ANN)
    assert not await store.settle(ANN.id, "customer-1", "hash-1")
    assert await store.password_hash("customer-1") == "hash-0"
    assert await store.pending(ANN.email) is None


async def test_settle_may_be_repeated(store: CredentialStore) -> None:
    """Settling once more, after an answer that was lost, says again that the password is this one."""
    await store.begin(ANN)
    assert await store.settle(ANN.id, "customer-1", "hash-1")
    assert await store.settle(ANN.id, "customer-1", "hash-1")


async def test_settle_does_not_remove_a_later_registration(store: CredentialStore) -> None:
    """The id decides what is removed: a replaced registration that settles late leaves its successor alone."""
    await store.begin(ANN)
    await store.replace(ANN.id, AGAIN)
    assert await store.settle(ANN.id, "customer-1", "hash-1")
    assert await store.pending(ANN.email) == AGAIN


async def test_one_of_many_settlements_wins(store: CredentialStore) -> None:
    """Of settlements for one customer made at once exactly one password is kept, the one that was told so."""
    hashes = [f"hash-{number}" for number in range(20)]
    won = await asyncio.gather(*(store.settle(text, "customer-1", text) for text in hashes))
    assert won.count(True) == 1
    assert await store.password_hash("customer-1") == hashes[won.index(True)]


async def test_purge_takes_the_old_registrations_only(store: CredentialStore) -> None:
    """What started before a time is removed, what started at it or later stays."""
    assert await store.begin(ANN)
    await store.purge(ANN.started_at)
    assert await store.pending(ANN.email) == ANN
    await store.purge(ANN.started_at + 1)
    assert await store.pending(ANN.email) is None


async def test_abandoned_registration_is_gone(store: CredentialStore) -> None:
    """Abandoning removes that registration only, frees its e-mail, and may be repeated."""
    await store.begin(ANN)
    await store.begin(BOB)
    await store.abandon(ANN.id)
    await store.abandon(ANN.id)
    assert await store.pending(ANN.email) is None
    assert await store.pending(BOB.email) == BOB
    assert await store.begin(AGAIN)


async def test_numbers_are_given_once(store: CredentialStore) -> None:
    """Of many who take numbers at once nobody gets another's, and they are of the time: none comes back."""
    before = time.time_ns() // 1000
    firsts = sorted(await asyncio.gather(*(store.take_numbers(100) for _ in range(20))))
    assert all(second - first >= 100 for first, second in pairwise(firsts))
    assert firsts[0] > before - 60_000_000
    assert await store.latest() >= firsts[-1] + 99
    assert await store.version_before(0) > firsts[0] > await store.version_before(100)


async def test_a_customer_has_one_number(store: CredentialStore) -> None:
    """It is the first that was given, to whomever logs in or out; before that there is none."""
    assert await store.account("ann") == Account("ann", None, 0, is_blocked=False)
    assert await store.enrol("ann", 7) == 7
    assert await store.enrol("ann", 8) == 7
    assert await store.account("ann") == Account("ann", 7, 0, is_blocked=False)
    await store.log_out("ann")
    await store.log_out("bob")
    ann, bob = await store.account("ann"), await store.account("bob")
    assert ann.number == 7
    assert bob.number is not None
    assert bob.number not in {7, 0}
    assert bob.version > ann.version > 7


async def test_a_login_learns_all_at_once(store: CredentialStore) -> None:
    """The password and the account come together, whichever of them there is."""
    assert await store.credential("ann") == (None, await store.account("ann"))
    await store.enrol("ann", 7)
    await store.set_password("bob", "hash-1")
    assert await store.credential("ann") == (None, Account("ann", 7, 0, is_blocked=False))
    assert await store.credential("bob") == ("hash-1", await store.account("bob"))


async def test_a_new_password_and_a_removal_log_out(store: CredentialStore) -> None:
    """They end all sessions with the same step; a stronger hash of the same password ends none."""
    seen = 0
    for change in (store.set_password("ann", "hash-1"), store.set_password("ann", "hash-2"), store.forget("ann")):
        await change
        (told,) = (await store.news(seen, 10)).log_outs
        account = await store.account("ann")
        assert told == LogOut(account.number or 0, account.version, "ann")
        assert account.version > seen
        seen = account.version
    await store.set_password("bob", "hash-1")
    before = await store.account("bob")
    await store.rehash("bob", "hash-1", "hash-2")
    assert await store.account("bob") == before


async def test_a_blocked_customer_stays_so(store: CredentialStore) -> None:
    """A block ends all sessions and lasts until it is taken back, which ends none and brings none back."""
    await store.unblock("ann")
    await store.block("ann")
    blocked = await store.account("ann")
    assert blocked.is_blocked
    assert (await store.news(0, 10)).log_outs == [LogOut(blocked.number or 0, blocked.version, "ann")]
    await store.set_password("ann", "hash-1")
    assert (await store.account("ann")).is_blocked
    before = await store.account("ann")
    await store.unblock("ann")
    assert await store.account("ann") == replace(before, is_blocked=False)


async def test_everybodys_log_out_is_everybodys_version(store: CredentialStore) -> None:
    """Also theirs who were never seen; a later log-out of one is greater."""
    await store.log_out("ann")
    assert await store.everybody() == 0
    await store.log_out_everybody()
    version = await store.everybody()
    assert version > (await store.news(0, 10)).log_outs[0].version
    assert {(await store.account(name)).version for name in ("ann", "bob")} == {version}
    await store.log_out("ann")
    assert (await store.account("ann")).version > version
    assert (await store.account("bob")).version == version


async def test_news_come_in_order_and_once(store: CredentialStore) -> None:
    """Whoever asks for what is later than the last that was seen misses none; of one number the last is told."""
    assert await store.news(0, 10) == News(0, [])
    await store.log_out_session(77)
    await store.log_out("ann")
    await store.log_out_everybody()
    first = await store.news(0, 2)
    assert [one.number for one in first.log_outs[:1]] == [77]
    assert len(first.log_outs) == 2
    second = await store.news(first.log_outs[-1].version, 2)
    assert [(one.number, one.customer_id) for one in second.log_outs] == [(0, None)]
    assert second.latest == second.log_outs[0].version
    assert await store.news(second.latest, 2) == News(second.latest, [])
    await store.log_out_session(77)
    (again,) = (await store.news(second.latest, 2)).log_outs
    assert (again.number, again.version > second.latest) == (77, True)
    assert len((await store.news(0, 10)).log_outs) == 3


async def test_nobody_who_has_seen_one_has_missed_another(store: CredentialStore) -> None:
    """Of many log-outs at once each is on the disk before a later one can be seen."""
    going = [asyncio.ensure_future(store.log_out_session(number)) for number in range(1, 41)]
    seen: list[int] = []
    while len(seen) < len(going):
        found = (await store.news(seen[-1] if seen else 0, 100)).log_outs
        seen += [one.version for one in found]
    await asyncio.gather(*going)
    assert seen == sorted({one.version for one in (await store.news(0, 100)).log_outs})


async def test_log_outs_are_read_by_number(store: CredentialStore) -> None:
    """Page by page, only those young enough, without that of everybody; and whose they are."""
    for number in (30, 10, 20):
        await store.log_out_session(number)
    await store.log_out_everybody()
    await store.log_out("ann")
    ann = await store.account("ann")
    assert ann.number is not None
    everything = [number for number, _ in await store.log_outs(0, 0, 10)]
    assert everything == [10, 20, 30, ann.number]
    assert [number for number, _ in await store.log_outs(0, 10, 2)] == [20, 30]
    assert await store.log_outs(ann.version, 0, 10) == [(ann.number, ann.version)]
    assert (await store.names(0, 10), await store.names(ann.version + 1, 10)) == (["ann"], [])


async def test_old_log_outs_leave(store: CredentialStore) -> None:
    """What is older goes; the versions of customers stay, and so does the log-out of everybody."""
    await store.log_out_everybody()
    await store.log_out_session(10)
    await store.log_out("ann")
    ann = await store.account("ann")
    await store.drop_log_outs(ann.version)
    assert await store.log_outs(0, 0, 10) == [(ann.number, ann.version)]
    await store.drop_log_outs(ann.version + 1)
    assert await store.log_outs(0, 0, 10) == []
    assert await store.account("ann") == ann
    assert await store.everybody() > 0


async def test_writes_that_log_out_never_wait_for_each_other(store: CredentialStore) -> None:
    """Whatever is written of the same customers at once, all of it is done."""
    # A call has two seconds, also one that waits behind many others on a machine that has other work.
    for number in range(10):
        await asyncio.gather(
            *(
                write
                for who in ("ann", "bob")
                for write in (
                    store.set_password(who, f"hash-{number}"),
                    store.replace_password(who, None, "hash"),
                    store.forget(who),
                    store.log_out(who),
                    store.block(who),
                    store.settle(ANN.id, who, "hash"),
                    store.enrol(who, number + 1),
                )
            )
        )
    assert len((await store.news(0, 100)).log_outs) == 2


async def test_everything_outlives_the_store_object(url: str) -> None:
    """What was written is there for the next store on the same database."""
    for step in ("write", "read"):
        store = open_store(url)
        await store.open()
        if step == "write":
            await store.set_password("ann", "hash-1")
            await store.begin(BOB)
        else:
            assert await store.password_hash("ann") == "hash-1"
            assert await store.pending(BOB.email) == BOB
        await store.close()


async def test_healthy_store_answers_a_ping(store: CredentialStore) -> None:
    """A ping on a healthy store returns, and leaves no lock behind."""
    await store.ping()
    await store.ping()
    await store.set_password("ann", "hash-1")


async def test_cancelled_calls_leave_the_store_usable(store: CredentialStore) -> None:
    """Requests given up at any moment neither hold a lock nor lose what was acknowledged."""
    await store.set_password("ann", "hash-1")
    for turns in range(40):
        task = asyncio.ensure_future(store.settle(ANN.id, f"customer-{turns}", "hash"))
        for _ in range(turns):
            # Lets the call get one step further, so that each round gives up at another place.
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await store.set_password("bob", "hash-2")
    assert await store.with_password(["ann", "bob"]) == {"ann", "bob"}


async def test_closed_store_is_unavailable(url: str) -> None:
    """Before it is opened and after it is closed a store refuses every use; closing twice is harmless."""
    store = open_store(url)
    with pytest.raises(StoreUnavailable):
        await store.ping()
    await store.open()
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.set_password("ann", "hash-1")
    with pytest.raises(StoreUnavailable):
        await store.password_hash("ann")


def test_hash_is_not_printed() -> None:
    """The text form of a registration does not show its password hash."""
    assert "hash-1" not in repr(ANN)


async def test_one_reset_for_each_customer(store: CredentialStore) -> None:
    """The last one that was asked for is kept, with the address, until its time; of others nothing is known."""
    await store.keep_reset("ann", "token-1", "ann@shop.test", 100.0)
    await store.keep_reset("ann", "token-2", "Ann@shop.test", 200.0)
    await store.keep_reset("bob", "token-3", "bob@shop.test", 300.0)
    assert await store.reset("token-1", 50.0) is None
    assert await store.reset("token-2", 199.9) == Reset("ann", "Ann@shop.test")
    assert await store.reset("token-2", 200.0) is None
    assert await store.reset("token-3", 200.0) == Reset("bob", "bob@shop.test")
    assert not await store.spend_reset("token-2", 200.0, "hash")
    assert await store.password_hash("ann") is None


@pytest.mark.parametrize("before", [None, "hash-0"])
async def test_a_reset_is_spent_once(store: CredentialStore, before: str | None) -> None:
    """Of several at once one sets the customer's password, whether or not there was one; then it is gone."""
    if before is not None:
        await store.set_password("ann", before)
    await store.keep_reset("ann", "token", "ann@shop.test", 100.0)
    hashes = [f"hash-{number}" for number in range(1, 5)]
    spent = await asyncio.gather(*(store.spend_reset("token", 1.0, one) for one in hashes))
    assert spent.count(True) == 1
    assert await store.password_hash("ann") == hashes[spent.index(True)]
    assert await store.reset("token", 1.0) is None


@pytest.mark.parametrize("before", [None, "hash-0"])
async def test_another_password_makes_a_reset_worthless(store: CredentialStore, before: str | None) -> None:
    """One that was set, or removed, since the reset was asked for is not overwritten."""
    if before is not None:
        await store.set_password("ann", before)
    await store.keep_reset("ann", "token", "ann@shop.test", 100.0)
    await store.set_password("ann", "hash-1")
    assert not await store.spend_reset("token", 1.0, "hash-2")
    assert await store.password_hash("ann") == "hash-1"
    await store.keep_reset("ann", "token", "ann@shop.test", 100.0)
    await store.forget("ann")
    assert not await store.spend_reset("token", 1.0, "hash-2")
    assert await store.password_hash("ann") is None


async def test_a_log_out_everywhere_makes_a_reset_worthless(store: CredentialStore) -> None:
    """Of the customer, or of all; that of one session does not, nor a stronger hash of the same password."""
    await store.set_password("ann", "hash-1")
    for log_out in (partial(store.log_out, "ann"), store.log_out_everybody, partial(store.block, "ann")):
        await store.keep_reset("ann", "token", "ann@shop.test", 100.0)
        await log_out()
        assert not await store.spend_reset("token", 1.0, "hash-2")
    await store.keep_reset("ann", "token", "ann@shop.test", 100.0)
    await store.log_out_session(7)
    await store.rehash("ann", "hash-1", "hash-3")
    assert await store.spend_reset("token", 1.0, "hash-2")


async def test_a_reset_ends_all_sessions(store: CredentialStore) -> None:
    """With the same step; one that is spent in vain ends none."""
    await store.keep_reset("ann", "token", "ann@shop.test", 100.0)
    assert not await store.spend_reset("other", 1.0, "hash")
    before = await store.account("ann")
    assert await store.spend_reset("token", 1.0, "hash")
    (told,) = (await store.news(0, 10)).log_outs
    after = await store.account("ann")
    assert after.version > before.version
    assert told == LogOut(after.number or 0, after.version, "ann")


@pytest.mark.parametrize("before", [None, "hash-0"])
async def test_a_reset_beside_a_change(store: CredentialStore, before: str | None) -> None:
    """At the same moment as a change either comes first; what the change set is never overwritten by the reset."""
    for number in range(20):
        customer = f"ann-{number}"
        if before is not None:
            await store.set_password(customer, before)
        await store.keep_reset(customer, f"token-{number}", "ann@shop.test", 100.0)
        await asyncio.gather(
            store.spend_reset(f"token-{number}", 1.0, "reset"), store.set_password(customer, "changed")
        )
        assert await store.password_hash(customer) == "changed"


async def test_old_resets_are_purged(store: CredentialStore) -> None:
    """Those that ended before a time, and no others."""
    await store.keep_reset("ann", "token-1", "ann@shop.test", 100.0)
    await store.keep_reset("bob", "token-2", "bob@shop.test", 200.0)
    await store.purge(150.0)
    assert await store.reset("token-1", 1.0) is None
    assert await store.reset("token-2", 1.0) is not None


async def test_attempts_are_counted_or_not_at_all(store: CredentialStore) -> None:
    """A kind of store that counts says no in the end; one that does not says nothing of any, and takes all calls."""
    tried = Attempt(Quota(b"", HOUR, 2 * HOUR), Quota(b"k" * 32, HOUR, 2 * HOUR), b"p" * 32)
    counts = [await store.count(tried) for _ in range(3)]
    await store.give_back(tried, is_right=True)
    await store.sweep()
    assert counts == [None] * 3 or [count and count.by_account > 0 for count in counts] == [False, False, True]
