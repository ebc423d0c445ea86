"""How much each member does, counted by the database: one aggregate over a period, whatever the size of the log.

A tally is of one member and one stretch of time (a day or an hour of UTC). Its first entry stands for it.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, and_, case, func, literal, or_, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from audit import tables
from audit.entry import Outcome
from audit.review import DAY, Period, Spot

HOUR: Final = DAY // 24
# Indexes of one statement.
_AT_ONCE: Final = 500
_entry, _subject = tables.entry, tables.subject
_Columns: TypeAlias = ReadOnlyColumnCollection[str, Any]


@dataclass(frozen=True, slots=True)
class Tally:
    """`begins` and `last` in microseconds since the epoch; `index` of the first entry that was counted."""

    actor: str
    begins: int
    count: int
    index: int
    last: int


def persons_by_day(
    connection: Connection, log: bytes, period: Period, actions: Collection[str]
) -> list[Tally]:
    """Of how many persons each member did something of these actions on each day."""
    about = and_(_subject.c.log == _entry.c.log, _subject.c.idx == _entry.c.idx)
    persons = func.count(_subject.c.pseudonym.distinct())
    query = _tallied(_entry.c, DAY, persons).join_from(_entry, _subject, about)
    return _tallies(connection, query.where(*_allowed(log, period, actions)), DAY)


def entries_by_hour(
    connection: Connection, log: bytes, period: Period, actions: Collection[str]
) -> list[Tally]:
    """How many entries of these actions each member has in each hour."""
    query = _tallied(_entry.c, HOUR, func.count()).where(*_allowed(log, period, actions))
    return _tallies(connection, query, HOUR)


def vain_by_day(
    connection: Connection, log: bytes, period: Period, searches: str, accesses: Collection[str], within: int
) -> list[Tally]:
    """How often on each day each member searched, and accessed nothing within so many microseconds after."""
    around = Period(since=period.since, until=period.until + within)
    # The next access after each entry of hers, without asking for it search by search. Backwards: PostgreSQL would
    # look through all that follows, anew for each entry.
    access = case((_entry.c.action.in_(sorted(accesses)), _entry.c.time))
    backwards = (_entry.c.time.desc(), _entry.c.idx.desc())
    following = func.min(access).over(partition_by=_entry.c.actor, order_by=backwards, rows=(None, 0))
    seen = (
        select(_entry.c.actor, _entry.c.action, _entry.c.time, _entry.c.idx, following.label("following"))
        .where(*_allowed(log, around, {searches, *accesses}))
        .subquery()
    )
    columns = seen.c
    query = _tallied(columns, DAY, func.count()).where(
        columns.action == searches,
        columns.time < period.until,
        or_(columns.following.is_(None), columns.following > columns.time + within),
    )
    return _tallies(connection, query, DAY)


def as_spots(connection: Connection, log: bytes, period: Period, tallies: Collection[Tally]) -> list[Spot]:
    """Those whose first entry is of the period, newest first."""
    indexes = sorted(tally.index for tally in tallies)
    first = dict(_first_entries(connection, log, indexes))
    found = [
        Spot(tally.index, *first[tally.index], tally.actor, tally.count, tally.last) for tally in tallies
    ]
    in_period = [spot for spot in found if period.since <= spot.time < period.until]
    return sorted(in_period, key=_place, reverse=True)


def _tallied(columns: _Columns, stretch: int, count: ColumnElement[int]) -> Select[Any]:
    # In the text of the statement: PostgreSQL would take two parameters for two expressions.
    at = columns.time // literal(stretch, BigInteger, literal_execute=True)
    return select(
        columns.actor, at.label("at"), count.label("count"), func.min(columns.idx), func.max(columns.time)
    ).group_by(columns.actor, at)


def _allowed(log: bytes, period: Period, actions: Collection[str]) -> list[ColumnElement[bool]]:
    return [
        _entry.c.log == log,
        _entry.c.time >= period.since,
        _entry.c.time < period.until,
        _entry.c.action.in_(sorted(actions)),
        _entry.c.outcome == Outcome.ALLOWED,
        _entry.c.actor.is_not(None),
    ]


def _tallies(connection: Connection, query: Select[Any], stretch: int) -> list[Tally]:
    rows = connection.execute(query).all()
    return [Tally(actor, int(at) * stretch, int(count), idx, last) for actor, at, count, idx, last in rows]


def _first_entries(
    connection: Connection, log: bytes, indexes: Sequence[int]
) -> Iterator[tuple[int, tuple[str, int]]]:
    for first in range(0, len(indexes), _AT_ONCE):
        query = select(_entry.c.idx, _entry.c.entry_id, _entry.c.time).where(
            _entry.c.log == log, _entry.c.idx.in_(indexes[first : first + _AT_ONCE])
        )
        for row in connection.execute(query):
            yield row.idx, (row.entry_id, row.time)


def _place(spot: Spot) -> int:
    return spot.index
