"""Cases whose responsibility another organisation has taken on."""

from uuid import UUID

from sqlalchemy import Connection, select

from casework.handoffs.schemas import Kind
from casework.handoffs.states import Side
from casework.handoffs.tables import handoff_side


def transferred_cases(connection: Connection, org_id: UUID) -> dict[UUID, UUID]:
    """Of each transfer that this organisation made, the case; whether it was accepted the journal says."""
    query = select(handoff_side.c.id, handoff_side.c.case_id).where(
        handoff_side.c.org_id == org_id,
        handoff_side.c.side == Side.SENDER,
        handoff_side.c.kind == Kind.TRANSFER,
        handoff_side.c.case_id.is_not(None),
    )
    return {row.id: row.case_id for row in connection.execute(query)}
