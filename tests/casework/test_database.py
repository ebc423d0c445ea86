"""The unit of work, alike on both engines: what it promises to whoever waits for its result."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only

from audit import tables as audit_tables
from audit.bundle import write_bundle
from audit.checkpoint import VerificationKey
from audit.entry import Entry
from audit.trust import Trust
from audit.verifier import verify_bundle
from casework.database import Database, UnitOfWork, UnrecordedAccess
from casework.journal import Deed, Journal, Who
from casework.outages import CommitFailed
from crypto.signing import verify
from tests.casework.administrator import Administrator
from tests.casework.centre import Centre


@pytest.fixture
async def administrator(database_place: Any) -> Administrator:
    """An administrator who has made a table that the service may write: `pad`."""
    administrator = Administrator.of(database_place)
    await administrator.sql("CREATE TABLE pad (id integer PRIMARY KEY)")
    if isinstance(database_place, tuple):
        await administrator.sql("GRANT SELECT, INSERT ON pad TO casework_app")
    return administrator


def put(number: int) -> Callable[[UnitOfWork], int]:
    def work(unit: UnitOfWork) -> int:
        unit.connection.execute(text("INSERT INTO pad VALUES (:number)"), {"number": number})
        return number

    return work


def put_and_fail(number: int) -> Callable[[UnitOfWork], int]:
    def work(unit: UnitOfWork) -> int:
        put(number)(unit)
        raise LookupError

    return work


def numbers(connection: Connection) -> list[int]:
    return list(connection.execute(text("SELECT id FROM pad ORDER BY id")).scalars())


def recorded(connection: Connection) -> list[Entry]:
    inbox = audit_tables.inbox
    return [
        Entry.from_bytes(bytes(raw))
        for raw in connection.execute(select(inbox.c.entry).order_by(inbox.c.seq)).scalars()
    ]


async def test_a_result_is_returned_once_others_see_what_was_written(
    database: Database, administrator: Administrator
) -> None:
    assert await database.unit(put(7)) == 7
    assert await administrator.run(numbers) == [7]


async def test_a_unit_that_raises_writes_nothing_and_its_neighbours_are_committed(
    database: Database, administrator: Administrator
) -> None:
    works = [put_and_fail(n) if n % 3 == 0 else put(n) for n in range(12)]
    outcomes = await asyncio.gather(*(database.unit(work) for work in works), return_exceptions=True)
    kept = [n for n in range(12) if n % 3]
    assert [found for found in outcomes if not isinstance(found, BaseException)] == kept
    assert sum(isinstance(found, LookupError) for found in outcomes) == 4
    assert await administrator.run(numbers) == kept


async def test_what_a_unit_raises_arrives_unchanged_and_on_rollback_ran(
    database: Database, administrator: Administrator
) -> None:
    refusal, calls = LookupError("the very object"), []

    def work(unit: UnitOfWork) -> None:
        unit.on_rollback(lambda: calls.append("undone"))
        raise refusal

    with pytest.raises(LookupError) as raised:
        await database.unit(work)
    assert raised.value is refusal
    assert calls == ["undone"]


async def test_on_rollback_does_not_run_for_what_was_committed(
    database: Database, administrator: Administrator
) -> None:
    calls: list[str] = []
    await database.unit(lambda unit: unit.on_rollback(lambda: calls.append("undone")))
    assert calls == []


async def test_a_commit_that_fails_raises_and_nothing_is_written(
    database: Database, administrator: Administrator
) -> None:
    await administrator.set_trap("pad")
    calls: list[str] = []

    def work(unit: UnitOfWork) -> str:
        unit.on_rollback(lambda: calls.append("undone"))
        put(1)(unit)
        return "success"

    with pytest.raises(CommitFailed) as raised:
        await database.unit(work)
    assert "planted" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert calls == ["undone"]
    assert await administrator.run(numbers) == []
    await administrator.lift_trap("pad")
    assert await database.unit(put(1)) == 1


async def test_what_was_opened_without_a_trace_is_not_committed(
    database: Database, administrator: Administrator
) -> None:
    def work(unit: UnitOfWork) -> None:
        put(1)(unit)
        unit.touched()

    with pytest.raises(UnrecordedAccess):
        await database.unit(work)
    assert await administrator.run(numbers) == []


async def test_what_was_opened_with_an_entry_beside_it_is_committed(
    database: Database, administrator: Administrator
) -> None:
    journal = Journal("centre.example")

    def work(unit: UnitOfWork) -> None:
        put(1)(unit)
        unit.touched()
        journal.record(unit, None, Who(uuid4()), Deed("case.open"))

    await database.unit(work)
    assert await administrator.run(numbers) == [1]
    assert [entry.action for entry in await administrator.run(recorded)] == ["case.open"]


async def test_numbers_of_units_that_were_rolled_back_are_void_in_the_next_entry(
    database: Database, administrator: Administrator
) -> None:
    journal = Journal("centre.example")

    def enter(unit: UnitOfWork) -> None:
        journal.record(unit, None, Who(uuid4()), Deed("case.open"))

    def enter_and_fail(unit: UnitOfWork) -> None:
        enter(unit)
        raise LookupError

    def enter_and_fail_to_commit(unit: UnitOfWork) -> None:
        enter(unit)
        put(1)(unit)

    await database.unit(enter)
    with pytest.raises(LookupError):
        await database.unit(enter_and_fail)
    await administrator.set_trap("pad")
    with pytest.raises(CommitFailed):
        await database.unit(enter_and_fail_to_commit)
    await database.unit(enter)
    lanes = [entry.lane for entry in await administrator.run(recorded)]
    assert [(lane.n, lane.void) for lane in lanes] == [(1, ()), (4, (2, 3))]


async def test_every_unit_of_many_at_once_is_answered_with_its_own_result(
    database: Database, administrator: Administrator
) -> None:
    asked = list(range(200))
    assert await asyncio.gather(*(database.unit(put(n)) for n in asked)) == asked
    assert await administrator.run(numbers) == asked


async def test_a_snapshot_does_not_see_what_is_committed_after_it_began(
    database: Database, administrator: Administrator
) -> None:
    await database.unit(put(1))
    loop = asyncio.get_running_loop()

    def look_twice(view: Connection) -> tuple[list[int], list[int]]:
        first = numbers(view)
        _wait_for(loop, view, lambda: database.unit(put(2)))
        return first, numbers(view)

    assert await database.snapshot(look_twice) == ([1], [1])
    assert await administrator.run(numbers) == [1, 2]


async def test_a_snapshot_cannot_write(database: Database, administrator: Administrator) -> None:
    with pytest.raises(DBAPIError, match=r"readonly|read-only"):
        await database.snapshot(lambda view: view.execute(text("INSERT INTO pad VALUES (1)")))
    await database.unit(put(2))
    assert await administrator.run(numbers) == [2]


async def test_the_integrator_commits_in_a_transaction_of_its_own(
    database: Database, administrator: Administrator
) -> None:
    journal = Journal("centre.example")
    await database.unit(lambda unit: journal.record(unit, None, Who(uuid4()), Deed("case.open")))
    emptied = await database.integrate(
        lambda connection: connection.execute(audit_tables.inbox.delete()).rowcount
    )
    assert emptied == 1
    assert await administrator.run(recorded) == []


def _wait_for(loop: asyncio.AbstractEventLoop, view: Connection, make: Callable[[], Awaitable[Any]]) -> None:
    """Await from inside a plain function: a reader's thread on SQLite, a greenlet on PostgreSQL."""
    if view.dialect.name == "postgresql":
        await_only(make())
        return

    async def wait() -> None:
        await make()

    asyncio.run_coroutine_threadsafe(wait(), loop).result()


