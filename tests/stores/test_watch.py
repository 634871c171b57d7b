"""Whether the files of an open database are the ones that were opened."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.stores import StoreUnavailable, open_store, upgrade
from gateway.stores.ports import StoreFileLost
from gateway.stores.watch import FileWatch, check_same, mark, network_file_system

Harm = Callable[[Path], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a store's file."""
    upgrade(f"sqlite:///{tmp_path}/store.db")
    return tmp_path / "store.db"


@pytest.fixture
def told() -> list[str]:
    """Give what is told."""
    return []


@pytest.fixture
def watch(path: Path, told: list[str]) -> Iterator[FileWatch]:
    """Give a watch of it that has begun."""
    watch = FileWatch(path, None, told.append)
    watch.open()
    yield watch
    watch.close()


def _log(path: Path) -> Path:
    return Path(f"{path}-wal")


def _replace(path: Path) -> None:
    copy = path.with_name("backup.db")
    shutil.copy(path, copy)
    copy.rename(path)


def _cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(512)


def _write(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO credentials VALUES ('a', 'b', CURRENT_TIMESTAMP)")


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


HARM: dict[str, tuple[Harm, str]] = {
    "unlinked": (Path.unlink, "the file was taken away"),
    "moved": (lambda path: path.rename(path.with_name("moved.db")), "the file was taken away"),
    "replaced": (_replace, "the file was replaced by another"),
    "cut": (_cut, "the file was cut"),
    "emptied": (lambda path: path.write_bytes(b""), "the file was cut"),
    "log unlinked": (lambda path: _log(path).unlink(), "the log of the file was taken away"),
    "log replaced": (lambda path: _replace(_log(path)), "the log of the file was replaced by another"),
    "log cut": (lambda path: _cut(_log(path)), "the log of the file was cut"),
}


@pytest.mark.parametrize(("harm", "says"), HARM.values(), ids=HARM)
def test_what_is_lost(path: Path, watch: FileWatch, told: list[str], harm: Harm, says: str) -> None:
    """Each way in which a file is not what it was is named, told of once, and stays until a restart."""
    watch.check()
    if says.endswith("log of the file was cut"):
        _write(path)
        watch.check()
    harm(path)
    for _ in range(2):
        with pytest.raises(StoreFileLost, match=says):
            watch.check()
    assert len(told) == 1
    _replace(path) if path.exists() else path.touch()
    with pytest.raises(StoreFileLost, match=says):
        watch.check()


def test_what_is_no_loss(path: Path, watch: FileWatch, told: list[str]) -> None:
    """Writes and checkpoints of ours and of others, a backup, and the end of other connections change nothing."""
    for step in ("PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA wal_checkpoint(RESTART)", "DELETE FROM credentials"):
        _write(path)
        watch.check()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute(step).fetchall()
        watch.check()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("DELETE FROM credentials")
    shutil.copy(path, path.with_name("copy.db"))
    watch.check()
    assert told == []


def test_what_others_have_open(path: Path, watch: FileWatch) -> None:
    """A process that comes later opens the file that the others have, and no other."""
    opened = mark(path)
    assert opened is not None
    check_same(path, opened)
    later = FileWatch(path, opened, print)
    later.open()
    later.close()
    _log(path).rename(path.with_name("log"))
    with pytest.raises(StoreFileLost, match="the log of the file was taken away"):
        check_same(path, opened)
    path.with_name("log").rename(_log(path))
    check_same(path, opened)
    _replace(path)
    before = path.read_bytes()
    with pytest.raises(StoreFileLost, match="replaced"):
        FileWatch(path, opened, print).open()
    assert path.read_bytes() == before
    watch.close()


async def test_a_lost_file_takes_no_writes_and_gives_what_it_has(path: Path) -> None:
    """Every write is refused by name, and reads go on; the file that took its place is not opened."""
    store = open_store(f"sqlite:///{path}")
    await store.open()
    await store.set_password("one", "hash")
    _replace(path)
    there = _bytes(path)
    for write in (store.ping(), store.set_password("two", "hash"), store.forget("one"), store.abandon("x")):
        with pytest.raises(StoreFileLost):
            await write
    assert await store.password_hash("one") == "hash"
    assert _bytes(path) == there
    await store.close()


async def test_two_processes_on_one_file(path: Path) -> None:
    """Two that have one file open see each other's writes, and neither takes the other's for a loss."""
    one, other = (open_store(f"sqlite:///{path}") for _ in range(2))
    await one.open()
    await other.open()
    for number in range(20):
        await (one, other)[number % 2].set_password(f"c{number}", "hash")
    assert len(await one.with_password([f"c{number}" for number in range(20)])) == 20
    await other.close()
    await one.ping()
    await one.close()


async def test_the_first_open_names_what_is_there(tmp_path: Path) -> None:
    """A file that is not there is unavailable, and no file is made."""
    store = open_store(f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(StoreUnavailable):
        await store.open()
    assert _bytes(tmp_path / "none.db") is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/data/store.db", "nfs4"),
        ("/data/deep/store.db", "nfs4"),
        ("/data/local/store.db", None),
        ("/with space/store.db", "cifs"),
        ("/database/store.db", None),
    ],
)
def test_network_file_systems(path: str, kind: str | None, tmp_path: Path) -> None:
    """The innermost mount decides."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "overlay / overlay rw 0 0\nserver:/x /data nfs4 rw 0 0\n/dev/sda /data/local ext4 rw 0 0\n"
        "//server/share /with\\040space cifs rw 0 0\n"
    )
    assert network_file_system(Path(path), mounts) == kind
    assert network_file_system(Path(path), tmp_path / "none") is None
