"""The statements of the timeline and of a new note: what every opening and every save runs."""

from functools import cache
from typing import Any

from sqlalchemy import Integer, Table, and_, bindparam, insert, or_, select

from casework.column_types import Id, Moment
from casework.follow_ups.tables import follow_up, follow_up_frame
from casework.statements import HotStatement

_ORG = bindparam("org", type_=Id)
_NEWER = follow_up.alias("newer")

# The follow-ups of a case in their latest versions.
LATEST = select(follow_up).where(
    follow_up.c.org_id == _ORG,
    follow_up.c.case_id == bindparam("case", type_=Id),
    ~select(_NEWER.c.id)
    .where(
        _NEWER.c.org_id == follow_up.c.org_id,
        _NEWER.c.id == follow_up.c.id,
        _NEWER.c.version > follow_up.c.version,
    )
    .exists(),
)


def _page(query: Any) -> HotStatement:
    newest_first = query.order_by(follow_up.c.occurred_at.desc(), follow_up.c.id.desc())
    return HotStatement(newest_first.limit(bindparam("limit", type_=Integer)))


# Values: org, case, limit; and of the page that goes on, moment and last.
FIRST_PAGE = _page(LATEST)
NEXT_PAGE = _page(
    LATEST.where(
        or_(
            follow_up.c.occurred_at < bindparam("moment", type_=Moment),
            and_(
                follow_up.c.occurred_at == bindparam("moment", type_=Moment),
                follow_up.c.id < bindparam("last", type_=Id),
            ),
        )
    )
)


@cache
def frames_of(count: int) -> HotStatement:
    """Every frame of so many follow-ups, of every version. Values: org, id0, id1, …"""
    wanted = [bindparam(f"id{number}", type_=Id) for number in range(count)]
    return HotStatement(
        select(follow_up_frame).where(
            follow_up_frame.c.org_id == _ORG, follow_up_frame.c.follow_up_id.in_(wanted)
        )
    )


def _insert(table: Table) -> HotStatement:
    """A row of the table. Values: its columns."""
    return HotStatement(insert(table).values({column.name: bindparam(column.name) for column in table.c}))


INSERT = _insert(follow_up)
INSERT_FRAME = _insert(follow_up_frame)
