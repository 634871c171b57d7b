"""A folder of signing keys on the disk: read whole, and changed one file at a time. What the keys are is not its own.

A file is written beside its place, brought to the disk and renamed, so that a reader, or a crash, meets the old one or
the new one. Names that begin with a dot are passed over: those of files being written, and a Kubernetes volume's own.
"""

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config.files import Unreadable, contents
from gateway.config.interpolation import FILE_LIMIT

# One for each rotation; who rotates daily clears retired ones away within half a year.
_FILES_MOST = 200


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """What a folder held when it was read. `faults` are files that could not be: name, and reason."""

    path: Path
    # Private keys: they stay out of every repr.
    texts: Mapping[str, str] = field(repr=False)
    faults: tuple[str, ...] = ()


def read_folder(path: Path) -> KeyFolder:
    """Read every file of the folder; what cannot be read is among the faults."""
    try:
        names = sorted(file.name for file in path.iterdir() if not file.name.startswith("."))
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not a possible name"
        return KeyFolder(path, {}, (f"the folder cannot be read: {reason}",))
    if len(names) > _FILES_MOST:
        return KeyFolder(path, {}, (f"the folder holds more than {_FILES_MOST} files",))
    texts, faults = {}, []
    for name in names:
        try:
            texts[name] = contents(path / name, FILE_LIMIT).decode()
        except Unreadable as error:
            faults.append(f"{name}: {error.reason}")
        except UnicodeDecodeError:
            faults.append(f"{name}: not UTF-8 text")
    return KeyFolder(path, texts, tuple(faults))


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Be the only one who changes the folder, among those who ask. Raises OSError where it cannot be opened."""
    with _opened(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def write_file(path: Path, text: str) -> None:
    """Put a file in its place at once, new or instead of the one there, on the disk when this returns.

    Owner and mode are those of the file before it; a new one is its owner's alone, and root gives it to whom the folder
    belongs. Raises OSError: then the place is as it was.
    """
    if path.is_symlink():
        raise OSError(errno.ELOOP, "a link; change the file where it lies", str(path))
    replaces = path.exists()
    model = path.stat() if replaces else path.parent.stat()
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if (replaces or os.geteuid() == 0) and (model.st_uid, model.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, model.st_uid, model.st_gid)
            if replaces:
                os.fchmod(descriptor, stat.S_IMODE(model.st_mode))
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        beside.rename(path)
    finally:
        beside.unlink(missing_ok=True)
    with _opened(path.parent) as folder:
        os.fsync(folder)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
