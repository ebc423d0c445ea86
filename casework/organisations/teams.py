"""Teams of an organisation, and who belongs to them from when until when."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, insert, literal, select, update

from casework.column_types import Moment
from casework.ids import new_id
from casework.organisations.tables import past_team_member, team, team_member


@dataclass(frozen=True, slots=True)
class OpenTeam:
    """A team that is not closed, and who belongs to it."""

    id: UUID
    name: str
    members: tuple[UUID, ...]


def existing_teams(connection: Connection, org_id: UUID, teams: Collection[UUID]) -> set[UUID]:
    """Those of `teams` that the organisation has, and has not closed."""
    rows = connection.execute(select(team.c.id).where(*_open(org_id), team.c.id.in_(teams)))
    return set(rows.scalars())


def open_teams(connection: Connection, org_id: UUID) -> list[OpenTeam]:
    """Every team that is not closed, by name."""
    query = select(team.c.id, team.c.name).where(*_open(org_id)).order_by(team.c.name, team.c.id)
    return [_with_members(connection, org_id, row) for row in connection.execute(query).all()]


def lock_team(connection: Connection, org_id: UUID, team_id: UUID) -> OpenTeam | None:
    """A team against whoever else would change it, until the unit ends; None where there is none any more."""
    query = select(team.c.id, team.c.name).where(*_open(org_id), team.c.id == team_id)
    row = connection.execute(query.with_for_update()).one_or_none()
    return _with_members(connection, org_id, row) if row is not None else None


def make_team(
    connection: Connection, org_id: UUID, name: str, members: Sequence[UUID], now: datetime
) -> UUID:
    """Create a team; returns its id."""
    team_id = new_id()
    connection.execute(insert(team).values(org_id=org_id, id=team_id, name=name))
    join_team(connection, org_id, team_id, members, now)
    return team_id


def rename_team(connection: Connection, org_id: UUID, team_id: UUID, name: str) -> None:
    connection.execute(update(team).where(team.c.org_id == org_id, team.c.id == team_id).values(name=name))


def end_team(connection: Connection, org_id: UUID, team_id: UUID, now: datetime) -> None:
    """Close a team: whoever belongs to it leaves it."""
    here = team_member.c.org_id == org_id, team_member.c.team_id == team_id
    _leave(connection, here, now)
    connection.execute(
        update(team).where(team.c.org_id == org_id, team.c.id == team_id).values(closed_at=now)
    )


def join_team(
    connection: Connection, org_id: UUID, team_id: UUID, members: Sequence[UUID], now: datetime
) -> None:
    """Have these members belong to a team from now on."""
    same = {"org_id": org_id, "team_id": team_id, "since": now}
    if members:
        connection.execute(insert(team_member), [{**same, "member_id": member} for member in members])


def leave_team(
    connection: Connection, org_id: UUID, team_id: UUID, members: Collection[UUID], now: datetime
) -> None:
    """End that these members belong to a team, and remember from when until when they did."""
    here = team_member.c.org_id == org_id, team_member.c.team_id == team_id
    _leave(connection, (*here, team_member.c.member_id.in_(members)), now)


def leave_teams(connection: Connection, org_id: UUID, members: Collection[UUID], now: datetime) -> None:
    """As `leave_team`, of every team."""
    _leave(connection, (team_member.c.org_id == org_id, team_member.c.member_id.in_(members)), now)


def _leave(connection: Connection, which: Collection[ColumnElement[bool]], now: datetime) -> None:
    ended = select(*team_member.c, literal(now, Moment)).where(*which)
    connection.execute(insert(past_team_member).from_select([*team_member.c.keys(), "until"], ended))
    connection.execute(delete(team_member).where(*which))


def _open(org_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return team.c.org_id == org_id, team.c.closed_at.is_(None)


def _with_members(connection: Connection, org_id: UUID, row: Any) -> OpenTeam:
    members = (
        select(team_member.c.member_id)
        .where(team_member.c.org_id == org_id, team_member.c.team_id == row.id)
        .order_by(team_member.c.member_id)
    )
    return OpenTeam(row.id, row.name, tuple(connection.execute(members).scalars()))
