"""Where passwords are kept: THE LIST of stores, chosen by the scheme of the URL.

A new store is one file and one line in the list. What opens a store is imported when one is opened: most commands never
open one, nor does a gateway whose upstream keeps the passwords.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.stores.location import check_sqlite, scheme_of
from gateway.stores.ports import CredentialStore, Registration, StoreUnavailable
from gateway.stores.postgres_url import check_postgres

__all__ = [
    "STORES",
    "CredentialStore",
    "Registration",
    "StoreUnavailable",
    "check_url",
    "newest",
    "open_store",
    "upgrade",
]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of store: `check_url` says what is wrong with a URL, `make` returns the store, not yet open.

    `upgrade` brings the database to the newest revision, or says that it is not there, where it may not.
    """

    check_url: Callable[[str], str | None]
    make: Callable[[str], CredentialStore]
    upgrade: Callable[[str, bool], None]


def _sql(url: str) -> CredentialStore:
    from gateway.stores.sql import SqlCredentialStore  # noqa: PLC0415 - see above

    return SqlCredentialStore(url)


def _postgres(url: str) -> CredentialStore:
    from gateway.stores.sql_postgres import PostgresCredentialStore  # noqa: PLC0415 - see above

    return PostgresCredentialStore(url)


def _upgrade_sqlite(url: str, may_migrate: bool) -> None:  # noqa: FBT001 - the list's way to call it
    from gateway.stores.schema import upgrade  # noqa: PLC0415 - see above

    upgrade(url, may_migrate=may_migrate)


def _upgrade_postgres(url: str, may_migrate: bool) -> None:  # noqa: FBT001 - the list's way to call it
    from gateway.stores.schema_postgres import upgrade  # noqa: PLC0415 - see above

    upgrade(url, may_migrate=may_migrate)


STORES: Mapping[str, Kind] = {
    "sqlite": Kind(check_sqlite, _sql, _upgrade_sqlite),
    "postgresql": Kind(check_postgres, _postgres, _upgrade_postgres),
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


def open_store(url: str) -> CredentialStore:
    """Make the store that a checked URL names; it connects with its own `open`.

    Raises:
        ValueError: no store has this scheme.

    """
    kind = STORES.get(scheme_of(url))
    if kind is None:
        raise ValueError("no store has the scheme of this URL")
    return kind.make(url)


def upgrade(url: str, *, may_migrate: bool = True) -> None:
    """Bring the database that a checked URL names to the newest revision; see `schema.upgrade`.

    Raises:
        StoreUnavailable: it cannot be had, is another application's, or is behind where it may not be changed.

    """
    STORES[scheme_of(url)].upgrade(url, may_migrate)


def newest() -> str:
    """Return the revision that `upgrade` brings databases to."""
    from gateway.stores.schema import revisions  # noqa: PLC0415 - see above

    return max(revisions())
