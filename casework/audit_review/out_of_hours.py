"""What was read at hours at which a centre is usually closed: a question, no reproach."""

from collections import defaultdict
from datetime import UTC, date, datetime
from typing import Final

from audit.counting import Tally, as_spots, entries_by_hour
from audit.review import DAY, Period, Spot
from casework.act import Act
from casework.audit_review.explaining import explanations
from casework.facts import PARIS, opening_hours_of

# Open from seven to twenty o'clock, Monday to Saturday. Paris has an offset of whole hours: each hour of UTC is one
# there.
OPENS, CLOSES = 7, 20
_SUNDAY: Final = 6


def read_out_of_hours(act: Act, period: Period) -> list[Spot]:
    """One spot a member and day (in Paris), newest first: her first such reading, and how many there were."""
    connection, log = act.unit.connection, act.org_id.bytes
    # Whole days of hers, wherever the period begins and ends: a day there may have 25 hours.
    around = Period(since=period.since - 2 * DAY, until=period.until + 2 * DAY)
    said = opening_hours_of(connection, act.org_id)
    is_open = said.opens_within if said is not None else is_usually_open
    days: dict[tuple[str, date], list[Tally]] = defaultdict(list)
    for tally in entries_by_hour(connection, log, around, explanations().accesses):
        moment = datetime.fromtimestamp(tally.begins // 1_000_000, UTC).astimezone(PARIS)
        if not is_open(moment):
            days[tally.actor, moment.date()].append(tally)
    return as_spots(connection, log, period, [_one(of_day) for of_day in days.values()])


def is_usually_open(moment: datetime) -> bool:
    """Of a moment in Paris, and an organisation that set no hours of its own."""
    return moment.weekday() != _SUNDAY and OPENS <= moment.hour < CLOSES


def _one(tallies: list[Tally]) -> Tally:
    return Tally(
        actor=tallies[0].actor,
        begins=min(tally.begins for tally in tallies),
        count=sum(tally.count for tally in tallies),
        index=min(tally.index for tally in tallies),
        last=max(tally.last for tally in tallies),
    )
