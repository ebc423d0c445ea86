"""What two recovery shares give back of restricted cases and member-only notes; called by `keys recover`.

The root signs who is named, for no named member may be left to do it. What recovery opened once is sealed to the
new recovery key: the old one is gone with its shares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import Connection, and_, insert, select, update

from casework.cases.past import EndReason, end_assignments
from casework.cases.tables import assignment, case_group, member_note, named_recovery
from casework.column_types import Sealed
from casework.columns import Column
from casework.identity.members import persons_behind
from casework.organisations.entries import append_entry
from casework.organisations.recovering import Copies, RecoveryFault, RecoveryRefused
from casework.restrictions import store_seals, who_is_named
from casework.shreds import ShredStore, half_purpose
from crypto.dek import dek_row_key_number, unwrap_dek
from crypto.directory import Directory
from crypto.directory_entries import ROOT, EntrySigner
from crypto.directory_rules import FEWEST_NAMED
from crypto.frame import seal_frame
from crypto.kek import Kek
from crypto.opener import open_frame, renew_note_for_recovery
from crypto.restriction import (
    blind_half,
    name_members,
    open_named_part_by_recovery,
    restriction_of,
)
from crypto.secret import Secret
from crypto.signing import SigningKey


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the shares gave: the root, the private half of the old recovery key, every KEK by group and number."""

    root: SigningKey = field(repr=False)
    private: Secret = field(repr=False)
    keks: Mapping[tuple[str, int], Kek] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Recovered:
    """The directory as it is now, the cases given to the new holders, and those for which too few were there."""

    directory: Directory
    given: tuple[UUID, ...]
    left: tuple[UUID, ...]


def renew_named(shreds: ShredStore, copies: Copies) -> None:
    """Seal what is sealed to recovery of restricted cases and notes to the new key; a step of `recover`.

    Raises:
        RecoveryRefused: of those named for a case fewer than two people are left, and nobody was named in their
            place. Nothing is lost: the old shares stay valid.
        GrantRefused, SealBroken: see below.

    """
    keks = {(kek.group, kek.number): kek for kek in copies.keks}
    recovery = Recovery(copies.root.key, copies.private, keks)
    connection, org_id, holders = copies.connection, copies.org_id, copies.holders
    recover_notes(connection, shreds, org_id, copies.directory, recovery, holders)
    done = recover_restricted(connection, org_id, copies.directory, recovery, holders, copies.now)
    if done.left:
        raise RecoveryRefused(RecoveryFault.RESTRICTED_CASES)
    copies.directory = done.directory
    copies.given += done.given


def recover_restricted(
    connection: Connection,
    org_id: UUID,
    directory: Directory,
    recovery: Recovery,
    holders: Sequence[UUID],
    now: datetime,
) -> Recovered:
    """Seal every restricted case's part to the directory's recovery key anew, and to `holders` where need be.

    They are needed where fewer than two people among the named still have their keys. Each entry is signed by the
    root and appended; the caller journals, and remembers the directory once it has committed.

    Raises:
        GrantRefused, SealBroken: a copy is not what the directory certifies, or of another recovery key.

    """
    query = select(named_recovery).where(named_recovery.c.org_id == org_id).order_by(named_recovery.c.case_id)
    given, left = [], []
    for row in connection.execute(query).all():
        case = row.case_id.bytes
        part = open_named_part_by_recovery(directory, case, row.sealed.blob, recovery.private)
        able = set(who_is_named(directory, row.case_id))
        # By the person: whoever is named in two roles is lost with one password.
        members = able if len(persons_behind(connection, org_id, able)) >= FEWEST_NAMED else able | {*holders}
        if len(persons_behind(connection, org_id, members)) < FEWEST_NAMED:
            left.append(row.case_id)
            continue
        named = sorted(member.bytes for member in members)
        made = name_members(directory, case, part, named, EntrySigner(ROOT, recovery.root))
        append_entry(connection, org_id, made.entry)
        store_seals(connection, org_id, row.case_id, made)
        _assign(connection, org_id, row.case_id, members, now)
        directory = directory.extend([made.entry])
        if members - able:
            given.append(row.case_id)
    return Recovered(directory, tuple(given), tuple(left))


def recover_notes(
    connection: Connection,
    shreds: ShredStore,
    org_id: UUID,
    directory: Directory,
    recovery: Recovery,
    holders: Sequence[UUID],
) -> int:
    """Seal every member-only note to the directory's recovery key anew, and to `holders` where no reader is left.

    A reader among `holders`, whose words were heard, gets it for the keys that she has now; every other reader
    keeps what was sealed to those that she had when it was written. Returns how many. Called before
    `recover_restricted`, while the copies of named parts are those of the old key.

    Raises:
        GrantRefused, SealBroken: something sealed is not what must stand there.

    """
    rows = connection.execute(
        select(member_note, case_group.c.dek, case_group.c.dek_generation, case_group.c.half)
        .join_from(
            member_note,
            case_group,
            and_(
                case_group.c.org_id == member_note.c.org_id,
                case_group.c.case_id == member_note.c.case_id,
                case_group.c.compartment == member_note.c.compartment,
            ),
        )
        .where(member_note.c.org_id == org_id)
        .order_by(member_note.c.id)
    ).all()
    for row in rows:
        case, place = row.case_id.bytes, Column.MEMBER_NOTE.place(org_id, row.id, 1)
        kek = recovery.keks[row.compartment, dek_row_key_number(row.dek.blob)]
        half = _half(connection, shreds, org_id, directory, recovery, row.case_id, row.compartment, row.half)
        key = unwrap_dek(kek, case, row.dek_generation, row.dek.blob, half)
        kept = msgspec.json.decode(open_frame(key, place, row.frame.blob), type=dict[str, bytes])
        anew = {holder.bytes for holder in holders}
        envelope = renew_note_for_recovery(directory, recovery.private, case, place, kept["envelope"], anew)
        frame = Sealed(seal_frame(key, place, msgspec.json.encode({"envelope": envelope})))
        connection.execute(
            update(member_note)
            .where(member_note.c.org_id == org_id, member_note.c.id == row.id)
            .values(frame=frame)
        )
    return len(rows)


def _half(
    connection: Connection,
    shreds: ShredStore,
    org_id: UUID,
    directory: Directory,
    recovery: Recovery,
    case_id: UUID,
    group: str,
    number: int,
) -> bytes:
    purpose = half_purpose(group, number)
    half = shreds.of(org_id, [case_id], [purpose])[case_id, purpose]
    if restriction_of(directory, case_id.bytes) is None:
        return half
    sealed = connection.execute(
        select(named_recovery.c.sealed).where(
            named_recovery.c.org_id == org_id, named_recovery.c.case_id == case_id
        )
    ).scalar_one()
    part = open_named_part_by_recovery(directory, case_id.bytes, sealed.blob, recovery.private)
    return blind_half(half, part)


def _assign(connection: Connection, org_id: UUID, case_id: UUID, members: set[UUID], now: datetime) -> None:
    here = (assignment.c.org_id == org_id, assignment.c.case_id == case_id)
    end_assignments(
        connection, *here, assignment.c.member_id.not_in(members), now=now, reason=EndReason.RECOVERED
    )
    there = set(connection.execute(select(assignment.c.member_id).where(*here)).scalars())
    new = [
        {"org_id": org_id, "case_id": case_id, "member_id": member, "since": now}
        for member in sorted(members - there)
    ]
    if new:
        connection.execute(insert(assignment), new)
