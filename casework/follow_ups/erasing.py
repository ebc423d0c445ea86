"""What of a case's follow-ups goes with it; the rows themselves go by their foreign keys."""

from uuid import UUID

from sqlalchemy import Connection, select

from casework.follow_ups.tables import follow_up


def follow_ups_of(connection: Connection, org_id: UUID, case_id: UUID) -> frozenset[UUID]:
    """The ids of a case's follow-ups, of whatever version."""
    query = select(follow_up.c.id).where(follow_up.c.org_id == org_id, follow_up.c.case_id == case_id)
    return frozenset(connection.execute(query).scalars())
