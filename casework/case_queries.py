"""The gateway's statements: a case with its facts and sealed groups, and pages of the cases that may be listed."""

from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Select,
    and_,
    bindparam,
    false,
    func,
    join,
    literal_column,
    select,
    union,
)

from casework.cases.tables import case_file, case_group
from casework.column_types import Id
from casework.facts import MEMBER, NOW, case_facts, newest_of
from casework.statements import HotStatement
from policies.filters import Cube
from policies.vocabulary import Group

# A count says "1,000 or more" beyond this: an exact one costs and tells too much.
COUNT_CAP = 1_000
# Of how many rows a page is read: one more than what is usually asked for, and one more than the most.
_PAGE_SIZES = (51, 101)

_ORG = bindparam("org", type_=Id)
_CASE = bindparam("case", type_=Id)
_FACTS = case_facts(MEMBER, NOW)
_FACT_COLUMNS = [expression.label(fact) for fact, expression in _FACTS.items()]
_FEW_FACT_COLUMNS = [
    expression.label(fact) for fact, expression in case_facts(MEMBER, NOW, few_rows=True).items()
]

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
        case_group.c.compared,
        case_group.c.arrival,
    ).join_from(
        _CASE_ROW, case_group, and_(case_group.c.org_id == _ORG, case_group.c.case_id == _CASE_ROW.c.case_id)
    )
)

# Values as LOAD: what the policies ask, and nothing else of the case.
FACTS = HotStatement(
    select(case_file.c.status, *_FACT_COLUMNS).where(case_file.c.org_id == _ORG, case_file.c.id == _CASE)
)

# Values: org, case. A statement of its own: what is read after it cannot be older than the lock. It lets rows be
# written that refer to the case: a declared conflict's, by who holds what whoever changes the case may wait for.
LOCK = HotStatement(
    select(case_file.c.id)
    .where(case_file.c.org_id == _ORG, case_file.c.id == _CASE)
    .with_for_update(key_share=True)
)


def page(connection: Connection, cubes: tuple[Cube, ...], limit: int, values: Mapping[str, Any]) -> list[Any]:
    """The newest `limit` cases in the cubes, at most 101, with their facts and identity group.

    Values: org, member, now; status, and after which id, or None.
    """
    size = next(size for size in _PAGE_SIZES if size >= limit)
    by_status, continued = values["status"] is not None, values["after"] is not None
    statement = _page_of(cubes, connection.dialect.name, size, by_status=by_status, continued=continued)
    return statement.rows(connection, values)[:limit]


def count(connection: Connection, cubes: tuple[Cube, ...], values: Mapping[str, Any]) -> int:
    """How many cases are in the cubes, counted to one beyond the cap. Values: org, member, now; status or None."""
    statement = _count_of(cubes, connection.dialect.name, by_status=values["status"] is not None)
    [counted] = statement.rows(connection, values)
    return int(counted.found)


@cache
def _page_of(
    cubes: tuple[Cube, ...], dialect: str, size: int, *, by_status: bool, continued: bool
) -> HotStatement:
    # The size stands in the text: with a value for it PostgreSQL would plan the statement anew each time, which
    # takes longer than to run it.
    # LIMIT before facts and keys: else every listed case's are fetched.
    newest = _newest(cubes, dialect, size, by_status=by_status, continued=continued).subquery()
    page_ids = select(newest.c.id).order_by(newest.c.id.desc()).limit(literal_column(str(size))).subquery()
    its_case = and_(case_file.c.org_id == _ORG, case_file.c.id == page_ids.c.id)
    its_identity = and_(
        case_group.c.org_id == _ORG,
        case_group.c.case_id == page_ids.c.id,
        case_group.c.compartment == literal_column(f"'{Group.IDENTITY}'"),
    )
    return HotStatement(
        select(
            case_file.c.id,
            case_file.c.status,
            case_file.c.pseudonym_part,
            *_FEW_FACT_COLUMNS,
            case_group.c.id.label("row"),
            case_group.c.dek,
            case_group.c.dek_generation,
            case_group.c.half,
            case_group.c.frame,
            case_group.c.version,
            case_group.c.compared,
        )
        .select_from(join(join(page_ids, case_file, its_case), case_group, its_identity))
        .order_by(page_ids.c.id.desc())
    )


@cache
def _count_of(cubes: tuple[Cube, ...], dialect: str, *, by_status: bool) -> HotStatement:
    found = _newest(cubes, dialect, COUNT_CAP + 1, by_status=by_status, continued=False)
    capped = select(found.subquery().c.id).limit(literal_column(str(COUNT_CAP + 1)))
    return HotStatement(select(func.count().label("found")).select_from(capped.subquery()))


def _newest(
    cubes: tuple[Cube, ...], dialect: str, limit: int, *, by_status: bool, continued: bool
) -> Select[UUID] | CompoundSelect[UUID]:
    """A branch for each cube, with a LIMIT of its own; together they hold the newest of all, each once."""
    further = [case_file.c.status == bindparam("status", type_=case_file.c.status.type)] if by_status else []
    before = bindparam("after", type_=Id) if continued else None
    branches = [
        newest_of(cube, _ORG, further, before, literal_column(str(limit)), by_team=dialect == "postgresql")
        for cube in cubes
    ]
    if not branches:
        return select(case_file.c.id).where(false())
    # In parentheses on both engines: each branch has its own order and limit.
    return union(*(select(branch.subquery().c.id) for branch in branches))
