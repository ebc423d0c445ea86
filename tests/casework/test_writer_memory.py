"""A writer misses each entry of its own that no verified checkpoint covers, says which way it went, and stops."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, update
from structlog.testing import capture_logs

from audit import memory as memory_module
from audit import tables
from audit.entry import Entry
from audit.triggers import drop_triggers
from casework.database import UnitOfWork, UnsafeDatabase
from casework.deployment import assemble
from casework.journal import HEARTBEAT_SECONDS
from casework.watch import INSPECTION_SECONDS
from crypto.password import FLOOR_PARAMS
from tests.audit.journal import only_on
from tests.audit.tampering import altered
from tests.casework.administrator import Administrator
from tests.casework.centre import SLUGS, Centre, Client

Tampering = Callable[[Connection], object]


async def stand_still(centre: Centre) -> Client:
    """A member signed in, everything integrated, and from now on only the rounds that the test asks for."""
    social = await centre.sign_in("avec.social")
    centre.app.state.integration._task.cancel()
    await centre.integrate()
    return social


async def look(centre: Centre) -> list[str]:
    """What the service does between two rounds; returns the alerts that it raised."""
    with capture_logs() as logs:
        await centre.app.state.integration._watch.look()
    return [str(event["event"]) for event in logs if event["log_level"] == "critical"]


async def stopped(centre: Centre) -> list[str]:
    """The parts for which every route is refused, the probe naming the same; nothing where the service serves."""
    answer = await centre.http.get("/api/v1/me")
    ready = await centre.http.get("/health/ready")
    if answer.status_code == 401:
        assert ready.status_code == 200
        return []
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.json()["errors"] == ready.json()["errors"]
    assert (await centre.http.get("/health/live")).status_code == 200
    return [error["field"] for error in answer.json()["errors"]]


async def told(centre: Centre, log: bytes) -> list[str | None]:
    """The reasons of the alerts that stand in a log."""
    await centre.integrate()
    query = select(tables.entry.c.bytes).where(
        tables.entry.c.action == "alert.raised", tables.entry.c.log == log
    )
    found = await centre.dba(lambda connection: connection.execute(query).scalars().all())
    return [Entry.from_bytes(bytes(raw)).reason for raw in found]


def alter_inbox(connection: Connection) -> None:
    (raw,) = connection.execute(select(tables.inbox.c.entry)).scalars()
    connection.execute(update(tables.inbox), {"entry": altered(bytes(raw))})


@pytest.mark.parametrize("integrated", [True, False], ids=["integrated", "waiting"])
@pytest.mark.parametrize(
    ("tampering", "kind"),
    [
        pytest.param(
            lambda connection: connection.execute(delete(tables.inbox)), "entry_removed", id="deleted"
        ),
        pytest.param(alter_inbox, "entry_altered", id="altered"),
    ],
)
async def test_an_entry_that_an_administrator_takes_from_the_inbox_stops_the_service(
    centre: Centre, tampering: Tampering, kind: str, integrated: bool
) -> None:
    social = await stand_still(centre)
    await social.get("/cases")
    await centre.dba(tampering)
    if integrated:
        await centre.integrate()
    assert await look(centre) == []
    assert await stopped(centre) == []
    centre.clock.waited += 31
    assert await stopped(centre) == ["journal_entries"]
    assert await look(centre) == [kind]
    # Once, until it is over; and the organisation's auditor finds it in her log.
    assert await look(centre) == []
    assert await told(centre, centre.org("avec").bytes) == [kind]
    assert await stopped(centre) == ["journal_entries"]


@pytest.mark.parametrize(
    ("tampering", "kind"),
    [
        pytest.param(
            lambda connection: connection.execute(delete(tables.inbox)), "entry_removed", id="deleted"
        ),
        pytest.param(alter_inbox, "entry_altered", id="altered"),
    ],
)
async def test_a_clean_stop_within_the_half_minute_forgets_no_entry_that_was_taken(
    centre: Centre, tampering: Tampering, kind: str
) -> None:
    """An altered entry leaves no hole in a lane: only the process that wrote it knows, and it is about to end."""
    social = await stand_still(centre)
    await social.get("/cases")
    await centre.dba(tampering)
    with capture_logs() as logs:
        await centre.app.state.integration.stop()
    assert [event["event"] for event in logs if event["log_level"] == "critical"] == [kind]
    assert await told(centre, centre.org("avec").bytes) == [kind]


async def test_an_integrator_that_stands_still_stops_the_service_until_it_goes_on(centre: Centre) -> None:
    social = await stand_still(centre)
    await social.get("/cases")
    centre.clock.waited += 31
    assert await stopped(centre) == ["journal_entries"]
    assert await look(centre) == ["checkpoint_stale"]
    await centre.integrate()
    assert await stopped(centre) == []
    assert await look(centre) == []


async def test_an_entry_that_is_put_back_lets_the_service_go_on(centre: Centre) -> None:
    social = await stand_still(centre)
    await social.get("/cases")

    def take(connection: Connection) -> Any:
        row = connection.execute(select(tables.inbox.c.log, tables.inbox.c.entry)).one()
        connection.execute(delete(tables.inbox))
        return row

    taken = await centre.dba(take)
    centre.clock.waited += 31
    assert await look(centre) == ["entry_removed"]
    await centre.dba(lambda connection: connection.execute(insert(tables.inbox), dict(taken._mapping)))
    await centre.integrate()
    assert await stopped(centre) == []


async def test_no_more_is_taken_than_is_remembered(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    social = await stand_still(centre)
    await social.get("/cases")
    monkeypatch.setattr(memory_module, "MOST_REMEMBERED", 1)
    assert await stopped(centre) == ["journal_entries"]
    await centre.integrate()
    assert await stopped(centre) == []


async def test_what_was_not_committed_is_not_missed(centre: Centre) -> None:
    social = await stand_still(centre)
    administrator = Administrator(centre.urls.owner)
    await administrator.set_trap("audit_inbox")
    assert (await social.request("GET", "/cases")).status_code == 500
    await administrator.lift_trap("audit_inbox")
    centre.clock.waited += 31
    assert await stopped(centre) == []


def lift_triggers(connection: Connection) -> None:
    for statement in drop_triggers(connection.dialect.name):
        connection.exec_driver_sql(statement)


def add_a_trigger(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("CREATE TRIGGER spy AFTER INSERT ON audit_inbox BEGIN SELECT 1; END")
        return
    connection.exec_driver_sql(
        "CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
    )
    connection.exec_driver_sql(
        "CREATE TRIGGER spy BEFORE INSERT ON audit_inbox FOR EACH ROW EXECUTE FUNCTION spy()"
    )


def empty_a_trigger(connection: Connection) -> None:
    """The trigger stands, under its name, and refuses nothing."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("DROP TRIGGER audit_leaf_no_update")
        connection.exec_driver_sql(
            "CREATE TRIGGER audit_leaf_no_update BEFORE UPDATE ON audit_leaf BEGIN SELECT 1; END"
        )
        return
    connection.exec_driver_sql(
        "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
    )


