"""The one place that applies a move: it locks the neutral row first, then changes both sides.

On PostgreSQL the other side's rows are behind the wall: the function `move_handoff` is the only passage, and it
applies the same rules. On SQLite this module does it.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Connection,
    DateTime,
    Integer,
    LargeBinary,
    Row,
    String,
    Uuid,
    bindparam,
    delete,
    insert,
    select,
    text,
    update,
)

from casework.cases.closing import close_after_transfer
from casework.column_types import Sealed
from casework.database import UnitOfWork
from casework.handoffs.states import END_THE_CONSENT, MOVES, Side, may_move
from casework.handoffs.tables import handoff, handoff_part, handoff_side
from policies.vocabulary import Stage


@dataclass(frozen=True, slots=True)
class Part:
    compartment: str
    drop_number: int
    blob: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a sending puts on the receiver's side."""

    consent_id: UUID
    signer_id: UUID
    envelope: bytes
    chain: bytes
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move found under its lock. `moved` is False where the state or the side did not allow it."""

    was: Stage
    consent_is_live: bool
    moved: bool


@dataclass(frozen=True, slots=True)
class Move:
    """A move to make; `next` None only locks and looks."""

    next: Stage | None
    consent_expires_at: datetime | None = None
    delivery: Delivery | None = None
    reply_to_other: bytes | None = None
    expected: tuple[Stage, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "expected", MOVES[self.next][0] if self.next is not None else ())


def apply_move(unit: UnitOfWork, org_id: UUID, handoff_id: UUID, move: Move) -> Moved | None:
    """Move a handoff that this organisation is a party of; None where it is not or there is no such handoff."""
    if unit.connection.dialect.name == "postgresql":
        return _by_function(unit, handoff_id, move)
    return _by_statements(unit, org_id, handoff_id, move)


_MOVE_HANDOFF = text(
    "SELECT was, live, moved FROM move_handoff(:handoff, :next, :now, :consent_expires, :consent,"
    " :signer, :envelope, :chain, :reply, :compartments, :drop_numbers, :parts)"
).bindparams(
    bindparam("handoff", type_=Uuid),
    bindparam("next", type_=String),
    bindparam("now", type_=DateTime(timezone=True)),
    bindparam("consent_expires", type_=DateTime(timezone=True)),
    bindparam("consent", type_=Uuid),
    bindparam("signer", type_=Uuid),
    bindparam("envelope", type_=LargeBinary),
    bindparam("chain", type_=LargeBinary),
    bindparam("reply", type_=LargeBinary),
    bindparam("compartments", type_=ARRAY(String)),
    bindparam("drop_numbers", type_=ARRAY(Integer)),
    bindparam("parts", type_=ARRAY(LargeBinary)),
)


def _by_function(unit: UnitOfWork, handoff_id: UUID, move: Move) -> Moved | None:
    delivery = move.delivery
    parts = delivery.parts if delivery is not None else ()
    row = unit.connection.execute(
        _MOVE_HANDOFF,
        {
            "handoff": handoff_id,
            "next": str(move.next) if move.next is not None else None,
            "now": unit.now,
            "consent_expires": move.consent_expires_at,
            "consent": delivery.consent_id if delivery is not None else None,
            "signer": delivery.signer_id if delivery is not None else None,
            "envelope": delivery.envelope if delivery is not None else None,
            "chain": delivery.chain if delivery is not None else None,
            "reply": move.reply_to_other,
            "compartments": [part.compartment for part in parts],
            "drop_numbers": [part.drop_number for part in parts],
            "parts": [part.blob for part in parts],
        },
    ).one_or_none()
    return Moved(Stage(row.was), bool(row.live), row.moved) if row is not None else None


def _by_statements(unit: UnitOfWork, org_id: UUID, handoff_id: UUID, move: Move) -> Moved | None:
    connection = unit.connection
    neutral = connection.execute(select(handoff).where(handoff.c.id == handoff_id)).one_or_none()
    if neutral is None or org_id not in {neutral.from_org, neutral.to_org}:
        return None
    live = neutral.consent_is_live and neutral.consent_expires_at > unit.now
    if move.next is None or not _is_allowed(move, neutral, org_id, live):
        return Moved(Stage(neutral.state), live, moved=False)
    values: dict[str, Any] = {"state": move.next}
    if move.next is Stage.CONSENTED:
        values |= {"consent_is_live": True, "consent_expires_at": move.consent_expires_at}
    elif move.next in END_THE_CONSENT:
        values |= {"consent_is_live": False}
    connection.execute(update(handoff).where(handoff.c.id == handoff_id).values(values))
    _move_sides(unit, org_id, handoff_id, move)
    if move.delivery is not None:
        _deliver(unit, neutral, move.delivery)
    if move.next in END_THE_CONSENT:
        connection.execute(delete(handoff_part).where(handoff_part.c.handoff_id == handoff_id))
    if move.next is Stage.ACCEPTED:
        _close_transferred_case(connection, neutral)
    return Moved(Stage(neutral.state), live, moved=True)


def _is_allowed(move: Move, neutral: Row[Any], org_id: UUID, live: bool) -> bool:
    assert move.next is not None
    mover = Side.SENDER if org_id == neutral.from_org else Side.RECEIVER
    return neutral.state in move.expected and may_move(move.next, mover, live=live)


def _move_sides(unit: UnitOfWork, org_id: UUID, handoff_id: UUID, move: Move) -> None:
    both = update(handoff_side).where(handoff_side.c.id == handoff_id)
    unit.connection.execute(both.values(state=move.next, moved_at=unit.now))
    if move.reply_to_other is not None:
        other = both.where(handoff_side.c.org_id != org_id)
        unit.connection.execute(other.values(reply=Sealed(move.reply_to_other)))


def _deliver(unit: UnitOfWork, neutral: Row[Any], delivery: Delivery) -> None:
    connection = unit.connection
    of_sender = _senders_row(neutral)
    connection.execute(update(handoff_side).where(*of_sender).values(sent_at=unit.now))
    sender = connection.execute(select(handoff_side).where(*of_sender)).one()
    connection.execute(
        insert(handoff_side).values(
            org_id=neutral.to_org,
            id=neutral.id,
            side=Side.RECEIVER,
            partner_id=neutral.from_org,
            kind=sender.kind,
            urgency=sender.urgency,
            state=Stage.SENT,
            created_at=unit.now,
            sent_at=unit.now,
            moved_at=unit.now,
            content_digest=sender.content_digest,
            envelope=Sealed(delivery.envelope),
            consent_id=delivery.consent_id,
            consent_expires_at=neutral.consent_expires_at,
            signer_id=delivery.signer_id,
            chain=delivery.chain,
        )
    )
    connection.execute(
        insert(handoff_part),
        [
            {
                "org_id": neutral.to_org,
                "handoff_id": neutral.id,
                "compartment": part.compartment,
                "drop_number": part.drop_number,
                "part": Sealed(part.blob),
            }
            for part in delivery.parts
        ],
    )


def _senders_row(neutral: Row[Any]) -> tuple[Any, ...]:
    return (handoff_side.c.org_id == neutral.from_org, handoff_side.c.id == neutral.id)


def _close_transferred_case(connection: Connection, neutral: Row[Any]) -> None:
    sender = connection.execute(
        select(handoff_side.c.kind, handoff_side.c.case_id).where(*_senders_row(neutral))
    ).one()
    if sender.kind == "transfer":
        close_after_transfer(connection, neutral.from_org, sender.case_id)
