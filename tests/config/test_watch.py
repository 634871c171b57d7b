"""Files of a configuration are watched: what the system tells, and what only looking finds."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.config.files import Files
from gateway.config.watch import changed


@asynccontextmanager
async def watched(*paths: Path) -> AsyncIterator[asyncio.Task[None]]:
    """Watch files until the block ends."""
    files = Files()
    for path in paths:
        files.note(path)
    task = asyncio.ensure_future(changed(files))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_change_is_told_soon(tmp_path: Path) -> None:
    """Well within a second, by the system's word, also for a file that was not there."""
    one, two = tmp_path / "one", tmp_path / "deep" / "two"
    one.write_text("old")
    for path in (one, two):
        async with watched(one, two) as watching:
            # It begins to look in the loop's next turns.
            done, _ = await asyncio.wait([watching], timeout=0.5)
            assert not done
            two.parent.mkdir(exist_ok=True)
            path.write_text("new")
            await asyncio.wait_for(watching, 5)


async def test_what_is_the_same_is_no_change(tmp_path: Path) -> None:
    """Files beside it, and the same text written anew, are nobody's business."""
    path = tmp_path / "file"
    path.write_text("same")
    async with watched(path) as watching:
        for text in ("1", "2", "3"):
            (tmp_path / "beside").write_text(text)
            path.write_text("same")
            done, _ = await asyncio.wait([watching], timeout=0.3)
            assert not done


async def test_what_the_system_does_not_tell_is_found_by_looking(tmp_path: Path) -> None:
    """The folder went away and came again, so that nobody tells of what is in it now."""
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "file"
    path.write_text("old")
    async with watched(path) as watching:
        done, _ = await asyncio.wait([watching], timeout=0.3)
        assert not done
        folder.rename(tmp_path / "elsewhere")
        folder.mkdir()
        path.write_text("old")
        (tmp_path / "elsewhere" / "file").write_text("nobody's")
        await asyncio.wait([watching], timeout=2.5)
        if not watching.done():
            path.write_text("new")
            await asyncio.wait_for(watching, 10)


@pytest.mark.parametrize("seconds", [1.0])
async def test_watching_costs_next_to_nothing(tmp_path: Path, seconds: float) -> None:
    """What it reads itself does not wake it again."""
    path = tmp_path / "file"
    path.write_text("same")
    async with watched(path) as watching:
        await asyncio.wait([watching], timeout=0.5)
        before = time.process_time()
        await asyncio.wait([watching], timeout=seconds)
        assert time.process_time() - before < 0.2 * seconds
