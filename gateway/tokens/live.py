"""The live view: who was logged out, kept in memory by asking the store what is new. It decides nothing.

Whoever decides is handed the value of the moment (`authn/revocations.py`). The store is asked every second, whatever
else brings news, so that a log-out counts everywhere within two.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from msgspec.structs import replace

from gateway.authn.revocations import BLANK, EVERYBODY, NOBODY, Page, Revocations, paged, written, younger
from gateway.stores.ports import LogOut, SessionStore, StoreUnavailable
from gateway.vocab.events import Emit, Lifecycle

_EVERY: Final = 1.0
# Longer than a store takes that says itself that it is down; seconds.
_ANSWER_SECONDS: Final = 6.0
# What is read at once while requests wait takes two milliseconds to decode. At the start nobody waits.
_AT_ONCE: Final = 500
_AT_START: Final = 5_000
# Pages that are copied in some microseconds each, or looked through in thirty, before others have their turn.
_STEP: Final = 32
# Tokens of releases without numbers are few, and only for as long as they live after an upgrade.
_NAMES: Final = 2_000
# Clocks of replicas differ, and a token is good to the others a minute before it was made; seconds.
_MARGIN: Final = 3600.0
# In the store they stay for as long as a replica may need them that has another life configured; seconds.
_KEPT_LEAST: Final = 32 * 86_400.0


class Gauges(Protocol):
    """What is shown of the view. ops/metrics.py is it."""

    def set_store(self, is_up: bool, log_outs: int) -> None:  # noqa: FBT001 - of a gauge
        """Show whether the store answered, and how many log-outs are known."""

    def set_channel(self, is_up: bool) -> None:  # noqa: FBT001 - of a gauge
        """Show whether the store tells of log-outs by itself."""


class LiveView:
    """Knows who was logged out. `life` is the longest life of a token, `max_staleness` as configured; in seconds.

    `clock` is monotonic. The log tells when the store is lost and when it is back.
    """

    def __init__(
        self,
        store: SessionStore,
        life: float,
        max_staleness: float,
        clock: Callable[[], float],
        emit: Emit,
        gauges: Gauges,
    ) -> None:
        self._store = store
        self._life = life
        self._max_staleness = max_staleness
        self._clock = clock
        self._emit = emit
        self._gauges = gauges
        self._asking = asyncio.Lock()
        self._news = asyncio.Event()
        self._value = replace(NOBODY, is_stale=True)
        self._seen = 0
        self._latest = 0
        self._looked_through_at = clock()
        self._until_stale: asyncio.TimerHandle | None = None
        self._is_lost = self._is_deaf = self._lacks = False

    def value(self) -> Revocations:
        """Return what is known now."""
        return self._value

    def keep(self, life: float, max_staleness: float) -> None:
        """Go by other times from now on; log-outs that are kept for a shorter life are never dropped by it.

        With a longer life log-outs matter again that were dropped: nothing is told from the old ones any more.
        """
        self._max_staleness = max_staleness
        if life > self._life:
            self._life = life
            self._lacks = True
            self._value = replace(self._value, is_stale=True)
            self._news.set()

    async def load(self) -> None:
        """Read all log-outs that still matter. Raises StoreUnavailable."""
        async with self._asking:
            await self._load(_AT_START)
            self._heard()

    async def run(self) -> None:
        """Ask the store what is new, each second and when it says that there is, until it is cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY):
                    await self._news.wait()
            self._news.clear()
            await self.catch_up()

    async def listen(self) -> None:
        """Let the store tell when there is news, where it can, until it is cancelled."""
        while True:
            try:
                await self._store.listen(self._hear)
            except StoreUnavailable as error:
                if not self._is_deaf:
                    self._is_deaf = True
                    self._emit(Lifecycle("log-outs are not told", str(error)))
                self._gauges.set_channel(is_up=False)
            else:
                return
            await asyncio.sleep(_EVERY)

    async def catch_up(self) -> None:
        """Ask the store what is new, now: where it answers all is known at the end that was on its disk before."""
        async with self._asking:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await self._ask()
            except StoreUnavailable as error:
                self._missed(str(error))
            except TimeoutError:
                self._missed("no answer")
            else:
                self._heard()

    def close(self) -> None:
        """Watch the time no more."""
        if self._until_stale is not None:
            self._until_stale.cancel()

    def _hear(self) -> None:
        if self._is_deaf:
            self._is_deaf = False
            self._emit(Lifecycle("log-outs are told again"))
        self._gauges.set_channel(is_up=True)
        self._news.set()

    def _heard(self) -> None:
        self.close()
        self._until_stale = asyncio.get_running_loop().call_later(self._max_staleness, self._turn_stale)
        if self._value.is_stale and not self._lacks:
            self._value = replace(self._value, is_stale=False)
        if self._is_lost:
            self._is_lost = False
            self._emit(Lifecycle("store is back"))
        self._gauges.set_store(is_up=True, log_outs=len(self._value))

    def _missed(self, reason: str) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._emit(Lifecycle("store is down", reason))
        self._gauges.set_store(is_up=False, log_outs=len(self._value))

    def _turn_stale(self) -> None:
        self._value = replace(self._value, is_stale=True)
        self._emit(Lifecycle("log-outs unknown", "the store has said nothing for revocation.max_staleness"))

    async def _load(self, at_once: int) -> None:
        since = await self._store.version_before(self._life + _MARGIN)
        # Before the log-outs are read: what comes meanwhile is news afterwards.
        latest = await self._store.latest()
        pages: list[Page] = []
        entries: list[tuple[int, int]] = []
        after = EVERYBODY
        while found := await self._store.log_outs(since, after, at_once):
            after = found[-1][0]
            *full, rest = paged([*entries, *found])
            pages += full
            entries = [*zip(rest.numbers, rest.versions, strict=True)]
        names = frozenset(await self._store.names(since, _NAMES + 1))
        self._value = Revocations(
            pages=(*pages, *paged(entries)),
            everybody=await self._store.everybody(),
            names=names if len(names) <= _NAMES else None,
            is_stale=self._value.is_stale,
        )
        self._seen = self._latest = latest
        self._looked_through_at = self._clock()

    async def _ask(self) -> None:
        if self._lacks:
            self._lacks = False
            try:
                await self._load(_AT_ONCE)
            except BaseException:
                self._lacks = True
                raise
            return
        while True:
            news = await self._store.news(self._seen, _AT_ONCE)
            if news.latest < self._latest:
                # Another took the place of the store that was asked before, and has not heard of all.
                await self._load(_AT_ONCE)
                return
            self._latest = news.latest
            if news.log_outs:
                self._value = await _with(self._value, news.log_outs)
                self._seen = news.log_outs[-1].version
            if len(news.log_outs) < _AT_ONCE:
                break
        # Tokens that were ended so long ago have expired.
        if self._clock() - self._looked_through_at > self._life / 16:
            self._looked_through_at = self._clock()
            since = await self._store.version_before(self._life + _MARGIN)
            pages = await _turned(self._value.pages, lambda _, page: [younger(page, since)])
            self._value = replace(self._value, pages=pages)
            await self._store.drop_log_outs(await self._store.version_before(max(2 * self._life, _KEPT_LEAST)))


async def _with(value: Revocations, log_outs: Sequence[LogOut]) -> Revocations:
    """Return a value that knows more log-outs."""
    everybody = max([value.everybody, *(one.version for one in log_outs if one.number == EVERYBODY)])
    names = value.names
    if names is not None:
        names |= {one.customer_id for one in log_outs if one.customer_id is not None}
        names = names if len(names) <= _NAMES else None
    places: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for one in log_outs:
        if one.number != EVERYBODY:
            places[value.place(one.number)].append((one.number, one.version))

    def change(at: int, page: Page) -> Iterable[Page]:
        return written(page, places[at]) if at in places else [page]

    return Revocations(await _turned(value.pages or (BLANK,), change), everybody, names, value.is_stale)


async def _turned(pages: Sequence[Page], change: Callable[[int, Page], Iterable[Page]]) -> tuple[Page, ...]:
    """Return what becomes of the pages; others have their turn in between."""
    turned: list[Page] = []
    for at, page in enumerate(pages):
        if at % _STEP == 0:
            await asyncio.sleep(0)
        turned += (one for one in change(at, page) if one.numbers)
    return tuple(turned)
