"""The end of a case's consents: before the handoffs that they were given for."""

from uuid import UUID

from sqlalchemy import Connection, delete, select

from casework.consents.tables import consent


def erase_consents(connection: Connection, org_id: UUID, case_id: UUID) -> frozenset[UUID]:
    """Delete every consent that was given in a case; returns their ids."""
    these = consent.c.org_id == org_id, consent.c.case_id == case_id
    ids = frozenset(connection.execute(select(consent.c.id).where(*these)).scalars())
    connection.execute(delete(consent).where(*these))
    return ids
