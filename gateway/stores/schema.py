"""The tables of the stores, and the upgrade that brings a database to them.

It holds no queries; what changed from version to version is in `migrations/versions`.
"""

from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Double,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    inspect,
    select,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from gateway.stores import sqlite
from gateway.stores.ports import StoreUnavailable

metadata = MetaData()

credentials = Table(
    "credentials",
    metadata,
    Column("customer_id", Text, primary_key=True, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)

registrations = Table(
    "registrations",
    metadata,
    Column("id", Text, primary_key=True, nullable=False),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    UniqueConstraint("email", name="uq_registrations_email"),
)


# Alembic's own table, in which it keeps where a database stands.
_standing = Table("alembic_version", MetaData(), Column("version_num", Text))
_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(url: str) -> None:
    """Create the database or bring it to the newest revision; for the start, before anything is served.

    Processes that start at once take turns. Either every step is done or none.

    Raises:
        StoreUnavailable: the file cannot be written, or a newer release of the gateway wrote it.

    """
    try:
        path = sqlite.path_of(url)
        sqlite.create_file(path)
        engine = create_engine(
            sqlite.engine_url("sqlite+pysqlite", path),
            connect_args=sqlite.connect_arguments(),
            poolclass=NullPool,
            hide_parameters=True,
        )
        sqlite.prepare(engine)
        # BEGIN IMMEDIATE lets one process in; the others wait, and then find nothing left to do.
        with engine.execution_options(**sqlite.WRITING).begin() as connection:
            if not _is_newest(connection):
                _migrate(connection)
    except (SQLAlchemyError, OSError) as error:
        raise sqlite.unavailable(error) from error


def _is_newest(connection: Connection) -> bool:
    if not inspect(connection).has_table(_standing.name):
        return False
    newest = max(path.stem[1:5] for path in (_MIGRATIONS / "versions").glob("r*.py"))
    return list(connection.scalars(select(_standing.c.version_num))) == [newest]


def _migrate(connection: Connection) -> None:
    # Nearly every start finds nothing to do, and Alembic takes a tenth of a second to import.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    # The percent sign is special in Alembic's configuration.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreUnavailable("the database was written by a newer release of the gateway") from error
