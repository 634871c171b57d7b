"""The table of states: each step that it allows is taken by some request, and no request takes another."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import pytest

from gateway.carrying.call import Timeouts
from gateway.decision import Decided
from gateway.server import outgoing
from gateway.server.body import ClientTimeouts
from gateway.server.state import NEXT, State
from gateway.vocab.messages import Reply
from tests.server.raw import RawClient, until
from tests.server.stage import IMAGE, MIB, NOT_THERE, OK, Stage, Told, answering, silent, stage

Step = tuple[State, State]
NEW, DECIDING, ASKED, GATHERING, RELAYING, HESITATING, REPLYING, OVER = State
REJECTED = b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n"
AN_IMAGE = IMAGE + b"content-length: 3\r\n\r\nabc"
PATIENT = ClientTimeouts(not_found=10**6)


@contextmanager
def watched() -> Iterator[set[Step]]:
    """Give the steps that requests take meanwhile, as the interpreter's profiler sees them: nothing is changed."""
    steps: set[Step] = set()
    reached: dict[object, State] = {}

    def see(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name == "_go" and frame.f_code.co_filename == outgoing.__file__:
            one, state = frame.f_locals["self"], frame.f_locals["state"]
            steps.add((reached.get(one, NEW), state))
            reached[one] = state

    sys.setprofile(see)
    try:
        yield steps
    finally:
        sys.setprofile(None)


async def answered(run: Stage, client: RawClient) -> None:
    """Have the client be answered, and its request be over."""
    del run
    await client.reply()


async def left(run: Stage, client: RawClient) -> None:
    """Have the client leave as soon as its request has begun and what it does has come to a stand."""
    del client
    await until(lambda: bool(run.flow.asked))
    await asyncio.sleep(0.1)


async def left_within(run: Stage, client: RawClient) -> None:
    """Have the client leave when it has the head of its reply."""
    del run
    await client.head()


async def at_once() -> Decided:
    """Have a reply a moment later."""
    await asyncio.sleep(0)
    return Reply(204)


async def never() -> Decided:
    """Wait for ever."""
    await asyncio.Event().wait()
    return Reply(204)


async def not_there() -> Decided:
    """Find nothing, a moment later."""
    await asyncio.sleep(0)
    return NOT_THERE


async def again() -> Decided:
    """Find out that something else must be waited for."""
    return at_once


def sending() -> Told:
    """Give a flow that sends its request after a wait."""
    flow = Told()

    async def later() -> Decided:
        await asyncio.sleep(0)
        flow.deciding = None
        return flow.ready(snapshots[0], flow.asked[0], b"", uploads=False)

    snapshots = flow.snapshots
    flow.deciding = lambda _request, _body: later
    return flow


Scenario = tuple[Callable[[], Told], bytes | None, Callable[[Stage, RawClient], Awaitable[None]]]
SCENARIOS: Final[dict[Step, Scenario]] = {
    # What the flow does, what the upstream says (None: nothing), and what the client does.
    (NEW, DECIDING): (lambda: Told(decided=at_once), OK, answered),
    (NEW, ASKED): (Told, OK, answered),
    (NEW, HESITATING): (lambda: Told(decided=NOT_THERE), OK, left),
    (NEW, REPLYING): (lambda: Told(decided=Reply(204)), OK, answered),
    (DECIDING, DECIDING): (lambda: Told(decided=again), OK, answered),
    (DECIDING, ASKED): (sending, OK, answered),
    (DECIDING, HESITATING): (lambda: Told(decided=not_there), OK, left),
    (DECIDING, REPLYING): (lambda: Told(decided=at_once), OK, answered),
    (DECIDING, OVER): (lambda: Told(decided=never), OK, left),
    (ASKED, DECIDING): (lambda: Told(rejection=at_once), REJECTED, answered),
    (ASKED, GATHERING): (Told, OK, answered),
    (ASKED, RELAYING): (lambda: Told(is_open=True), AN_IMAGE, answered),
    (ASKED, REPLYING): (Told, b"nonsense", answered),
    (ASKED, OVER): (Told, None, left),
    (GATHERING, DECIDING): (lambda: Told(concluded=at_once), OK, answered),
    (GATHERING, HESITATING): (lambda: Told(concluded=NOT_THERE), OK, left),
    (GATHERING, REPLYING): (Told, OK, answered),
    (GATHERING, OVER): (Told, OK[:-1], left),
    (RELAYING, REPLYING): (lambda: Told(is_open=True), AN_IMAGE, answered),
    (RELAYING, OVER): (lambda: Told(is_open=True), AN_IMAGE[:-1], left_within),
    (HESITATING, REPLYING): (lambda: Told(decided=NOT_THERE), OK, answered),
    (HESITATING, OVER): (lambda: Told(decided=NOT_THERE), OK, left),
    (REPLYING, OVER): (lambda: Told(decided=Reply(200, (), bytes(20 * MIB))), OK, left_within),
}


def test_every_step_of_the_table_is_shown() -> None:
    """A step that no scenario takes does not belong into the table."""
    assert set(SCENARIOS) == {(state, following) for state in NEXT for following in NEXT[state]}


def test_every_state_leads_from_new_to_over() -> None:
    """There is no state that nobody reaches, none without a way out, and nothing behind the last."""
    assert set(NEXT) == set(State)
    reached = {NEW}
    for _ in State:
        reached |= {following for state in reached for following in NEXT[state]}
    assert reached == set(State)
    assert [state for state in State if not NEXT[state]] == [OVER]
    assert NEW not in {following for state in NEXT for following in NEXT[state]}


@pytest.mark.parametrize("step", SCENARIOS, ids=lambda step: f"{step[0].name} {step[1].name}")
async def test_the_step_is_taken(step: Step) -> None:
    """A request takes it, and only others of the table on its way."""
    make, said, act = SCENARIOS[step]
    timeouts = PATIENT if act is left else ClientTimeouts()
    upstream = silent if said is None else answering(said, is_kept=said != b"nonsense")
    with watched() as steps:
        async with (
            stage(make(), upstream, timeouts, limits=Timeouts()) as run,
            run.connected() as client,
        ):
            client.ask("GET", "/a")
            await act(run, client)
            client.leave()
            await run.finished()
            await run.emptied()
    assert step in steps
    assert all(following in NEXT[state] for state, following in steps)
