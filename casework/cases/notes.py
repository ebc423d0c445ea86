"""Member-only notes: written into a case for the readers they name, and for nobody else who may open it."""

from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET
from sqlalchemy import insert, select

from casework.access import Access, OpenedCase
from casework.act import Act
from casework.cases.schemas import NewNote, NoteCreated, NoteList, NoteView
from casework.cases.tables import member_note
from casework.columns import Column
from casework.errors import SealedDataDamaged, bad_field
from casework.identity.members import active_members, persons_behind
from casework.ids import new_id
from casework.journal import Deed, Touched
from casework.packets import open_note
from casework.restrictions import who_is_named
from crypto.errors import CryptoError, SealedToOtherKeys
from crypto.member_note import readers_of, seal_member_note
from policies.vocabulary import RECORD, Group

# Its author and one person more: a note that one alone reads, in whatever roles, would be lost with her.
FEWEST_READERS = 2


class _Kept(msgspec.Struct, frozen=True):
    """What the frame of a note holds: the envelope that its readers open."""

    envelope: bytes


def write_note(act: Act, case_id: UUID, new: NewNote) -> NoteCreated:
    """Write a note that its author and the readers whom she names can open, and recovery.

    Raises:
        NotFound, Forbidden: see `Access.change_case`.
        BadInput: no text; no reader but herself, in whichever role; a reader who is unknown, holds no key of the
            group, or is not named where she must be.

    """
    if not new.text.strip():
        raise bad_field("text", "missing")
    change = Access(act).change_case(case_id, [RECORD[new.group]])
    readers = {act.member_id, *new.readers}
    _require_able(act, case_id, new.group, readers, is_restricted=change.loaded.facts.restricted)
    note_id = new_id()
    place = Column.MEMBER_NOTE.place(act.org_id, note_id, 1)
    directory = act.deployment.directories.fresh(act.unit, act.org_id)
    members = [reader.bytes for reader in readers]
    envelope = seal_member_note(directory, case_id.bytes, place, members, msgspec.json.encode(new.text))
    act.unit.connection.execute(
        insert(member_note).values(
            org_id=act.org_id,
            id=note_id,
            case_id=case_id,
            author_id=act.member_id,
            written_at=act.unit.now,
            compartment=new.group,
            frame=change.seal(new.group, place, msgspec.to_builtins(_Kept(envelope))),
        )
    )
    change.record(
        "note.create",
        [(note_id, 1)],
        detail={"group": new.group, "readers": sorted(map(str, readers))},
    )
    return NoteCreated(note_id)


def view_written(act: Act, case_id: UUID, note_id: UUID) -> NoteCreated:
    """What `write_note` answered, rebuilt for a replay, as far as the asker may still know it."""
    Access(act).open_case(case_id, action="note.list", contents=False, also=lambda: [(note_id, 1)])
    return NoteCreated(note_id)


def list_notes(act: Act, case_id: UUID) -> NoteList:
    """The notes of a case that name the asker, newest first. Nothing tells of the others."""
    opened = Access(act).open_case(case_id, action="note.list", contents=False)
    rows = act.unit.connection.execute(
        select(member_note)
        .where(member_note.c.org_id == act.org_id, member_note.c.case_id == case_id)
        .order_by(member_note.c.id.desc())
    ).all()
    shown = []
    for row in rows:
        note = NoteView(row.id, row.author_id, row.written_at, Group(row.compartment))
        try:
            is_shown = _lay_open(act, opened, row, note)
        except CryptoError as error:
            act.report_damage(error, note=str(row.id))
            note.problem = SealedDataDamaged.code
            # Whom it names stands inside: of one that does not open at all, its author alone is told.
            is_shown = note.readers is not UNSET or note.author == act.member_id
        if is_shown:
            shown.append(note)
    read = tuple((note.id.bytes, 1) for note in shown if note.text is not UNSET)
    if read:
        act.record(Deed("note.read", touched=(Touched(opened.loaded.pseudonym, read),)))
    return NoteList(shown)


def _lay_open(act: Act, opened: OpenedCase, row: Any, note: NoteView) -> bool:
    """Fill in whom a note names, and its text if the asker's keys open it; returns whether it names her at all.

    Raises:
        CryptoError: it was altered.

    """
    place = Column.MEMBER_NOTE.place(act.org_id, row.id, 1)
    content = opened.open(note.group, place, row.frame, _never_dropped)
    if content is None:
        return False
    envelope = msgspec.convert(content, _Kept).envelope
    readers = readers_of(envelope)
    if act.member_id.bytes not in readers:
        return False
    note.readers = [UUID(bytes=member) for member in readers]
    try:
        note.text = msgspec.json.decode(open_note(act, opened.id, place, envelope), type=str)
    except SealedToOtherKeys:
        # The frame was authentic: she has had new keys since.
        note.waiting = True
    return True


def _require_able(act: Act, case_id: UUID, group: Group, readers: set[UUID], *, is_restricted: bool) -> None:
    if readers - active_members(act.unit.connection, act.org_id, list(readers)):
        raise bad_field("readers", "unknown_member")
    if len(persons_behind(act.unit.connection, act.org_id, readers)) < FEWEST_READERS:
        raise bad_field("readers", "fewer_than_two")
    directory = act.deployment.directories.fresh(act.unit, act.org_id)
    if is_restricted and readers - set(who_is_named(directory, case_id)):
        raise bad_field("readers", "not_named")
    if not all(directory.holds(reader.bytes, group) for reader in readers):
        raise bad_field("readers", "holds_no_key")


def _never_dropped(_frame: object) -> None:
    """A note is written by a holder of its group; there is nothing to take over."""
