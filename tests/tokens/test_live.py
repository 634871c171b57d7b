"""The live view: it knows what the store knows, and says when it does not."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
from sqlalchemy import insert

from gateway.authn.revocations import PAGE
from gateway.stores import CredentialStore, StoreUnavailable, open_store, sqlite, upgrade
from gateway.stores.schema import log_outs, numbers
from gateway.tokens.live import LiveView
from gateway.vocab.events import Event, Lifecycle
from gateway.vocab.messages import Session

DAY = 86_400.0
NAMELESS: Mapping[int, str] = {}
Make = Callable[..., LiveView]


class Heard:
    """What a view tells others."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.states: list[tuple[bool, int]] = []
        self.channel: list[bool] = []
        self.time = 0.0

    def set_store(self, is_up: bool, log_outs: int) -> None:  # noqa: FBT001 - of a gauge
        """Take what a view has learned."""
        self.states.append((is_up, log_outs))

    def set_channel(self, is_up: bool) -> None:  # noqa: FBT001 - of a gauge
        """Take whether it is told of news."""
        self.channel.append(is_up)


@pytest.fixture
def heard() -> Heard:
    """Give what views tell."""
    return Heard()


@pytest.fixture
async def make(store: CredentialStore, heard: Heard) -> AsyncIterator[Make]:
    """Give what makes views of the store."""
    made: list[LiveView] = []

    def one(max_staleness: float = 300.0) -> LiveView:
        made.append(LiveView(store, DAY, max_staleness, lambda: heard.time, heard.events.append, heard))
        return made[-1]

    yield one
    for view in made:
        view.close()


def fill(file: Path, pairs: list[tuple[int, int]], names: Mapping[int, str] = NAMELESS) -> None:
    """Put many log-outs into a store at once: of a number, in a version, and of a customer by name."""
    rows = [{"number": number, "version": version, "customer_id": names.get(number)} for number, version in pairs]
    with sqlite.sync_engine(file).begin() as connection:
        connection.execute(insert(log_outs), rows)


async def test_nothing_is_known_before_it_was_read(make: Make, store: CredentialStore) -> None:
    """Until then it is stale; then all is known that was in the store, and it is not."""
    await store.log_out_session(77)
    view = make()
    assert view.value().is_stale
    await view.load()
    assert not view.value().is_stale
    assert view.value().is_over(Session("ann", 1, 5, 77))
    assert not view.value().is_over(Session("ann", 1, 5, 78))


async def test_a_store_that_is_down_at_the_start_is_a_failure(make: Make, store: CredentialStore) -> None:
    """Nothing is served by who does not know whom to refuse."""
    await store.close()
    with pytest.raises(StoreUnavailable):
        await make().load()


async def test_news_are_known_once_it_has_asked(make: Make, store: CredentialStore) -> None:
    """All kinds of log-out, in one question or in many; what was handed out before stays as it was."""
    view = make()
    await view.load()
    before = view.value()
    await store.log_out("ann")
    await store.log_out_session(77)
    ann = await store.account("ann")
    assert ann.number is not None
    session, other = Session("ann", ann.number, ann.version - 1, 1), Session("bob", 1, 5, 2)
    assert not view.value().is_over(session)
    await view.catch_up()
    assert view.value().is_over(session)
    assert view.value().is_over(Session("bob", 1, 5, 77))
    assert view.value().is_over(Session("ann"))
    assert not view.value().is_over(other)
    await store.log_out_everybody()
    await view.catch_up()
    assert view.value().is_over(other)
    assert not before.is_over(session)


async def test_any_number_of_news_is_known_at_the_end(tmp_path: Path, heard: Heard) -> None:
    """More than are read at once, all over the pages, in the order of their versions and not of their numbers."""
    url = f"sqlite:///{tmp_path}/many.db"
    upgrade(url)
    store = open_store(url)
    await store.open()
    base = await store.version_before(0) + 10_000_000
    old = [(number, base + number) for number in range(2, 3 * PAGE, 2)]
    fill(tmp_path / "many.db", old)
    await store.take_numbers(1)
    view = LiveView(store, DAY, 300.0, lambda: heard.time, heard.events.append, heard)
    await view.load()
    assert len(view.value()) == len(old)
    later = base + 10 * PAGE
    new = [(number, later + 3 * PAGE - number) for number in range(1, 3 * PAGE, 2)]
    fill(tmp_path / "many.db", new)
    await view.catch_up()
    value = view.value()
    assert len(value) == len(old) + len(new)
    assert all(len(page.numbers) <= PAGE for page in value.pages)
    assert all(value.is_over(Session("ann", number, version - 1, 1)) for number, version in (*old, *new))
    assert not any(value.is_over(Session("ann", number, version, 10**9)) for number, version in (*old, *new))
    view.close()
    await store.close()


