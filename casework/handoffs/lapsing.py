"""What time ends: handoffs whose consent ran out before anyone took them on, and parts nobody opened in time."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Row, delete, select

from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.handoffs.moves import Move, apply_move
from casework.handoffs.states import MOVES, Side
from casework.handoffs.tables import handoff, handoff_part, handoff_side
from casework.journal import Deed, Who
from policies.vocabulary import Stage

# In one unit of work, which holds the locks of all of them; the others have their turn a minute later.
AT_ONCE: Final = 100


def end_lapsed(deployment: Deployment, unit: UnitOfWork, org_id: UUID) -> None:
    """End an organisation's handoffs, sent or received, whose consent ran out while nobody had taken them on.

    Parts of those that were taken on and that nobody has opened are destroyed: no live consent opens them any more.
    Either side's turn ends it for both; each log tells it.
    """
    unit.enter_organisation(org_id)
    for side in _lapsed(unit, org_id):
        moved = apply_move(unit, org_id, side.id, Move(Stage.EXPIRED))
        if moved is not None and moved.moved:
            _tell(deployment, unit, org_id, side)
    _destroy_unopened(deployment, unit, org_id)


def _lapsed(unit: UnitOfWork, org_id: UUID) -> Sequence[Row[Any, Any, Any]]:
    query = (
        select(handoff_side.c.id, handoff_side.c.partner_id, handoff_side.c.sent_at)
        .join(handoff, handoff.c.id == handoff_side.c.id)
        .where(
            handoff_side.c.org_id == org_id,
            handoff_side.c.state.in_(MOVES[Stage.EXPIRED][0]),
            handoff.c.consent_expires_at <= unit.now,
        )
    )
    # In one order always: two processes that end the same ones must not wait for each other.
    return unit.connection.execute(query.order_by(handoff_side.c.id).limit(AT_ONCE)).all()


def _tell(deployment: Deployment, unit: UnitOfWork, org_id: UUID, side: Row[Any, Any, Any]) -> None:
    common, who = uuid4(), Who(uuid4())
    told = [(org_id, "handoff.expire")]
    if side.sent_at is not None:
        told.append((side.partner_id, "handoff.expired"))
    for org, action in told:
        log = (org, deployment.slugs[org])
        deployment.journal.record(unit, log, who, Deed(action, handoff=side.id, id=common))


def _destroy_unopened(deployment: Deployment, unit: UnitOfWork, org_id: UUID) -> None:
    query = (
        select(handoff_part.c.handoff_id)
        .join(
            handoff_side,
            (handoff_side.c.org_id == handoff_part.c.org_id)
            & (handoff_side.c.id == handoff_part.c.handoff_id),
        )
        .where(
            handoff_part.c.org_id == org_id,
            handoff_side.c.side == Side.RECEIVER,
            handoff_side.c.consent_expires_at <= unit.now,
        )
    )
    found = unit.connection.execute(query.distinct().limit(AT_ONCE)).scalars().all()
    for handoff_id in sorted(found):
        # Locked, as an opening locks it: whoever came first has opened the part or finds it gone.
        apply_move(unit, org_id, handoff_id, Move(None))
        parts = unit.connection.execute(
            delete(handoff_part).where(
                handoff_part.c.org_id == org_id, handoff_part.c.handoff_id == handoff_id
            )
        ).rowcount
        if parts:
            log = (org_id, deployment.slugs[org_id])
            deed = Deed("handoff.lapse", handoff=handoff_id, count=parts)
            deployment.journal.record(unit, log, Who(uuid4()), deed)
