"""Emergency access: for some hours a member reads a case that she is not assigned to, and says why."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import insert, select

from casework.access import Access
from casework.act import Act
from casework.cases.schemas import BrokenGlass, Emergency
from casework.cases.tables import break_glass
from casework.ids import new_id
from policies.vocabulary import Action

WINDOW = timedelta(hours=4)


def open_in_emergency(act: Act, case_id: UUID, emergency: Emergency) -> tuple[UUID, BrokenGlass]:
    """Lift the assignment, and nothing else, until the window ends; returns the emergency access and its end.

    Asked again, a new window begins. It may be asked for a case that the asker cannot list: that is its use. So
    what refuses it whatever the case (her role, the purpose, a missing reason or step-up) is refused before the
    case is looked for, and an absent case, one of another organisation, a restricted one and one that she has a
    conflict with are the same to her.

    Raises:
        Forbidden: refused for whatever case; `extra` says what would lift it.
        NotFound: absent, or not hers to know of even in an emergency.

    """
    act.state_purpose(emergency.purpose)
    reason = emergency.reason.strip()
    tried = {"case": str(case_id)}
    act.require_in_some_case(Action.CASE_BREAK_GLASS, reason=bool(reason), tried=tried)
    change = Access(act).change_case(case_id, [Action.CASE_BREAK_GLASS], reason=bool(reason))
    glass_id, expires_at = new_id(), act.unit.now + WINDOW
    act.unit.connection.execute(
        insert(break_glass).values(
            org_id=act.org_id,
            id=glass_id,
            case_id=case_id,
            member_id=act.member_id,
            expires_at=expires_at,
        )
    )
    change.record(Action.CASE_BREAK_GLASS, [(glass_id, 1)], glass=glass_id, detail={"reason": reason})
    return glass_id, BrokenGlass(expires_at)


def view_emergency(act: Act, case_id: UUID, glass_id: UUID) -> BrokenGlass:
    """What `open_in_emergency` answered, rebuilt for a replay, as far as the asker may still know it."""
    Access(act).open_case(case_id, contents=False)
    query = select(break_glass.c.expires_at).where(
        break_glass.c.org_id == act.org_id,
        break_glass.c.id == glass_id,
        break_glass.c.case_id == case_id,
        break_glass.c.member_id == act.member_id,
    )
    return BrokenGlass(act.unit.connection.execute(query).scalar_one())
