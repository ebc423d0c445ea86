"""What is to be reviewed: accesses that nothing explains, emergencies, and what stands out; each a list of entries.

A list is found whole, as indexes; what a page shows of it is read then.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from audit.entry import Outcome
from audit.review import DAY, Period, Spot, shown, spots, unexplained
from audit.standing_out import runs, sampled
from casework.act import Act
from casework.audit_review.closed import read_once_closed
from casework.audit_review.explaining import deeds_of, every_person, explanations, spans_of
from casework.audit_review.ledger import ACTION as LEDGER
from casework.audit_review.out_of_hours import read_out_of_hours
from casework.audit_review.reviewing import is_settled, reviews_since, view_reviews
from casework.audit_review.schemas import Coverage, Covered, Finding, FindingPage, Kind, State
from casework.audit_review.service import may_open_details, view_entries
from casework.audit_review.untaken import sent_and_untaken
from casework.audit_review.volumes import read_beyond_peers, searched_beyond_peers
from casework.audit_review.withdrawn import read_after_withdrawal
from casework.clock import microseconds
from casework.journal import Deed
from casework.organisations.founding import organisation_name
from policies.vocabulary import Action

# An emergency access is reviewed within three days.
EMERGENCY_DUE: Final = timedelta(hours=72)
EMERGENCY: Final = frozenset({Action.CASE_BREAK_GLASS.value})
# What leaves the service as a file or on paper: the journal, a person's ledger, a copy of her case.
EXPORTS: Final = frozenset(
    {"journal.export", LEDGER, Action.CASE_EXPORT_PREPARE.value, Action.CASE_EXPORT_APPROVE.value}
)
# Of each calendar month so many readings are looked at whatever they are.
SAMPLE: Final = 20
# So many denials of one member, none later than that after the one before, are a run.
DENIALS, DENIALS_WITHIN = 5, timedelta(minutes=10)
_USUAL: Final = timedelta(days=31)
# What waits for somebody does not fall off its list because it has waited long.
_FROM_THE_BEGINNING: Final = frozenset({Kind.EMERGENCIES, Kind.UNTAKEN})
_MICROSECOND: Final = timedelta(microseconds=1)
# No entry is older, and none is ever later.
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Asked:
    """A list, over since ≤ time < until.

    Without `since`: the 31 days before its end; every emergency and every handoff that nobody took; the samples
    of the month before. Without `until`: to now.
    """

    kind: Kind
    since: datetime | None = None
    until: datetime | None = None
    state: State | None = None

    def begins(self, now: datetime) -> datetime:
        if self.since is not None:
            return _counted(self.since)
        if self.kind in _FROM_THE_BEGINNING:
            return _EPOCH
        until = self._ends(now)
        return _month(_month(until) - timedelta(days=1)) if self.kind is Kind.SAMPLES else until - _USUAL

    def period(self, now: datetime) -> Period:
        return Period(since=microseconds(self.begins(now)), until=microseconds(self._ends(now)))

    def _ends(self, now: datetime) -> datetime:
        return _counted(self.until) if self.until is not None else now


def list_findings(act: Act, asked: Asked, cursor: int | None, limit: int) -> FindingPage:
    """A page of one of the lists, newest first. Reading it is itself an entry.

    Raises:
        Forbidden: the policies do not let her read the journal.

    """
    decision = act.require_org(Action.JOURNAL_READ)
    persons = every_person(act)
    found = _FIND[asked.kind](act, asked.period(act.unit.now), persons)
    reviews = reviews_since(act, asked.begins(act.unit.now))
    wanted = [spot for spot in found if _is_in(act, asked, spot, reviews)]
    page = [spot for spot in wanted if cursor is None or spot.index < cursor]
    act.record(
        Deed(
            "journal.read",
            policies=decision.policies,
            count=len(page[:limit]),
            detail={"list": asked.kind, "state": asked.state, "from": asked.since, "to": asked.until},
        )
    )
    return FindingPage(
        items=_views(act, asked.kind, page[:limit], reviews, persons),
        next=str(page[limit - 1].index) if len(page) > limit else None,
        count=len(wanted),
    )


def count_coverage(act: Act, since: datetime | None, until: datetime | None) -> Coverage:
    """Of each list, how much there is, how much of it is settled, and how much should be. Reading it is an entry.

    Raises:
        Forbidden: the policies do not let her read the journal.

    """
    decision = act.require_org(Action.JOURNAL_READ)
    persons = every_person(act)
    items = [_covered(act, Asked(kind, since, until), persons) for kind in Kind]
    act.record(
        Deed(
            "journal.read",
            policies=decision.policies,
            count=len(items),
            detail={"list": "coverage", "from": since, "to": until},
        )
    )
    return Coverage(items)


def _covered(act: Act, asked: Asked, persons: dict[UUID, bytes]) -> Covered:
    found = _FIND[asked.kind](act, asked.period(act.unit.now), persons)
    reviews = reviews_since(act, asked.begins(act.unit.now))
    settled = [spot for spot in found if _is_settled(spot, reviews)]
    overdue = overdue_emergencies(found, reviews, act.unit.now) if asked.kind is Kind.EMERGENCIES else []
    return Covered(asked.kind, found=len(found), reviewed=len(settled), overdue=len(overdue))


def overdue_emergencies(
    found: Sequence[Spot], reviews: Mapping[UUID, Sequence[Row[Any]]], now: datetime
) -> list[Spot]:
    """Those whose review should be there."""
    return [spot for spot in found if _due_at(spot) <= now and not _is_settled(spot, reviews)]


def _unexplained(act: Act, period: Period, persons: dict[UUID, bytes]) -> list[Spot]:
    return unexplained(
        act.unit.connection,
        act.org_id.bytes,
        period,
        explanations().accesses,
        spans_of(act, persons),
        deeds_of(act),
    )


def _emergencies(act: Act, period: Period, _persons: dict[UUID, bytes]) -> list[Spot]:
    return spots(act.unit.connection, act.org_id.bytes, period, EMERGENCY)


def _samples(act: Act, period: Period, _persons: dict[UUID, bytes]) -> list[Spot]:
    """Of months that are over alone: a sample that still changes could not be worked off."""
    whole = Period(
        since=microseconds(_month(_EPOCH + timedelta(microseconds=period.since))),
        until=min(microseconds(_month(act.unit.now)), period.until + 31 * DAY),
    )
    readings = spots(act.unit.connection, act.org_id.bytes, whole, explanations().accesses)
    drawn = sampled(readings, act.org_id.bytes, SAMPLE)
    return [spot for spot in drawn if period.since <= spot.time < period.until]


def _denials(act: Act, period: Period, _persons: dict[UUID, bytes]) -> list[Spot]:
    denied = spots(act.unit.connection, act.org_id.bytes, period, None, outcome=Outcome.DENIED)
    return runs(denied, DENIALS, DENIALS_WITHIN // _MICROSECOND)


def _withdrawals(act: Act, period: Period, _persons: dict[UUID, bytes]) -> list[Spot]:
    return read_after_withdrawal(act, period)


def _volumes(act: Act, period: Period, _persons: dict[UUID, bytes]) -> list[Spot]:
    return read_beyond_peers(act, period)


def _searches(act: Act, period: Period, _persons: dict[UUID, bytes]) -> list[Spot]:
    return searched_beyond_peers(act, period)


def _exports(act: Act, period: Period, _persons: dict[UUID, bytes]) -> list[Spot]:
    return spots(act.unit.connection, act.org_id.bytes, period, EXPORTS)


def _untaken(act: Act, period: Period, _persons: dict[UUID, bytes]) -> list[Spot]:
    return sent_and_untaken(act, period)


def _hours(act: Act, period: Period, _persons: dict[UUID, bytes]) -> list[Spot]:
    return read_out_of_hours(act, period)


_FIND: Final[Mapping[Kind, Callable[[Act, Period, dict[UUID, bytes]], list[Spot]]]] = {
    Kind.UNEXPLAINED: _unexplained,
    Kind.EMERGENCIES: _emergencies,
    Kind.SAMPLES: _samples,
    Kind.DENIALS: _denials,
    Kind.WITHDRAWALS: _withdrawals,
    Kind.VOLUMES: _volumes,
    Kind.SEARCHES: _searches,
    Kind.EXPORTS: _exports,
    Kind.UNTAKEN: _untaken,
    Kind.CLOSED: read_once_closed,
    Kind.HOURS: _hours,
}


def _is_in(act: Act, asked: Asked, spot: Spot, reviews: Mapping[UUID, Sequence[Row[Any]]]) -> bool:
    if asked.state is None:
        return True
    settled = _is_settled(spot, reviews)
    if asked.state is State.OVERDUE:
        due_at = _due_at(spot) if asked.kind is Kind.EMERGENCIES else None
        return not settled and due_at is not None and due_at <= act.unit.now
    return settled is (asked.state is State.SETTLED)


def _is_settled(spot: Spot, reviews: Mapping[UUID, Sequence[Row[Any]]]) -> bool:
    """Whether a review settles all of it: what was read later on the same day nobody has looked at."""
    since = [
        review
        for review in reviews.get(UUID(spot.entry_id), ())
        if microseconds(review.reviewed_at) >= spot.last
    ]
    return is_settled(since)


def _views(
    act: Act,
    kind: Kind,
    page: Sequence[Spot],
    reviews: Mapping[UUID, Sequence[Row[Any]]],
    persons: Mapping[UUID, bytes],
) -> list[Finding]:
    opens, name = may_open_details(act), organisation_name(act.unit.connection, act.org_id)
    read = shown(act.unit.connection, act.org_id.bytes, [spot.index for spot in page])
    cases = {person.hex(): case_id for case_id, person in persons.items()}
    entries = view_entries(act, name, [read[spot.index] for spot in page], opens_details=opens)
    items = []
    for spot, entry in zip(page, entries, strict=True):
        subjects = read[spot.index].entry.subjects
        items.append(
            Finding(
                entry=entry,
                case_id=cases.get(subjects[0].p) if len(subjects) == 1 else None,
                times=spot.times,
                due_at=_due_at(spot) if kind is Kind.EMERGENCIES else None,
                reviews=view_reviews(act, reviews.get(UUID(spot.entry_id), ()), opens_notes=opens),
            )
        )
    return items


def _due_at(spot: Spot) -> datetime:
    return datetime.fromtimestamp(spot.time / 1_000_000, UTC) + EMERGENCY_DUE


def _counted(moment: datetime) -> datetime:
    """The moment, or the nearest from which months and days can be counted in any zone."""
    return min(max(moment, _EPOCH), _LATEST)


def _month(moment: datetime) -> datetime:
    """When its calendar month (UTC) began."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
