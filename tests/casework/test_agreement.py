"""Lists, counts, point decisions and Cedar say the same of each row, on both databases, under row-level security.

Cedar is asked here with entities of the test's own making, from what was put into the tables and not from what a
query found there. A hundred thousand rows are decided on each database.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import cedarpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Table, bindparam, delete, insert, select

from casework import case_queries
from casework.cases.tables import (
    assignment,
    break_glass,
    case_conflict,
    case_file,
    case_group,
    case_team,
    declared_conflict,
)
from casework.column_types import Id, Sealed
from casework.database import Database, UnitOfWork
from casework.facts import MEMBER, NOW, case_facts, facts_of_row, matches_any
from casework.identity.tables import account, membership
from casework.organisations.tables import organisation, team, team_member
from casework.statements import HotStatement
from policies.cedar import ref, uid
from policies.engine import Engine
from policies.facts import Asker, Context
from policies.filters import Cube
from policies.sources import base_source, org_source, schema_for
from policies.vocabulary import CASE_ACTIONS, Action, Profession, Purpose, Role, Status
from tests.casework.administrator import Administrator
from tests.policies.situations import ORGS, WORKING_DAY, member

ROWS, EXAMPLES, QUESTIONS = 1_500, 6, 10
AT_LEAST = 100_000
_POINTS, _PAGE = 20, 101
_ORG, _NEIGHBOUR = UUID(int=0xA << 96), UUID(int=0xB << 96)
_ASKER, _COLLEAGUE = UUID(int=0xC << 96), UUID(int=0xD << 96)
_TEAMS, _THEIRS = (UUID(int=0x71), UUID(int=0x72)), UUID(int=0x73)
_MOMENT = datetime(2026, 11, 28, 9, tzinfo=UTC)
_SEALED = Sealed(b"sealed")
_STATUSES = tuple(Status)


@dataclass(frozen=True)
class Row:
    """What stands in the tables of one case, as the bits of a number.

    Of what is near the asker: an assignment, two teams of hers, a conflict, an emergency access that lasts and one
    that is over. Beside it the same of a colleague, which must make no difference.
    """

    number: int
    bits: int

    @property
    def id(self) -> UUID:
        return UUID(int=0xCA5E << 96 | self.number)

    def has(self, bit: int) -> bool:
        return bool(self.bits >> bit & 1)

    @property
    def status(self) -> Status:
        return _STATUSES[(self.bits >> 11 & 7) % 3]

    @property
    def resource(self) -> dict[str, Any]:
        """The case as Cedar is told of it."""
        return {
            "mine": self.has(0),
            "my_team": self.has(1) or self.has(2),
            "restricted": self.has(3),
            "conflict": self.has(4),
            "glass": self.has(5),
            "status": ref("Status", self.status),
        }

    @property
    def state(self) -> tuple[str, ...]:
        """What rows have in common that Cedar cannot tell apart."""
        return tuple(str(value) for value in self.resource.values())


# The bits of a row, and what each puts into the tables.
_NEAR: tuple[tuple[int, Table, dict[str, Any]], ...] = (
    (0, assignment, {"member_id": _ASKER, "since": _MOMENT}),
    (1, case_team, {"team_id": _TEAMS[0], "since": _MOMENT}),
    (2, case_team, {"team_id": _TEAMS[1], "since": _MOMENT}),
    (
        4,
        case_conflict,
        {"member_id": _ASKER, "conflict_id": _ASKER, "of_group": "identity", "since": _MOMENT},
    ),
    (5, break_glass, {"member_id": _ASKER, "expires_at": _MOMENT + timedelta(minutes=1)}),
    (6, break_glass, {"member_id": _ASKER, "expires_at": _MOMENT}),
    (7, assignment, {"member_id": _COLLEAGUE, "since": _MOMENT}),
    (8, case_team, {"team_id": _THEIRS, "since": _MOMENT}),
    (
        9,
        case_conflict,
        {"member_id": _COLLEAGUE, "conflict_id": _COLLEAGUE, "of_group": "contact", "since": _MOMENT},
    ),
    (10, break_glass, {"member_id": _COLLEAGUE, "expires_at": _MOMENT + timedelta(minutes=1)}),
)
# Of the neighbour, under the same ids: everything that would open a case, and nothing that closes it.
_OPEN_TO_ALL = 0b0000_0010_0111

_askers = st.builds(
    Asker,
    org=st.sampled_from(ORGS),
    role=st.sampled_from(Role),
    professions=st.frozensets(st.sampled_from(Profession), max_size=2),
    active=st.booleans() | st.just(value=True),
)
_usually = st.booleans() | st.just(value=True)
_contexts = st.builds(
    Context,
    mfa=_usually,
    step_up=st.booleans(),
    reason=st.booleans(),
    device=_usually,
    hours=_usually,
    self_target=st.booleans(),
    purpose=st.sampled_from(Purpose),
)
_actions = st.just(Action.CASE_LIST) | st.sampled_from(sorted(CASE_ACTIONS))
_questions = st.lists(st.tuples(_askers, _actions, _contexts), min_size=QUESTIONS, max_size=QUESTIONS)
# Lists that begin at a team's cases: few of those who are drawn have one.
_ALWAYS = tuple(
    (member(org, role, Profession.JURIST), Action.CASE_LIST, WORKING_DAY)
    for org, role in (("avec", Role.WORKER), ("med", Role.RECEPTION))
)
_rows = st.binary(min_size=2 * ROWS, max_size=2 * ROWS).map(
    lambda drawn: [Row(number, int.from_bytes(drawn[2 * number : 2 * number + 2])) for number in range(ROWS)]
)


@cache
def engine_of(org: str) -> Engine:
    return Engine.load(org, ORGS)


@cache
def _schema() -> cedarpy.Schema:
    return cedarpy.Schema.from_str(schema_for(frozenset(ORGS)))


@cache
def _all_policies(org: str) -> cedarpy.PolicySet:
    return cedarpy.PolicySet.from_str("\n".join(source.text for source in (base_source(), org_source(org))))


def _allowed_by_cedar(asker: Asker, action: Action, context: Context, rows: Sequence[Row]) -> set[UUID]:
    """The rows that Cedar allows, each asked about as it stands in the tables; equal ones once."""
    alike: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        alike.setdefault(row.state, []).append(row)
    own = {"parents": [uid("Org", asker.org)], "attrs": {"org": ref("Org", asker.org)}}
    she = {
        "uid": uid("Member", "she"),
        "parents": [uid("Org", asker.org), uid("Role", asker.role)],
        "attrs": {
            "org": ref("Org", asker.org),
            "active": asker.active,
            "professions": [ref("Profession", profession) for profession in sorted(asker.professions)],
        },
    }
    cases = [
        {
            "uid": uid("Case", str(same[0].id)),
            "parents": own["parents"],
            "attrs": {**own["attrs"], **same[0].resource},  # type: ignore[dict-item]
        }
        for same in alike.values()
    ]
    asked = {
        "mfa": context.mfa,
        "step_up": context.step_up,
        "reason": context.reason,
        "device": context.device,
        "hours": context.hours,
        "self_target": context.self_target,
        "purpose": ref("Purpose", context.purpose),
    }
    requests = [
        {
            "principal": she["uid"],
            "action": uid("Action", action),
            "resource": case["uid"],
            "context": asked,
        }
        for case in cases
    ]
    entities = cedarpy.Entities.from_json_str(json.dumps([she, *cases]), _schema())
    answers = cedarpy.is_authorized_batch(requests, _all_policies(asker.org), entities, _schema())
    assert not [answer for answer in answers if answer.diagnostics.errors]
    allowed = [same for same, answer in zip(alike.values(), answers, strict=True) if answer.allowed]
    return {row.id for same in allowed for row in same}


def _people(connection: Connection) -> None:
    """Two organisations with the same members and teams: what is one's must not count for the other."""
    nothing = b"\x00"
    for org_id in (_ORG, _NEIGHBOUR):
        own = {"org_id": org_id, "created_at": _MOMENT}
        connection.execute(
            insert(organisation),
            {
                "id": org_id,
                "slug": org_id.hex,
                "name": "x",
                "root_fingerprint": nothing,
                "journal_key": "x",
                "created_at": _MOMENT,
            },
        )
        for one in (_ASKER, _COLLEAGUE):
            login = {
                "id": one,
                "login": f"{org_id}.{one}",
                "active": True,
                "auth_hash": nothing,
                "kdf_salt": nothing,
                "kdf_memory_kib": 1,
                "kdf_time": 1,
                "kdf_parallelism": 1,
                "pepper_id": nothing,
                "totp_seed": _SEALED,
                "totp_step": 0,
            }
            position = {
                "id": one,
                "account_id": one,
                "role": "worker",
                "professions": "",
                "active": True,
                "daily_key": _SEALED,
                "signing_key": _SEALED,
            }
            connection.execute(insert(account), {**own, **login})
            connection.execute(insert(membership), {**own, **position})
            declared = {"org_id": org_id, "id": one, "account_id": one, "declared_at": _MOMENT}
            connection.execute(insert(declared_conflict), {**declared, "salt": nothing, "marks": nothing})
        for one in (*_TEAMS, _THEIRS):
            connection.execute(insert(team), {"org_id": org_id, "id": one, "name": "x"})
            whose = _ASKER if one in _TEAMS else _COLLEAGUE
            belongs = {"org_id": org_id, "team_id": one, "member_id": whose, "since": _MOMENT}
            connection.execute(insert(team_member), belongs)
    _put(connection, [Row(number, _OPEN_TO_ALL) for number in range(ROWS)], _NEIGHBOUR)


