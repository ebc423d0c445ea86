"""What a reviewer asks of a log: accesses that nothing explains, and entries of some actions or persons.

Each question is a few statements over whole sets, whatever the size of the log; what the log cannot know (who was
near whom) its caller gives as spans. Times are microseconds since the epoch. No entry's bytes are read until it is
shown. Spans and accesses meet here and not in SQL, whose plan would be another on each engine.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, CursorResult, Row, Select, and_, exists, func, select

from audit import tables
from audit.entry import Entry, Outcome
from audit.log import Integrated

ALWAYS: Final = 2**62
DAY: Final = 86_400_000_000
_entry, _subject = tables.entry, tables.subject


@dataclass(frozen=True, slots=True)
class Span:
    """From when until when whatever a member reads of a person is explained; both moments are within it."""

    subject: bytes
    actor: str
    since: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deeds:
    """Allowed entries that explain what is read of the same person from `before` them until `after` them.

    `actors` are the members whose reading is explained; None: every member's. `by_herself`: a member's own deeds
    explain her reading; else it is anybody's.
    """

    actions: frozenset[str]
    before: int
    after: int
    by_herself: bool
    actors: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """since ≤ time < until."""

    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Spot:
    """An entry that a reviewer should look at; how many like it stand behind it, and when the last of them was."""

    index: int
    entry_id: str
    time: int
    actor: str | None
    times: int
    last: int


def unexplained(
    connection: Connection,
    log: bytes,
    period: Period,
    accesses: frozenset[str],
    spans: Iterable[Span],
    deeds: Sequence[Deeds],
) -> list[Spot]:
    """The accesses of a period that no span and no deed explains, newest first.

    One spot for what one member read of one person on one day (UTC): its first entry, and how many there are. What
    several members of one entry's persons leave unexplained is one spot as well.
    """
    explained = _explained(connection, log, period, spans, deeds)
    left = []
    for row in _about_persons(connection, log, period, accesses):
        person = bytes(row.pseudonym)
        if not any(row.time in explained[near] for near in ((person, row.actor), (person, None))):
            left.append(row)
    return _one_a_day(left)


def read_during(
    connection: Connection,
    log: bytes,
    period: Period,
    accesses: frozenset[str],
    stretches: Mapping[bytes, Collection[Period]],
) -> list[Spot]:
    """The accesses of a period to these persons, each during stretches of her own, newest first.

    One spot as in `unexplained`.
    """
    if not stretches:
        return []
    # All are read, and not looked up by person: SQLite would try each of them for each entry.
    rows = _about_persons(connection, log, period, accesses)
    return _one_a_day(row for row in rows if _is_during(row, stretches))


def deeds_to(
    connection: Connection, log: bytes, until: int, actions: frozenset[str]
) -> dict[bytes, list[tuple[int, str]]]:
    """Of each person, when members did something of these actions before `until`: (time, action), in its order."""
    done: dict[bytes, list[tuple[int, str]]] = defaultdict(list)
    for row in _about_persons(connection, log, Period(since=0, until=until), actions):
        done[bytes(row.pseudonym)].append((row.time, row.action))
    return done


def _one_a_day(rows: Iterable[Row[Any]]) -> list[Spot]:
    """A spot for what one member read of one person on one day; of what is of one entry, one."""
    days: dict[tuple[str, bytes, int], list[Row[Any]]] = defaultdict(list)
    for row in rows:
        days[row.actor, bytes(row.pseudonym), row.time // DAY].append(row)
    found: dict[int, Spot] = {}
    for of_day in days.values():
        first, last = of_day[0], max(row.time for row in of_day)
        known = found.get(first.idx)
        times, last = (
            (len(of_day), last) if known is None else (max(known.times, len(of_day)), max(known.last, last))
        )
        found[first.idx] = Spot(first.idx, first.entry_id, first.time, first.actor, times, last)
    return [found[index] for index in sorted(found, reverse=True)]


def spots(
    connection: Connection,
    log: bytes,
    period: Period,
    actions: Collection[str] | None,
    *,
    outcome: Outcome = Outcome.ALLOWED,
    subjects: Collection[bytes] | None = None,
) -> list[Spot]:
    """The entries of a period with one of these actions (None: any), about one of these persons, newest first."""
    wanted = [*_of(log, period), _entry.c.outcome == outcome]
    if actions is not None:
        wanted.append(_entry.c.action.in_(sorted(actions)))
    if subjects is not None:
        about = (_subject.c.log == _entry.c.log, _subject.c.idx == _entry.c.idx)
        wanted.append(exists().where(*about, _subject.c.pseudonym.in_(sorted(subjects))))
    rows = connection.execute(
        select(_entry.c.idx, _entry.c.entry_id, _entry.c.time, _entry.c.actor)
        .where(*wanted)
        .order_by(_entry.c.idx.desc())
    ).all()
    return [Spot(row.idx, row.entry_id, row.time, row.actor, 1, row.time) for row in rows]


def persons_by_actor(
    connection: Connection, log: bytes, period: Period, actions: Collection[str]
) -> dict[str, int]:
    """Of how many persons each member did something of these actions in a period."""
    about = and_(_subject.c.log == _entry.c.log, _subject.c.idx == _entry.c.idx)
    query = (
        select(_entry.c.actor, func.count(_subject.c.pseudonym.distinct()))
        .join_from(_entry, _subject, about)
        .where(*_of(log, period), _entry.c.action.in_(sorted(actions)), _entry.c.outcome == Outcome.ALLOWED)
    )
    return _by_actor(connection, query)


def entries_by_actor(connection: Connection, log: bytes, period: Period, outcome: Outcome) -> dict[str, int]:
    """How many entries of this outcome each member has in a period."""
    query = select(_entry.c.actor, func.count()).where(*_of(log, period), _entry.c.outcome == outcome)
    return _by_actor(connection, query)


def _by_actor(connection: Connection, query: Select[Any]) -> dict[str, int]:
    rows = connection.execute(query.where(_entry.c.actor.is_not(None)).group_by(_entry.c.actor)).all()
    return {str(actor): int(count) for actor, count in rows}


def shown(connection: Connection, log: bytes, indexes: Collection[int]) -> dict[int, Integrated]:
    """These entries, by their index; what was pruned is not there."""
    rows = connection.execute(
        select(_entry.c.idx, _entry.c.bytes).where(_entry.c.log == log, _entry.c.idx.in_(sorted(indexes)))
    ).all()
    return {index: Integrated(index, Entry.from_bytes(raw), raw) for index, raw in rows}


class _Times:
    """Moments, as spans that were put in; asked once they all are."""

    def __init__(self) -> None:
        self._put: list[tuple[int, int]] = []
        self._starts: list[int] | None = None
        self._ends: list[int] = []

    def put(self, since: int, until: int) -> None:
        self._put.append((since, until))

    def __contains__(self, moment: int) -> bool:
        if self._starts is None:
            self._starts = []
            for since, until in sorted(self._put):
                self._starts.append(since)
                self._ends.append(max(until, self._ends[-1]) if self._ends else until)
        before = bisect_right(self._starts, moment)
        return before > 0 and moment <= self._ends[before - 1]


def _explained(
    connection: Connection, log: bytes, period: Period, spans: Iterable[Span], deeds: Sequence[Deeds]
) -> defaultdict[tuple[bytes, str | None], _Times]:
    """When what is read of a person is explained: by (person, member), and by (person, None) for whoever reads."""
    explained: defaultdict[tuple[bytes, str | None], _Times] = defaultdict(_Times)
    for span in spans:
        explained[span.subject, span.actor].put(span.since, span.until)
    for deed in deeds:
        around = Period(since=period.since - deed.after, until=period.until + deed.before)
        for row in _about_persons(connection, log, around, deed.actions):
            if deed.by_herself:
                is_hers = deed.actors is None or row.actor in deed.actors
                readers: Collection[str | None] = [row.actor] if is_hers else []
            else:
                readers = [None] if deed.actors is None else deed.actors
            for reader in readers:
                near = explained[bytes(row.pseudonym), reader]
                near.put(row.time - deed.before, row.time + deed.after)
    return explained


def _about_persons(
    connection: Connection, log: bytes, period: Period, actions: frozenset[str]
) -> Iterator[Row[Any]]:
    """(idx, entry_id, time, action, actor, pseudonym) of what members did with persons, by index."""
    about = and_(_subject.c.log == _entry.c.log, _subject.c.idx == _entry.c.idx)
    query = (
        select(
            *(_entry.c[name] for name in ("idx", "entry_id", "time", "action", "actor")), _subject.c.pseudonym
        )
        .join_from(_entry, _subject, about)
        .where(
            *_of(log, period),
            _entry.c.action.in_(sorted(actions)),
            _entry.c.outcome == Outcome.ALLOWED,
            _entry.c.actor.is_not(None),
        )
        .order_by(_entry.c.idx)
    )
    rows: CursorResult[Any] = connection.execute(query)
    yield from rows


def _of(log: bytes, period: Period) -> list[ColumnElement[bool]]:
    return [_entry.c.log == log, _entry.c.time >= period.since, _entry.c.time < period.until]


def _is_during(row: Row[Any], stretches: Mapping[bytes, Collection[Period]]) -> bool:
    hers = stretches.get(bytes(row.pseudonym), ())
    return any(stretch.since <= row.time < stretch.until for stretch in hers)
