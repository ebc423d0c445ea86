"""Who is near a case no more: assignments and teams that ended stay as past ones, from when until when and why.

A review then knows who was near when something was read.
"""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Table, delete, insert, literal, select

from casework.cases.tables import assignment, case_team, past_assignment, past_case_team
from casework.column_types import Moment


class EndReason(StrEnum):
    """Why somebody, or a team, is assigned no more."""

    UNASSIGNED = "unassigned"
    """Others were assigned in her place, to this case."""
    REASSIGNED = "reassigned"
    """All of hers went to colleagues: she leaves."""
    RESTRICTED = "restricted"
    """The case has named members since, and she is none."""
    RECOVERED = "recovered"
    """The recovery shares named others for a restricted case."""
    TEAM_CLOSED = "team_closed"
    """The team is no more."""


def end_assignments(
    connection: Connection, *which: ColumnElement[bool], now: datetime, reason: EndReason
) -> None:
    """Take these assignments away and remember from when until when they were, and why they ended."""
    _end(connection, assignment, past_assignment, which, now, reason)


def end_teams(
    connection: Connection,
    org_id: UUID,
    case_id: UUID,
    now: datetime,
    reason: EndReason,
    kept: Collection[UUID] = (),
) -> None:
    """As `end_assignments`, of a case's teams but those that are kept."""
    which = (
        case_team.c.org_id == org_id,
        case_team.c.case_id == case_id,
        case_team.c.team_id.not_in(kept),
    )
    _end(connection, case_team, past_case_team, which, now, reason)


def take_from_team(connection: Connection, org_id: UUID, team_id: UUID, now: datetime) -> int:
    """Take every case from a team that is closed, and remember it; returns how many it had."""
    which = case_team.c.org_id == org_id, case_team.c.team_id == team_id
    return _end(connection, case_team, past_case_team, which, now, EndReason.TEAM_CLOSED)


def _end(
    connection: Connection,
    table: Table,
    past: Table,
    which: Collection[ColumnElement[bool]],
    now: datetime,
    reason: EndReason,
) -> int:
    ended = select(*table.c, literal(now, Moment), literal(reason)).where(*which)
    connection.execute(insert(past).from_select([*table.c.keys(), "until", "reason"], ended))
    return connection.execute(delete(table).where(*which)).rowcount
