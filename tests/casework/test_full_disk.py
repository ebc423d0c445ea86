"""A full disk: nothing is saved by halves, nothing is shown that could not be journaled, and it passes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Connection, func, select

from audit import tables
from audit.entry import Entry
from audit.tables import DEPLOYMENT_LOG
from casework.cases.tables import case_file
from tests.casework.administrator import Administrator
from tests.casework.centre import Centre, Client, assert_problem
from tests.casework.story import new_case, open_case

# As PostgreSQL itself raises it where a table cannot be extended (class 53, disk_full).
_REFUSE = (
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full'; END $$",
    "CREATE TRIGGER refuse BEFORE INSERT ON audit_inbox EXECUTE FUNCTION refuse()",
)


@asynccontextmanager
async def full_disk(centre: Centre) -> AsyncIterator[None]:
    """While this is open the engine takes no more: SQLite has no page left, PostgreSQL says so itself."""
    if centre.urls.service.get_backend_name() == "postgresql":
        administrator = Administrator(centre.urls.owner)
        await administrator.sql(*_REFUSE)
        yield
        await administrator.sql("DROP TRIGGER refuse ON audit_inbox")
        return

    async def limit(pages: int) -> None:
        await centre.deployment.database.unit(
            lambda unit: unit.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}").close()
        )

    # SQLite takes the present size for a limit below it.
    await limit(1)
    yield
    await limit(2**30)


def cases(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(case_file)).scalar_one())


async def ready(centre: Centre) -> list[str]:
    answer = await centre.http.get("/health/ready")
    return [error["field"] for error in answer.json().get("errors", [])]


async def refused_in_the_end(worker: Client, method: str, path: str, body: object = None) -> None:
    """Ask until what was left of the last pages is used up: then it is refused, and shows nothing."""
    for _ in range(200):
        answer = await worker.request(method, path, json=body)
        if not answer.is_success:
            assert_problem(answer, 507, "storage_full")
            return
    pytest.fail("the disk is not full")


async def test_on_a_full_disk_saves_and_reads_are_refused_whole_and_work_again_once_there_is_room(
    centre: Centre,
) -> None:
    worker = await centre.sign_in("avec.social")
    case = await open_case(worker, "social")
    await centre.integrate()
    async with full_disk(centre):
        await refused_in_the_end(worker, "POST", "/cases", new_case("social"))
        await refused_in_the_end(worker, "GET", f"/cases/{case}")
        await refused_in_the_end(worker, "GET", "/cases")
        before = await centre.dba(cases)
        await refused_in_the_end(worker, "POST", "/cases", new_case("social"))
        assert "storage" in await ready(centre)
        assert await centre.dba(cases) == before
    for _ in range(100):
        if not await ready(centre):
            break
        await asyncio.sleep(0.1)
    await worker.get(f"/cases/{case}")
    await open_case(worker, "social")
    assert "storage.recovered" in await centre.dba(deployment_actions)


def deployment_actions(connection: Connection) -> set[str]:
    """What the deployment's own log tells, integrated or waiting."""
    integrated = connection.execute(
        select(tables.entry.c.action).where(tables.entry.c.log == DEPLOYMENT_LOG)
    ).scalars()
    waiting = connection.execute(
        select(tables.inbox.c.entry).where(tables.inbox.c.log == DEPLOYMENT_LOG)
    ).scalars()
    return {*integrated, *(Entry.from_bytes(bytes(raw)).action for raw in waiting)}
