"""The gateway's second half, for what no case key opens: what others left for a holder (envelopes at a drop key,
handoff parts), and a member's own drafts.

A part is opened once, while its consent is live, by a holder of its group; its content is then re-encrypted in
the receiver's own case and the part destroyed.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, delete, insert, select, update

from audit.entry import Outcome
from casework.act import Act
from casework.cases.tables import case_group
from casework.column_types import Sealed
from casework.columns import Column
from casework.errors import MissingKey
from casework.follow_ups.tables import follow_up, follow_up_frame
from casework.handoffs.moves import Move, Moved, apply_move
from casework.handoffs.packet import FollowUpItem, PartPayload, decode_part
from casework.handoffs.tables import handoff_part, handoff_side
from casework.journal import Deed, Touched
from casework.loaded_case import LEGAL_NAME, LoadedCase
from casework.organisations.partners import partner_slugs, signing_key_of
from crypto.dek import CaseKey
from crypto.drop import DropPrivate, drop_number
from crypto.errors import CryptoError, SealBroken
from crypto.frame import seal_frame
from crypto.handoff import PartAddress, part_drop_number
from crypto.opener import open_draft, open_drop, open_member_note, open_part
from crypto.place import Place
from policies.facts import ConsentFacts, HandoffFacts
from policies.vocabulary import Action, Group, Stage


def open_envelope(act: Act, compartment: str, place: Place, sealed: Sealed) -> bytes:
    """Open a record that was sealed to a compartment's drop key.

    Raises:
        MissingKey: the session does not hold the compartment.
        SealBroken: it was sealed for another place, or altered.

    """
    return open_drop(_drop_private(act, compartment, drop_number(sealed.blob)), place, sealed.blob)


def open_left_record(act: Act, compartment: str, place: Place, sealed: Sealed) -> bytes | None:
    """A record left at a compartment's drop key, or None where the session does not hold the compartment."""
    private = act.keyring.drop_private(compartment, drop_number(sealed.blob))
    return open_drop(private, place, sealed.blob) if private is not None else None


def open_own_draft(act: Act, case_id: UUID, place: Place, sealed: Sealed) -> dict[str, Any]:
    """A draft of the asker's own; the caller has decided and recorded.

    Raises:
        SealBroken: it is of another member, case or version, or altered.

    """
    act.unit.touched()
    opened: dict[str, Any] = msgspec.json.decode(
        open_draft(act.session.keys, case_id.bytes, place, sealed.blob)
    )
    return opened


def open_note(act: Act, case_id: UUID, place: Place, envelope: bytes) -> bytes:
    """A note that names the asker; the caller has opened the frame that it stood in, and records.

    Raises:
        SealedToOtherKeys: it was sealed to keys that she has no longer.
        SealBroken: it does not name her, or was altered.

    """
    act.unit.touched()
    keys = act.session.keys
    return open_member_note(keys.daily_private, keys.member, case_id.bytes, place, envelope)


def take_in(act: Act, loaded: LoadedCase, group: Group, key: CaseKey) -> None:
    """Open what a handoff brought for one group of a case and re-encrypt it under the case's own key.

    Where the consent is no longer live, or the part is gone or not what was consented to, nothing is opened,
    the arrival is cleared and a denial is journaled. What lost its consent is destroyed with it.
    """
    row = loaded.groups[group]
    place = Column.CASE_GROUP_ARRIVAL.place(act.org_id, row.id, 0)
    handoff_id = UUID(bytes=open_envelope(act, group, place, row.arrival))
    # Locks the handoff: of two holders who open at once, the second finds the part taken in.
    found = apply_move(act.unit, act.org_id, handoff_id, Move(None))
    if not _still_waits(act, row.id):
        return
    side, part = _side_and_part(act, handoff_id, group)
    if side is None or part is None or found is None or not _is_live(act, found, side):
        _clear_arrival(act, loaded, group)
        _destroy_part(act, handoff_id, group)
        _refuse(act, handoff_id, "consent_not_live")
        return
    sender = partner_slugs(act.unit.connection, act.org_id).get(side.partner_id)
    if sender is None:
        _clear_arrival(act, loaded, group)
        _refuse(act, handoff_id, "part_refused")
        return
    if not _may_open(act, loaded, sender, found.was):
        # A colleague who covers for the assigned one leaves the part as it is.
        return
    _clear_arrival(act, loaded, group)
    try:
        payload = _open_part(act, side, group, part)
        _require_own_items(act, loaded.id, payload)
    except CryptoError:
        _refuse(act, handoff_id, "part_refused")
        return
    rows = _write(act, loaded, group, key, payload)
    _destroy_part(act, handoff_id, group)
    act.record(
        Deed(
            "handoff.open",
            consent=side.consent_id,
            handoff=handoff_id,
            touched=(Touched(loaded.pseudonym, rows),),
            detail={"groups": [group]},
        )
    )


