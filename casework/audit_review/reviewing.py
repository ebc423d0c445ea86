"""Reviews: what was found of an entry, by whom, and what settles it."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select

from audit.errors import EntryNotFound
from audit.log import find_entry
from casework.act import Act
from casework.audit_review.schemas import NewReview, Outcome, ReviewPage, ReviewView
from casework.audit_review.service import may_open_details
from casework.audit_review.tables import review
from casework.column_types import Sealed
from casework.columns import Column
from casework.errors import NotFound, NotNow
from casework.identity.members import memberships_of
from casework.ids import new_id
from casework.journal import JOURNAL, Deed
from casework.packets import open_left_record
from crypto.drop import seal_to_drop
from policies.vocabulary import Action

_ACTION = Action.JOURNAL_REVIEW


def record_review(act: Act, new: NewReview) -> ReviewView:
    """Record what was found of an entry. Every review stands; the newest settles the entry, or leaves it open.

    Raises:
        NotFound: no such entry in this organisation's log.
        Forbidden: the policies do not let her review; nor anybody an act of her own, under whichever role.
        NotNow: a misuse is confirmed that nobody else has suspected.

    """
    tried = {"entry": str(new.entry)}
    decision = act.require_org(_ACTION)
    try:
        reviewed = find_entry(act.unit.connection, act.org_id.bytes, str(new.entry)).entry
    except EntryNotFound:
        raise NotFound(_ACTION, reason="not_found", tried=tried) from None
    own = memberships_of(act.unit.connection, act.org_id, act.session.account_id)
    if reviewed.actor is not None and UUID(reviewed.actor) in own:
        act.require_org(_ACTION, self_target=True)
    if new.outcome is Outcome.MISUSE_CONFIRMED and not _somebody_else_suspects(act, new.entry, own):
        title = "Une autre personne doit d’abord avoir noté un soupçon."
        raise NotNow(_ACTION, "second_reviewer_needed", title, tried=tried)
    review_id = new_id()
    place = Column.REVIEW_NOTE.place(act.org_id, review_id, 1)
    act.unit.connection.execute(
        insert(review).values(
            org_id=act.org_id,
            id=review_id,
            entry_id=new.entry,
            outcome=new.outcome,
            reviewed_by=act.member_id,
            reviewed_at=act.unit.now,
            note=Sealed(seal_to_drop(act.drop(JOURNAL), place, new.note.encode())),
        )
    )
    act.record(
        Deed(
            _ACTION,
            policies=decision.policies,
            detail={"review": str(review_id), "entry": str(new.entry), "outcome": new.outcome},
        )
    )
    return ReviewView(review_id, new.entry, new.outcome, act.member_id, act.unit.now, new.note)


def view_recorded(act: Act, review_id: UUID) -> ReviewView:
    """What `record_review` answered, rebuilt for a replay."""
    decision = act.require_org(Action.JOURNAL_READ)
    row = act.unit.connection.execute(
        select(review).where(review.c.org_id == act.org_id, review.c.id == review_id)
    ).one()
    act.record(Deed("journal.read", policies=decision.policies, count=1, detail={"review": str(review_id)}))
    return _view(act, row, opens_notes=may_open_details(act))


def list_reviews(act: Act, entry: UUID | None, cursor: UUID | None, limit: int) -> ReviewPage:
    """The organisation's reviews, newest first; of one entry where it is given."""
    decision = act.require_org(Action.JOURNAL_READ)
    query = select(review).where(review.c.org_id == act.org_id)
    if entry is not None:
        query = query.where(review.c.entry_id == entry)
    if cursor is not None:
        query = query.where(review.c.id < cursor)
    rows = act.unit.connection.execute(query.order_by(review.c.id.desc()).limit(limit + 1)).all()
    act.record(
        Deed(
            "journal.read",
            policies=decision.policies,
            count=len(rows[:limit]),
            detail={"list": "reviews"} | ({"entry": str(entry)} if entry is not None else {}),
        )
    )
    opens_notes = may_open_details(act)
    items = [_view(act, row, opens_notes=opens_notes) for row in rows[:limit]]
    return ReviewPage(items, str(items[-1].id) if len(rows) > limit else None)


def reviews_since(act: Act, since: datetime) -> dict[UUID, list[Row[Any]]]:
    """Reviews by the entry they are of, oldest first; of an entry since `since` all are among them."""
    return stored_reviews(act.unit.connection, act.org_id, since)


def stored_reviews(connection: Connection, org_id: UUID, since: datetime) -> dict[UUID, list[Row[Any]]]:
    """The same, for whoever has no session: nothing sealed is opened."""
    found: dict[UUID, list[Row[Any]]] = defaultdict(list)
    query = select(review).where(review.c.org_id == org_id, review.c.reviewed_at >= since)
    for row in connection.execute(query.order_by(review.c.reviewed_at, review.c.id)):
        found[row.entry_id].append(row)
    return found


def is_settled(reviews: Collection[Row[Any]]) -> bool:
    """Whether the newest of an entry's reviews leaves nothing open."""
    return bool(reviews) and Outcome(list(reviews)[-1].outcome) is not Outcome.MISUSE_SUSPECTED


def view_reviews(act: Act, rows: Collection[Row[Any]], *, opens_notes: bool) -> list[ReviewView]:
    return [_view(act, row, opens_notes=opens_notes) for row in rows]


def _somebody_else_suspects(act: Act, entry: UUID, own: set[UUID]) -> bool:
    """Compared by the person: who has two roles does not confirm under one what she suspects under the other."""
    query = select(review.c.reviewed_by).where(
        review.c.org_id == act.org_id,
        review.c.entry_id == entry,
        review.c.outcome == Outcome.MISUSE_SUSPECTED,
    )
    return bool(set(act.unit.connection.execute(query).scalars()) - own)


def _view(act: Act, row: Row[Any], *, opens_notes: bool) -> ReviewView:
    place = Column.REVIEW_NOTE.place(act.org_id, row.id, 1)
    note = open_left_record(act, JOURNAL, place, row.note) if opens_notes else None
    return ReviewView(
        id=row.id,
        entry=row.entry_id,
        outcome=Outcome(row.outcome),
        reviewed_by=row.reviewed_by,
        reviewed_at=row.reviewed_at,
        note=note.decode() if note is not None else None,
    )
