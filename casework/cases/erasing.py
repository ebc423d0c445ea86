"""The end of a case: its row, and by the foreign keys everything that hangs on it."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, delete, func, select

from casework.cases.tables import (
    assignment,
    break_glass,
    case_conflict,
    case_file,
    case_group,
    case_team,
    member_note,
    past_assignment,
    past_case_team,
)


@dataclass(frozen=True, slots=True)
class ErasedCase:
    """What a case was made of: its sealed groups, who was near it, and the ids that a memory may hold of it.

    `notes` are the ids of its member-only notes.
    """

    groups: int
    assignments: int
    ids: frozenset[UUID]
    notes: frozenset[UUID]


def find_erasable(connection: Connection, org_id: UUID, case_id: UUID) -> ErasedCase | None:
    """Lock a case and count what goes with it; None where it is not there."""
    this = case_file.c.org_id == org_id, case_file.c.id == case_id
    if connection.execute(select(case_file.c.id).where(*this).with_for_update()).one_or_none() is None:
        return None
    groups, *near_it = (
        connection.execute(
            select(func.count()).where(table.c.org_id == org_id, table.c.case_id == case_id)
        ).scalar_one()
        for table in (case_group, assignment, past_assignment, case_team, past_case_team, case_conflict)
    )
    glass = connection.execute(
        select(break_glass.c.id).where(break_glass.c.org_id == org_id, break_glass.c.case_id == case_id)
    ).scalars()
    written = connection.execute(
        select(member_note.c.id).where(member_note.c.org_id == org_id, member_note.c.case_id == case_id)
    ).scalars()
    ids = frozenset({case_id, *glass})
    near = sum(near_it) + len(ids) - 1
    return ErasedCase(groups, near, ids, frozenset(written))


def erase_case(connection: Connection, org_id: UUID, case_id: UUID) -> None:
    """Delete a case. What hangs on it without a foreign key that cascades must be gone before."""
    connection.execute(delete(case_file).where(case_file.c.org_id == org_id, case_file.c.id == case_id))


def existing_cases(connection: Connection, org_id: UUID) -> set[UUID]:
    """The ids of an organisation's cases."""
    return set(connection.execute(select(case_file.c.id).where(case_file.c.org_id == org_id)).scalars())
