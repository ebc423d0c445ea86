"""Ways around the walls that somebody with the service's login has: another role, another setting, none."""

import re
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from casework.access import Access
from casework.act import Act
from casework.errors import NotFound
from tests.casework.centre import Centre
from tests.casework.test_walls import REFUSED, TENANT_TABLES, Walled, counts, furnish
from tests.conventions.project import ROOT

OTHER_ROLES = (
    "casework_owner",
    "casework_integrator",
    "casework_pruner",
    "casework_auditor",
    "postgres",
    "pg_read_all_data",
)
_SETTING = text("SELECT current_setting('casework.org', true)")
_SET = text("SELECT set_config('casework.org', :org, true)")
# The third argument of each call; some span lines, and the second is at times a call itself.
_SET_CONFIG = re.compile(r"set_config\('casework\.org',(?:[^()]|\([^()]*\))*?,\s*(\w+)\s*\)")
_BARE_SET = re.compile(r"\bSET (?:SESSION |LOCAL )?casework\.org", re.IGNORECASE)
_UNITS = 10
_BACKEND = text("SELECT pg_backend_pid()")


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture
async def walled(centre: Centre) -> Walled:
    return await furnish(centre)


_CLIMBS = (
    "SET ROLE casework_owner",
    "SET ROLE casework_integrator",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION casework_owner",
    "SET session_replication_role = replica",
    "ALTER TABLE case_file DISABLE ROW LEVEL SECURITY",
    "DROP POLICY tenant ON case_file",
    "CREATE POLICY door ON case_file USING (true)",
    "ALTER TABLE audit_entry DISABLE TRIGGER ALL",
    "CREATE TABLE public.mine (id integer)",
    "CREATE FUNCTION public.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE TABLE sessions.mine (id integer)",
    "SELECT pg_read_file('/etc/hostname')",
)


async def test_the_service_cannot_climb_over_the_wall(walled: Walled) -> None:
    outcomes = {statement: await walled.attempt(walled.cidff, statement) for statement in _CLIMBS}
    assert outcomes == dict.fromkeys(_CLIMBS, REFUSED)


async def test_switching_the_wall_off_for_oneself_gives_an_error_and_no_row(walled: Walled) -> None:
    def look(connection: Connection) -> Any:
        connection.execute(text("SET LOCAL row_security = off"))
        return connection.execute(text("SELECT id FROM case_file")).all()

    with pytest.raises(DBAPIError, match="row-level security"):
        await walled.inside(walled.cidff, look)


async def test_set_role_to_any_other_role_is_refused(walled: Walled) -> None:
    for role in OTHER_ROLES:
        for statement in (
            f"SET ROLE {role}",
            f"SET LOCAL ROLE {role}",
            f"SET SESSION AUTHORIZATION {role}",
            f"SELECT set_config('role', '{role}', true)",
        ):
            assert await walled.attempt(walled.cidff, statement) == REFUSED, statement


async def test_a_setting_changed_to_another_organisation_gives_a_signed_in_member_nothing_of_either(
    walled: Walled,
) -> None:
    """Two layers that must agree: her own organisation stands in each statement, the setting in each wall."""
    await walled.administrator.sql("DELETE FROM case_conflict")
    case = await walled.administrator.value("SELECT id FROM case_file WHERE org_id = :org", org=walled.avec)

    def changed(act: Act, org: str) -> tuple[list[Any], int]:
        act.unit.connection.execute(_SET, {"org": org})
        access = Access(act)
        with pytest.raises(NotFound):
            access.open_case(case)
        page = access.list_cases(limit=50, after=None, status=None)
        return page.items, page.count

    for other in (walled.cidff.hex, str(walled.cidff), ""):
        assert await walled.centre.act(walled.social, lambda act, other=other: changed(act, other)) == ([], 0)
    assert len((await walled.social.get("/cases"))["items"]) == 1


async def test_a_setting_changed_in_the_middle_takes_the_first_organisations_rows_away(
    walled: Walled,
) -> None:
    def change(connection: Connection) -> tuple[dict[str, int], dict[str, int], int]:
        before = counts(connection)
        connection.execute(_SET, {"org": walled.cidff.hex})
        written = connection.execute(
            text("UPDATE case_file SET version = version WHERE org_id = :own"), {"own": walled.avec}
        )
        return before, counts(connection), written.rowcount

    seen = await walled.inside(walled.avec, change)
    assert seen == (await walled.rows(walled.avec), await walled.rows(walled.cidff), 0)


async def test_a_setting_ends_with_its_unit_whether_that_is_kept_or_not(walled: Walled) -> None:
    def look(connection: Connection) -> tuple[int, str]:
        return connection.execute(_BACKEND).scalar_one(), connection.execute(_SETTING).scalar_one() or ""

    def enter(connection: Connection) -> int:
        return look(connection)[0]

    def fail(connection: Connection) -> None:
        entered.add(look(connection)[0])
        raise LookupError

    # The pool hands its connections out in turn: more units than it has connections meet each of them.
    entered = {await walled.inside(walled.avec, enter) for _ in range(_UNITS)}
    left = [await walled.inside(None, look) for _ in range(_UNITS)]
    for _ in range(_UNITS):
        with pytest.raises(LookupError):
            await walled.inside(walled.avec, fail)
    left += [await walled.inside(None, look) for _ in range(_UNITS)]
    assert {setting for _, setting in left} == {""}
    assert {backend for backend, _ in left} == entered
    assert await walled.inside(None, counts) == dict.fromkeys(TENANT_TABLES, 0)


async def test_a_setting_that_is_no_organisations_id_is_an_error_and_no_row(walled: Walled) -> None:
    for nonsense in ("avec", "*", f"{walled.avec}' OR true --", f"{walled.avec},{walled.cidff}"):

        def look(connection: Connection, nonsense: str = nonsense) -> None:
            connection.execute(_SET, {"org": nonsense})
            connection.execute(text("SELECT id FROM case_file"))

        with pytest.raises(DBAPIError) as refused:
            await walled.inside(walled.avec, look)
        assert getattr(refused.value.orig, "sqlstate", None) == "22P02", nonsense


async def test_what_is_written_without_a_setting_is_refused(walled: Walled) -> None:
    for table in TENANT_TABLES:
        row = await walled.administrator.value(
            f"SELECT to_jsonb(t)::text FROM {table} AS t WHERE org_id = :org LIMIT 1", org=walled.avec
        )
        copy = f"INSERT INTO {table} SELECT * FROM jsonb_populate_record(NULL::{table}, CAST(:row AS jsonb))"
        assert await walled.attempt(None, copy, row=row) == REFUSED, table
        for statement in (f"UPDATE {table} SET org_id = org_id", f"DELETE FROM {table}"):
            assert await walled.attempt(None, statement) in {0, REFUSED}, statement


async def test_no_statement_of_the_service_sets_an_organisation_beyond_its_transaction() -> None:
    """With `false` or a bare SET it would stay on the pooled connection, for whoever has it next."""
    sources = [path for top in ("casework", "audit", "migrations") for path in (ROOT / top).rglob("*.py")]
    texts = [(path.name, path.read_text("utf-8")) for path in sources]
    set_configs = [(name, call) for name, text_ in texts for call in _SET_CONFIG.findall(text_)]
    assert {call for _, call in set_configs} == {"true"}
    assert not [name for name, text_ in texts if _BARE_SET.search(text_)]
