"""Attempts at passwords over replicas: one limit while PostgreSQL counts, each process' own while it cannot."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.data import DEMO_PASSWORDS, LESLIE, RON
from gateway.stores.ports import Attempt, Count, StoreUnavailable
from gateway.tokens.attempts import Attempts, Reserved, Together
from gateway.tokens.throttle import Counted, Limit, Wait
from gateway.vocab.events import CountedAlone, Event, Lifecycle
from tests.fakes.commerce import Commerce
from tests.gateways import Site
from tests.gateways import site as run_site
from tests.postgres import Server, ask, new_database
from tests.tokens.accounts import ANN, PASSWORD, plant, register

BURST = 4
CONFIG = f"""\
extends: moltin.yaml
customers:
  throttle:
    account: {{burst: {BURST}, per_minute: 0.001}}
    address: {{burst: 50, per_minute: 0.001}}
"""
ITSELF = "each process for itself"
ALONE = "gateway_attempts_counted_alone_total"


TWO, FIVE = Limit(2, 1), Limit(5, 1)


class Counting:
    """A store that counts as it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.says: Count | StoreUnavailable | None = None
        self.counted: list[Attempt] = []
        self.given_back: list[tuple[Attempt, bool]] = []
        self.sweeps = 0

    async def count(self, attempt: Attempt) -> Count | None:
        """Say what was told."""
        self.counted.append(attempt)
        if isinstance(self.says, StoreUnavailable):
            raise self.says
        return self.says

    async def give_back(self, attempt: Attempt, *, is_right: bool) -> None:
        """Keep it."""
        self.given_back.append((attempt, is_right))
        if isinstance(self.says, StoreUnavailable):
            raise self.says

    async def sweep(self, most: int = 0) -> None:
        """Fail each second time."""
        del most
        self.sweeps += 1
        if self.sweeps % 2:
            raise StoreUnavailable("down")


class Bench:
    """Attempts over such a store, with a clock that stands still."""

    def __init__(self, account: Limit = TWO, address: Limit = FIVE) -> None:
        self.store, self.events, self.time = Counting(), list[Event](), 0.0
        store: Any = self.store
        self.together = Together(store, lambda: self.time, self.events.append)
        self.attempts = self.of("login", account, address)

    def of(self, kind: str, account: Limit = TWO, address: Limit = FIVE) -> Attempts:
        """Return attempts of another kind."""
        return Attempts(kind, account, address, Counted(100), self.together, lambda: self.time)

    async def try_(self, account: str = "ann", address: str = "192.0.2.1") -> Reserved | Wait:
        """Try."""
        return await self.attempts.reserve(account, address)


PASSED = Count(0, 0, is_known=False)


async def test_both_must_let_an_attempt_pass() -> None:
    """What the store refuses is refused; what it lets pass is held to this process' own limit as well."""
    bench = Bench()
    bench.store.says = Count(0, 1_500_000, is_known=False)
    assert await bench.try_() == Wait(2, by_account=True)
    bench.store.says = Count(500_000, 7, is_known=False)
    assert await bench.try_() == Wait(1, by_account=False)
    bench.store.says = PASSED
    passed = [isinstance(await bench.try_(), Reserved) for _ in range(3)]
    assert passed == [True, True, False]
    assert bench.events == []


async def test_an_address_without_attempts_here_is_told_without_asking() -> None:
    """It is the store's work that is spared; whether an account has attempts left spares none, or time would tell."""
    bench = Bench(address=Limit(3, 1))
    bench.store.says = PASSED
    outcomes = [await bench.try_() for _ in range(4)]
    assert outcomes[2:] == [Wait(60, by_account=True), Wait(60, by_account=False)]
    assert len(bench.store.counted) == 3


async def test_ipv6_client_is_its_network() -> None:
    """All addresses of one IPv6 /64 share a bucket, and an IPv4-mapped address is the IPv4 address."""
    bench = Bench(account=Limit(9, 1), address=Limit(1, 1))
    first = await bench.try_("a", "2001:db8::1")
    assert isinstance(first, Reserved)
    assert isinstance(await bench.try_("b", "2001:db8::ffff"), Wait)
    assert isinstance(await bench.try_("b", "2001:db8:0:1::1"), Reserved)
    assert isinstance(await bench.try_("c", "192.0.2.1"), Reserved)
    assert isinstance(await bench.try_("d", "::ffff:192.0.2.1"), Wait)
    await bench.attempts.give_back(first)
    assert isinstance(await bench.try_("d", "2001:db8::8"), Reserved)


