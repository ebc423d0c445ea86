"""Handoffs that were sent, and that the receiver has neither taken on nor refused within its time."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, select

from casework.handoffs.schemas import Urgency
from casework.handoffs.states import UNANSWERED
from casework.handoffs.tables import handoff_side

# Where somebody is in danger, an answer takes a day; else so many working days, Monday to Friday.
DANGER_WITHIN: Final = timedelta(hours=24)
WORKING_DAYS: Final = 2
_DAY: Final = timedelta(days=1)
_SATURDAY: Final = 5


def untaken(connection: Connection, org_id: UUID, now: datetime) -> set[UUID]:
    """Those of both boxes of an organisation whose receiver still owes an answer, though her time is over."""
    query = select(handoff_side.c.id, handoff_side.c.urgency, handoff_side.c.sent_at).where(
        handoff_side.c.org_id == org_id,
        handoff_side.c.state.in_(UNANSWERED),
        handoff_side.c.sent_at.is_not(None),
    )
    return {row.id for row in connection.execute(query) if due_at(Urgency(row.urgency), row.sent_at) <= now}


def due_at(urgency: Urgency, since: datetime) -> datetime:
    """Until when it is to be taken on or refused: the same hour (UTC) a day, or two working days, later."""
    if urgency is Urgency.DANGER:
        return since + DANGER_WITHIN
    due, left = since.astimezone(UTC), WORKING_DAYS
    while left:
        due += _DAY
        left -= due.weekday() < _SATURDAY
    return due
