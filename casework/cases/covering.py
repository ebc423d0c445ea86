"""Cases to be covered: whoever is assigned to them is on leave, or has left."""

from uuid import UUID

from sqlalchemy import exists, select

from casework.access import Access
from casework.act import Act
from casework.cases.schemas import AbsentMember, CasesToCover, CaseToCover
from casework.cases.tables import assignment, case_file
from casework.facts import case_facts, matches_any
from casework.identity.absence import absent_members
from casework.journal import Deed, Touched
from policies.vocabulary import Action, Status

# Cases in one answer and one entry: it names each person.
PAGE = 200


def list_to_cover(act: Act, after: UUID | None) -> CasesToCover:
    """The open cases that the asker may assign, that absent members are assigned to and nobody else; newest first.

    Raises:
        Forbidden: she assigns no case that there can be.

    """
    act.require_in_some_case(Action.CASE_ASSIGN)
    absent = absent_members(act.unit.connection, act.org_id, act.unit.now)
    of_case = (assignment.c.org_id == case_file.c.org_id, assignment.c.case_id == case_file.c.id)
    cubes = act.engine.list_filter(act.asker, Action.CASE_ASSIGN, act.context)
    conditions = [
        case_file.c.org_id == act.org_id,
        case_file.c.status == Status.OPEN,
        exists().where(*of_case, assignment.c.member_id.in_(absent)),
        ~exists().where(*of_case, assignment.c.member_id.not_in(absent)),
        matches_any(cubes, case_facts(act.member_id, act.unit.now)),
    ]
    if after is not None:
        conditions.append(case_file.c.id < after)
    query = select(case_file.c.id).where(*conditions).order_by(case_file.c.id.desc()).limit(PAGE + 1)
    found = list(act.unit.connection.execute(query).scalars())
    cases = found[:PAGE]
    assigned: dict[UUID, list[AbsentMember]] = {case: [] for case in cases}
    for row in act.unit.connection.execute(
        select(assignment.c.case_id, assignment.c.member_id)
        .where(
            assignment.c.org_id == act.org_id,
            assignment.c.case_id.in_(cases),
            # On PostgreSQL somebody who is there may have been assigned between the two statements.
            assignment.c.member_id.in_(absent),
        )
        .order_by(assignment.c.member_id)
    ):
        assigned[row.case_id].append(AbsentMember(row.member_id, absent[row.member_id]))
    act.unit.touched()
    persons = [Touched(person) for person in Access(act).pseudonyms_of(cases)]
    act.record(Deed("case.to_cover", touched=persons, count=len(cases)))
    items = [CaseToCover(case, members) for case, members in assigned.items()]
    return CasesToCover(items, cases[-1] if len(found) > PAGE else None)
