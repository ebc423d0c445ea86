"""What of a case's handoffs goes with it: this organisation's side, frozen content, and parts nobody opened.

The neutral row stays (it names no person), and so does what the partner has on her own side.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, delete, or_, select

from casework.act import Act
from casework.columns import Column
from casework.database import UnitOfWork
from casework.errors import MissingKey
from casework.handoffs.moves import Move, apply_move
from casework.handoffs.states import MOVES, OFFERED, TAKEN_ON
from casework.handoffs.tables import handoff_manifest, handoff_part, handoff_side
from casework.packets import open_left_record
from policies.vocabulary import Group, Stage


@dataclass(frozen=True, slots=True)
class Told:
    """A handoff that was ended by an erasure and whose other side is told so: its id and the partner's."""

    id: UUID
    partner_id: UUID


@dataclass(frozen=True, slots=True)
class ErasedHandoffs:
    """The handoffs that went, how many parts on this side went unopened, and which partners are to be told."""

    ids: frozenset[UUID]
    parts: int
    told: tuple[Told, ...]


def received_as(act: Act, case_id: UUID) -> UUID | None:
    """The handoff by which a case came, or None where it was opened here. Each arrives as a case of its own.

    Raises:
        MissingKey: which case a handoff became is sealed to a group that the session does not hold.

    """
    rows = act.unit.connection.execute(
        select(handoff_side.c.id, handoff_side.c.case_sealed).where(
            handoff_side.c.org_id == act.org_id, handoff_side.c.case_sealed.is_not(None)
        )
    )
    for row in rows:
        place = Column.HANDOFF_CASE.place(act.org_id, row.id, 1)
        case = open_left_record(act, Group.INTAKE, place, row.case_sealed)
        if case is None:
            raise MissingKey
        if case == case_id.bytes:
            found: UUID = row.id
            return found
    return None


def has_open_handoff(connection: Connection, org_id: UUID, case_id: UUID, received: UUID | None) -> bool:
    """Whether somebody still waits for an answer about this case.

    A partner to whom it was offered and who has not answered (take it back first); or the sender of the handoff by
    which it came, who has not been told what became of it.
    """
    waits = or_(
        and_(handoff_side.c.case_id == case_id, handoff_side.c.state.in_(OFFERED)),
        and_(handoff_side.c.id == received, handoff_side.c.state.in_(TAKEN_ON)),
    )
    query = select(handoff_side.c.id).where(handoff_side.c.org_id == org_id, waits)
    return connection.execute(query.limit(1)).first() is not None


def lock_handoffs(unit: UnitOfWork, org_id: UUID, case_id: UUID) -> None:
    """Lock what was handed over from a case: before the case, in the order of an acceptance that closes it."""
    for side in _sides_of(unit.connection, org_id, case_id):
        apply_move(unit, org_id, side.id, Move(None))


def erase_handoffs(unit: UnitOfWork, org_id: UUID, case_id: UUID) -> ErasedHandoffs:
    """End what was handed over from a case, and delete this side of it.

    The consent to what was sent ends with it: parts that the partner has not opened are destroyed.
    """
    sides = _sides_of(unit.connection, org_id, case_id)
    told = tuple(Told(side.id, side.partner_id) for side in sides if _end(unit, org_id, side))
    ids = frozenset(side.id for side in sides)
    parts = erase_sides(unit.connection, org_id, ids)
    return ErasedHandoffs(ids, parts, told)


def erase_sides(connection: Connection, org_id: UUID, handoffs: Collection[UUID]) -> int:
    """Delete this organisation's side of handoffs; returns how many parts went that nobody had opened."""
    unopened = delete(handoff_part).where(
        handoff_part.c.org_id == org_id, handoff_part.c.handoff_id.in_(handoffs)
    )
    parts = connection.execute(unopened).rowcount
    for table, column in (
        (handoff_manifest, handoff_manifest.c.handoff_id),
        (handoff_side, handoff_side.c.id),
    ):
        connection.execute(delete(table).where(table.c.org_id == org_id, column.in_(handoffs)))
    return parts


def existing_sides(connection: Connection, org_id: UUID) -> set[UUID]:
    """The ids of the handoffs that an organisation has a side of."""
    return set(connection.execute(select(handoff_side.c.id).where(handoff_side.c.org_id == org_id)).scalars())


def _sides_of(connection: Connection, org_id: UUID, case_id: UUID) -> Sequence[Row[Any]]:
    query = select(handoff_side).where(handoff_side.c.org_id == org_id, handoff_side.c.case_id == case_id)
    return connection.execute(query.order_by(handoff_side.c.id)).all()


def _end(unit: UnitOfWork, org_id: UUID, side: Row[Any]) -> bool:
    """Whether a handoff was ended whose partner must be told."""
    following = Stage.CANCELLED if side.state in MOVES[Stage.CANCELLED][0] else Stage.WITHDRAWN
    moved = apply_move(unit, org_id, side.id, Move(following))
    return moved is not None and moved.moved and side.sent_at is not None