def _put(connection: Connection, rows: Sequence[Row], org_id: UUID = _ORG) -> None:
    """These rows and no others in the organisation."""
    for table in (break_glass, case_conflict, case_team, assignment, case_group, case_file):
        connection.execute(delete(table).where(table.c.org_id == org_id))
    case = {"org_id": org_id, "version": 1, "created_by": _ASKER, "pseudonym_part": b"\x00" * 32}
    case |= {"created_at": _MOMENT, "last_contact_at": _MOMENT}
    connection.execute(
        insert(case_file),
        [{**case, "id": row.id, "status": row.status, "restricted": row.has(3)} for row in rows],
    )
    group = {"org_id": org_id, "compartment": "identity", "dek": _SEALED, "dek_generation": 1, "version": 1}
    connection.execute(insert(case_group), [{**group, "case_id": row.id, "id": row.id} for row in rows])
    for bit, table, values in _NEAR:
        near = [
            {"org_id": org_id, "case_id": row.id, **values, **_own_id(table, bit, row)}
            for row in rows
            if row.has(bit)
        ]
        if near:
            connection.execute(insert(table), near)


def _own_id(table: Table, bit: int, row: Row) -> dict[str, UUID]:
    return {"id": UUID(int=bit << 64 | row.number)} if table is break_glass else {}


