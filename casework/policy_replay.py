"""An organisation's journal, read for what its policies decided, and decided again under others."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from audit.entry import Entry, Outcome
from audit.log import Filters, count_entries, entries
from casework.clock import microseconds
from policies.engine import Engine
from policies.replay import Replay, Situation, Unreplayable, replay

DAYS: Final = 90
_PAGE: Final = 1_000
# As many as are told apart in a bar of progress.
_MOST: Final = 10_000_000
_WHY: Final = {"not_found": Unreplayable.HIDDEN, "engine.error": Unreplayable.FAILED}


def replay_journal(
    connection: Connection,
    org_id: UUID,
    in_force: Engine,
    new: Engine,
    *,
    until: datetime,
    days: int = DAYS,
    advance: Callable[[int, int], None] | None = None,
) -> Replay:
    """Decide again, under `new`, what the organisation's journal says was decided in the `days` before `until`.

    `connection` is in a unit (or snapshot) of that organisation. `advance` is told (entries read, in all).

    Raises:
        BasesDiffer: the engines are not of one organisation, or do not stand on the same base rules.

    """
    filters = Filters(since=microseconds(until - timedelta(days=days)), until=microseconds(until))
    past, unreplayable = Counter[Situation](), Counter[Unreplayable]()
    # An act may write several entries: what was decided stands in the first of them.
    noted, without = set[str](), list[str]()
    for entry in _read(connection, org_id, filters, advance):
        basis = entry.basis
        for asked in basis.asked:
            past[
                Situation(entry.role, entry.purpose, basis.set, asked.allowed, asked.denied, asked.holds)
            ] += 1
        if basis.asked:
            noted.add(entry.request)
        why = _why_not(entry)
        if why is Unreplayable.NOT_NOTED:
            without.append(entry.request)
        elif why is not None:
            unreplayable[why] += 1
    unreplayable[Unreplayable.NOT_NOTED] = sum(request not in noted for request in without)
    return replay(past, unreplayable, in_force, new)


def _why_not(entry: Entry) -> Unreplayable | None:
    """Why something that was decided cannot be decided again; None where all is noted, or no policy decided it."""
    if entry.outcome is Outcome.DENIED and entry.reason in _WHY:
        return _WHY[entry.reason]
    if entry.basis.asked or not (entry.basis.policies or entry.reason == "policy"):
        return None
    return Unreplayable.NOT_NOTED


def _read(
    connection: Connection,
    org_id: UUID,
    filters: Filters,
    advance: Callable[[int, int], None] | None,
) -> Iterator[Entry]:
    total, cursor = count_entries(connection, org_id.bytes, filters, most=_MOST)
    done = 0
    while cursor:
        page = entries(connection, org_id.bytes, filters, cursor=cursor, limit=_PAGE)
        for found in page.entries:
            yield found.entry
        done += len(page.entries)
        if advance is not None:
            advance(done, total)
        cursor = page.cursor or 0
