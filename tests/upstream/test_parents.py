"""Look-ups of parents: one call for equal ones, a yes remembered for a moment, a no never."""

import asyncio
from pathlib import Path
from typing import Any

from gateway.demo.data import APRIL, LESLIE, RON, RON_ID, identity
from gateway.upstream.backend import Backend
from gateway.upstream.credential import BearerCredential
from gateway.upstream.grant import Grant
from gateway.upstream.parents import Parents
from gateway.vocab.messages import Parent, Trace
from gateway.vocab.refusals import Refusal
from tests.carrying.connected import pool_of
from tests.fakes.commerce import Commerce, Fault, at
from tests.fakes.shop import issue_bearer
from tests.gateways import Answer, Site
from tests.gateways import site as run_site

OWN = f"/v2/orders/{identity('order', f'{RON.email}:0')}"
FOREIGN = f"/v2/orders/{identity('order', f'{LESLIE.email}:0')}"
UNKNOWN = "/v2/orders/nowhere"
ADDRESS = f"/v2/customers/{RON_ID}/addresses/{identity('address', f'{RON.email}:Home')}"


def look_ups(site: Site, path: str) -> int:
    """Count how often a record was looked up."""
    return sum(request.method == "GET" and request.target == path for request in site.commerce.requests)


async def items(site: Site, email: str, order: str) -> Answer:
    """Ask for the items of an order."""
    return await site.customer(email, "GET", f"{order}/items")


async def test_equal_look_ups_at_the_same_moment_are_one(site: Site) -> None:
    """Whoever asks while the answer is on its way waits for it, and each is judged for itself."""
    gate = asyncio.Event()
    for person in (RON, LESLIE, APRIL):
        await site.token(person.email)
    site.commerce.forget()
    site.commerce.fault(Fault.SLOW_HEAD, when=at(OWN), gate=gate)
    people = [RON, LESLIE, APRIL] * 4
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(items(site, person.email, OWN)) for person in people]
        await site.commerce.wait(lambda: look_ups(site, OWN) == 1)
        gate.set()
    statuses = {person.email: set[int]() for person in people}
    for person, task in zip(people, asked, strict=True):
        statuses[person.email].add(task.result().status)
        assert (RON.canary.encode() in task.result().body) == (person is RON)
    assert statuses == {RON.email: {200}, LESLIE.email: {404}, APRIL.email: {404}}
    # A request that reached the gateway only after the gate opened may have asked again.
    assert look_ups(site, OWN) <= 1 + 2 * 4


async def test_a_yes_is_remembered_for_its_customer_only(site: Site) -> None:
    """The memory is asked with everything that decided; another customer meets the upstream again."""
    for _ in range(3):
        assert (await items(site, RON.email, OWN)).status == 200
    assert look_ups(site, OWN) == 1
    assert (await items(site, LESLIE.email, OWN)).status == 404
    assert look_ups(site, OWN) == 2


async def test_a_no_is_never_remembered(site: Site) -> None:
    """Not yours and not there cost the same, each time anew."""
    for order in (FOREIGN, UNKNOWN):
        for _ in range(3):
            answer = await items(site, RON.email, order)
            assert (answer.status, answer.code) == (404, "RECORD_NOT_FOUND")
        assert look_ups(site, order) == 3


async def test_a_yes_is_remembered_until_its_time_is_over(upstream: Commerce) -> None:
    """At the moment when the time is over a look-up is made again, however often somebody asked meanwhile."""
    times = [100.0]

    async def obtain() -> Grant:
        return Grant(issue_bearer(upstream.shop), 3600.0)

    pool = pool_of(upstream.url, most=1)
    credential = BearerCredential(obtain, lambda _: None, lambda: times[0])
    parents = Parents(Backend(pool, credential, lambda: times[0]), 1.0, lambda: times[0])
    parent = Parent(OWN, OWN.rpartition("/")[2], "/relationships/customer/data/id", RON_ID, guest=False)
    counts = []
    for times[0] in (100.0, 100.5, 100.999, 101.0, 101.5):
        assert not isinstance(await parents.check(parent, Trace()), Refusal)
        counts.append(len(upstream.requests))
    assert counts == [1, 1, 1, 2, 2]
    await parents.close()
    await credential.close()
    await pool.close()


async def test_the_memory_can_be_switched_off(upstream: Commerce, tmp_path: Path) -> None:
    """With `owner_memory: 0s` each request looks for itself."""
    forgetful = "extends: moltin.yaml\nupstream: {owner_memory: 0s}\n"
    async with run_site(upstream, tmp_path, config=forgetful) as site:
        for _ in range(3):
            assert (await items(site, RON.email, OWN)).status == 200
        assert look_ups(site, OWN) == 3


async def test_a_write_by_id_looks_at_the_record_first(site: Site) -> None:
    """An upstream that would answer for somebody else's record is not asked to change it."""
    foreign = identity("address", f"{LESLIE.email}:Home")
    await site.token(RON.email)
    changes: dict[str, dict[str, Any]] = {"PUT": {"json": {"data": {"name": "Hut"}}}, "DELETE": {}}
    for method, options in changes.items():
        site.commerce.forget()
        site.commerce.fault(Fault.OTHER_RECORD, when=at(ADDRESS), record=foreign)
        answer = await site.customer(RON.email, method, ADDRESS, **options)
        assert (answer.status, answer.code) == (404, "RECORD_NOT_FOUND")
        assert [request.method for request in site.commerce.requests] == ["GET"]


async def test_a_client_that_leaves_does_not_take_the_answer_from_others(site: Site) -> None:
    """The flight goes on for whoever waits for it still."""
    gate = asyncio.Event()
    await site.token(RON.email)
    site.commerce.forget()
    site.commerce.fault(Fault.SLOW_HEAD, when=at(OWN), gate=gate)
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(items(site, RON.email, OWN))
        await site.commerce.wait(lambda: look_ups(site, OWN) == 1)
        staying = group.create_task(items(site, RON.email, OWN))
        leaving.cancel()
        await asyncio.wait([leaving])
        gate.set()
    assert staying.result().status == 200


async def test_a_failing_look_up_lets_nothing_pass(site: Site) -> None:
    """What cannot be checked is not done."""
    await site.token(RON.email)
    site.commerce.forget()
    site.commerce.fault(Fault.SERVER_ERROR, when=at(OWN))
    assert (await items(site, RON.email, OWN)).code == "UPSTREAM_FAILED"
    assert [request.target for request in site.commerce.requests] == [OWN]
