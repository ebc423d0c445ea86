"""Closing and reopening a case: what may follow what, and the one place that applies it for a member."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import update

from casework.access import Access
from casework.act import Act
from casework.cases.schemas import CaseMoved
from casework.cases.tables import case_file
from casework.errors import NotNow
from policies.vocabulary import Action, Status


@dataclass(frozen=True, slots=True)
class Move:
    """The act that makes a move, and the one status that it may follow."""

    action: Action
    expected: Status


# An archived case is moved by nobody here.
MOVES: dict[Status, Move] = {
    Status.CLOSED: Move(Action.CASE_CLOSE, Status.OPEN),
    Status.OPEN: Move(Action.CASE_REOPEN, Status.CLOSED),
}


def move_case(act: Act, case_id: UUID, following: Status, reason: str) -> CaseMoved:
    """Close or reopen a case; the reason goes to the auditor alone.

    Raises:
        NotFound, Forbidden: see `Access.change_case`; a missing reason is among what may be advised.
        NotNow: the case has another status than the move may follow.

    """
    move, motive = MOVES[following], reason.strip()
    change = Access(act).change_case(case_id, [move.action], reason=bool(motive))
    if change.loaded.status is not move.expected:
        raise NotNow(move.action, "wrong_state", tried={"case": str(case_id)})
    version = change.loaded.version + 1
    act.unit.connection.execute(
        update(case_file)
        .where(case_file.c.org_id == act.org_id, case_file.c.id == case_id)
        .values(status=following, version=version)
    )
    change.record(move.action, [(case_id, version)], detail={"reason": motive})
    return CaseMoved(case_id, following, version)


def view_moved(act: Act, case_id: UUID) -> CaseMoved:
    """What `move_case` answered, rebuilt for a replay, as far as the asker may still know it."""
    opened = Access(act).open_case(case_id, contents=False)
    return CaseMoved(case_id, opened.loaded.status, opened.loaded.version)
