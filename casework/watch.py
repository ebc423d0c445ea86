"""What a serving process watches between two rounds: its missing entries, its clock, what durability rests on.

Serving stops while one of its entries of more than half a minute is not covered, or what makes a commit durable and
the journal append-only is not as it must be (`casework.standing`). Each is an alert, and an entry where a log can
hold it. It goes on by itself once the entry is covered, or the setting is back.
"""

from collections.abc import Collection, Iterable
from functools import partial
from itertools import groupby
from operator import attrgetter
from uuid import UUID, uuid4

from sqlalchemy import Connection

from audit.entry import Outcome
from audit.memory import Fate, Remembered, fates
from audit.tables import DEPLOYMENT_LOG
from casework.alerts import AlertKind, alert
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.journal import HEARTBEAT_SECONDS, Deed, Who

# How often the settings and the triggers are looked at.
INSPECTION_SECONDS = 10.0
# How often it is found out anew what became of missing entries: for that a log's whole inbox is read.
SEARCH_SECONDS = 5.0
# A clock that is steered by NTP drifts by less.
STEP_SECONDS = 5.0
_KINDS = {
    Fate.REMOVED: AlertKind.ENTRY_REMOVED,
    Fate.ALTERED: AlertKind.ENTRY_ALTERED,
    Fate.WAITING: AlertKind.CHECKPOINT_STALE,
}
_GONE = frozenset({AlertKind.ENTRY_REMOVED, AlertKind.ENTRY_ALTERED})


class Watch:
    """One process's. Each alert is raised once, until what it tells of is over."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._clock = deployment.clock
        self._ahead = deployment.clock.ahead()
        self._beat_at = self._inspected_at = deployment.clock.elapsed()
        self._told: dict[bytes, AlertKind] = {}
        self._searched_at = self._beat_at - SEARCH_SECONDS

    async def begin(self) -> None:
        """The first heartbeats."""
        await self._beat("started")

    async def look(self) -> None:
        """Look at everything whose turn it is."""
        now = self._clock.elapsed()
        await self._look_at_the_clock()
        if now - self._beat_at >= HEARTBEAT_SECONDS:
            await self._beat(None)
        if now - self._inspected_at >= INSPECTION_SECONDS:
            self._inspected_at = now
            await self._inspect_durability()
        await self._look_for_the_missing()

    async def end(self) -> None:
        """After the last round: what is gone by now, nobody misses once this process is over.

        What still waits is left to the next start, or to another process.
        """
        await self._tell_of(self._deployment.memory.uncovered(), _GONE)

    async def _beat(self, reason: str | None) -> None:
        journal, slugs = self._deployment.journal, self._deployment.slugs
        await self._deployment.database.unit(lambda unit: journal.beat(unit, slugs, reason))
        self._beat_at = self._clock.elapsed()

    async def _look_at_the_clock(self) -> None:
        ahead = self._clock.ahead()
        step = ahead - self._ahead
        if abs(step) <= STEP_SECONDS:
            # Slow drift is no step.
            self._ahead = ahead
            return
        alert(AlertKind.CLOCK_STEPPED, seconds=round(step))
        deed = Deed("clock.stepped", reason="forward" if step > 0 else "back", count=round(abs(step)))
        await self._deployment.database.unit(partial(self._record, DEPLOYMENT_LOG, deed))
        self._ahead = ahead
        # A machine that slept kept no promise: the next heartbeat says that this process began again.
        await self._beat("started")

    async def _inspect_durability(self) -> None:
        found = tuple(await self._deployment.database.faults())
        known, self._deployment.faults = self._deployment.faults, found
        if found and found != known:
            alert(AlertKind.DURABILITY_LOST, what=", ".join(found))
            await self._tell(DEPLOYMENT_LOG, AlertKind.DURABILITY_LOST, len(found))

    async def _look_for_the_missing(self) -> None:
        missing = self._deployment.memory.missing()
        if not missing:
            self._told.clear()
            return
        now = self._clock.elapsed()
        if not self._told or now - self._searched_at >= SEARCH_SECONDS:
            self._searched_at = now
            await self._tell_of(missing, frozenset(_KINDS.values()))

    async def _tell_of(self, missing: Iterable[Remembered], kinds: Collection[AlertKind]) -> None:
        by_log = groupby(sorted(missing, key=attrgetter("log")), key=attrgetter("log"))
        for log, entries in [(log, list(entries)) for log, entries in by_log]:
            kind = await self._kind(log, entries)
            if kind in kinds and self._told.get(log) is not kind:
                self._told[log] = kind
                slug = self._deployment.slugs.get(UUID(bytes=log))
                alert(kind, organisation=slug, entries=len(entries), first=entries[0].entry_id)
                await self._tell(log, kind, len(entries))

    async def _kind(self, log: bytes, missing: list[Remembered]) -> AlertKind:
        """The worst of what became of them."""

        def read(connection: Connection) -> list[Fate]:
            return list(fates(connection, log, missing))

        found = await self._deployment.database.inspect(read)
        return next(kind for fate, kind in _KINDS.items() if fate in found)

    async def _tell(self, log: bytes, kind: AlertKind, count: int) -> None:
        deed = Deed("alert.raised", outcome=Outcome.FAILED, reason=kind.value, count=count)
        await self._deployment.database.unit(partial(self._record, log, deed))

    def _record(self, log: bytes, deed: Deed, unit: UnitOfWork) -> None:
        org_id = UUID(bytes=log)
        org = (org_id, self._deployment.slugs[org_id]) if log != DEPLOYMENT_LOG else None
        self._deployment.journal.record(unit, org, Who(uuid4()), deed)