async def test_this_process_goes_on_alone_and_tells_of_it() -> None:
    """By limits that are warm; a store that fails is asked once a second, and what it says again counts again."""
    bench = Bench()
    bench.store.says = PASSED
    assert isinstance(await bench.try_(), Reserved)
    bench.store.says = StoreUnavailable("PostgreSQL: no answer within 0.5 s")
    assert isinstance(await bench.try_(), Reserved)
    assert await bench.try_() == Wait(60, by_account=True)
    assert len(bench.store.counted) == 2
    bench.time = 1.0
    assert await bench.try_() == Wait(59, by_account=True)
    assert len(bench.store.counted) == 3
    told = Lifecycle("attempts at passwords are counted each process for itself", "PostgreSQL: no answer within 0.5 s")
    assert bench.events == [told, CountedAlone(), CountedAlone(), CountedAlone()]
    bench.store.says = PASSED
    bench.time = 2.0
    await bench.try_("bob")
    assert bench.events[4:] == [Lifecycle("attempts at passwords are counted together again")]


async def test_what_the_store_counted_is_given_back_there() -> None:
    """And nothing else; a place that it knows has its own count there and here, and is known by a right password."""
    bench = Bench()
    bench.store.says = PASSED
    reserved = await bench.try_()
    assert isinstance(reserved, Reserved)
    (counted,) = bench.store.counted
    await bench.attempts.give_back(reserved, is_right=True)
    assert bench.store.given_back == [(counted, True)]
    bench.store.says = Count(0, 0, is_known=True)
    reserved = await bench.try_("bob", "192.0.2.2")
    assert isinstance(reserved, Reserved)
    await bench.attempts.give_back(reserved)
    apart = bench.store.counted[1]
    assert bench.store.given_back[1] == (apart._replace(account=apart.account._replace(key=apart.place)), False)
    bench.store.says = PASSED
    assert [isinstance(await bench.try_("bob", "192.0.2.3"), Reserved) for _ in range(3)] == [True, True, False]
    assert isinstance(await bench.try_("bob", "192.0.2.2"), Reserved)
    bench.store.says = StoreUnavailable("down")
    alone = await bench.try_("cy")
    assert isinstance(alone, Reserved)
    await bench.attempts.give_back(alone, is_right=True)
    assert len(bench.store.given_back) == 2


async def test_an_attempt_that_cannot_be_given_back_is_given_back_here() -> None:
    """A store that fails after it has counted does not fail the login."""
    bench = Bench()
    bench.store.says = PASSED
    reserved = await bench.try_()
    assert isinstance(reserved, Reserved)
    bench.store.says = StoreUnavailable("down")
    await bench.attempts.give_back(reserved)
    assert [isinstance(await bench.try_(), Reserved) for _ in range(3)] == [True, True, False]


async def test_keys_tell_nothing_and_share_nothing() -> None:
    """They are digests; kinds, accounts, addresses and places have none in common, and one subscriber has one."""
    bench = Bench()
    other = bench.of("registered")
    await bench.try_("ann", "2001:db8::1")
    await bench.try_("ann", "2001:db8::2")
    await other.reserve("ann", "2001:db8::1")
    await other.reserve("ann", "ann", by_address=False)
    first, same, apart, unaddressed = bench.store.counted
    assert first == same
    assert unaddressed.address.key == b""
    keys = [key for one in (first, apart) for key in (one.address.key, one.account.key, one.place)]
    assert len({*keys, unaddressed.place}) == 7
    assert {len(key) for key in keys} == {32}
    assert apart.account == unaddressed.account
    assert b"ann" not in b"".join(keys)


@pytest.mark.parametrize(
    ("limit", "at_once", "interval"),
    [(Limit(10, 10), 10, 6_000_000), (Limit(1, 1e9), 1, 1), (Limit(10**6, 1e-200), 10**6, 3_155_760_000)],
)
async def test_limits_are_whole_microseconds(limit: Limit, at_once: int, interval: int) -> None:
    """Never none, and never so many that a time would not fit into the store's numbers."""
    bench = Bench(account=limit)
    await bench.try_()
    (counted,) = bench.store.counted
    assert (counted.account.interval, counted.account.capacity) == (interval, interval * at_once)
    assert counted.account.capacity < 2**62


async def test_the_table_is_swept_again_and_again() -> None:
    """Also after a sweep that failed."""
    bench = Bench()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        sweeping = group.create_task(bench.together.run(0.001))
        while bench.store.sweeps < 4:  # noqa: ASYNC110 - it is the sweeper that is waited for
            await asyncio.sleep(0.001)
        sweeping.cancel()


@pytest.fixture
async def sites(server: Server, upstream: Commerce, tmp_path: Path) -> AsyncIterator[list[Site]]:
    """Two gateways on one database, which knows the demo customers' passwords."""
    url = await new_database(server)
    async with AsyncExitStack() as stack:
        replicas = [
            await stack.enter_async_context(run_site(upstream, tmp_path, config=CONFIG, GATEWAY_STORE_URL=url))
            for _ in range(2)
        ]
        yield replicas


async def looked_at(sites: list[Site], email: str, attempts: int) -> int:
    """Try a wrong password in turns, and return for how many of them the answer was not known before."""
    before = await throttled(sites)
    for number in range(attempts):
        answer = await sites[number % len(sites)].login(email, "canary-wrong")
        assert answer.code in {"LOGIN_FAILED", "STORE_UNAVAILABLE"}
    return attempts - (await throttled(sites) - before)


