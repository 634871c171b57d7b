"""The server's own bearer: one flight, early renewal, and what happens while the token endpoint is down or mad."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from gateway.upstream.credential import BearerCredential
from gateway.upstream.grant import Grant
from gateway.vocab.events import CredentialFailed, CredentialRenewed, Event
from gateway.vocab.messages import Headers
from gateway.vocab.refusals import Code, Refusal

DOWN = Refusal(Code.UPSTREAM_UNREACHABLE, "down")
HOUR = 3600.0
Obtain = Callable[[], Awaitable[Grant | Refusal]]


def line(bearer: str) -> Headers:
    """Return the header line of a bearer."""
    return (("authorization", f"Bearer {bearer}"),)


def bearer_in(lines: Headers | None) -> str | None:
    """Return the bearer of a header line."""
    return None if lines is None else lines[0][1].removeprefix("Bearer ")


async def bearer_of(credential: BearerCredential, rejected: str | None = None) -> str | Refusal:
    """Ask a credential for its bearer."""
    lines = await credential.lines(None if rejected is None else line(rejected))
    return lines if isinstance(lines, Refusal) else bearer_in(lines) or ""


class Desk:
    """A token endpoint and a clock, both in the hands of the test; `gate` holds grants back while it is not set."""

    def __init__(self, *outcomes: Grant | Refusal | Exception) -> None:
        self.outcomes = deque(outcomes)
        self.asked = 0
        self.time = 1_000_000.0
        self.gate = asyncio.Event()
        self.gate.set()
        self.events: list[Event] = []
        self.happened = asyncio.Condition()
        self.credential = BearerCredential(self.obtain, self.emit, lambda: self.time)

    async def obtain(self) -> Grant | Refusal:
        """Answer as told, else with a good bearer."""
        self.asked += 1
        async with self.happened:
            self.happened.notify_all()
        await self.gate.wait()
        outcome = self.outcomes.popleft() if self.outcomes else Grant(f"token-{self.asked}", HOUR)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def bearer(self, rejected: str | None = None) -> str | Refusal:
        """Ask for the bearer."""
        return await bearer_of(self.credential, rejected)

    def emit(self, event: Event) -> None:
        """Keep the event."""
        self.events.append(event)

    async def asked_times(self, times: int) -> None:
        """Wait until the endpoint was asked so often."""
        async with asyncio.timeout(5), self.happened:
            await self.happened.wait_for(lambda: self.asked >= times)


@asynccontextmanager
async def kept_fresh(credential: BearerCredential) -> AsyncIterator[None]:
    """Run the renewal beside the test."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(credential.run())
        try:
            yield
        finally:
            task.cancel()
            await credential.close()


async def bearers(credential: BearerCredential, count: int) -> set[str | Refusal]:
    """Ask for the bearer `count` times at once."""
    return set(await asyncio.gather(*(bearer_of(credential) for _ in range(count))))


async def test_one_flight_for_all_who_wait() -> None:
    """However many requests need the first bearer at once, the token endpoint is asked once."""
    desk = Desk()
    desk.gate.clear()
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(bearers(desk.credential, 100))
        await desk.asked_times(1)
        desk.gate.set()
    assert asking.result() == {"token-1"}
    assert desk.asked == 1


async def test_somebody_who_leaves_does_not_end_the_flight() -> None:
    """A client that goes away while it waits takes nothing from the others."""
    desk = Desk()
    desk.gate.clear()
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(desk.bearer())
        staying = group.create_task(desk.bearer())
        await desk.asked_times(1)
        leaving.cancel()
        await asyncio.wait([leaving])
        desk.gate.set()
    assert staying.result() == "token-1"
    assert desk.asked == 1


async def test_renewed_before_the_end_of_its_life() -> None:
    """The bearer is renewed when between 75 and 80 % of its life is over, not before."""
    desk = Desk()
    await desk.bearer()
    desk.time += 0.75 * HOUR - 1
    async with kept_fresh(desk.credential):
        assert await bearers(desk.credential, 10) == {"token-1"}
        assert desk.asked == 1
    desk.time += 0.05 * HOUR + 2
    async with kept_fresh(desk.credential):
        await desk.asked_times(2)
    renewed = [event.expires_at for event in desk.events if isinstance(event, CredentialRenewed)]
    assert renewed[0] == 1_000_000.0 + HOUR


async def test_renewals_run_by_themselves_and_apart() -> None:
    """Without any request a bearer is renewed in time, and replicas started together do not renew together."""
    loop = asyncio.get_running_loop()

    async def time_of_renewal() -> float:
        times: list[float] = []
        second = asyncio.Event()

        async def obtain() -> Grant | Refusal:
            times.append(loop.time())
            if len(times) == 2:
                second.set()
            return Grant("short", 2.0)

        credential = BearerCredential(obtain, lambda _: None, loop.time)
        async with asyncio.timeout(5), kept_fresh(credential):
            await second.wait()
            assert credential.is_usable
        return times[1] - times[0]

    times = await asyncio.gather(*(time_of_renewal() for _ in range(20)))
    assert all(1.49 <= time < 2.0 for time in times)
    assert max(times) - min(times) > 0.005


async def test_the_old_bearer_serves_while_a_renewal_hangs() -> None:
    """A renewal that hangs delays nobody as long as the bearer in hand is valid."""
    desk = Desk()
    await desk.bearer()
    desk.gate.clear()
    desk.time += 0.9 * HOUR
    async with kept_fresh(desk.credential):
        await desk.asked_times(2)
        assert await bearers(desk.credential, 100) == {"token-1"}
        desk.gate.set()
    assert desk.asked == 2


