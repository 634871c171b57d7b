"""Nobody takes more than a share of the connections: neither a route that hangs, nor a client that floods."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.carrying.call import Call, Timeouts
from gateway.carrying.pool import ConnectionPool
from gateway.carrying.shares import Factors, Share, Shares
from gateway.vocab.events import Event, ShareSpent
from gateway.vocab.refusals import Code, Refusal
from tests.carrying.connected import GET, OK, PATIENT, RELAY, WHOLE, pooled, sent
from tests.server.raw import until

SOON = Timeouts(connect=0.3, first_byte=5, idle=5, total=20)
BUSY = Refusal(Code.OVERLOADED, "no connection free in time")
CROWDED = Refusal(Code.OVERLOADED, "too many wait for a connection")


def of(route: str, client: str = "", call: Call = GET) -> Call:
    """Make a call of a route, and of a client."""
    return replace(call, target=f"/{route}/{client}", route=route, client=client)


# --- The counts -------------------------------------------------------------------------------------------------------


def taken(shares: Shares, make: Callable[[int], Call], most: int = 1000) -> list[int]:
    """Have calls of the kinds 0, 1, ... take in turns until none may; return how many each has."""
    counts: Counter[int] = Counter()
    kinds = list(range(most))
    while kinds:
        kinds = [kind for kind in kinds if shares.spent(make(kind)) is None]
        for kind in kinds:
            if shares.spent(make(kind)) is None:
                shares.take(make(kind))
                counts[kind] += 1
    return [counts[kind] for kind in sorted(counts)]


@pytest.mark.parametrize("call", [GET, RELAY], ids=["judged", "relayed"])
@pytest.mark.parametrize("is_at_once", [True, False], ids=["at once", "one after the other"])
@pytest.mark.parametrize("routes", [1, 2, 5, 10, 20])
def test_routes_that_hang_leave_something(routes: int, *, is_at_once: bool, call: Call) -> None:
    """One has half of 256 connections, ten have ten elevenths at the most, however they come; the others go on."""
    shares = Shares(256, Factors(), relays_most=192)
    if is_at_once:
        held = taken(shares, lambda kind: of(f"r{kind}", "", call), routes)
    else:
        held = [
            taken(shares, partial(lambda name, _: of(name, "", call), f"r{number}"), 1)[0] for number in range(routes)
        ]
    assert len(held) == routes
    assert sum(held) <= 256 * 10 // 11 or routes > 10
    assert held[0] == 128 or routes > 1
    assert len(taken(shares, lambda kind: of(f"good{kind}", "", call), 3)) == 3


def test_what_may_be_relayed_is_three_quarters() -> None:
    """However many routes relay; what is judged may have the rest."""
    shares = Shares(256, Factors(), relays_most=192)
    assert sum(taken(shares, lambda kind: of(f"r{kind}", "", RELAY), 300)) == 192
    assert shares.spent(of("new", "", RELAY)) is Share.RELAYS
    assert shares.spent(of("r1")) is None


@pytest.mark.parametrize(("most", "held"), [(256, 64), (12, 3), (4, 1), (2, 1)])
def test_one_client_has_a_quarter(most: int, held: int) -> None:
    """A third of what is free is a quarter of all, over however many routes; one at least."""
    routes = iter(f"r{number}" for number in range(10_000))
    assert taken(Shares(most, Factors()), lambda _: of(next(routes), "192.0.2.1"), 1) == [held]


def test_who_is_nobody_is_held_to_no_share() -> None:
    """Calls of the gateway's own may have all, and no more; without a client the route's share counts alone."""
    assert taken(Shares(8, Factors()), lambda _: of(""), 1) == [8]
    assert taken(Shares(8, Factors()), lambda _: of("r"), 1) == [4]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 3)), max_size=200))
def test_what_is_given_back_is_as_if_never_taken(steps: list[tuple[bool, int, int]]) -> None:
    """After any history only what is held now counts, and nothing is kept of clients who hold nothing."""
    shares, held = Shares(16, Factors()), list[Call]()
    for takes, route, client in steps:
        call = of(f"r{route}" if route else "", f"c{client}" if client else "")
        if takes and shares.spent(call) is None:
            shares.take(call)
            held.append(call)
        elif not takes and held:
            shares.give_back(held.pop(route % len(held)))
    anew = Shares(16, Factors())
    for call in held:
        anew.take(call)
    assert vars_of(shares) == vars_of(anew)


def vars_of(shares: Shares) -> list[object]:
    """Return what is counted, and what follows from it."""
    routes = ["", *(f"r{number}" for number in range(1, 5))]
    spent = [shares.spent(of(route, f"c{number}")) for route in routes for number in range(4)]
    counted: dict[str, Any] = {key: value for key, value in vars(shares).items() if isinstance(value, (dict, int))}
    counted["_by_route"] = {route: held for route, held in counted["_by_route"].items() if held}
    return [*spent, *(shares.room(route, 32, relayed=False) for route in routes), counted]


@given(st.integers(1, 300), st.floats(0.1, 4), st.integers(0, 300))
def test_room_is_what_a_route_can_take(most: int, factor: float, others: int) -> None:
    """So many connections are made for a route that waits, and not one in vain."""
    shares = Shares(most, Factors(factor))
    for _ in range(min(others, most)):
        shares.take(of(""))
    room = shares.room("r", 1000, relayed=False)
    assert taken(shares, lambda _: of("r"), 1) == [room]
    assert shares.room("r", 1000, relayed=False) == 0


# --- In the pool ------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Hanging:
    """Answers what is asked of any path, but of those that `hang` only when the gate is opened."""

    hang: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)
    open: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        self.open += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ")[1].decode()
                self.asked.append(path)
                if path.startswith(self.hang):
                    await self.gate.wait()
                writer.write(OK)
        finally:
            self.open -= 1


@asynccontextmanager
async def pool(
    upstream: Hanging, most: int, *, times: Timeouts = PATIENT, **options: Any
) -> AsyncIterator[tuple[ConnectionPool, list[Event]]]:
    """Give a pool before an upstream, and the events it emits; at its end nothing hangs."""
    events: list[Event] = []
    async with pooled(upstream, most=most, times=times, emit=events.append, **options) as made:
        yield made, events
        upstream.gate.set()


async def served(made: ConnectionPool, call: Call) -> None:
    """Ask, and be answered."""
    assert (await sent(made, call).done()).told == WHOLE


async def test_a_route_that_hangs_leaves_half_to_the_others() -> None:
    """Its calls wait in their own line; those of others are answered at once, by connections that are free."""
    upstream = Hanging(("/bad",))
    async with pool(upstream, 8) as (made, events):
        hanging = [sent(made, of("bad")) for _ in range(50)]
        await until(lambda: len(upstream.asked) == 4)
        for number in range(30):
            await served(made, of(f"good{number % 3}"))
        assert upstream.asked.count("/bad/") == 4
        assert upstream.open <= 5
        upstream.gate.set()
        for one in hanging:
            assert (await one.done()).told == WHOLE
        assert not events


async def test_ten_routes_that_hang_leave_something() -> None:
    """An eleventh is answered, and so is the gateway's own call for a bearer."""
    upstream = Hanging(tuple(f"/bad{number}/" for number in range(10)))
    async with pool(upstream, 66) as (made, _):
        for number in range(10):
            for _ in range(20):
                sent(made, of(f"bad{number}", call=GET if number % 2 else RELAY))
        await until(lambda: len({path for path in upstream.asked if path.startswith("/bad")}) == 10)
        for _ in range(20):
            await served(made, of("good"))
            await served(made, of("fine", call=RELAY))
            await served(made, of(""))
        assert len([path for path in upstream.asked if path.startswith("/bad")]) <= 66 - 4


