"""Teams of an organisation."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, delete, insert, literal, select

from casework.column_types import Moment
from casework.organisations.tables import past_team_member, team, team_member


def existing_teams(connection: Connection, org_id: UUID, teams: Collection[UUID]) -> set[UUID]:
    """Those of `teams` that the organisation has."""
    rows = connection.execute(select(team.c.id).where(team.c.org_id == org_id, team.c.id.in_(teams)))
    return set(rows.scalars())


def leave_teams(connection: Connection, org_id: UUID, members: Collection[UUID], now: datetime) -> None:
    """End what these members belong to, and remember from when until when they did."""
    which = team_member.c.org_id == org_id, team_member.c.member_id.in_(members)
    ended = select(*team_member.c, literal(now, Moment)).where(*which)
    connection.execute(insert(past_team_member).from_select([*team_member.c.keys(), "until"], ended))
    connection.execute(delete(team_member).where(*which))
