"""Leave: from one moment until another an account cannot act; it ends by itself, and nothing has to be undone.

Sessions end when it begins, and none is completed before it is over. That costs a request nothing: a session that
is open when the leave is recorded is given its end at once, and one that begins before it never outlasts its start.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, or_, select, update

from casework.identity import sessions
from casework.identity.tables import account, membership


@dataclass(frozen=True, slots=True)
class Leave:
    """From `since` on she is away, until `until`."""

    since: datetime
    until: datetime

    def covers(self, moment: datetime) -> bool:
        return self.since <= moment < self.until


def leave_of(row: Row[Any]) -> Leave | None:
    """The leave that an account's row has, past or to come."""
    return Leave(row.away_since, row.away_until) if row.away_since is not None else None


def is_away(row: Row[Any], now: datetime) -> bool:
    """Whether an account's owner is on leave now."""
    leave = leave_of(row)
    return leave is not None and leave.covers(now)


def end_of_session(row: Row[Any], now: datetime) -> datetime:
    """When a session that an account begins now ends at the latest: no later than her leave begins."""
    latest, leave = now + sessions.ABSOLUTE, leave_of(row)
    return min(latest, leave.since) if leave is not None and now < leave.since else latest


def set_leave(connection: Connection, org_id: UUID, account_id: UUID, leave: Leave | None) -> None:
    """Record a leave in the place of the one before, or that there is none; her sessions end when it begins.

    First the account, then its sessions: a sign-in that is being completed holds the account's row
    (`casework.identity.sign_in`), and has either read the leave or left a session to be given its end here.
    """
    connection.execute(
        update(account)
        .where(account.c.org_id == org_id, account.c.id == account_id)
        .values(
            away_since=leave.since if leave is not None else None,
            away_until=leave.until if leave is not None else None,
        )
    )
    if leave is not None:
        sessions.end_by(connection, org_id, account_id, leave.since)


def absent_members(connection: Connection, org_id: UUID, now: datetime) -> Mapping[UUID, datetime | None]:
    """Who is not there now, by membership: until when she is on leave, or None where she has left."""
    on_leave = and_(account.c.away_since <= now, account.c.away_until > now)
    rows = connection.execute(
        select(
            membership.c.id,
            account.c.away_until,
            (membership.c.active & account.c.active).label("active"),
        )
        .join_from(
            membership,
            account,
            and_(account.c.org_id == membership.c.org_id, account.c.id == membership.c.account_id),
        )
        .where(
            membership.c.org_id == org_id,
            or_(~membership.c.active, ~account.c.active, on_leave),
        )
    )
    return {row.id: row.away_until if row.active else None for row in rows}
