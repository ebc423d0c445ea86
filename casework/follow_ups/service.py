"""Recording and reading follow-ups. Each version is a row of its own; nothing is overwritten."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import func, select, update

from casework.access import Access, Content, OpenedCase
from casework.act import Act
from casework.cases.service import touch_case
from casework.column_types import Sealed
from casework.columns import Column
from casework.errors import SealedDataDamaged, bad_field
from casework.follow_ups import queries
from casework.follow_ups.schemas import FollowUpCreated, FollowUpPage, FollowUpView, NewFollowUp
from casework.follow_ups.tables import follow_up, follow_up_frame
from casework.follow_ups.types import HEAD_GROUP
from casework.ids import new_id
from crypto.errors import CryptoError, SealBroken
from policies.vocabulary import RECORD, Group

PAGE_LIMIT = 100
# A slip of the keyboard before it: and some years have no time in UTC that a database can hold.
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 1, 1, tzinfo=UTC)
_HEAD_FIELDS = ("type", "channel", "duration_minutes", "action", "next_step")
# Beside the head's fields, what a group's record may hold: its text, and why that was corrected.
TEXT = "text"
REASON = "reason"


def record_follow_up(act: Act, case_id: UUID, new: NewFollowUp) -> FollowUpCreated:
    """Record a follow-up: its head under the group of its type, each text under its own.

    Raises:
        BadInput: unknown type, no text, a time to come, or one before 1900.
        Forbidden, NotFound: see `Access.change_case`.

    """
    head_group = HEAD_GROUP.get(new.type)
    if head_group is None:
        raise bad_field("type", "not_in_vocabulary")
    if new.occurred_at > act.unit.now:
        raise bad_field("occurred_at", "in_the_future")
    if new.occurred_at < EARLIEST:
        raise bad_field("occurred_at", "out_of_range")
    records = _records(new, head_group)
    change = Access(act).change_case(case_id, [RECORD[group] for group in records])
    follow_up_id = new_id()
    connection = act.unit.connection
    queries.INSERT.run(
        connection,
        {
            "org_id": act.org_id,
            "id": follow_up_id,
            "version": 1,
            "case_id": case_id,
            "author_id": act.member_id,
            "occurred_at": new.occurred_at,
            "recorded_at": act.unit.now,
        },
    )
    place = Column.FOLLOW_UP_FRAME.place(act.org_id, follow_up_id, 1)
    for group, record in records.items():
        frame = {
            "org_id": act.org_id,
            "follow_up_id": follow_up_id,
            "version": 1,
            "compartment": group,
            "frame": change.seal(group, place, record),
        }
        queries.INSERT_FRAME.run(connection, frame)
    touch_case(act, case_id, contact=True)
    change.record("follow_up.create", [(follow_up_id, 1)], detail={"groups": sorted(records)})
    return FollowUpCreated(follow_up_id, 1)


def view_recorded(act: Act, case_id: UUID, follow_up_id: UUID) -> FollowUpCreated:
    """What `record_follow_up` answered, rebuilt for a replay, as far as the asker may still know it."""
    Access(act).open_case(case_id, action="follow_up.list", contents=False, also=lambda: [(follow_up_id, 1)])
    return FollowUpCreated(follow_up_id, 1)


def list_follow_ups(
    act: Act, case_id: UUID, limit: int, cursor: tuple[datetime, UUID] | None
) -> FollowUpPage:
    """A page of a case's follow-ups, newest first, each in its latest version."""
    limit = min(limit, PAGE_LIMIT)
    heads: list[Any] = []

    def shown_rows() -> list[tuple[UUID, int]]:
        heads.extend(_latest(act, case_id, limit + 1, cursor))
        return [(head.id, head.version) for head in heads[:limit]]

    opened = Access(act).open_case(case_id, action="follow_up.list", contents=False, also=shown_rows)
    shown = heads[:limit]
    items = views_of(act, opened, shown)
    last = shown[-1] if len(heads) > limit else None
    return FollowUpPage(items, f"{last.occurred_at.isoformat()}~{last.id}" if last is not None else None)


