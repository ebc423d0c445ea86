"""The walls between organisations on PostgreSQL, tried with the service's own login and none of its code."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import String, Uuid

from casework.database import UnitOfWork, metadata
from casework.handoffs.states import MOVES, Side, may_move
from casework.identity.sessions import Token
from casework.identity.tables import sessions_metadata
from casework.routing import decode_token
from policies.vocabulary import Stage
from tests.casework.administrator import Administrator
from tests.casework.centre import PASSWORD, Centre, Client
from tests.casework.story import follow_up

T = TypeVar("T")

REFUSED = "42501"
TENANT_TABLES = sorted(
    table.fullname
    for one in (metadata, sessions_metadata)
    for table in one.sorted_tables
    if "org_id" in table.c
)
JOURNAL_TABLES = (
    "audit_log",
    "audit_leaf",
    "audit_entry",
    "audit_subject",
    "audit_subtree",
    "audit_checkpoint",
    "audit_rollup",
    "audit_detail",
    "audit_inbox",
)
_SETTING = text("SELECT current_setting('casework.org', true)")

# Everything that the service's role may do, and nothing else; S, I, U, D.
_RIGHTS = {
    **dict.fromkeys(TENANT_TABLES, "SIU"),
    **dict.fromkeys((*JOURNAL_TABLES, "audit_cosignature"), "S"),
    # The directory only grows; of what it certifies goes what a newer key has replaced.
    "key_directory": "SI",
    **dict.fromkeys(
        ("review", "past_assignment", "past_case_team", "past_team_member", "charter", "policy_set"), "SI"
    ),
    **dict.fromkeys(("key_grant", "kek_recovery", "declared_conflict"), "SID"),
    **dict.fromkeys(("opening_hours", "closed_day", "managed_network"), "SID"),
    "drop_key": "SIUD",
    **dict.fromkeys(("assignment", "case_conflict", "case_team", "draft", "handoff_part"), "SIUD"),
    # A row policy keeps every case whose erasure was not decided; what goes with one may go.
    "case_file": "SIUD",
    "consent": "SIUD",
    "handoff_manifest": "SIUD",
    "erasure_owner": "SIUD",
    "named_seal": "SIUD",
    "named_recovery": "SIUD",
    "idempotency": "SIUD",
    "renewal": "SIUD",
    "renewed_key": "SIUD",
    "team_member": "SIUD",
    "sessions.session": "SIUD",
    "sessions.attempt": "SIUD",
    # Moved by `move_handoff` alone; of her own side, the service writes two sealed columns.
    "handoff": "SI",
    "handoff_side": "SID",
    "audit_inbox": "I",
    "audit_detail": "SI",
    **dict.fromkeys(("deployment", "organisation"), "S"),
    "alembic_version": "",
}


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@dataclass
class Walled:
    """A centre in which every table of AVEC has a row, and a handoff to CIDFF is drafted but not sent."""

    centre: Centre
    administrator: Administrator
    social: Client
    handoff: UUID
    digest: str

    async def inside(self, org: UUID | None, work: Callable[[Connection], T]) -> T:
        """Run `work` with the service's login, inside an organisation or none."""

        def unit_of_work(unit: UnitOfWork) -> T:
            if org is not None:
                unit.enter_organisation(org)
            return work(unit.connection)

        return await self.centre.deployment.database.unit(unit_of_work)

    async def attempt(self, org: UUID | None, statement: str, **values: Any) -> str | int:
        """The SQLSTATE that a statement is refused with, or the number of rows it reached."""
        try:
            return await self.inside(
                org, lambda connection: connection.execute(text(statement), values).rowcount
            )
        except DBAPIError as error:
            return str(getattr(error.orig, "sqlstate", None))

    async def rows(self, org: UUID) -> dict[str, int]:
        """How many rows each tenant table holds of an organisation, as the administrator sees it."""
        return {
            table: await self.administrator.value(
                f"SELECT count(*) FROM {table} WHERE org_id = :org", org=org
            )
            for table in TENANT_TABLES
        }

    @property
    def avec(self) -> UUID:
        return self.centre.org("avec")

    @property
    def cidff(self) -> UUID:
        return self.centre.org("cidff")


