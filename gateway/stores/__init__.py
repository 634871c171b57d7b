"""Where passwords are kept: THE LIST of stores, chosen by the scheme of the URL.

A new store is one file and one line in the list. What opens a store is imported when one is opened: most commands never
open one, nor does a gateway whose upstream keeps the passwords.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.stores.location import check_sqlite, scheme_of, sqlite_path
from gateway.stores.ports import CredentialStore, Registration, SessionStore, StoreUnavailable
from gateway.stores.postgres_url import check_postgres
from gateway.stores.watch import Mark, check_same, mark, network_file_system

if TYPE_CHECKING:
    from asyncio import Future

__all__ = [
    "STORES",
    "CredentialStore",
    "Mark",
    "Registration",
    "SessionStore",
    "StoreUnavailable",
    "at_own_risk",
    "check_url",
    "is_usable",
    "mark_of",
    "newest",
    "open_store",
    "upgrade",
]

Tell = Callable[[str], None]
_PROBE_SECONDS = 0.5
_asking: set["Future[bool | str]"] = set()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of store: `check_url` says what is wrong with a URL, `make` returns the store, not yet open.

    `upgrade` brings the database to the newest revision, or says that it is not there, where it may not; `path` is that
    of a store in a file.
    """

    check_url: Callable[[str], str | None]
    make: Callable[[str, Mark | None, Tell, str | None], CredentialStore]
    upgrade: Callable[[str, bool], None]
    path: Callable[[str], Path] | None


def _sql(url: str, opened: Mark | None, tell: Tell, notify_url: str | None) -> CredentialStore:
    del notify_url  # a file tells nobody
    from gateway.stores.sql import SqlCredentialStore  # noqa: PLC0415 - see above

    return SqlCredentialStore(url, opened, tell)


def _postgres(url: str, opened: Mark | None, tell: Tell, notify_url: str | None) -> CredentialStore:
    del opened, tell  # no file is lost
    from gateway.stores.sql_postgres import PostgresCredentialStore  # noqa: PLC0415 - see above

    return PostgresCredentialStore(url, notify_url)


def _upgrade_sqlite(url: str, may_migrate: bool) -> None:  # noqa: FBT001 - the list's way to call it
    from gateway.stores.schema import upgrade  # noqa: PLC0415 - see above

    upgrade(url, may_migrate=may_migrate)


def _upgrade_postgres(url: str, may_migrate: bool) -> None:  # noqa: FBT001 - the list's way to call it
    from gateway.stores.schema_postgres import upgrade  # noqa: PLC0415 - see above

    upgrade(url, may_migrate=may_migrate)


STORES: Mapping[str, Kind] = {
    "sqlite": Kind(check_sqlite, _sql, _upgrade_sqlite, sqlite_path),
    "postgresql": Kind(check_postgres, _postgres, _upgrade_postgres, None),
}


def check_url(url: str) -> str | None:
    """Say what is wrong with a store's URL; None when nothing is.

    Of the URL itself only the scheme is repeated, because the rest may carry a password.
    """
    scheme = scheme_of(url)
    if not scheme:
        return "this is not a URL of a store, such as sqlite:////var/lib/gateway/store.db"
    dialect, plus, _ = scheme.partition("+")
    kind = STORES.get(dialect)
    if kind is None:
        return f"no store has the scheme {dialect!r}; there are: {', '.join(STORES)}"
    if plus:
        return f"the driver is the gateway's choice: write {dialect}: instead of {scheme}:"
    return kind.check_url(url)


def open_store(
    url: str, opened: Mark | None = None, tell: Tell = lambda _: None, notify_url: str | None = None
) -> CredentialStore:
    """Make the store that a checked URL names; it connects with its own `open`.

    `opened` is what other processes of this gateway have open: nothing else is opened then. `tell` hears, from a thread
    of the store, when its files are lost. `notify_url` is for the channel on which a server tells of log-outs.

    Raises:
        ValueError: no store has this scheme.

    """
    kind = STORES.get(scheme_of(url))
    if kind is None:
        raise ValueError("no store has the scheme of this URL")
    return kind.make(url, opened, tell, notify_url)


async def is_usable(store: SessionStore) -> bool | str:
    """Tell whether a store can be used; a text says why not.

    It comes before a probe gives up that waits for a second, as Kubernetes' do.
    """
    import asyncio  # noqa: PLC0415 - see above

    async def ask() -> bool | str:
        try:
            await store.ping()
        except StoreUnavailable as error:
            return str(error)
        return True

    asking = asyncio.ensure_future(ask())
    # It is not cancelled: to give a statement up takes as long where a server stands still.
    _asking.add(asking)
    asking.add_done_callback(_asking.discard)
    answered, _ = await asyncio.wait({asking}, timeout=_PROBE_SECONDS)
    return asking.result() if answered else "no answer"


def mark_of(url: str) -> Mark | None:
    """Return which file a checked URL names; None where there is none, or none yet. Raises OSError."""
    path = STORES[scheme_of(url)].path
    return mark(path(url)) if path else None


def at_own_risk(url: str) -> str | None:
    """Say why the place of a store is one at the operator's own risk; None where it is not."""
    path = STORES[scheme_of(url)].path
    found = path and network_file_system(path(url))
    return f"the SQLite file is on a network file system ({found}): never open it from a second host" if found else None


def upgrade(url: str, opened: Mark | None = None, *, may_migrate: bool = True) -> None:
    """Bring the database that a checked URL names to the newest revision; see `schema.upgrade`.

    Another process has done so where a file is `opened`: then it is only seen to that it is the same. Raises OSError.

    Raises:
        StoreUnavailable: it cannot be had, is another application's, or is behind where it may not be changed.

    """
    kind = STORES[scheme_of(url)]
    if opened is not None and kind.path is not None:
        check_same(kind.path(url), opened)
        return
    kind.upgrade(url, may_migrate)


def newest() -> str:
    """Return the revision that `upgrade` brings databases to."""
    from gateway.stores.schema import revisions  # noqa: PLC0415 - see above

    return max(revisions())
