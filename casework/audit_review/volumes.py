"""On which days a member read of many more persons, or searched in vain far more often, than her peers do."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from audit.counting import Tally, as_spots, persons_by_day, vain_by_day
from audit.review import DAY, Period, Spot
from audit.standing_out import above_peers
from casework.act import Act
from casework.audit_review.explaining import explanations
from casework.identity.members import members_of_roles
from policies.vocabulary import Role

# More than so many times what is usual among her peers, and no fewer than that: two are not many after none.
FACTOR: Final = 3
AT_LEAST: Final = 20
# What is usual is taken from the period and so long before it.
BEFORE: Final = 31 * DAY
# A search after which nothing is opened for so long was in vain.
OPENS_WITHIN: Final = timedelta(minutes=10)
_SEARCH: Final = "case.search"
_MICROSECOND: Final = timedelta(microseconds=1)


def read_beyond_peers(act: Act, period: Period) -> list[Spot]:
    """One spot a member and day (UTC), newest first: her first reading, and of how many persons she read."""
    accesses = explanations().accesses
    return _beyond_peers(
        act, period, lambda days: persons_by_day(act.unit.connection, act.org_id.bytes, days, accesses)
    )


def searched_beyond_peers(act: Act, period: Period) -> list[Spot]:
    """One spot a member and day (UTC), newest first: her first search in vain, and how many there were."""
    accesses, within = explanations().accesses, OPENS_WITHIN // _MICROSECOND
    return _beyond_peers(
        act,
        period,
        lambda days: vain_by_day(act.unit.connection, act.org_id.bytes, days, _SEARCH, accesses, within),
    )


def _beyond_peers(act: Act, period: Period, counted: Callable[[Period], list[Tally]]) -> list[Spot]:
    connection, log = act.unit.connection, act.org_id.bytes
    # Whole days: half a day would be measured against whole ones.
    since, until = period.since // DAY * DAY, -(-period.until // DAY) * DAY
    roles = {
        str(member): role
        for member, role in members_of_roles(connection, act.org_id, frozenset(Role)).items()
    }
    days = counted(Period(since=since - BEFORE, until=until))
    high = [tally for tally in above_peers(days, roles, FACTOR, AT_LEAST) if tally.begins >= since]
    return as_spots(connection, log, period, high)
