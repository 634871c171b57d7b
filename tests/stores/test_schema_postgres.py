"""PostgreSQL databases: whose they are, who may use them, and how replicas that start together make one."""

import asyncio
import re
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from gateway.stores import StoreUnavailable, open_store, upgrade
from gateway.stores.schema import metadata, migrate, revisions
from gateway.stores.schema_postgres import connected
from tests.gateways import ROOT
from tests.postgres import Server, ask, new_database

UPGRADER = """
import sys
from gateway.stores import upgrade
from gateway.stores.schema_postgres import connected

print(flush=True)
sys.stdin.readline()
upgrade(sys.argv[1])
"""
NEWEST = max(revisions())
TABLES = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"
# What the README has a role granted that owns no tables.
WRITTEN = re.findall(
    r"GRANT SELECT, INSERT, UPDATE, DELETE ON ([^;]*) TO gateway;", (ROOT / "README.md").read_text(encoding="utf-8")
)[0]
OURS = sorted([*metadata.tables, "alembic_version", "gateway_store"])


@pytest.fixture
def empty(server: Server) -> str:
    """URL of a database without tables."""
    return asyncio.run(new_database(server))


def asked(url: str, *queries: str) -> list[object]:
    """Run SQL in a database, and return the first column of the last answer."""

    async def run() -> list[object]:
        rows = [await ask(url, query) for query in queries]
        return [row[0] for row in rows[-1]]

    return asyncio.run(run())


def mark(url: str, revision: str, oldest: int) -> None:
    """Make a database one that a gateway of this revision left."""
    asked(
        url,
        f"UPDATE alembic_version SET version_num = '{revision}'",  # noqa: S608 - the test's own numbers
        f"UPDATE gateway_store SET revision = {int(revision)}, oldest = {oldest}",  # noqa: S608 - as above
    )


async def test_migrations_and_metadata_agree(server: Server) -> None:
    """The revisions, applied in order, make in PostgreSQL exactly the tables the queries are written for."""

    def compare(connection: Connection) -> list[object]:
        migrate(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return [*compare_metadata(context, metadata)]

    async with connected(await new_database(server), 60) as connection:
        assert await connection.run_sync(compare) == []


def test_a_new_database_is_made_and_marked(empty: str) -> None:
    """It holds our tables, stands at the newest revision, and says who may use it; a second time nothing happens."""
    upgrade(empty)
    upgrade(empty)
    assert asked(empty, TABLES) == OURS
    assert asked(empty, "SELECT version_num FROM alembic_version") == [NEWEST]
    assert asked(empty, "SELECT array[revision, oldest] FROM gateway_store") == [[int(NEWEST), 1]]


async def test_ten_replicas_that_start_together_make_one_store(server: Server) -> None:
    """All succeed: one makes the tables while the others wait, and they find nothing left to do."""
    url = await new_database(server)
    replicas = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", UPGRADER, url),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(10)
    ]
    for replica in replicas:
        # All have imported what they need and wait: from here on they race.
        assert replica.stdout is not None
        await replica.stdout.readline()
    ends = await asyncio.gather(*(replica.communicate(b"\n") for replica in replicas))
    assert [replica.returncode for replica in replicas] == [0] * 10, ends
    assert await ask(url, TABLES) == [(name,) for name in OURS]


async def test_a_start_that_may_not_migrate_only_looks(server: Server) -> None:
    """An empty database is left empty, and what is to be done is said; one in order is taken by any role."""
    url = await new_database(server)
    with pytest.raises(StoreUnavailable, match=r"the database is empty.*`gateway store migrate`"):
        await asyncio.to_thread(upgrade, url, may_migrate=False)
    assert await ask(url, TABLES) == []
    await asyncio.to_thread(upgrade, url)
    role = f"least_{url.rpartition('_')[2]}"
    await ask(url, f"CREATE ROLE {role} LOGIN")
    await ask(url, f"GRANT SELECT ON alembic_version, gateway_store TO {role}")
    least = url.replace("postgres@", f"{role}@")
    await asyncio.to_thread(upgrade, least, may_migrate=False)
    store = open_store(least)
    with pytest.raises(StoreUnavailable, match="the role or the server may not write"):
        await store.open()
    assert {*re.split(r",\s+", WRITTEN)} == {*metadata.tables}
    await ask(url, f"GRANT SELECT, INSERT, UPDATE, DELETE ON {WRITTEN} TO {role}")
    await store.open()
    await store.set_password("ann", "hash-1")
    assert await store.password_hash("ann") == "hash-1"
    await store.close()