def parse_cursor(text: str | None) -> tuple[datetime, UUID] | None:
    """Raises BadInput for a cursor that is not one of ours."""
    if text is None:
        return None
    moment, _, last = text.partition("~")
    try:
        given, follow_up_id = datetime.fromisoformat(moment), UUID(last)
        # A moment at the edge of the calendar may lie beyond it in UTC.
        cursor = given.astimezone(UTC), follow_up_id
    except (ValueError, OverflowError):
        raise bad_field("cursor", "malformed") from None
    if given.tzinfo is None or not EARLIEST <= cursor[0] <= LATEST:
        raise bad_field("cursor", "malformed")
    return cursor


def follow_ups_of(
    act: Act, opened: OpenedCase, wanted: Sequence[UUID]
) -> list[tuple[Any, dict[Group, Content]]]:
    """The latest versions of chosen follow-ups of an opened case, each readable group's record opened.

    Why a text was corrected stays here, and so does a group whose text was taken back.

    Raises:
        BadInput: one of them is not a follow-up of this case.

    """
    query = queries.LATEST.where(follow_up.c.id.in_(wanted)).order_by(follow_up.c.occurred_at, follow_up.c.id)
    heads = act.unit.connection.execute(query, {"org": act.org_id, "case": opened.id}).all()
    if {head.id for head in heads} != set(wanted):
        raise bad_field("follow_ups", "unknown_follow_up")
    frames = frames_of(act, heads)
    return [(head, _told(open_records(act, opened, frames[head.id]))) for head in heads]


def versions_now(act: Act, wanted: Sequence[UUID]) -> dict[UUID, int]:
    """The latest version of each of these follow-ups."""
    query = (
        select(follow_up.c.id, func.max(follow_up.c.version))
        .where(follow_up.c.org_id == act.org_id, follow_up.c.id.in_(wanted))
        .group_by(follow_up.c.id)
    )
    return {row[0]: row[1] for row in act.unit.connection.execute(query)}


def all_frames_of(act: Act, wanted: Sequence[UUID]) -> Sequence[Any]:
    """Every frame of these follow-ups, of every version."""
    if not wanted:
        return []
    values = {f"id{number}": follow_up_id for number, follow_up_id in enumerate(wanted)}
    return queries.frames_of(len(values)).rows(act.unit.connection, {"org": act.org_id, **values})


def frames_of(act: Act, heads: Sequence[Any]) -> dict[UUID, list[Any]]:
    """What stands at each head's version: see `_standing`."""
    written = _written(act, heads)
    return {head.id: _standing(head, written[head.id]) for head in heads}


def _written(act: Act, heads: Sequence[Any]) -> dict[UUID, list[Any]]:
    written: dict[UUID, list[Any]] = {head.id: [] for head in heads}
    for row in all_frames_of(act, list(written)):
        written[row.follow_up_id].append(row)
    return written


def _standing(head: Any, written: Sequence[Any]) -> list[Any]:
    """Of each group, the frame of the highest version that has one.

    A frame is bound to its version, so a correction copies none: the groups it leaves alone keep theirs.

    Raises:
        SealBroken: a version has no frame at all: to delete a correction's would bring back what it corrected.

    """
    if not {row.version for row in written}.issuperset(range(2, head.version + 1)):
        raise SealBroken("a version without a record")
    newest: dict[str, Any] = {}
    for row in written:
        known = newest.get(row.compartment)
        if row.version <= head.version and (known is None or known.version < row.version):
            newest[row.compartment] = row
    return list(newest.values())


def views_of(act: Act, opened: OpenedCase, heads: Sequence[Any]) -> list[FollowUpView]:
    """Follow-ups of an opened case as this member may see them; a damaged one does not hide the others."""
    written = _written(act, heads)
    authors = _first_authors(act, [head.id for head in heads if head.version > 1])
    return [_view(act, opened, head, written[head.id], authors) for head in heads]


