"""What was read of a received case after the person had withdrawn the consent under which it came.

The receiver's own log says both: `handoff.accept` names handoff and person, `handoff.withdrawn` the handoff alone.
"""

from collections.abc import Iterator
from dataclasses import replace

from audit.entry import Entry
from audit.review import ALWAYS, Period, Spot, read_during, spots
from casework.act import Act
from casework.audit_review.explaining import explanations
from casework.audit_review.naming import entries_of


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
    after = {person: [Period(since=moment + 1, until=ALWAYS)] for person, moment in since.items()}
    connection, log = act.unit.connection, act.org_id.bytes
    return read_during(connection, log, period, explanations().accesses, after)


def _entries(act: Act, period: Period, action: str) -> Iterator[Entry]:
    """Every entry of this action up to the end of the period."""
    until = replace(period, since=0)
    return entries_of(act, spots(act.unit.connection, act.org_id.bytes, until, {action}))
