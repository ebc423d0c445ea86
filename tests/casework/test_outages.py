"""A database that goes away in the middle of a request: a 503 that says nothing of it, and nothing half-written."""

import gc
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from tests.casework.administrator import Administrator
from tests.casework.centre import CANARY, Centre, assert_problem
from tests.casework.story import new_case

_WRITTEN = ("case_file", "case_group", "assignment", "idempotency")
_CUT_OFF = (
    "CREATE FUNCTION cut_off() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
    " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
)


@asynccontextmanager
async def connection_cut(centre: Centre, when: str) -> AsyncIterator[None]:
    """PostgreSQL ends the very connection that saves a case: at once, or at its commit."""
    administrator = Administrator(centre.urls.owner)
    await administrator.sql(_CUT_OFF, f"CREATE {when} EXECUTE FUNCTION cut_off()")
    yield
    await administrator.sql("DROP TRIGGER cut ON case_file")


@asynccontextmanager
async def locked(centre: Centre) -> AsyncIterator[None]:
    """Another process holds SQLite's write lock for too long."""
    await _pragma(centre, "busy_timeout = 1")
    with closing(sqlite3.connect(Path(centre.urls.service.database or ""), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def _pragma(centre: Centre, pragma: str) -> None:
    await centre.deployment.database.unit(
        lambda unit: unit.connection.exec_driver_sql(f"PRAGMA {pragma}").close()
    )


OUTAGES = {
    "sqlite": {"locked": locked},
    "postgresql": {
        "statement": lambda centre: connection_cut(
            centre, "TRIGGER cut AFTER INSERT ON case_file FOR EACH ROW"
        ),
        "commit": lambda centre: connection_cut(
            centre,
            "CONSTRAINT TRIGGER cut AFTER INSERT ON case_file DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
        ),
    },
}


@pytest.mark.parametrize(
    ("engine_name", "name"), [(engine, name) for engine, names in OUTAGES.items() for name in names]
)
async def test_a_request_in_an_outage_is_a_503_and_succeeds_under_its_key_afterwards(
    centre: Centre, engine_name: str, name: str
) -> None:
    social = await centre.sign_in("avec.social")
    once = {"idempotency-key": "one-and-the-same"}
    with capture_logs() as logs:
        async with OUTAGES[engine_name][name](centre):
            answer = await social.request("POST", "/cases", json=new_case("social"), headers=once)
    assert_problem(answer, 503, "database_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert CANARY not in str(logs).lower()
    assert "INSERT" not in str(logs)
    administrator = Administrator(centre.urls.owner)
    for table in _WRITTEN:
        assert await administrator.value(f"SELECT count(*) FROM {table}") == 0
    made = await social.post("/cases", new_case("social"), headers=once)
    assert (await social.get(f"/cases/{made['id']}"))["groups"]["social"] == new_case("social")["social"]
    assert await administrator.value("SELECT count(*) FROM case_file") == 1


# The driver leaves the sockets of ended connections to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_connections_that_were_ended_while_nobody_asked_are_replaced(
    centre: Centre, engine_name: str
) -> None:
    social = await centre.sign_in("avec.social")
    # So that the pool of the shred store has a connection to lose.
    await social.post("/cases", new_case())
    administrator = Administrator(centre.urls.owner)
    await administrator.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename = 'casework_app' AND datname = current_database()"
    )
    await Administrator(centre.urls.shreds).sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename = 'casework_app' AND datname = current_database() AND pid <> pg_backend_pid()"
    )
    # Of the shred store a request uses one connection: each that is stale costs one.
    case = f"/cases/{uuid4()}"
    assert {(await social.request("GET", case)).status_code for _ in range(3)} <= {404, 503}
    stored = [await social.request("POST", "/cases", json=new_case()) for _ in range(3)]
    shown = [await social.request("GET", "/cases") for _ in range(3)]
    assert [answer.status_code for answer in (stored[-1], *shown[1:])] == [201, 200, 200]
    answers = [await social.request("GET", "/me") for _ in range(3)]
    # By now all are replaced.
    assert [answer.status_code for answer in answers[1:]] == [200, 200]
    if answers[0].status_code != 200:
        assert_problem(answers[0], 503, "database_unavailable")
    gc.collect()
