"""Teams of colleagues: whoever assigns cases makes them, says who belongs to them, and closes them.

Who belongs to a team sees its cases as `my_team`; of each change the auditor reads who came
and went.
"""

from collections.abc import Sequence
from uuid import UUID

from casework.act import Act, refusal
from casework.cases.past import take_from_team
from casework.cases.schemas import NewTeam, TeamList, TeamView
from casework.errors import AuthenticationStepNeeded, NotFound, bad_field
from casework.identity.members import active_members
from casework.journal import Deed
from casework.organisations.teams import (
    OpenTeam,
    end_team,
    join_team,
    leave_team,
    lock_team,
    make_team,
    open_teams,
    rename_team,
)
from policies.facts import CaseFacts
from policies.vocabulary import Action, Advice

CREATE, CHANGE, CLOSE = "team.create", "team.change", "team.close"


def list_teams(act: Act) -> TeamList:
    """The teams that are not closed, by name.

    Raises:
        Forbidden: she assigns no case.

    """
    act.require_in_some_case(Action.CASE_ASSIGN)
    return TeamList([_view(each) for each in open_teams(act.unit.connection, act.org_id)])


def create_team(act: Act, wanted: NewTeam) -> TeamView:
    """Make a team of active colleagues.

    Raises:
        Forbidden: she does not assign cases but those that name her.
        AuthenticationStepNeeded: no live step-up.
        BadInput: somebody unknown, or no longer active.

    """
    policies = _require_allowed(act, CREATE)
    members = _members(act, wanted.members)
    made = make_team(act.unit.connection, act.org_id, wanted.name, members, act.unit.now)
    _record(act, CREATE, made, policies, wanted.reason, joined=members)
    return TeamView(made, wanted.name, members)


def view_team(act: Act, team_id: UUID) -> TeamView:
    """What `create_team` answered, rebuilt for a replay: as the team is now."""
    _require_allowed(act, CREATE)
    return _view(_lock(act, CREATE, team_id))


def change_team(act: Act, team_id: UUID, wanted: NewTeam) -> TeamView:
    """Rename a team and replace who belongs to it; who leaves it sees its cases no more.

    Raises:
        Forbidden, AuthenticationStepNeeded, BadInput: see `create_team`.
        NotFound: absent, closed, or of another organisation.

    """
    policies = _require_allowed(act, CHANGE)
    there = _lock(act, CHANGE, team_id)
    stays = set(there.members)
    # Who is active no more may be left in it, and is not brought in.
    members = sorted(set(wanted.members))
    new = _members(act, [member for member in members if member not in stays])
    gone = sorted(stays - set(members))
    connection, org_id, now = act.unit.connection, act.org_id, act.unit.now
    rename_team(connection, org_id, team_id, wanted.name)
    leave_team(connection, org_id, team_id, gone, now)
    join_team(connection, org_id, team_id, new, now)
    _record(act, CHANGE, team_id, policies, wanted.reason, joined=new, left=gone)
    return TeamView(team_id, wanted.name, members)


def close_team(act: Act, team_id: UUID, reason: str) -> TeamView:
    """End a team: nobody belongs to it, and no case is its, from now on.

    How many cases it had the auditor alone is told, for it would betray one that is hidden from the asker.

    Raises:
        Forbidden, AuthenticationStepNeeded, NotFound: see `change_team`.

    """
    policies = _require_allowed(act, CLOSE)
    there = _lock(act, CLOSE, team_id)
    connection, org_id, now = act.unit.connection, act.org_id, act.unit.now
    cases = take_from_team(connection, org_id, team_id, now)
    end_team(connection, org_id, team_id, now)
    _record(act, CLOSE, team_id, policies, reason, left=there.members, cases=cases)
    return TeamView(team_id, there.name, [])


def _require_allowed(act: Act, action: str) -> Sequence[str]:
    decision = act.decide_case(Action.CASE_ASSIGN, CaseFacts.of_an_ordinary_case())
    if not decision.allowed:
        raise refusal(Action.CASE_ASSIGN, decision, hidden=False)
    if not act.context.step_up:
        raise AuthenticationStepNeeded(action, reason="step_up", extra={"advice": [Advice.STEP_UP]})
    return decision.policies


def _lock(act: Act, action: str, team_id: UUID) -> OpenTeam:
    found = lock_team(act.unit.connection, act.org_id, team_id)
    if found is None:
        raise NotFound(action, reason="not_found", tried={"team": str(team_id)})
    return found


def _members(act: Act, members: Sequence[UUID]) -> list[UUID]:
    wanted = set(members)
    if wanted - active_members(act.unit.connection, act.org_id, wanted):
        raise bad_field("members", "unknown_member")
    return sorted(wanted)


def _record(
    act: Act,
    action: str,
    team_id: UUID,
    policies: Sequence[str],
    reason: str,
    *,
    joined: Sequence[UUID] = (),
    left: Sequence[UUID] = (),
    cases: int = 0,
) -> None:
    detail = {
        "team": str(team_id),
        "joined": [str(member) for member in joined],
        "left": [str(member) for member in left],
        "cases": cases,
        "reason": reason.strip(),
    }
    act.record(Deed(action, policies=policies, detail=detail))


def _view(found: OpenTeam) -> TeamView:
    return TeamView(found.id, found.name, list(found.members))
