"""Keeping what a member has not saved yet. A draft is hers alone: it opens with her own key, and no other."""

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, delete, func, insert, select, update

from casework.access import Access
from casework.act import Act, refusal
from casework.column_types import Sealed
from casework.columns import Column
from casework.drafts.schemas import DraftList, DraftSaved, DraftView, NewDraft
from casework.drafts.tables import draft
from casework.errors import NotFound, PreconditionFailed, bad_field
from casework.journal import Deed, Touched
from casework.packets import open_own_draft
from crypto.draft import seal_draft
from policies.engine import Decision
from policies.facts import CaseFacts
from policies.vocabulary import RECORD, Action

CONTENT_LIMIT = 64 * 1024
# Of one member about one case. A composer has one or two; they are listed all at once.
MOST_DRAFTS = 100


def save_draft(
    act: Act, draft_id: UUID, new: NewDraft, version: int | None
) -> DraftSaved | PreconditionFailed:
    """Keep a draft, if it is still at `version`; None begins one. The client chooses the id.

    Where it was saved elsewhere meanwhile, the problem is returned, not raised: it shows both versions, so its
    entry must be committed.

    Raises:
        BadInput: over 64 KiB, a draft that is about another case, or one more than she may have of a case.
        NotFound: a case that she may not list; a draft that is not hers or not there.
        Forbidden: she may record in no group of the case.

    """
    plaintext = msgspec.json.encode(new.content)
    if len(plaintext) > CONTENT_LIMIT:
        raise bad_field("content", "too_large")
    found = _find(act, draft_id)
    if found is None and version is not None:
        raise _absent(draft_id)
    decision = _require_recordable(act, new.case_id)
    if found is not None and found.case_id != new.case_id:
        raise bad_field("case_id", "another_case")
    if found is not None and found.version != version:
        current = {"version": found.version, "content": _opened(act, found)}
        return PreconditionFailed(extra={"current": current, "yours": new.content})
    if found is None and _kept(act, new.case_id) >= MOST_DRAFTS:
        raise bad_field("case_id", "too_many_drafts")
    following = 1 if version is None else version + 1
    place = Column.DRAFT.place(act.org_id, draft_id, following)
    values = {
        "version": following,
        "saved_at": act.unit.now,
        "sealed": Sealed(seal_draft(act.session.keys, new.case_id.bytes, place, plaintext)),
    }
    if found is None:
        own = {"org_id": act.org_id, "id": draft_id, "member_id": act.member_id, "case_id": new.case_id}
        act.unit.connection.execute(insert(draft).values(**own, **values))
    else:
        act.unit.connection.execute(update(draft).where(*_this(act, draft_id)).values(**values))
    act.unit.touched()
    _record(act, "draft.save", decision, new.case_id, [(draft_id, following)])
    return DraftSaved(draft_id, following, act.unit.now)


def view_draft(act: Act, draft_id: UUID) -> DraftView:
    """A draft of her own, of a case that she may still list.

    Raises:
        NotFound: absent, another member's or organisation's, or of a case that is no longer hers to know of.

    """
    found = _require_own(act, draft_id)
    return DraftView(found.id, found.case_id, found.version, found.saved_at, _opened(act, found))


def list_drafts(act: Act, case_id: UUID) -> DraftList:
    """Her own drafts about a case, last saved first; opens none.

    Raises:
        NotFound: a case that is absent or not hers to know of.

    """
    decision, _ = _require_listable(act, case_id)
    rows = act.unit.connection.execute(
        select(draft.c.id, draft.c.version, draft.c.saved_at)
        .where(draft.c.org_id == act.org_id, draft.c.member_id == act.member_id, draft.c.case_id == case_id)
        .order_by(draft.c.saved_at.desc(), draft.c.id.desc())
    ).all()
    act.unit.touched()
    _record(act, "draft.list", decision, case_id, [(row.id, row.version) for row in rows])
    return DraftList([DraftSaved(row.id, row.version, row.saved_at) for row in rows])


def delete_draft(act: Act, draft_id: UUID) -> None:
    """Destroy a draft of her own; raises as `view_draft` does."""
    found = _require_own(act, draft_id)
    act.unit.connection.execute(delete(draft).where(*_this(act, draft_id)))
    act.unit.touched()
    _record(act, "draft.delete", None, found.case_id, [(draft_id, found.version)])


def _this(act: Act, draft_id: UUID) -> tuple[Any, ...]:
    return draft.c.org_id == act.org_id, draft.c.id == draft_id


def _find(act: Act, draft_id: UUID) -> Row[Any] | None:
    """Her own draft, locked; raises NotFound where the id is another member's."""
    found = act.unit.connection.execute(
        select(draft).where(*_this(act, draft_id)).with_for_update()
    ).one_or_none()
    if found is not None and found.member_id != act.member_id:
        raise _absent(draft_id)
    return found


def _kept(act: Act, case_id: UUID) -> int:
    """How many drafts of hers there are about a case."""
    hers = (draft.c.org_id == act.org_id, draft.c.member_id == act.member_id, draft.c.case_id == case_id)
    query = select(func.count()).select_from(draft).where(*hers)
    return int(act.unit.connection.execute(query).scalar_one())


def _require_own(act: Act, draft_id: UUID) -> Row[Any]:
    found = _find(act, draft_id)
    if found is None:
        raise _absent(draft_id)
    facts = Access(act).facts_of(found.case_id)
    if facts is None or not act.decide_case(Action.CASE_LIST, facts).allowed:
        raise _absent(draft_id)
    return found


def _absent(draft_id: UUID) -> NotFound:
    # One error for all: absent, another's, and of a case that is no longer hers to know of.
    return NotFound("draft.open", reason="not_found", tried={"draft": str(draft_id)})


def _require_listable(act: Act, case_id: UUID) -> tuple[Decision, CaseFacts]:
    facts = Access(act).facts_of(case_id)
    decision = act.decide_case(Action.CASE_LIST, facts) if facts is not None else None
    if facts is None or decision is None or not decision.allowed:
        raise NotFound("case.open", reason="not_found", tried={"case": str(case_id)})
    return decision, facts


def _require_recordable(act: Act, case_id: UUID) -> Decision:
    """The decision that lets her record in at least one group of the case."""
    _, facts = _require_listable(act, case_id)
    denied = None
    for action in RECORD.values():
        decision = act.decide_case(action, facts)
        if decision.allowed:
            return decision
        # Of the refusals, one that says what would lift it tells her most.
        if denied is None or (decision.advice and not denied[1].advice):
            denied = (action, decision)
    assert denied is not None
    raise refusal(*denied, hidden=False, tried={"case": str(case_id)})


def _opened(act: Act, found: Row[Any]) -> dict[str, Any]:
    _record(act, "draft.open", None, found.case_id, [(found.id, found.version)])
    place = Column.DRAFT.place(act.org_id, found.id, found.version)
    return open_own_draft(act, found.case_id, place, found.sealed)


def _record(
    act: Act, action: str, decision: Decision | None, case_id: UUID, rows: list[tuple[UUID, int]]
) -> None:
    """Journal the deed under the person's pseudonym; one whose pseudonym was erased has none."""
    touched = [
        Touched(person, tuple((row.bytes, version) for row, version in rows))
        for person in Access(act).pseudonyms_of([case_id])
    ]
    policies = decision.policies if decision is not None else ()
    act.record(Deed(action, touched=touched, policies=policies))
