"""What was read of a case after it was closed, and no reopening explains."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from audit.review import ALWAYS, DAY, Period, Spot, deeds_to, read_during, spots
from casework.act import Act
from casework.audit_review.explaining import explanations
from casework.audit_review.naming import entries_of
from casework.handoffs.transferred import transferred_cases
from policies.vocabulary import Action

# Whoever closes a case looks at it once more; and a reading is explained by a reopening within a day.
CLOSING: Final = timedelta(hours=1)
REOPENED_WITHIN: Final = DAY
_CLOSE, _REOPEN = Action.CASE_CLOSE.value, Action.CASE_REOPEN.value


def read_once_closed(act: Act, period: Period, persons: dict[UUID, bytes]) -> list[Spot]:
    """One spot for what one member read of one such person on one day (UTC), newest first.

    A case is closed by a member, or by the acceptance of its transfer; `persons` are the pseudonyms by case.
    """
    connection, log = act.unit.connection, act.org_id.bytes
    # What the period's readings are explained by may come after it.
    until = period.until + REOPENED_WITHIN
    moves = deeds_to(connection, log, until, frozenset({_CLOSE, _REOPEN}))
    for person, time in _transferred(act, until, persons):
        moves.setdefault(person, []).append((time, _CLOSE))
    closed = {person: _stretches(sorted(of_her)) for person, of_her in moves.items()}
    return read_during(connection, log, period, explanations().accesses, closed)


def _stretches(moves: list[tuple[int, str]]) -> list[Period]:
    """From an hour after each closing until a day before the reopening that follows it."""
    found: list[Period] = []
    since: int | None = None
    for time, move in moves:
        if move == _REOPEN:
            if since is not None:
                found.append(Period(since=since, until=time - REOPENED_WITHIN))
            since = None
        elif since is None:
            since = time + CLOSING // timedelta(microseconds=1)
    return found if since is None else [*found, Period(since=since, until=ALWAYS)]


def _transferred(act: Act, until: int, persons: dict[UUID, bytes]) -> list[tuple[bytes, int]]:
    """(person, when her transfer was accepted): the entry of it names the handoff alone."""
    transferred = transferred_cases(act.unit.connection, act.org_id)
    hers = {str(handoff): persons[case] for handoff, case in transferred.items() if case in persons}
    if not hers:
        return []
    told = spots(act.unit.connection, act.org_id.bytes, Period(since=0, until=until), {"handoff.accepted"})
    return [
        (hers[entry.basis.handoff], entry.time)
        for entry in entries_of(act, told)
        if entry.basis.handoff in hers
    ]