def _is_live(act: Act, found: Moved, side: Row[Any]) -> bool:
    """By the neutral row, and by the expiry that the parts themselves are bound to."""
    return found.consent_is_live and act.unit.now < side.consent_expires_at


def _still_waits(act: Act, row: UUID) -> bool:
    arrival = act.unit.connection.execute(
        select(case_group.c.arrival).where(case_group.c.org_id == act.org_id, case_group.c.id == row)
    ).scalar_one()
    return arrival is not None


def _clear_arrival(act: Act, loaded: LoadedCase, group: Group) -> None:
    act.unit.connection.execute(
        update(case_group)
        .where(
            case_group.c.org_id == act.org_id,
            case_group.c.case_id == loaded.id,
            case_group.c.compartment == group,
        )
        .values(arrival=None)
    )


def _destroy_part(act: Act, handoff_id: UUID, group: Group) -> None:
    act.unit.connection.execute(
        delete(handoff_part).where(
            handoff_part.c.org_id == act.org_id,
            handoff_part.c.handoff_id == handoff_id,
            handoff_part.c.compartment == group,
        )
    )


def _may_open(act: Act, loaded: LoadedCase, sender: str, stage: Stage) -> bool:
    slug = act.identity.slug
    consent = ConsentFacts(live=True, same_content=True, to=slug, groups=frozenset())
    facts = HandoffFacts(
        from_=sender,
        to=slug,
        groups=frozenset(),
        stage=stage,
        mine=loaded.facts.mine,
        conflict=loaded.facts.conflict,
        consent=consent,
    )
    return act.decide_handoff(Action.HANDOFF_OPEN, facts).allowed


def _drop_private(act: Act, compartment: str, number: int) -> DropPrivate:
    private = act.keyring.drop_private(compartment, number)
    if private is None:
        raise MissingKey
    return private


def _side_and_part(act: Act, handoff_id: UUID, group: Group) -> tuple[Row[Any] | None, bytes | None]:
    side = act.unit.connection.execute(
        select(handoff_side).where(handoff_side.c.org_id == act.org_id, handoff_side.c.id == handoff_id)
    ).one_or_none()
    part: Sealed | None = act.unit.connection.execute(
        select(handoff_part.c.part).where(
            handoff_part.c.org_id == act.org_id,
            handoff_part.c.handoff_id == handoff_id,
            handoff_part.c.compartment == group,
        )
    ).scalar_one_or_none()
    return side, part.blob if part is not None else None


