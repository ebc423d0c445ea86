"""The schema's history: up and down on both engines, and exactly what the code says it is."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Connection, MetaData, insert, inspect, select, text

from audit.tables import metadata as audit_metadata
from audit.triggers import trigger_names
from casework.column_types import Sealed
from casework.database import metadata as casework_metadata
from casework.identity.tables import sessions_metadata
from casework.organisations.tables import drop_key, key_directory, organisation
from casework.schema import downgrade, upgrade
from tests.casework.administrator import Administrator

EVERY = (audit_metadata, casework_metadata, sessions_metadata)
REVISIONS = tuple(f"{number:04}" for number in range(1, 28))
HEAD = REVISIONS[-1]
_FOUNDED = datetime(2026, 11, 1, 9, tzinfo=UTC)

# Not behind the wall, each for a reason.
OUTSIDE_THE_WALL = {
    "alembic_version": "the service has no right to it at all",
    "deployment": "one row that says what this database is",
    "sessions.attempt": "keyed hashes and numbers; a try has no organisation before its login is known",
    "organisation": "slugs, names and public roots: what every organisation may know of the others",
}


@pytest.fixture
def administrator(database_place: Any) -> Administrator:
    return Administrator.of(database_place)


def differences(connection: Connection) -> list[Any]:
    def of_ours(name: str | None, kind: str, _parents: object) -> bool:
        if kind == "schema":
            return name in {None, "sessions"}
        return name != "alembic_version"

    options = {"compare_type": True, "include_schemas": True, "include_name": of_ours}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), list(EVERY)))


def tables(connection: Connection) -> set[str]:
    inspector = inspect(connection)
    found = set(inspector.get_table_names())
    if "sessions" in inspector.get_schema_names():
        found |= {f"sessions.{name}" for name in inspector.get_table_names(schema="sessions")}
    return found


def triggers(connection: Connection) -> list[str]:
    if connection.dialect.name == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
    else:
        query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname"
    return list(connection.execute(text(query)).scalars())


def functions(connection: Connection) -> list[str]:
    if connection.dialect.name == "sqlite":
        return []
    query = "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    return list(connection.execute(text(query)).scalars())


def checks(connection: Connection) -> dict[str, list[tuple[str, str]]]:
    """The check constraints of each table: name and the words and numbers of its rule, in order."""
    found = {}
    for name in tables(connection):
        schema, _, table = name.rpartition(".")
        listed = inspect(connection).get_check_constraints(table, schema=schema or None)
        if listed:
            found[name] = sorted((str(check["name"]), check["sqltext"]) for check in listed)
    return found


def declared_checks(metadata: MetaData) -> dict[str, list[str]]:
    return {
        table.fullname: sorted(str(check.name) for check in found)
        for table in metadata.sorted_tables
        if (found := [c for c in table.constraints if isinstance(c, CheckConstraint)])
    }


def revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


async def test_the_newest_revision_is_what_the_code_says(administrator: Administrator) -> None:
    assert await administrator.run(revision) == HEAD
    assert await administrator.run(differences) == []


async def test_the_check_constraints_are_those_of_the_code(administrator: Administrator) -> None:
    declared = {name: names for metadata in EVERY for name, names in declared_checks(metadata).items()}
    found = await administrator.run(checks)
    assert {name: [check for check, _ in listed] for name, listed in found.items()} == declared


async def test_down_to_nothing_and_up_again(administrator: Administrator) -> None:
    before = await administrator.run(lambda c: (tables(c), triggers(c), sorted(functions(c)), checks(c)))
    await administrator.run(lambda connection: downgrade(connection, "base"))
    assert await administrator.run(tables) == {"alembic_version"}
    assert await administrator.run(triggers) == []
    assert await administrator.run(functions) == []
    await administrator.run(upgrade)
    assert await administrator.run(differences) == []
    after = await administrator.run(lambda c: (tables(c), triggers(c), sorted(functions(c)), checks(c)))
    assert after == before


@pytest.mark.parametrize("step", REVISIONS[:-1])
async def test_each_revision_can_be_gone_back_to_and_left_again(
    administrator: Administrator, step: str
) -> None:
    await administrator.run(lambda connection: downgrade(connection, step))
    assert await administrator.run(revision) == step
    await administrator.run(upgrade)
    assert await administrator.run(differences) == []


async def test_a_filled_database_is_brought_to_the_newest_revision(administrator: Administrator) -> None:
    """With rows that refer to others: a table that was copied and dropped on the way would be refused."""
    org = UUID(int=7)

    def fill(connection: Connection) -> None:
        downgrade(connection, "0002")
        row = {"slug": "avec", "name": "AVEC", "root_fingerprint": bytes(32), "journal_key": "key"}
        connection.execute(insert(organisation).values(id=org, created_at=_FOUNDED, **row))
        connection.execute(insert(key_directory).values(org_id=org, epoch=1, entry=b"entry"))
        keys = {
            "compartment": "identity",
            "number": 1,
            "kek_no": 1,
            "public": bytes(32),
            "private": Sealed(b"sealed"),
        }
        connection.execute(insert(drop_key).values(org_id=org, **keys))

    await administrator.run(fill)
    await administrator.run(upgrade)
    assert await administrator.run(revision) == HEAD

    def read(connection: Connection) -> tuple[Any, ...]:
        founded = connection.execute(select(organisation)).one()
        made_at = connection.execute(select(drop_key.c.made_at)).scalar_one()
        entry = connection.execute(select(key_directory.c.entry)).scalar_one()
        return founded.id, founded.journal_months, made_at, entry

    assert await administrator.run(read) == (org, 12, _FOUNDED, b"entry")


async def test_upgrading_what_is_newest_changes_nothing(administrator: Administrator) -> None:
    before = await administrator.run(lambda connection: (tables(connection), triggers(connection)))
    await administrator.run(upgrade)
    assert await administrator.run(lambda c: (tables(c), triggers(c))) == before


async def test_the_append_only_triggers_are_there_and_no_other(
    administrator: Administrator, engine_name: str
) -> None:
    assert await administrator.run(triggers) == sorted(trigger_names(engine_name))


def test_the_history_is_one_line_of_numbered_steps() -> None:
    script = ScriptDirectory("migrations")
    line = [step.revision for step in script.walk_revisions()]
    assert line == list(reversed(REVISIONS))
    assert all(re.fullmatch(r"\d{4}", step) for step in line)


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_every_table_of_an_organisation_is_behind_the_wall(administrator: Administrator) -> None:
    def walls(connection: Connection) -> dict[str, tuple[bool, int]]:
        rows = connection.execute(
            text("""
            SELECT CASE relnamespace::regnamespace::text WHEN 'public' THEN relname
                        ELSE relnamespace::regnamespace || '.' || relname END AS name,
                   relrowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = pg_class.oid) AS policies
            FROM pg_class
            WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text IN ('public', 'sessions')
        """)
        )
        return {row.name: (row.relrowsecurity, row.policies) for row in rows}

    found = await administrator.run(walls)
    every = {table.fullname for metadata in EVERY for table in metadata.sorted_tables} | {"alembic_version"}
    assert found.keys() == every
    assert {name for name, (enabled, _) in found.items() if not enabled} == OUTSIDE_THE_WALL.keys()
    assert {name for name, (enabled, policies) in found.items() if enabled and not policies} == set()


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_every_policy_of_an_organisations_table_holds_reading_and_writing(
    administrator: Administrator,
) -> None:
    """A policy for every command, for the service's role alone, with the same condition both ways."""

    def tenant_policies(connection: Connection) -> list[Any]:
        return list(
            connection.execute(
                text(
                    "SELECT tablename, permissive, roles, cmd, qual, with_check FROM pg_policies "
                    "WHERE policyname = 'tenant'"
                )
            )
        )

    found = await administrator.run(tenant_policies)
    expected = {
        table.name
        for metadata in (casework_metadata, sessions_metadata)
        for table in metadata.sorted_tables
        if "org_id" in table.c
    }
    assert {row.tablename for row in found} == expected
    assert {(row.permissive, tuple(row.roles), row.cmd) for row in found} == {
        ("PERMISSIVE", ("casework_app",), "ALL")
    }
    (condition,) = {condition for row in found for condition in (row.qual, row.with_check)}
    assert re.match(r"\(org_id = \( SELECT .*current_setting\('casework\.org'", condition)


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_going_back_before_the_walls_leaves_the_service_no_right(
    administrator: Administrator,
) -> None:
    await administrator.run(lambda connection: downgrade(connection, "0003"))
    left = await administrator.value(
        "SELECT coalesce(string_agg(table_name, ','), '') FROM information_schema.role_table_grants "
        "WHERE grantee LIKE 'casework\\_%' AND grantee <> 'casework_owner' AND table_name NOT LIKE 'audit\\_%'"
    )
    assert left == ""
