"""The tables of the stores, and the upgrade that brings a database to them.

It holds no queries; what changed from version to version is in `migrations/versions`.
"""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    insert,
    select,
)
from sqlalchemy.exc import SQLAlchemyError

from gateway.stores import sqlite
from gateway.stores.location import check_sqlite, sqlite_path
from gateway.stores.ports import StoreUnavailable

metadata = MetaData()


class Words(TypeDecorator[str]):
    """Text of any characters.

    PostgreSQL knows no U+0000 (postgresql.org/docs/current/datatype-character.html): there a backslash and a nought
    stand for it, and two backslashes for one.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return what is kept."""
        if value is None or dialect.name != "postgresql":
            return value
        return value.replace("\\", r"\\").replace("\0", r"\0")

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Return what was meant."""
        if value is None or dialect.name != "postgresql" or "\\" not in value:
            return value
        return re.sub(r"\\(.)", lambda found: "\0" if found[1] == "0" else found[1], value, flags=re.DOTALL)


credentials = Table(
    "credentials",
    metadata,
    Column("customer_id", Words, primary_key=True, nullable=False),
    Column("password_hash", Words, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)

registrations = Table(
    "registrations",
    metadata,
    Column("id", Words, primary_key=True, nullable=False),
    Column("email", Words, nullable=False),
    Column("name", Words, nullable=False),
    Column("password_hash", Words, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("customer_id", Words),
    UniqueConstraint("email", name="uq_registrations_email"),
)

emails = Table(
    "emails",
    metadata,
    Column("email", Words, primary_key=True, nullable=False),
    Column("customer_id", Words),
    Column("owner", Words),
    Column("deadline", Double),
    Index("ix_emails_customer_id", "customer_id"),
)

numbers = Table(
    "numbers",
    metadata,
    Column("id", Integer, primary_key=True, nullable=False, autoincrement=False),
    Column("last", BigInteger, nullable=False),
)
"""One row: the last number that was given to anything (`sessions`)."""

customers = Table(
    "customers",
    metadata,
    Column("customer_id", Words, primary_key=True, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("is_blocked", Boolean, nullable=False),
    UniqueConstraint("number", name="uq_customers_number"),
)
"""Who has logged in or was logged out; `version` is that of the last log-out of all sessions, 0 before any."""

log_outs = Table(
    "log_outs",
    metadata,
    Column("number", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    Column("customer_id", Words),
    UniqueConstraint("version", name="uq_log_outs_version"),
)
"""The last log-out of a session, of a customer (then `customer_id` says whose), or of all (the number 0)."""

password_resets = Table(
    "password_resets",
    metadata,
    Column("customer_id", Words, primary_key=True, nullable=False),
    Column("token_hash", Words, nullable=False),
    Column("email", Words, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("expires_at", Double, nullable=False),
    UniqueConstraint("token_hash", name="uq_password_resets_token_hash"),
)

login_attempts, login_places = (
    Table(
        name,
        metadata,
        Column("key", LargeBinary, primary_key=True, nullable=False),
        Column("until", BigInteger, nullable=False),
        Index(f"ix_{name}_until", "until"),
    )
    for name in ("login_attempts", "login_places")
)
"""Of PostgreSQL: buckets, until they are full again, and from where passwords were right (`attempts`).

