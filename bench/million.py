"""A database of a million cases: rows made by the server itself, for measuring what is asked of them.

Two organisations hold them, nine in ten `big`'s. A worker has some 2,000 cases and a team of 15,000; a newcomer has
three and no team. Frames and keys are random bytes of the usual length: the database does not open them.
"""

from uuid import UUID

from casework.schema import migrate
from tests.postgres import Cluster

CASES = 1_000_000
WORKERS = 500
TEAMS = 20
BIG, SMALL = UUID(int=0xB16 << 64 | 7 << 76 | 1 << 63), UUID(int=0x5A11 << 64 | 7 << 76 | 1 << 63)


def member(number: int) -> UUID:
    """The id of a member by number; 0 is the newcomer."""
    return UUID(int=0xAE << 96 | 7 << 76 | 1 << 63 | number)


def team(number: int) -> UUID:
    return UUID(int=0x7EA << 96 | 7 << 76 | 1 << 63 | number)


# Version 7: the time first, so that what is opened later is greater.
_CASE_ID = "(lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '7abc8' || lpad(md5(n::text), 15))::uuid"
_MEMBER_ID = f"('{member(0).hex[:24]}' || lpad(to_hex({{}}), 8, '0'))::uuid"
_TEAM_ID = f"('{team(0).hex[:24]}' || lpad(to_hex({{}}), 8, '0'))::uuid"
_BYTES = "decode(repeat(md5(n::text), {}), 'hex')"
_HASH = "('x' || substr(md5('{}' || n), 1, 7))::bit(28)::integer"


def _statements(cases: int) -> list[str]:
    """As a superuser who skips the foreign keys, which hold by construction."""
    mine = cases - cases // 10
    org = f"CASE WHEN n <= {mine} THEN '{BIG}'::uuid ELSE '{SMALL}'::uuid END"
    worker = _MEMBER_ID.format(f"1 + {_HASH.format('w')} % {WORKERS}")
    second = _MEMBER_ID.format(f"1 + {_HASH.format('v')} % {WORKERS}")
    hashed_team = _TEAM_ID.format(f"{_HASH.format('t')} % {TEAMS}")
    every = f"FROM generate_series(1, {cases}) AS n"
    big = f"FROM generate_series(1, {mine}) AS n"
    return [
        "SET session_replication_role = replica",
        *(
            f"INSERT INTO organisation (id, slug, name, root_fingerprint, journal_key, created_at)"
            f" VALUES ('{org_id}', '{slug}', '{slug}', '\\x00', '', now())"
            for org_id, slug in ((BIG, "big"), (SMALL, "small"))
        ),
        "INSERT INTO membership (org_id, id, account_id, role, professions, active, daily_key, signing_key,"
        " created_at)"
        f" SELECT '{BIG}', {_MEMBER_ID.format('n')}, '{BIG}', 'worker', 'social', true, '\\x00', '\\x00', now()"
        f" FROM generate_series(0, {WORKERS}) AS n",
        f"INSERT INTO team (org_id, id, name) SELECT '{BIG}', {_TEAM_ID.format('n')}, n"
        f" FROM generate_series(0, {TEAMS - 1}) AS n",
        f"INSERT INTO team_member (org_id, team_id, member_id, since)"
        f" SELECT '{BIG}', {_TEAM_ID.format(f'n % {TEAMS}')}, {_MEMBER_ID.format('n')}, now()"
        f" FROM generate_series(1, {WORKERS}) AS n",
        "INSERT INTO case_file (org_id, id, status, restricted, version, created_at, created_by, last_contact_at,"
        f" pseudonym_part) SELECT {org}, {_CASE_ID}, (ARRAY['open', 'open', 'closed', 'archived'])[1 + n % 4],"
        f" n % 100 = 7, 1, now(), '{member(1)}', now(), {_BYTES.format(2)} {every}",
        f"INSERT INTO assignment (org_id, case_id, member_id, since) SELECT {org}, {_CASE_ID}, {worker}, now()"
        f" {every}",
        f"INSERT INTO assignment (org_id, case_id, member_id, since)"
        f" SELECT '{BIG}', {_CASE_ID}, {second}, now() {big} WHERE n % 8 = 0 ON CONFLICT DO NOTHING",
        f"INSERT INTO assignment (org_id, case_id, member_id, since)"
        f" SELECT '{BIG}', {_CASE_ID}, '{member(0)}', now() {big}"
        f" WHERE n IN ({mine // 5}, {mine // 3}, {mine // 2})",
        f"INSERT INTO case_team (org_id, case_id, team_id, since)"
        f" SELECT '{BIG}', {_CASE_ID}, {hashed_team}, now() {big} WHERE n % 3 = 0",
        f"INSERT INTO case_conflict (org_id, case_id, member_id, conflict_id, of_group, since)"
        f" SELECT '{BIG}', {_CASE_ID}, {worker}, '{BIG}', 'identity', now() {big} WHERE n % 500 = 3",
        f"INSERT INTO break_glass (org_id, id, case_id, member_id, expires_at)"
        f" SELECT '{BIG}', {_CASE_ID}, {_CASE_ID}, {worker}, now() + '1 day' {big} WHERE n % 10000 = 9",
        "INSERT INTO case_group (org_id, case_id, compartment, id, dek, dek_generation, version, frame)"
        f" SELECT {org}, {_CASE_ID}, 'identity', {_CASE_ID}, {_BYTES.format(5)}, 1, 1, {_BYTES.format(18)} {every}",
        # The page of a case is asked of the worker's alone.
        "INSERT INTO case_group (org_id, case_id, compartment, id, dek, dek_generation, version, frame)"
        f" SELECT org_id, case_id, compartment, case_id, decode(repeat('00', 80), 'hex'), 1, 1,"
        " decode(repeat('00', 288), 'hex')"
        " FROM assignment, unnest(ARRAY['contact', 'intake', 'safety', 'social', 'legal', 'health', 'family'])"
        f" AS compartment WHERE member_id = '{member(1)}' AND org_id = '{BIG}'",
    ]


async def fill(cluster: Cluster, database: str, cases: int = CASES) -> None:
    """Make the database, migrate it, and put the cases in."""
    cluster.sql(f"CREATE DATABASE {database} OWNER casework_owner")
    await migrate(cluster.url(database, "casework_owner"))
    cluster.sql("; ".join(_statements(cases)), database)
    cluster.sql("VACUUM ANALYZE", database)