def _first_authors(act: Act, corrected: Sequence[UUID]) -> dict[UUID, UUID]:
    if not corrected:
        return {}
    query = select(follow_up.c.id, follow_up.c.author_id).where(
        follow_up.c.org_id == act.org_id, follow_up.c.id.in_(corrected), follow_up.c.version == 1
    )
    return {row.id: row.author_id for row in act.unit.connection.execute(query)}


def _records(new: NewFollowUp, head_group: Group) -> dict[Group, Content]:
    records: dict[Group, Content] = {
        group: {TEXT: text} for group, text in new.content.items() if text.strip()
    }
    if not records:
        raise bad_field("content", "missing")
    head = {name: getattr(new, name) for name in _HEAD_FIELDS if getattr(new, name) is not UNSET}
    return records | {head_group: {**msgspec.to_builtins(head), **records.get(head_group, {})}}


def _latest(act: Act, case_id: UUID, limit: int, cursor: tuple[datetime, UUID] | None) -> Sequence[Any]:
    values = {"org": act.org_id, "case": case_id, "limit": limit}
    if cursor is None:
        return queries.FIRST_PAGE.rows(act.unit.connection, values)
    moment, last = cursor
    return queries.NEXT_PAGE.rows(act.unit.connection, {**values, "moment": moment, "last": last})


def open_records(act: Act, opened: OpenedCase, frames: Sequence[Any]) -> dict[Group, Content]:
    """The records of one frame a group, as far as their groups may be read."""
    records = {}
    for row in frames:
        group = Group(row.compartment)
        place = Column.FOLLOW_UP_FRAME.place(act.org_id, row.follow_up_id, row.version)
        record = opened.open(group, place, row.frame, _store(act, row))
        if record is not None:
            records[group] = record
    return records


def _store(act: Act, row: Any) -> Callable[[Sealed], None]:
    frame = follow_up_frame

    def store(sealed: Sealed) -> None:
        act.unit.connection.execute(
            update(frame)
            .where(
                frame.c.org_id == act.org_id,
                frame.c.follow_up_id == row.follow_up_id,
                frame.c.version == row.version,
                frame.c.compartment == row.compartment,
            )
            .values(frame=sealed)
        )

    return store


def _told(records: Mapping[Group, Content]) -> dict[Group, Content]:
    told = {
        group: {name: value for name, value in record.items() if name != REASON and value != ""}
        for group, record in records.items()
    }
    return {group: record for group, record in told.items() if record}


def texts_of(records: Mapping[Group, Content]) -> dict[Group, str]:
    return {group: record[TEXT] for group, record in records.items() if record.get(TEXT)}


def head_of(records: Mapping[Group, Content]) -> dict[str, Any]:
    """The type, the channel and what else stands beside the text of the type's group, where that may be read."""
    fields = next((record for record in records.values() if "type" in record), {})
    return {name: fields[name] for name in _HEAD_FIELDS if name in fields}


def reason_of(records: Iterable[Content]) -> str | UnsetType:
    """Why a version was written, from the records that it wrote."""
    return next((record[REASON] for record in records if REASON in record), UNSET)


def _view(
    act: Act,
    opened: OpenedCase,
    head: Any,
    written: Sequence[Any],
    first_authors: Mapping[UUID, UUID],
) -> FollowUpView:
    problem: str | UnsetType = UNSET
    frames: Sequence[Any] = ()
    records: Mapping[Group, Content] = {}
    try:
        frames = _standing(head, written)
        records = open_records(act, opened, frames)
    except CryptoError as error:
        act.report_damage(error, follow_up=str(head.id))
        problem = SealedDataDamaged.code
    view = FollowUpView(
        id=head.id,
        occurred_at=head.occurred_at,
        author=head.author_id,
        version=head.version,
        content=texts_of(records),
        withheld=list(opened.withheld),
        problem=problem,
        **head_of(records),
    )
    if head.version > 1:
        corrected = {row.compartment for row in frames if row.version == head.version}
        view.author = first_authors[head.id]
        view.corrected_at, view.corrected_by = head.recorded_at, head.author_id
        view.reason = reason_of(record for group, record in records.items() if group in corrected)
    return view
