"""Which drafts go with a case; the rows themselves go by their foreign key."""

from uuid import UUID

from sqlalchemy import Connection, select

from casework.drafts.tables import draft


def drafts_of(connection: Connection, org_id: UUID, case_id: UUID) -> frozenset[UUID]:
    """The ids of every member's drafts about a case."""
    query = select(draft.c.id).where(draft.c.org_id == org_id, draft.c.case_id == case_id)
    return frozenset(connection.execute(query).scalars())
