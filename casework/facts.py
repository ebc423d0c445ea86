"""Each fact, once, as SQL. Of a case: point reads select it, lists put it in WHERE. Of a request: asked for each.

With `casework.access` and `casework.packets`, the only place that reads another slice's tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BindParameter,
    Boolean,
    ColumnElement,
    Connection,
    Date,
    FromClause,
    LargeBinary,
    Select,
    SmallInteger,
    Table,
    and_,
    bindparam,
    case,
    exists,
    false,
    join,
    literal_column,
    not_,
    null,
    or_,
    select,
    true,
)

from casework.cases.tables import (
    assignment,
    break_glass,
    case_conflict,
    case_file,
    case_team,
    past_assignment,
    past_case_team,
)
from casework.column_types import Id, Moment
from casework.organisations.tables import (
    closed_day,
    managed_network,
    opening_hours,
    past_team_member,
    team_member,
)
from casework.statements import HotStatement
from policies.facts import CaseFacts
from policies.filters import Cube
from policies.vocabulary import Fact, Status

# The asker and the moment of a statement that is prepared once: its caller gives `member` and `now`.
MEMBER: BindParameter[UUID] = bindparam("member", type_=Id)
NOW: BindParameter[datetime] = bindparam("now", type_=Moment)


# Opening hours are those of the door.
PARIS = ZoneInfo("Europe/Paris")

_ORG = bindparam("org", type_=Id)
_WEEKDAY, _MINUTE = bindparam("weekday", type_=SmallInteger), bindparam("minute", type_=SmallInteger)
_ADDRESS = bindparam("address", type_=LargeBinary)


def _of_settings(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(table.c.org_id == _ORG, *conditions)


# Values: org; weekday (Monday is 0), minute (of the day) and day in Paris; address (16 bytes, or none); managed
# (whether it is in a network of the deployment).
_CIRCUMSTANCES = HotStatement(
    select(
        and_(
            or_(
                not_(_of_settings(opening_hours)),
                _of_settings(
                    opening_hours,
                    opening_hours.c.weekday == _WEEKDAY,
                    opening_hours.c.opens <= _MINUTE,
                    opening_hours.c.closes > _MINUTE,
                ),
            ),
            not_(_of_settings(closed_day, closed_day.c.day == bindparam("day", type_=Date))),
        ).label("hours"),
        or_(
            and_(not_(_of_settings(managed_network)), bindparam("managed", type_=Boolean)),
            _of_settings(
                managed_network, managed_network.c.first <= _ADDRESS, managed_network.c.last >= _ADDRESS
            ),
        ).label("device"),
    )
)


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What a request's moment and address are to the organisation.

    `hours`: it is open. `device`: the request comes from a network whose machines it manages.
    """

    hours: bool
    device: bool


def request_facts(
    connection: Connection, org_id: UUID, now: datetime, address: bytes, *, managed: bool
) -> RequestFacts:
    """The facts of a request; `managed`: whether it comes from one of the deployment's own networks."""
    there = now.astimezone(PARIS)
    values = {
        "org": org_id,
        "weekday": there.weekday(),
        "minute": there.hour * 60 + there.minute,
        "day": there.date(),
        "address": address,
        "managed": managed,
    }
    [row] = _CIRCUMSTANCES.rows(connection, values)
    return RequestFacts(hours=bool(row.hours), device=bool(row.device))


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """When an organisation is open, as it says today: (weekday, opens, closes) in minutes of a day; closed days."""

    spans: frozenset[tuple[int, int, int]]
    closed_on: frozenset[date]

    def opens_within(self, hour: datetime) -> bool:
        """Whether it is open in any minute of the hour that begins at this moment in Paris."""
        first = hour.hour * 60 + hour.minute
        return hour.date() not in self.closed_on and any(
            weekday == hour.weekday() and opens < first + 60 and first < closes
            for weekday, opens, closes in self.spans
        )


def opening_hours_of(connection: Connection, org_id: UUID) -> OpeningHours | None:
    """When it is open, for whoever looks back on many moments; None where it has set no hours."""
    spans = select(opening_hours.c.weekday, opening_hours.c.opens, opening_hours.c.closes).where(
        opening_hours.c.org_id == org_id
    )
    closed = select(closed_day.c.day).where(closed_day.c.org_id == org_id)
    found = frozenset((row.weekday, row.opens, row.closes) for row in connection.execute(spans))
    return OpeningHours(found, frozenset(connection.execute(closed).scalars())) if found else None


def case_facts(
    member_id: UUID | BindParameter[UUID], now: datetime | BindParameter[datetime], *, few_rows: bool = False
) -> dict[Fact, ColumnElement[bool]]:
    """The facts of the `case_file` row of the enclosing query, relative to one member.

    `mine`: she is assigned. `my_team`: one of her teams is. `glass`: she holds an unexpired emergency access.
    `few_rows`: for the rows of a page, of what she may be near by the thousand each is looked up by its key; else
    PostgreSQL may read it all first, which is dear unless thousands of rows are asked about.
    """
    in_team = and_(team_member.c.org_id == case_team.c.org_id, team_member.c.team_id == case_team.c.team_id)
    near = _near_by_key if few_rows else _near
    return {
        Fact.MINE: near(assignment, assignment.c.member_id == member_id),
        Fact.MY_TEAM: near(case_team, exists().where(in_team, team_member.c.member_id == member_id)),
        Fact.RESTRICTED: case_file.c.restricted,
        Fact.CONFLICT: _near(case_conflict, case_conflict.c.member_id == member_id),
        Fact.GLASS: _near(
            break_glass, and_(break_glass.c.member_id == member_id, break_glass.c.expires_at > now)
        ),
    }