async def test_log_outs_leave_when_their_tokens_have_expired(
    make: Make, store: CredentialStore, heard: Heard, tmp_path: Path
) -> None:
    """After the longest life and a margin they are forgotten, in the store after a month; what is younger stays."""
    view = make()
    expired = await store.version_before(DAY + 3600.0)
    fill(
        tmp_path / "tokens.db", [(1, expired - 10), (2, expired + 1_000_000), (3, await store.version_before(40 * DAY))]
    )
    await store.log_out_session(77)
    await view.load()
    assert len(view.value()) == 2
    while len(view.value()) == 2:
        heard.time += DAY
        await view.catch_up()
    assert view.value().is_over(Session("ann", 1, 5, 77))
    assert [number for number, _ in await store.log_outs(0, 0, 10)] == [1, 2, 77]


async def test_a_longer_life_keeps_log_outs_longer(
    make: Make, store: CredentialStore, heard: Heard, tmp_path: Path
) -> None:
    """From the moment on when it is adopted: what the shorter one would drop stays."""
    view = make()
    version = await store.version_before(DAY + 3600.0) + 300_000
    fill(tmp_path / "tokens.db", [(77, version)])
    await store.take_numbers(1)
    await view.load()
    view.keep(10 * DAY, 300.0)
    while await store.version_before(DAY + 3600.0) <= version:  # noqa: ASYNC110 - each look waits for the store
        await asyncio.sleep(0.05)
    heard.time += DAY
    await view.catch_up()
    assert view.value().is_over(Session("ann", 1, 5, 77))


async def test_names_for_tokens_without_numbers_are_bounded(make: Make, store: CredentialStore, tmp_path: Path) -> None:
    """Beyond some thousands of customers no such token is good any more, now and after a start."""
    view = make()
    await view.load()
    base = await store.version_before(0)
    names = {number: f"customer-{number}" for number in range(1, 2_001)}
    fill(tmp_path / "tokens.db", [(number, base + number) for number in names], names)
    await store.take_numbers(1)
    await view.catch_up()
    assert view.value().is_over(Session("customer-7"))
    assert not view.value().is_over(Session("ann"))
    await store.log_out("bob")
    await view.catch_up()
    assert view.value().is_over(Session("ann"))
    late = make()
    await late.load()
    assert late.value().is_over(Session("ann"))


async def test_a_store_that_is_lost_and_back_is_told_of_once_each(
    make: Make, store: CredentialStore, heard: Heard
) -> None:
    """However often it is asked meanwhile; what was known stays known."""
    view = make()
    await store.log_out_session(77)
    await view.load()
    await store.close()
    for _ in range(3):
        await view.catch_up()
    assert heard.states[-3:] == [(False, 1)] * 3
    assert heard.events == [Lifecycle("store is down", "SQLite: the store is not open")]
    assert view.value().is_over(Session("ann", 1, 5, 77))
    assert not view.value().is_stale
    await store.open()
    for _ in range(3):
        await view.catch_up()
    assert heard.events[1:] == [Lifecycle("store is back")]


async def test_another_store_in_its_place_is_read_anew(make: Make, store: CredentialStore, tmp_path: Path) -> None:
    """A server that took over without the last log-outs has a lesser counter: what it holds is read as at the start."""
    view = make()
    await store.log_out_session(77)
    await view.load()
    engine = sqlite.sync_engine(tmp_path / "tokens.db")
    with engine.begin() as connection:
        connection.execute(numbers.update().values(last=7))
        connection.execute(log_outs.delete())
        connection.execute(insert(log_outs), [{"number": 88, "version": await store.version_before(1)}])
    await view.catch_up()
    assert view.value().is_over(Session("ann", 1, 5, 88))


async def test_a_longer_life_knows_of_earlier_log_outs_again(
    make: Make, store: CredentialStore, tmp_path: Path
) -> None:
    """Those that a shorter one did not need: until they are read nobody is told anything of customers."""
    view = make()
    earlier = await store.version_before(2 * DAY)
    fill(tmp_path / "tokens.db", [(77, earlier)])
    await view.load()
    ended = Session("ann", 1, 0, 77)
    assert not view.value().is_over(ended)
    view.keep(10 * DAY, 300.0)
    assert view.value().is_stale
    await view.catch_up()
    assert not view.value().is_stale
    assert view.value().is_over(ended)