async def furnish(centre: Centre) -> Walled:
    administrator = Administrator(centre.urls.owner)
    avec, member = centre.org("avec"), centre.member("avec.social")
    team = await centre.team("avec", "Accueil", "avec.social")
    social = await centre.sign_in("avec.social", step_up=True)
    await social.post("/me/keys", {"password": PASSWORD}, expect=200)
    case = await social.post(
        "/cases",
        {"public": "seeking", "identity": {"name_in_use": "Inès"}, "legal": {}},
        headers={"idempotency-key": "k"},
    )
    recorded = await social.post(
        f"/cases/{case['id']}/follow-ups", follow_up("accompagnement_social", "social")
    )
    await social.request("PUT", "/me/declaration", 200, json={"family_name": "Exemple"})
    await social.post("/me/conflicts", {"phones": ["01 99 00 56 78"]})
    draft = await social.post(
        f"/cases/{case['id']}/handoffs",
        {
            "to": "cidff",
            "kind": "orientation",
            "purpose": "legal_advice",
            "urgency": "normal",
            "service": "acces_au_droit",
            "groups": ["identity", "social"],
            "follow_ups": [recorded["id"]],
        },
    )
    await social.request(
        "PUT",
        f"/drafts/{uuid4()}",
        200,
        json={"case_id": case["id"], "content": {}},
        headers={"if-none-match": "*"},
    )
    # What no route of the main job writes.
    await administrator.sql(
        f"INSERT INTO case_team SELECT org_id, id, '{team}', now() FROM case_file",
        "INSERT INTO case_conflict SELECT f.org_id, f.id, created_by, now(), d.id, 'case' "
        "FROM case_file AS f, declared_conflict AS d",
        "INSERT INTO break_glass SELECT org_id, id, id, created_by, now() FROM case_file",
        "INSERT INTO handoff_part SELECT org_id, id, 'legal', 1, '\\x00' FROM handoff_side",
        "INSERT INTO consent SELECT org_id, id, case_id, id, content_digest, "
        f"'{member}', now(), now(), NULL, '\\x00' FROM handoff_side",
        "INSERT INTO named_seal SELECT org_id, id, created_by, '\\x00' FROM case_file",
        "INSERT INTO named_recovery SELECT org_id, id, '\\x00' FROM case_file",
        "INSERT INTO member_note SELECT org_id, id, id, created_by, now(), 'social', '\\x00' FROM case_file",
        "INSERT INTO erasure (org_id, id, state, basis, prepared_by, prepared_at) "
        "SELECT org_id, id, 'prepared', 'objection', created_by, now() FROM case_file",
        "INSERT INTO review SELECT org_id, id, id, 'justified', created_by, now(), '\\x00' FROM case_file",
        "INSERT INTO past_assignment SELECT org_id, id, created_by, now(), now() FROM case_file",
        "INSERT INTO past_case_team SELECT *, since, 'restricted' FROM case_team",
        "INSERT INTO past_team_member SELECT *, since FROM team_member",
        "INSERT INTO erasure_owner SELECT org_id, id, id FROM erasure",
        f"INSERT INTO charter VALUES ('{avec}', 1, '\\x41', now())",
        f"INSERT INTO org_settings VALUES ('{avec}', 1)",
        "INSERT INTO opening_hours SELECT org_id, 0, 0, 1440 FROM org_settings",
        "INSERT INTO closed_day SELECT org_id, '2026-12-25' FROM org_settings",
        "INSERT INTO managed_network SELECT org_id, '\\x00', '\\xff' FROM org_settings",
    )
    return Walled(centre, administrator, social, UUID(draft["id"]), draft["content_digest"])


@pytest.fixture
async def walled(centre: Centre) -> Walled:
    return await furnish(centre)


def counts(connection: Connection) -> dict[str, int]:
    return {
        table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
        for table in TENANT_TABLES
    }


async def test_no_row_of_any_table_is_seen_before_an_organisation_is_set(walled: Walled) -> None:
    assert all((await walled.rows(walled.avec)).values()), "a table without a row proves nothing"
    nothing = dict.fromkeys(TENANT_TABLES, 0)
    assert await walled.inside(None, counts) == nothing
    assert await walled.inside(UUID(int=1), counts) == nothing

    def emptied(connection: Connection) -> dict[str, int]:
        connection.execute(text("SELECT set_config('casework.org', '', true)"))
        return counts(connection)

    assert await walled.inside(None, emptied) == nothing