They are no part of what a store holds: neither a copy nor a backup takes them along.
"""


MIGRATE = "`gateway store migrate` brings it there"
"""What to do about a database that is behind where the start may not."""

APPLICATION_ID = int.from_bytes(b"CTGW")
"""Says in the file itself whose it is (sqlite.org/pragma.html#pragma_application_id)."""

OLDEST = 1
"""The oldest revision whose gateways may use a database that stands at the newest one.

A revision that only adds leaves it, so that replicas of two releases may share a store while one takes over from the
other. One after which older gateways would fail, or do harm, puts its own number here.
"""

# `user_version` repeats where the database stands and says who may use it: 30001 is revision 3, for revision 1 on.
_REVISIONS = 10_000
standing = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
"""Alembic's own table, in which it keeps where a database stands."""
# The first releases set no mark: their stores are known by the columns of revision 0001.
_first = MetaData()
Table("credentials", _first, *map(Column, ("customer_id", "password_hash", "updated_at")))
Table("registrations", _first, *map(Column, ("id", "email", "name", "password_hash", "started_at")))
_NAMES = """
SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name
"""
_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(url: str, *, may_migrate: bool = True) -> None:
    """Create the database or bring it to the newest revision; for the start, before anything is served.

    Processes that start at once take turns. Either every step is done or none. A file that is neither a store of ours
    nor empty is left as it is, and so is a store that a newer release brought further and that this one may use.
    Without `may_migrate` nothing is changed, and what would have to be is a failure.

    Raises:
        StoreUnavailable: the file cannot be written, is another application's, or needs a newer release of the gateway.

    """
    try:
        if fault := check_sqlite(url):
            raise StoreUnavailable(f"SQLite: {fault}")
        path = sqlite_path(url)
        if path.exists() and not sqlite.is_writable(path):
            raise StoreUnavailable(sqlite.NOT_WRITABLE)
        if may_migrate:
            sqlite.create_file(path)
        elif not path.exists():
            raise StoreUnavailable(f"SQLite: there is no file yet: {MIGRATE}")
        with sqlite.looking(path) as look:
            if _is_ready(look.execute):
                return
        if not may_migrate:
            raise StoreUnavailable(f"SQLite: the file is not at revision {max(revisions())}: {MIGRATE}")
        engine = sqlite.sync_engine(path)
        # BEGIN IMMEDIATE lets one process in; the others wait, and then find nothing left to do.
        with engine.execution_options(**sqlite.WRITING).begin() as connection:
            if not _is_ready(connection.exec_driver_sql):
                if connection.exec_driver_sql(_NAMES).first() is None:
                    create(connection)
                else:
                    migrate(connection)
                connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.exec_driver_sql(f"PRAGMA user_version = {_version(max(revisions()))}")
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise sqlite.unavailable(error) from error


def _is_ready(execute: Callable[..., Any]) -> bool:
    """Tell whether a database can be used as it is; False for one that is empty or that an older release of ours made.

    `execute` takes a statement of SQLite and its parameters. Raises StoreUnavailable for any other database.
    """
    mark, version = (execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    names = [name for (name,) in execute(_NAMES)]
    stands = [revision for (revision,) in execute(str(select(standing)))] if _has_columns(execute, standing) else []
    is_unmarked = not mark and not version and stands and _has_columns(execute, *_first.tables.values())
    if mark != APPLICATION_ID and not is_unmarked and (mark or version or names):
        what = f"the application_id {mark:#x}" if mark else f"the user_version {version}"
        if names and not mark:
            what = f"the tables {', '.join(map(repr, names[:3]))}"
        raise StoreUnavailable(f"SQLite: the file is another application's: it has {what}; give the gateway its own")
    known = revisions()
    if known.issuperset(stands):
        return stands == [max(known)] and version == _version(max(known))
    revision, oldest = divmod(version, _REVISIONS)
    if stands != [f"{revision:04}"] or oldest > int(max(known)):
        what = f"it was written by a newer release (revision {', '.join(stands)})"
        raise StoreUnavailable(
            f"SQLite: the file needs a newer gateway: {what}, and this one knows {max(known)} at most"
        )
    return True


def _has_columns(execute: Callable[..., Any], *tables: Table) -> bool:
    return all(
        {name for (name,) in execute("SELECT name FROM pragma_table_info(?)", (table.name,))} >= {*table.columns.keys()}
        for table in tables
    )


def revisions() -> frozenset[str]:
    """Return the numbers of all revisions that there are."""
    return frozenset(path.stem[1:5] for path in (_MIGRATIONS / "versions").glob("r*.py"))


def _version(revision: str) -> int:
    return int(revision) * _REVISIONS + OLDEST


def create(connection: Connection) -> None:
    """Make what the revisions would make of an empty database, in one step."""
    metadata.create_all(connection, checkfirst=False)
    standing.create(connection)
    connection.execute(insert(standing).values(version_num=max(revisions())))


def migrate(connection: Connection, revision: str = "head") -> None:
    """Apply the revisions that a database lacks, up to this one."""
    # Nearly no start has any to apply, and Alembic takes a tenth of a second to import.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    # The percent sign is special in Alembic's configuration.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, revision)