async def test_the_old_bearer_serves_while_renewals_fail() -> None:
    """A token endpoint that is down is noticed by nobody until the bearer in hand has expired."""
    desk = Desk(Grant("old", HOUR), DOWN, DOWN)
    await desk.bearer()
    desk.time += 0.9 * HOUR
    async with kept_fresh(desk.credential):
        await desk.asked_times(2)
    assert await bearers(desk.credential, 10) == {"old"}
    desk.time += 0.2 * HOUR
    assert not desk.credential.is_usable
    (refusal,) = await bearers(desk.credential, 10)
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.CREDENTIAL_UNAVAILABLE


async def test_nobody_waits_through_the_back_off() -> None:
    """While the token endpoint is down requests are refused at once, and it is not asked for each of them."""
    desk = Desk(*[DOWN] * 100)
    refusals = [await desk.bearer() for _ in range(100)]
    assert desk.asked == 1
    for refusal in refusals:
        assert isinstance(refusal, Refusal)
        assert refusal.code is Code.CREDENTIAL_UNAVAILABLE
        assert refusal.retry_after == 1


async def test_the_back_off_grows_to_half_a_minute() -> None:
    """Tries while the endpoint is down come ever more slowly, at last about every thirty seconds; then it recovers."""
    desk = Desk(*[DOWN] * 12)
    waits = []
    for _ in range(12):
        refusal = await desk.bearer()
        assert isinstance(refusal, Refusal)
        failure = desk.events[-1]
        assert isinstance(failure, CredentialFailed)
        waits.append(failure.retry_in)
        desk.time += failure.retry_in - 0.001
        assert isinstance(await desk.bearer(), Refusal)
        desk.time += 0.002
    assert desk.asked == 12
    assert 0.3 < waits[0] < 0.7
    assert all(22 <= wait <= 38 for wait in waits[-3:])
    assert await desk.bearer() == "token-13"
    assert isinstance(desk.events[-1], CredentialRenewed)


async def test_an_endpoint_is_not_asked_before_it_wants_to_be() -> None:
    """Its Retry-After is obeyed, at most for an hour, and handed to whoever needs a bearer meanwhile."""
    for said, obeyed in ((120, 120), (10**9, 3600)):
        desk = Desk(Refusal(Code.CREDENTIAL_UNAVAILABLE, "429", retry_after=said))
        for passed in (0, obeyed / 2, obeyed / 2 - 1):
            desk.time += passed
            refusal = await desk.bearer()
            assert isinstance(refusal, Refusal)
            left = 1_000_000.0 + obeyed - desk.time
            assert refusal.retry_after == left
        assert desk.asked == 1
        desk.time += 1
        assert await desk.bearer() == "token-2"


async def test_a_silent_endpoint_holds_nobody_for_long() -> None:
    """While a flight after a failure gets no answer, whoever needs a bearer is refused within about a second."""
    desk = Desk(DOWN)
    await desk.bearer()
    desk.time += 60
    desk.gate.clear()
    loop = asyncio.get_running_loop()
    started = loop.time()
    (refusal,) = await bearers(desk.credential, 50)
    assert isinstance(refusal, Refusal)
    assert loop.time() - started < 4
    assert desk.asked == 2
    await desk.credential.close()


async def test_a_rejected_bearer_is_renewed_once() -> None:
    """However many requests were answered with 401, they share one fresh bearer."""
    desk = Desk()
    old = await desk.bearer()
    assert old == "token-1"
    for _ in range(50):
        desk.credential.reject(line("token-1"))
    fresh = await asyncio.gather(*(desk.bearer("token-1") for _ in range(50)))
    assert set(fresh) == {"token-2"}
    assert desk.asked == 2
    # A late 401 for the old one says nothing about the new one.
    desk.credential.reject(line("token-1"))
    assert bearer_in(desk.credential.peek()) == "token-2"


async def test_an_endpoint_of_rejected_bearers_is_not_stormed() -> None:
    """Bearers that are rejected as soon as they are issued are asked for ever more slowly."""
    desk = Desk()
    for _ in range(600):
        bearer = await desk.bearer()
        if isinstance(bearer, str):
            desk.credential.reject(line(bearer))
        await desk.bearer(bearer if isinstance(bearer, str) else None)
        desk.time += 0.1
    # A minute of ten requests a second.
    assert desk.asked <= 8


async def test_a_rejection_takes_the_bearer_from_nobody_else() -> None:
    """A 401 that one request provokes does not stop the others, not even with the token endpoint down."""
    desk = Desk(Grant("good", HOUR), DOWN)
    await desk.bearer()
    desk.credential.reject(line("good"))
    refusal = await desk.bearer("good")
    assert isinstance(refusal, Refusal)
    assert await bearers(desk.credential, 10) == {"good"}
    assert bearer_in(desk.credential.peek()) is None
    assert desk.credential.is_usable


async def test_the_same_bearer_again_is_no_fresh_one() -> None:
    """An endpoint that repeats the rejected bearer leads to a refusal, not to a second try with it."""
    desk = Desk(*[Grant("same", HOUR)] * 5)
    await desk.bearer()
    desk.credential.reject(line("same"))
    assert isinstance(await desk.bearer("same"), Refusal)
    assert desk.asked == 2


async def test_a_bug_does_not_end_the_renewal() -> None:
    """Whatever is raised while a grant is obtained counts as a failure, and the next try comes."""
    desk = Desk(LookupError("with a secret in it"))
    async with kept_fresh(desk.credential):
        await desk.asked_times(1)
        assert isinstance(await desk.bearer(), Refusal)
        desk.time += 60
        assert await desk.bearer() == "token-2"
    assert [event.detail for event in desk.events if isinstance(event, CredentialFailed)] == ["INTERNAL: LookupError"]