_EVERY = HotStatement(
    select(case_file.c.id, case_file.c.status)
    .add_columns(*(expression.label(fact) for fact, expression in case_facts(MEMBER, NOW).items()))
    .where(case_file.c.org_id == bindparam("org", type_=Id))
)
_VALUES = {"org": _ORG, "member": _ASKER, "now": _MOMENT}


def _pages(connection: Connection, cubes: tuple[Cube, ...], status: Status | None) -> list[UUID]:
    """The whole list, page by page, of which each row's facts are in one of the cubes."""
    found: list[UUID] = []
    while True:
        after = found[-1] if found else None
        rows = case_queries.page(connection, cubes, _PAGE, {**_VALUES, "status": status, "after": after})
        assert all(any(cube.covers(facts_of_row(row)) for cube in cubes) for row in rows)
        found += [row.id for row in rows]
        if len(rows) < _PAGE:
            return found


def _compare(
    unit: UnitOfWork, rows: Sequence[Row], questions: Sequence[tuple[Asker, Action, Context]]
) -> int:
    """Ask each question in every way there is; returns how many rows were decided."""
    unit.enter_organisation(_ORG)
    connection = unit.connection
    facts = {row.id: facts_of_row(row) for row in _EVERY.rows(connection, _VALUES)}
    assert facts.keys() == {row.id for row in rows}
    for row in rows[:_POINTS]:
        one = case_queries.FACTS.row(connection, {**_VALUES, "case": row.id})
        assert one is not None
        assert facts_of_row(one) == facts[row.id]
    for number, (asker, action, context) in enumerate(questions):
        by_cedar = _allowed_by_cedar(asker, action, context, rows)
        engine = engine_of(asker.org)
        cubes = engine.list_filter(asker, action, context)
        by_point = {
            case for case, state in facts.items() if engine.decide_case(asker, action, state, context).allowed
        }
        assert by_point == by_cedar, (asker, action, context)
        for status in (None, _STATUSES[number % 3]):
            allowed = {row.id for row in rows if row.id in by_cedar and status in {None, row.status}}
            assert _pages(connection, cubes, status) == sorted(allowed, reverse=True), (
                asker,
                action,
                context,
            )
            counted = case_queries.count(connection, cubes, {**_VALUES, "status": status})
            assert counted == min(len(allowed), case_queries.COUNT_CAP + 1)
        matching = select(case_file.c.id).where(
            case_file.c.org_id == _ORG, matches_any(cubes, case_facts(_ASKER, _MOMENT))
        )
        assert set(connection.execute(matching).scalars()) == by_cedar
    return len(rows) * len(questions)


async def test_list_filters_and_point_decisions_agree_with_cedar_on_a_hundred_thousand_rows(
    database: Database, database_place: Any
) -> None:
    administrator, loop = Administrator.of(database_place), asyncio.get_running_loop()
    await administrator.run(_people)
    decided = 0

    def wait_for(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(_rows, _questions)
    def agree(rows: list[Row], questions: list[tuple[Asker, Action, Context]]) -> None:
        nonlocal decided
        wait_for(administrator.run(lambda connection: _put(connection, rows)))
        decided += wait_for(database.unit(lambda unit: _compare(unit, rows, [*questions, *_ALWAYS])))

    await asyncio.to_thread(agree)
    assert decided >= AT_LEAST