async def test_who_waits_for_a_share_is_told_to_come_again() -> None:
    """503 after the time for connecting, at once where the line is full: the API was not asked."""
    upstream = Hanging(("/bad",))
    async with pool(upstream, 4, times=SOON, queue=6) as (made, events):
        calls = [sent(made, of("bad")) for _ in range(8)]
        # Two have a connection, three may wait: half of six places.
        crowded = [call for call in calls if call.refusal is not None]
        assert [call.refusal for call in crowded] == [CROWDED] * (8 - 3)
        await until(lambda: len(upstream.asked) == 2)
        calls += [sent(made, of("bad")) for _ in range(2)]
        waiting = [call for call in calls if call.refusal is None][2:]
        for call in waiting:
            assert (await call.done()).refusal == BUSY
        await served(made, of("good"))
        assert upstream.asked.count("/bad/") == 2
        assert set(events) == {ShareSpent(Share.ROUTE)}
        assert len(events) == len(crowded) + len(waiting)


async def test_a_client_that_floods_holds_up_nobody() -> None:
    """Neither on another route nor on its own: others pass it in the line, and it fills no line up for them."""
    upstream = Hanging(("/r/flood", "/s/flood"))
    async with pool(upstream, 12, queue=24) as (made, events):
        flood = [sent(made, of(route, "flood")) for _ in range(100) for route in ("r", "s")]
        await until(lambda: len(upstream.asked) == 3)
        for _ in range(5):
            await served(made, of("r", "other"))
            await served(made, of("s", "other", RELAY))
        assert len([path for path in upstream.asked if path.endswith("flood")]) == 3
        assert set(events) == {ShareSpent(Share.CLIENT)}
        upstream.gate.set()
        for call in flood:
            assert (await call.done()).refusal in {None, CROWDED}


async def test_those_of_one_line_are_served_in_their_order() -> None:
    """A share that is free again goes to whoever of its route has waited longest."""
    upstream = Hanging(("/bad",))
    async with pool(upstream, 2) as (made, _):
        calls = [sent(made, replace(of("bad"), target=f"/bad/{number}")) for number in range(10)]
        await until(lambda: upstream.asked == ["/bad/0"])
        calls[4].give_up()
        upstream.gate.set()
        for call in calls[:4] + calls[5:]:
            assert (await call.done()).told == WHOLE
        assert upstream.asked == [f"/bad/{number}" for number in range(10) if number != 4]


async def test_no_connection_is_made_for_those_who_may_not_have_it() -> None:
    """Calls over their share open none, however long they wait: those that rest are enough."""
    upstream = Hanging(("/bad",))
    async with pool(upstream, 64, times=SOON) as (made, _):
        calls = [sent(made, of("bad")) for _ in range(32)]
        await until(lambda: len(upstream.asked) == 32)
        count = upstream.open
        calls = [sent(made, of("bad")) for _ in range(100)]
        for call in calls:
            assert (await call.done()).refusal == BUSY
        assert (upstream.open, len(upstream.asked)) == (count, 32)


async def test_what_is_given_up_gives_its_share_back() -> None:
    """Whether it waited, or was on its way."""
    upstream = Hanging(("/bad",))
    async with pool(upstream, 4) as (made, _):
        for _ in range(20):
            first = sent(made, of("bad", "flood"))
            waiting = sent(made, of("bad", "flood"))
            count = len(upstream.asked)
            await until(lambda count=count: len(upstream.asked) == count + 1)  # type: ignore[misc] # its own default
            waiting.give_up()
            first.give_up()
        upstream.gate.set()
        await served(made, of("bad", "flood"))
