"""Corrections: a new version of a follow-up that says why. The old one stays, and both can be read."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Row, insert, select

from casework.access import Access, ChangingCase, Content
from casework.act import Act
from casework.cases.service import touch_case
from casework.column_types import Sealed
from casework.columns import Column
from casework.errors import NotFound, NotNow, PreconditionFailed, bad_field
from casework.follow_ups.schemas import Correction, FollowUpCreated, FollowUpVersion, FollowUpVersions
from casework.follow_ups.service import (
    REASON,
    TEXT,
    all_frames_of,
    frames_of,
    head_of,
    open_records,
    reason_of,
    texts_of,
    views_of,
)
from casework.follow_ups.tables import follow_up, follow_up_frame
from policies.vocabulary import AMEND, Group

T = TypeVar("T")
# No case has it. An absent follow-up is looked for in it, so that absent and hidden cost the same.
_NO_CASE = UUID(int=0)


def correct_follow_up(
    act: Act, follow_up_id: UUID, correction: Correction, version: int
) -> FollowUpCreated | PreconditionFailed:
    """Write a new version in which the texts given replace those of their groups, if it is still at `version`.

    Where somebody corrected first, the problem is returned, not raised: it shows both versions to whoever may
    read one of the groups, so its entry must be committed.

    Raises:
        BadInput: no text is given.
        NotFound: absent, or of a case that is not hers to know of; one answer and one denial.
        Forbidden: she may not correct one of the groups, gives no reason, or the case is closed.
        NotNow: what a handoff brought for a group was not opened yet, and would be hidden unread.
        MissingKey: a group has a text that the session holds no key for.

    """
    if not correction.content:
        raise bad_field("content", "missing")
    reason = correction.reason.strip()
    actions = [AMEND[group] for group in correction.content]
    change = _of_its_case(
        act, follow_up_id, lambda case: Access(act).change_case(case, actions, reason=bool(reason))
    )
    waiting = [group for group in correction.content if change.loaded.groups[group].arrival is not None]
    if waiting:
        title = "Un relais attend d’être ouvert dans cette rubrique."
        raise NotNow(AMEND[waiting[0]], "arrival_unopened", title, tried={"case": str(change.id)})
    head = _versions(act, follow_up_id)[-1]
    if head.version != version:
        return PreconditionFailed(extra=_both_versions(act, head, correction))
    _insert_version(act, change, head, correction.content, reason)
    touch_case(act, change.id)
    change.record(
        "follow_up.correct",
        [(follow_up_id, version + 1)],
        detail={"groups": sorted(correction.content), "reason": reason},
    )
    return FollowUpCreated(follow_up_id, version + 1)


def view_corrected(act: Act, follow_up_id: UUID, version: int) -> FollowUpCreated:
    """What `correct_follow_up` answered, rebuilt for a replay, as far as the asker may still know it."""
    _of_its_case(
        act,
        follow_up_id,
        lambda case: Access(act).open_case(
            case, action="follow_up.list", contents=False, also=lambda: [(follow_up_id, version)]
        ),
    )
    return FollowUpCreated(follow_up_id, version)


def view_versions(act: Act, follow_up_id: UUID) -> FollowUpVersions:
    """Every version of a follow-up as this member may see it, oldest to newest.

    Raises:
        NotFound: absent, or of a case that is not hers to know of; one answer and one denial.

    """
    heads: list[Row[Any]] = []

    def newest() -> list[tuple[UUID, int]]:
        heads.extend(_versions(act, follow_up_id))
        return [(follow_up_id, heads[-1].version)]

    opened = _of_its_case(
        act,
        follow_up_id,
        lambda case: Access(act).open_case(case, action="follow_up.versions", contents=False, also=newest),
    )
    written: dict[int, list[Row[Any]]] = {head.version: [] for head in heads}
    for row in all_frames_of(act, [follow_up_id]):
        written.setdefault(row.version, []).append(row)
    standing: dict[Group, Content] = {}
    items = []
    for head in heads:
        records = open_records(act, opened, written[head.version])
        standing |= records
        items.append(_version(head, standing, records))
    first = heads[0]
    return FollowUpVersions(first.id, first.case_id, first.occurred_at, items, list(opened.withheld))


def _of_its_case(act: Act, follow_up_id: UUID, work: Callable[[UUID], T]) -> T:
    """Do something with the case of a follow-up.

    Raises:
        NotFound: there is no such follow-up, or its case is hidden from the asker: the very same denial.

    """
    query = select(follow_up.c.case_id).where(
        follow_up.c.org_id == act.org_id, follow_up.c.id == follow_up_id
    )
    case_id = act.unit.connection.execute(query.limit(1)).scalar_one_or_none()
    try:
        return work(case_id or _NO_CASE)
    except NotFound as hidden:
        raise NotFound(hidden.action, reason=hidden.reason, tried={"follow_up": str(follow_up_id)}) from None


def _versions(act: Act, follow_up_id: UUID) -> list[Row[Any]]:
    query = select(follow_up).where(follow_up.c.org_id == act.org_id, follow_up.c.id == follow_up_id)
    return list(act.unit.connection.execute(query.order_by(follow_up.c.version)).all())


def _insert_version(
    act: Act, change: ChangingCase, head: Row[Any], texts: Mapping[Group, str], reason: str
) -> None:
    version = head.version + 1
    act.unit.connection.execute(
        insert(follow_up).values(
            org_id=act.org_id,
            id=head.id,
            version=version,
            case_id=head.case_id,
            author_id=act.member_id,
            occurred_at=head.occurred_at,
            recorded_at=act.unit.now,
        )
    )
    before = {Group(row.compartment): row for row in frames_of(act, [head])[head.id]}
    act.unit.connection.execute(
        insert(follow_up_frame),
        [
            {
                "org_id": act.org_id,
                "follow_up_id": head.id,
                "version": version,
                "compartment": group,
                "frame": _seal(
                    act,
                    change,
                    head.id,
                    version,
                    group,
                    before.get(group),
                    {TEXT: text if text.strip() else "", REASON: reason},
                ),
            }
            for group, text in texts.items()
        ],
    )


def _seal(
    act: Act,
    change: ChangingCase,
    follow_up_id: UUID,
    version: int,
    group: Group,
    before: Row[Any] | None,
    corrected: Content,
) -> Sealed:
    """The group's record at its new version; what it held beside its text (type, channel…) stays with it."""
    place = Column.FOLLOW_UP_FRAME.place(act.org_id, follow_up_id, version)
    if before is None:
        return change.seal(group, place, corrected)
    old = Column.FOLLOW_UP_FRAME.place(act.org_id, follow_up_id, before.version)
    return change.reseal(group, before.frame, old, place, corrected)


def _version(
    head: Row[Any], standing: Mapping[Group, Content], written: Mapping[Group, Content]
) -> FollowUpVersion:
    return FollowUpVersion(
        version=head.version,
        author=head.author_id,
        recorded_at=head.recorded_at,
        content=texts_of(standing),
        reason=reason_of(written.values()),
        **head_of(standing),
    )


def _both_versions(act: Act, head: Row[Any], yours: Correction) -> dict[str, Any]:
    opened = Access(act).open_case(
        head.case_id, action="follow_up.list", contents=False, also=lambda: [(head.id, head.version)]
    )
    if opened.readable.isdisjoint(yours.content):
        return {}
    return {"current": views_of(act, opened, [head])[0], "yours": yours}
