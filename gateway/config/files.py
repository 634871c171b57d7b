"""The files that a configuration is made of: one pair of hands reads them all, and remembers what it has read.

Whether any has changed is told by content alone: times and inodes say too much of a ConfigMap, which swaps a link
(`..data`) for all of its files at once, and too little of a file that is written in place.
"""

import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path

# More than anybody keeps signing keys or parts of a routing file beside each other.
_ENTRIES_MOST = 1000
# What is only noted is somebody else's to read: bundles of authorities are a few hundred KiB.
_NOTED_MOST = 4 * 1024 * 1024


class Unreadable(Exception):  # noqa: N818 - says what the file is
    """A file cannot be used; `reason` is a short phrase without any of its content."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TooLarge(Unreadable):
    """A file is larger than files of its kind may be."""


class Files:
    """Reads files, and keeps a digest of each that was asked for, whether or not it could be read."""

    def __init__(self) -> None:
        # By absolute path: the most bytes that are read of it, and what was found.
        self._seen: dict[Path, tuple[int, str]] = {}

    def __iter__(self) -> Iterator[Path]:
        """Yield every file and folder that was asked for: what the configuration was made of, and what it lacks."""
        return iter(self._seen)

    def contents(self, path: Path, limit: int) -> bytes:
        """Read a regular file of at most `limit` bytes.

        Raises Unreadable with the reason, TooLarge among them.
        """
        found: bytes | Unreadable
        try:
            found = contents(path, limit)
        except Unreadable as error:
            found = error
        self._seen[path.absolute()] = limit, _digest(found)
        if isinstance(found, Unreadable):
            raise found
        return found

    def note(self, path: Path) -> str:
        """Know of a file, or a folder with its files, that somebody else reads; returns the digest of what is there."""
        found = _look(path, _NOTED_MOST)
        self._seen[path.absolute()] = _NOTED_MOST, found
        return found

    def now(self) -> tuple[str, ...]:
        """Return the digests of what is there at this moment, in the order of the files."""
        return tuple(_look(path, limit) for path, (limit, _) in self._seen.items())

    def then(self) -> tuple[str, ...]:
        """Return the digests of what was there when it was asked for, in the order of the files."""
        return tuple(found for _, found in self._seen.values())

    def folders(self) -> frozenset[Path]:
        """Return the folders where a change of any is seen, also behind links and where one is not there yet."""
        found: set[Path] = set()
        for path in self._seen:
            for place in (path, path.resolve()):
                folder = place if place.is_dir() else place.parent
                while not folder.is_dir() and folder != folder.parent:
                    folder = folder.parent
                found.add(folder)
        return frozenset(found)

    def anew(self) -> "Files":
        """Return the same files, as they are at this moment."""
        files = Files()
        files.add(self)
        return files

    def add(self, others: "Files") -> None:
        """Know of other files as well, as they are at this moment."""
        for path, (limit, _) in others._seen.items():  # noqa: SLF001 - of its own kind
            self._seen.setdefault(path, (limit, _look(path, limit)))


def contents(path: Path, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes, for whoever need not know of it later.

    Raises Unreadable with the reason, TooLarge among them.
    """
    try:
        # Opening a pipe or a device could wait forever or never end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise Unreadable("not a regular file")
        with path.open("rb") as file:
            found = file.read(limit + 1)
    except OSError as error:
        raise Unreadable(error.strerror or type(error).__name__) from None
    except ValueError:
        # A zero byte or half a surrogate pair in the path, which no file system takes.
        raise Unreadable("not a possible file name") from None
    if len(found) > limit:
        raise TooLarge(f"larger than {limit} bytes")
    return found


def _look(path: Path, limit: int) -> str:
    try:
        names = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else None
        if names is None:
            return _digest(contents(path, limit))
    except Unreadable as error:
        return _digest(error)
    except (OSError, ValueError) as error:
        return type(error).__name__
    # Other folders in it are not looked into: those of a Kubernetes volume are what its links lead to.
    files = [name for name in names[:_ENTRIES_MOST] if not name.startswith(".") and (path / name).is_file()]
    return hashlib.sha256("\n".join(f"{name} {_look(path / name, limit)}" for name in files).encode()).hexdigest()


def _digest(found: bytes | Unreadable) -> str:
    return found.reason if isinstance(found, Unreadable) else hashlib.sha256(found).hexdigest()
