"""Where passwords are kept: THE LIST of stores, chosen by the scheme of the URL.

A new store is one file and one line in the list.
"""

from collections.abc import Mapping

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from gateway.stores.ports import CredentialStore, Registration, StoreUnavailable
from gateway.stores.schema import upgrade
from gateway.stores.sql import SqlCredentialStore

__all__ = ["STORES", "CredentialStore", "Registration", "StoreUnavailable", "check_url", "open_store", "upgrade"]

STORES: Mapping[str, type[SqlCredentialStore]] = {
    "sqlite": SqlCredentialStore,
}


def check_url(url: str) -> str | None:
    """Say what is wrong with a store's URL; None when nothing is.

    Of the URL itself only the scheme is repeated, because the rest may carry a password.
    """
    try:
        scheme = make_url(url).drivername
    except (ArgumentError, ValueError):
        return "this is not a URL of a store, such as sqlite:////var/lib/gateway/store.db"
    dialect, plus, _ = scheme.partition("+")
    store = STORES.get(dialect)
    if store is None:
        return f"no store has the scheme {dialect!r}; there are: {', '.join(STORES)}"
    if plus:
        return f"the driver is the gateway's choice: write {dialect}: instead of {scheme}:"
    return store.check_url(url)


def open_store(url: str) -> CredentialStore:
    """Make the store that a checked URL names; it connects with its own `open`.

    Raises:
        ValueError: no store has this scheme.

    """
    store = STORES.get(make_url(url).drivername)
    if store is None:
        raise ValueError("no store has the scheme of this URL")
    return store(url)
