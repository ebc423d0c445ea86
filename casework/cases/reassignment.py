"""Bulk reassignment: what a worker who leaves was assigned to goes to her colleagues."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, false, func, insert, not_, or_, select, update

from casework.access import Access
from casework.act import Act, refusal
from casework.cases.past import EndReason, end_assignments
from casework.cases.schemas import Reassigned, Reassignment
from casework.cases.tables import assignment, case_file, case_team
from casework.errors import bad_field
from casework.facts import case_facts, facts_of_row, matches_any
from casework.identity.members import active_members, is_member
from casework.journal import Deed, Touched
from casework.organisations.teams import existing_teams
from policies.facts import CaseFacts
from policies.vocabulary import Action, Fact

# Cases in one transaction and one entry: it names each person, in about 85 bytes of its 65,535.
BATCH = 500


def reassign(act: Act, wanted: Reassignment) -> Reassigned:
    """Put `to` and `teams` in the place of `from_` on up to `BATCH` cases that the asker may assign.

    Whoever else is assigned stays. A case that is restricted, that the asker has a conflict with, or that one of
    `to` has declared a conflict with, is left: how many, the auditor alone is told, for it would betray a case that
    is hidden from the asker. What waits beyond the batch is moved by asking again.

    Raises:
        Forbidden: she does not assign cases but those that name her.
        BadInput: somebody unknown or no longer active, or nobody at all.

    """
    _require_allowed(act, wanted)
    found = _movable(act, wanted)
    # Lock first, in a statement of its own: what is read after it cannot be older than the lock.
    locking = select(case_file.c.id).where(*found).order_by(case_file.c.id).limit(BATCH)
    locked = act.unit.connection.execute(locking.with_for_update()).scalars().all()
    cases, policies = _decide(act, [*found, case_file.c.id.in_(locked)])
    act.unit.touched()
    if cases:
        _replace(act, cases, wanted)
    return _record(act, wanted, cases, policies)


def review_reassignment(act: Act, wanted: Reassignment) -> Reassigned:
    """For a replay: nothing is moved again, and what waits is counted anew."""
    _require_allowed(act, wanted)
    return _record(act, wanted, [], [])


def _require_allowed(act: Act, wanted: Reassignment) -> None:
    decision = act.decide_case(Action.CASE_ASSIGN, CaseFacts.of_an_ordinary_case())
    if not decision.allowed:
        raise refusal(Action.CASE_ASSIGN, decision, hidden=False)
    connection = act.unit.connection
    if not is_member(connection, act.org_id, wanted.from_):
        raise bad_field("from", "unknown_member")
    if not wanted.to and not wanted.teams:
        raise bad_field("to", "nobody_assigned")
    if wanted.from_ in wanted.to:
        raise bad_field("to", "same_member")
    if set(wanted.to) - active_members(connection, act.org_id, wanted.to):
        raise bad_field("to", "unknown_member")
    if set(wanted.teams) - existing_teams(connection, act.org_id, wanted.teams):
        raise bad_field("teams", "unknown_team")


def _assigned(act: Act, member: UUID) -> ColumnElement[bool]:
    return case_facts(member, act.unit.now)[Fact.MINE]


def _movable(act: Act, wanted: Reassignment) -> list[ColumnElement[bool]]:
    cubes = act.engine.list_filter(act.asker, Action.CASE_ASSIGN, act.context)
    closed = [case_facts(member, act.unit.now)[Fact.CONFLICT] for member in wanted.to]
    return [
        case_file.c.org_id == act.org_id,
        _assigned(act, wanted.from_),
        # Its named members alone give its keys, one case at a time.
        ~case_file.c.restricted,
        matches_any(cubes, case_facts(act.member_id, act.unit.now)),
        not_(or_(false(), *closed)),
    ]


def _decide(act: Act, conditions: Sequence[ColumnElement[bool]]) -> tuple[list[UUID], list[str]]:
    facts = case_facts(act.member_id, act.unit.now)
    rows = act.unit.connection.execute(
        select(case_file.c.id, case_file.c.status)
        .add_columns(*(expression.label(fact) for fact, expression in facts.items()))
        .where(*conditions)
    ).all()
    decided = [(row.id, act.decide_case(Action.CASE_ASSIGN, facts_of_row(row))) for row in rows]
    policies = {policy for _, decision in decided if decision.allowed for policy in decision.policies}
    return [case_id for case_id, decision in decided if decision.allowed], sorted(policies)


def _replace(act: Act, cases: Sequence[UUID], wanted: Reassignment) -> None:
    connection, org_id = act.unit.connection, act.org_id
    end_assignments(
        connection,
        assignment.c.org_id == org_id,
        assignment.c.case_id.in_(cases),
        assignment.c.member_id == wanted.from_,
        now=act.unit.now,
        reason=EndReason.REASSIGNED,
    )
    for table, column, values in (
        (assignment, assignment.c.member_id, wanted.to),
        (case_team, case_team.c.team_id, wanted.teams),
    ):
        query = select(table.c.case_id, column).where(table.c.org_id == org_id, table.c.case_id.in_(cases))
        there = {(case_id, value) for case_id, value in connection.execute(query)}
        missing = [
            {"org_id": org_id, "case_id": case_id, column.name: value, "since": act.unit.now}
            for case_id in cases
            for value in sorted(set(values))
            if (case_id, value) not in there
        ]
        if missing:
            connection.execute(insert(table), missing)
    connection.execute(
        update(case_file)
        .where(case_file.c.org_id == org_id, case_file.c.id.in_(cases))
        .values(version=case_file.c.version + 1)
    )


def _record(act: Act, wanted: Reassignment, cases: Sequence[UUID], policies: Sequence[str]) -> Reassigned:
    every = [case_file.c.org_id == act.org_id, _assigned(act, wanted.from_)]
    still, waiting = _count(act, every), _count(act, _movable(act, wanted))
    act.record(
        Deed(
            "case.reassign",
            touched=[Touched(person) for person in Access(act).pseudonyms_of(cases)],
            policies=policies,
            count=len(cases),
            detail={
                "from": str(wanted.from_),
                "to": [str(member) for member in wanted.to],
                "teams": [str(team) for team in wanted.teams],
                "left": still - waiting,
            },
        )
    )
    return Reassigned(moved=len(cases), waiting=waiting)


def _count(act: Act, conditions: Sequence[ColumnElement[bool]]) -> int:
    query = select(func.count()).select_from(case_file).where(*conditions)
    return int(act.unit.connection.execute(query).scalar_one())