def newest_of(
    cube: Cube,
    org_id: BindParameter[UUID],
    further: Sequence[ColumnElement[bool]],
    before: BindParameter[UUID] | None,
    limit: ColumnElement[int],
    *,
    by_team: bool,
) -> Select[UUID]:
    """The ids of the newest `limit` cases in the cube (of MEMBER at NOW), greater first, below `before` if given.

    Begins where the fewest rows are: at what a required fact is read from, by its index in the order of ids.
    `by_team`: each of her teams gives its newest by itself (a lateral join, which SQLite has not).
    """
    facts = case_facts(MEMBER, NOW)
    required = dict(cube.required)
    conditions = [facts[fact] if wanted else not_(facts[fact]) for fact, wanted in cube.required]
    conditions += [or_(*(case_file.c.status == status for status in sorted(cube.statuses))), *further]

    def newest(source: FromClause, case_id: ColumnElement[UUID], *own: ColumnElement[bool]) -> Select[UUID]:
        bound = [case_id < before] if before is not None else []
        return (
            select(case_id.label("id"))
            .select_from(source)
            .where(*own, *bound, *conditions)
            .order_by(case_id.desc())
            .limit(limit)
        )

    for fact, table, condition in (
        (Fact.MINE, assignment, true()),
        (Fact.GLASS, break_glass, break_glass.c.expires_at > NOW),
    ):
        if required.get(fact):
            conditions.remove(facts[fact])
            its_case = and_(case_file.c.org_id == table.c.org_id, case_file.c.id == table.c.case_id)
            own = (table.c.org_id == org_id, table.c.member_id == MEMBER, condition)
            return newest(join(table, case_file, its_case), table.c.case_id, *own)
    if not required.get(Fact.MY_TEAM):
        return newest(case_file, case_file.c.id, case_file.c.org_id == org_id)
    conditions.remove(facts[Fact.MY_TEAM])
    its_case = and_(case_file.c.org_id == case_team.c.org_id, case_file.c.id == case_team.c.case_id)
    her_team = (team_member.c.org_id == org_id, team_member.c.member_id == MEMBER)
    in_team = (case_team.c.org_id == org_id, case_team.c.team_id == team_member.c.team_id)
    cases = join(case_team, case_file, its_case)
    if not by_team:
        return newest(join(team_member, cases, and_(*in_team)), case_team.c.case_id, *her_team)
    of_each = newest(cases, case_team.c.case_id, *in_team).correlate(team_member).lateral()
    return select(of_each.c.id).select_from(join(team_member, of_each, true())).where(*her_team)


def ties(org_id: UUID, fact: Fact) -> tuple[Select[Any], ...]:
    """(case_id, member_id, since, until) of everybody for whom `mine` or `my_team` holds or held; None: still."""
    if fact is Fact.MINE:
        return tuple(
            select(table.c.case_id, table.c.member_id, table.c.since, _until(table)).where(
                table.c.org_id == org_id
            )
            for table in (assignment, past_assignment)
        )
    return tuple(
        _of_team(org_id, of_case, member)
        for of_case in (case_team, past_case_team)
        for member in (team_member, past_team_member)
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


def _until(table: Table) -> ColumnElement[Any]:
    return table.c.until if "until" in table.c else null().label("until")


def _of_team(org_id: UUID, of_case: Table, member: Table) -> Select[Any]:
    """While the team had the case and the member belonged to it: from the later beginning to the earlier end."""
    begins = case((of_case.c.since > member.c.since, of_case.c.since), else_=member.c.since)
    ends = [table.c.until for table in (of_case, member) if "until" in table.c]
    end: ColumnElement[Any] = ends[0] if ends else null()
    if len(ends) > 1:
        end = case((ends[0] < ends[1], ends[0]), else_=ends[1])
    in_team = and_(member.c.org_id == of_case.c.org_id, member.c.team_id == of_case.c.team_id)
    whole = select(of_case.c.case_id, member.c.member_id, begins.label("since"), end.label("until"))
    return (
        whole.join_from(of_case, member, in_team)
        .where(of_case.c.org_id == org_id)
        .where(begins < end if ends else true())
    )


def _near(table: FromClause, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return (
        exists()
        .where(table.c.org_id == case_file.c.org_id, table.c.case_id == case_file.c.id, condition)
        .correlate(case_file)
    )


def _near_by_key(table: FromClause, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    its_row = (table.c.org_id == case_file.c.org_id, table.c.case_id == case_file.c.id, condition)
    # PostgreSQL answers an EXISTS with an OFFSET row by row, and never from a table of all that it might be asked.
    return (
        select(literal_column("1")).where(*its_row).offset(literal_column("0")).correlate(case_file).exists()
    )