async def test_an_organisation_sees_its_own_rows_and_no_one_elses(walled: Walled) -> None:
    for org in (walled.avec, walled.cidff):
        assert await walled.inside(org, counts) == await walled.rows(org)


async def test_a_row_of_another_organisation_is_not_put_in(walled: Walled) -> None:
    outcomes = {}
    for table in TENANT_TABLES:
        row = await walled.administrator.value(
            f"SELECT to_jsonb(t)::text FROM {table} AS t WHERE org_id = :org LIMIT 1", org=walled.avec
        )
        copy = f"INSERT INTO {table} SELECT * FROM jsonb_populate_record(NULL::{table}, CAST(:row AS jsonb))"
        outcomes[table] = await walled.attempt(walled.cidff, copy, row=row)
    assert outcomes == dict.fromkeys(TENANT_TABLES, REFUSED)


async def test_a_row_is_not_given_to_another_organisation(walled: Walled) -> None:
    outcomes = {
        table: await walled.attempt(walled.avec, f"UPDATE {table} SET org_id = :other", other=walled.cidff)
        for table in TENANT_TABLES
    }
    assert outcomes == dict.fromkeys(TENANT_TABLES, REFUSED)


async def test_rows_of_another_organisation_are_out_of_reach_of_update_and_delete(walled: Walled) -> None:
    before = await walled.rows(walled.avec)
    for table in TENANT_TABLES:
        for statement in (f"UPDATE {table} SET org_id = org_id", f"DELETE FROM {table}"):
            reached = await walled.attempt(
                walled.cidff, f"{statement} WHERE org_id = :other", other=walled.avec
            )
            assert reached in {0, REFUSED}, statement
    assert await walled.rows(walled.avec) == before


async def test_the_service_has_exactly_the_rights_it_needs(walled: Walled) -> None:
    def rights(connection: Connection) -> dict[str, str]:
        rows = connection.execute(
            text("""
            SELECT CASE relnamespace::regnamespace::text WHEN 'public' THEN relname
                        ELSE relnamespace::regnamespace || '.' || relname END AS name,
                   (SELECT coalesce(string_agg(CASE WHEN letter IN ('S', 'I', 'U', 'D') THEN letter
                                                    ELSE right_name END, '' ORDER BY n), '')
                    FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES',
                                      'TRIGGER'],
                                ARRAY['S', 'I', 'U', 'D', NULL, NULL, NULL])
                         WITH ORDINALITY AS t (right_name, letter, n)
                    WHERE has_table_privilege('casework_app', pg_class.oid, right_name)) AS letters
            FROM pg_class
            WHERE relkind IN ('r', 'p', 'v', 'm') AND relnamespace::regnamespace::text IN ('public', 'sessions')
        """)
        )
        return {row.name: row.letters for row in rows}

    assert await walled.administrator.run(rights) == _RIGHTS


async def test_the_journal_is_neither_changed_nor_deleted_nor_emptied(walled: Walled) -> None:
    await walled.centre.integrate()
    statements = [
        statement
        for table in JOURNAL_TABLES
        for statement in (f"UPDATE {table} SET log = log", f"DELETE FROM {table}", f"TRUNCATE {table}")
    ]
    statements += ["UPDATE audit_cosignature SET size = 0", "SELECT * FROM audit_inbox"]
    outcomes = {statement: await walled.attempt(walled.avec, statement) for statement in statements}
    assert outcomes == dict.fromkeys(statements, REFUSED)


async def test_the_neutral_row_is_for_its_two_parties_and_is_not_updated(walled: Walled) -> None:
    async def seen(org: UUID | None) -> int:
        return await walled.inside(org, lambda c: len(c.execute(text("SELECT id FROM handoff")).all()))

    parties = (walled.avec, walled.cidff)
    assert [await seen(org) for org in (*parties, walled.centre.org("planning"), None)] == [1, 1, 0, 0]
    for org in parties:
        assert await walled.attempt(org, "UPDATE handoff SET state = 'accepted'") == REFUSED
        assert await walled.attempt(org, "DELETE FROM handoff") == REFUSED


