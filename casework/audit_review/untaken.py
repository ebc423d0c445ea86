"""The sendings and arrivals of handoffs that nobody took on or refused within their time."""

from audit.review import Period, Spot, spots
from casework.act import Act
from casework.audit_review.naming import entries_of
from casework.handoffs.untaken import untaken

SENT = frozenset({"handoff.send", "handoff.arrive"})


def sent_and_untaken(act: Act, period: Period) -> list[Spot]:
    """One spot a handoff that waits still, newest first."""
    waiting = set(map(str, untaken(act.unit.connection, act.org_id, act.unit.now)))
    if not waiting:
        return []
    found = spots(act.unit.connection, act.org_id.bytes, period, SENT)
    named = {entry.id for entry in entries_of(act, found) if entry.basis.handoff in waiting}
    return [spot for spot in found if spot.entry_id in named]