# Everything that opening a case writes.
_WRITTEN = ("case_file", "case_group", "assignment", "idempotency")
_NEW_CASE = {"public": "seeking", "identity": {"name_in_use": "Zélie"}, "contact": {"phone": "0639980101"}}


async def test_a_failed_commit_is_a_500_and_nothing_is_written(centre: Centre, tmp_path: Any) -> None:
    administrator = Administrator(centre.urls.owner)
    social = await centre.sign_in("avec.social")
    await centre.integrate()
    await administrator.set_trap("case_file")
    answer = await social.request(
        "POST", "/cases", json=_NEW_CASE, headers={"idempotency-key": "one-and-the-same"}
    )
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.pop("title")
    assert problem == {"type": "urn:casework:problem:internal", "status": 500, "code": "internal"}
    for table in _WRITTEN:
        assert await administrator.value(f"SELECT count(*) FROM {table}") == 0
    actions = await administrator.run(lambda connection: [entry.action for entry in recorded(connection)])
    assert "case.create" not in actions
    await centre.integrate()
    integrated = select(func.count()).where(audit_tables.entry.c.action == "case.create")
    assert await administrator.run(lambda connection: connection.execute(integrated).scalar_one()) == 0

    await administrator.lift_trap("case_file")
    made = await social.post("/cases", _NEW_CASE, headers={"idempotency-key": "one-and-the-same"})
    assert made["id"] == str(UUID(made["id"]))
    await centre.integrate()
    # The number of the entry that was lost is declared void: the journal has no hole.
    bundle = tmp_path / "journal.zip"
    org = centre.org("avec")
    await centre.deployment.database.snapshot(lambda view: write_bundle(view, org.bytes, bundle), org)
    trust = Trust(keys=(VerificationKey.parse(centre.founded["avec"].journal_key),))
    assert verify_bundle(bundle, trust, verify).exit_code == 0