async def test_a_neutral_row_begins_as_the_senders_own_draft_without_consent(walled: Walled) -> None:
    async def begin(sender: str, state: str, *, live: bool) -> str | int:
        return await walled.attempt(
            walled.avec,
            "INSERT INTO handoff (id, from_org, to_org, state, consent_is_live) "
            "VALUES (:id, :sender, :receiver, :state, :live)",
            id=uuid4(),
            sender=walled.centre.org(sender),
            receiver=walled.centre.org("planning"),
            state=state,
            live=live,
        )

    assert await begin("cidff", "draft", live=False) == REFUSED
    assert await begin("avec", "sent", live=False) == REFUSED
    assert await begin("avec", "draft", live=True) == REFUSED
    assert await begin("avec", "draft", live=False) == 1


_MOVE = text(
    "SELECT was, moved FROM move_handoff(:handoff, :next, now(), NULL, NULL, NULL, NULL, NULL, NULL,"
    " '{}', '{}', '{}')"
).bindparams(bindparam("handoff", type_=Uuid), bindparam("next", type_=String))


async def _move(
    walled: Walled, org: UUID | None, following: str | None, handoff: UUID | None = None
) -> tuple[str, bool] | None:
    values = {"handoff": handoff or walled.handoff, "next": following}

    def move(connection: Connection) -> tuple[str, bool] | None:
        row = connection.execute(_MOVE, values).one_or_none()
        return None if row is None else (row.was, row.moved)

    return await walled.inside(org, move)


async def _handoff(walled: Walled) -> list[Any]:
    query = text(
        "SELECT handoff.*, org_id, handoff_side.state AS side_state, moved_at, reply, sent_at "
        "FROM handoff JOIN handoff_side USING (id) ORDER BY org_id"
    )
    return await walled.administrator.run(lambda connection: list(connection.execute(query).all()))


async def test_a_move_of_a_third_organisation_or_of_none_finds_nothing(walled: Walled) -> None:
    before = await _handoff(walled)
    for org in (walled.centre.org("planning"), walled.centre.org("med"), None):
        assert await _move(walled, org, "consented") is None
    assert await _move(walled, walled.avec, "consented", uuid4()) is None
    assert await _handoff(walled) == before


_WRONG_MOVES: tuple[tuple[str, str | None, str], ...] = (
    ("avec", None, "no state is named"),
    ("avec", "elsewhere", "no such state"),
    ("cidff", "consented", "the receiver's"),
    ("cidff", "cancelled", "the receiver's"),
    ("cidff", "withdrawn", "the receiver's"),
    ("avec", "accepted", "the sender's"),
    ("avec", "declined", "the sender's"),
    ("avec", "completed", "the sender's"),
)


async def test_a_move_that_skips_a_state_or_is_of_the_wrong_side_changes_nothing(walled: Walled) -> None:
    before = await _handoff(walled)
    for org, following, why in _WRONG_MOVES:
        assert await _move(walled, walled.centre.org(org), following) == ("draft", False), why
    assert await _handoff(walled) == before


async def test_the_function_allows_exactly_the_moves_of_the_table(walled: Walled) -> None:
    put = text("UPDATE handoff SET state = :state, consent_is_live = :live, consent_expires_at = :until")
    until = datetime.now(UTC) + timedelta(days=1)
    for was, following, org, live in product(Stage, Stage, ("avec", "cidff"), (True, False)):
        values = {"state": was, "live": live, "until": until}
        await walled.administrator.run(lambda c, values=values: c.execute(put, values))
        side = Side.SENDER if org == "avec" else Side.RECEIVER
        allowed = following in MOVES and was in MOVES[following][0] and may_move(following, side, live=live)
        if following is Stage.SENT and allowed:
            continue  # It delivers, which a draft without an envelope cannot; the journeys show it.
        assert await _move(walled, walled.centre.org(org), following) == (was, allowed), (was, following, org)


async def test_a_side_is_moved_by_the_function_alone(walled: Walled) -> None:
    for column, value in (
        ("state", "'accepted'"),
        ("content_digest", "decode('00', 'hex')"),
        ("side", "'receiver'"),
    ):
        statement = text(f"UPDATE handoff_side SET {column} = {value}")
        with pytest.raises(DBAPIError) as refused:
            await walled.inside(walled.avec, lambda c, statement=statement: c.execute(statement))
        assert getattr(refused.value.orig, "sqlstate", None) == "42501"


