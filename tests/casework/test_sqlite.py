"""SQLite's writer thread, its settings, and the sessions file. One process writes: a second one only waits."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from casework.clock import Clock
from casework.database import UnitOfWork, UnsafeDatabase
from casework.deployment import assemble, dismantle
from casework.errors import NotSignedIn
from casework.identity import sessions, sign_in
from casework.identity.sessions import PendingSession, Token
from casework.journal import Who
from casework.outages import CommitFailed, StorageFull
from casework.routing import decode_token
from casework.sqlite import UNITS_PER_COMMIT, SqliteDatabase, make_engine, sessions_file, set_pragmas
from crypto.directory import Floor
from crypto.password import FLOOR_PARAMS
from tests.casework.administrator import Administrator
from tests.casework.centre import PASSWORD, Centre, Foundation, Urls, open_centre
from tests.casework.test_floors import append_minimum, floor_of

PATIENCE_SECONDS = 30


@pytest.fixture
def engine_name() -> str:
    return "sqlite"


@pytest.fixture
async def administrator(database_place: Path) -> Administrator:
    administrator = Administrator.of(database_place)
    await administrator.sql(
        "CREATE TABLE pad (id integer PRIMARY KEY)", "CREATE TABLE filler (content blob NOT NULL)"
    )
    return administrator


def put(number: int) -> Callable[[UnitOfWork], int]:
    def work(unit: UnitOfWork) -> int:
        unit.connection.execute(text("INSERT INTO pad VALUES (:number)"), {"number": number})
        return number

    return work


def numbers(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM pad ORDER BY id")]


@asynccontextmanager
async def one_commit(database: SqliteDatabase) -> AsyncIterator[None]:
    """What is submitted inside waits until the end, and then goes to the disk with one commit."""
    gate, entered = threading.Event(), threading.Event()

    def wait(_unit: UnitOfWork) -> None:
        entered.set()
        assert gate.wait(PATIENCE_SECONDS)

    holding = asyncio.create_task(database.unit(wait))
    assert await asyncio.to_thread(entered.wait, PATIENCE_SECONDS)
    yield
    # Each task that was made inside has put its unit into the queue once it has run its first step.
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(holding, return_exceptions=True)


async def pragma(database: SqliteDatabase, name: str) -> Any:
    return await database.unit(
        lambda unit: unit.connection.exec_driver_sql(f"PRAGMA {name}").scalar_one_or_none()
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("recursive_triggers", 1),
        ("secure_delete", 1),
        ("busy_timeout", 5_000),
        ("sessions.journal_mode", "wal"),
        ("sessions.synchronous", 0),
    ],
)
async def test_the_writer_works_under_every_durable_setting(
    database: SqliteDatabase, name: str, value: object
) -> None:
    assert await pragma(database, name) == value


async def test_a_setting_that_sqlite_does_not_take_is_refused_by_name() -> None:
    # A database in memory has no write-ahead log.
    with (
        closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(UnsafeDatabase, match="journal_mode"),
    ):
        set_pragmas(connection, (("journal_mode", "WAL", "wal"),))


async def test_a_database_that_cannot_be_opened_is_an_error_at_start(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "absent" / "casework.db", Clock())
    with pytest.raises(OperationalError):
        await database.start()
    await database.stop()


async def test_a_unit_holds_the_write_lock_from_its_first_statement(
    database: SqliteDatabase, database_place: Path
) -> None:
    def another_writer(_unit: UnitOfWork) -> None:
        with closing(sqlite3.connect(database_place, timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")

    with pytest.raises(sqlite3.OperationalError, match="locked"):
        await database.unit(another_writer)


async def test_a_snapshot_reads_while_a_unit_holds_the_write_lock(
    database: SqliteDatabase, administrator: Administrator
) -> None:
    await database.unit(put(1))
    async with one_commit(database):
        task = asyncio.create_task(database.unit(put(2)))
        seen = await database.snapshot(lambda view: view.execute(text("SELECT id FROM pad")).scalars().all())
        assert seen == [1]
        assert not task.done()
    assert await task == 2


async def test_units_that_wait_go_to_the_disk_with_one_commit(
    database: SqliteDatabase, administrator: Administrator, database_place: Path
) -> None:
    seen: list[list[int]] = []

    def look_from_outside(_unit: UnitOfWork) -> None:
        seen.append(numbers(database_place))

    async with one_commit(database):
        tasks = [asyncio.create_task(database.unit(work)) for work in (put(1), put(2), look_from_outside)]
    await asyncio.gather(*tasks)
    assert seen == [[]]
    assert numbers(database_place) == [1, 2]


async def test_more_units_than_one_commit_takes_are_all_answered(
    database: SqliteDatabase, administrator: Administrator, database_place: Path
) -> None:
    asked = list(range(2 * UNITS_PER_COMMIT + 3))
    async with one_commit(database):
        tasks = [asyncio.create_task(database.unit(put(n))) for n in asked]
    assert await asyncio.gather(*tasks) == asked
    assert numbers(database_place) == asked


async def test_a_commit_that_fails_fails_every_unit_of_it_and_none_after_it(
    database: SqliteDatabase, administrator: Administrator, database_place: Path
) -> None:
    await administrator.set_trap("filler")
    undone: list[int] = []

    def put_with_regret(number: int) -> Callable[[UnitOfWork], int]:
        def work(unit: UnitOfWork) -> int:
            unit.on_rollback(lambda: undone.append(number))
            return put(number)(unit)

        return work

    def fall_into_the_trap(unit: UnitOfWork) -> None:
        unit.connection.execute(text("INSERT INTO filler VALUES (x'00')"))

    def refuse(unit: UnitOfWork) -> None:
        unit.on_rollback(lambda: undone.append(0))
        raise LookupError

    async with one_commit(database):
        works = [put_with_regret(1), fall_into_the_trap, refuse, put_with_regret(2)]
        tasks = [asyncio.create_task(database.unit(work)) for work in works]
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(found) for found in outcomes] == [CommitFailed, CommitFailed, LookupError, CommitFailed]
    assert undone == [1, 0, 2]
    assert numbers(database_place) == []
    # The refused transaction is over: it holds no lock that others would wait for.
    with closing(sqlite3.connect(database_place, timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")
    assert await database.unit(put(3)) == 3
    assert numbers(database_place) == [3]


async def test_a_kill_before_the_commit_leaves_no_floor_that_the_database_does_not_reach(
    centre: Centre,
) -> None:
    """In one commit somebody appends to the key directory and another makes a key, for which she reads it."""
    social, database = await centre.sign_in("avec.social"), centre.deployment.database
    assert isinstance(database, SqliteDatabase)
    administrator, before = Administrator(centre.urls.owner), floor_of(centre)
    await administrator.set_trap("key_directory")
    left_by_a_kill: list[Floor] = []
    async with one_commit(database):
        works = [
            centre.act(social, lambda act: append_minimum(centre, act)),
            centre.act(social, lambda act: act.keyring.current_kek("identity")),
            database.unit(lambda _unit: left_by_a_kill.append(floor_of(centre))),
        ]
        tasks = [asyncio.ensure_future(work) for work in works]
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(found) for found in outcomes] == [CommitFailed] * 3
    assert left_by_a_kill == [before]
    await administrator.lift_trap("key_directory")
    # Nor does the process go on from an entry that never was.
    assert (await centre.learn("avec")).floor == floor_of(centre) == before
    assert await centre.act(social, lambda act: append_minimum(centre, act)) == before.epoch + 1
    assert (await centre.learn("avec")).floor == floor_of(centre)


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, asyncio.CancelledError])
async def test_the_writer_survives_whatever_a_unit_raises(
    database: SqliteDatabase, administrator: Administrator, kind: type[BaseException]
) -> None:
    def raise_it(_unit: UnitOfWork) -> None:
        raise kind

    task = asyncio.ensure_future(_outcome(database, raise_it))
    assert await task is kind
    assert await database.unit(put(1)) == 1


async def _outcome(database: SqliteDatabase, work: Callable[[UnitOfWork], Any]) -> type[BaseException] | None:
    try:
        await database.unit(work)
    except BaseException as error:  # noqa: BLE001 - the rule is about every kind
        return type(error)
    return None


async def test_a_full_disk_fails_the_unit_and_the_next_one_works_once_there_is_space(
    database: SqliteDatabase, administrator: Administrator, database_place: Path
) -> None:
    pages = await pragma(database, "page_count")
    await pragma(database, f"max_page_count = {pages + 2}")

    def fill(unit: UnitOfWork) -> None:
        unit.connection.execute(text("INSERT INTO filler VALUES (zeroblob(1000000))"))

    async with one_commit(database):
        tasks = [asyncio.create_task(database.unit(work)) for work in (put(1), fill, put(2))]
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    # SQLite itself rolls the whole transaction back: the neighbour before is told that it failed, and of what.
    assert [type(found) for found in outcomes[:2]] == [StorageFull, OperationalError]
    kept = [found for found in outcomes if isinstance(found, int)]
    assert numbers(database_place) == kept

    await pragma(database, f"max_page_count = {pages + 10_000}")
    await database.unit(fill)
    assert await database.unit(put(3)) == 3
    assert numbers(database_place) == [*kept, 3]


async def test_a_lock_held_by_another_process_fails_the_unit_and_the_next_one_works(
    database: SqliteDatabase, administrator: Administrator, database_place: Path
) -> None:
    await pragma(database, "busy_timeout = 1")
    with closing(sqlite3.connect(database_place, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CommitFailed):
            await database.unit(put(1))
        other.execute("ROLLBACK")
    assert await database.unit(put(2)) == 2
    assert numbers(database_place) == [2]


async def test_a_unit_cancelled_while_it_waits_never_runs(
    database: SqliteDatabase, administrator: Administrator, database_place: Path
) -> None:
    async with one_commit(database):
        cancelled, kept = (asyncio.create_task(database.unit(put(n))) for n in (1, 2))
        await asyncio.sleep(0)
        cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert await kept == 2
    assert numbers(database_place) == [2]


async def test_a_unit_cancelled_while_it_runs_is_committed_whole(
    database: SqliteDatabase, administrator: Administrator, database_place: Path
) -> None:
    running, gate = threading.Event(), threading.Event()

    def slow(unit: UnitOfWork) -> None:
        put(1)(unit)
        running.set()
        assert gate.wait(PATIENCE_SECONDS)
        put(2)(unit)

    task = asyncio.create_task(database.unit(slow))
    assert await asyncio.to_thread(running.wait, PATIENCE_SECONDS)
    task.cancel()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await database.unit(put(3)) == 3
    assert numbers(database_place) == [1, 2, 3]


async def test_stopping_answers_what_waits_and_refuses_what_comes_after(
    database: SqliteDatabase, administrator: Administrator, database_place: Path
) -> None:
    async with one_commit(database):
        waiting = [asyncio.create_task(database.unit(put(n))) for n in range(UNITS_PER_COMMIT + 5)]
        await asyncio.sleep(0)
        stopping = asyncio.create_task(database.stop())
        await asyncio.sleep(0)
        with pytest.raises(CommitFailed):
            await database.unit(put(1_000))
    await stopping
    asked = list(range(UNITS_PER_COMMIT + 5))
    assert await asyncio.gather(*waiting) == asked
    assert numbers(database_place) == asked


async def test_sessions_are_in_a_file_of_their_own(database: SqliteDatabase, database_place: Path) -> None:
    with closing(sqlite3.connect(database_place)) as main:
        kept_apart = "SELECT name FROM sqlite_master WHERE name IN ('session', 'attempt')"
        assert main.execute(kept_apart).fetchall() == []
    with closing(sqlite3.connect(sessions_file(database_place))) as apart:
        tables = apart.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        assert sorted(tables) == [("attempt",), ("session",)]


async def test_a_sessions_file_that_was_deleted_is_made_anew_and_only_signs_people_out(
    founded: tuple[Path, Foundation, Urls],
) -> None:
    async with open_centre(*founded) as centre:
        before = await centre.sign_in("avec.social")
        await before.get("/me")
    settings = centre.deployment.settings
    for path in settings.sqlite_path.parent.glob(sessions_file(settings.sqlite_path).name + "*"):
        path.unlink()
    deployment = await assemble(settings, centre.clock, FLOOR_PARAMS)
    old = Token.of(deployment.pepper, decode_token(before.token))
    with pytest.raises(NotSignedIn):
        await deployment.database.unit(lambda unit: sessions.find(unit, old))
    begun = await sign_in.sign_in(deployment, Who(uuid4()), "avec.social", PASSWORD, None)
    token = Token.of(deployment.pepper, begun.token)
    assert isinstance(await deployment.database.unit(lambda unit: sessions.find(unit, token)), PendingSession)
    await dismantle(deployment)


def test_a_path_with_every_kind_of_sign_opens_the_file_it_names(tmp_path: Path) -> None:
    path = tmp_path / "été 100% #1.db"
    with make_engine(path).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE pad (id integer PRIMARY KEY)")
    assert path.exists()
    assert sessions_file(path).exists()