def turn_durability_off(connection: Connection) -> None:
    name = connection.engine.url.database
    connection.exec_driver_sql(f"ALTER DATABASE {name} SET synchronous_commit = off")


def let_triggers_rest(connection: Connection) -> None:
    name = connection.engine.url.database
    connection.exec_driver_sql(f"ALTER DATABASE {name} SET session_replication_role = replica")


def disable_a_trigger(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_no_change")


ON_BOTH = (lift_triggers, add_a_trigger, empty_a_trigger)
ON_POSTGRESQL = (turn_durability_off, let_triggers_rest, disable_a_trigger)


@pytest.mark.parametrize("change", [*ON_BOTH, *ON_POSTGRESQL])
async def test_what_makes_a_commit_last_may_not_be_changed_under_the_running_service(
    centre: Centre, change: Tampering, engine_name: str
) -> None:
    if engine_name == "sqlite" and change in ON_POSTGRESQL:
        # A setting of SQLite is of one connection alone: the next test.
        return
    await stand_still(centre)
    await centre.dba(change)
    assert await look(centre) == []
    centre.clock.waited += INSPECTION_SECONDS
    assert await look(centre) == ["durability_lost"]
    assert await stopped(centre) == ["durability"]
    centre.clock.waited += INSPECTION_SECONDS
    assert await look(centre) == []
    assert await told(centre, tables.DEPLOYMENT_LOG) == ["durability_lost"]
    with pytest.raises(UnsafeDatabase):
        await assemble(centre.deployment.settings, centre.clock, FLOOR_PARAMS)


@only_on("sqlite")
async def test_a_pragma_that_the_writer_loses_stops_the_service_until_it_is_back(centre: Centre) -> None:
    await stand_still(centre)
    for setting, expected in (("OFF", ["durability"]), ("ON", [])):

        def turn(unit: UnitOfWork, setting: str = setting) -> None:
            unit.connection.exec_driver_sql(f"PRAGMA recursive_triggers={setting}")

        await centre.deployment.database.unit(turn)
        centre.clock.waited += INSPECTION_SECONDS
        await look(centre)
        assert await stopped(centre) == expected


async def heartbeats(centre: Centre) -> dict[bytes, list[str | None]]:
    """By log, the reasons of its heartbeats in their order."""
    await centre.integrate()
    query = select(tables.entry).where(tables.entry.c.action == "log.heartbeat").order_by(tables.entry.c.idx)
    found: dict[bytes, list[str | None]] = {}
    for row in await centre.dba(lambda connection: connection.execute(query).all()):
        entry = Entry.from_bytes(bytes(row.bytes))
        assert (entry.count, entry.actor, entry.subjects) == (HEARTBEAT_SECONDS, None, ())
        found.setdefault(bytes(row.log), []).append(entry.reason)
    return found


async def test_every_log_has_a_heartbeat_at_the_start_every_ten_minutes_and_at_a_clean_stop(
    centre: Centre,
) -> None:
    await stand_still(centre)
    logs = {tables.DEPLOYMENT_LOG, *(centre.org(slug).bytes for slug in SLUGS)}
    assert await heartbeats(centre) == {log: ["started"] for log in logs}
    centre.clock.waited += HEARTBEAT_SECONDS - 60
    await look(centre)
    assert await heartbeats(centre) == {log: ["started"] for log in logs}
    centre.clock.waited += 60
    await look(centre)
    await centre.app.state.integration.stop()
    assert await heartbeats(centre) == {log: ["started", None, "stopped"] for log in logs}
    last = select(tables.entry.c.action).where(tables.entry.c.log == centre.org("med").bytes)
    actions = await centre.dba(
        lambda connection: connection.execute(last.order_by(tables.entry.c.idx)).scalars().all()
    )
    assert actions[-2:] == ["log.heartbeat", "lane.close"]


@pytest.mark.parametrize(("step", "reason"), [(3_600, "forward"), (-3_600, "back"), (4, None)])
async def test_a_clock_that_somebody_sets_is_an_alert_and_an_entry(
    centre: Centre, step: int, reason: str | None
) -> None:
    await stand_still(centre)
    centre.clock.stepped += step
    assert await look(centre) == (["clock_stepped"] if reason is not None else [])
    assert await look(centre) == []
    await centre.integrate()
    query = select(tables.entry.c.bytes).where(tables.entry.c.action == "clock.stepped")
    found = await centre.dba(lambda connection: connection.execute(query).scalars().all())
    entries = [Entry.from_bytes(bytes(raw)) for raw in found]
    assert [(entry.reason, entry.count) for entry in entries] == ([(reason, 3_600)] if reason else [])
