"""PostgreSQL: what the service refuses to start on, and units that are cut off in the middle."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from asyncpg import PostgresError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from casework.clock import Clock
from casework.database import UnitOfWork, UnsafeDatabase
from casework.outages import CommitFailed
from casework.postgres import PostgresDatabase
from casework.statements import HotStatement
from tests.casework.administrator import Administrator
from tests.conftest import RunningCluster
from tests.postgres import Cluster

PATIENCE_SECONDS = 30
ORG = UUID(int=7)
_HELD = 42
_SETTING = text("SELECT current_setting('casework.org', true)")

ROLES = Path(__file__).parents[2] / "deploy" / "postgresql" / "roles.sql"


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture
async def administrator(database_place: tuple[RunningCluster, str]) -> Administrator:
    administrator = Administrator.of(database_place)
    await administrator.sql(
        "CREATE TABLE pad (id integer PRIMARY KEY)", "GRANT SELECT, INSERT ON pad TO casework_app"
    )
    return administrator


@pytest.fixture(scope="module")
def careless_cluster(cluster: RunningCluster) -> Iterator[Cluster]:
    """A server of its own that does not wait for the disk; the others stay as they are."""
    careless = Cluster(Path(os.environ["CASEWORK_TEST_PG_BINARIES"]))
    careless.sql("ALTER SYSTEM SET fsync = off")
    careless.sql("SELECT pg_reload_conf()")
    while careless.sql("SHOW fsync").strip() != "off":
        pass
    yield careless
    careless.stop()


async def refusal(cluster: RunningCluster | Cluster, name: str, login: str = "casework_app") -> str:
    database = PostgresDatabase(cluster.url(name, login), cluster.url(name, "casework_integrator"), Clock())
    try:
        with pytest.raises(UnsafeDatabase) as raised:
            await database.start()
    finally:
        await database.stop()
    return str(raised.value)


async def test_a_server_without_fsync_is_refused(careless_cluster: Cluster) -> None:
    assert "fsync" in await refusal(careless_cluster, "postgres")


async def test_the_roles_are_prepared_again_beside_a_shred_store_that_survived(
    careless_cluster: Cluster,
) -> None:
    cluster, store = careless_cluster, "casework_shreds"
    cluster.run_file(ROLES)
    cluster.sql("CREATE TABLE kept ()", store, "casework_app")
    cluster.sql("DROP DATABASE casework")
    cluster.run_file(ROLES)
    assert cluster.sql("SELECT to_regclass('kept')", store).strip() == "kept"
    for name, login in (("casework", "casework_owner"), (store, "casework_app")):
        owner = f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{name}'"
        assert cluster.sql(owner).strip() == login
        # What `doctor` asks for, and a server as it is shipped has not.
        own = "SELECT setconfig FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase"
        assert cluster.sql(f"{own} WHERE datname = '{name}'").strip() == "{log_error_verbosity=terse}"


async def test_a_database_that_answers_before_the_disk_does_is_refused(
    database_place: tuple[RunningCluster, str],
) -> None:
    cluster, name = database_place
    cluster.sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    assert "synchronous_commit" in await refusal(cluster, name)


@pytest.mark.parametrize("login", ["postgres", "casework_owner"])
async def test_a_superuser_or_the_schemas_owner_is_refused_as_the_services_role(
    database_place: tuple[RunningCluster, str], login: str
) -> None:
    cluster, name = database_place
    assert "row-level security" in await refusal(cluster, name, login)


@pytest.mark.parametrize(
    "made",
    [
        "LOGIN BYPASSRLS",
        "LOGIN IN ROLE casework_owner",
        "LOGIN NOINHERIT IN ROLE casework_owner",
        "LOGIN NOINHERIT IN ROLE casework_app, casework_integrator",
        "LOGIN NOINHERIT IN ROLE casework_app, casework_pruner",
    ],
)
async def test_a_role_that_escapes_the_wall_or_may_become_one_that_does_is_refused(
    database_place: tuple[RunningCluster, str], made: str
) -> None:
    cluster, name = database_place
    login = f"r_{uuid4().hex}"
    cluster.sql(f"CREATE ROLE {login} {made}")
    try:
        assert "row-level security" in await refusal(cluster, name, login)
    finally:
        cluster.sql(f"DROP ROLE {login}")


async def test_the_organisation_of_one_unit_is_forgotten_by_the_next(database: PostgresDatabase) -> None:
    def enter(unit: UnitOfWork) -> tuple[int, str]:
        unit.enter_organisation(ORG)
        return _backend(unit.connection), unit.connection.execute(_SETTING).scalar_one()

    def look(unit: UnitOfWork) -> tuple[int, str | None]:
        return _backend(unit.connection), unit.connection.execute(_SETTING).scalar_one()

    first, entered = await database.unit(enter)
    second, left = await database.unit(look)
    assert first == second
    assert entered == ORG.hex
    assert not left


async def test_a_snapshot_is_inside_the_organisation_it_was_given(database: PostgresDatabase) -> None:
    def setting(view: Connection) -> Any:
        return view.execute(_SETTING).scalar_one()

    assert await database.snapshot(setting, ORG) == ORG.hex
    assert not await database.snapshot(setting)


async def test_a_cancelled_unit_writes_nothing_and_gives_its_connection_back(
    database: PostgresDatabase, administrator: Administrator
) -> None:
    calls: list[str] = []

    def wait_for_the_lock(unit: UnitOfWork) -> None:
        unit.on_rollback(lambda: calls.append("undone"))
        unit.connection.execute(text("INSERT INTO pad VALUES (1)"))
        unit.connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _HELD})

    async def cancel_when_waiting(task: asyncio.Task[None]) -> None:
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await administrator.value(waiting + f" AND objid = {_HELD}"):
                pass
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    release = asyncio.Event()
    held = asyncio.Event()
    holder = asyncio.create_task(_hold_lock(administrator, held, release))
    await held.wait()
    # More often than the pool has connections: none may be lost.
    for _ in range(10):
        await cancel_when_waiting(asyncio.create_task(database.unit(wait_for_the_lock)))
    release.set()
    await holder
    assert calls == ["undone"] * 10
    assert await administrator.value("SELECT count(*) FROM pad") == 0
    await database.unit(lambda unit: unit.connection.execute(text("INSERT INTO pad VALUES (2)")))
    assert await administrator.value("SELECT id FROM pad") == 2


async def _hold_lock(administrator: Administrator, held: asyncio.Event, release: asyncio.Event) -> None:
    other = PostgresDatabase(administrator.url, administrator.url, Clock())
    async with other.engine.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _HELD})
        held.set()
        await release.wait()
    await other.stop()


async def test_a_connection_lost_in_the_middle_undoes_the_unit_and_the_next_one_works(
    database: PostgresDatabase, administrator: Administrator
) -> None:
    calls: list[str] = []

    def cut_off(unit: UnitOfWork) -> None:
        unit.on_rollback(lambda: calls.append("undone"))
        unit.connection.execute(text("INSERT INTO pad VALUES (1)"))
        unit.connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises((DBAPIError, OSError)):
        await database.unit(cut_off)
    assert calls == ["undone"]
    await database.unit(lambda unit: unit.connection.execute(text("INSERT INTO pad VALUES (2)")))
    assert await administrator.value("SELECT string_agg(id::text, ',') FROM pad") == "2"


async def test_a_connection_lost_under_a_hot_statement_is_not_given_out_again(
    database: PostgresDatabase,
) -> None:
    cut_off = HotStatement(text("SELECT pg_terminate_backend(pg_backend_pid())").columns())
    calls: list[str] = []

    def work(unit: UnitOfWork) -> None:
        unit.on_rollback(lambda: calls.append("undone"))
        cut_off.rows(unit.connection, {})

    # More often than the pool has connections: none may be lost.
    for _ in range(10):
        with pytest.raises((DBAPIError, PostgresError, OSError)):
            await database.unit(work)
    assert calls == ["undone"] * 10
    assert await database.unit(lambda unit: _backend(unit.connection))


async def test_a_connection_lost_at_the_commit_is_a_failed_commit(
    database: PostgresDatabase, administrator: Administrator
) -> None:
    await administrator.sql(
        "CREATE FUNCTION cut_off() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER cut_off AFTER INSERT ON pad DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION cut_off()",
    )
    calls: list[str] = []

    def work(unit: UnitOfWork) -> str:
        unit.on_rollback(lambda: calls.append("undone"))
        unit.connection.execute(text("INSERT INTO pad VALUES (1)"))
        return "success"

    with pytest.raises(CommitFailed):
        await database.unit(work)
    assert calls == ["undone"]
    assert await administrator.value("SELECT count(*) FROM pad") == 0
    assert await database.unit(lambda unit: _backend(unit.connection))


def _backend(connection: Connection) -> int:
    found: int = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    return found
