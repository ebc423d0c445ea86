"""Recording a colleague's leave, and her return before its end."""

from datetime import datetime, timedelta
from uuid import UUID

from casework.act import Act
from casework.errors import Conflict, NotFound, bad_field
from casework.identity.absence import Leave, leave_of, set_leave
from casework.identity.members import account_of_member
from casework.identity.schemas import LeaveView, NewLeave, Returned
from casework.journal import Deed
from policies.vocabulary import Action

LEAVE = "member.leave"
RETURN = "member.return"
# A parental leave (Code du travail L1225-48); and what was forgotten is not recorded years later.
LONGEST = timedelta(days=3 * 366)


def grant_leave(act: Act, member_id: UUID, wanted: NewLeave) -> LeaveView:
    """Put a colleague on leave, in all her roles, in the place of a leave that she has on record.

    Raises:
        Forbidden: she does not manage members, has not stepped up, or asks for herself.
        NotFound: not an active member of her organisation.
        BadInput: it ends before it begins, is over, or is longer or later than three years.

    """
    account_id, policies, _ = _require_account(act, member_id, LEAVE)
    leave = _leave(wanted, act.unit.now)
    set_leave(act.unit.connection, act.org_id, account_id, leave)
    detail = {
        "member": str(member_id),
        "from": leave.since.isoformat(),
        "until": leave.until.isoformat(),
        "reason": wanted.reason,
    }
    act.record(Deed(LEAVE, policies=policies, detail=detail))
    return LeaveView(leave.since, leave.until)


def end_leave(act: Act, member_id: UUID, reason: str) -> Returned:
    """End a leave before its time, or take one back that has not begun.

    Raises:
        Forbidden, NotFound: as `grant_leave`.
        Conflict: she has no leave that is not over.

    """
    account_id, policies, leave = _require_account(act, member_id, RETURN)
    if leave is None or leave.until <= act.unit.now:
        raise Conflict("no_leave", "Aucune absence n’est en cours ni à venir.")
    set_leave(act.unit.connection, act.org_id, account_id, None)
    act.record(Deed(RETURN, policies=policies, detail={"member": str(member_id), "reason": reason}))
    return Returned(member_id)


def _require_account(act: Act, member_id: UUID, action: str) -> tuple[UUID, tuple[str, ...], Leave | None]:
    found = account_of_member(act.unit.connection, act.org_id, member_id)
    is_herself = found is not None and found.id == act.session.account_id
    decision = act.require_org(Action.MEMBER_MANAGE, reason=True, self_target=is_herself)
    if found is None:
        raise NotFound(action, reason="not_found", tried={"member": str(member_id)})
    return found.id, decision.policies, leave_of(found)


def _leave(wanted: NewLeave, now: datetime) -> Leave:
    if not now - LONGEST < wanted.from_ < now + LONGEST:
        raise bad_field("from", "out_of_range")
    if not max(wanted.from_, now) < wanted.until < wanted.from_ + LONGEST:
        raise bad_field("until", "out_of_range")
    return Leave(wanted.from_, wanted.until)
