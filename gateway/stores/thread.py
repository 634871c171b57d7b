"""A thread for what waits for the disk, apart from all others: a disk that hangs holds up nobody but the store."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from gateway.stores.ports import StoreUnavailable

_T = TypeVar("_T")
# As long as a writer waits for another one.
_WAITS_MOST: Final = 5.0


class StoreThread:
    """One thread, which does one thing after the other. It begins with the first, and again after `close`."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None

    async def run(self, do: Callable[[], _T], within: float | None = _WAITS_MOST) -> _T:
        """Have it do something; StoreUnavailable where that has not ended `within` so many seconds."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="store")
        done = asyncio.get_running_loop().run_in_executor(self._executor, do)
        try:
            async with asyncio.timeout(within):
                return await done
        except TimeoutError as error:
            raise StoreUnavailable("SQLite: the disk takes too long") from error

    def close(self) -> None:
        """Let it end with what it is doing, without a wait."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False)
