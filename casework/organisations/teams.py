"""Teams of an organisation."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, select

from casework.organisations.tables import team


def existing_teams(connection: Connection, org_id: UUID, teams: Collection[UUID]) -> set[UUID]:
    """Those of `teams` that the organisation has."""
    rows = connection.execute(select(team.c.id).where(team.c.org_id == org_id, team.c.id.in_(teams)))
    return set(rows.scalars())
