"""Waits until what a configuration was made of is something else: told by the system, and by looking from time to time.

The system tells of folders, not of files, for a ConfigMap or an editor puts another file in the place of one. It tells
nothing of what another machine writes, and on some systems nothing at all: looking is slower, and always right.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Final

from watchfiles import awatch

from gateway.config.files import Files

LOOK_EVERY: Final = 1.0
"""How long a change may go unnoticed of which the system does not tell; seconds."""
# What comes so shortly after each other is one change, and a file that is written in pieces is left to come to its end.
_STEP: Final = 0.05
_SETTLES: Final = 0.3


async def changed(files: Files) -> None:
    """Wait until any of the files holds something else than when it was read, and for that to be whole."""
    then = files.then()
    folders = await asyncio.to_thread(files.folders)
    async with aclosing(_stirrings(folders)) as stirrings:
        async for is_over in stirrings:
            found = await asyncio.to_thread(files.now)
            if found == then:
                continue
            # Whoever writes in place may be half-way.
            while not is_over:
                await asyncio.sleep(_STEP)
                before, found = found, await asyncio.to_thread(files.now)
                is_over = found == before  # noqa: PLW2901 - the same question, asked again
            return


async def _stirrings(folders: Iterable[Path]) -> AsyncGenerator[bool]:
    """Yield when something has happened in any of the folders and is over, and False from time to time."""
    try:
        watching = awatch(
            *folders,
            watch_filter=None,
            recursive=False,
            yield_on_timeout=True,
            step=int(_STEP * 1000),
            debounce=int(_SETTLES * 1000),
            rust_timeout=int(LOOK_EVERY * 1000),
        )
        async with aclosing(watching):
            async for changes in watching:
                yield bool(changes)
    except Exception:  # noqa: BLE001, S110 - whatever keeps the system from telling
        # A folder has gone, or there are too many watches already (inotify(7)): then there is only looking.
        pass
    while True:
        await asyncio.sleep(LOOK_EVERY)
        yield False
