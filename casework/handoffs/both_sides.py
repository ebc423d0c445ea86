"""What both sides must learn of a move: the entries in the two journals, and records sealed to the partner."""

from dataclasses import replace
from uuid import UUID, uuid4

from sqlalchemy import update

from casework.act import Act
from casework.column_types import Sealed
from casework.columns import Column
from casework.handoffs.envelopes import Handoff, find_handoff, not_now
from casework.handoffs.moves import Move, apply_move
from casework.handoffs.tables import handoff_side
from casework.journal import Deed, Who
from casework.organisations.partners import Partner, partner_slugs
from crypto.drop import seal_to_drop
from policies.vocabulary import Action, Group


def find(act: Act, handoff_id: UUID, action: Action) -> Handoff:
    """This organisation's side of a handoff; NotFound where it has none."""
    return find_handoff(act, handoff_id, partner_slugs(act.unit.connection, act.org_id), action)


def make_move(act: Act, found: Handoff, action: Action, move: Move) -> None:
    """Apply a move.

    Raises:
        NotNow: under the lock the state, the side or the consent does not allow it.

    """
    moved = apply_move(act.unit, act.org_id, found.id, move)
    if moved is None or (not moved.moved and moved.was not in move.expected):
        raise not_now(found, action, "wrong_state")
    if not moved.moved:
        raise not_now(found, action, "consent_not_live")


def record_both(act: Act, found: Handoff, deed: Deed, told: str | None) -> None:
    """Journal a deed here and, as `told`, in the partner's log, under one common id."""
    common = uuid4()
    act.record(replace(deed, id=common))
    if told is not None:
        tell_partner(act, found, told, common)


def tell_partner(act: Act, found: Handoff, action: str, common: UUID) -> None:
    """An entry in the partner's own log: which handoff moved, and no one's name."""
    who = Who(act.identity.who.request)
    act.deployment.journal.record(
        act.unit,
        (found.row.partner_id, found.partner_slug),
        who,
        Deed(action, handoff=found.id, id=common),
    )


def seal_to_partner(partner: Partner, column: Column, handoff_id: UUID, record: bytes) -> bytes:
    """A record for the partner's intake, bound to its place on her side."""
    place = column.place(partner.id, handoff_id, 1)
    return seal_to_drop(partner.directory.compartments[Group.INTAKE].drop, place, record)


def seal_to_own(act: Act, column: Column, handoff_id: UUID, record: bytes) -> Sealed:
    """A record for this organisation's own intake."""
    return Sealed(seal_to_drop(act.drop(Group.INTAKE), column.place(act.org_id, handoff_id, 1), record))


def keep(act: Act, handoff_id: UUID, **values: Sealed) -> None:
    """Store values on this organisation's own side."""
    act.unit.connection.execute(
        update(handoff_side)
        .where(handoff_side.c.org_id == act.org_id, handoff_side.c.id == handoff_id)
        .values(values)
    )
