"""Where a store lies: what its URL says, read without the libraries that open it.

A routing file is checked in a part of the time that SQLAlchemy takes to import.
"""

import os
import re
from pathlib import Path
from urllib.parse import unquote


def scheme_of(url: str) -> str:
    """Return the word before `://`; nothing where there is none."""
    found = re.match(r"([\w+]+)://", url)
    return found[1] if found else ""


def check_sqlite(url: str) -> str | None:
    """Say what is wrong with an SQLite URL, without repeating any part of it; None when nothing is."""
    host, _, path = url.partition("://")[2].partition("/")
    if host:
        return "an SQLite URL names a file only: sqlite:///relative.db or sqlite:////absolute/file.db"
    if "?" in path:
        return "an SQLite URL takes no options after a question mark"
    if not path or path == ":memory:" or path.startswith("file:"):
        return "the path of the SQLite file is missing: sqlite:///relative.db or sqlite:////absolute/file.db"
    try:
        return _check_path(sqlite_path(url))
    except (OSError, ValueError):
        return "the path of the SQLite file cannot be read"


def sqlite_path(url: str) -> Path:
    """Return the file that an SQLite URL names, percent escapes decoded and links followed."""
    return Path(os.path.realpath(unquote(url.partition(":///")[2])))


def _check_path(path: Path) -> str | None:
    if not path.parent.is_dir():
        return "the folder of the SQLite file does not exist"
    if path.is_dir():
        return "the path of the SQLite file is a folder"
    return "the path of the SQLite file is a device or a pipe" if path.exists() and not path.is_file() else None
