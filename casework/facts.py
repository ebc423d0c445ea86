"""Each fact about a case, once, as SQL: point reads select it, lists put it in WHERE.

With `casework.access` and `casework.packets`, the only place that reads another slice's tables.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    FromClause,
    Select,
    and_,
    bindparam,
    exists,
    false,
    not_,
    null,
    or_,
    select,
)

from casework.cases.tables import (
    assignment,
    break_glass,
    case_conflict,
    case_file,
    case_team,
    past_assignment,
)
from casework.column_types import Id, Moment
from casework.organisations.tables import team_member
from policies.facts import CaseFacts
from policies.filters import Cube
from policies.vocabulary import Fact, Status

# The asker and the moment of a statement that is prepared once: its caller gives `member` and `now`.
MEMBER: BindParameter[UUID] = bindparam("member", type_=Id)
NOW: BindParameter[datetime] = bindparam("now", type_=Moment)


def case_facts(
    member_id: UUID | BindParameter[UUID], now: datetime | BindParameter[datetime]
) -> dict[Fact, ColumnElement[bool]]:
    """The facts of the `case_file` row of the enclosing query, relative to one member.

    `mine`: she is assigned. `my_team`: one of her teams is. `glass`: she holds an unexpired emergency access.
    """
    in_team = and_(team_member.c.org_id == case_team.c.org_id, team_member.c.team_id == case_team.c.team_id)
    return {
        Fact.MINE: _near(assignment, assignment.c.member_id == member_id),
        Fact.MY_TEAM: _near(case_team, exists().where(in_team, team_member.c.member_id == member_id)),
        Fact.RESTRICTED: case_file.c.restricted,
        Fact.CONFLICT: _near(case_conflict, case_conflict.c.member_id == member_id),
        Fact.GLASS: _near(
            break_glass, and_(break_glass.c.member_id == member_id, break_glass.c.expires_at > now)
        ),
    }


def ties(org_id: UUID, fact: Fact) -> tuple[Select[Any], ...]:
    """(case_id, member_id, since, until) of everybody for whom `mine` or `my_team` holds or held; None: no bound.

    Of teams the tables keep no past: who belongs to one today is taken to have always done so.
    """
    unbounded = null().label("until")
    if fact is Fact.MINE:
        now, past = assignment.c, past_assignment.c
        return (
            select(now.case_id, now.member_id, now.since, unbounded).where(now.org_id == org_id),
            select(past.case_id, past.member_id, past.since, past.until).where(past.org_id == org_id),
        )
    in_team = and_(team_member.c.org_id == case_team.c.org_id, team_member.c.team_id == case_team.c.team_id)
    return (
        select(case_team.c.case_id, team_member.c.member_id, null().label("since"), unbounded)
        .join_from(case_team, team_member, in_team)
        .where(case_team.c.org_id == org_id),
    )


def facts_of_row(row: Any) -> CaseFacts:
    """The facts of a row that selected each of `case_facts` under its name, and the case's status."""
    return CaseFacts(
        mine=bool(row.mine),
        my_team=bool(row.my_team),
        restricted=bool(row.restricted),
        conflict=bool(row.conflict),
        glass=bool(row.glass),
        status=Status(row.status),
    )


def matches_any(cubes: Sequence[Cube], facts: dict[Fact, ColumnElement[bool]]) -> ColumnElement[bool]:
    """The condition that a case is in one of the cubes; no cube is FALSE."""
    branches = [
        and_(
            *(facts[fact] if wanted else not_(facts[fact]) for fact, wanted in cube.required),
            or_(*(case_file.c.status == status for status in sorted(cube.statuses))),
        )
        for cube in cubes
    ]
    return or_(false(), *branches)


def _near(table: FromClause, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return (
        exists()
        .where(table.c.org_id == case_file.c.org_id, table.c.case_id == case_file.c.id, condition)
        .correlate(case_file)
    )
