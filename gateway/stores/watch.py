"""Whether the files of an open SQLite database are still those that were opened.

What is written to a file that was unlinked, replaced or cut is lost, though SQLite says that it is written
(sqlite.org/howtocorrupt.html 2 and 4). Only their directory entries are looked at: to open one of them a second time,
and close it, would drop the locks that SQLite holds in this process, and to open what took its place would play the old
log into it.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gateway.stores.ports import StoreFileLost, StoreUnavailable

_LOG = "-wal"
_INDEX = "-shm"
_TO_DO = "nothing is written any more until a restart"
# On these several hosts may have the file, and SQLite's log needs memory that all of them share (sqlite.org/wal.html).
_NETWORK = frozenset({
    "nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs", "fuse.ceph",
    "fuse.glusterfs", "fuse.sshfs", "fuse.s3fs",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mark:
    """Which file it is, and how long."""

    device: int
    inode: int
    size: int


def mark(path: Path) -> Mark | None:
    """Look at a file; None where there is none. Raises OSError where it cannot be looked at."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Mark(found.st_dev, found.st_ino, found.st_size)


def check_same(path: Path, opened: Mark) -> None:
    """Raise StoreFileLost where `path` is not to be opened beside processes that have opened it as `opened`."""
    _compare("file", opened, mark(path))
    if mark(Path(f"{path}{_INDEX}")) is not None and mark(Path(f"{path}{_LOG}")) is None:
        raise StoreFileLost(f"SQLite: the log of the file was taken away; {_TO_DO}")


class FileWatch:
    """Watches the files of the database at `path`, which must exist. Its methods wait for the disk.

    `tell` hears once that they are lost. `opened` is what others that have it open know of it.
    """

    def __init__(self, path: Path, opened: Mark | None, tell: Callable[[str], None]) -> None:
        self._path = path
        self._log = Path(f"{path}{_LOG}")
        self._opened = opened
        self._tell = tell
        self._marks: list[tuple[str, Path, Mark]] = []
        self._lost: StoreFileLost | None = None
        self._anchor: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the database and leave it open; the files are remembered. Raises sqlite3.Error and StoreFileLost.

        The last connection that is closed removes the log: this one lasts as long as the store.
        """
        self._lost = None
        if self._opened is not None:
            check_same(self._path, self._opened)
        url = f"file:{quote(str(self._path))}?mode=rw"
        self._anchor = sqlite3.connect(url, uri=True, isolation_level=None, check_same_thread=False)
        self._anchor.execute("PRAGMA journal_mode = WAL").fetchall()
        # The log is opened with the first statement that reads.
        self._anchor.execute("SELECT count(*) FROM sqlite_master").fetchall()
        found = [("file", self._path, mark(self._path)), ("log of the file", self._log, mark(self._log))]
        self._marks = [(what, path, seen) for what, path, seen in found if seen is not None]

    def select(self, sql: str, values: Sequence[object]) -> list[Sequence[Any]]:
        """Ask the database as it was opened, not what took the file's place. Raises sqlite3.Error."""
        if self._anchor is None:
            raise StoreUnavailable("SQLite: the store is not open")
        return self._anchor.execute(sql, values).fetchall()

    def close(self) -> None:
        """Let go of the database; a second call does nothing."""
        anchor, self._anchor = self._anchor, None
        if anchor is not None:
            anchor.close()

    def check(self) -> None:
        """Raise StoreFileLost where the files are not what they were, now or at any time before."""
        if self._lost is None:
            try:
                self._marks = [(what, path, _compare(what, seen, mark(path))) for what, path, seen in self._marks]
            except StoreFileLost as lost:
                self._lost = lost
                self._tell(str(lost))
        if self._lost is not None:
            raise StoreFileLost(str(self._lost))


def _compare(what: str, before: Mark, now: Mark | None) -> Mark:
    if now is None:
        raise StoreFileLost(f"SQLite: the {what} was taken away; {_TO_DO}")
    if (now.device, now.inode) != (before.device, before.inode):
        raise StoreFileLost(f"SQLite: the {what} was replaced by another; {_TO_DO}")
    # A checkpoint may begin the log anew, from nothing; nobody cuts the file itself, or a part of the log.
    if now.size < before.size and (now.size or what == "file"):
        raise StoreFileLost(f"SQLite: the {what} was cut; {_TO_DO}")
    return now


def network_file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """Name the network file system on which a file lies; None where it is none, or nobody says so (proc(5))."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    best, kind = "", ""
    for line in lines:
        _, point, found, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        if path.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    return kind if kind in _NETWORK else None