def _open_part(act: Act, side: Row[Any], group: Group, part: bytes) -> PartPayload:
    """Open a part with the sender's certified key and check it against the digest that was consented to."""
    if None in {side.consent_id, side.consent_expires_at, side.signer_id, side.chain}:
        raise SealBroken("a part without its address")
    address = PartAddress(
        handoff=side.id.bytes,
        sender_org=side.partner_id.bytes,
        receiver_org=act.org_id.bytes,
        group=group,
        consent=side.consent_id.bytes,
        content_digest=bytes(side.content_digest),
        expiry=int(side.consent_expires_at.timestamp()),
    )
    number = part_drop_number(part)
    if not 1 <= number <= act.drop(group).number:
        raise SealBroken("sealed to a key that was never published")
    signer = signing_key_of(
        act.unit.connection,
        act.deployment.directories,
        act.org_id,
        side.partner_id,
        bytes(side.chain),
        side.signer_id,
    )
    opened = open_part(address, _drop_private(act, group, number), signer, part)
    return decode_part(
        opened.payload, opened.salt, group, side.partner_id, act.org_id, bytes(side.content_digest)
    )


def _write(
    act: Act, loaded: LoadedCase, group: Group, key: CaseKey, payload: PartPayload
) -> tuple[tuple[bytes, int], ...]:
    row = loaded.groups[group]
    rows: list[tuple[bytes, int]] = []
    if payload.fields:
        version = row.version + 1
        act.unit.connection.execute(
            update(case_group)
            .where(case_group.c.org_id == act.org_id, case_group.c.id == row.id)
            .values(version=version, **_frames(act, key, row.id, version, payload.fields))
        )
        rows.append((row.id.bytes, version))
    for item in payload.follow_ups:
        _ensure_follow_up(act, loaded.id, item)
        place = Column.FOLLOW_UP_FRAME.place(act.org_id, item.item, 1)
        _insert_frame(act, item.item, group, seal_frame(key, place, msgspec.json.encode(item.record)))
        rows.append((item.item.bytes, 1))
    return tuple(rows)


def _frames(act: Act, key: CaseKey, row: UUID, version: int, fields: Mapping[str, Any]) -> dict[str, Sealed]:
    """The group's frame; civil status has one of its own, whoever sent it."""
    kept = {name: value for name, value in fields.items() if name != LEGAL_NAME}
    place = Column.CASE_GROUP_FRAME.place(act.org_id, row, version)
    frames = {"frame": Sealed(seal_frame(key, place, msgspec.json.encode(kept)))}
    if key.group == Group.IDENTITY and LEGAL_NAME in fields:
        place = Column.CASE_LEGAL_NAME.place(act.org_id, row, version)
        civil = msgspec.json.encode({LEGAL_NAME: fields[LEGAL_NAME]})
        frames[LEGAL_NAME] = Sealed(seal_frame(key, place, civil))
    return frames


def _require_own_items(act: Act, case_id: UUID, payload: PartPayload) -> None:
    """Refuse a part whose items name follow-ups of another case: ids are the sender's to choose."""
    items = [item.item for item in payload.follow_ups]
    foreign = act.unit.connection.execute(
        select(follow_up.c.id).where(
            follow_up.c.org_id == act.org_id, follow_up.c.id.in_(items), follow_up.c.case_id != case_id
        )
    ).first()
    if foreign is not None:
        raise SealBroken("an item of another case")


def _ensure_follow_up(act: Act, case_id: UUID, item: FollowUpItem) -> None:
    """The clear head of a follow-up that came with a handoff; another group's part may have made it already."""
    known = act.unit.connection.execute(
        select(follow_up.c.id).where(follow_up.c.org_id == act.org_id, follow_up.c.id == item.item)
    ).first()
    if known is None:
        act.unit.connection.execute(
            insert(follow_up).values(
                org_id=act.org_id,
                id=item.item,
                version=1,
                case_id=case_id,
                author_id=act.member_id,
                occurred_at=item.occurred_at,
                recorded_at=act.unit.now,
            )
        )


def _insert_frame(act: Act, item: UUID, group: Group, frame: bytes) -> None:
    act.unit.connection.execute(
        insert(follow_up_frame).values(
            org_id=act.org_id, follow_up_id=item, version=1, compartment=group, frame=Sealed(frame)
        )
    )


def _refuse(act: Act, handoff_id: UUID, reason: str) -> None:
    act.record(Deed("handoff.open", outcome=Outcome.DENIED, reason=reason, handoff=handoff_id))
