"""What a procedure under way keeps from being pruned: the journal of a case whose erasure it stands against."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, select

from casework.ids import made_at
from casework.rights.states import Ground
from casework.rights.tables import erasure

# An id is made after its unit of work began, whose moment its entry has.
_BEFORE_THE_ID = timedelta(days=1)


def held_since(connection: Connection, org_id: UUID, now: datetime) -> datetime | None:
    """From when on entries are kept for cases under a legal hold: none about them is older. None without one."""
    held = connection.execute(
        select(erasure.c.case_id).where(
            erasure.c.org_id == org_id,
            erasure.c.ground == Ground.LEGAL_HOLD,
            erasure.c.keep_until > now,
            erasure.c.case_id.is_not(None),
        )
    ).scalars()
    return min((made_at(case_id) - _BEFORE_THE_ID for case_id in held), default=None)