async def test_a_move_that_is_allowed_moves_both_rows(walled: Walled) -> None:
    assert await _move(walled, walled.avec, "cancelled") == ("draft", True)
    assert [(row.state, row.side_state) for row in await _handoff(walled)] == [("cancelled", "cancelled")]
    assert await walled.administrator.value("SELECT count(*) FROM handoff_part") == 0


async def test_a_session_is_found_by_its_id_alone_and_sets_its_organisation(walled: Walled) -> None:
    jurist = await walled.centre.sign_in("cidff.jurist")
    token = Token.of(walled.centre.deployment.pepper, decode_token(jurist.token))

    def find(connection: Connection, session_id: bytes) -> tuple[list[UUID], str, int]:
        rows = connection.execute(text("SELECT org_id FROM find_session(:id)"), {"id": session_id})
        found = list(rows.scalars())
        seen = connection.execute(text("SELECT count(*) FROM sessions.session")).scalar_one()
        return found, connection.execute(_SETTING).scalar_one(), seen

    found, setting, seen = await walled.inside(None, lambda connection: find(connection, token.id))
    assert (found, UUID(setting), seen) == ([walled.cidff], walled.cidff, 1)
    for unknown in (bytes(32), b"", token.id[:-1]):
        # Not even from inside an organisation: what was set is taken back.
        looked = await walled.inside(walled.avec, lambda c, unknown=unknown: find(c, unknown))
        assert looked == ([], "", 0)


async def test_a_login_gives_its_organisation_and_no_list_of_the_others(walled: Walled) -> None:
    def find(connection: Connection, login: str) -> tuple[UUID | None, str, list[str]]:
        org = connection.execute(text("SELECT find_login(:login)"), {"login": login}).scalar_one()
        logins = list(connection.execute(text("SELECT login FROM account")).scalars())
        return org, connection.execute(_SETTING).scalar_one(), logins

    org, setting, logins = await walled.inside(None, lambda connection: find(connection, "cidff.jurist"))
    assert (org, UUID(setting)) == (walled.cidff, walled.cidff)
    assert logins
    assert all(login.startswith("cidff.") for login in logins)
    for unknown in ("cidff.nobody", "", "%", "' OR true --"):
        looked = await walled.inside(walled.avec, lambda c, unknown=unknown: find(c, unknown))
        assert looked == (None, "", [])


async def test_a_table_of_ones_own_does_not_deceive_the_narrow_functions(walled: Walled) -> None:
    def deceive(connection: Connection) -> Any:
        connection.execute(text("CREATE TEMP TABLE account (login text, org_id uuid) ON COMMIT DROP"))
        connection.execute(text("INSERT INTO account VALUES ('mine', :org)"), {"org": walled.avec})
        return connection.execute(text("SELECT find_login('mine')")).scalar_one()

    assert await walled.inside(walled.cidff, deceive) is None


async def test_the_narrow_functions_are_for_the_service_alone(walled: Walled) -> None:
    def may_execute(connection: Connection) -> set[tuple[str, str]]:
        query = text("""
            SELECT proname, rolname FROM pg_proc, pg_roles
            WHERE pronamespace = 'public'::regnamespace AND prosecdef AND NOT rolsuper
              AND rolname LIKE 'casework\\_%' AND has_function_privilege(rolname, pg_proc.oid, 'EXECUTE')
        """)
        rows = connection.execute(query)
        return {(row.proname, row.rolname) for row in rows}

    narrow = (
        "find_login",
        "find_session",
        "move_handoff",
        "newest_kek",
        "newest_drop_key",
        "partner_entries",
    )
    assert await walled.administrator.run(may_execute) == {
        (name, role) for name in narrow for role in ("casework_app", "casework_owner")
    }


async def test_sessions_are_written_to_no_log_that_a_backup_or_a_replica_takes(walled: Walled) -> None:
    for table in ("session", "attempt"):
        persistence = f"SELECT relpersistence FROM pg_class WHERE oid = 'sessions.{table}'::regclass"
        assert await walled.administrator.value(persistence) in {"u", b"u"}
