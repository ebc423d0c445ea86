"""The gateway's statements: a case with its facts and sealed groups, and pages of the cases that may be listed."""

from collections.abc import Sequence
from functools import cache

from sqlalchemy import ColumnElement, Integer, and_, bindparam, func, select

from casework.cases.tables import case_file, case_group
from casework.column_types import Id
from casework.facts import MEMBER, NOW, case_facts, matches_any
from casework.statements import HotStatement
from policies.filters import Cube
from policies.vocabulary import Group

# A count says "1,000 or more" beyond this: an exact one costs and tells too much.
COUNT_CAP = 1_000

_ORG = bindparam("org", type_=Id)
_CASE = bindparam("case", type_=Id)
_FACTS = case_facts(MEMBER, NOW)
_FACT_COLUMNS = [expression.label(fact) for fact, expression in _FACTS.items()]

# LIMIT keeps the facts of the one row from being computed again for each of its groups.
_CASE_ROW = (
    select(
        case_file.c.id.label("case_id"),
        case_file.c.status,
        case_file.c.version.label("case_version"),
        case_file.c.pseudonym_part,
        *_FACT_COLUMNS,
    )
    .where(case_file.c.org_id == _ORG, case_file.c.id == _CASE)
    .limit(1)
    .subquery()
)

# Values: org, case, member, now. A row for each group of the case; none where the case is not there.
LOAD = HotStatement(
    select(
        *(column for column in _CASE_ROW.c if column.key != "case_id"),
        case_group.c.id,
        case_group.c.compartment,
        case_group.c.dek,
        case_group.c.dek_generation,
        case_group.c.half,
        case_group.c.version,
        case_group.c.frame,
        case_group.c.legal_name,
        case_group.c.related,
        case_group.c.arrival,
    ).join_from(
        _CASE_ROW, case_group, and_(case_group.c.org_id == _ORG, case_group.c.case_id == _CASE_ROW.c.case_id)
    )
)

# Values as LOAD: what the policies ask, and nothing else of the case.
FACTS = HotStatement(
    select(case_file.c.status, *_FACT_COLUMNS).where(case_file.c.org_id == _ORG, case_file.c.id == _CASE)
)

# Values: org, case. A statement of its own: what is read after it cannot be older than the lock.
LOCK = HotStatement(
    select(case_file.c.id).where(case_file.c.org_id == _ORG, case_file.c.id == _CASE).with_for_update()
)


@cache
def page_of(cubes: Sequence[Cube], *, by_status: bool, continued: bool) -> HotStatement:
    """The newest listable cases with their identity group. Values: org, member, now, limit, [status], [after]."""
    conditions = _listable(cubes, by_status=by_status)
    if continued:
        conditions.append(case_file.c.id < bindparam("after", type_=Id))
    # LIMIT before joining the keys: else every listed case's are fetched.
    page = (
        select(case_file.c.id, case_file.c.status, case_file.c.pseudonym_part, *_FACT_COLUMNS)
        .where(*conditions)
        .order_by(case_file.c.id.desc())
        .limit(bindparam("limit", type_=Integer))
        .subquery()
    )
    return HotStatement(
        select(
            *page.c,
            case_group.c.id.label("row"),
            case_group.c.dek,
            case_group.c.dek_generation,
            case_group.c.half,
            case_group.c.frame,
            case_group.c.version,
        )
        .join_from(
            page,
            case_group,
            and_(
                case_group.c.org_id == _ORG,
                case_group.c.case_id == page.c.id,
                case_group.c.compartment == Group.IDENTITY,
            ),
        )
        .order_by(page.c.id.desc())
    )


@cache
def count_of(cubes: Sequence[Cube], *, by_status: bool) -> HotStatement:
    """How many cases may be listed, counted to one beyond the cap. Values: org, member, now, [status]."""
    capped = select(case_file.c.id).where(*_listable(cubes, by_status=by_status)).limit(COUNT_CAP + 1)
    return HotStatement(select(func.count().label("found")).select_from(capped.subquery()))


def _listable(cubes: Sequence[Cube], *, by_status: bool) -> list[ColumnElement[bool]]:
    conditions = [case_file.c.org_id == _ORG, matches_any(cubes, _FACTS)]
    if by_status:
        conditions.append(case_file.c.status == bindparam("status", type_=case_file.c.status.type))
    return conditions
