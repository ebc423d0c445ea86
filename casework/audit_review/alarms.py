"""What wakes somebody before the next review: too much of one member within an hour, and unreviewed emergencies.

Counted once a minute over the last hour, from the integrated journal alone. The numbers are far above a day's work:
an alarm that sounds every day is switched off. What stays below them is for the reviews (`findings.py`).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from audit.entry import Outcome
from audit.review import Period, entries_by_actor, persons_by_actor, shown, spots
from casework.alerts import AlertKind, alert
from casework.audit_review.explaining import explanations
from casework.audit_review.findings import EMERGENCY, overdue_emergencies
from casework.audit_review.reviewing import stored_reviews
from casework.clock import microseconds
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.journal import JOURNAL, Deed, Who

WINDOW: Final = timedelta(hours=1)
# Of how many persons one member opens something in the window, how often she is refused, how many entries she is
# shown of the journal.
MOST_PERSONS: Final = 60
MOST_DENIALS: Final = 30
MOST_ENTRIES: Final = 2_000
_READING: Final = frozenset({"journal.read", "journal.export"})
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


def raise_alarms(deployment: Deployment, unit: UnitOfWork, org_id: UUID) -> None:
    """Raise what is new of one organisation: each alarm once while its cause lasts, and journal it."""
    unit.enter_organisation(org_id)
    causes = set(_causes(unit, org_id))
    known = deployment.review_alarms.setdefault(org_id, set())
    for kind, subject in sorted(causes - known):
        _raise(deployment, unit, org_id, kind, subject)
    # Raised already: a unit that is not committed loses the entry, and not the alarm.
    deployment.review_alarms[org_id] = causes


def _causes(unit: UnitOfWork, org_id: UUID) -> Iterator[tuple[AlertKind, str]]:
    """(kind, member; of an emergency its entry)."""
    connection, log = unit.connection, org_id.bytes
    hour = Period(since=microseconds(unit.now - WINDOW), until=microseconds(unit.now))
    for actor, persons in persons_by_actor(connection, log, hour, explanations().accesses).items():
        if persons > MOST_PERSONS:
            yield AlertKind.BULK_READING, actor
    for actor, denials in entries_by_actor(connection, log, hour, Outcome.DENIED).items():
        if denials > MOST_DENIALS:
            yield AlertKind.DENIAL_RUN, actor
    for actor, entries in _entries_shown(unit, log, hour).items():
        if entries > MOST_ENTRIES:
            yield AlertKind.MASS_AUDITING, actor
    ever = Period(since=0, until=microseconds(unit.now))
    reviews = stored_reviews(connection, org_id, _LONG_AGO)
    for spot in overdue_emergencies(spots(connection, log, ever, EMERGENCY), reviews, unit.now):
        yield AlertKind.EMERGENCY_UNREVIEWED, spot.entry_id


def _entries_shown(unit: UnitOfWork, log: bytes, hour: Period) -> dict[str, int]:
    """How many entries of the journal each member was shown or exported: of each reading its `count`."""
    found = spots(unit.connection, log, hour, _READING)
    total: dict[str, int] = {}
    for integrated in shown(unit.connection, log, [spot.index for spot in found]).values():
        entry = integrated.entry
        if entry.actor is not None:
            total[entry.actor] = total.get(entry.actor, 0) + (entry.count or 0)
    return total


def _raise(deployment: Deployment, unit: UnitOfWork, org_id: UUID, kind: AlertKind, subject: str) -> None:
    slug = deployment.slugs[org_id]
    alert(kind, organisation=slug, about=subject)
    deed = Deed("alert.raised", outcome=Outcome.FAILED, reason=kind.value, detail={"about": subject})
    drop = deployment.directories.drop(unit, org_id, JOURNAL)
    deployment.journal.record(unit, (org_id, slug), Who(uuid4()), deed, drop)
