"""What was read of a received case after the person had withdrawn the consent under which it came.

The receiver's own log says both: `handoff.accept` names handoff and person, `handoff.withdrawn` the handoff alone.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from audit.entry import Entry
from audit.review import DAY, Period, Spot, shown, spots
from casework.act import Act
from casework.audit_review.explaining import explanations

# Indexes of one statement.
_AT_ONCE: Final = 500


def read_after_withdrawal(act: Act, period: Period) -> list[Spot]:
    """One spot for what one member read of one such person on one day (UTC), newest first.

    A case that came by several handoffs counts from the first withdrawal on: what is hers is not told apart.
    """
    withdrawn: dict[str, int] = {}
    for entry in _entries(act, period, "handoff.withdrawn"):
        handoff = entry.basis.handoff or ""
        withdrawn[handoff] = min(entry.time, withdrawn.get(handoff, entry.time))
    since: dict[bytes, int] = {}
    if withdrawn:
        for entry in _entries(act, period, "handoff.accept"):
            moment = withdrawn.get(entry.basis.handoff or "")
            if moment is not None:
                for subject in entry.subjects:
                    person = bytes.fromhex(subject.p)
                    since[person] = min(moment, since.get(person, moment))
    found = [spot for person, moment in since.items() for spot in _readings(act, period, person, moment)]
    return sorted(found, key=_place, reverse=True)


def _entries(act: Act, period: Period, action: str) -> Iterator[Entry]:
    """Every entry of this action up to the end of the period."""
    connection, log = act.unit.connection, act.org_id.bytes
    indexes = [spot.index for spot in spots(connection, log, replace(period, since=0), {action})]
    for first in range(0, len(indexes), _AT_ONCE):
        for integrated in shown(connection, log, indexes[first : first + _AT_ONCE]).values():
            yield integrated.entry


def _readings(act: Act, period: Period, person: bytes, moment: int) -> list[Spot]:
    late = replace(period, since=max(period.since, moment + 1))
    days: dict[tuple[str | None, int], list[Spot]] = defaultdict(list)
    accesses = explanations().accesses
    for spot in spots(act.unit.connection, act.org_id.bytes, late, accesses, subjects={person}):
        days[spot.actor, spot.time // DAY].append(spot)
    # Newest first, as they were found.
    return [replace(of_day[-1], times=len(of_day), last=of_day[0].time) for of_day in days.values()]


def _place(spot: Spot) -> int:
    return spot.index