def test_an_older_store_is_migrated_and_keeps_its_rows(server: Server) -> None:
    """A database at revision 0001 is brought to the newest, by whoever may; whoever may not says where it stands."""

    async def make() -> str:
        url = await new_database(server)
        async with connected(url, 60) as connection:
            await connection.run_sync(migrate, "0001")
            await connection.commit()
        await ask(url, "CREATE TABLE gateway_store (revision integer NOT NULL, oldest integer NOT NULL, copied text)")
        await ask(url, "INSERT INTO gateway_store VALUES (1, 1)")
        await ask(url, "INSERT INTO credentials VALUES ('ann', 'hash-1', now())")
        return url

    url = asyncio.run(make())
    with pytest.raises(StoreUnavailable, match=f"stands at revision 0001, and this gateway needs {NEWEST}"):
        upgrade(url, may_migrate=False)
    upgrade(url)
    assert asked(url, "SELECT customer_id FROM credentials") == ["ann"]
    assert asked(url, "SELECT version_num FROM alembic_version") == [NEWEST]
    assert asked(url, "SELECT revision FROM gateway_store") == [int(NEWEST)]


async def test_an_older_replica_starts_behind_a_migration_that_only_added(server: Server) -> None:
    """Until the step after which it would fail or do harm: then it is refused by name. Nothing is changed by it."""
    url = await new_database(server)
    await asyncio.to_thread(upgrade, url)
    await ask(url, "ALTER TABLE credentials ADD COLUMN version bigint")
    await asyncio.to_thread(mark, url, "9000", int(NEWEST))
    await asyncio.to_thread(upgrade, url)
    store = open_store(url)
    await store.open()
    await store.set_password("ann", "hash-1")
    await store.close()
    await asyncio.to_thread(mark, url, "9001", int(NEWEST) + 1)
    with pytest.raises(StoreUnavailable, match=rf"needs a newer gateway.*revision 9001.*knows {NEWEST} at most"):
        await asyncio.to_thread(upgrade, url)
    assert await ask(url, "SELECT version_num FROM alembic_version") == [("9001",)]


@pytest.mark.parametrize(
    "queries",
    [
        ["CREATE TABLE posts (id integer)"],
        ["CREATE VIEW posts AS SELECT 1 AS one"],
        ["CREATE TABLE alembic_version (version_num text)", "INSERT INTO alembic_version VALUES ('0001')"],
        ["CREATE TABLE credentials (id integer)", "CREATE TABLE gateway_store (revision integer, oldest integer)"],
    ],
    ids=["tables", "a view", "migrations numbered like ours", "tables of our names"],
)
def test_a_schema_of_another_application_is_left_to_it(empty: str, queries: list[str]) -> None:
    """It is named, and nothing is made in it."""
    asked(empty, *queries)
    before = asked(empty, TABLES)
    with pytest.raises(StoreUnavailable, match="the schema is another application's: it has the tables"):
        upgrade(empty)
    assert asked(empty, TABLES) == before


def test_a_schema_of_its_own_is_enough(empty: str) -> None:
    """Beside another application's tables, where the role's search_path says so; extensions are nobody's tables."""
    asked(empty, "CREATE TABLE posts (id integer)", "CREATE SCHEMA shop")
    role = f"own_{empty.rpartition('_')[2]}"
    asked(
        empty,
        f"CREATE ROLE {role} LOGIN",
        f"ALTER ROLE {role} SET search_path = shop",
        f"ALTER SCHEMA shop OWNER TO {role}",
        "CREATE EXTENSION pg_stat_statements SCHEMA shop",
    )
    upgrade(empty.replace("postgres@", f"{role}@"))
    assert asked(empty, TABLES) == ["posts"]
    assert asked(empty, TABLES.replace("public", "shop")) == OURS