async def throttled(sites: list[Site]) -> int:
    """Return how many logins were throttled, of an account or of an address."""
    return sum([await counted(site, 'gateway_logins_total{outcome="throttled"}') for site in sites])


async def counted(site: Site, sample: str) -> int:
    """Return a number that the metrics show; 0 where they show none."""
    found = [line.rpartition(" ")[2] for line in (await site.metrics()).splitlines() if line.startswith(f"{sample} ")]
    return int(float(found[0])) if found else 0


async def test_two_gateways_have_one_limit(sites: list[Site], server: Server) -> None:
    """Per account and per address; a login costs nothing, and where it came from is known to both."""
    one, other = sites
    assert await looked_at(sites, LESLIE.email, 3 * BURST) == BURST
    assert (await other.login(LESLIE.email, DEMO_PASSWORDS[LESLIE.email])).code == "LOGIN_FAILED"
    for site in (one, other) * BURST:
        assert (await site.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201
    assert await looked_at(sites, RON.email, 2) == 2
    codes = [(await sites[n % 2].login(f"{n}@x.example", "x")).code for n in range(50)]
    # 13 failures before, of one address.
    assert codes.count("LOGIN_FAILED") == 50 - 3 * BURST - 1 - 2
    assert {*codes} == {"LOGIN_FAILED", "THROTTLED"}
    url = one.config.store.url
    assert url.startswith(server.url("store_"))
    rows = await ask(url, "SELECT a::text FROM login_attempts a UNION ALL SELECT p::text FROM login_places p")
    shown = "\n".join(row for (row,) in rows)
    assert len(rows) > 30
    for text in (LESLIE.email, RON.email, "x.example", "127.0.0.1"):
        assert text not in shown
        assert text.encode().hex() not in shown
    assert await counted(one, ALONE) == await counted(other, ALONE) == 0


async def test_guesses_at_a_registrations_password_are_one_limit(sites: list[Site]) -> None:
    """The password of one that broke off is guessed at as that of a login is; at any gateway."""
    await plant(sites[0])
    found = [await register(sites[number % 2], ANN, "canary-guess") for number in range(2 * BURST)]
    assert [answer.code for answer in found] == ["REGISTRATION_PENDING"] * BURST + ["THROTTLED"] * BURST
    assert (await register(sites[0], ANN, PASSWORD)).code == "THROTTLED"


@asynccontextmanager
async def slow(url: str) -> AsyncIterator[None]:
    """Hold the table, as a migration or a backup might: every count waits, and nothing else does."""
    import asyncpg  # noqa: PLC0415 - as in tests/postgres.py

    holder = await asyncpg.connect(url)
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE login_attempts")
            yield
    finally:
        await holder.close()


@asynccontextmanager
async def refused(url: str) -> AsyncIterator[None]:
    """Have every count refused."""
    await ask(url, "ALTER TABLE login_attempts ADD CONSTRAINT none CHECK (until < 0) NOT VALID")
    yield
    await ask(url, "ALTER TABLE login_attempts DROP CONSTRAINT none")


@pytest.mark.parametrize("harm", [slow, refused])
async def test_a_count_that_fails_leaves_each_its_own_limit(
    sites: list[Site], harm: Callable[[str], AbstractAsyncContextManager[None]]
) -> None:
    """Never none, and what was counted before counts on; the log and the metrics tell, and nobody's login fails."""
    one, other = sites
    assert await looked_at([one], LESLIE.email, 1) == 1
    async with harm(one.config.store.url):
        assert await looked_at([one], LESLIE.email, 2 * BURST) == BURST - 1
        assert await looked_at([other], LESLIE.email, 2 * BURST) == BURST
        assert (await other.login(LESLIE.email, DEMO_PASSWORDS[LESLIE.email])).code == "LOGIN_FAILED"
        assert (await other.login(RON.email, DEMO_PASSWORDS[RON.email])).status == 201
    assert [await counted(site, ALONE) for site in sites] == [2 * BURST, 2 * BURST + 2]
    await together(sites)
    assert states(other) == [f"attempts at passwords are counted {who}" for who in (ITSELF, "together again")]
    # What was counted alone stays counted here, whatever the store has room for.
    assert await looked_at(sites, LESLIE.email, 4) == 0


async def together(sites: list[Site]) -> None:
    """Wait until they count together again; a right password costs nothing."""
    async with asyncio.timeout(10):
        for site in sites:
            while not states(site)[-1].endswith("together again"):
                await site.login(RON.email, DEMO_PASSWORDS[RON.email])


def states(site: Site) -> list[str]:
    """Return what the log says of how attempts are counted."""
    lines = [line["state"] for line in site.log_lines() if line["event"] == "lifecycle"]
    return [state for state in lines if "are counted" in state]
