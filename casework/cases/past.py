"""Assignments that end: they stay as past ones, so that a review knows who was assigned when something was read."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, insert, literal, select

from casework.cases.tables import assignment, past_assignment
from casework.column_types import Moment


def end_assignments(connection: Connection, *which: ColumnElement[bool], now: datetime) -> None:
    """Take these assignments away and remember from when until when they were."""
    kept = ("org_id", "case_id", "member_id", "since")
    ended = select(*(assignment.c[name] for name in kept), literal(now, Moment)).where(*which)
    connection.execute(insert(past_assignment).from_select([*kept, "until"], ended))
    connection.execute(delete(assignment).where(*which))
